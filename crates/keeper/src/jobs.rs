//! Jobs: work that no command waits for. What is due runs in slices: up to a fifth of a second at the end of a command, between
//! commands where a keeper stays open (an agent), and to its end by `jobs run`, for timers. Nothing here decides anything, and
//! whatever is acted on is logged as the system's doing.

use crate::acts::{Wanted, look};
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::journal::By;
use crate::keys::{rotate, shred};
use crate::people::erase;
use crate::roots;
use crate::rows::{Draft, Principal};
use crate::session::Session;
use crate::write::give_up;
use crate::write::objects::millis;
use crate::{depots, incidents, removal, retention};
use api::terms::{Action, Timestamp};
use api::wire::{JobBy, JobItem, JobRan};
use std::time::{Duration, Instant};

/// How much of what is due a command takes along at its end.
pub(crate) const IN_PASSING: Duration = Duration::from_millis(200);
/// How long after its lease a version that somebody began is given up without being asked: `gc` does it sooner.
const DRAFT_GRACE_MILLIS: u64 = 7 * DAY_MILLIS;
/// The most of them in one transaction.
const MAX_DRAFTS: i64 = 64;
/// How long a repeated command is answered from memory.
const COMMAND_MILLIS: u64 = 30 * DAY_MILLIS;
/// The most remembered commands forgotten in one transaction.
const MAX_COMMANDS: i64 = 4096;
/// How often a sample of the depot is to be read.
const VERIFY_MILLIS: u64 = 30 * DAY_MILLIS;
/// How often roots are drilled.
const DRILL_MILLIS: u64 = 30 * DAY_MILLIS;
const DAY_MILLIS: u64 = 86_400_000;
/// The table of when jobs ran last.
const TABLE: &str = "job";

/// A job.
pub(crate) struct Job {
    name: &'static str,
    about: &'static str,
    when: When,
    run: Run,
}

/// When it is due.
enum When {
    /// At the time that this says; never, if it says nothing.
    Waiting(fn(&Engine, Timestamp) -> Result<Option<Timestamp>>),
    /// So many milliseconds after it ran last, or after the vault was made.
    Every(u64),
}

/// Who does it.
enum Run {
    /// The keeper; answers how many things were done.
    Keeper(fn(&Engine, &Slice) -> Result<u64>),
    /// Whoever has the depot, and says so with [`done`].
    Client,
}

/// Every job, in the order in which they run: what the others write is integrated last.
static JOBS: [Job; 15] = [
    Job {
        name: "denials",
        about: "log the count of refusals that came in a burst",
        when: When::Waiting(|engine, now| engine.bursts_over(now)),
        run: Run::Keeper(|engine, _| engine.close_bursts().map(|()| 0)),
    },
    Job {
        name: "rotate",
        about: "give domain keys a new version before their time is over",
        when: When::Waiting(rotate::renewal),
        run: Run::Keeper(rotate::renew),
    },
    Job {
        name: "rewrap",
        about: "go on with a rotation of keys that did not finish",
        when: When::Waiting(|engine, now| Ok(rotate::is_unfinished(engine)?.then_some(now))),
        run: Run::Keeper(rotate::go_on),
    },
    Job {
        name: "incidents",
        about: "read from the log what a compromised key touched, where nobody did yet",
        when: When::Waiting(incidents::due),
        run: Run::Keeper(incidents::see_to),
    },
    Job {
        name: "roots",
        about: "say which roots do not answer, wrap what one missed, remove what a retired one could open",
        when: When::Waiting(roots::due),
        run: Run::Keeper(roots::see_to),
    },
    Job {
        name: "retention",
        about: "remove versions that no rule keeps any longer",
        when: When::Waiting(retention::due),
        run: Run::Keeper(retention::apply),
    },
    Job {
        name: "destroy",
        about: "destroy the keys of versions that were removed",
        when: When::Waiting(removal::destroy_due),
        run: Run::Keeper(removal::destroy),
    },
    Job {
        name: "shred",
        about: "destroy keys whose waiting time is over, and what only they opened",
        when: When::Waiting(shred::due),
        run: Run::Keeper(shred::shred),
    },
    Job {
        name: "erase",
        about: "leave no bytes behind of people who were erased",
        when: When::Waiting(|engine, now| Ok(erase::is_unfinished(engine)?.then_some(now))),
        run: Run::Keeper(erase::go_on),
    },
    Job {
        name: "drafts",
        about: "give up versions that were begun and not touched for a week",
        when: When::Waiting(drafts_due),
        run: Run::Keeper(give_up_drafts),
    },
    Job {
        name: "commands",
        about: "forget commands that nobody repeats any more",
        when: When::Every(DAY_MILLIS),
        run: Run::Keeper(forget_commands),
    },
    Job {
        name: "drill",
        about: "have every root that is at hand open what it wraps",
        when: When::Every(DRILL_MILLIS),
        run: Run::Keeper(roots::drill_all),
    },
    Job {
        name: "copy",
        about: "copy to the other depots what they lack",
        when: When::Waiting(depots::copy_due),
        run: Run::Client,
    },
    Job {
        name: "verify",
        about: "read a sample of the depot, and look for what is missing",
        when: When::Every(VERIFY_MILLIS),
        run: Run::Client,
    },
    Job {
        name: "log",
        about: "bring what was logged into the tree, and move the anchor",
        when: When::Waiting(|engine, now| {
            Ok((engine.ledger.is_behind() || engine.ledger.pending()? > 0).then_some(now))
        }),
        run: Run::Keeper(integrate),
    },
];

/// A stretch of time that jobs may take.
pub(crate) struct Slice {
    ends: Option<Instant>,
    /// How much is done in a second at most, from when on.
    pace: Option<(u32, Instant)>,
}

impl Slice {
    /// So long.
    pub(crate) fn within(limit: Duration) -> Self {
        Self { ends: Instant::now().checked_add(limit), pace: None }
    }

    /// As long as it takes.
    pub(crate) const fn whole() -> Self {
        Self { ends: None, pace: None }
    }

    /// As long as it takes when no more than this is done in a second, so that others find room between.
    pub(crate) fn paced(per_second: u32) -> Self {
        Self { ends: None, pace: Some((per_second, Instant::now())) }
    }

    /// How much of so much is done at once.
    pub(crate) fn portion(&self, most: i64) -> i64 {
        self.pace.map_or(most, |(per_second, _)| most.min(per_second.into()).max(1))
    }

    /// Waits while more is done than its pace allows.
    pub(crate) fn keep_pace(&self, done: u64) {
        if let Some((per_second, began)) = self.pace {
            let due = Duration::from_secs(done).checked_div(per_second).unwrap_or_default();
            std::thread::sleep(due.saturating_sub(began.elapsed()));
        }
    }

    /// Whether somebody asked for the work itself.
    pub(crate) const fn is_whole(&self) -> bool {
        self.ends.is_none()
    }

    /// Whether it is over.
    pub(crate) fn is_over(&self) -> bool {
        self.ends.is_some_and(|ends| Instant::now() >= ends)
    }
}

impl Job {
    fn last(&self, engine: &Engine) -> Result<Option<Timestamp>> {
        engine.store.read(|tx| {
            let rows = tx.query("SELECT last, mac FROM job WHERE name = $1", &[self.name.into()])?;
            let Some(row) = rows.optional()? else { return Ok(None) };
            let last = row.integer(0)?;
            engine.keys.guard.check(TABLE, self.name.as_bytes(), &last.to_be_bytes(), row.bytes(1)?)?;
            Ok(Some(Timestamp::from_millis(u64::try_from(last).unwrap_or(0))))
        })
    }

    /// When it ran last, where that counts, and when it is due.
    fn times(&self, engine: &Engine, now: Timestamp) -> Result<(Option<Timestamp>, Option<Timestamp>)> {
        let every = match self.when {
            When::Waiting(due) => return Ok((None, due(engine, now)?)),
            When::Every(millis) => millis,
        };
        let last = self.last(engine)?;
        let from = match last {
            // One that lies ahead is of a clock that was set back on purpose since.
            Some(last) => last.min(now),
            None => {
                let made = |tx: &mut dyn Transaction| engine.keys.guard.expect(tx, engine.owner.as_bytes());
                engine.store.read(made).map(|owner: Principal| owner.created)?
            }
        };
        Ok((last, Some(from.plus_millis(every))))
    }

    fn is_due(&self, engine: &Engine, now: Timestamp) -> Result<bool> {
        Ok(self.times(engine, now)?.1.is_some_and(|due| due <= now))
    }

    /// Writes down that it ran.
    fn ran(&self, engine: &Engine, now: Timestamp) -> Result<()> {
        if matches!(self.when, When::Waiting(_)) {
            return Ok(());
        }
        let at = millis(now);
        let mac = engine.keys.guard.tag(TABLE, self.name.as_bytes(), &at.to_be_bytes());
        engine.store.write(|tx| {
            tx.query(
                "INSERT INTO job (name, last, mac) VALUES ($1, $2, $3) \
                 ON CONFLICT (name) DO UPDATE SET last = excluded.last, mac = excluded.mac",
                &[self.name.into(), at.into(), (&mac).into()],
            )?;
            Ok(())
        })
    }
}

/// Every job and when it is due.
pub(crate) fn list(engine: &Engine) -> Result<Vec<JobItem>> {
    let now = engine.now()?;
    let item = |job: &Job| {
        let (last, due) = job.times(engine, now)?;
        let every_millis = match job.when {
            When::Waiting(_) => None,
            When::Every(millis) => Some(millis),
        };
        let by = match job.run {
            Run::Keeper(_) => JobBy::Keeper,
            Run::Client => JobBy::Client,
        };
        let overdue = due.is_some_and(|due| due <= now);
        let (name, about) = (job.name.to_owned(), job.about.to_owned());
        Ok(JobItem { name, about, by, every_millis, last, due, overdue })
    };
    JOBS.iter().map(item).collect()
}

/// Runs the keeper's jobs that are due, or one of them whether it is due or not, to their end. One that fails keeps no other from
/// running.
pub(crate) fn run(engine: &Engine, only: Option<&str>) -> Result<Vec<JobRan>> {
    if let Some(why) = engine.read_only.get() {
        return Err(Error::ReadOnly(why.clone()));
    }
    if let Some(name) = only {
        named(name)?;
    }
    let mut ran = Vec::new();
    for job in JOBS.iter().filter(|job| only.is_none_or(|name| name == job.name)) {
        let Run::Keeper(work) = job.run else { continue };
        let done = match only.is_some() || job.is_due(engine, engine.now()?)? {
            true => work(engine, &Slice::whole()).and_then(|done| job.ran(engine, engine.now()?).map(|()| done)),
            false => continue,
        };
        let (done, failed) = match done {
            Ok(done) => (done, None),
            Err(error) => (0, Some(error.to_string())),
        };
        ran.push(JobRan { name: job.name.to_owned(), done, failed });
    }
    Ok(ran)
}

/// Runs what is due of the keeper's jobs while the time lasts. What the log has pending is integrated in any case.
///
/// # Errors
/// The first failure, after the others ran.
pub(crate) fn go_on(engine: &Engine, slice: &Slice) -> Result<()> {
    let mut outcome = Ok(());
    for job in &JOBS {
        let Run::Keeper(work) = job.run else { continue };
        if slice.is_over() && job.name != "log" {
            continue;
        }
        let ran = || {
            let now = engine.now()?;
            if !job.is_due(engine, now)? {
                return Ok(());
            }
            work(engine, slice)?;
            // What its slice of time did not finish is due still.
            if slice.is_over() { Ok(()) } else { job.ran(engine, now) }
        };
        outcome = outcome.and(ran());
    }
    outcome
}

/// When a job ran last.
pub(crate) fn last(engine: &Engine, name: &str) -> Result<Option<Timestamp>> {
    named(name)?.last(engine)
}

/// A client's word that it did a job of its own; whoever may see what the depot holds may say so.
pub(crate) fn done(engine: &Engine, session: &Session, name: &str) -> Result<()> {
    look(engine, session, &Wanted::vault(Action::List, "job.done"))?;
    let job = named(name)?;
    match job.run {
        Run::Client => job.ran(engine, engine.now()?),
        Run::Keeper(_) => Err(Error::bad("the job", format!("`{name}` is the keeper's own"))),
    }
}

fn named(name: &str) -> Result<&'static Job> {
    let names = || JOBS.iter().map(|job| job.name).collect::<Vec<_>>().join(", ");
    let found = JOBS.iter().find(|job| job.name == name);
    found.ok_or_else(|| Error::bad("the job", format!("there is no job `{name}`; there are {}", names())))
}

/// The system's own doing.
pub(crate) fn by_system(engine: &Engine, at: Timestamp) -> By {
    By { principal: engine.owner, auth: log::entry::AuthMethod::System, at }
}

fn drafts_due(engine: &Engine, _: Timestamp) -> Result<Option<Timestamp>> {
    let first: Vec<Draft> =
        engine.store.read(|tx| engine.keys.guard.select(tx, "ORDER BY lease_until, id LIMIT 1", &[]))?;
    Ok(first.first().map(|draft| draft.lease_until.plus_millis(DRAFT_GRACE_MILLIS)))
}

fn give_up_drafts(engine: &Engine, slice: &Slice) -> Result<u64> {
    let mut done = 0;
    loop {
        let now = engine.now()?;
        let before = millis(Timestamp::from_millis(now.as_millis().saturating_sub(DRAFT_GRACE_MILLIS)));
        let some = engine.store.write(|tx| {
            let tail = "WHERE lease_until <= $1 ORDER BY lease_until, id LIMIT $2";
            let dead: Vec<Draft> = engine.keys.guard.select(tx, tail, &[before.into(), MAX_DRAFTS.into()])?;
            if dead.is_empty() {
                return Ok::<_, Error>(0);
            }
            let ticket = tx.ticket()?;
            for draft in &dead {
                give_up(engine, tx, &by_system(engine, now), draft, "lease over", ticket)?;
            }
            Ok(dead.len() as u64)
        })?;
        done += some;
        if some == 0 || slice.is_over() {
            return Ok(done);
        }
    }
}

fn forget_commands(engine: &Engine, slice: &Slice) -> Result<u64> {
    let before = millis(Timestamp::from_millis(engine.now()?.as_millis().saturating_sub(COMMAND_MILLIS)));
    let sql = "DELETE FROM command WHERE key IN (SELECT key FROM command WHERE at < $1 ORDER BY at, key LIMIT $2)";
    let mut done = 0;
    loop {
        let values = [before.into(), MAX_COMMANDS.into()];
        let some = engine.store.write(|tx| Ok::<_, Error>(tx.query(sql, &values)?.changed()))?;
        done += some;
        if some == 0 || slice.is_over() {
            return Ok(done);
        }
    }
}

fn integrate(engine: &Engine, _: &Slice) -> Result<u64> {
    let pending = engine.ledger.pending()?;
    engine.integrate()?;
    Ok(pending)
}
