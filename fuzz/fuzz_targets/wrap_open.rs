//! No bytes but the wrap's own open as a wrap; and hostile passphrase parameters stay within their bounds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seal::Suite;
use seal::passphrase::Params;
use seal::secret::{RootKey, SigningSeed};
use seal::wrap::{Error, Kind, WrapContext, unwrap};

fuzz_target!(|data: &[u8]| {
    for suite in Suite::ALL {
        refused(suite, data);
    }
    if let Ok(params) = Params::decode(data) {
        assert_eq!(params.encode(), data);
    }
});

fn refused(suite: Suite, data: &[u8]) {
    let context = WrapContext {
        suite,
        vault: [1; 16],
        kind: Kind::Release,
        workspace: None,
        environment: None,
        class: None,
        artifact: None,
        version: None,
        key_id: [2; 16],
        wrapping_key_id: [3; 16],
        wrapping_key_version: 1,
    };
    let root = RootKey::from_slice(&[9; 32]).expect("32 bytes");
    assert_eq!(unwrap::<SigningSeed>(&root, &context, data).err(), Some(Error::Authentication));
}
