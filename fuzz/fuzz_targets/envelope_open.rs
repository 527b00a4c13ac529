//! No bytes but the keeper's open as an envelope.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seal::Suite;
use seal::envelope;
use seal::hpke::OneTimeKey;
use seal::request::{Ask, SignedRequest};
use seal::secret::SigningSeed;
use seal::sign::{SigningKey, VerifyingKey};

fuzz_target!(|data: &[u8]| {
    Suite::ALL.into_iter().for_each(|suite| refused(suite, data));
});

fn refused(suite: Suite, data: &[u8]) {
    let key = OneTimeKey::generate(suite).expect("entropy");
    let session = SigningKey::from_seed(&SigningSeed::from_slice(&[1; 32]).expect("32 bytes")).expect("seed");
    let ask = Ask {
        vault: &[1; 16],
        principal: &[2; 16],
        session: &[3; 16],
        action: 1,
        versions: &[[4; 16]],
        command: &[0; 32],
        time_ms: 0,
    };
    let request = SignedRequest::sign(&ask, &key, &session).expect("signed");
    assert!(envelope::open(data, &request, key, &VerifyingKey::from_bytes([7; 32])).is_err());
}
