//! Names of objects: `<vault id>/<object id>`, both 32 lower-case hex digits.

use std::fmt;
use std::str::FromStr;

use seal::Id;

use crate::Error;

/// Bytes in an [`Id`].
pub const ID_LEN: usize = 16;

/// Characters in a key's text form.
pub const KEY_TEXT_LEN: usize = 4 * ID_LEN + 1;

/// The name of one object. It cannot leave its vault's prefix, because both halves are fixed-length hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    vault: Id,
    object: Id,
}

impl Key {
    /// The key of `object` in `vault`.
    #[must_use]
    pub const fn new(vault: Id, object: Id) -> Self {
        Self { vault, object }
    }

    /// Reads the text form: exactly 65 characters, lower-case hex around one `/`.
    ///
    /// # Errors
    /// [`Error::BadKey`] for anything else.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (vault, object) = text.split_once('/').ok_or(Error::BadKey)?;
        match (parse_id(vault), parse_id(object)) {
            (Some(vault), Some(object)) => Ok(Self { vault, object }),
            _ => Err(Error::BadKey),
        }
    }

    /// The vault's id.
    #[must_use]
    pub const fn vault(&self) -> &Id {
        &self.vault
    }

    /// The object's id.
    #[must_use]
    pub const fn object(&self) -> &Id {
        &self.object
    }
}

impl FromStr for Key {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Hex(&self.vault), Hex(&self.object))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

/// Shows an id as 32 lower-case hex digits.
pub(crate) struct Hex<'a>(pub(crate) &'a Id);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Reads 32 lower-case hex digits.
pub(crate) fn parse_id(text: &str) -> Option<Id> {
    let digits: &[u8; 2 * ID_LEN] = text.as_bytes().try_into().ok()?;
    let (pairs, _) = digits.as_chunks::<2>();
    let mut id = [0; ID_LEN];
    for (byte, [high, low]) in id.iter_mut().zip(pairs) {
        *byte = hex_digit(*high)? << 4 | hex_digit(*low)?;
    }
    Some(id)
}

const fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::Index;

    #[test]
    fn text_form_round_trips() {
        let key = Key::new([0xab; 16], core::array::from_fn(|i| i as u8));
        let text = key.to_string();
        assert_eq!(text.len(), KEY_TEXT_LEN);
        assert_eq!(text, format!("{}/000102030405060708090a0b0c0d0e0f", "ab".repeat(16)));
        assert_eq!(Key::parse(&text).unwrap(), key);
    }

    #[test]
    fn other_texts_are_refused() {
        let good = Key::new([1; 16], [2; 16]).to_string();
        let (vault, object) = good.split_once('/').unwrap();
        for bad in [
            String::new(),
            "/".into(),
            vault.into(),
            format!("{vault}{object}"),
            format!("{vault}/{object}/"),
            format!("/{vault}/{object}"),
            format!("{vault}/../{object}"),
            format!("{vault}/{}", object.get(1..).unwrap()),
            format!("{vault}/{object}0"),
            format!("{vault} /{object}"),
            format!("{}/{object}", "AB".repeat(16)),
            format!("{vault}/{}", "é".repeat(16)),
            format!("{vault}/{}..", object.get(2..).unwrap()),
        ] {
            assert!(matches!(Key::parse(&bad), Err(Error::BadKey)), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_key_reads_as_it_was_written(vault: Id, object: Id, at: Index, to: char) {
            let key = Key::new(vault, object);
            let text = key.to_string();
            prop_assert_eq!(Key::parse(&text).unwrap(), key);
            prop_assert_eq!((key.vault(), key.object()), (&vault, &object));
            let at = at.index(text.len());
            let altered: String = text.chars().enumerate().map(|(n, c)| if n == at { to } else { c }).collect();
            match Key::parse(&altered) {
                Ok(other) => prop_assert_eq!(other.to_string(), altered),
                Err(error) => prop_assert!(matches!(error, Error::BadKey)),
            }
            let longer = format!("{text}{to}");
            prop_assert!(Key::parse(&text[..at]).is_err() && Key::parse(&longer).is_err());
        }

        #[test]
        fn any_text_is_a_key_in_its_one_form_or_refused(text in "[0-9a-fA-F/.]{60,70}|[0-9a-f]{32}/[0-9a-f]{32}|.{0,80}") {
            if let Ok(key) = Key::parse(&text) {
                prop_assert_eq!(key.to_string(), text);
            }
        }
    }
}
