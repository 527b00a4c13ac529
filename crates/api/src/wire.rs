//! Requests and answers between client and keeper. In process and over a network the same types are used; what hands
//! out keys is, besides, signed end to end (`spec/keys.md`), so it travels here as opaque bytes.

mod admin;
mod alias;
mod ask;
mod audit;
mod backup;
mod depot;
mod drift;
mod incident;
mod jobs;
mod keeping;
mod lineage;
mod policy;
mod problem;
mod reencrypt;
mod run;
mod value;
mod version;

pub use admin::{
    BaselineApply, Certificate, EscrowMade, EscrowRehearsed, GrantSpec, KeyArchive, KeyArchived, KeyDestroy,
    KeyDestroying, KeyItem, KeyList, KeyMove, KeyMoved, KeyRotate, KeyRotated, KeySpare, KeyUnmade, KeysAway,
    KeysStand, PolicyApplied, PolicyApply, PolicyCheck, PolicyShown, PrincipalAdd, PrincipalErase, PrincipalErased,
    PrincipalItem, Revocation, RootAdded, RootChanged, RootDrilled, RootDrills, RootFailing, RootItem, RootList,
    RootOutcome, RootRemove, RootRemoved, RootSet, Status, SuitesShown, VaultInfo,
};
pub use alias::{AliasItem, AliasMove, AliasMoved, AliasPast, AliasRemove, AliasSet};
pub use ask::{
    DecisionTold, Deed, DeedOutcome, FactsTold, Granted, Holder, PresenceTold, WhoAmI, WhoCan, WhoCanPage, WhoDid,
};
pub use audit::{
    AuditFilter, AuditItem, AuditPage, ClockAccepted, DecisionsReplayed, Explain, Freshness, LogHead, LogVerified,
    Outcome, Receipt, Replayed, StateVerified,
};
pub use backup::{BackupCreate, BackupMade, BackupRoot, RestoreItem, Restores};
pub use depot::{
    DepotAdd, DepotCompared, DepotCopied, DepotCounted, DepotItem, DepotList, DepotMoved, DepotRemove, DepotSeen,
};
pub use drift::{KeyCheck, KeyChecked, KeyFinding, KeyPlanned, KeyWrong, NamedDrift, VersionDrift, WrapsMended};
pub use incident::{
    EvidenceWritten, IncidentDone, IncidentFound, IncidentItem, IncidentList, IncidentPrincipal, IncidentStep,
    IncidentTold, KeyCompromise,
};
pub use jobs::{JobBy, JobItem, JobList, JobRan, JobsRan};
pub use keeping::{
    HoldItem, HoldLift, HoldMoved, HoldSet, Keeping, KeptVersion, Removal, RemovalItem, Remove, RemovedState, Restore,
    RetentionItem, RetentionQuery, RetentionReport, RetentionSet,
};
pub use lineage::{Direction, Lineage, LineageEdge, LineageKind, LineageNode, LineageQuery};
pub use policy::{
    CaseFailure, ConditionCovered, DecisionChange, PolicyChanges, PolicyChecked, PolicyCoverage, PolicyCovered,
    PolicyFinding,
};
pub use problem::{NearMiss, Problem, Refusal};
pub use reencrypt::{ReencryptBegin, ReencryptBegun, ReencryptCommit, Reencrypted};
pub use run::{MadeBy, Provenance, RunEnd, RunOutcome, RunOutput, RunRenewed, RunStart, RunStarted};
pub use value::{Decrypt, Decrypted, Encrypt, Encrypted, NamedKeyMade, NamedKeyMake, Plain};
pub use version::{
    Begin, Begun, CollectPlan, Collected, Commit, Committed, ListItem, ListPage, ListQuery, ObjectRole, Printed,
    PrintedVersion, Prints, Release, Released, StoredObject, VersionItem,
};

/// A binary field in JSON: lower-case hexadecimal.
pub mod hex_bytes {
    /// Writes hexadecimal.
    pub fn serialize<S: serde::Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
        // Into its whole length at once: `hex::encode` goes by characters, which was a twelfth of a small `put`.
        let mut digits = vec![0; bytes.len() * 2];
        hex::encode_to_slice(bytes, &mut digits).map_err(<S::Error as serde::ser::Error>::custom)?;
        s.serialize_str(std::str::from_utf8(&digits).map_err(<S::Error as serde::ser::Error>::custom)?)
    }
    /// Reads hexadecimal.
    pub fn deserialize<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
        let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(d)?;
        // Into its whole length at once: `hex::decode` grows with each byte.
        let mut bytes = vec![0; text.len() / 2];
        hex::decode_to_slice(text.as_bytes(), &mut bytes).map_err(serde::de::Error::custom)?;
        Ok(bytes)
    }
}

/// One command to the keeper.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Command {
    /// Open a version for writing: decision, intent entry, minted version key.
    Begin(Begin),
    /// Register more depot objects for a version being written, or renew its lease.
    Extend {
        /// The version being written.
        version: crate::terms::VersionId,
        /// Objects about to be uploaded.
        objects: Vec<crate::terms::ObjectId>,
    },
    /// Make the version exist.
    Commit(Commit),
    /// Give a version up that was being written.
    Abandon {
        /// The version being written.
        version: crate::terms::VersionId,
    },
    /// Ask for a version's keys.
    Release(Release),
    /// Open a version that is there for sealing it anew under another key.
    ReencryptBegin(ReencryptBegin),
    /// Put what was sealed anew in the place of what was there.
    ReencryptCommit(ReencryptCommit),
    /// Start a run.
    RunStart(RunStart),
    /// Ask whether a run may go on.
    RunRenew {
        /// Which.
        run: crate::terms::RunId,
    },
    /// End a run.
    RunEnd(RunEnd),
    /// Ask for what versions are recognised by.
    Prints(Prints),
    /// List workspaces, artifacts.
    List(ListQuery),
    /// One version (metadata only).
    Show {
        /// Reference without a path.
        reference: String,
    },
    /// All versions of an artifact, newest first.
    History {
        /// Reference; its version is ignored.
        reference: String,
        /// Continue below this number.
        before: Option<u64>,
        /// At most this many, up to 1,000.
        limit: u32,
    },
    /// Move an alias.
    AliasSet(AliasSet),
    /// Take an alias away.
    AliasRemove(AliasRemove),
    /// The aliases of an artifact.
    AliasList {
        /// Reference; its version is ignored.
        reference: String,
    },
    /// The moves of an alias, newest first.
    AliasHistory(AliasPast),
    /// Remove versions.
    Remove(Remove),
    /// Restore a version that was removed. Answered as [`Command::Remove`].
    Restore(Restore),
    /// Say how long versions are kept. Answered as [`Command::Retention`].
    RetentionSet(RetentionSet),
    /// What retention keeps and removes.
    Retention(RetentionQuery),
    /// Put versions under a legal hold.
    HoldSet(HoldSet),
    /// Lift a legal hold. Answered as [`Command::HoldSet`].
    HoldLift(HoldLift),
    /// Legal holds of a workspace or an artifact.
    Holds {
        /// `workspace` or `workspace/artifact`.
        place: String,
    },
    /// What a version was made from, or what was made from it.
    Lineage(LineageQuery),
    /// Who asks, and with which rights.
    WhoAmI,
    /// Who may do something, now or at a time.
    WhoCan(WhoCan),
    /// Who did what to an artifact, newest first.
    WhoDid(WhoDid),
    /// A decision that was made.
    DecisionShow {
        /// The decision.
        decision: crate::terms::DecisionId,
    },
    /// What would be decided, without acting.
    Explain(Explain),
    /// Vault status.
    Status,
    /// Domain keys and signing keys.
    KeyList,
    /// Rotate domain keys.
    KeyRotate(KeyRotate),
    /// Suspend or resume a key.
    KeyMove(KeyMove),
    /// Move the keys of versions to the archive.
    KeyArchive(KeyArchive),
    /// Take them back into use.
    KeyUnarchive(KeyArchive),
    /// Set a key's end.
    KeyDestroy(KeyDestroy),
    /// Cancel it.
    KeySpare(KeySpare),
    /// Show a certificate of destruction, or a part of one.
    KeyCertificate {
        /// The key that was destroyed.
        key: crate::terms::KeyId,
        /// Which part; 0 is the head.
        part: u32,
    },
    /// Make a named key.
    NamedKeyMake(NamedKeyMake),
    /// Seal a small value under a named key.
    Encrypt(Encrypt),
    /// Open a small value that a named key sealed.
    Decrypt(Decrypt),
    /// Seal such a value again under the newest version, without showing it. Answered as [`Command::Encrypt`].
    Renew(Decrypt),
    /// Mark a key as compromised; of one that is, go on with what followed. Answered as [`Command::IncidentShow`].
    KeyCompromise(KeyCompromise),
    /// Incidents.
    Incidents,
    /// One incident.
    IncidentShow {
        /// Which.
        incident: crate::terms::IncidentId,
    },
    /// Write the evidence of an incident to a file on the keeper's machine (solo, rehearsal).
    IncidentEvidence {
        /// Which.
        incident: crate::terms::IncidentId,
        /// The file, which does not exist yet.
        file: String,
    },
    /// Say that a step was done by people. Answered as [`Command::IncidentShow`].
    IncidentDone(IncidentDone),
    /// Close an incident of which nothing is left to do. Answered as [`Command::IncidentShow`].
    IncidentClose {
        /// Which.
        incident: crate::terms::IncidentId,
    },
    /// The roots.
    RootList,
    /// Have every root open what it wraps.
    RootDrill,
    /// Remove a root.
    RootRemove(RootRemove),
    /// Change in which order a root is asked.
    RootSet(RootSet),
    /// What is out of policy.
    KeyCheck(KeyCheck),
    /// What it takes to mend that.
    KeyPlan {
        /// Versions after this one; at first everything but versions.
        after: Option<crate::terms::VersionId>,
    },
    /// Have every root that may wrap a key wrap it, and remove wraps of those that may not.
    WrapsMend,
    /// Add a principal, or change one.
    PrincipalAdd(PrincipalAdd),
    /// Erase a principal.
    PrincipalErase(PrincipalErase),
    /// All principals.
    PrincipalList,
    /// The policy set in force.
    PolicyShow,
    /// Check policy sources without applying them, and run cases.
    PolicyCheck(PolicyCheck),
    /// Replace the organisation's part of the policy set.
    PolicyApply(PolicyApply),
    /// Move the vault to this program's baseline. Answered as [`Command::PolicyApply`].
    BaselineApply(BaselineApply),
    /// The table that says which suite seals what.
    SuitesShow,
    /// Put a table in the place of the one in force. Answered as [`Command::SuitesShow`].
    SuitesApply {
        /// As `baseline/crypto.toml`; empty for the baseline's own.
        table: String,
        /// Also one that leaves keys without a root that opens them.
        #[serde(default)]
        lockout: bool,
    },
    /// What a table would shut for good. Answered as [`Command::SuitesShow`].
    SuitesLook {
        /// As above.
        table: String,
    },
    /// Entries of the log.
    Audit(AuditFilter),
    /// One entry.
    AuditShow {
        /// By its id, by its decision's, or by its index in the log.
        entry: String,
    },
    /// Inclusion proof for one entry.
    AuditProve {
        /// By id or by index in the log.
        entry: String,
    },
    /// Re-derive the whole log.
    AuditVerify,
    /// Make the anchor that is missing: the owner says that this log is the newest. Answered as [`Command::AuditVerify`].
    AnchorMake,
    /// Take the machine's clock as right, whatever was told before. The one command that a clock out of bounds does not refuse.
    ClockAccept,
    /// Rebuild the state from the log and compare.
    StateVerify,
    /// Make every decision in the log again, from what was stored for it, and compare.
    DecisionsReplay,
    /// Write the log out in tlog-tiles layout to a folder on the keeper's machine (solo, rehearsal).
    AuditExport {
        /// An empty or absent folder.
        folder: String,
    },
    /// Make a backup, in a new file on the keeper's machine.
    BackupCreate(BackupCreate),
    /// Step one of garbage collection: mark and list what may go.
    CollectMark {
        /// Unreferenced objects younger than this stay.
        grace_secs: u64,
        /// Only list: nothing is marked, no draft is given up.
        dry: bool,
    },
    /// Step two: these were deleted.
    CollectDone {
        /// Objects deleted from the depot.
        objects: Vec<crate::terms::ObjectId>,
    },
    /// Jobs, and when each is due.
    Jobs,
    /// Run the keeper's jobs that are due to their end.
    JobsRun {
        /// Only this one, whether it is due or not.
        name: Option<String>,
    },
    /// A client did a job of its own.
    JobDone {
        /// The job.
        name: String,
    },
    /// The depots in use.
    Depots,
    /// Take a depot into use.
    DepotAdd(DepotAdd),
    /// Take a depot out of use. Answered as [`Command::DepotAdd`].
    DepotRemove(DepotRemove),
    /// Begin to compare depots with the versions.
    DepotCompare,
    /// Tell what was seen of a depot.
    DepotCounted(DepotCounted),
    /// Tell that a depot holds what a version was committed with.
    DepotCopied(DepotCopied),
    /// Every object the depot should hold, in order of id.
    Objects {
        /// Continue after this one.
        after: Option<crate::terms::ObjectId>,
        /// At most this many, up to 10,000.
        limit: u32,
    },
}

/// The keeper's answer to a [`Command`]: the variant of the same name.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Answer {
    /// To [`Command::Begin`].
    Begun(Box<Begun>),
    /// To commands that only succeed.
    Done,
    /// To [`Command::Commit`].
    Committed(Box<Committed>),
    /// To [`Command::Release`].
    Released(Box<Released>),
    /// To [`Command::ReencryptBegin`].
    ReencryptBegun(Box<ReencryptBegun>),
    /// To [`Command::ReencryptCommit`].
    Reencrypted(Box<Reencrypted>),
    /// To [`Command::RunStart`].
    RunStarted(Box<RunStarted>),
    /// To [`Command::RunRenew`].
    RunRenewed(RunRenewed),
    /// To [`Command::Prints`].
    Printed(Box<Printed>),
    /// To [`Command::List`].
    List(ListPage),
    /// To [`Command::Show`].
    Version(Box<VersionItem>),
    /// To [`Command::History`].
    Versions {
        /// Newest first.
        items: Vec<VersionItem>,
        /// Where to go on.
        next: Option<u64>,
    },
    /// To [`Command::AliasSet`] and [`Command::AliasRemove`].
    AliasMoved(Box<AliasMoved>),
    /// To [`Command::AliasList`].
    Aliases {
        /// By name.
        items: Vec<AliasItem>,
    },
    /// To [`Command::AliasHistory`].
    AliasMoves {
        /// Newest first.
        items: Vec<AliasMove>,
        /// Where to go on.
        next: Option<u64>,
    },
    /// To [`Command::Remove`] and [`Command::Restore`].
    Removal(Box<Removal>),
    /// To [`Command::Retention`] and [`Command::RetentionSet`].
    Retention(Box<RetentionReport>),
    /// To [`Command::HoldSet`] and [`Command::HoldLift`].
    HoldMoved(Box<HoldMoved>),
    /// To [`Command::Holds`].
    Holds {
        /// By artifact and name.
        items: Vec<HoldItem>,
    },
    /// To [`Command::Lineage`].
    Lineage(Box<Lineage>),
    /// To [`Command::WhoAmI`].
    WhoAmI(Box<WhoAmI>),
    /// To [`Command::WhoCan`].
    WhoCan(Box<WhoCanPage>),
    /// To [`Command::WhoDid`].
    WhoDid {
        /// Newest first.
        items: Vec<Deed>,
        /// Where to go on.
        next: Option<u64>,
    },
    /// To [`Command::DecisionShow`].
    Decision(Box<DecisionTold>),
    /// To [`Command::Explain`].
    Explained(Box<Refusal>),
    /// To [`Command::Status`].
    Status(Box<Status>),
    /// To [`Command::KeyList`].
    Keys(KeyList),
    /// To [`Command::KeyRotate`].
    Rotated(KeyRotated),
    /// To [`Command::KeyMove`].
    KeyMoved(Box<KeyMoved>),
    /// To [`Command::KeyArchive`] and [`Command::KeyUnarchive`].
    KeyArchived(Box<KeyArchived>),
    /// To [`Command::KeyDestroy`] and [`Command::KeySpare`].
    KeyDestroying(Box<KeyDestroying>),
    /// To [`Command::KeyCertificate`].
    Certificate(Box<Certificate>),
    /// To [`Command::NamedKeyMake`].
    NamedKeyMade(Box<NamedKeyMade>),
    /// To [`Command::Encrypt`] and [`Command::Renew`].
    Encrypted(Box<Encrypted>),
    /// To [`Command::Decrypt`].
    Decrypted(Box<Decrypted>),
    /// To [`Command::Incidents`].
    Incidents(IncidentList),
    /// To [`Command::IncidentShow`] and what changes an incident.
    Incident(Box<IncidentTold>),
    /// To [`Command::IncidentEvidence`].
    Evidence(EvidenceWritten),
    /// To [`Command::RootList`].
    Roots(RootList),
    /// To [`Command::RootDrill`].
    RootsDrilled(RootDrills),
    /// To [`Command::RootRemove`].
    RootRemoved(RootRemoved),
    /// To [`Command::RootSet`].
    RootChanged(Box<RootChanged>),
    /// To [`Command::PrincipalAdd`].
    Principal(Box<PrincipalItem>),
    /// To [`Command::PrincipalErase`].
    PrincipalErased(Box<PrincipalErased>),
    /// To [`Command::PrincipalList`].
    Principals {
        /// By name.
        items: Vec<PrincipalItem>,
    },
    /// To [`Command::PolicyShow`].
    Policy(PolicyShown),
    /// To [`Command::PolicyCheck`].
    PolicyChecked(PolicyChecked),
    /// To [`Command::PolicyApply`].
    PolicyApplied(PolicyApplied),
    /// To [`Command::KeyCheck`].
    KeyChecked(Box<KeyChecked>),
    /// To [`Command::KeyPlan`].
    KeyPlanned(Box<KeyPlanned>),
    /// To [`Command::WrapsMend`].
    WrapsMended(WrapsMended),
    /// To [`Command::SuitesShow`].
    Suites(SuitesShown),
    /// To [`Command::Audit`].
    Audit(AuditPage),
    /// To [`Command::AuditShow`].
    Entry(Box<AuditItem>),
    /// To [`Command::AuditProve`].
    Proof {
        /// The `.tlog-proof` text.
        proof: String,
        /// Index in the log.
        log_index: u64,
    },
    /// To [`Command::AuditVerify`].
    LogVerified(LogVerified),
    /// To [`Command::ClockAccept`].
    ClockAccepted(ClockAccepted),
    /// To [`Command::StateVerify`].
    StateVerified(StateVerified),
    /// To [`Command::DecisionsReplay`].
    DecisionsReplayed(DecisionsReplayed),
    /// To [`Command::BackupCreate`].
    BackupMade(Box<BackupMade>),
    /// To [`Command::CollectMark`].
    Collect(CollectPlan),
    /// To [`Command::CollectDone`].
    Collected(Collected),
    /// To [`Command::Jobs`].
    Jobs(JobList),
    /// To [`Command::JobsRun`].
    JobsRan(JobsRan),
    /// To [`Command::Depots`].
    Depots(DepotList),
    /// To [`Command::DepotCompare`].
    DepotCompared(DepotCompared),
    /// To [`Command::DepotAdd`] and [`Command::DepotRemove`].
    DepotMoved(Box<DepotMoved>),
    /// To [`Command::Objects`].
    Objects {
        /// In order of id.
        items: Vec<StoredObject>,
        /// Where to go on.
        next: Option<crate::terms::ObjectId>,
    },
}

#[cfg(test)]
mod tests;
