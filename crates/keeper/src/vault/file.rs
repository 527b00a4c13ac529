//! `vault.json`: which vault this is and how its roots are unlocked. Public and untrusted: each root tags it.

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::roots::RootProvider;
use crate::vault::RootKind;
use api::terms::{KeyId, Mode, Suite, VaultId};
use serde::{Deserialize, Serialize};
use std::io::{ErrorKind, Write};
use std::path::Path;
use subtle::ConstantTimeEq;

/// Its name in the vault's folder.
pub(crate) const NAME: &str = "vault.json";
const FORMAT: u32 = 1;
const MAX_LEN: u64 = 65_536;
/// The most roots of a vault.
pub(crate) const MAX_ROOTS: usize = 16;

/// The file's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VaultFile {
    pub(crate) strongroom: u32,
    pub(crate) vault: VaultId,
    pub(crate) mode: Mode,
    /// Of the vault's own keys.
    pub(crate) suite: Suite,
    pub(crate) roots: Vec<RootEntry>,
}

/// One root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RootEntry {
    pub(crate) id: KeyId,
    pub(crate) kind: RootKind,
    /// Public parameters, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) params: Option<String>,
    /// The root's tag over vault, mode, suite and its own entry, hexadecimal.
    pub(crate) tag: String,
}

/// That nobody else changes the file.
#[must_use]
pub(crate) struct Amended(#[expect(dead_code, reason = "it is held, not read")] std::fs::File);

impl VaultFile {
    /// For a new vault.
    pub(crate) fn new(vault: VaultId, mode: Mode, suite: Suite) -> Self {
        Self { strongroom: FORMAT, vault, mode, suite, roots: Vec::new() }
    }

    /// Adds a root.
    pub(crate) fn add(&mut self, root: &dyn RootProvider, params: Option<Vec<u8>>) {
        let params = params.map(hex::encode);
        let tag = hex::encode(root.tag(&self.tagged(root.id(), root.kind(), params.as_deref())));
        self.roots.push(RootEntry { id: root.id(), kind: root.kind(), params, tag });
    }

    /// Changes the file of a vault that is there: nobody else does until what this answers is dropped.
    pub(crate) fn amend(dir: &Path, amend: impl FnOnce(&mut Self) -> Result<()>) -> Result<Amended> {
        let path = dir.join("vault.lock");
        let io = |error: std::io::Error| Error::io("the vault cannot be locked", &path, &error);
        let lock = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(io)?;
        lock.lock().map_err(io)?;
        let mut file = Self::read(dir)?;
        let before = file.clone();
        amend(&mut file)?;
        if file != before {
            file.write(dir)?;
        }
        Ok(Amended(lock))
    }

    /// Checks a root's tag: the root is the right one, and the file says what it said.
    pub(crate) fn check(&self, entry: &RootEntry, root: &dyn RootProvider) -> Result<()> {
        let expected = root.tag(&self.tagged(root.id(), root.kind(), entry.params.as_deref()));
        let found = hex::decode(&entry.tag).unwrap_or_default();
        if entry.id == root.id() && bool::from(found.as_slice().ct_eq(&expected)) {
            return Ok(());
        }
        Err(Error::RootRefused(match entry.kind {
            RootKind::Keyfile => "the key file is not this vault's, or vault.json was altered",
            RootKind::Passphrase => "the passphrase is wrong, or vault.json was altered",
            RootKind::Recovery | RootKind::Pkcs11 | RootKind::AwsKms | RootKind::Escrow => {
                "what vault.json says of the root was altered"
            }
        }))
    }

    /// Reads the file of an opened vault, which must be that vault's.
    pub(crate) fn read_of(engine: &Engine) -> Result<Self> {
        let file = Self::read(&engine.dir)?;
        file.check_of(engine).map(|()| file)
    }

    /// Refuses the file of another vault than the one that is open.
    pub(crate) fn check_of(&self, engine: &Engine) -> Result<()> {
        let same = (self.vault, self.mode, self.suite) == (engine.vault, engine.mode, engine.info.suite);
        if same { Ok(()) } else { Err(Error::VaultFile("it is not that of the vault which is open")) }
    }

    /// What it says of a root.
    pub(crate) fn entry(&self, root: KeyId) -> Option<&RootEntry> {
        self.roots.iter().find(|entry| entry.id == root)
    }

    fn tagged(&self, id: KeyId, kind: RootKind, params: Option<&str>) -> Vec<u8> {
        let kind = [kind as u8];
        crate::hash::lp(&[
            b"strongroom/v1/vault-file",
            &self.strongroom.to_be_bytes(),
            self.vault.as_bytes(),
            &[self.mode.number()],
            &[0, self.suite.number()],
            id.as_bytes(),
            &kind,
            params.unwrap_or_default().as_bytes(),
        ])
    }

    /// Reads the file of a vault.
    pub(crate) fn read(dir: &Path) -> Result<Self> {
        use std::io::Read;
        let path = dir.join(NAME);
        let file = std::fs::File::open(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound if crate::backup::is_unfinished(dir) => Error::RestoreUnfinished(dir.to_owned()),
            ErrorKind::NotFound | ErrorKind::NotADirectory if remains(dir) => Error::VaultFileLost(dir.to_owned()),
            ErrorKind::NotFound | ErrorKind::NotADirectory => Error::NoVault(dir.to_owned()),
            _ => Error::io("the vault cannot be read", &path, &error),
        })?;
        let mut text = Vec::new();
        file.take(MAX_LEN + 1)
            .read_to_end(&mut text)
            .map_err(|error| Error::io("the vault cannot be read", &path, &error))?;
        if text.len() as u64 > MAX_LEN {
            return Err(Error::VaultFile("it is too long"));
        }
        Self::parse(&text)
    }

    /// Reads the text.
    pub(crate) fn parse(text: &[u8]) -> Result<Self> {
        let parsed: Self = serde_json::from_slice(text).map_err(|_| Error::VaultFile("it is not of its form"))?;
        if parsed.strongroom != FORMAT {
            return Err(Error::Unsupported("the vault was made by a newer strongroom".into()));
        }
        if parsed.roots.is_empty() || parsed.roots.len() > MAX_ROOTS {
            return Err(Error::VaultFile("it names no root, or too many"));
        }
        let twice = |(at, root): (usize, &RootEntry)| parsed.roots.iter().skip(at + 1).any(|other| other.id == root.id);
        if parsed.roots.iter().enumerate().any(twice) {
            return Err(Error::VaultFile("it names a root twice"));
        }
        Ok(parsed)
    }

    /// The text.
    pub(crate) fn encoded(&self) -> Result<Vec<u8>> {
        let mut text = serde_json::to_vec_pretty(self).map_err(|_| Error::Internal("vault.json cannot be written"))?;
        text.push(b'\n');
        Ok(text)
    }

    /// Writes the file of a new vault, last of all: a folder with it is a vault.
    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        if self.roots.is_empty() || self.roots.len() > MAX_ROOTS {
            return Err(Error::conflict("the root", format!("a vault has 1 to {MAX_ROOTS} roots")));
        }
        let text = self.encoded()?;
        let (path, partial) = (dir.join(NAME), dir.join("vault.json.partial"));
        let io = |error: std::io::Error| Error::io("the vault cannot be written", &path, &error);
        let mut file = std::fs::File::create(&partial).map_err(io)?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(io)?;
        std::fs::rename(&partial, &path).map_err(io)?;
        std::fs::File::open(dir).and_then(|folder| folder.sync_all()).map_err(io)
    }
}

/// Whether a folder holds what a vault is made of: a database, or a log or depot with something in it beside the drafts' folder.
fn remains(dir: &Path) -> bool {
    let filled = |name: &str| std::fs::read_dir(dir.join(name)).is_ok_and(|mut entries| entries.next().is_some());
    dir.join(super::open::DATABASE).exists() || dir.join("drafts").is_dir() && (filled("log") || filled("depot"))
}

#[cfg(test)]
mod tests {
    use super::VaultFile;

    #[test]
    fn what_is_not_a_vault_file_is_refused() {
        let id = "000102030405060708090a0b0c0d0e0f";
        let root = format!(r#"{{"id":"{id}","kind":"keyfile","tag":"00"}}"#);
        let file = |n: u32, roots: &str, more: &str| {
            format!(r#"{{"strongroom":{n},"vault":"{id}","mode":"solo","suite":"nist","roots":[{roots}]{more}}}"#)
        };
        assert!(VaultFile::parse(file(1, &root, "").as_bytes()).is_ok());
        let many = vec![root.as_str(); 17].join(",");
        for bad in [
            "".into(),
            "{}".into(),
            file(2, &root, ""),
            file(1, "", ""),
            file(1, &many, ""),
            file(1, &root, ",\"x\":1"),
        ] {
            assert!(VaultFile::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
