//! A record decodes to what encodes to the same bytes, or not at all.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seal::record::VersionRecord;

fuzz_target!(|data: &[u8]| {
    if let Ok(record) = VersionRecord::decode(data) {
        assert_eq!(record.encode().expect("what was read"), data);
    }
});
