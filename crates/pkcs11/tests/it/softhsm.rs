//! What a real module answers.

use crate::home::*;
use pkcs11::{MIN_WRAPPED_LEN, Place, Settings, Token, TokenError, Tries};
use std::collections::BTreeSet;
use std::process::Command;
use std::time::Instant;

#[test]
fn a_secret_comes_back_in_its_place_only() {
    alone("softhsm::a_secret_comes_back_in_its_place_only", |home| {
        let (token, place) = home.root();
        let wrapped = token.wrap(CONTEXT, &SECRET).unwrap();
        assert_eq!(wrapped.len(), MIN_WRAPPED_LEN);
        opens(&token, &wrapped);
        for other in [&b""[..], b"strongroom/v1/a placf", &CONTEXT[1..]] {
            assert_eq!(token.unwrap(other, &wrapped).err(), Some(TokenError::Refused));
        }
        for at in 0..wrapped.len() {
            for bit in [1, 0x80] {
                let mut bytes = wrapped.clone();
                bytes[at] ^= bit;
                assert_eq!(token.unwrap(CONTEXT, &bytes).err(), Some(TokenError::Refused), "byte {at}");
            }
        }
        assert_eq!(token.unwrap(CONTEXT, &wrapped[..60]).err(), Some(TokenError::Refused));
        assert_eq!(token.wrap(&[0; 1025], &SECRET), Err(TokenError::Context));
        drop(token);
        let token = open(&place).unwrap();
        opens(&token, &wrapped);
        let (other, _) = Token::create(&place.module, LABEL, None, PIN, Settings::default()).unwrap();
        assert_eq!(other.unwrap(CONTEXT, &wrapped).err(), Some(TokenError::Refused));
    });
}

/// Without a wrap that opened before, a vague answer is a refusal too.
#[test]
fn the_first_unwrap_of_a_session_is_refused_like_any_other() {
    alone("softhsm::the_first_unwrap_of_a_session_is_refused_like_any_other", |home| {
        let (token, place) = home.root();
        let wrapped = token.wrap(CONTEXT, &SECRET).unwrap();
        let token = open(&place).unwrap();
        assert_eq!(token.unwrap(b"elsewhere", &wrapped).err(), Some(TokenError::Refused));
        assert_eq!(token.calls(), 1);
        opens(&token, &wrapped);
    });
}

#[test]
fn a_wrong_pin_is_tried_once_and_told() {
    alone("softhsm::a_wrong_pin_is_tried_once_and_told", |home| {
        home.token(LABEL);
        let place = Place { module: home.shim(), token: LABEL.to_owned(), serial: None, key: [1; 16] };
        // SoftHSM counts none: it never locks and never says that a try is the last.
        for tried in 1..=6 {
            let error = Token::open(&place, b"wrong", Settings::default()).err();
            assert_eq!(error, Some(TokenError::PinWrong(Tries::Few)));
            assert_eq!(home.logins(), tried);
        }
        assert_eq!(Token::open(&place, b"", Settings::default()).err(), Some(TokenError::PinShape));
        assert_eq!(Token::open(&place, &[b'1'; 256], Settings::default()).err(), Some(TokenError::PinShape));
        assert_eq!(Token::open(&place, &[0xff; 8], Settings::default()).err(), Some(TokenError::PinWrong(Tries::Few)));
        assert_eq!(home.logins(), 7);
        assert_eq!(open(&place).err(), Some(TokenError::KeyMissing));
    });
}

/// The standard has the second login of a process succeed without a look at the PIN.
#[test]
fn a_wrong_pin_is_refused_where_the_process_is_logged_in_already() {
    alone("softhsm::a_wrong_pin_is_refused_where_the_process_is_logged_in_already", |home| {
        let (first, place) = home.root();
        let wrapped = first.wrap(CONTEXT, &SECRET).unwrap();
        let wrong = Token::open(&place, b"wrong", Settings::default());
        assert_eq!(wrong.err(), Some(TokenError::PinWrong(Tries::Unknown)));
        let second = open(&place).unwrap();
        opens(&second, &wrapped);
        drop(first);
        opens(&second, &wrapped);
        drop(second);
        assert_eq!(Token::open(&place, b"wrong", Settings::default()).err(), Some(TokenError::PinWrong(Tries::Few)));
        opens(&open(&place).unwrap(), &wrapped);
    });
}

#[test]
fn two_tokens_of_one_module_work_side_by_side() {
    alone("softhsm::two_tokens_of_one_module_work_side_by_side", |home| {
        home.token("other token");
        let (token, place) = home.root();
        let (other, _) = Token::create(&softhsm(), "other token", None, PIN, Settings::default()).unwrap();
        let again = open(&place).unwrap();
        std::thread::scope(|scope| {
            for token in [&token, &other, &again] {
                scope.spawn(move || {
                    for _ in 0..50 {
                        let wrapped = token.wrap(CONTEXT, &SECRET).unwrap();
                        opens(token, &wrapped);
                    }
                });
            }
        });
    });
}

#[test]
fn what_is_missing_is_named() {
    alone("softhsm::what_is_missing_is_named", |home| {
        let (token, place) = home.root();
        drop(token);
        let try_place = |change: fn(&mut Place)| {
            let mut place = place.clone();
            change(&mut place);
            open(&place).unwrap_err()
        };
        assert_eq!(try_place(|place| place.token = "no such".to_owned()), TokenError::Missing("no such".to_owned()));
        assert_eq!(try_place(|place| place.serial = Some("0".to_owned())), TokenError::Missing(LABEL.to_owned()));
        assert_eq!(try_place(|place| place.key = [9; 16]), TokenError::KeyMissing);
        let relative = try_place(|place| place.module = "libsofthsm2.so".into());
        assert!(matches!(relative, TokenError::ModulePath(_)));
        let missing = try_place(|place| place.module = "/nowhere/lib.so".into());
        assert!(matches!(missing, TokenError::ModuleLoad { .. }), "{missing}");
        let libc = try_place(|place| place.module = "/lib/x86_64-linux-gnu/libc.so.6".into());
        assert!(matches!(libc, TokenError::NotAModule(_)), "{libc}");
        let text = home.path("text.so");
        std::fs::write(&text, "not a library").unwrap();
        let text = open(&Place { module: text, ..place.clone() }).unwrap_err();
        assert!(matches!(text, TokenError::ModuleLoad { .. }), "{text}");
        let shared = home.path("shared.so");
        std::fs::copy(softhsm(), &shared).unwrap();
        std::fs::set_permissions(&shared, std::os::unix::fs::PermissionsExt::from_mode(0o775)).unwrap();
        let shared = open(&Place { module: shared, ..place.clone() }).unwrap_err();
        assert!(matches!(shared, TokenError::ModuleTrust(_)), "{shared}");
    });
}

#[test]
fn two_tokens_with_one_label_want_the_serial_number() {
    alone("softhsm::two_tokens_with_one_label_want_the_serial_number", |home| {
        home.token(LABEL);
        home.token(LABEL);
        let place = Place { module: softhsm(), token: LABEL.to_owned(), serial: None, key: [1; 16] };
        assert_eq!(open(&place).err(), Some(TokenError::Ambiguous(LABEL.to_owned())));
        let shown = Command::new("softhsm2-util").arg("--show-slots").output().unwrap();
        let shown = String::from_utf8(shown.stdout).unwrap();
        let serial = shown.lines().find_map(|line| line.trim().strip_prefix("Serial number:")).unwrap().trim();
        let (token, place) = Token::create(&softhsm(), LABEL, Some(serial), PIN, Settings::default()).unwrap();
        assert_eq!(place.serial.as_deref(), Some(serial));
        drop(token);
        open(&place).unwrap();
    });
}

#[test]
fn a_token_without_a_user_pin_is_told() {
    alone("softhsm::a_token_without_a_user_pin_is_told", |_| {
        use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
        let pkcs11 = Pkcs11::new(softhsm()).unwrap();
        pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
        let slot = pkcs11.get_slots_with_token().unwrap()[0];
        pkcs11.init_token(slot, &cryptoki::types::AuthPin::new(SO_PIN.into()), "bare").unwrap();
        let place = Place { module: softhsm(), token: "bare".to_owned(), serial: None, key: [1; 16] };
        assert_eq!(open(&place).err(), Some(TokenError::PinUnset));
    });
}

#[test]
fn a_key_that_is_not_as_it_should_be_is_refused() {
    alone("softhsm::a_key_that_is_not_as_it_should_be_is_refused", |home| {
        use cryptoki::mechanism::Mechanism;
        use cryptoki::object::Attribute as A;
        let (token, place) = home.root();
        // Logged in through `token`: the login holds for the process.
        let pkcs11 = cryptoki::context::Pkcs11::new(softhsm()).unwrap();
        let slot = pkcs11.get_slots_with_initialized_token().unwrap()[0];
        let session = pkcs11.open_rw_session(slot).unwrap();
        let good = |id: u8| {
            vec![
                A::Token(true),
                A::Private(true),
                A::Sensitive(true),
                A::Extractable(false),
                A::Encrypt(true),
                A::Decrypt(true),
                A::Wrap(false),
                A::Unwrap(false),
                A::Id(vec![id; 16]),
                A::ValueLen(32.into()),
            ]
        };
        let cases: [(u8, A, &str); 8] = [
            (1, A::Extractable(true), "it can be extracted"),
            (2, A::Sensitive(false), "it is not sensitive"),
            (3, A::Private(false), "it shows without a login"),
            (4, A::ValueLen(16.into()), "it is not 256 bits long"),
            (5, A::Decrypt(false), "it does not decrypt"),
            (6, A::Encrypt(false), "it does not encrypt"),
            (7, A::Wrap(true), "it may wrap other keys"),
            (8, A::Token(false), "it does not outlive a session"),
        ];
        let at = |id: u8| Place { key: [id; 16], ..place.clone() };
        for (id, bad, why) in cases {
            let mut template = good(id);
            template.retain(|attribute| std::mem::discriminant(attribute) != std::mem::discriminant(&bad));
            template.push(bad);
            session.generate_key(&Mechanism::AesKeyGen, &template).unwrap();
            assert_eq!(open(&at(id)).err(), Some(TokenError::KeyUnfit(why)));
        }
        // Brought in from outside: good attributes now, no good past.
        let mut template = good(9);
        template.retain(|attribute| !matches!(attribute, A::ValueLen(_)));
        template.push(A::Class(cryptoki::object::ObjectClass::SECRET_KEY));
        template.push(A::KeyType(cryptoki::object::KeyType::AES));
        template.push(A::Value(vec![3; 32]));
        session.create_object(&template).unwrap();
        assert_eq!(open(&at(9)).err(), Some(TokenError::KeyUnfit("it could be extracted once")));
        // Another type of key.
        let mut template = good(10);
        template.retain(|attribute| !matches!(attribute, A::ValueLen(_)));
        session.generate_key(&Mechanism::Des3KeyGen, &template).unwrap();
        assert_eq!(open(&at(10)).err(), Some(TokenError::KeyUnfit("it is not an AES key")));
        // A good one, and then its double.
        session.generate_key(&Mechanism::AesKeyGen, &good(11)).unwrap();
        drop(open(&at(11)).unwrap());
        session.generate_key(&Mechanism::AesKeyGen, &good(11)).unwrap();
        assert_eq!(open(&at(11)).err(), Some(TokenError::KeyTwice));
        drop(token);
    });
}

#[test]
fn a_made_key_does_not_leave_the_token() {
    alone("softhsm::a_made_key_does_not_leave_the_token", |home| {
        use cryptoki::object::{Attribute, AttributeType};
        let (token, place) = home.root();
        let pkcs11 = cryptoki::context::Pkcs11::new(softhsm()).unwrap();
        let session = pkcs11.open_rw_session(pkcs11.get_slots_with_initialized_token().unwrap()[0]).unwrap();
        let keys = session.find_objects(&[Attribute::Id(place.key.to_vec())]).unwrap();
        let told = session.get_attributes(keys[0], &[AttributeType::Value, AttributeType::Label]).unwrap();
        let name = format!("strongroom root {}", &hex::encode(place.key)[..8]);
        assert_eq!(told, [Attribute::Label(name.into_bytes())]);
        let loosened = session.update_attributes(keys[0], &[Attribute::Extractable(true)]);
        assert!(loosened.is_err());
        drop(token);
    });
}

#[test]
fn a_destroyed_key_is_gone_for_all() {
    alone("softhsm::a_destroyed_key_is_gone_for_all", |home| {
        let (token, place) = home.root();
        let other = open(&place).unwrap();
        let wrapped = token.wrap(CONTEXT, &SECRET).unwrap();
        opens(&other, &wrapped);
        token.destroy_key().unwrap();
        assert_eq!(token.unwrap(CONTEXT, &wrapped).err(), Some(TokenError::KeyMissing));
        assert_eq!(other.unwrap(CONTEXT, &wrapped).err(), Some(TokenError::KeyMissing));
        assert_eq!(open(&place).err(), Some(TokenError::KeyMissing));
        assert_eq!(token.destroy_key(), Err(TokenError::KeyMissing));
    });
}

#[test]
fn a_token_that_leaves_and_comes_back_is_opened_again() {
    alone("softhsm::a_token_that_leaves_and_comes_back_is_opened_again", |home| {
        let (token, place) = home.root();
        let wrapped = token.wrap(CONTEXT, &SECRET).unwrap();
        let other = open(&place).unwrap();
        let (here, away) = (home.path("tokens"), home.path("away"));
        std::fs::rename(&here, &away).unwrap();
        std::fs::create_dir(&here).unwrap();
        let missing = TokenError::Missing(LABEL.to_owned());
        for _ in 0..3 {
            assert_eq!(token.unwrap(CONTEXT, &wrapped).err(), Some(missing.clone()));
            assert_eq!(token.wrap(CONTEXT, &SECRET).err(), Some(missing.clone()));
        }
        assert_eq!(open(&place).err(), Some(missing.clone()));
        std::fs::remove_dir(&here).unwrap();
        std::fs::rename(&away, &here).unwrap();
        // SoftHSM must start again to see it, which waits until the other one learns that its session is gone.
        assert_eq!(token.unwrap(CONTEXT, &wrapped).err(), Some(missing));
        opens(&other, &wrapped);
        opens(&token, &wrapped);
        opens(&open(&place).unwrap(), &token.wrap(CONTEXT, &SECRET).unwrap());
    });
}

/// SoftHSM reads its folder when it starts.
#[test]
fn a_token_that_came_after_the_module_was_loaded_is_found() {
    alone("softhsm::a_token_that_came_after_the_module_was_loaded_is_found", |home| {
        let none = Token::create(&softhsm(), LABEL, None, PIN, Settings::default());
        assert_eq!(none.err(), Some(TokenError::Missing(LABEL.to_owned())));
        let (token, _) = home.root();
        opens(&token, &token.wrap(CONTEXT, &SECRET).unwrap());
    });
}

#[test]
fn every_wrap_has_its_own_iv_and_is_counted() {
    alone("softhsm::every_wrap_has_its_own_iv_and_is_counted", |home| {
        let (token, place) = home.root();
        let (calls, wraps) = (token.calls(), token.wraps());
        assert_eq!((calls, wraps), (2, 1));
        let since = Instant::now();
        let made: Vec<_> = (0..1000).map(|_| token.wrap(CONTEXT, &SECRET).unwrap()).collect();
        eprintln!("a wrap, opened again: {:?}", since.elapsed() / 1000);
        assert_eq!(made.iter().map(|wrapped| &wrapped[2..14]).collect::<BTreeSet<_>>().len(), 1000);
        assert_eq!((token.calls() - calls, token.wraps() - wraps), (2000, 1000));
        let calls = token.calls();
        opens(&token, &made[0]);
        assert_eq!(token.calls() - calls, 1);
        drop(token);
        let spent = Settings { wrapped_before: pkcs11::MAX_WRAPS, ..Settings::default() };
        let token = Token::open(&place, PIN, spent).unwrap();
        assert_eq!(token.wrap(CONTEXT, &SECRET), Err(TokenError::Spent));
        opens(&token, &made[999]);
    });
}

#[test]
fn time_from_open_to_the_first_unwrap() {
    alone("softhsm::time_from_open_to_the_first_unwrap", |home| {
        // Made by another process, so that nothing is loaded here.
        if std::env::var_os("P11_SECOND").is_none() {
            let (token, place) = home.root();
            std::fs::write(home.path("wrapped"), token.wrap(CONTEXT, &SECRET).unwrap()).unwrap();
            std::fs::write(home.path("key"), place.key).unwrap();
            drop(token);
            for _ in 0..5 {
                let name = "softhsm::time_from_open_to_the_first_unwrap";
                let again = Command::new(std::env::current_exe().unwrap())
                    .args([name, "--exact", "--nocapture"])
                    .env("P11_SECOND", "1")
                    .status();
                assert!(again.unwrap().success());
            }
            return;
        }
        let key = std::fs::read(home.path("key")).unwrap().try_into().unwrap();
        let wrapped = std::fs::read(home.path("wrapped")).unwrap();
        let place = Place { module: softhsm(), token: LABEL.to_owned(), serial: None, key };
        let since = Instant::now();
        let token = open(&place).unwrap();
        let opened = since.elapsed();
        opens(&token, &wrapped);
        let unwrapped = since.elapsed();
        drop(token);
        eprintln!("open {opened:?}, first unwrap at {unwrapped:?}, closed at {:?}", since.elapsed());
    });
}

#[test]
fn no_secret_shows_in_debug() {
    alone("softhsm::no_secret_shows_in_debug", |home| {
        let (token, place) = home.root();
        assert_eq!(format!("{token:?}"), format!("Token({LABEL}, {})", hex::encode(place.key)));
        let wrong = Token::open(&place, b"secret-pin", Settings::default()).unwrap_err();
        assert!(!format!("{wrong} {wrong:?}").contains("secret-pin"));
    });
}
