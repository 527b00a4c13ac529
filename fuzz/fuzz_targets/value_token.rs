//! The token of a sealed value: what is read is written as it was, and opens under no key that did not seal it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seal::Suite;
use seal::secret::ValueKey;
use seal::value::{Pairs, Place, Token, open};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(token) = Token::parse(text) else { return };
    assert_eq!(token.to_string(), text);
    let key = ValueKey::from_bytes(Box::new([0x5a; 32]));
    let place = Place {
        suite: Suite::Default,
        vault: token.vault,
        named: [1; 16],
        key: [2; 16],
        number: token.number,
        workspace: &token.workspace,
        name: &token.name,
    };
    assert!(open(&key, &place, &Pairs::default(), &token).is_err());
});
