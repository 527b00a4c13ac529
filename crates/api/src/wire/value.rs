//! Named keys, and the small values that they seal.

use super::Receipt;
use crate::terms::{Class, Environment, KeyId, Name, Suite, Timestamp};
use std::collections::BTreeMap;
use zeroize::{Zeroize, Zeroizing};

/// A value in the clear: hexadecimal in JSON, overwritten when it is dropped, as its digits are, and shown by its length alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Plain(Vec<u8>);

impl serde::Serialize for Plain {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut digits = Zeroizing::new(vec![0; self.0.len() * 2]);
        hex::encode_to_slice(&self.0, &mut digits).map_err(<S::Error as serde::ser::Error>::custom)?;
        s.serialize_str(std::str::from_utf8(&digits).map_err(<S::Error as serde::ser::Error>::custom)?)
    }
}

impl<'de> serde::Deserialize<'de> for Plain {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_str(Digits)
    }
}

/// Reads a value where it stands, without a copy of its digits that nobody overwrites.
struct Digits;

impl serde::de::Visitor<'_> for Digits {
    type Value = Plain;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("hexadecimal digits")
    }

    fn visit_str<E: serde::de::Error>(self, digits: &str) -> Result<Plain, E> {
        let mut plain = Plain(vec![0; digits.len() / 2]);
        base16ct::mixed::decode(digits, &mut plain.0).map_err(|_| E::custom("no hexadecimal digits"))?;
        Ok(plain)
    }

    fn visit_string<E: serde::de::Error>(self, digits: String) -> Result<Plain, E> {
        self.visit_str(&Zeroizing::new(digits))
    }
}

impl Plain {
    /// Takes a value over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The value.
    pub fn expose_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Plain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Plain({} bytes)", self.0.len())
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// `key create`.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct NamedKeyMake {
    /// Where.
    pub workspace: Name,
    /// Its name there.
    pub name: Name,
    /// Of what it is for.
    pub environment: Environment,
    /// How sensitive what it seals is; else the workspace's default.
    pub class: Option<Class>,
}

/// What became of `key create`.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct NamedKeyMade {
    /// `workspace/name`.
    pub name: String,
    /// Its first version.
    pub key: KeyId,
    /// The version, from 1.
    pub version: u32,
    /// The environment.
    pub environment: Environment,
    /// The classification.
    pub class: Class,
    /// The suite of the version.
    pub suite: Suite,
    /// When a new version follows by itself.
    pub due: Option<Timestamp>,
    /// The receipt.
    pub receipt: Receipt,
}

/// `encrypt`.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Encrypt {
    /// Where.
    pub workspace: Name,
    /// The named key.
    pub name: Name,
    /// What the value is about.
    pub context: BTreeMap<String, String>,
    /// At most 64 KiB.
    pub value: Plain,
    /// Why.
    pub reason: Option<String>,
}

/// `decrypt`, and `encrypt --renew`.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Decrypt {
    /// What `encrypt` answered.
    pub token: String,
    /// What the value is about, as it was said then.
    pub context: BTreeMap<String, String>,
    /// Why.
    pub reason: Option<String>,
    /// The name of the key again, where policy asks for it.
    pub confirm: Option<String>,
    /// The value goes to a disk, which is an export besides.
    pub to_disk: bool,
}

/// A value that was sealed.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Encrypted {
    /// One line of text, with the names of what sealed it (`spec/keys.md#values`).
    pub token: String,
    /// `workspace/name`.
    pub name: String,
    /// The version that sealed it.
    pub version: u32,
    /// Of a token that was renewed: the version that sealed it before.
    pub before: Option<u32>,
    /// The receipt.
    pub receipt: Receipt,
}

/// A value that was opened.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Decrypted {
    /// The value.
    pub value: Plain,
    /// `workspace/name`.
    pub name: String,
    /// The version that sealed it.
    pub version: u32,
    /// The version that seals now.
    pub newest: u32,
    /// The receipt.
    pub receipt: Receipt,
}
