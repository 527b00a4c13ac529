//! Chunked encryption: vectors and properties.

use proptest::prelude::*;
use seal::chunked::{CHUNK_LEN, Error, Opener, SEALED_CHUNK_LEN, Sealer, open_all, open_into, seal_all};
use serde::Deserialize;

use crate::vectors::{Pattern, Splice, array, edited, unhex};

#[derive(Deserialize)]
struct Vectors {
    messages: Vec<Message>,
    rejected: Vec<Rejected>,
}

#[derive(Deserialize)]
struct Message {
    key: String,
    context: String,
    plaintext: Pattern,
    sealed: String,
}

#[derive(Deserialize)]
struct Rejected {
    name: String,
    message: usize,
    splices: Vec<Splice>,
    key: Option<String>,
    context: Option<String>,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../../../vectors/chunked.json")).unwrap()
}

const LIMIT: u64 = 1 << 20;

#[test]
fn vectors_open() {
    for message in vectors().messages {
        let opened = open_all(&array(&message.key), &unhex(&message.context), &unhex(&message.sealed), LIMIT).unwrap();
        assert_eq!(*opened, message.plaintext.bytes());
    }
}

#[test]
fn rejected_vectors_do_not_open() {
    let Vectors { messages, rejected } = vectors();
    assert!(rejected.len() >= 3 * messages.len());
    for case in rejected {
        let base = &messages[case.message];
        let key = array(case.key.as_ref().unwrap_or(&base.key));
        let context = unhex(case.context.as_ref().unwrap_or(&base.context));
        let opened = open_all(&key, &context, &edited(&unhex(&base.sealed), &case.splices), LIMIT);
        assert!(matches!(opened, Err(Error::Corrupt(_))), "{}", case.name);
    }
}

#[test]
fn the_limit_is_checked_before_anything_is_opened() {
    let sealed = seal_all(&[1; 32], b"", &[0; 100]).unwrap();
    assert_eq!(open_all(&[1; 32], b"", &sealed, 99), Err(Error::TooLong(99)));
    assert_eq!(open_all(&[2; 32], b"", &sealed, 99), Err(Error::TooLong(99)));
    assert!(open_all(&[1; 32], b"", &sealed, 100).is_ok());
}

#[test]
fn a_failed_open_leaves_zeros() {
    let mut sealed = seal_all(&[1; 32], b"", &[0xaa; 40_000]).unwrap();
    *sealed.last_mut().unwrap() ^= 1;
    let mut out = vec![0xff; 40_000];
    assert!(open_into(&[1; 32], b"", &sealed, &mut out).is_err());
    assert!(out.iter().all(|byte| *byte == 0));
}

#[test]
fn sealing_twice_gives_different_bytes() {
    assert_ne!(seal_all(&[1; 32], b"", b"same"), seal_all(&[1; 32], b"", b"same"));
}

#[test]
fn a_sealer_refuses_chunks_after_the_last_and_an_end_without_it() {
    let (mut sealer, _) = Sealer::new(&[1; 32], b"").unwrap();
    let mut out = [0; SEALED_CHUNK_LEN];
    sealer.seal_next(&[0; CHUNK_LEN], &mut out).unwrap();
    sealer.seal_next(&[], &mut out[..16]).unwrap();
    assert!(matches!(sealer.seal_next(&[], &mut out[..16]), Err(Error::Misuse(_))));
    assert_eq!(sealer.finish(), Ok(CHUNK_LEN as u64));

    let (mut sealer, _) = Sealer::new(&[1; 32], b"").unwrap();
    assert!(matches!(sealer.seal_next(&[0; CHUNK_LEN + 1], &mut [0; SEALED_CHUNK_LEN + 1]), Err(Error::Misuse(_))));
    assert!(matches!(sealer.seal_next(&[0; 5], &mut [0; 20]), Err(Error::Misuse(_))));
    sealer.seal_next(&[0; CHUNK_LEN], &mut out).unwrap();
    assert!(matches!(sealer.finish(), Err(Error::Misuse(_))));
}

fn lengths() -> impl Strategy<Value = usize> {
    prop_oneof![0..100usize, Just(CHUNK_LEN - 1), Just(CHUNK_LEN), Just(CHUNK_LEN + 1), 0..4 * CHUNK_LEN]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_sealed_opens(key: [u8; 32], context: Vec<u8>, len in lengths(), seed: u8) {
        let plaintext = Pattern { len: len as u64, seed: seed.into() }.bytes();
        let sealed = seal_all(&key, &context, &plaintext).unwrap();
        prop_assert_eq!(Some(sealed.len() as u64), seal::chunked::sealed_len(len as u64));
        prop_assert_eq!(&*open_all(&key, &context, &sealed, LIMIT).unwrap(), &plaintext);
    }

    #[test]
    fn streaming_gives_what_opens(len in lengths()) {
        let plaintext = Pattern { len: len as u64, seed: 5 }.bytes();
        let (mut sealer, header) = Sealer::new(&[7; 32], b"c").unwrap();
        let mut sealed = header.to_vec();
        let full = plaintext.chunks_exact(CHUNK_LEN);
        let last = full.remainder();
        for chunk in full.chain([last]) {
            let at = sealed.len();
            sealed.resize(at + chunk.len() + 16, 0);
            sealer.seal_next(chunk, &mut sealed[at..]).unwrap();
        }
        prop_assert_eq!(sealer.finish(), Ok(len as u64));
        prop_assert_eq!(&*open_all(&[7; 32], b"c", &sealed, LIMIT).unwrap(), &plaintext);
    }

    #[test]
    fn any_flipped_bit_is_found(len in lengths(), at: prop::sample::Index, bit in 0..8u8) {
        let mut sealed = seal_all(&[7; 32], b"c", &vec![3; len]).unwrap();
        let at = at.index(sealed.len());
        sealed[at] ^= 1 << bit;
        prop_assert!(matches!(open_all(&[7; 32], b"c", &sealed, LIMIT), Err(Error::Corrupt(_))));
    }

    #[test]
    fn any_cut_is_found(len in lengths(), at: prop::sample::Index) {
        let sealed = seal_all(&[7; 32], b"c", &vec![3; len]).unwrap();
        let cut = &sealed[..at.index(sealed.len())];
        prop_assert!(matches!(open_all(&[7; 32], b"c", cut, LIMIT), Err(Error::Corrupt(_))));
    }

    #[test]
    fn any_extension_is_found(len in lengths(), more in prop::collection::vec(any::<u8>(), 1..20_000)) {
        let mut sealed = seal_all(&[7; 32], b"c", &vec![3; len]).unwrap();
        sealed.extend(more);
        prop_assert!(matches!(open_all(&[7; 32], b"c", &sealed, LIMIT), Err(Error::Corrupt(_))));
    }

    #[test]
    fn swapped_chunks_are_found(a in 0..3usize, b in 0..3usize) {
        prop_assume!(a != b);
        let mut sealed = seal_all(&[7; 32], b"c", &vec![3; 3 * CHUNK_LEN]).unwrap();
        for i in 0..SEALED_CHUNK_LEN {
            sealed.swap(56 + a * SEALED_CHUNK_LEN + i, 56 + b * SEALED_CHUNK_LEN + i);
        }
        prop_assert!(matches!(open_all(&[7; 32], b"c", &sealed, LIMIT), Err(Error::Corrupt(_))));
    }

    #[test]
    fn a_chunk_opens_only_under_its_number(a in 0..3u64, b: u64) {
        let sealed = seal_all(&[7; 32], b"c", &vec![3; 3 * CHUNK_LEN]).unwrap();
        let opener = Opener::new(&[7; 32], b"c", sealed[..56].try_into().unwrap()).unwrap();
        let at = 56 + a as usize * SEALED_CHUNK_LEN;
        let opened = opener.open_chunk(b, &sealed[at..at + SEALED_CHUNK_LEN], &mut [0; CHUNK_LEN]);
        prop_assert_eq!(opened.is_ok(), a == b);
    }

    #[test]
    fn arbitrary_bytes_never_open_nor_panic(sealed: Vec<u8>, key: [u8; 32]) {
        prop_assert!(open_all(&key, b"", &sealed, LIMIT).is_err());
    }
}
