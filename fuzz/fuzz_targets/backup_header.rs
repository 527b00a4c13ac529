//! The header of a backup and the heads of its items: what is read is written as the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seal::backup::{Header, Item};

fuzz_target!(|data: &[u8]| {
    if let Ok((header, len)) = Header::decode(data) {
        assert_eq!(header.encode().expect("it was read"), data[..len]);
    }
    if let Ok(Some((item, len))) = Item::decode(data) {
        assert_eq!(item.encode().expect("it was read"), data[..len]);
    }
});
