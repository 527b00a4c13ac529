//! A request decodes to what encodes to the same bytes, and verifies under no key but the session's.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seal::request::SignedRequest;
use seal::sign::VerifyingKey;

fuzz_target!(|data: &[u8]| {
    if let Ok(request) = SignedRequest::decode(data) {
        assert_eq!(request.encode(), data);
        assert!(request.verify(&VerifyingKey::from_bytes([7; 32])).is_err());
    }
});
