//! The engine behind one vault, as clients see it.

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::jobs::{IN_PASSING, Slice};
use crate::keys::{archive, check, destroy, list, migrate, named, rotate, state};
use crate::session::{Presence, Session};
use crate::vault::{EscrowWanted, OpenOptions, RootAdd, RootKind, Shares, open};
use crate::{
    alias, audit, backup, certificate, clock, collect, decision, depots, explain, facts, hold, incidents, jobs, laws,
    lineage, people, prints, release, removal, replay, retention, roots, run, show, status, suites, unlocking, values,
    who, whoami, write,
};
use api::terms::{AuthMethod, Mode, Name, PrincipalId, SessionId};
use api::wire::{Answer, Command, EscrowMade, EscrowRehearsed, JobList, JobsRan, Problem, RootAdded, VaultInfo};

/// One opened vault. `&self` everywhere: share it between threads.
#[derive(Debug)]
pub struct Keeper {
    engine: Engine,
}

impl Keeper {
    /// Opens a vault with one of its roots.
    ///
    /// # Errors
    /// `no-vault`, `root-refused`, `bad-signature` for altered state, `clock-back`, `clock-ahead`, `unavailable`.
    pub fn open(options: &OpenOptions) -> std::result::Result<Self, Problem> {
        Ok(Self { engine: open::open(options)? })
    }

    /// What a client pins.
    pub fn info(&self) -> &VaultInfo {
        &self.engine.info
    }

    /// The kind of the root that opened it.
    pub fn opened_by(&self) -> RootKind {
        self.engine.opened_by.1
    }

    /// Starts a session as the owner (solo), or as a named principal (rehearsal), bound to an Ed25519 public key.
    ///
    /// # Errors
    /// `bad-request` when a principal is named in solo mode; `not-found` for an unknown one.
    pub fn session(&self, principal: Option<&Name>, public_key: [u8; 32]) -> std::result::Result<Session, Problem> {
        Ok(self.start(principal, public_key)?)
    }

    fn start(&self, principal: Option<&Name>, public_key: [u8; 32]) -> Result<Session> {
        let engine = &self.engine;
        if principal.is_some() && engine.mode == Mode::Solo {
            return Err(Error::bad("--as", "a solo vault has one principal: its owner"));
        }
        let (id, name): (PrincipalId, String) = engine.store.read(|tx| {
            let id = match principal {
                None => engine.owner,
                Some(name) => {
                    facts::principal_named(engine, tx, name)?.ok_or_else(|| Error::NoPrincipal(name.clone()))?.id
                }
            };
            Ok::<_, Error>((id, facts::name_of(engine, tx, id)?))
        })?;
        Ok(Session {
            id: SessionId::from_bytes(crate::system::random()?),
            principal: id,
            name: name.parse().map_err(|_| Error::Internal("a principal's name is no name"))?,
            public_key,
            method: AuthMethod::Asserted,
            presence: Presence::default(),
        })
    }

    /// Answers one command.
    ///
    /// # Errors
    /// Whatever the command's own rules refuse; the problem names what, why and what to try.
    pub fn call(&self, session: &Session, command: Command) -> std::result::Result<Answer, Problem> {
        let answer = self.dispatch(session, command);
        // A root that did not answer is told of at once, also where the vault stays open; what cannot be written is tried again later.
        let _ = roots::tell(&self.engine);
        let answer = answer?;
        // What was answered stands. Entries are safe; a log that may not be signed any more refuses the next command.
        let _ = self.engine.integrate_if_due();
        Ok(answer)
    }

    fn dispatch(&self, session: &Session, command: Command) -> Result<Answer> {
        let engine = &self.engine;
        if !matches!(command, Command::ClockAccept) {
            engine.keep_time()?;
        }
        // What shows the policies or moves them to this program's baseline goes with any, and so does the clock, without which
        // nothing could move them.
        let free = matches!(
            command,
            Command::Depots
                | Command::PolicyShow
                | Command::PolicyCheck(_)
                | Command::BaselineApply(_)
                | Command::ClockAccept
        );
        if !free {
            engine.refuse_other_baseline()?;
        }
        Ok(match command {
            Command::Begin(begin) => Answer::Begun(Box::new(write::begin(engine, session, &begin)?)),
            Command::Extend { version, objects } => {
                write::extend(engine, session, version, &objects)?;
                Answer::Done
            }
            Command::Commit(commit) => Answer::Committed(Box::new(write::commit(engine, session, &commit)?)),
            Command::Abandon { version } => {
                write::abandon(engine, session, version)?;
                Answer::Done
            }
            Command::ReencryptBegin(begin) => {
                Answer::ReencryptBegun(Box::new(write::reencrypt::begin(engine, session, &begin)?))
            }
            Command::ReencryptCommit(commit) => {
                Answer::Reencrypted(Box::new(write::switch::commit(engine, session, &commit)?))
            }
            Command::Release(ask) => Answer::Released(Box::new(release::release(engine, session, &ask)?)),
            Command::RunStart(start) => Answer::RunStarted(Box::new(run::start(engine, session, &start)?)),
            Command::RunRenew { run } => Answer::RunRenewed(run::renew(engine, session, run)?),
            Command::RunEnd(end) => {
                run::end(engine, session, &end)?;
                Answer::Done
            }
            Command::Prints(ask) => Answer::Printed(Box::new(prints::printed(engine, session, &ask)?)),
            Command::List(query) => Answer::List(show::list(engine, session, &query)?),
            Command::Show { reference } => Answer::Version(Box::new(show::show(engine, session, &reference)?)),
            Command::History { reference, before, limit } => {
                let (items, next) = show::history(engine, session, &reference, before, limit)?;
                Answer::Versions { items, next }
            }
            Command::Explain(ask) => Answer::Explained(Box::new(explain::explain(engine, session, &ask)?)),
            Command::Status => Answer::Status(Box::new(status::status(engine, session)?)),
            Command::KeyList => Answer::Keys(list::list(engine, session)?),
            Command::KeyCheck(ask) => Answer::KeyChecked(Box::new(check::check(engine, session, &ask)?)),
            Command::KeyPlan { after } => Answer::KeyPlanned(Box::new(migrate::plan(engine, session, after)?)),
            Command::WrapsMend => Answer::WrapsMended(migrate::mend_wraps(engine, session)?),
            Command::KeyMove(ask) => Answer::KeyMoved(Box::new(state::change(engine, session, &ask)?)),
            Command::KeyArchive(ask) => Answer::KeyArchived(Box::new(archive::archive(engine, session, &ask)?)),
            Command::KeyUnarchive(ask) => Answer::KeyArchived(Box::new(archive::unarchive(engine, session, &ask)?)),
            Command::KeyDestroy(ask) => Answer::KeyDestroying(Box::new(destroy::destroy(engine, session, &ask)?)),
            Command::KeySpare(ask) => Answer::KeyDestroying(Box::new(destroy::spare(engine, session, &ask)?)),
            Command::KeyCertificate { key, part } => {
                Answer::Certificate(Box::new(certificate::shown(engine, session, key, part)?))
            }
            Command::NamedKeyMake(ask) => Answer::NamedKeyMade(Box::new(named::make(engine, session, &ask)?)),
            Command::Encrypt(ask) => Answer::Encrypted(Box::new(values::encrypt(engine, session, &ask)?)),
            Command::Decrypt(ask) => Answer::Decrypted(Box::new(values::decrypt(engine, session, &ask)?)),
            Command::Renew(ask) => Answer::Encrypted(Box::new(values::renew(engine, session, &ask)?)),
            Command::KeyCompromise(ask) => Answer::Incident(Box::new(incidents::compromise(engine, session, &ask)?)),
            Command::Incidents => Answer::Incidents(incidents::list(engine, session)?),
            Command::IncidentShow { incident } => {
                Answer::Incident(Box::new(incidents::show(engine, session, incident)?))
            }
            Command::IncidentEvidence { incident, file } => {
                Answer::Evidence(incidents::export(engine, session, incident, &file)?)
            }
            Command::IncidentDone(ask) => Answer::Incident(Box::new(incidents::done(engine, session, &ask)?)),
            Command::IncidentClose { incident } => {
                Answer::Incident(Box::new(incidents::close(engine, session, incident)?))
            }
            Command::RootList => Answer::Roots(roots::listed(engine, session)?),
            Command::RootDrill => Answer::RootsDrilled(roots::drilled(engine, session)?),
            Command::RootRemove(ask) => Answer::RootRemoved(roots::removed(engine, session, &ask)?),
            Command::RootSet(ask) => Answer::RootChanged(Box::new(roots::changed(engine, session, &ask)?)),
            Command::KeyRotate(ask) => Answer::Rotated(rotate::rotate(engine, session, &ask)?),
            Command::AliasSet(set) => Answer::AliasMoved(Box::new(alias::set(engine, session, &set)?)),
            Command::AliasRemove(remove) => Answer::AliasMoved(Box::new(alias::remove(engine, session, &remove)?)),
            Command::AliasList { reference } => Answer::Aliases { items: alias::list(engine, session, &reference)? },
            Command::AliasHistory(past) => {
                let (items, next) = alias::history(engine, session, &past)?;
                Answer::AliasMoves { items, next }
            }
            Command::Remove(remove) => Answer::Removal(Box::new(removal::remove(engine, session, &remove)?)),
            Command::Restore(restore) => Answer::Removal(Box::new(removal::restore(engine, session, &restore)?)),
            Command::RetentionSet(set) => Answer::Retention(Box::new(retention::set(engine, session, &set)?)),
            Command::Retention(query) => Answer::Retention(Box::new(retention::report(engine, session, &query)?)),
            Command::HoldSet(set) => Answer::HoldMoved(Box::new(hold::set(engine, session, &set)?)),
            Command::HoldLift(lift) => Answer::HoldMoved(Box::new(hold::lift(engine, session, &lift)?)),
            Command::Holds { place } => Answer::Holds { items: hold::list(engine, session, &place)? },
            Command::Lineage(query) => Answer::Lineage(Box::new(lineage::graph(engine, session, &query)?)),
            Command::WhoCan(ask) => Answer::WhoCan(Box::new(who::who_can(engine, session, &ask)?)),
            Command::WhoDid(ask) => {
                let (items, next) = who::who_did(engine, session, &ask)?;
                Answer::WhoDid { items, next }
            }
            Command::DecisionShow { decision } => {
                Answer::Decision(Box::new(decision::told(engine, session, decision)?))
            }
            Command::WhoAmI => Answer::WhoAmI(Box::new(whoami::told(engine, session)?)),
            Command::PrincipalAdd(add) => Answer::Principal(Box::new(people::add(engine, session, &add)?)),
            Command::PrincipalErase(erase) => {
                Answer::PrincipalErased(Box::new(people::erase::erase(engine, session, &erase)?))
            }
            Command::PrincipalList => Answer::Principals { items: people::list(engine, session)? },
            Command::PolicyShow => Answer::Policy(laws::shown(engine)?),
            Command::PolicyCheck(check) => Answer::PolicyChecked(laws::checked(engine, &check)?),
            Command::PolicyApply(apply) => Answer::PolicyApplied(laws::apply(engine, session, &apply)?),
            Command::BaselineApply(apply) => Answer::PolicyApplied(laws::move_baseline(engine, session, &apply)?),
            Command::SuitesShow => Answer::Suites(suites::shown(engine)?),
            Command::SuitesApply { table, lockout } => Answer::Suites(suites::apply(engine, session, &table, lockout)?),
            Command::SuitesLook { table } => Answer::Suites(suites::looked_at(engine, session, &table)?),
            Command::Audit(filter) => Answer::Audit(audit::page(engine, session, &filter)?),
            Command::AuditShow { entry } => Answer::Entry(Box::new(audit::entry(engine, session, &entry)?)),
            Command::AuditProve { entry } => {
                let (proof, log_index) = audit::prove(engine, session, &entry)?;
                Answer::Proof { proof, log_index }
            }
            Command::AuditVerify => Answer::LogVerified(audit::verify(engine, session)?),
            Command::AnchorMake => Answer::LogVerified(audit::make_anchor(engine, session)?),
            Command::ClockAccept => Answer::ClockAccepted(clock::accept(engine, session)?),
            Command::StateVerify => Answer::StateVerified(audit::verify_state(engine, session)?),
            Command::DecisionsReplay => Answer::DecisionsReplayed(replay::all(engine, session)?),
            Command::AuditExport { folder } => {
                audit::export(engine, session, &folder)?;
                Answer::Done
            }
            Command::BackupCreate(create) => Answer::BackupMade(Box::new(backup::create(engine, session, &create)?)),
            Command::CollectMark { grace_secs, dry } => {
                let plan = if dry { collect::preview } else { collect::mark };
                Answer::Collect(plan(engine, session, grace_secs)?)
            }
            Command::CollectDone { objects } => Answer::Collected(collect::done(engine, session, &objects)?),
            Command::Jobs => Answer::Jobs(JobList { items: jobs::list(engine)? }),
            Command::JobsRun { name } => Answer::JobsRan(JobsRan { items: jobs::run(engine, name.as_deref())? }),
            Command::JobDone { name } => {
                jobs::done(engine, session, &name)?;
                Answer::Done
            }
            Command::Depots => Answer::Depots(depots::list(engine)?),
            Command::DepotAdd(add) => Answer::DepotMoved(Box::new(depots::add(engine, session, &add)?)),
            Command::DepotRemove(remove) => Answer::DepotMoved(Box::new(depots::remove(engine, session, &remove)?)),
            Command::DepotCompare => Answer::DepotCompared(depots::compare(engine, session)?),
            Command::DepotCopied(copied) => {
                depots::copied(engine, session, &copied)?;
                Answer::Done
            }
            Command::DepotCounted(counted) => {
                depots::counted(engine, session, &counted)?;
                Answer::Done
            }
            Command::Objects { after, limit } => {
                let (items, next) = collect::objects(engine, session, after, limit)?;
                Answer::Objects { items, next }
            }
        })
    }

    /// Adds a root: what it wraps from now on is everything that its kind may.
    ///
    /// # Errors
    /// `denied`; `conflict` if a file is in the way or the vault has too many; whatever the root says.
    pub fn add_root(&self, session: &Session, wanted: &RootAdd) -> std::result::Result<RootAdded, Problem> {
        self.engine.now()?;
        self.engine.refuse_other_baseline()?;
        Ok(roots::added(&self.engine, session, wanted)?)
    }

    /// Makes an escrow. Its shares, which are nowhere else from then on, are handed out before it counts: where that fails, nothing
    /// changes.
    ///
    /// # Errors
    /// `denied`; `bad-request` for numbers that no escrow has; what `hand_out` says.
    pub fn create_escrow(
        &self,
        session: &Session,
        wanted: &EscrowWanted,
        hand_out: &mut dyn FnMut(api::terms::KeyId, &Shares) -> std::result::Result<(), Problem>,
    ) -> std::result::Result<EscrowMade, Problem> {
        self.engine.now()?;
        self.engine.refuse_other_baseline()?;
        roots::escrowed(&self.engine, session, wanted, hand_out)
    }

    /// Proves with real shares that they bring everything back.
    ///
    /// # Errors
    /// `denied`; `not-found` without an escrow; `root-refused`, with the number of the share that is at fault.
    pub fn rehearse_escrow(&self, session: &Session, shares: &Shares) -> std::result::Result<EscrowRehearsed, Problem> {
        self.engine.now()?;
        self.engine.refuse_other_baseline()?;
        Ok(roots::rehearsed(&self.engine, session, shares)?)
    }

    /// Whether nothing may be written, because the vault is behind its anchor or its log does not hold.
    pub fn is_read_only(&self) -> bool {
        self.engine.read_only.get().is_some()
    }

    /// Says in the log that this keeper stays open until then, between commands: from here on answers do not wait for the tree, and
    /// [`settle`](Self::settle) is for the end of each session.
    ///
    /// # Errors
    /// When it cannot be written; then it must not stay open.
    pub fn unlocked_until(&self, until: api::terms::Timestamp) -> std::result::Result<(), Problem> {
        unlocking::begun(&self.engine, until)?;
        self.engine.stays.store(true, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    }

    /// Says in the log that it does not any more, and why: by itself, or because somebody locked it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn locked(&self, why: &str, by_itself: bool) -> std::result::Result<(), Problem> {
        Ok(unlocking::ended(&self.engine, why, by_itself)?)
    }

    /// Integrates what the log has pending, as at the end of every command.
    ///
    /// # Errors
    /// When tiles or the anchor cannot be written.
    pub fn settle(&self) -> std::result::Result<(), Problem> {
        if self.engine.read_only.get().is_some() {
            return Ok(());
        }
        Ok(self.integrate_pending()?)
    }

    /// Whether this keeper wrote something that is not in the tree yet.
    pub fn is_unsettled(&self) -> bool {
        self.engine.ledger.is_behind() || self.engine.appended.load(std::sync::atomic::Ordering::Relaxed) > 0
    }

    /// Overwrites the keys whose time in memory is over; whether there were any.
    pub fn forget_old(&self) -> bool {
        let forgot = self.engine.domains.forget_old();
        if forgot {
            self.engine.facts.forget_all();
        }
        forgot
    }

    /// Runs the jobs that are due, for so long: what a keeper that stays open does between commands.
    ///
    /// # Errors
    /// The first failure of a job, after the others ran.
    pub fn go_on(&self, within: std::time::Duration) -> std::result::Result<(), Problem> {
        self.forget_old();
        if self.engine.read_only.get().is_some() {
            return Ok(());
        }
        Ok(jobs::go_on(&self.engine, &Slice::within(within))?)
    }

    /// Integrates what the log has pending, runs what is due of the jobs for a moment, and closes the store. Dropping a keeper loses
    /// nothing; the next one integrates.
    ///
    /// # Errors
    /// When tiles or the anchor cannot be written, or a job failed.
    pub fn close(self) -> std::result::Result<(), Problem> {
        // The log first: a wrap that does not open must not keep entries out of the tree.
        self.settle()?;
        self.go_on(IN_PASSING)
    }

    fn integrate_pending(&self) -> crate::error::Result<()> {
        let bursts = self.engine.close_bursts();
        if self.engine.ledger.is_behind() || self.engine.ledger.pending()? > 0 {
            self.engine.integrate()?;
        }
        bursts
    }
}
