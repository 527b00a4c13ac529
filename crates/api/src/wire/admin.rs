//! Vault, keys, principals, policy.

use super::{DepotItem, Freshness, Receipt, Restores, hex_bytes};
use crate::terms::{
    Class, Environment, KeyId, KeyState, Mode, Name, PrincipalId, PrincipalKind, Suite, Timestamp, VaultId, VersionId,
};
use std::collections::BTreeMap;

/// What a client pins at enrolment.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct VaultInfo {
    /// The vault.
    pub vault: VaultId,
    /// Its mode.
    pub mode: Mode,
    /// The suite of its own keys: the first guess of a client that does not know better.
    pub suite: Suite,
    /// Ed25519 public key that signs envelopes, 32 bytes.
    #[serde(with = "hex_bytes")]
    pub release_key: Vec<u8>,
    /// C2SP vkeys of the log: Ed25519, ML-DSA-44.
    pub log_keys: Vec<String>,
    /// `strongroom/<vault id>/<log number>`.
    pub origin: String,
}

/// `status`.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Status {
    /// The vault.
    pub vault: VaultInfo,
    /// Who is acting.
    pub principal: String,
    /// Workspaces, artifacts, versions.
    pub workspaces: u64,
    /// Artifacts.
    pub artifacts: u64,
    /// Versions.
    pub versions: u64,
    /// Entries in the tree.
    pub log_size: u64,
    /// Entries not integrated yet.
    pub log_pending: u64,
    /// Whether the anchor agrees.
    pub freshness: Freshness,
    /// Why the vault is read-only, if it is.
    pub read_only: Option<String>,
    /// Domain keys past their cryptoperiod.
    pub keys_due: u64,
    /// Incidents that are not closed, as far as whoever asks may know of them.
    pub incidents: Vec<super::IncidentItem>,
    /// Versions being written by somebody.
    pub drafts: u64,
    /// Jobs whose time has come, by name.
    pub jobs_overdue: Vec<String>,
    /// Roots.
    pub roots: Vec<RootItem>,
    /// Depots, the primary first.
    pub depots: Vec<DepotItem>,
    /// Objects that are to leave the depots, and did not leave all of them yet.
    pub to_delete: u64,
    /// When every version was looked at last, or a sample of each, and found well.
    pub verified: Option<Timestamp>,
    /// When the last backup was made.
    pub backed_up: Option<Timestamp>,
    /// What became of the vault by restoring it, if it was.
    pub restored: Option<Restores>,
    /// How the domain keys and archive keys stand.
    pub keys: KeysStand,
    /// The keeper's time.
    pub now: Timestamp,
    /// Policy set hash, hexadecimal.
    pub policy_set: String,
}

/// A root.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct RootItem {
    /// Its id.
    pub id: KeyId,
    /// `keyfile`, `passphrase`, `recovery`, `pkcs11`, `aws-kms` or `escrow`.
    pub kind: String,
    /// What it counts as to the policies.
    pub term: crate::terms::RootKind,
    /// In which order roots are asked: the lowest first.
    pub priority: u32,
    /// `active`; `behind`, if keys were made while it did not answer; `joining` or `retired` for a moment.
    pub state: String,
    /// When it was added.
    pub created: Timestamp,
    /// Keys that it wraps.
    pub wraps: u64,
    /// Keys that it may wrap and does not.
    pub lacks: u64,
    /// It opens nothing in daily life.
    pub only_wraps: bool,
    /// Whether what answered has something to open it with.
    pub at_hand: bool,
    /// How often what answered asked it to wrap or to open, if it is a token or a service.
    pub calls: u64,
    /// That it did not open what it should.
    pub failing: Option<RootFailing>,
    /// When it opened everything that it wraps, as a drill.
    pub drilled: Option<Timestamp>,
    /// The root that it takes the place of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<KeyId>,
}

/// What is wrong with a root.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct RootFailing {
    /// Since when.
    pub since: Timestamp,
    /// What it said.
    pub why: String,
}

/// `root ls`.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct RootList {
    /// In the order in which they are asked.
    pub roots: Vec<RootItem>,
}

/// What became of `root add`.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct RootAdded {
    /// The new root.
    pub root: RootItem,
    /// Domain keys that were wrapped under it.
    pub wrapped: u64,
    /// Domain keys that it lacks because what opens them is not at hand; a job wraps them when it is.
    pub locked: u64,
    /// The receipt.
    pub receipt: super::Receipt,
}

/// What became of `escrow create`.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct EscrowMade {
    /// The escrow, as a root.
    pub root: RootItem,
    /// How many there were of the vault, it included; the shares of earlier ones are outdated.
    pub generation: u16,
    /// Shares that were made.
    pub shares: u8,
    /// How many bring it back.
    pub threshold: u8,
    /// Domain keys that were wrapped under it.
    pub wrapped: u64,
    /// Domain keys that it lacks because what opens them is not at hand.
    pub locked: u64,
    /// The receipt.
    pub receipt: super::Receipt,
}

/// What became of `escrow rehearse`.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct EscrowRehearsed {
    /// The escrow, as a root.
    pub root: RootItem,
    /// The shares that took part, by number.
    pub shares: Vec<u8>,
    /// Keys that they opened.
    pub keys: u64,
    /// The receipt.
    pub receipt: super::Receipt,
}

/// `root remove`.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct RootRemove {
    /// Which.
    pub root: KeyId,
    /// The root that takes its place: it must open everything that it is to open, tried just then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<KeyId>,
}

/// `root set`.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct RootSet {
    /// Which.
    pub root: KeyId,
    /// The lowest is asked first.
    pub priority: u32,
}

/// What became of it.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct RootChanged {
    /// The root.
    pub root: RootItem,
    /// The receipt; none if it was so already.
    pub receipt: Option<super::Receipt>,
}

/// What became of it.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct RootRemoved {
    /// Which.
    pub root: KeyId,
    /// Its kind.
    pub kind: String,
    /// How many wraps were removed.
    pub wraps: u64,
    /// The receipt.
    pub receipt: super::Receipt,
}

/// `root drill`.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct RootDrills {
    /// No root failed.
    pub ok: bool,
    /// Each root.
    pub items: Vec<RootDrilled>,
}

/// What a root did in a drill.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct RootDrilled {
    /// The root, after it.
    pub root: RootItem,
    /// How it went.
    pub outcome: RootOutcome,
    /// Keys that it opened.
    pub keys: u64,
    /// Why it failed, or was left out.
    pub why: Option<String>,
}

/// How a drill went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RootOutcome {
    /// It opened everything that it wraps.
    Opens,
    /// It did not.
    Fails,
    /// What answered has nothing to open it with.
    Away,
    /// It opens nothing in daily life: a code, an escrow.
    OnlyWraps,
}

/// `key ls`, `key show`.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct KeyList {
    /// In order of purpose, workspace, environment, class, version.
    pub keys: Vec<KeyItem>,
    /// The keeper's time.
    pub now: Timestamp,
}

/// A key, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KeyItem {
    /// Identity.
    pub id: KeyId,
    /// `domain`, `archive`, `named`, `log-ed25519`, `log-mldsa44`, `release`, `row-mac`, `field`.
    pub purpose: String,
    /// Of a named key.
    pub name: Option<String>,
    /// Of a domain key, or of a named one.
    pub workspace: Option<String>,
    /// Of a domain key.
    pub environment: Option<Environment>,
    /// Of a domain key.
    pub class: Option<Class>,
    /// From 1.
    pub version: u32,
    /// NIST SP 800-57 state: `active`, `deactivated`, ...
    pub state: String,
    /// Hexadecimal fingerprint.
    pub fingerprint: String,
    /// Made.
    pub created: Timestamp,
    /// Since when it is in its state.
    pub since: Timestamp,
    /// Rotation due.
    pub due: Option<Timestamp>,
    /// Keys wrapped under it.
    pub wraps: u64,
    /// It is to be destroyed: after this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<Timestamp>,
    /// Of a domain key: wraps that were ever made under it.
    pub uses: Option<u64>,
    /// Of a domain key: from so many on it is renewed.
    pub uses_early: Option<u64>,
    /// Of a domain key: it makes no more.
    pub uses_max: Option<u64>,
    /// When a job renews it, if nobody does before.
    pub renewed: Option<Timestamp>,
}

impl KeyItem {
    /// Whether its time or its uses are over before then, or it waits for somebody until it can be renewed.
    pub fn is_due(&self, by: Timestamp) -> bool {
        let spent = self.uses.zip(self.uses_early).is_some_and(|(uses, early)| uses >= early);
        self.due.is_some_and(|due| due <= by) || self.due.is_some() && spent
    }
}

/// How the domain keys stand to their cryptoperiods and bounds.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KeysStand {
    /// Those that write.
    pub active: u64,
    /// Of these, those whose time is over within 30 days.
    pub due_soon: u64,
    /// Of these, those whose time or uses are over.
    pub overdue: u64,
    /// Those that were suspended, which nothing renews.
    pub suspended: u64,
    /// Version keys that lie in an archive.
    pub archived: u64,
    /// When the first one's time is over.
    pub next_due: Option<Timestamp>,
    /// What the next date brings that leaves a domain without a root at hand.
    pub away: Option<KeysAway>,
}

/// Domains whose next key nobody at hand may wrap from a date of the table on: what seals there stops then.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KeysAway {
    /// From when on; one that is past, if it is so already.
    pub from: Timestamp,
    /// How many there are.
    pub domains: u64,
    /// The first 8 of them, `workspace/environment/class`.
    pub of: Vec<String>,
}

/// Move a key to another state.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct KeyMove {
    /// A domain key, a version's, or a version of a named key.
    pub key: KeyId,
    /// `suspended`, or `active` to resume it.
    pub to: KeyState,
    /// Why; in the log, under a salted commitment.
    pub reason: String,
}

/// A key that was moved.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct KeyMoved {
    /// The key.
    pub key: KeyId,
    /// What it was.
    pub from: KeyState,
    /// What it is.
    pub to: KeyState,
    /// What it belongs to: `workspace/environment/class`, `workspace/artifact@vN`, or `workspace/name vN` of a
    /// named key.
    pub of: String,
    /// Where the log says so; none if it was so already.
    pub receipt: Option<Receipt>,
}

/// Move the keys of versions to the archive of their domain, or take them back into use.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct KeyArchive {
    /// The versions, at most 1,024.
    pub versions: Vec<VersionId>,
    /// Why; in the log, under a salted commitment.
    pub reason: String,
}

/// Keys that were moved.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct KeyArchived {
    /// Their versions.
    pub moved: Vec<String>,
    /// How many were there already.
    pub already: u64,
    /// Versions in use that name packs of those that were archived, if it is about at most 64: what they share opens by these.
    pub shared_with: Vec<String>,
    /// Where the log says so, one for each batch.
    pub receipts: Vec<Receipt>,
}

/// Set a key's end.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct KeyDestroy {
    /// A domain key or a version's.
    pub key: KeyId,
    /// Why; in the log, under a salted commitment.
    pub reason: String,
    /// What the key belongs to, typed again, where the class wants that.
    pub confirm: Option<String>,
}

/// Cancel it.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct KeySpare {
    /// The key.
    pub key: KeyId,
    /// Why; in the log, under a salted commitment.
    pub reason: String,
}

/// A key that is to be destroyed, or is spared.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct KeyDestroying {
    /// The key.
    pub key: KeyId,
    /// What it belongs to: `workspace/environment/class`, or a version.
    pub of: String,
    /// When it is destroyed; none if it is spared.
    pub until: Option<Timestamp>,
    /// How many versions nothing opens any more then.
    pub versions: u64,
    /// Where the log says so; none if it was so already.
    pub receipt: Option<Receipt>,
}

/// A certificate of destruction, or a part of one (`spec/keys.md#certificates`).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Certificate {
    /// How many parts there are, the head not counted.
    pub parts: u32,
    /// What was asked for.
    pub text: String,
    /// With the head: the entry that holds its digest.
    pub entry: Option<String>,
    /// With the head: that the entry is in the log.
    pub proof: Option<String>,
}

/// Which keys to rotate: all domain keys that match, and the named keys in them; or one named key.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct KeyRotate {
    /// Only this domain key, archive key or named key, and nothing else of this but the pace.
    #[serde(default)]
    pub key: Option<KeyId>,
    /// Of this workspace.
    pub workspace: Option<Name>,
    /// Of this environment.
    pub environment: Option<Environment>,
    /// Of this class.
    pub class: Option<Class>,
    /// Only the named key of this name, in the workspace.
    pub name: Option<Name>,
    /// Return when the new version writes; the re-wrap goes on with later commands.
    pub no_wait: bool,
    /// Only those that are out of policy, or whose time is over.
    #[serde(default)]
    pub out_of_policy: bool,
    /// Wrap at most so many keys again in a second, from 1; as many as can be if none.
    #[serde(default)]
    pub per_second: Option<u32>,
}

/// Rotation, so far.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct KeyRotated {
    /// New key versions, and those that an unfinished rotation made.
    pub keys: Vec<KeyItem>,
    /// The key that was named had been rotated before: these came after it.
    #[serde(default)]
    pub already: bool,
    /// Version keys wrapped again by this call.
    pub rewrapped: u64,
    /// Version keys still under an older version.
    pub remaining: u64,
    /// Domains that were meant and left alone, because their key is suspended.
    pub suspended: Vec<String>,
    /// Domains whose next key could not be made, or where something could not be wrapped again; others were not kept from it.
    pub failed: Vec<KeyUnmade>,
    /// Where the log says so.
    pub receipts: Vec<Receipt>,
}

/// A domain whose key was not rotated, or not to its end.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct KeyUnmade {
    /// `workspace/environment/class`, for its archive with `/archive`; of a named key `workspace/name`.
    pub of: String,
    /// Why.
    pub problem: super::Problem,
}

/// Add a principal, or change what is named of one: nothing else of it changes.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct PrincipalAdd {
    /// Name.
    pub name: Name,
    /// Kind; of a new principal else a user.
    pub kind: Option<PrincipalKind>,
    /// Clearance; of a new principal else internal.
    pub clearance: Option<Class>,
    /// Roles that it gets; one that it holds gets the end named here.
    pub grants: Vec<GrantSpec>,
    /// Roles that it loses, before it gets others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revoke: Vec<Revocation>,
    /// Suspended principals are refused everything; a new one is else active.
    pub suspended: Option<bool>,
    /// The principal exists already and is changed; else an existing name is a conflict.
    pub change: bool,
}

/// A role in a workspace, for a time.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct GrantSpec {
    /// The workspace.
    pub workspace: Name,
    /// The role (`spec/policy.md`).
    pub role: String,
    /// The end.
    pub until: Option<Timestamp>,
}

/// Roles taken away: one in a workspace, or all of them there.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Revocation {
    /// The workspace.
    pub workspace: Name,
    /// The role; none means every one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

/// A principal.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct PrincipalItem {
    /// Identity.
    pub id: PrincipalId,
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: PrincipalKind,
    /// Clearance.
    pub clearance: Class,
    /// Suspended.
    pub suspended: bool,
    /// When it was erased; its name is its id then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<Timestamp>,
    /// Roles.
    pub grants: Vec<GrantSpec>,
}

/// Erase somebody who is suspended: the name, and the key of all that is personal of them.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct PrincipalErase {
    /// Name.
    pub name: Name,
    /// Why; it stays in the log, and does not say the name.
    pub reason: String,
}

/// Somebody was erased.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct PrincipalErased {
    /// Who; the log knows no other name.
    pub id: PrincipalId,
    /// Roles that ended.
    pub grants: u64,
    /// Runs that were under way, and are not any more.
    pub runs: u64,
    /// Values of the log's sidecar that went.
    pub values: u64,
    /// The last backup of before, which a root still opens; none if there is none.
    pub backup: Option<Timestamp>,
    /// The database has forgotten the bytes too; else a job sees to it.
    pub finished: bool,
    /// What kept it from being finished, if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<String>,
    /// Where the log says so.
    pub receipt: Receipt,
}

/// The policy set in force.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct PolicyShown {
    /// Hash of the set, hexadecimal.
    pub hash: String,
    /// Sources by file name; `baseline/` ones are pinned.
    pub sources: BTreeMap<String, String>,
}

/// Check a policy set: `policy lint`, `policy test`.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct PolicyCheck {
    /// The organisation's sources by file name; none means the set in force.
    pub sources: Option<BTreeMap<String, String>>,
    /// The text of a file of cases (`spec/policy.md`); none means lint only.
    pub cases: Option<String>,
}

/// Replace the organisation's part of the set.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct PolicyApply {
    /// Sources by file name, without the baseline.
    pub sources: BTreeMap<String, String>,
    /// The hash of the set this change was made against; another one in force is a conflict.
    pub base: Option<String>,
}

/// Move the vault to this program's baseline.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct BaselineApply {
    /// Sources by file name, without the baseline; none: those that are in force.
    pub sources: Option<BTreeMap<String, String>>,
    /// The hash of the set this change was made against; another one in force is a conflict.
    pub base: Option<String>,
}

/// Which suite seals what.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct SuitesShown {
    /// The table in force, TOML as in `baseline/crypto.toml`.
    pub table: String,
    /// Whether it is the organisation's own.
    pub own: bool,
    /// What it shuts for good, if it was asked about or just put in force.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub warnings: Vec<String>,
    /// Where the log says so, if it was just put in force.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub receipt: Option<Receipt>,
}

/// A new set is in force.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct PolicyApplied {
    /// Its hash.
    pub hash: String,
    /// Where the log says so.
    pub receipt: Receipt,
}
