//! Commands that go to the keeper and nowhere else.

use crate::Client;
use crate::seat::unexpected;
use api::terms::Code;
use api::terms::{KeyId, Name};
use api::wire::{
    Answer, AuditFilter, AuditItem, AuditPage, BaselineApply, Certificate, ClockAccepted, Command, DecisionsReplayed,
    Decrypt, Decrypted, Encrypt, Encrypted, Explain, JobList, KeyArchive, KeyArchived, KeyDestroy, KeyDestroying,
    KeyItem, KeyList, KeyMove, KeyMoved, KeyRotate, KeyRotated, KeySpare, ListPage, ListQuery, LogVerified,
    NamedKeyMade, NamedKeyMake, PolicyApplied, PolicyApply, PolicyCheck, PolicyChecked, PolicyShown, PrincipalAdd,
    PrincipalErase, PrincipalErased, PrincipalItem, Problem, Refusal, StateVerified, Status, SuitesShown, VersionItem,
};
use std::path::Path;

/// Calls, and takes the one answer that fits.
macro_rules! ask {
    ($self:ident, $command:expr, $pattern:pat => $value:expr) => {
        match $self.seat().call($command)? {
            $pattern => Ok($value),
            other => Err(unexpected(&other)),
        }
    };
}

impl Client {
    /// The state of the vault.
    ///
    /// # Errors
    /// The keeper's refusal, as for every method here.
    pub fn status(&self) -> Result<Status, Problem> {
        ask!(self, Command::Status, Answer::Status(status) => *status)
    }

    /// Jobs, and when each is due.
    ///
    /// # Errors
    /// The keeper's refusal.
    pub fn jobs(&self) -> Result<JobList, Problem> {
        ask!(self, Command::Jobs, Answer::Jobs(jobs) => jobs)
    }

    /// A page of workspaces, or of artifacts of one.
    ///
    /// # Errors
    /// `not-found`, `denied`.
    pub fn names(&self, query: ListQuery) -> Result<ListPage, Problem> {
        ask!(self, Command::List(query), Answer::List(page) => page)
    }

    /// The metadata of one version.
    ///
    /// # Errors
    /// `not-found`, `denied`.
    pub fn show(&self, reference: &str) -> Result<VersionItem, Problem> {
        self.seat().show(reference)
    }

    /// Versions of an artifact, newest first, and where to go on.
    ///
    /// # Errors
    /// `not-found`, `denied`.
    pub fn history(
        &self,
        reference: &str,
        before: Option<u64>,
        limit: u32,
    ) -> Result<(Vec<VersionItem>, Option<u64>), Problem> {
        let command = Command::History { reference: reference.to_owned(), before, limit };
        ask!(self, command, Answer::Versions { items, next } => (items, next))
    }

    /// What would be decided, without acting.
    ///
    /// # Errors
    /// `not-found`, `denied`.
    pub fn explain(&self, question: Explain) -> Result<Refusal, Problem> {
        ask!(self, Command::Explain(question), Answer::Explained(refusal) => *refusal)
    }

    /// All keys.
    ///
    /// # Errors
    /// `denied`.
    pub fn keys(&self) -> Result<KeyList, Problem> {
        ask!(self, Command::KeyList, Answer::Keys(keys) => keys)
    }

    /// The one key whose id begins so.
    ///
    /// # Errors
    /// `not-found`; `conflict` if several do.
    pub fn key(&self, id: &str) -> Result<KeyItem, Problem> {
        let what = format!("no key `{}`", id.chars().take(64).collect::<String>());
        let mut hits = self.keys()?.keys.into_iter().filter(|key| !id.is_empty() && key.id.to_string().starts_with(id));
        match (hits.next(), hits.next()) {
            (Some(key), None) => Ok(key),
            (Some(_), Some(_)) => Err(Problem::new(Code::Conflict, what, "several keys begin so")),
            _ => Err(Problem::new(Code::NotFound, what, "no key has this id").with_try("strongroom key ls")),
        }
    }

    /// Rotates domain keys.
    ///
    /// # Errors
    /// `denied`, `not-found`.
    pub fn rotate(&self, which: KeyRotate) -> Result<KeyRotated, Problem> {
        ask!(self, Command::KeyRotate(which), Answer::Rotated(rotated) => rotated)
    }

    /// Suspends a key, or resumes it.
    ///
    /// # Errors
    /// `denied`, `not-found`; `conflict` if its state does not lead there.
    pub fn key_move(&self, wanted: KeyMove) -> Result<KeyMoved, Problem> {
        ask!(self, Command::KeyMove(wanted), Answer::KeyMoved(moved) => *moved)
    }

    /// Moves the keys of versions to the archive of their domain.
    ///
    /// # Errors
    /// `denied`, `not-found`; `gone` if a key opens nothing now, or the version was removed.
    pub fn key_archive(&self, wanted: KeyArchive) -> Result<KeyArchived, Problem> {
        ask!(self, Command::KeyArchive(wanted), Answer::KeyArchived(moved) => *moved)
    }

    /// Takes them back into use.
    ///
    /// # Errors
    /// As [`Client::key_archive`].
    pub fn key_unarchive(&self, wanted: KeyArchive) -> Result<KeyArchived, Problem> {
        ask!(self, Command::KeyUnarchive(wanted), Answer::KeyArchived(moved) => *moved)
    }

    /// Sets a key's end: it opens nothing from then on, and after its class's waiting time it is destroyed.
    ///
    /// # Errors
    /// `denied`, `approval-needed`, `not-found`; `conflict` if it is gone already, or an alias points to its version.
    pub fn key_destroy(&self, wanted: KeyDestroy) -> Result<KeyDestroying, Problem> {
        ask!(self, Command::KeyDestroy(wanted), Answer::KeyDestroying(set) => *set)
    }

    /// Cancels that.
    ///
    /// # Errors
    /// `denied`, `not-found`; `conflict` if there is nothing to cancel.
    pub fn key_spare(&self, wanted: KeySpare) -> Result<KeyDestroying, Problem> {
        ask!(self, Command::KeySpare(wanted), Answer::KeyDestroying(set) => *set)
    }

    /// A certificate of destruction: the head with its entry and proof as part 0, then the parts that the head names.
    ///
    /// # Errors
    /// `denied`, `not-found`; `conflict` as long as there is none.
    pub fn certificate(&self, key: KeyId, part: u32) -> Result<Certificate, Problem> {
        ask!(self, Command::KeyCertificate { key, part }, Answer::Certificate(told) => *told)
    }

    /// Makes a named key.
    ///
    /// # Errors
    /// `denied`, `not-found`; `conflict` if there is one of this name.
    pub fn key_create(&self, wanted: NamedKeyMake) -> Result<NamedKeyMade, Problem> {
        ask!(self, Command::NamedKeyMake(wanted), Answer::NamedKeyMade(made) => *made)
    }

    /// Seals a small value. The keeper does it: its key does not leave.
    ///
    /// # Errors
    /// `denied`, `not-found`, `gone`; `bad-request` for a value or a context out of bounds.
    pub fn encrypt(&self, wanted: Encrypt) -> Result<Encrypted, Problem> {
        ask!(self, Command::Encrypt(wanted), Answer::Encrypted(done) => *done)
    }

    /// Opens a small value.
    ///
    /// # Errors
    /// `denied`, `not-found`, `gone`; `integrity` for another context or an altered token; `conflict` for one of another vault.
    pub fn decrypt(&self, wanted: Decrypt) -> Result<Decrypted, Problem> {
        ask!(self, Command::Decrypt(wanted), Answer::Decrypted(done) => *done)
    }

    /// Seals a small value again under the newest version of its key, without showing it.
    ///
    /// # Errors
    /// As [`Self::decrypt`].
    pub fn renew(&self, wanted: Decrypt) -> Result<Encrypted, Problem> {
        ask!(self, Command::Renew(wanted), Answer::Encrypted(done) => *done)
    }

    /// Adds or changes a principal.
    ///
    /// # Errors
    /// `denied`, `conflict`, `not-found`.
    pub fn principal_add(&self, add: PrincipalAdd) -> Result<PrincipalItem, Problem> {
        ask!(self, Command::PrincipalAdd(add), Answer::Principal(item) => *item)
    }

    /// Erases a principal who is suspended.
    ///
    /// # Errors
    /// `denied`, `conflict`, `not-found`.
    pub fn principal_erase(&self, erase: PrincipalErase) -> Result<PrincipalErased, Problem> {
        ask!(self, Command::PrincipalErase(erase), Answer::PrincipalErased(done) => *done)
    }

    /// All principals.
    ///
    /// # Errors
    /// `denied`.
    pub fn principals(&self) -> Result<Vec<PrincipalItem>, Problem> {
        ask!(self, Command::PrincipalList, Answer::Principals { items } => items)
    }

    /// One principal.
    ///
    /// # Errors
    /// `not-found`, `denied`.
    pub fn principal(&self, name: &Name) -> Result<PrincipalItem, Problem> {
        let found = self.principals()?.into_iter().find(|item| item.name == name.as_str());
        found.ok_or_else(|| {
            Problem::new(Code::NotFound, format!("no principal `{name}`"), "nobody has this name")
                .with_try("strongroom principal ls")
        })
    }

    /// The policy set in force.
    ///
    /// # Errors
    /// `denied`.
    pub fn policy(&self) -> Result<PolicyShown, Problem> {
        ask!(self, Command::PolicyShow, Answer::Policy(shown) => shown)
    }

    /// Checks policy sources, and runs cases against them.
    ///
    /// # Errors
    /// `denied`, `bad-request`.
    pub fn policy_check(&self, check: PolicyCheck) -> Result<PolicyChecked, Problem> {
        ask!(self, Command::PolicyCheck(check), Answer::PolicyChecked(checked) => checked)
    }

    /// Replaces the organisation's part of the policy set.
    ///
    /// # Errors
    /// `denied`, `conflict`, `bad-request` for sources that do not validate.
    pub fn policy_apply(&self, apply: PolicyApply) -> Result<PolicyApplied, Problem> {
        ask!(self, Command::PolicyApply(apply), Answer::PolicyApplied(applied) => applied)
    }

    /// Moves the vault to this program's baseline.
    ///
    /// # Errors
    /// `denied`, `conflict` if it has it, `bad-request` for sources that do not validate under it.
    pub fn baseline_apply(&self, apply: BaselineApply) -> Result<PolicyApplied, Problem> {
        ask!(self, Command::BaselineApply(apply), Answer::PolicyApplied(applied) => applied)
    }

    /// The table that says which suite seals what.
    ///
    /// # Errors
    /// `denied`.
    pub fn suites(&self) -> Result<SuitesShown, Problem> {
        ask!(self, Command::SuitesShow, Answer::Suites(shown) => shown)
    }

    /// What a table would shut for good.
    ///
    /// # Errors
    /// As [`Self::suites_apply`].
    pub fn suites_look(&self, table: String) -> Result<SuitesShown, Problem> {
        ask!(self, Command::SuitesLook { table }, Answer::Suites(shown) => shown)
    }

    /// Puts a table in the place of the one in force; an empty one is the baseline's.
    ///
    /// # Errors
    /// `denied`; `bad-request` for what is no table; `conflict` for another suite of the vault's own keys, and for a table that leaves
    /// keys without a root that opens them, unless that is wanted.
    pub fn suites_apply(&self, table: String, lockout: bool) -> Result<SuitesShown, Problem> {
        ask!(self, Command::SuitesApply { table, lockout }, Answer::Suites(shown) => shown)
    }

    /// Entries of the log.
    ///
    /// # Errors
    /// `denied`.
    pub fn audit(&self, filter: AuditFilter) -> Result<AuditPage, Problem> {
        ask!(self, Command::Audit(filter), Answer::Audit(page) => page)
    }

    /// One entry.
    ///
    /// # Errors
    /// `not-found`, `denied`.
    pub fn audit_entry(&self, entry: &str) -> Result<AuditItem, Problem> {
        ask!(self, Command::AuditShow { entry: entry.to_owned() }, Answer::Entry(item) => *item)
    }

    /// The text of a proof that an entry is in the log, and its index.
    ///
    /// # Errors
    /// `not-found`, `denied`.
    pub fn audit_proof(&self, entry: &str) -> Result<(String, u64), Problem> {
        let command = Command::AuditProve { entry: entry.to_owned() };
        ask!(self, command, Answer::Proof { proof, log_index } => (proof, log_index))
    }

    /// Derives the whole log again.
    ///
    /// # Errors
    /// `denied`; what does not hold is in the answer.
    pub fn audit_verify(&self) -> Result<LogVerified, Problem> {
        ask!(self, Command::AuditVerify, Answer::LogVerified(verified) => verified)
    }

    /// Makes a missing anchor: the caller says that this log is the newest one. Then as [`Self::audit_verify`].
    ///
    /// # Errors
    /// `denied`; `integrity` for a log that does not verify.
    pub fn anchor_make(&self) -> Result<LogVerified, Problem> {
        ask!(self, Command::AnchorMake, Answer::LogVerified(verified) => verified)
    }

    /// Takes the machine's clock as right, ahead of what the vault was told or behind it.
    ///
    /// # Errors
    /// `denied`.
    pub fn clock_accept(&self) -> Result<ClockAccepted, Problem> {
        ask!(self, Command::ClockAccept, Answer::ClockAccepted(accepted) => accepted)
    }

    /// Rebuilds the state from the log and compares.
    ///
    /// # Errors
    /// `denied`; what does not hold is in the answer.
    pub fn state_verify(&self) -> Result<StateVerified, Problem> {
        ask!(self, Command::StateVerify, Answer::StateVerified(verified) => verified)
    }

    /// Makes every decision in the log again and compares.
    ///
    /// # Errors
    /// `denied`; what does not hold is in the answer.
    pub fn decisions_replay(&self) -> Result<DecisionsReplayed, Problem> {
        ask!(self, Command::DecisionsReplay, Answer::DecisionsReplayed(replayed) => replayed)
    }

    /// Writes the log out in the tlog-tiles layout.
    ///
    /// # Errors
    /// `conflict` if the folder holds something.
    pub fn audit_export(&self, folder: &Path) -> Result<(), Problem> {
        let bad = |why: String| Problem::new(Code::BadRequest, "cannot export the log", why);
        // An agent stands in another folder than this process.
        let folder = std::path::absolute(folder).map_err(|e| bad(e.to_string()))?;
        let folder = folder.to_str().ok_or_else(|| bad("the folder's name is not UTF-8".to_owned()))?.to_owned();
        ask!(self, Command::AuditExport { folder }, Answer::Done => ())
    }
}
