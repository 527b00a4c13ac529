//! Any text is a table of suites or is refused; what is taken has, before and at each of its dates, something that writes and is opened,
//! a root that wraps and opens, and a passphrase that it bears.
#![no_main]

use api::terms::{Class, Environment, RootKind, Suite, Timestamp};
use libfuzzer_sys::fuzz_target;
use policy::Crypto;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(table) = Crypto::parse(text) else { return };
    assert!(text.len() <= Crypto::MAX_LEN_BYTES);
    let dates = table.dates();
    assert!(dates.windows(2).all(|two| two[0] < two[1]));
    for at in dates.iter().copied().chain([Timestamp::from_millis(0), Timestamp::MAX]) {
        for class in Class::ALL {
            for environment in Environment::ALL {
                let (class, environment) = (*class, *environment);
                assert!(table.reads(class, environment, table.writes(class, environment, at), at));
                let both = |root: &&RootKind| {
                    table.wraps(class, environment, **root, at) && table.opens(class, environment, **root, at)
                };
                assert!(RootKind::ALL.iter().filter(both).any(|root| *root != RootKind::Escrow));
            }
        }
        assert!(Suite::ALL.iter().all(|suite| table.bears(table.stretch(*suite, at), at)));
        assert!(table.since(at, |time| time <= at).is_none_or(|since| since <= at));
    }
});
