//! The encryption context: what a wrap belongs to, bound to it by the service.

use super::{Error, Result};
use serde::Serialize;
use std::collections::BTreeMap;

/// Names and values, in the order of the names. Not secret: the service logs them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Context(BTreeMap<String, String>);

impl Context {
    /// The most pairs.
    pub const MAX_PAIRS: usize = 16;
    /// The longest name, in bytes.
    pub const MAX_NAME_LEN: usize = 128;
    /// The longest value, in bytes.
    pub const MAX_VALUE_LEN: usize = 256;

    /// Checks the pairs: at least one, none empty, no name twice, no control characters, no name that AWS keeps for itself.
    ///
    /// # Errors
    /// [`Error::Context`].
    pub fn new<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Result<Self> {
        let mut map = BTreeMap::new();
        for (name, value) in pairs {
            let (name, value) = (name.into(), value.into());
            if !fits(&name, Self::MAX_NAME_LEN) || !fits(&value, Self::MAX_VALUE_LEN) {
                return Err(Error::Context("a name or value is empty, too long or has control characters"));
            }
            if name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:")) {
                return Err(Error::Context("names that begin with `aws:` belong to AWS"));
            }
            if map.insert(name, value).is_some() {
                return Err(Error::Context("a name stands twice"));
            }
            if map.len() > Self::MAX_PAIRS {
                return Err(Error::Context("it has more than 16 pairs"));
            }
        }
        if map.is_empty() { Err(Error::Context("it is empty")) } else { Ok(Self(map)) }
    }
}

fn fits(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len()) && !text.chars().any(char::is_control)
}
