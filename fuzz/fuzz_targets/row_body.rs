//! Bodies of rows as the database holds them: read to one canonical form, or refused; and the row before any MAC.
#![no_main]

use keeper::fuzz::{TABLES, mac_key, row};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

const VAULT: [u8; 16] = [1; 16];
const KEY: [u8; 16] = [3; 16];
/// What the seeds hold under this root; nobody else can wrap another.
const SECRET: [u8; 32] = [9; 32];

static KEY_FILE: LazyLock<String> =
    LazyLock::new(|| format!("strongroom-root-v1 {} {} {}\n", "01".repeat(16), "02".repeat(16), "05".repeat(32)));

fuzz_target!(|data: &[u8]| {
    let Some((table, body)) = data.split_first() else { return };
    let Some(table) = TABLES.get(usize::from(*table)) else {
        if let Some(secret) = mac_key(body, VAULT, KEY_FILE.as_bytes(), KEY) {
            assert_eq!(secret, SECRET);
        }
        return;
    };
    if let Some(text) = row(table, body) {
        // An escape is at most six bytes for one.
        assert!(text.len() <= 6 * body.len() + 4096);
        assert_eq!(row(table, &text), Some(text));
    }
});
