//! A KMS of another make, and another signer.

use super::server::Reply;
use super::*;
use serde_json::{Value, json};
use std::sync::{Mutex, OnceLock};

/// One server for all tests; it ends with this process.
fn moto() -> (&'static Mutex<Peer>, String) {
    static MOTO: OnceLock<(Mutex<Peer>, Value)> = OnceLock::new();
    let (peer, hello) = MOTO.get_or_init(|| {
        let (peer, hello) = Peer::start("moto");
        (Mutex::new(peer), hello)
    });
    (peer, format!("http://127.0.0.1:{}", hello["port"]))
}

fn ask(asked: &Value) -> Value {
    moto().0.lock().unwrap().ask(asked)
}

/// A new key of moto's, which leaves its usage out of descriptions unless it was given.
fn key() -> String {
    key_for("ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT")
}

fn key_for(usage: &str, spec: &str) -> String {
    let made = ask(&json!({"call": "create_key", "KeyUsage": usage, "KeySpec": spec}));
    made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
}

/// Moto changes the state of a key by its id only.
fn id(arn: &str) -> &str {
    arn.split_once('/').unwrap().1
}

fn of(arn: &str) -> Kms {
    kms(arn, &moto().1, patient())
}

#[test]
fn a_data_key_comes_back_in_its_context_only() {
    let kms = of(&key());
    let (key, wrap) = kms.generate_data_key(&context()).unwrap();
    let (other, _) = kms.generate_data_key(&context()).unwrap();
    assert_ne!(*key, *other);
    assert_eq!(*kms.decrypt(&context(), &wrap).unwrap(), *key);
    for pairs in [vec![("vault", "one")], vec![("vault", "one"), ("root", "2")], vec![("a", "b")]] {
        let refused = kms.decrypt(&Context::new(pairs).unwrap(), &wrap);
        assert_eq!(refused.unwrap_err(), Error::CiphertextRefused);
    }
    let mut altered = wrap.clone();
    *altered.last_mut().unwrap() ^= 1;
    assert_eq!(kms.decrypt(&context(), &altered).unwrap_err(), Error::CiphertextRefused);
    assert_eq!(kms.calls(), 7);
}

#[test]
fn odd_characters_of_a_context_come_back() {
    let kms = of(&key());
    let odd = Context::new([("näme \"1\" \\ 😀", "vålue / + = % & <>"), ("\u{2028}", "'")]).unwrap();
    let (key, wrap) = kms.generate_data_key(&odd).unwrap();
    assert_eq!(*kms.decrypt(&odd, &wrap).unwrap(), *key);
    assert_eq!(kms.decrypt(&context(), &wrap).unwrap_err(), Error::CiphertextRefused);
}

#[test]
fn the_wrap_of_another_key_is_refused() {
    let (one, two) = (of(&key()), of(&key()));
    let (_, wrap) = one.generate_data_key(&context()).unwrap();
    // AWS says `IncorrectKeyException`; moto still has the older `AccessDeniedException`.
    let refused = two.decrypt(&context(), &wrap).unwrap_err();
    assert!(matches!(refused, Error::CiphertextRefused | Error::Refused(_)), "{refused}");
}

#[test]
fn a_disabled_key_is_told_and_serves_again() {
    let arn = key();
    let kms = of(&arn);
    let (_, wrap) = kms.generate_data_key(&context()).unwrap();
    ask(&json!({"call": "disable_key", "KeyId": id(&arn)}));
    let health = kms.describe().unwrap();
    assert_eq!((health.state(), health.is_usable()), (KeyState::Disabled, false));
    assert_eq!(health.check().unwrap_err(), Error::KeyDisabled);
    ask(&json!({"call": "enable_key", "KeyId": id(&arn)}));
    assert!(kms.describe().unwrap().is_usable());
    assert!(kms.decrypt(&context(), &wrap).is_ok());
}

#[test]
fn a_key_that_waits_for_deletion_is_told() {
    let arn = key();
    ask(&json!({"call": "schedule_key_deletion", "KeyId": id(&arn), "PendingWindowInDays": 7}));
    let health = of(&arn).describe().unwrap();
    assert_eq!(health.state(), KeyState::PendingDeletion);
    let told = health.check().unwrap_err().to_string();
    assert_eq!(told, "the key cannot be used in its state: PendingDeletion");
}

#[test]
fn a_key_for_signatures_is_told() {
    let arn = key_for("SIGN_VERIFY", "ECC_NIST_P256");
    assert_eq!(of(&arn).describe().unwrap().check().unwrap_err(), Error::KeyUnfit);
}

#[test]
fn an_unknown_key_is_told() {
    let arn = key();
    let (stem, _) = arn.split_once("/").unwrap();
    let kms = of(&format!("{stem}/00000000-0000-4000-8000-000000000000"));
    assert_eq!(kms.describe().unwrap_err(), Error::KeyMissing);
    assert_eq!(kms.generate_data_key(&context()).unwrap_err(), Error::KeyMissing);
    assert_eq!(kms.decrypt(&context(), b"wrap").unwrap_err(), Error::KeyMissing);
    assert_eq!(kms.calls(), 3);
}

#[test]
fn another_signer_signs_each_request_alike() {
    let server = Server::start([Reply::ok(good(KEY))]);
    let contexts = [
        context(),
        Context::new([("näme \"1\" \\ 😀", "vålue / + = % & <>"), ("\u{2028}", "'")]).unwrap(),
        Context::new((0..16).map(|i| (format!("{i:064}"), "v".repeat(256)))).unwrap(),
    ];
    let tokens = [None, Some("IQoJb3JpZ2luX2VjE//////////+wEXAMPLE=="), Some("a,b;c:d\"e%20~")];
    let keys = [KEY.to_owned(), KEY.replace("eu-central-1", "ap-southeast-2")];
    let mut asked = Vec::new();
    for (token, arn, host) in tokens
        .iter()
        .flat_map(|token| keys.iter().flat_map(move |arn| ["127.0.0.1", "localhost"].map(|h| (token, arn, h))))
    {
        let url = format!("http://{host}:{}", server.port());
        let secs = NOW + 86_399 * asked.len() as u64;
        let place = Place::new(arn.parse().unwrap(), Some(url.parse().unwrap())).unwrap();
        let kms = Kms::new(place, credentials(*token), patient(), Arc::new(move || secs)).unwrap();
        let before = server.requests().len();
        let same = |error: Error| assert!(error == Error::WrongKey && arn != KEY, "{error}");
        for context in &contexts {
            kms.generate_data_key(context).map(drop).unwrap_or_else(same);
            kms.decrypt(context, &[0xFB; 300]).map(drop).unwrap_or_else(same);
        }
        kms.describe().map(drop).unwrap_or_else(same);
        for request in server.requests().split_off(before) {
            let header = |name: &str| request.header(name).unwrap().to_owned();
            assert_eq!(request.header("x-amz-security-token"), *token);
            let question = json!({
                "url": format!("{url}/"), "secs": secs, "region": arn.split(':').nth(3), "moment": header("x-amz-date"),
                "headers": {"Content-Type": header("content-type"), "X-Amz-Target": header("x-amz-target")},
                "body": BASE64.encode(&request.body), "access_key": "AKIDEXAMPLE", "secret": SECRET, "token": token,
            });
            asked.push((question, header("authorization")));
        }
    }
    assert_eq!(asked.len(), 3 * 2 * 2 * 7);
    let (questions, ours): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
    let mut peer = Peer::silent("sign");
    let mut input = peer.input.take().unwrap();
    // One line, so that the answer is one.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            input.write_all(Value::from(questions).to_string().as_bytes()).unwrap();
            drop(input);
        });
        let theirs = peer.line();
        assert_eq!(json!(ours), theirs);
    });
}
