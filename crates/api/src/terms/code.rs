//! Stable error codes and the exit code of each.

/// How the command line ends (`docs/reference/exit-codes` and DESIGN 12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// An error that is none of the others; findings.
    Error = 1,
    /// Wrong usage.
    Usage = 2,
    /// Not found, or not visible to the caller.
    NotFound = 3,
    /// Sign in or unlock first; wrong passphrase.
    Locked = 4,
    /// Denied by policy.
    Denied = 5,
    /// An approval is needed or pending.
    Approval = 6,
    /// Integrity or signature.
    Integrity = 7,
    /// Conflict with what is there.
    Conflict = 8,
    /// Temporary: try again.
    Temporary = 9,
    /// Suspended, quarantined, revoked or destroyed.
    Gone = 10,
    /// Interrupted.
    Interrupted = 130,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident $word:literal $exit:ident,)*) => {
        /// Why something failed, in a word that never changes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub enum Code { $($(#[$doc])* #[serde(rename = $word)] $variant,)* }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// The stable word.
            pub const fn word(self) -> &'static str { match self { $(Self::$variant => $word,)* } }
            /// The exit code it leads to.
            pub const fn exit(self) -> Exit { match self { $(Self::$variant => Exit::$exit,)* } }
        }
    };
}

codes! {
    /// The caller asked for something that makes no sense.
    BadRequest "bad-request" Usage,
    /// A confirmation or reason that policy wants is missing.
    ConfirmationNeeded "confirmation-needed" Usage,
    /// Not found, or not visible.
    NotFound "not-found" NotFound,
    /// No vault here.
    NoVault "no-vault" NotFound,
    /// The root does not open: wrong passphrase, missing or foreign key file.
    RootRefused "root-refused" Locked,
    /// The session is unknown, over, or signed with another key.
    BadSession "bad-session" Locked,
    /// Denied by policy.
    Denied "denied" Denied,
    /// Denied until approved.
    ApprovalNeeded "approval-needed" Approval,
    /// Stored bytes are not what was written.
    Integrity "integrity" Integrity,
    /// A signature, MAC or proof does not verify.
    BadSignature "bad-signature" Integrity,
    /// The database is older than its anchor: read-only.
    BehindAnchor "behind-anchor" Integrity,
    /// Two histories of one log.
    Fork "fork" Integrity,
    /// The target exists, or another writer was first.
    Conflict "conflict" Conflict,
    /// The source changed while it was read.
    SourceChanged "source-changed" Conflict,
    /// Somebody else holds the lock, or the store is busy.
    Busy "busy" Temporary,
    /// The disk is full.
    DiskFull "disk-full" Temporary,
    /// The store or disk cannot be reached or written.
    Unavailable "unavailable" Temporary,
    /// The clock went back further than tolerated.
    ClockBack "clock-back" Temporary,
    /// The clock is further ahead than tolerated of what was told last.
    ClockAhead "clock-ahead" Temporary,
    /// The outcome of a commit is unknown.
    OutcomeUnknown "outcome-unknown" Temporary,
    /// Suspended, revoked or destroyed.
    Gone "gone" Gone,
    /// Not supported here (a suite, a feature bit, a file system).
    Unsupported "unsupported" Error,
    /// Checks found something.
    Findings "findings" Error,
    /// A defect of ours.
    Internal "internal" Error,
    /// Interrupted by a signal.
    Interrupted "interrupted" Interrupted,
}
