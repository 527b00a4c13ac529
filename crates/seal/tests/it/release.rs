//! Release requests and envelopes.

use proptest::prelude::*;
use seal::Suite;
use seal::envelope::{self, Key, Release, ReleasedKey};
use seal::hpke::OneTimeKey;
use seal::request::{Ask, Error, SignedRequest};
use seal::secret::{ListKey, MapKey, SigningSeed};
use seal::sign::{SigningKey, VerifyingKey};

use crate::case::cases;
use crate::suites;

fn signer(seed: u8) -> SigningKey {
    SigningKey::from_seed(&SigningSeed::from_bytes(Box::new([seed; 32]))).unwrap()
}

fn ask(versions: &[[u8; 16]]) -> Ask<'_> {
    Ask {
        vault: &[1; 16],
        principal: &[2; 16],
        session: &[3; 16],
        action: 1,
        versions,
        command: &[0; 32],
        time_ms: 1_795_000_000_000,
    }
}

fn request(key: &OneTimeKey) -> SignedRequest {
    SignedRequest::sign(&ask(&[[4; 16], [5; 16]]), key, &signer(1)).unwrap()
}

fn release() -> Release {
    Release { id: [6; 16], versions: vec![([4; 16], Some([7; 32])), ([5; 16], None)], expiry_ms: 9 }
}

fn keys() -> Vec<ReleasedKey> {
    vec![
        ReleasedKey { version: [4; 16], key: Key::List(ListKey::from_bytes(Box::new([8; 32]))) },
        ReleasedKey { version: [4; 16], key: Key::Map(MapKey::from_bytes(Box::new([9; 32]))) },
        ReleasedKey { version: [5; 16], key: Key::Map(MapKey::from_bytes(Box::new([10; 32]))) },
    ]
}

#[test]
fn request_vectors() {
    for case in cases(include_str!("../../../../vectors/request.json"), 50) {
        let key = VerifyingKey::from_bytes(case.array("session_key"));
        let bytes = case.bytes("request");
        let decoded = SignedRequest::decode(&bytes);
        let verified = decoded.as_ref().is_ok_and(|request| request.verify(&key).is_ok());
        assert_eq!(verified, case.ok(), "{}: {decoded:?}", case.name());
        if verified {
            let request = decoded.unwrap();
            assert_eq!(request.encode(), bytes);
            assert_eq!(request.unverified().suite.number(), case.suite());
            assert_eq!(request.hash(), case.array::<32>("hash"));
        }
    }
}

#[test]
fn a_request_comes_back_and_verifies() {
    for suite in Suite::ALL {
        let key = OneTimeKey::generate(suite).unwrap();
        let signed = request(&key);
        let decoded = SignedRequest::decode(&signed.encode()).unwrap();
        assert_eq!(decoded, signed);
        let body = decoded.verify(&signer(1).verifying_key()).unwrap();
        assert_eq!((body.vault, body.action, body.versions.len()), ([1; 16], 1, 2));
        assert_eq!(decoded.verify(&signer(2).verifying_key()), Err(Error::Signature));
        assert_ne!(signed.hash(), request(&key).hash(), "the nonce is fresh");
    }
}

#[test]
fn requests_name_1_to_64_versions_once() {
    for suite in Suite::ALL {
        let key = OneTimeKey::generate(suite).unwrap();
        let many: Vec<[u8; 16]> = (0..65).map(|n| [n; 16]).collect();
        let sign = |versions| SignedRequest::sign(&ask(versions), &key, &signer(1));
        assert!(sign(&many[..0]).is_err());
        assert!(sign(&many).is_err());
        assert!(sign(&[[1; 16], [1; 16]]).is_err());
        let largest = sign(&many[..64]).unwrap().encode();
        assert!(SignedRequest::decode(&largest).is_ok());
    }
}

#[test]
fn an_envelope_opens_with_the_key_of_its_request() {
    for suite in Suite::ALL {
        let key = OneTimeKey::generate(suite).unwrap();
        let request = request(&key);
        let sealed = envelope::seal(&request, &release(), &keys(), &signer(2)).unwrap();
        let opened = envelope::open(&sealed, &request, key, &signer(2).verifying_key()).unwrap();
        assert_eq!(opened.release, release());
        assert_eq!(format!("{:?}", opened.keys[0].key), "List(ListKey(..))");
        let found: Vec<_> = opened.keys.iter().map(|key| (key.version[0], key.key.role())).collect();
        assert_eq!(found, [(4, 1), (4, 2), (5, 2)]);
        assert!(matches!(&opened.keys[2].key, Key::Map(key) if key.expose_bytes() == &[10; 32]));
    }
}

#[test]
fn foreign_and_replayed_envelopes_are_refused() {
    for suite in Suite::ALL {
        let (key, other) = (OneTimeKey::generate(suite).unwrap(), OneTimeKey::generate(suite).unwrap());
        let (first, second) = (request(&key), request(&key));
        let release_key = signer(2).verifying_key();
        let sealed = envelope::seal(&first, &release(), &keys(), &signer(2)).unwrap();
        // The same one-time key in a second request: the answer to the first does not fit.
        assert_eq!(envelope::open(&sealed, &second, key, &release_key).err(), Some(envelope::Error::Authentication));
        assert_eq!(envelope::open(&sealed, &first, other, &release_key).err(), Some(envelope::Error::Authentication));
        let foreign = envelope::open(&sealed, &first, OneTimeKey::generate(suite).unwrap(), &signer(3).verifying_key());
        assert_eq!(foreign.err(), Some(envelope::Error::Authentication));
    }
}

#[test]
fn a_release_that_does_not_match_the_request_is_not_sealed() {
    for suite in Suite::ALL {
        let key = OneTimeKey::generate(suite).unwrap();
        let request = request(&key);
        let seal = |release: &Release, keys: &[ReleasedKey]| envelope::seal(&request, release, keys, &signer(2)).err();
        let mut stranger = release();
        stranger.versions.push(([11; 16], None));
        assert_eq!(seal(&stranger, &keys()), Some(envelope::Error::Mismatch));
        let mut fewer = release();
        fewer.versions.pop();
        assert_eq!(seal(&fewer, &keys()), Some(envelope::Error::Mismatch));
        assert_eq!(seal(&release(), &[]), Some(envelope::Error::Mismatch));
        let twice: Vec<_> = keys().into_iter().chain(keys()).collect();
        assert_eq!(seal(&release(), &twice), Some(envelope::Error::Mismatch));
    }
}

/// Signed by the keeper's own key, and still: what was asked for under one suite is not answered under the other.
#[test]
fn an_envelope_of_another_suite_than_the_request_is_refused() {
    for (suite, other) in [(Suite::Default, Suite::Nist), (Suite::Nist, Suite::Default)] {
        let (key, foreign) = (OneTimeKey::generate(suite).unwrap(), OneTimeKey::generate(other).unwrap());
        let (asked, elsewhere) = (request(&key), request(&foreign));
        assert_eq!((asked.unverified().suite, elsewhere.unverified().suite), (suite, other));
        let sealed = envelope::seal(&elsewhere, &release(), &keys(), &signer(2)).unwrap();
        let opened = envelope::open(&sealed, &asked, key, &signer(2).verifying_key());
        assert_eq!(opened.err(), Some(envelope::Error::Authentication));
        // Its own request, and a one-time key of the other suite.
        let opened =
            envelope::open(&sealed, &elsewhere, OneTimeKey::generate(suite).unwrap(), &signer(2).verifying_key());
        assert_eq!(opened.err(), Some(envelope::Error::Authentication));
    }
}

#[test]
fn the_largest_batch_fits() {
    for suite in Suite::ALL {
        let key = OneTimeKey::generate(suite).unwrap();
        let versions: Vec<[u8; 16]> = (0..64).map(|n| [n; 16]).collect();
        let request = SignedRequest::sign(&ask(&versions), &key, &signer(1)).unwrap();
        let release = Release {
            id: [6; 16],
            versions: versions.iter().map(|version| (*version, Some([1; 32]))).collect(),
            expiry_ms: u64::MAX,
        };
        let list = |version: &[u8; 16]| ReleasedKey { version: *version, key: Key::List(ListKey::generate().unwrap()) };
        let map = |version: &[u8; 16]| ReleasedKey { version: *version, key: Key::Map(MapKey::generate().unwrap()) };
        let keys: Vec<_> = versions.iter().flat_map(|version| [list(version), map(version)]).collect();
        let sealed = envelope::seal(&request, &release, &keys, &signer(2)).unwrap();
        let opened = envelope::open(&sealed, &request, key, &signer(2).verifying_key()).unwrap();
        assert_eq!(opened.keys.len(), 128);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_changed_envelope_does_not_open(suite in suites(), at: prop::sample::Index, bit in 0u8..8) {
        let key = OneTimeKey::generate(suite).unwrap();
        let request = request(&key);
        let mut sealed = envelope::seal(&request, &release(), &keys(), &signer(2)).unwrap();
        let at = at.index(sealed.len());
        sealed[at] ^= 1 << bit;
        prop_assert!(envelope::open(&sealed, &request, key, &signer(2).verifying_key()).is_err());
    }

    #[test]
    fn a_changed_request_does_not_verify(suite in suites(), at: prop::sample::Index, bit in 0u8..8) {
        let mut bytes = request(&OneTimeKey::generate(suite).unwrap()).encode();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let verified = SignedRequest::decode(&bytes).is_ok_and(|r| r.verify(&signer(1).verifying_key()).is_ok());
        prop_assert!(!verified);
    }

    #[test]
    fn any_bytes_are_no_envelope(suite in suites(), bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        let key = OneTimeKey::generate(suite).unwrap();
        let request = request(&key);
        prop_assert!(envelope::open(&bytes, &request, key, &signer(2).verifying_key()).is_err());
        prop_assert!(SignedRequest::decode(&bytes).is_err());
    }
}
