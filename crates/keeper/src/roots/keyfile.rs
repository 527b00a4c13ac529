//! A random root in a file outside the vault.
//!
//! The file is one line: `strongroom-root-v1 <vault id> <root id> <64 hexadecimal digits>`.

use super::{RootProvider, Secret, Software, Wrapper};
use crate::error::{Error, Result};
use crate::vault::RootKind;
use api::terms::{KeyId, VaultId};
use seal::secret::RootKey;
use seal::wrap::WrapContext;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use zeroize::Zeroizing;

const WORD: &str = "strongroom-root-v1";
const FILE_LEN: usize = WORD.len() + 1 + 32 + 1 + 32 + 1 + 64 + 1;

/// A root read from a key file.
pub(crate) struct KeyfileRoot(Software);

impl std::fmt::Debug for KeyfileRoot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyfileRoot({})", self.0.id)
    }
}

impl KeyfileRoot {
    /// Draws a root and writes it to a new file that only its owner can read.
    pub(crate) fn create(path: &Path, vault: VaultId, id: KeyId) -> Result<Self> {
        let root = Self(Software::new(id, RootKey::generate().map_err(|_| Error::Random)?));
        if let Some(parent) = path.parent() {
            make_private_folder(parent)?;
        }
        let text = root.encoded(vault)?;
        let io = |what| move |error: std::io::Error| Error::io(what, path, &error);
        let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(Error::FileExists(path.to_owned())),
            other => other.map_err(io("the key file cannot be made"))?,
        };
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let durable = || std::fs::File::open(folder)?.sync_all();
        let written = file.write_all(&text).and_then(|()| file.sync_all()).and_then(|()| durable());
        written.map_err(io("the key file cannot be written"))?;
        Ok(root)
    }

    /// The text of its file.
    pub(crate) fn encoded(&self, vault: VaultId) -> Result<Zeroizing<Vec<u8>>> {
        let Software { id, key } = &self.0;
        let mut text = Zeroizing::new(Vec::with_capacity(FILE_LEN));
        text.extend_from_slice(format!("{WORD} {vault} {id} ").as_bytes());
        let mut digits = Zeroizing::new([0; 64]);
        hex::encode_to_slice(key.expose_bytes(), digits.as_mut_slice())
            .map_err(|_| Error::Internal("a key is not 32 bytes"))?;
        text.extend_from_slice(digits.as_slice());
        text.push(b'\n');
        Ok(text)
    }

    /// Reads a key file.
    pub(crate) fn read(path: &Path, vault: VaultId) -> Result<Self> {
        let missing = |error: std::io::Error| match error.kind() {
            ErrorKind::NotFound => Error::RootRefused("the key file is missing"),
            _ => Error::io("the key file cannot be read", path, &error),
        };
        let file = OpenOptions::new().read(true).open(path).map_err(missing)?;
        let mode = file.metadata().map_err(missing)?.mode();
        if mode & 0o077 != 0 {
            return Err(Error::RootRefused("the key file can be read by others: chmod 600"));
        }
        let mut text = Zeroizing::new(Vec::with_capacity(FILE_LEN + 1));
        file.take(FILE_LEN as u64 + 1).read_to_end(&mut text).map_err(missing)?;
        Self::parse(&text, vault)
    }

    /// Reads the text of a key file.
    pub(crate) fn parse(text: &[u8], vault: VaultId) -> Result<Self> {
        let refuse = || Error::RootRefused("the key file is not one of Strongroom's");
        let text = std::str::from_utf8(text).map_err(|_| refuse())?;
        let mut words = text.strip_suffix('\n').unwrap_or(text).split(' ');
        let mut word = || words.next().ok_or_else(refuse);
        if word()? != WORD {
            return Err(refuse());
        }
        if word()?.parse() != Ok(vault) {
            return Err(Error::RootRefused("the key file belongs to another vault"));
        }
        let id: KeyId = word()?.parse().map_err(|_| refuse())?;
        let digits = word()?;
        let key = RootKey::fill_with(|out| match base16ct::mixed::decode(digits, out) {
            Ok(key) if key.len() == 32 => Ok(()),
            _ => Err(refuse()),
        })?;
        if words.next().is_some() { Err(refuse()) } else { Ok(Self(Software::new(id, key))) }
    }
}

/// Makes a folder and its parents, for its owner only.
pub(crate) fn make_private_folder(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(path).map_err(|error| Error::io("the folder cannot be made", path, &error))
}

impl Wrapper for KeyfileRoot {
    fn id(&self) -> KeyId {
        self.0.id
    }
    fn wrap(&self, context: &WrapContext, secret: &Secret) -> Result<Vec<u8>> {
        self.0.wrap(context, secret)
    }
}

impl RootProvider for KeyfileRoot {
    fn kind(&self) -> RootKind {
        RootKind::Keyfile
    }
    fn unwrap(&self, context: &WrapContext, wrapped: &[u8]) -> Result<Secret> {
        self.0.unwrap(context, wrapped)
    }
    fn tag(&self, message: &[u8]) -> [u8; 32] {
        self.0.tag(message)
    }
}
