//! What the two ends say to each other.

use api::terms::{Name, PrincipalId, SessionId, Timestamp};
use api::wire::{Answer, Command, DepotList, Problem, VaultInfo, hex_bytes};
use std::path::{Path, PathBuf};

/// The number of this dialogue, which changes with anything in it. [`Ask::Lock`] is the same in all of them.
pub const PROTOCOL: u32 = 4;

/// To the agent.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
#[serde(tag = "ask", content = "of", rename_all = "kebab-case")]
pub enum Ask {
    /// Sit down.
    Open(Open),
    /// A command of the session.
    Call(Box<Command>),
    /// The session is over: integrate what is pending.
    Close,
    /// How long the vault stays unlocked.
    State,
    /// Stay unlocked for so many seconds from now on instead.
    Extend {
        /// The vault's folder, as who asks found it.
        folder: Folder,
        /// Of this program.
        program: String,
        /// Seconds.
        secs: u64,
    },
    /// Overwrite the keys and end.
    Lock,
}

/// From the agent.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
#[serde(tag = "reply", content = "with", rename_all = "kebab-case")]
pub enum Reply {
    /// To [`Ask::Open`].
    Opened(Box<Opened>),
    /// To [`Ask::Call`].
    Answer(Box<Answer>),
    /// To any.
    Refused(Box<Problem>),
    /// A call takes its time; its answer comes.
    Working,
    /// To [`Ask::Close`] and [`Ask::Lock`].
    Done,
    /// To [`Ask::State`] and [`Ask::Extend`].
    State(Unlocked),
}

/// Who sits down, and what they take the agent for.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Open {
    /// The dialogue's number.
    pub protocol: u32,
    /// The program's version.
    pub program: String,
    /// The vault's folder, as the client finds it.
    pub folder: Folder,
    /// The principal; else the owner.
    pub principal: Option<Name>,
    /// Whether they proved to be there, on their word.
    pub presence: Option<Presence>,
    /// The session's Ed25519 public key.
    #[serde(with = "hex_bytes")]
    pub public_key: Vec<u8>,
}

/// Presence as it is asserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// They did not prove it.
    None,
    /// Just now.
    Now,
}

/// A session.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Opened {
    /// What a client pins.
    pub info: VaultInfo,
    /// Who acts.
    pub principal: PrincipalId,
    /// The session.
    pub session: SessionId,
    /// Until when.
    pub unlocked: Unlocked,
    /// The depots, as they are now; absent if they cannot be told.
    pub depots: Option<DepotList>,
    /// Whether the log could not be brought into the tree: who has closed the session then waits for it, and is told why not. Else
    /// the agent does it when the connection ends.
    pub waits: bool,
}

/// An unlocked vault.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Unlocked {
    /// Since when.
    pub since: Timestamp,
    /// When it locks itself at the latest.
    pub until: Timestamp,
    /// The agent's process.
    pub pid: u32,
    /// The user whose agent it is, by number.
    pub uid: u32,
    /// Which kind of root opened it.
    pub root: String,
    /// Whether the keys lie in memory that is never written to swap.
    pub memory_locked: bool,
}

/// A folder: not its name, which another one may bear.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Folder {
    /// Where, for people.
    pub path: PathBuf,
    /// The file system.
    pub device: u64,
    /// The folder in it.
    pub inode: u64,
}

impl Folder {
    /// The folder at a path.
    ///
    /// # Errors
    /// When there is none.
    pub fn at(path: &Path) -> std::io::Result<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let found = std::fs::metadata(path)?;
        Ok(Self { path: std::path::absolute(path)?, device: found.dev(), inode: found.ino() })
    }

    /// Whether both are one folder.
    pub fn is(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// This program, for the other end to compare.
pub fn program() -> String {
    concat!("strongroom/", env!("CARGO_PKG_VERSION")).to_owned()
}
