//! Whatever is done to a sealed message, it opens to what was sealed or not at all.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seal::chunked::{Error, open_all, plaintext_len, seal_all};
use std::sync::LazyLock;

static PLAINTEXT: LazyLock<Vec<u8>> = LazyLock::new(|| (0..40_000_u32).map(|i| i as u8).collect());
static SEALED: LazyLock<Vec<u8>> = LazyLock::new(|| seal_all(&[7; 32], b"fuzz", &PLAINTEXT).expect("sealed"));

fuzz_target!(|data: &[u8]| {
    // As they are.
    let opened = open_all(&[7; 32], b"fuzz", data, 1 << 20);
    assert!(matches!(opened, Err(Error::Corrupt(_) | Error::TooLong(_))));
    // As edits of a real message: position, bytes to take out, byte to put in.
    let mut message = SEALED.clone();
    for edit in data.chunks_exact(5) {
        let at = usize::from(u16::from_le_bytes([edit[0], edit[1]])).min(message.len());
        let end = at.saturating_add(usize::from(u16::from_le_bytes([edit[2], edit[3]]) % 64)).min(message.len());
        message.splice(at..end, [edit[4]]);
    }
    match open_all(&[7; 32], b"fuzz", &message, 1 << 20) {
        Ok(plain) => assert_eq!((&*plain, &message), (&*PLAINTEXT, &*SEALED)),
        Err(Error::Corrupt(corrupt)) => assert!(corrupt.offset() <= message.len() as u64),
        Err(other) => panic!("{other:?}"),
    }
    if let Some(len) = data.first_chunk::<8>() {
        let sealed = u64::from_le_bytes(*len);
        if let Ok(plain) = plaintext_len(sealed) {
            assert_eq!(seal::chunked::sealed_len(plain), Some(sealed));
        }
    }
});
