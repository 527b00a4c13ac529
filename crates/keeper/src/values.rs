//! `encrypt`, `decrypt`: small values under named keys. Keys stay in the keeper, which seals and opens itself; each opening is a release:
//! decided, in the log before the value leaves, and refused like others.

use crate::datastore::Transaction;
use crate::decide::{About, Verdict, judge};
use crate::engine::Engine;
use crate::epochs::{self, Subject};
use crate::error::{Error, Result};
use crate::facts::{self, Circumstances, Stated};
use crate::journal::{By, Event, Logged};
use crate::keys::domains::wrap_of;
use crate::keys::drift;
use crate::keys::named::Named;
use crate::keys::state::{self, Above};
use crate::rows::{NamedVersion, PolicySet};
use crate::session::Session;
use crate::suites;
use crate::write::{Outcome, denied_as};
use api::terms::{Action, Class, DecisionId, KeyState, Mode, Name, Timestamp};
use api::wire::{Decrypt, Decrypted, Encrypt, Encrypted, Plain};
use log::entry::Kind;
use seal::value::{self, Pairs, Token};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// The longest reason, in bytes.
const MAX_REASON_LEN: usize = 1024;

/// Seals a value under the newest version of a named key.
pub(crate) fn encrypt(engine: &Engine, session: &Session, command: &Encrypt) -> Result<Encrypted> {
    let value = command.value.expose_bytes();
    if value.len() > value::MAX_LEN {
        return Err(Error::bad("the value", "a value is at most 64 KiB; what is longer is put as an artifact"));
    }
    let stated = Stated { reason: command.reason.as_deref(), confirm: None };
    let call = Call::new(engine, session, (&command.workspace, &command.name), &command.context, stated)?;
    let (done, logged) = call.answer(&[Action::Encrypt], "value.encrypt", None, |tx, named, _| {
        let key = named.open(engine, tx, &named.newest)?;
        let token = value::seal(&key, &named.place(engine, &named.newest), &call.pairs, value).map_err(refused)?;
        Ok(Some((token.to_string(), named.path(), named.newest.number)))
    })?;
    let (token, name, version) = done;
    Ok(Encrypted { token, name, version, before: None, receipt: engine.settled(&logged)? })
}

/// Opens a value.
pub(crate) fn decrypt(engine: &Engine, session: &Session, command: &Decrypt) -> Result<Decrypted> {
    let (token, workspace, name) = read(engine, &command.token)?;
    let stated = Stated { reason: command.reason.as_deref(), confirm: command.confirm.as_deref() };
    let call = Call::new(engine, session, (&workspace, &name), &command.context, stated)?;
    // As `cat` into a file: to a disk goes only what may be exported.
    let actions: &[Action] = if command.to_disk { &[Action::Decrypt, Action::Export] } else { &[Action::Decrypt] };
    let (done, logged) = call.answer(actions, "value.decrypt", Some(token.number), |tx, named, version| {
        let value = call.opened(tx, named, version, &token)?;
        Ok(value.map(|value| (value, named.path(), version.number, named.newest.number)))
    })?;
    let (mut value, name, version, newest) = done;
    let value = Plain::new(std::mem::take(&mut *value));
    Ok(Decrypted { value, name, version, newest, receipt: engine.settled(&logged)? })
}

/// Seals a value again under the newest version. It takes the right to seal: nobody sees the value.
pub(crate) fn renew(engine: &Engine, session: &Session, command: &Decrypt) -> Result<Encrypted> {
    let (token, workspace, name) = read(engine, &command.token)?;
    let stated = Stated { reason: command.reason.as_deref(), confirm: None };
    let call = Call::new(engine, session, (&workspace, &name), &command.context, stated)?;
    let (done, logged) = call.answer(&[Action::Encrypt], "value.renew", Some(token.number), |tx, named, version| {
        let Some(value) = call.opened(tx, named, version, &token)? else { return Ok(None) };
        let key = named.open(engine, tx, &named.newest)?;
        let again = value::seal(&key, &named.place(engine, &named.newest), &call.pairs, &value).map_err(refused)?;
        Ok(Some((again.to_string(), named.path(), named.newest.number)))
    })?;
    let (again, name, version) = done;
    let before = Some(token.number);
    Ok(Encrypted { token: again, name, version, before, receipt: engine.settled(&logged)? })
}

/// A token of this vault.
fn read(engine: &Engine, text: &str) -> Result<(Token, Name, Name)> {
    let token = Token::parse(text).map_err(refused)?;
    if token.vault != *engine.vault.as_bytes() {
        let why = format!("it was sealed by the vault {}, and this is {}", hex::encode(token.vault), engine.vault);
        return Err(Error::Conflict {
            what: "the token",
            why,
            hint: Some("name the vault that sealed it with --vault".to_owned()),
        });
    }
    let name = |text: &str| text.parse::<Name>().map_err(|error| Error::bad("the token", error.to_string()));
    let (workspace, key) = (name(&token.workspace)?, name(&token.name)?);
    Ok((token, workspace, key))
}

/// What is wrong with a value, a context or a token.
fn refused(error: value::Error) -> Error {
    match error {
        value::Error::Authentication => Error::Internal("an opening that failed was not told as one"),
        value::Error::TooLong => Error::bad("the value", error.to_string()),
        value::Error::Pairs(_) => Error::bad("the context", error.to_string()),
        value::Error::Token(_) => Error::bad("the token", error.to_string()),
        value::Error::Entropy(_) => Error::Random,
        value::Error::Cipher => Error::Internal("a value could not be sealed"),
    }
}

/// What became of it: done, refused by policy, or refused by something else that is in the log as a denial.
enum Fate<T> {
    Done(T, Logged),
    Refused(Box<Verdict>),
    Denied(Error),
}

/// One value, sealed or opened.
struct Call<'a> {
    engine: &'a Engine,
    session: &'a Session,
    workspace: &'a Name,
    name: &'a Name,
    pairs: Pairs,
    stated: Stated<'a>,
    now: Timestamp,
}

impl<'a> Call<'a> {
    fn new(
        engine: &'a Engine,
        session: &'a Session,
        (workspace, name): (&'a Name, &'a Name),
        context: &BTreeMap<String, String>,
        stated: Stated<'a>,
    ) -> Result<Self> {
        if stated.reason.is_some_and(|reason| reason.len() > MAX_REASON_LEN) {
            return Err(Error::bad("the value", "a reason is at most 1024 bytes"));
        }
        let pairs = Pairs::new(context.clone()).map_err(refused)?;
        Ok(Self { engine, session, workspace, name, pairs, stated, now: engine.now()? })
    }

    fn path(&self) -> String {
        format!("{}/{}", self.workspace, self.name)
    }

    /// Decides, does it, logs it, in one transaction; `None` of the body is a token that does not open.
    fn answer<T>(
        &self,
        actions: &[Action],
        act: &'static str,
        number: Option<u32>,
        body: impl Fn(&mut dyn Transaction, &Named, &NamedVersion) -> Result<Option<T>>,
    ) -> Result<(T, Logged)> {
        let fate =
            drift::mended(self.engine, || self.engine.store.write(|tx| self.run(tx, (actions, act), number, &body)))?;
        match fate {
            Fate::Done(answer, logged) => Ok((answer, logged)),
            Fate::Refused(verdict) => Err(verdict.error(&About::new(self.path(), &self.session.name))),
            Fate::Denied(error) => Err(error),
        }
    }

    fn run<T>(
        &self,
        tx: &mut dyn Transaction,
        (actions, act): (&[Action], &'static str),
        number: Option<u32>,
        body: &impl Fn(&mut dyn Transaction, &Named, &NamedVersion) -> Result<Option<T>>,
    ) -> Result<Fate<T>> {
        let engine = self.engine;
        let (named, version) = self.held(tx, number)?;
        let by = By::session(self.session, self.now);
        let about = |event: Event| self.about(event, &named, version.as_ref().map_or(0, |version| version.number));
        let mut last = None;
        for action in actions {
            let verdict = self.decide(tx, &named, *action)?;
            if !verdict.answer.allowed {
                let event = about(verdict.denial(act))?;
                return Ok(match denied_as(engine, tx, &by, verdict, event)? {
                    Outcome::Refused(verdict) => Fate::Refused(verdict),
                    Outcome::Done(()) => return Err(Error::Internal("a refusal was done")),
                });
            }
            last = Some(verdict);
        }
        let verdict = last.ok_or(Error::Internal("nothing was asked of the policy"))?;
        let (seals, opens) = (actions.contains(&Action::Encrypt), number.is_some());
        // Told to whoever may use the key.
        let Some(version) = &version else {
            let why = format!("{} has no version {}", named.path(), number.unwrap_or_default());
            return Err(Error::conflict("the token", why));
        };
        if let Err(shut) = self.shut(tx, (&named, version), (seals, opens)) {
            let event = about(verdict.denial(act))?;
            let event = match &shut {
                Error::KeyShut { key, state, .. } => event.on("key", key).with("state", state),
                Error::KeyEnding { key, until, .. } => event.on("key", key).with("until", until),
                Error::SuiteShut { suite, since, .. } => since
                    .iter()
                    .fold(event.on("key", version.key).with("suite", suite), |e, since| e.with("since", since)),
                _ => return Err(shut),
            };
            denied_as::<()>(engine, tx, &by, verdict, event)?;
            return Ok(Fate::Denied(shut));
        }
        let Some(answer) = body(tx, &named, version)? else {
            let event = about(verdict.denial(act))?.with("failed", "the value does not open");
            denied_as::<()>(engine, tx, &by, verdict, event)?;
            return Ok(Fate::Denied(Error::Value { of: named.path() }));
        };
        let kind = if seals { Kind::State } else { Kind::Release };
        let event = Event { decision: Some(verdict.logged()), ..Event::new(kind, act) };
        let event = event.on("workspace", named.workspace.id).on("artifact", named.row.id);
        let mut event = about(event)?.on("key", version.key);
        if actions.contains(&Action::Export) {
            event = event.with("to", "disk");
        }
        if engine.mode == Mode::Solo && named.row.domain.class == Class::Restricted {
            event = event.with("approval", "none (solo)");
        }
        let ticket = tx.ticket()?;
        engine.watch.mark(tx)?;
        engine.keep(tx, ticket, &verdict)?;
        let logged = engine.log(tx, ticket, &by, &[event])?;
        Ok(Fate::Done(answer, logged.first().copied().ok_or(Error::Internal("an entry was lost"))?))
    }

    /// The key and the version that is meant, as they are while nobody moves them.
    fn held(&self, tx: &mut dyn Transaction, number: Option<u32>) -> Result<(Named, Option<NamedVersion>)> {
        let engine = self.engine;
        let not_found = || Error::NotFound(self.path());
        let meant = |tx: &mut dyn Transaction| {
            let named = Named::find(engine, tx, self.workspace, self.name)?.ok_or_else(not_found)?;
            let version = match number {
                None => Some(named.newest.clone()),
                Some(number) => named.version(engine, tx, number)?,
            };
            Ok::<_, Error>((named, version))
        };
        let (named, version) = meant(tx)?;
        let mut subjects: Vec<Subject> = vec![
            *self.session.principal.as_bytes(),
            *named.workspace.id.as_bytes(),
            *named.row.id.as_bytes(),
            PolicySet::row_id(),
        ];
        if let Some(version) = version.as_ref().filter(|version| version.state != KeyState::Destroyed) {
            let under = wrap_of(tx, &engine.keys.guard, version.key)?.under;
            let above = Above::of(tx, &engine.keys.guard, under)?;
            subjects.extend([*above.wraps.id.as_bytes(), *above.newest.id.as_bytes()]);
        }
        epochs::hold(tx, &subjects)?;
        if !epochs::closing(tx, &subjects)?.is_empty() {
            return Err(Error::Stale);
        }
        meant(tx)
    }

    fn decide(&self, tx: &mut dyn Transaction, named: &Named, action: Action) -> Result<Verdict> {
        let engine = self.engine;
        let actor = facts::actor(engine, tx, self.session.principal)?;
        let rules = engine.rules(tx)?;
        let circumstances = Circumstances::stated(self.now, &self.stated, &named.path())?;
        let query = facts::query(engine, self.session, &actor, action, named.resource(), &circumstances);
        Ok(judge(&rules, DecisionId::from_bytes(crate::system::random()?), &query))
    }

    /// Refuses what the states of the keys, and the table of suites, do not allow.
    fn shut(
        &self,
        tx: &mut dyn Transaction,
        (named, version): (&Named, &NamedVersion),
        (seals, opens): (bool, bool),
    ) -> Result<()> {
        let domain = named.row.domain;
        let place = (domain.class, domain.environment);
        state::refuse_named(self.engine, tx, named, version, (seals, opens))?;
        // Whoever seals it again sees nothing of it, and gives it another suite by that.
        if opens && !seals {
            let mend = || "strongroom encrypt --renew".to_owned();
            suites::refuse_unread(&*self.engine.crypto(tx)?, place, version.suite, self.now, mend)?;
        }
        if seals { drift::refuse_named(self.engine, tx, named, self.now) } else { Ok(()) }
    }

    /// What the token holds; none if it does not open, whatever the reason is.
    fn opened(
        &self,
        tx: &mut dyn Transaction,
        named: &Named,
        version: &NamedVersion,
        token: &Token,
    ) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let key = named.open(self.engine, tx, version)?;
        match value::open(&key, &named.place(self.engine, version), &self.pairs, token) {
            Ok(value) => Ok(Some(value)),
            Err(value::Error::Authentication) => Ok(None),
            Err(error) => Err(refused(error)),
        }
    }

    /// With what the log is to say of the value: never itself, and what it is about under a commitment, for that may be personal.
    fn about(&self, event: Event, named: &Named, number: u32) -> Result<Event> {
        let event = event.with("class", named.row.domain.class).with("version", number);
        let event = if self.pairs.pairs().is_empty() {
            event
        } else {
            let text = serde_json::to_string(self.pairs.pairs());
            event.hiding("context", &text.map_err(|_| Error::Internal("a context is not JSON"))?)?
        };
        match self.stated.reason {
            Some(reason) => event.hiding("reason", reason),
            None => Ok(event),
        }
    }
}
