//! From return codes to errors.

use super::error::{TokenError, Tries};
use cryptoki::context::Function;
use cryptoki::error::{Error, RvError};

/// `CKR_AEAD_DECRYPT_FAILED` of PKCS#11 3.0, which the binding does not name.
const AEAD_DECRYPT_FAILED: std::ffi::c_ulong = 0x35;

/// Any call that is not told more exactly.
pub(super) fn plain(error: Error) -> TokenError {
    match error {
        Error::Pkcs11(code, call) if is_gone(code) => {
            TokenError::Removed(format!("{} from {}", code_name(code), call_name(call)))
        }
        Error::Pkcs11(code, call) => TokenError::Answer { call: call_name(call), code: code_name(code) },
        other => TokenError::Malformed(other.to_string()),
    }
}

/// A login.
pub(super) fn login(error: Error, tries: impl FnOnce() -> Tries) -> TokenError {
    match error {
        Error::Pkcs11(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange, _) => {
            TokenError::PinWrong(tries())
        }
        Error::Pkcs11(RvError::PinLocked, _) => TokenError::PinLocked,
        Error::Pkcs11(RvError::PinExpired, _) => TokenError::PinExpired,
        Error::Pkcs11(RvError::UserPinNotInitialized, _) => TokenError::PinUnset,
        other => plain(other),
    }
}

/// What a failed decryption says.
#[derive(Debug)]
pub(super) enum Opened {
    /// The bytes do not belong together.
    Refused,
    /// Either that, or the token is ill: these tokens do not say.
    Vague(TokenError),
    /// The token's trouble.
    Trouble(TokenError),
}

/// A decryption. What a token was handed comes from outside, so that bad parameters are refusals too.
pub(super) fn decrypt(error: Error) -> Opened {
    use RvError as Rv;
    match error {
        Error::Pkcs11(
            Rv::EncryptedDataInvalid
            | Rv::EncryptedDataLenRange
            | Rv::DataInvalid
            | Rv::DataLenRange
            | Rv::SignatureInvalid
            | Rv::MechanismParamInvalid
            | Rv::UnknownErrorCode(AEAD_DECRYPT_FAILED),
            _,
        ) => Opened::Refused,
        error @ Error::Pkcs11(Rv::GeneralError | Rv::FunctionFailed | Rv::ArgumentsBad, _) => {
            Opened::Vague(plain(error))
        }
        other => Opened::Trouble(plain(other)),
    }
}

/// Whether a token refuses the IV that it was given.
pub(super) fn refuses_iv(error: &Error) -> bool {
    matches!(
        error,
        Error::Pkcs11(
            RvError::MechanismParamInvalid | RvError::ArgumentsBad,
            Function::EncryptInit | Function::Encrypt
        )
    )
}

/// The session, its login or its handles are gone. Only wrap and unwrap ask, which change nothing in the token.
fn is_gone(code: RvError) -> bool {
    use RvError as Rv;
    matches!(
        code,
        Rv::DeviceRemoved
            | Rv::DeviceError
            | Rv::TokenNotPresent
            | Rv::TokenNotRecognized
            | Rv::SlotIdInvalid
            | Rv::SessionHandleInvalid
            | Rv::SessionClosed
            | Rv::UserNotLoggedIn
            | Rv::KeyHandleInvalid
            | Rv::ObjectHandleInvalid
            | Rv::OperationActive
            | Rv::OperationNotInitialized
            | Rv::CryptokiNotInitialized
    )
}

fn call_name(call: Function) -> String {
    format!("C_{call:?}")
}

/// `GeneralError` as `CKR_GENERAL_ERROR`.
fn code_name(code: RvError) -> String {
    match code {
        RvError::VendorDefined(number) => format!("CKR_VENDOR_DEFINED {number:#x}"),
        RvError::UnknownErrorCode(number) => format!("CKR {number:#x}"),
        known => {
            let mut name = String::from("CKR");
            for letter in format!("{known:?}").chars() {
                if letter.is_ascii_uppercase() {
                    name.push('_');
                }
                name.push(letter.to_ascii_uppercase());
            }
            name
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_the_names_of_the_standard() {
        assert_eq!(code_name(RvError::GeneralError), "CKR_GENERAL_ERROR");
        assert_eq!(code_name(RvError::SlotIdInvalid), "CKR_SLOT_ID_INVALID");
        assert_eq!(code_name(RvError::VendorDefined(0x8000_0001)), "CKR_VENDOR_DEFINED 0x80000001");
        assert_eq!(call_name(Function::EncryptInit), "C_EncryptInit");
    }

    #[test]
    fn a_refusal_is_no_removal() {
        for code in [RvError::GeneralError, RvError::FunctionFailed, RvError::PinIncorrect] {
            assert!(!plain(Error::Pkcs11(code, Function::Decrypt)).is_gone());
        }
        let aead = Error::Pkcs11(RvError::UnknownErrorCode(AEAD_DECRYPT_FAILED), Function::Decrypt);
        assert!(matches!(decrypt(aead), Opened::Refused));
    }
}
