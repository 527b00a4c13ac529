//! Roots: added, listed, drilled, removed; and where this account finds what opens each.

use crate::Client;
use crate::seat::unexpected;
use api::terms::{Code, KeyId};
use api::wire::{
    Answer, Command, EscrowMade, EscrowRehearsed, Problem, RootAdded, RootChanged, RootDrills, RootList, RootRemove,
    RootRemoved, RootSet,
};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

pub use keeper::vault::{EscrowWanted, RootAdd, RootChoice, Shares};

/// The longest file of places.
const MAX_LEN: u64 = 65_536;

/// Where this account finds what opens the roots of a vault. It names programs that are loaded and places that are asked, so it lies
/// with the account and never in the vault's folder, which others may write.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Places {
    /// Each root that is not found by itself.
    pub roots: Vec<Place>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The root.
    pub root: KeyId,
    /// What opens it.
    pub at: At,
}

/// What opens a root.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum At {
    /// A key file.
    Keyfile {
        /// Where.
        path: PathBuf,
    },
    /// A PKCS #11 token.
    Pkcs11 {
        /// The vendor's library, which runs in this process.
        module: PathBuf,
        /// The token's label.
        token: String,
        /// Its serial number, where the label alone does not tell.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        serial: Option<String>,
        /// A file with the PIN, and nothing else; else somebody is asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pin_file: Option<PathBuf>,
        /// How long it may take to answer, in milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline_ms: Option<u64>,
    },
    /// A key of AWS KMS.
    AwsKms {
        /// Its ARN.
        key: String,
        /// An endpoint other than the region's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        endpoint: Option<String>,
        /// How long it may take to answer, in milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline_ms: Option<u64>,
    },
}

impl Places {
    /// Reads them; none if there is no file.
    ///
    /// # Errors
    /// `root-refused` for a file that others may write; `bad-request` for one that is not of its form; `unavailable`.
    pub fn read(path: &Path) -> Result<Self, Problem> {
        let io = |error: std::io::Error| crate::fault::io("cannot read", path, &error);
        let file = match OpenOptions::new().read(true).open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            other => other.map_err(io)?,
        };
        let about = file.metadata().map_err(io)?;
        let mine = about.uid() == rustix::process::geteuid().as_raw();
        if !mine || about.mode() & 0o022 != 0 {
            let why = format!("others may write `{}`, which says what is loaded to open roots", path.display());
            let problem = Problem::new(Code::RootRefused, "the vault stays locked", why);
            return Err(problem.with_try(format!("chmod 600 '{}'", path.display())));
        }
        let mut text = Vec::new();
        file.take(MAX_LEN + 1).read_to_end(&mut text).map_err(io)?;
        let bad = |why: String| Problem::new(Code::BadRequest, format!("cannot use `{}`", path.display()), why);
        if text.len() as u64 > MAX_LEN {
            return Err(bad("it is too long".into()));
        }
        serde_json::from_slice(&text).map_err(|error| bad(error.to_string()))
    }

    /// Says where a root is found, or that it is nowhere any more, whatever others say of other roots meanwhile.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn amend(path: &Path, root: KeyId, at: Option<At>) -> Result<(), Problem> {
        if let Some(folder) = path.parent() {
            crate::vault::private_folder(folder)?;
        }
        let lock = path.with_extension("lock");
        let io = |error: std::io::Error| crate::fault::io("cannot lock", &lock, &error);
        let held = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&lock).map_err(io)?;
        held.lock().map_err(io)?;
        let mut places = Self::read(path)?;
        places.roots.retain(|place| place.root != root);
        places.roots.extend(at.map(|at| Place { root, at }));
        places.write(path)
    }

    /// Writes them in one step.
    fn write(&self, path: &Path) -> Result<(), Problem> {
        let io = |error: std::io::Error| crate::fault::io("cannot write", path, &error);
        if let Some(folder) = path.parent() {
            crate::vault::private_folder(folder)?;
        }
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|error| Problem::new(Code::Internal, "cannot write the places of roots", error.to_string()))?;
        text.push(b'\n');
        let partial = path.with_extension(format!("partial-{}", std::process::id()));
        let written = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial);
        let written = written.and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all()));
        written.and_then(|()| std::fs::rename(&partial, path)).map_err(io)
    }

    /// Where a root is found.
    pub fn of(&self, root: KeyId) -> Option<&At> {
        self.roots.iter().find(|place| place.root == root).map(|place| &place.at)
    }
}

impl Client {
    /// Adds a root.
    ///
    /// # Errors
    /// `denied`; `conflict`; whatever the root says; `unsupported` if the vault is not opened by this process.
    pub fn root_add(&self, wanted: &RootAdd) -> Result<RootAdded, Problem> {
        self.seat().connection().add_root(wanted)
    }

    /// Makes an escrow. Its shares, which are nowhere else from then on, are handed out before it counts.
    ///
    /// # Errors
    /// `denied`; `bad-request` for numbers that no escrow has; `unsupported` if the vault is not opened by this process; what
    /// `hand_out` says.
    pub fn escrow_create(
        &self,
        wanted: &EscrowWanted,
        hand_out: &mut dyn FnMut(KeyId, &Shares) -> Result<(), Problem>,
    ) -> Result<EscrowMade, Problem> {
        self.seat().connection().create_escrow(wanted, hand_out)
    }

    /// Proves with real shares that they bring everything back.
    ///
    /// # Errors
    /// `denied`; `not-found`; `root-refused`, with the number of the share that is at fault.
    pub fn escrow_rehearse(&self, shares: &Shares) -> Result<EscrowRehearsed, Problem> {
        self.seat().connection().rehearse_escrow(shares)
    }

    /// The roots, in the order in which they are asked.
    ///
    /// # Errors
    /// `denied`.
    pub fn roots(&self) -> Result<RootList, Problem> {
        match self.seat().call(Command::RootList)? {
            Answer::Roots(list) => Ok(list),
            other => Err(unexpected(&other)),
        }
    }

    /// Has every root open what it wraps.
    ///
    /// # Errors
    /// `denied`. A root that fails says so in the answer.
    pub fn root_drill(&self) -> Result<RootDrills, Problem> {
        match self.seat().call(Command::RootDrill)? {
            Answer::RootsDrilled(drills) => Ok(drills),
            other => Err(unexpected(&other)),
        }
    }

    /// Changes in which order a root is asked.
    ///
    /// # Errors
    /// `denied`; `not-found`.
    pub fn root_set(&self, root: KeyId, priority: u32) -> Result<RootChanged, Problem> {
        match self.seat().call(Command::RootSet(RootSet { root, priority }))? {
            Answer::RootChanged(changed) => Ok(*changed),
            other => Err(unexpected(&other)),
        }
    }

    /// Removes a root; after another one that takes its place, once that was found to open everything.
    ///
    /// # Errors
    /// `denied`; `not-found`; `conflict` for the last one that opens, or one without which a key would be lost.
    pub fn root_remove(&self, root: KeyId, after: Option<KeyId>) -> Result<RootRemoved, Problem> {
        match self.seat().call(Command::RootRemove(RootRemove { root, after }))? {
            Answer::RootRemoved(removed) => Ok(removed),
            other => Err(unexpected(&other)),
        }
    }
}
