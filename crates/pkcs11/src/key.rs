//! The key in a token: how it is made, and what is refused.

use super::answer;
use super::error::{Result, TokenError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use cryptoki::types::Ulong;

const KEY_LEN: std::ffi::c_ulong = 32;

/// Makes a key that stays in the token and only encrypts and decrypts.
pub(super) fn make(session: &Session, id: &[u8; 16]) -> Result<()> {
    let name = hex::encode(id.first_chunk::<4>().unwrap_or(&[0; 4]));
    let template = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::ValueLen(Ulong::new(KEY_LEN)),
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Encrypt(true),
        Attribute::Decrypt(true),
        Attribute::Sign(false),
        Attribute::Verify(false),
        Attribute::Wrap(false),
        Attribute::Unwrap(false),
        Attribute::Derive(false),
        Attribute::Id(id.to_vec()),
        Attribute::Label(format!("strongroom root {name}").into_bytes()),
    ];
    session.generate_key(&Mechanism::AesKeyGen, &template).map(drop).map_err(answer::plain)
}

/// The one key with that id, checked.
pub(super) fn find(session: &Session, id: &[u8; 16]) -> Result<ObjectHandle> {
    let key = only(session, id)?;
    // What a token does not tell is not in the answer.
    let told = session.get_attributes(key, &ASKED).map_err(answer::plain)?;
    let has = |wanted: &Attribute| told.contains(wanted);
    let must = |wanted: Attribute, why| if has(&wanted) { Ok(()) } else { Err(TokenError::KeyUnfit(why)) };
    must(Attribute::KeyType(KeyType::AES), "it is not an AES key")?;
    must(Attribute::ValueLen(Ulong::new(KEY_LEN)), "it is not 256 bits long")?;
    must(Attribute::Extractable(false), "it can be extracted")?;
    must(Attribute::Sensitive(true), "it is not sensitive")?;
    must(Attribute::Private(true), "it shows without a login")?;
    must(Attribute::Token(true), "it does not outlive a session")?;
    must(Attribute::Encrypt(true), "it does not encrypt")?;
    must(Attribute::Decrypt(true), "it does not decrypt")?;
    // Not every token keeps these two; one that says no says that the key was outside.
    let not = |bad: Attribute, why| if has(&bad) { Err(TokenError::KeyUnfit(why)) } else { Ok(()) };
    not(Attribute::NeverExtractable(false), "it could be extracted once")?;
    not(Attribute::AlwaysSensitive(false), "it was not always sensitive")?;
    not(Attribute::Wrap(true), "it may wrap other keys")?;
    not(Attribute::Unwrap(true), "it may unwrap other keys")?;
    not(Attribute::Derive(true), "other keys may be derived from it")?;
    Ok(key)
}

/// The one object with that id, whatever it is.
pub(super) fn only(session: &Session, id: &[u8; 16]) -> Result<ObjectHandle> {
    let sought = [Attribute::Class(ObjectClass::SECRET_KEY), Attribute::Id(id.to_vec())];
    match session.find_objects(&sought).map_err(answer::plain)?.as_slice() {
        [] => Err(TokenError::KeyMissing),
        [key] => Ok(*key),
        _ => Err(TokenError::KeyTwice),
    }
}

const ASKED: [AttributeType; 13] = [
    AttributeType::KeyType,
    AttributeType::ValueLen,
    AttributeType::Extractable,
    AttributeType::Sensitive,
    AttributeType::Private,
    AttributeType::Token,
    AttributeType::Encrypt,
    AttributeType::Decrypt,
    AttributeType::NeverExtractable,
    AttributeType::AlwaysSensitive,
    AttributeType::Wrap,
    AttributeType::Unwrap,
    AttributeType::Derive,
];
