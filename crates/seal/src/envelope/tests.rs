use super::*;
use serde_json::Value;

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

#[test]
fn vectors() {
    let file: Value = serde_json::from_str(include_str!("../../../../vectors/envelope.json")).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert!(cases.len() >= 70);
    for case in cases {
        let request = SignedRequest::decode(&bytes(&case["request"])).unwrap();
        let suite = Suite::from_number(case["suite"].as_u64().unwrap() as u16).unwrap();
        let (ml_kem_public, _) = request.public_key().split_at(1_184);
        let key = OneTimeKey::from_secrets(
            suite,
            &bytes(&case["ml_kem_secret"]),
            &bytes(&case["group_secret"]),
            ml_kem_public,
        )
        .unwrap();
        let release_key = VerifyingKey::from_bytes(bytes(&case["release_key"]).try_into().unwrap());
        let opened = open(&bytes(&case["envelope"]), &request, key, &release_key);
        assert_eq!(opened.is_ok(), case["expect"] == "ok", "{}: {opened:?}", case["name"]);
        if let Ok(opened) = opened {
            let found =
                opened.keys.iter().map(|key| (key.version.to_vec(), key.key.role(), key.key.expose_bytes().to_vec()));
            let expected = case["keys"].as_array().unwrap().iter();
            let expected = expected.map(|key| (bytes(&key[0]), key[1].as_u64().unwrap() as u8, bytes(&key[2])));
            assert!(found.eq(expected), "{}", case["name"]);
        }
    }
}
