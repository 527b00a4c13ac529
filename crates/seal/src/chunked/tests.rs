//! What only the inside can test: sealing under a fixed salt, and the primitives as this module calls them.

mod wycheproof;

use super::*;
use serde_json::Value;

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[test]
fn sealing_under_the_vectors_salts_gives_the_vectors_bytes() -> Outcome {
    let vectors: Value = serde_json::from_str(include_str!("../../../../vectors/chunked.json"))?;
    let messages = vectors["messages"].as_array().ok_or("no messages")?;
    assert!(messages.len() >= 6);
    for message in messages {
        let bytes = |name: &str| hex::decode(message[name].as_str().unwrap_or_default());
        let key = bytes("key")?.try_into().map_err(|_| "key")?;
        let salt = bytes("salt")?.try_into().map_err(|_| "salt")?;
        let number = |name: &str| message["plaintext"][name].as_u64().ok_or("number");
        let (len, seed) = (number("len")?, number("seed")?);
        let plaintext: Vec<u8> = (0..len).map(|i| (seed + 7 * i + i / 251) as u8).collect();
        let (cipher, header) = Cipher::with_salt(&key, &bytes("context")?, &salt)?;
        assert_eq!(seal_with(&cipher, &header, &plaintext)?, bytes("sealed")?, "{len} bytes");
    }
    Ok(())
}

#[test]
fn lengths_are_inverse_and_every_other_length_is_refused() {
    let valid: std::collections::HashSet<u64> = (0..3 * CHUNK_LEN as u64).filter_map(sealed_len).collect();
    for sealed in 0..56 + 2 * SEALED_CHUNK_LEN as u64 + 100 {
        match plaintext_len(sealed) {
            Ok(plain) => assert_eq!(sealed_len(plain), Some(sealed)),
            Err(_) => assert!(!valid.contains(&sealed), "{sealed}"),
        }
    }
}

#[test]
fn lengths_end_at_the_chunk_limit() {
    let most = MAX_CHUNKS * CHUNK_LEN as u64 - 1;
    assert!(sealed_len(most).is_some_and(|sealed| plaintext_len(sealed) == Ok(most)));
    assert_eq!(sealed_len(most + 1), None);
    assert_eq!(sealed_len(u64::MAX), None);
    for sealed in [u64::MAX, u64::MAX - 15, 56 + MAX_CHUNKS * SEALED_CHUNK_LEN as u64 + 16] {
        assert!(plaintext_len(sealed).is_err());
    }
}

#[test]
fn nonces_of_all_chunk_numbers_differ_in_the_last_five_bytes_only() -> Outcome {
    let (cipher, _) = Cipher::with_salt(&[1; 32], b"", &[2; SALT_LEN])?;
    for index in [0, 1, 255, 256, 1 << 37, MAX_CHUNKS - 1] {
        let nonce = cipher.nonce(index);
        let number: Vec<u8> = nonce.as_ref().iter().zip(&cipher.base_nonce).map(|(a, b)| a ^ b).collect();
        assert_eq!(number, u128::from(index).to_be_bytes()[4..]);
    }
    Ok(())
}

#[test]
fn chunk_numbers_beyond_the_limit_are_refused() -> Outcome {
    let (cipher, header) = Cipher::with_salt(&[1; 32], b"", &[2; SALT_LEN])?;
    let mut sealed = [0; 17];
    assert!(matches!(cipher.seal_at(MAX_CHUNKS, b"x", &mut sealed), Err(Error::Misuse(_))));
    cipher.seal_at(MAX_CHUNKS - 1, b"x", &mut sealed)?;
    let opener = Opener::new(&[1; 32], b"", &header)?;
    let mut out = [0];
    opener.open_chunk(MAX_CHUNKS - 1, &sealed, &mut out)?;
    assert_eq!(&out, b"x");
    assert!(matches!(opener.open_chunk(MAX_CHUNKS, &sealed, &mut out), Err(Error::Corrupt(_))));
    assert!(matches!(opener.open_chunk(u64::MAX, &sealed, &mut out), Err(Error::Corrupt(_))));
    Ok(())
}

#[test]
fn debug_shows_no_key() -> Outcome {
    let (sealer, header) = Sealer::new(&[0xa5; 32], b"")?;
    assert_eq!(format!("{sealer:?}"), "Sealer { next: 0, .. }");
    assert_eq!(format!("{:?}", Opener::new(&[0xa5; 32], b"", &header)?), "Opener(..)");
    Ok(())
}
