//! Notes, keys, checkpoints, receipts.

use log::checkpoint::{Checkpoint, CheckpointError, Origin};
use log::keys::{KeyError, LogKeys, Signers};
use log::note::{Note, NoteError, VerifierKey};
use log::proof;
use log::receipt::{Receipt, ReceiptError};
use log::source::HashReader;
use log::tree;
use proptest::prelude::*;

use crate::support::{ORIGIN, TIME, entry, keys, log_of, signers};

#[test]
fn a_note_of_go_is_read() {
    // The example of golang.org/x/mod/sumdb/note, whose key is published with it.
    let vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    let text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n\
                — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    let key = VerifierKey::parse(vkey).unwrap();
    assert_eq!((key.to_string().as_str(), key.id()), (vkey, 0xc74f_20a3));
    let note = Note::parse(text.as_bytes()).unwrap();
    assert_eq!(note.to_bytes(), text.as_bytes());
    let signature = note.signature_by(&key).unwrap();
    let public = aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, key.as_bytes());
    public.verify(note.text().as_bytes(), signature).unwrap();
}

#[test]
fn checkpoints_are_signed_twice_and_read_back() {
    let root = tree::leaf(b"x");
    let signed = signers().sign(5, &root, TIME).unwrap();
    let (checkpoint, time) = keys().open_timed(&signed).unwrap();
    assert_eq!(
        (checkpoint.origin.to_string().as_str(), checkpoint.size, checkpoint.root, time),
        (ORIGIN, 5, root, TIME)
    );
    let note = Note::parse(&signed).unwrap();
    assert_eq!(note.signatures().iter().map(|line| line.bytes.len()).collect::<Vec<_>>(), [64, 2428]);
    let again = LogKeys::from_vkeys(&keys().ed25519().to_string(), &keys().mldsa().to_string()).unwrap();
    assert_eq!(&again, keys());
    assert_eq!(
        format!("{:?}", signers()),
        "Signers(Origin { vault: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], log: 1 }, [redacted])"
            .replace("Origin { vault: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], log: 1 }", ORIGIN)
    );
}

#[test]
fn both_signatures_are_required_once() {
    let signed = String::from_utf8(signers().sign(5, &tree::leaf(b"x"), TIME).unwrap()).unwrap();
    let lines: Vec<_> = signed.lines().collect();
    let refused = |lines: &[&str]| keys().open(format!("{}\n", lines.join("\n")).as_bytes()).unwrap_err();
    let signature = CheckpointError::Note(NoteError::Signature);
    assert_eq!(refused(&[&lines[..4], &lines[5..]].concat()), signature, "without Ed25519");
    assert_eq!(refused(&lines[..5]), signature, "without ML-DSA");
    assert_eq!(refused(&[&lines[..], &lines[4..5]].concat()), signature, "Ed25519 twice");
    assert_eq!(refused(&[&lines[..], &lines[5..]].concat()), signature, "ML-DSA twice");
    let swapped = [&lines[..4], &lines[5..], &lines[4..5]].concat();
    assert!(keys().open(format!("{}\n", swapped.join("\n")).as_bytes()).is_ok(), "order does not matter");
    let unknown = [&lines[..], &["\u{2014} witness.example AAAAAQID"]].concat();
    assert!(keys().open(format!("{}\n", unknown.join("\n")).as_bytes()).is_ok(), "unknown keys are ignored");
}

#[test]
fn keys_of_another_log_or_other_seeds_do_not_open() {
    let signed = signers().sign(5, &tree::leaf(b"x"), TIME).unwrap();
    let open = |origin, ed25519, mldsa| {
        Signers::from_seeds(origin, &[ed25519; 32], &[mldsa; 32]).unwrap().keys().open(&signed).is_ok()
    };
    assert!(open(ORIGIN, 1, 2));
    assert!(!open(ORIGIN, 9, 2));
    assert!(!open(ORIGIN, 1, 9));
    assert!(!open("strongroom/000102030405060708090a0b0c0d0e0f/2", 1, 2));
    let (ed25519, mldsa) = (keys().ed25519().to_string(), keys().mldsa().to_string());
    assert_eq!(LogKeys::from_vkeys(&mldsa, &ed25519), Err(KeyError::Pair));
    assert_eq!(LogKeys::from_vkeys(&ed25519, &ed25519), Err(KeyError::Pair));
    for origin in ["", "example.com/log", "strongroom/00/1", "strongroom/000102030405060708090a0b0c0d0e0f/0"] {
        assert_eq!(Signers::from_seeds(origin, &[1; 32], &[2; 32]).unwrap_err(), KeyError::Origin);
    }
}

#[test]
fn checkpoint_texts_are_strict() {
    let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
    let good = format!("{ORIGIN}\n20852163\n{root}\n");
    assert_eq!(Checkpoint::parse(&good).unwrap().to_string(), good);
    for bad in [
        format!("{ORIGIN}\n020\n{root}\n"),
        format!("{ORIGIN}\n+2\n{root}\n"),
        format!("{ORIGIN}\n-1\n{root}\n"),
        format!("{ORIGIN}\n\n{root}\n"),
        format!("{ORIGIN}\n281474976710657\n{root}\n"),
        format!("{ORIGIN}\n1\n{}\n", &root[..40]),
        format!("{ORIGIN}\n1\n{}\n", root.replace('2', "*")),
        format!("{ORIGIN}\n1\n{root}\nextension\n"),
        format!("{ORIGIN}\n1\n{root}\n\n"),
        format!("{ORIGIN}\n1\n{root}"),
        format!("{ORIGIN} \n1\n{root}\n"),
        format!("example.com/log\n1\n{root}\n"),
        String::new(),
    ] {
        assert!(Checkpoint::parse(&bad).is_err(), "{bad:?}");
    }
    assert_eq!(Origin::new([0; 16], 0), Err(CheckpointError::Origin));
}

#[test]
fn receipts_prove_their_entry_only() {
    let (tiles, head) = log_of(300);
    let receipt = Receipt {
        extra: None,
        index: 77,
        path: proof::inclusion(&mut HashReader::new(&tiles, head.size), 77).unwrap(),
        checkpoint: tiles.0["checkpoint"].clone(),
    };
    let bytes = receipt.to_bytes();
    assert_eq!(Receipt::parse(&bytes).unwrap(), receipt);
    assert_eq!(receipt.verify(&entry(77), keys()).unwrap().size, 300);
    assert!(matches!(receipt.verify(&entry(78), keys()), Err(ReceiptError::Proof(_))));
    let other = Signers::from_seeds(ORIGIN, &[3; 32], &[4; 32]).unwrap();
    assert!(matches!(receipt.verify(&entry(77), other.keys()), Err(ReceiptError::Checkpoint(_))));
    let with = Receipt { extra: Some(b"anything".to_vec()), ..receipt.clone() };
    assert_eq!(Receipt::parse(&with.to_bytes()).unwrap(), with);
    let text = String::from_utf8(bytes).unwrap();
    for (from, to) in [
        ("@v1", "@v2"),
        ("index 77", "index 077"),
        ("index 77", "index  77"),
        ("index 77", "index 281474976710656"),
        ("index 77\n", ""),
        ("index 77\n", "index 77\nAAAA\n"),
        ("index 77\n", "extra !\nindex 77\n"),
        ("index 77\n", "extra AA==\nextra AA==\nindex 77\n"),
    ] {
        assert_eq!(Receipt::parse(text.replace(from, to).as_bytes()), Err(ReceiptError::Malformed), "{to}");
    }
    let long = text
        .replace("index 77\n", &format!("index 77\n{}", "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n".repeat(64)));
    assert_eq!(Receipt::parse(long.as_bytes()), Err(ReceiptError::Malformed));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_flipped_bit_in_a_checkpoint_is_refused(at in 0_usize..10_000, bit in 0_u8..8) {
        let mut signed = signers().sign(5, &tree::leaf(b"x"), TIME).unwrap();
        let at = at % signed.len();
        signed[at] ^= 1 << bit;
        prop_assert!(keys().open(&signed).is_err());
    }

    #[test]
    fn a_flipped_bit_in_a_receipt_is_refused(at in 0_usize..10_000, bit in 0_u8..8) {
        let (tiles, head) = log_of(40);
        let path = proof::inclusion(&mut HashReader::new(&tiles, head.size), 7).unwrap();
        let receipt = Receipt { extra: None, index: 7, path, checkpoint: tiles.0["checkpoint"].clone() };
        let mut bytes = receipt.to_bytes();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        prop_assert!(!Receipt::parse(&bytes).is_ok_and(|receipt| receipt.verify(&entry(7), keys()).is_ok()));
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "\\PC{0,80}\n\n— [a-z]{1,5} [A-Za-z0-9+/]{0,20}={0,2}\n") {
        for bytes in [bytes.as_slice(), text.as_bytes()] {
            if let Ok(note) = Note::parse(bytes) {
                prop_assert_eq!(&note.to_bytes(), bytes);
            }
            prop_assert!(keys().open(bytes).is_err());
            prop_assert!(Receipt::parse(bytes).is_err());
        }
    }
}
