//! What the service says, and what is made of it.

use super::server::Reply;
use super::*;
use proptest::prelude::*;

fn answered(body: impl Into<String>) -> (Server, Kms) {
    let server = Server::start([Reply::ok(body)]);
    let kms = kms(KEY, &server.url(), patient());
    (server, kms)
}

#[test]
fn good_answers_are_taken_and_unknown_fields_passed_over() {
    let (server, kms) = answered(good(KEY));
    let (key, wrap) = kms.generate_data_key(&context()).unwrap();
    assert_eq!((*key, wrap), ([7; 32], vec![1, 2, 3]));
    assert_eq!(*kms.decrypt(&context(), &[1, 2, 3]).unwrap(), [7; 32]);
    assert!(kms.describe().unwrap().check().is_ok());
    assert_eq!(kms.calls(), 3);
    let asked: Vec<_> = server.requests();
    let target = |i: usize| asked[i].header("x-amz-target").unwrap().to_owned();
    assert_eq!(target(0), "TrentService.GenerateDataKey");
    assert_eq!(target(1), "TrentService.Decrypt");
    assert_eq!(target(2), "TrentService.DescribeKey");
    assert!(asked[0].head.starts_with("POST / HTTP/1.1\r\n"));
    let body = |i: usize| String::from_utf8(asked[i].body.clone()).unwrap();
    let context = r#""EncryptionContext":{"root":"two","vault":"one"}"#;
    assert_eq!(body(0), format!(r#"{{{context},"KeyId":"{KEY}","KeySpec":"AES_256"}}"#));
    let algorithm = r#""EncryptionAlgorithm":"SYMMETRIC_DEFAULT""#;
    assert_eq!(body(1), format!(r#"{{"CiphertextBlob":"AQID",{algorithm},{context},"KeyId":"{KEY}"}}"#));
    assert_eq!(body(2), format!(r#"{{"KeyId":"{KEY}"}}"#));
}

#[test]
fn an_answer_for_another_key_is_refused() {
    let (_server, kms) = answered(good(&KEY.replace("key/1", "key/2")));
    assert_eq!(kms.generate_data_key(&context()).unwrap_err(), Error::WrongKey);
    assert_eq!(kms.decrypt(&context(), b"wrap").unwrap_err(), Error::WrongKey);
    assert_eq!(kms.describe().unwrap_err(), Error::WrongKey);
    assert_eq!(kms.calls(), 3);
}

#[test]
fn malformed_answers_are_refused_and_not_quoted() {
    let good = good(KEY);
    let plain = BASE64.encode([7; 32]);
    let with = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replacen(from, to, 1)
    };
    let bodies = [
        String::new(),
        "null".into(),
        "[]".into(),
        "{}".into(),
        good[..good.len() - 1].into(),
        format!("{good} x"),
        format!("{good}{good}"),
        with("\"KeyId\"", "\"keyId\""),
        with("{\"KeyId\"", &format!("{{\"KeyId\":\"{KEY}\",\"KeyId\"")),
        with(&format!("\"{KEY}\""), "7"),
        with(&format!("\"{plain}\""), "null"),
        with(&plain, ""),
        with(&plain, &BASE64.encode([7; 31])),
        with(&plain, &BASE64.encode([7; 33])),
        with(&plain, &BASE64.encode([7; 64])),
        with(&plain, &plain.replace('=', "")),
        with(&plain, &plain.replace("c=", "d=")),
        with(&plain, &format!("{plain}\\n")),
        with("AQID", ""),
        with("AQID", "AQI"),
        with("AQID", "A Q="),
        with("AQID", &BASE64.encode([0; 6145])),
        "[".repeat(10_000),
    ];
    for body in bodies {
        let (_server, kms) = answered(body.clone());
        let error = kms.generate_data_key(&context()).unwrap_err();
        assert!(matches!(error, Error::Malformed(_)), "{body:.300}: {error}");
        assert!(!format!("{error} {error:?}").contains(&plain[..8]));
        assert_eq!(kms.calls(), 1);
    }
    let (_server, kms) = answered(good.replacen("SYMMETRIC_DEFAULT", "RSAES_OAEP_SHA_256", 1));
    assert!(matches!(kms.decrypt(&context(), b"wrap").unwrap_err(), Error::Malformed(_)));
    let longest = good.replacen("AQID", &BASE64.encode([0; 6144]), 1);
    assert_eq!(answered(longest).1.generate_data_key(&context()).unwrap().1.len(), Kms::MAX_WRAP_LEN);
}

#[test]
fn a_key_is_read_through_escapes() {
    let plain = BASE64.encode([0xFF; 32]);
    let body = good(KEY).replacen(&BASE64.encode([7; 32]), &plain.replace('/', "\\/"), 1);
    assert_eq!(*answered(body).1.decrypt(&context(), b"wrap").unwrap(), [0xFF; 32]);
}

#[test]
fn an_answer_without_end_is_cut_off() {
    for reply in [Reply::Flood, Reply::ok(" ".repeat(65 * 1024))] {
        let server = Server::start([reply]);
        let kms = kms(KEY, &server.url(), patient());
        assert_eq!(kms.describe().unwrap_err(), Error::Malformed("it is longer than 64 KiB"));
        assert_eq!(kms.calls(), 1);
    }
}

#[test]
fn a_wrap_out_of_bounds_is_not_sent() {
    let (_server, kms) = answered(good(KEY));
    assert_eq!(kms.decrypt(&context(), b"").unwrap_err(), Error::CiphertextRefused);
    assert_eq!(kms.decrypt(&context(), &[0; 6145]).unwrap_err(), Error::CiphertextRefused);
    assert_eq!(kms.calls(), 0);
}

#[test]
fn each_refusal_is_named_and_final() {
    type Is = fn(&Error) -> bool;
    let cases: [(u16, &str, Is); 19] = [
        (400, "NotFoundException", |e| *e == Error::KeyMissing),
        (400, "com.amazonaws.kms#NotFoundException", |e| *e == Error::KeyMissing),
        (400, "NotFoundException:http://internal.amazon.com/coral/", |e| *e == Error::KeyMissing),
        (400, "DisabledException", |e| *e == Error::KeyDisabled),
        (400, "KMSInvalidStateException", |e| matches!(e, Error::KeyShut(_))),
        (500, "KMSInvalidStateException", |e| matches!(e, Error::KeyShut(_))),
        (400, "InvalidKeyUsageException", |e| *e == Error::KeyUnfit),
        (400, "InvalidCiphertextException", |e| *e == Error::CiphertextRefused),
        (400, "IncorrectKeyException", |e| *e == Error::CiphertextRefused),
        (400, "AccessDeniedException", |e| matches!(e, Error::Refused(_))),
        (400, "UnrecognizedClientException", |e| matches!(e, Error::Refused(_))),
        (400, "InvalidSignatureException", |e| matches!(e, Error::Refused(_))),
        (400, "ExpiredTokenException", |e| matches!(e, Error::Refused(_))),
        (403, "Other", |e| matches!(e, Error::Refused(_))),
        (400, "ValidationException", |e| matches!(e, Error::Declined(_))),
        (404, "", |e| matches!(e, Error::Declined(_))),
        (204, "", |e| matches!(e, Error::Declined(_))),
        (302, "", |e| matches!(e, Error::Declined(_))),
        (400, "NotFoundExceptions", |e| matches!(e, Error::Declined(_))),
    ];
    for (status, code, is) in cases {
        let server = Server::start([Reply::error(status, code)]);
        let kms = kms(KEY, &server.url(), patient());
        let error = kms.decrypt(&context(), b"wrap").unwrap_err();
        assert!(is(&error), "{status} {code}: {error:?}");
        assert_eq!(kms.calls(), 1, "{status} {code}");
    }
}

#[test]
fn an_error_is_read_from_its_header_as_well() {
    let reply = Reply::Whole(400, "x-amzn-ErrorType: DisabledException:\r\n".into(), "<html>".into());
    let server = Server::start([reply]);
    assert_eq!(kms(KEY, &server.url(), patient()).describe().unwrap_err(), Error::KeyDisabled);
}

#[test]
fn what_the_service_says_is_shown_short_printable_and_without_secrets() {
    let token = "the/session+token==";
    let message = format!("no\\u0007 \\u00e9 {SECRET} {token} {}\\nsecond line", "x".repeat(5000));
    let body = format!(r#"{{"__type":"AccessDeniedException","Message":"{message}"}}"#);
    let server = Server::start([Reply::Whole(400, String::new(), body)]);
    let place = Place::new(KEY.parse().unwrap(), Some(server.url().parse().unwrap())).unwrap();
    let kms = Kms::new(place, credentials(Some(token)), patient(), Arc::new(|| NOW)).unwrap();
    let Error::Refused(said) = kms.describe().unwrap_err() else { panic!("not refused") };
    let said = said.to_string();
    assert!(said.starts_with("AccessDeniedException: no? ? [hidden] [hidden] xxx"), "{said}");
    assert_eq!(said.len(), 200);
    assert!(!said.contains(token) && !said.contains(SECRET));
}

#[test]
fn health_tells_state_and_kind() {
    let states = [
        ("Enabled", KeyState::Enabled, true),
        ("Updating", KeyState::Updating, true),
        ("Disabled", KeyState::Disabled, false),
        ("PendingDeletion", KeyState::PendingDeletion, false),
        ("PendingReplicaDeletion", KeyState::PendingReplicaDeletion, false),
        ("PendingImport", KeyState::PendingImport, false),
        ("Unavailable", KeyState::Unavailable, false),
        ("Creating", KeyState::Creating, false),
        ("SomethingNew", KeyState::Unknown, false),
    ];
    for (name, state, usable) in states {
        let (_server, kms) = answered(good(KEY).replacen("Enabled", name, 1));
        let health = kms.describe().unwrap();
        assert_eq!((health.state(), health.is_usable(), health.check().is_ok()), (state, usable, usable));
    }
    for (from, to) in [("ENCRYPT_DECRYPT", "SIGN_VERIFY"), ("KeySpec\":\"SYMMETRIC_DEFAULT", "KeySpec\":\"RSA_2048")] {
        let (_server, kms) = answered(good(KEY).replacen(from, to, 1));
        let health = kms.describe().unwrap();
        assert!(!health.is_usable());
        assert_eq!(health.check().unwrap_err(), Error::KeyUnfit);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(body: Vec<u8>, status: u16, code in ".{0,40}") {
        let _ = answer::parse::<answer::DataKey>(&body);
        let _ = answer::parse::<answer::Opened>(&body);
        let _ = answer::parse::<health::Described>(&body);
        let told = transport::Answer { status, code: Some(code), body: Zeroizing::new(body) };
        prop_assert!(answer::refusal(&told, &credentials(None)).to_string().len() < 300);
    }

    #[test]
    fn any_text_is_parsed_without_panic(text in "\\PC{0,80}", file: Vec<u8>) {
        let _ = text.parse::<KeyArn>();
        let _ = text.parse::<Endpoint>();
        let _ = format!("http://{text}").parse::<Endpoint>();
        let _ = credentials::parse_profile(&file, &text);
    }
}
