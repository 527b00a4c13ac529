//! The roots of an opened vault, in the order in which they are asked: those that open here, those that only wrap, and those that do
//! not answer. One that fails is left alone for a while, and the next one is asked.

use super::{KeyfileRoot, RecoveryWrapper, RootProvider, Secret, Wrapper};
use crate::datastore::Transaction;
use crate::error::{Error, Result};
use crate::rows::{Domain, Guard, Root, Wrap};
use crate::suites::Suites;
use crate::vault::file::VaultFile;
use crate::vault::{RootKind, RootMeans, RootUnlock, open};
use api::terms::{KeyId, RootKind as Term, Suite};
use seal::wrap::WrapContext;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// How long a root that failed is asked last.
const LEFT_ALONE: Duration = Duration::from_secs(30);

/// Every root that counts.
#[derive(Debug)]
pub(crate) struct Roots {
    dir: PathBuf,
    suite: Suite,
    /// Which of them may wrap and open what.
    pub(crate) suites: Arc<Suites>,
    members: RwLock<Vec<Arc<Member>>>,
    /// What was found out about roots since it was last written down.
    found: Mutex<BTreeMap<KeyId, Finding>>,
}

/// What was found out about a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finding {
    /// It opens what it wraps.
    Answers,
    /// It does not, and why.
    Fails(String),
}

/// One root.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) id: KeyId,
    pub(crate) kind: RootKind,
    pub(crate) term: Term,
    /// What it wraps with while it is not opened.
    pub(crate) public: Option<Arc<RecoveryWrapper>>,
    reach: Mutex<Reach>,
}

/// How far one has come with a root.
#[derive(Debug)]
struct Reach {
    open: Option<Arc<dyn RootProvider>>,
    /// What may open it: a key file that is not bound to a root may be another one's.
    means: Vec<Arc<RootMeans>>,
    failed: Option<(Instant, Error)>,
}

/// Something that one root wrapped: where, and what.
pub(crate) struct Wrapped<'a> {
    pub(crate) key: KeyId,
    /// The place of a domain key; none for one of the vault's own.
    pub(crate) place: Option<&'a Domain>,
    pub(crate) wraps: &'a [Wrap],
}

impl Member {
    fn new(suite: Suite, row: &Root, means: Vec<Arc<RootMeans>>) -> Result<Self> {
        let public = RecoveryWrapper::of(suite, row)?.map(Arc::new);
        let reach = Mutex::new(Reach { open: None, means, failed: None });
        Ok(Self { id: row.id, kind: row.kind, term: row.term(), public, reach })
    }

    fn reach(&self) -> MutexGuard<'_, Reach> {
        self.reach.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it said, if it failed a moment ago.
    fn failed(&self) -> Option<Error> {
        self.reach().failed.as_ref().filter(|(at, _)| at.elapsed() < LEFT_ALONE).map(|(_, why)| why.clone())
    }

    /// Whether it is open.
    pub(crate) fn is_open(&self) -> bool {
        self.reach().open.is_some()
    }

    /// How often it was asked, if it is open and outside this process.
    pub(crate) fn calls(&self) -> u64 {
        self.reach().open.as_ref().map_or(0, |root| root.calls())
    }

    /// Whether this process has what opens it.
    pub(crate) fn is_at_hand(&self) -> bool {
        let reach = self.reach();
        reach.open.is_some() || !reach.means.is_empty()
    }
}

/// Whether it is the key file of another root. One that cannot be read is told when it is asked.
fn is_of_another(means: &RootMeans, file: &VaultFile, root: KeyId) -> bool {
    match &means.unlock {
        RootUnlock::Keyfile(path) => KeyfileRoot::read(path, file.vault).is_ok_and(|found| found.id() != root),
        RootUnlock::Passphrase(_) | RootUnlock::Pkcs11 { .. } | RootUnlock::AwsKms { .. } => false,
    }
}

impl Roots {
    /// The roots of these rows, one of which is open.
    pub(crate) fn new(
        dir: PathBuf,
        file: &VaultFile,
        rows: &[Root],
        (opened, means): (&Arc<dyn RootProvider>, &[Arc<RootMeans>]),
        suites: Arc<Suites>,
    ) -> Result<Self> {
        let suite = file.suite;
        let mut sorted: Vec<&Root> = rows.iter().filter(|row| row.state.counts()).collect();
        sorted.sort_by_key(|row| (row.priority, row.created, row.id));
        let mut members = Vec::with_capacity(sorted.len());
        for row in sorted {
            let fits = |means: &&Arc<RootMeans>| {
                file.entry(row.id).is_some_and(|entry| means.fits(entry)) && !is_of_another(means, file, row.id)
            };
            let member = Member::new(suite, row, means.iter().filter(fits).cloned().collect())?;
            if row.id == opened.id() {
                member.reach().open = Some(Arc::clone(opened));
            }
            members.push(Arc::new(member));
        }
        let roots = Self { dir, suite, suites, members: RwLock::new(members), found: Mutex::default() };
        if rows.iter().any(|row| row.id == opened.id() && row.failing.is_some()) {
            roots.note(opened.id(), Finding::Answers);
        }
        Ok(roots)
    }

    /// Goes on with the roots that count in a transaction, whoever changed them.
    pub(crate) fn refresh(&self, tx: &mut dyn Transaction, guard: &Guard) -> Result<()> {
        let rows: Vec<Root> = guard.select(tx, "ORDER BY id", &[])?;
        let counting = rows.iter().filter(|row| row.state.counts()).map(|row| row.id);
        let mut known: Vec<KeyId> = self.members().iter().map(|member| member.id).collect();
        known.sort();
        if counting.eq(known) { Ok(()) } else { self.reload(&rows, None) }
    }

    /// Takes it that a root did not open when the vault was opened.
    pub(crate) fn did_not_open(&self, root: KeyId, why: Error) {
        if let Some(member) = self.members().iter().find(|member| member.id == root) {
            self.refused(member, why);
        }
    }

    /// Remembers that a root refused. What it refused for good is not tried again: a PIN counts.
    fn refused(&self, member: &Member, why: Error) {
        let mut reach = member.reach();
        if matches!(why, Error::RootSays { spent: true, .. }) {
            reach.means.clear();
        }
        reach.failed = Some((Instant::now(), why.clone()));
        drop(reach);
        self.note(member.id, Finding::Fails(why.to_string()));
    }

    /// All of them.
    pub(crate) fn members(&self) -> Vec<Arc<Member>> {
        self.members.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Goes on with the roots of these rows: what is known of those that stay is kept.
    pub(crate) fn reload(&self, rows: &[Root], new: Option<(Arc<dyn RootProvider>, Arc<RootMeans>)>) -> Result<()> {
        let mut sorted: Vec<&Root> = rows.iter().filter(|row| row.state.counts()).collect();
        sorted.sort_by_key(|row| (row.priority, row.created, row.id));
        let known = self.members();
        let mut members = Vec::with_capacity(sorted.len());
        for row in sorted {
            let member = match known.iter().find(|member| member.id == row.id) {
                Some(member) => Arc::clone(member),
                None => Arc::new(Member::new(self.suite, row, Vec::new())?),
            };
            if let Some((root, means)) = new.as_ref().filter(|(root, _)| root.id() == row.id) {
                let mut reach = member.reach();
                reach.open = Some(Arc::clone(root));
                reach.means = vec![Arc::clone(means)];
            }
            members.push(member);
        }
        *self.members.write().unwrap_or_else(PoisonError::into_inner) = members;
        Ok(())
    }

    /// The kinds of those that may wrap keys of a place.
    pub(crate) fn terms(&self, place: Option<&Domain>) -> Vec<Term> {
        self.members().iter().map(|member| member.term).filter(|term| self.suites.may_wrap(place, *term)).collect()
    }

    /// One of them, opened if need be and if this process has what opens it.
    pub(crate) fn opened(&self, member: &Member) -> Result<Arc<dyn RootProvider>> {
        let mut reach = member.reach();
        if let Some(open) = &reach.open {
            return Ok(Arc::clone(open));
        }
        if let Some((at, why)) = &reach.failed
            && at.elapsed() < LEFT_ALONE
        {
            return Err(why.clone());
        }
        let mut refused = Error::RootAway { kind: member.kind };
        for means in reach.means.clone() {
            match self.opened_with(member, &means) {
                Ok(root) => {
                    let root: Arc<dyn RootProvider> = Arc::from(root);
                    reach.open = Some(Arc::clone(&root));
                    if reach.failed.take().is_some() {
                        self.note(member.id, Finding::Answers);
                    }
                    return Ok(root);
                }
                Err(Error::RootAway { .. }) => {}
                Err(error) => refused = error,
            }
        }
        drop(reach);
        if !matches!(refused, Error::RootAway { .. }) {
            self.refused(member, refused.clone());
        }
        Err(refused)
    }

    /// The same, for what is to last: a root that is open, and would not be opened any more, wraps nothing new.
    pub(crate) fn lasting(&self, member: &Member) -> Result<Arc<dyn RootProvider>> {
        self.refuse_outdated(member)?;
        self.opened(member)
    }

    /// Refuses a passphrase root that costs a guesser less than is opened by now, open or not. What it wrapped it goes on opening.
    pub(crate) fn refuse_outdated(&self, member: &Member) -> Result<()> {
        if member.kind != RootKind::Passphrase {
            return Ok(());
        }
        let file = VaultFile::read(&self.dir)?;
        let refused = file.entry(member.id).map_or(Ok(()), |entry| self.suites.refuse_weak(entry));
        refused.map_err(|error| match error {
            Error::RootWeak { root, costs, since } => Error::RootOutdated { root, costs, since },
            other => other,
        })
    }

    fn opened_with(&self, member: &Member, means: &RootMeans) -> Result<Box<dyn RootProvider>> {
        let file = VaultFile::read(&self.dir)?;
        file.entry(member.id).map_or(Ok(()), |entry| self.suites.refuse_weak(entry))?;
        open::with(&file, member.id, means)
    }

    /// Wraps a secret under a root: without opening it, if it can.
    pub(crate) fn wrap(&self, member: &Member, context: &WrapContext, secret: &Secret) -> Result<Vec<u8>> {
        if let Some(public) = &member.public {
            return public.wrap(context, secret);
        }
        self.refuse_outdated(member)?;
        if let Some(why) = member.failed() {
            return Err(why);
        }
        let wrapped = self.opened(member)?.wrap(context, secret);
        self.watched(member, wrapped)
    }

    /// Opens something with the first root that does. `check` says whether what came out is what went in.
    ///
    /// # Errors
    /// What the first of them said; [`Error::Wrap`] if nothing is wrapped under a root that may.
    pub(crate) fn unwrap(
        &self,
        wrapped: &Wrapped<'_>,
        context: impl Fn(KeyId) -> WrapContext,
        check: impl Fn(&Secret) -> Result<()>,
    ) -> Result<Secret> {
        let mut refused = None;
        for member in self.asked(wrapped.place) {
            let Some(wrap) = wrapped.wraps.iter().find(|wrap| wrap.under == member.id) else { continue };
            match self.unwrap_by(&member, wrap, &context(member.id), &check) {
                Ok(secret) => return Ok(secret),
                // What is at hand and says no is told before what is not there.
                Err(error @ Error::RootAway { .. }) => {
                    refused.get_or_insert(error);
                }
                Err(error) => match &refused {
                    None | Some(Error::RootAway { .. }) => refused = Some(error),
                    Some(_) => {}
                },
            }
        }
        Err(refused.or_else(|| self.shut(wrapped)).unwrap_or(Error::Wrap { key: wrapped.key.to_string() }))
    }

    /// Why a key is opened by none of the roots that wrap it, if the table keeps them from it.
    fn shut(&self, wrapped: &Wrapped<'_>) -> Option<Error> {
        let Domain { class, environment, .. } = *wrapped.place?;
        let members = self.members();
        let mut wrapping = members.iter().filter(|member| wrapped.wraps.iter().any(|wrap| wrap.under == member.id));
        let root = wrapping.find(|member| !self.suites.may_open(wrapped.place, member.term))?.term;
        let (table, now) = (self.suites.known(), self.suites.reached());
        let since = table.since(now, |time| !table.opens(class, environment, root, time));
        Some(Error::RootShut { key: wrapped.key, root, class, environment, since })
    }

    fn unwrap_by(
        &self,
        member: &Member,
        wrap: &Wrap,
        context: &WrapContext,
        check: impl Fn(&Secret) -> Result<()>,
    ) -> Result<Secret> {
        let root = self.opened(member)?;
        let sealed = hex::decode(&wrap.sealed).map_err(|_| Error::Wrap { key: wrap.key.to_string() });
        let opened = sealed.and_then(|sealed| {
            let secret = root.unwrap(context, &sealed)?;
            check(&secret)?;
            Ok(secret)
        });
        self.watched(member, opened)
    }

    /// Those that may open keys of a place, in order; who failed a moment ago comes last.
    fn asked(&self, place: Option<&Domain>) -> Vec<Arc<Member>> {
        let mut members = self.members();
        members.retain(|member| self.suites.may_open(place, member.term));
        members.sort_by_key(|member| member.failed().is_some());
        members
    }

    /// Remembers how a root did that was asked.
    fn watched<T>(&self, member: &Member, outcome: Result<T>) -> Result<T> {
        match &outcome {
            Ok(_) => {
                if member.reach().failed.take().is_some() {
                    self.note(member.id, Finding::Answers);
                }
            }
            Err(error) => self.refused(member, error.clone()),
        }
        outcome
    }

    /// Remembers what was found out about a root until somebody writes it down.
    pub(crate) fn note(&self, root: KeyId, finding: Finding) {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).insert(root, finding);
    }

    /// The same of what could not be written down, unless there is something newer.
    pub(crate) fn note_again(&self, root: KeyId, finding: Finding) {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).entry(root).or_insert(finding);
    }

    /// Whether something was found out that is not written down.
    pub(crate) fn has_findings(&self) -> bool {
        !self.found.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// What was found out; it is not told again.
    pub(crate) fn findings(&self) -> BTreeMap<KeyId, Finding> {
        std::mem::take(&mut *self.found.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
