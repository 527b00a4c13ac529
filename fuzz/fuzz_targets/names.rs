//! References, names, ids, times, names of objects and passphrase parameters: what is read prints, and reads again to the same; no path escapes.
#![no_main]

use api::terms::{Name, Reference, Timestamp, VersionId};
use depot::Key;
use libfuzzer_sys::fuzz_target;
use seal::passphrase::Params;

fuzz_target!(|data: &[u8]| {
    if let Ok(reference) = Reference::from_bytes(data) {
        if let Some(path) = &reference.path {
            assert!(path.split(|b| *b == b'/').all(|part| !part.is_empty() && part != b"." && part != b".."));
        }
        if reference.path.as_ref().is_none_or(|p| std::str::from_utf8(p).is_ok()) {
            assert_eq!(reference.to_string().parse::<Reference>().as_ref(), Ok(&reference));
        }
    }
    if let Ok(params) = Params::decode(data) {
        assert_eq!(params.encode(), data);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(name) = text.parse::<Name>() {
        assert_eq!(name.as_str(), text);
    }
    if let Ok(id) = text.parse::<VersionId>() {
        assert_eq!(id.to_string(), text);
    }
    if let Ok(key) = text.parse::<Key>() {
        assert_eq!(key.to_string(), text);
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        assert!(time <= Timestamp::MAX);
        assert_eq!(time.to_string().parse(), Ok(time));
    }
});
