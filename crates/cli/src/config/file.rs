//! What the two files may say. Nothing here needs the rest of the program, so the fuzzer includes this file as it is.

use api::terms::{Class, Environment};
use std::path::PathBuf;

/// What a project may set.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Project {
    /// The vault folder, from the file's own folder.
    pub vault: Option<PathBuf>,
    /// How to print.
    pub format: Option<String>,
    /// When to show bars.
    pub progress: Option<String>,
    /// The least classification of new versions: it raises theirs, and never lowers it.
    pub class: Option<Class>,
    /// Environment of new versions.
    pub env: Option<Environment>,
    /// Always leave these out.
    #[serde(default)]
    pub exclude: Vec<String>,
}

/// What the user may set besides.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct User {
    /// The vault folder.
    pub vault: Option<PathBuf>,
    /// How to print.
    pub format: Option<String>,
    /// When to show bars.
    pub progress: Option<String>,
    /// Who acts.
    #[serde(rename = "as")]
    pub principal: Option<String>,
    /// The root's key file.
    pub keyfile: Option<PathBuf>,
    /// The anchor.
    pub anchor: Option<PathBuf>,
    /// The file with the passphrase.
    pub passphrase_file: Option<PathBuf>,
}

/// Reads the text of one of them; a key that is not known is refused.
pub fn parse<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, toml::de::Error> {
    toml::from_str(text)
}
