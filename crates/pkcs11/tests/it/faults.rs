//! What a module may do that SoftHSM does not.

use crate::home::*;
use pkcs11::{LastTry, MAX_WRAPPED_LEN, MIN_WRAPPED_LEN, Place, Settings, Token, TokenError, Tries};
use std::time::{Duration, Instant};

/// Places in the list of functions.
const LOGIN: u8 = 18;
const ENCRYPT_INIT: u8 = 29;
const ENCRYPT: u8 = 30;
const DECRYPT_INIT: u8 = 33;
const DECRYPT: u8 = 34;

fn root(home: &Home) -> (Token, Place) {
    home.token(LABEL);
    Token::create(&home.shim(), LABEL, None, PIN, Settings::default()).unwrap()
}

#[test]
fn a_pin_that_may_lock_is_not_tried_by_itself() {
    alone("faults::a_pin_that_may_lock_is_not_tried_by_itself", |home| {
        let (token, place) = root(home);
        drop(token);
        let before = home.logins();
        home.fault("flags 40000");
        assert_eq!(open(&place).err(), Some(TokenError::PinLocked));
        home.fault("flags 20000");
        assert_eq!(open(&place).err(), Some(TokenError::PinLastTry));
        assert_eq!(home.logins(), before);
        let take = Settings { last_try: LastTry::Take, ..Settings::default() };
        assert_eq!(Token::open(&place, b"wrong", take).err(), Some(TokenError::PinWrong(Tries::Last)));
        assert!(Token::open(&place, PIN, take).is_ok());
        for (code, error) in [
            (0xa4, TokenError::PinLocked),
            (0xa3, TokenError::PinExpired),
            (0xa0, TokenError::PinWrong(Tries::Few)),
            (0xa2, TokenError::PinWrong(Tries::Few)),
            (0x102, TokenError::PinUnset),
        ] {
            let _ = Token::open(&place, b"wrong", take);
            home.fault(&format!("once {LOGIN} {code:x}"));
            assert_eq!(open(&place).err(), Some(error));
        }
    });
}

/// The PIN was changed while the token was away: one try, then never again.
#[test]
fn a_pin_that_went_bad_is_tried_once_more_and_forgotten() {
    alone("faults::a_pin_that_went_bad_is_tried_once_more_and_forgotten", |home| {
        let (token, place) = root(home);
        let wrapped = token.wrap(CONTEXT, &SECRET).unwrap();
        let before = home.logins();
        home.fault(&format!("once {DECRYPT_INIT} 32\nalways {LOGIN} a0"));
        for _ in 0..3 {
            assert_eq!(token.unwrap(CONTEXT, &wrapped).err(), Some(TokenError::PinWrong(Tries::Unknown)));
            assert_eq!(home.logins(), before + 1);
        }
        home.fault("");
        assert_eq!(token.wrap(CONTEXT, &SECRET).err(), Some(TokenError::PinWrong(Tries::Unknown)));
        assert_eq!(home.logins(), before + 1);
        opens(&open(&place).unwrap(), &wrapped);
    });
}

#[test]
fn a_lost_session_is_made_again_once_and_a_refusal_is_not_repeated() {
    alone("faults::a_lost_session_is_made_again_once_and_a_refusal_is_not_repeated", |home| {
        let (token, _) = root(home);
        let wrapped = token.wrap(CONTEXT, &SECRET).unwrap();
        // DEVICE_REMOVED, DEVICE_ERROR, TOKEN_NOT_PRESENT, SESSION_HANDLE_INVALID, SESSION_CLOSED, USER_NOT_LOGGED_IN,
        // KEY_HANDLE_INVALID, OBJECT_HANDLE_INVALID, OPERATION_ACTIVE.
        for code in [0x32, 0x30, 0xe0, 0xb3, 0xb0, 0x101, 0x60, 0x82, 0x90] {
            for call in [DECRYPT_INIT, DECRYPT] {
                home.fault(&format!("once {call} {code:x}"));
                let (calls, logins) = (token.calls(), home.logins());
                opens(&token, &wrapped);
                assert_eq!((token.calls() - calls, home.logins() - logins), (2, 1), "{code:x}");
            }
            for call in [ENCRYPT_INIT, ENCRYPT] {
                home.fault(&format!("once {call} {code:x}"));
                opens(&token, &token.wrap(CONTEXT, &SECRET).unwrap());
            }
            home.fault(&format!("always {DECRYPT_INIT} {code:x}"));
            let (calls, logins) = (token.calls(), home.logins());
            let error = token.unwrap(CONTEXT, &wrapped).unwrap_err();
            assert!(matches!(&error, TokenError::Removed(why) if why.ends_with("from C_DecryptInit")), "{error}");
            assert_eq!((token.calls() - calls, home.logins() - logins), (2, 1));
            home.fault("");
            opens(&token, &wrapped);
        }
        // ENCRYPTED_DATA_INVALID, _LEN_RANGE, AEAD_DECRYPT_FAILED; GENERAL_ERROR, FUNCTION_FAILED: a wrap that is known to open
        // is asked about these.
        for (code, asked) in [(0x40, 1), (0x41, 1), (0x35, 1), (0x5, 2), (0x6, 2)] {
            home.fault(&format!("once {DECRYPT} {code:x}"));
            let (calls, logins) = (token.calls(), home.logins());
            assert_eq!(token.unwrap(CONTEXT, &wrapped).err(), Some(TokenError::Refused));
            assert_eq!((token.calls() - calls, home.logins() - logins), (asked, 0), "{code:x}");
        }
        home.fault(&format!("always {DECRYPT} 5"));
        let ill = TokenError::Answer { call: "C_Decrypt".to_owned(), code: "CKR_GENERAL_ERROR".to_owned() };
        assert_eq!(token.unwrap(CONTEXT, &wrapped).err(), Some(ill));
        home.fault(&format!("once {ENCRYPT} 5"));
        let ill = TokenError::Answer { call: "C_Encrypt".to_owned(), code: "CKR_GENERAL_ERROR".to_owned() };
        assert_eq!(token.wrap(CONTEXT, &SECRET).err(), Some(ill));
        home.fault(&format!("once {ENCRYPT} 80000123"));
        let odd = token.wrap(CONTEXT, &SECRET).unwrap_err();
        assert_eq!(odd.to_string(), "the token answers C_Encrypt with CKR_VENDOR_DEFINED 0x80000123");
    });
}

#[test]
fn a_token_may_choose_its_own_iv() {
    alone("faults::a_token_may_choose_its_own_iv", |home| {
        let (first, place) = root(home);
        let wrapped = first.wrap(CONTEXT, &SECRET).unwrap();
        for (way, len) in [("blank", 0), ("before", 0), ("behind", 4), ("nothing", 4)] {
            home.fault(&format!("iv {way}"));
            let token = open(&place).unwrap();
            let made: Vec<_> = (0..20).map(|_| token.wrap(CONTEXT, &SECRET).unwrap()).collect();
            for bytes in &made {
                assert_eq!(bytes.len(), MIN_WRAPPED_LEN + len, "{way}");
                opens(&token, bytes);
                // The bytes tell nothing of how the IV was chosen.
                opens(&first, bytes);
            }
            opens(&token, &wrapped);
        }
        assert_eq!(MIN_WRAPPED_LEN + 4, MAX_WRAPPED_LEN);
    });
}

#[test]
fn a_token_that_reuses_or_hides_its_iv_wraps_nothing() {
    alone("faults::a_token_that_reuses_or_hides_its_iv_wraps_nothing", |home| {
        let (token, place) = root(home);
        home.fault("iv zero");
        assert_eq!(open(&place).unwrap().wrap(CONTEXT, &SECRET), Err(TokenError::Iv));
        home.fault("iv same");
        let other = open(&place).unwrap();
        assert!(other.wrap(CONTEXT, &SECRET).is_ok());
        assert_eq!(other.wrap(CONTEXT, &SECRET), Err(TokenError::Iv));
        home.fault("iv lie");
        assert_eq!(token.wrap(CONTEXT, &SECRET), Err(TokenError::NotKept));
        // A key that cannot be used is not left behind.
        let folder = std::fs::read_dir(home.path("tokens")).unwrap().next().unwrap().unwrap().path();
        let keys = || std::fs::read_dir(&folder).unwrap().count();
        let before = keys();
        let failed = Token::create(&place.module, LABEL, None, PIN, Settings::default());
        assert_eq!(failed.err(), Some(TokenError::NotKept));
        assert_eq!(keys(), before);
    });
}

#[test]
fn a_module_that_hangs_hangs_nobody() {
    alone("faults::a_module_that_hangs_hangs_nobody", |home| {
        let (token, place) = root(home);
        drop(token);
        let short = Duration::from_millis(100);
        let settings = Settings { answer_within: short, open_within: Duration::from_secs(5), ..Settings::default() };
        let token = Token::open(&place, PIN, settings).unwrap();
        let wrapped = token.wrap(CONTEXT, &SECRET).unwrap();
        home.fault("hang");
        let since = Instant::now();
        assert_eq!(token.unwrap(CONTEXT, &wrapped).err(), Some(TokenError::NoAnswer(short)));
        let (first, calls) = (since.elapsed(), token.calls());
        assert_eq!(token.unwrap(CONTEXT, &wrapped).err(), Some(TokenError::Unhealthy));
        assert_eq!(token.wrap(CONTEXT, &SECRET).err(), Some(TokenError::Unhealthy));
        assert!(since.elapsed() - first < short, "asked again");
        assert!(!token.answers());
        assert_eq!(token.calls(), calls);
        home.fault("");
        let since = Instant::now();
        while !token.answers() && since.elapsed() < Duration::from_secs(20) {
            std::thread::yield_now();
        }
        opens(&token, &wrapped);
        // Nor does one that hangs hold up the end of the token, or an open.
        home.fault("hang");
        assert_eq!(token.unwrap(CONTEXT, &wrapped).err(), Some(TokenError::NoAnswer(short)));
        drop(token);
        assert!(!pkcs11::rest(short));
        home.fault("hang-slots");
        let settings = Settings { open_within: short, ..settings };
        assert_eq!(Token::open(&place, PIN, settings).err(), Some(TokenError::NoAnswer(short)));
        home.fault("");
        opens(&open(&place).unwrap(), &wrapped);
    });
}

#[test]
fn a_lost_session_during_find_is_told() {
    alone("faults::a_lost_session_during_find_is_told", |home| {
        let (token, place) = root(home);
        drop(token);
        for call in [4, 12, 24, 26] {
            home.fault(&format!("once {call} 30"));
            let error = open(&place).unwrap_err();
            assert!(matches!(error, TokenError::Removed(_)), "{error}");
        }
        open(&place).unwrap();
    });
}

/// Whoever asked for the key has left, so nobody would ever name it.
#[test]
fn a_key_that_is_made_too_late_is_destroyed() {
    alone("faults::a_key_that_is_made_too_late_is_destroyed", |home| {
        let (token, place) = root(home);
        drop(token);
        let folder = std::fs::read_dir(home.path("tokens")).unwrap().next().unwrap().unwrap().path();
        let keys = || std::fs::read_dir(&folder).unwrap().count();
        let before = keys();
        home.fault("hang");
        let short = Duration::from_millis(300);
        let settings = Settings { open_within: short, ..Settings::default() };
        let late = Token::create(&place.module, LABEL, None, PIN, settings);
        assert_eq!(late.err(), Some(TokenError::NoAnswer(short)));
        assert!(keys() > before);
        home.fault("");
        let since = Instant::now();
        while keys() > before && since.elapsed() < Duration::from_secs(20) {
            std::thread::yield_now();
        }
        assert_eq!(keys(), before);
    });
}

#[test]
fn threads_that_hang_do_not_pile_up() {
    alone("faults::threads_that_hang_do_not_pile_up", |home| {
        let (token, place) = root(home);
        let wrapped = token.wrap(CONTEXT, &SECRET).unwrap();
        drop(token);
        home.fault("hang-slots");
        let short = Duration::from_millis(5);
        let settings = Settings { open_within: short, ..Settings::default() };
        for _ in 0..8 {
            assert_eq!(Token::open(&place, PIN, settings).err(), Some(TokenError::NoAnswer(short)));
        }
        assert_eq!(Token::open(&place, PIN, settings).err(), Some(TokenError::Unhealthy));
        home.fault("");
        assert!(pkcs11::rest(Duration::from_secs(20)));
        opens(&open(&place).unwrap(), &wrapped);
    });
}
