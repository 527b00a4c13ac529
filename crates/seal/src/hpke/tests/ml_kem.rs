//! ML-KEM-768 by itself, through the calls that `OneTimeKey` and `encapsulate` make: what an independent implementation of
//! FIPS 203 gives, implicit rejection included.
//!
//! The library draws the randomness of an encapsulation itself, so that half is checked by decapsulating.

use super::*;

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
    let mut public = *OneTimeKey::generate().unwrap().public();
    public[..2].copy_from_slice(&[0x01, 0x0d]);
    assert_eq!(encapsulate(&public).err(), Some(Failed), "the coefficient 3329");
}
