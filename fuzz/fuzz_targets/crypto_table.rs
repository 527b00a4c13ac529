//! Any text is a table of suites or is refused; what is taken opens what it writes.
#![no_main]

use api::terms::{Class, Environment, Suite};
use libfuzzer_sys::fuzz_target;
use policy::Crypto;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(table) = Crypto::parse(text) else { return };
    assert!(text.len() <= Crypto::MAX_LEN_BYTES);
    for class in Class::ALL {
        for environment in Environment::ALL {
            assert!(table.reads(*class, *environment, table.writes(*class, *environment)));
        }
    }
    Suite::ALL.iter().for_each(|suite| drop(table.stretch(*suite)));
});
