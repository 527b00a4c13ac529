//! Escrow: a root that only wraps, whose seed is in several hands (`spec/keys.md#escrow`). Made, rehearsed; [`crate::recover`] brings
//! its shares back together when everything else is gone.

use super::add::{Plan, Waiting, room, useful};
use super::drill::opened_all;
use super::list::item;
use super::{RecoveryRoot, RootProvider};
use crate::acts::{Act, Wanted, act, look};
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::jobs::Slice;
use crate::journal::Logged;
use crate::rows::{Root, RootState, Setting, Table as _};
use crate::session::Session;
use crate::system;
use crate::vault::file::VaultFile;
use crate::vault::{EscrowWanted, RootKind, Shares};
use api::terms::{Action, KeyId};
use api::wire::{EscrowMade, EscrowRehearsed, Problem};
use seal::escrow::{Escrow, Share, Terms};
use std::sync::Arc;

/// The setting that counts the escrows of a vault, so that shares of earlier ones are told.
pub(super) const GENERATIONS: &str = "escrows";

/// Makes an escrow. One that was there opens nothing any more: its shares are outdated.
///
/// The shares are handed out before it counts: an escrow that nobody holds replaces none.
pub(crate) fn create(
    engine: &Engine,
    session: &Session,
    wanted: &EscrowWanted,
    hand_out: &mut dyn FnMut(KeyId, &Shares) -> std::result::Result<(), Problem>,
) -> std::result::Result<EscrowMade, Problem> {
    look(engine, session, &Wanted::vault(Action::ManageKeys, "escrow.create"))?;
    // Before shares are handed out that bring nothing back, and one that does is replaced.
    let crypto = engine.store.read(|tx| engine.crypto(tx))?;
    useful(&crypto, RootKind::Escrow, engine.now()?)?;
    let old: Vec<Root> = rows(engine)?.into_iter().filter(|row| row.kind == RootKind::Escrow).collect();
    let before: u16 = engine.store.read::<_, Error>(|tx| {
        let setting: Option<Setting> = engine.keys.guard.find(tx, &Setting::id_of(GENERATIONS))?;
        let altered = || Error::Altered { table: Setting::NAME, row: GENERATIONS.into() };
        setting.map_or(Ok(0), |setting| setting.value.parse().map_err(|_| altered()))
    })?;
    let generation = before.checked_add(1);
    let generation = generation.ok_or_else(|| Error::conflict("the escrow", "there were too many before it"))?;
    let id = KeyId::from_bytes(system::random()?);
    let terms = Terms {
        vault: *engine.vault.as_bytes(),
        root: *id.as_bytes(),
        generation,
        made_ms: engine.now()?.as_millis(),
        threshold: wanted.threshold,
        shares: wanted.shares,
    };
    let mut file = VaultFile::read_of(engine)?;
    room(&file)?;
    let suite = crate::keys::sealed(file.suite);
    let (escrow, seed, shares) = Escrow::create(suite, terms).map_err(failed)?;
    let key = seed.root_key(suite, engine.vault.as_bytes(), id.as_bytes()).map_err(failed)?;
    // It lives in the shares alone from here on.
    drop(seed);
    let root = RecoveryRoot::behind(key, suite, engine.vault, id, RootKind::Escrow)?;
    file.add(&root, Some(escrow.params(&root.sealed())));
    let row = Root {
        public: Some(root.public()),
        escrow: Some(hex::encode(escrow.encode())),
        generation: Some(generation),
        ..Root::joining(id, RootKind::Escrow, engine.now()?)
    };
    let root: Arc<dyn RootProvider> = Arc::new(root);
    let plan = Plan { act: "escrow.create", row, replaces: old.iter().map(|row| row.id).collect() };
    let shares = Shares(shares.iter().map(Share::expose_text).collect());
    hand_out(id, &shares)?;
    drop(shares);
    let added = Waiting { engine, session, root, means: None }.come_in(plan, &file)?;
    Ok(EscrowMade {
        root: added.root,
        generation,
        shares: wanted.shares,
        threshold: wanted.threshold,
        wrapped: added.wrapped,
        locked: added.locked,
        receipt: added.receipt,
    })
}

/// Proves with real shares that they bring everything back, and brings nothing back.
pub(crate) fn rehearse(engine: &Engine, session: &Session, texts: &Shares) -> Result<EscrowRehearsed> {
    look(engine, session, &Wanted::vault(Action::ManageKeys, "escrow.rehearse"))?;
    let row = rows(engine)?.into_iter().find(|row| row.kind == RootKind::Escrow && row.state.counts());
    let row = row.ok_or_else(|| Error::NotFound("the vault's escrow".into()))?;
    let (keys, numbers) = proven(engine, &row, texts).inspect_err(|error| {
        // Whether or not that can be written: what failed is told.
        let _ = failed_rehearsal(engine, session, row.id, error);
    })?;
    let wanted = Wanted::vault(Action::ManageKeys, "escrow.rehearse");
    let logged = act(engine, session, &wanted, &[], |tx, act| rehearsed(tx, act, row.id, &numbers))?;
    let receipt = engine.settled(&logged)?;
    engine.store.read(|tx| {
        let row: Root = engine.keys.guard.expect(tx, row.id.as_bytes())?;
        Ok(EscrowRehearsed { root: item(engine, tx, &row)?, shares: numbers.clone(), keys, receipt: receipt.clone() })
    })
}

/// Brings the shares together and opens everything with what they make; how many keys, and the numbers of the shares.
fn proven(engine: &Engine, row: &Root, texts: &Shares) -> Result<(u64, Vec<u8>)> {
    let altered = || Error::Altered { table: "root", row: row.id.to_string() };
    let file = VaultFile::read_of(engine)?;
    let suite = crate::keys::sealed(file.suite);
    let kept = row.escrow.as_ref().and_then(|text| hex::decode(text).ok()).ok_or_else(altered)?;
    let escrow = Escrow::decode(suite, engine.vault.as_bytes(), row.id.as_bytes(), &kept).map_err(|_| altered())?;
    let shares = parsed(texts)?;
    let seed = escrow.combine(&shares).map_err(failed)?;
    let root = opened(&file, row.id, &seed)?;
    if row.public.as_ref() != Some(&root.public()) {
        return Err(altered());
    }
    let keys = opened_all(engine, row.id, &Slice::whole(), |context, sealed| root.unwrap(context, sealed))?.0;
    Ok((keys, shares.iter().map(Share::number).collect()))
}

/// That shares did not bring it back is known to whoever looks for it, and not only to who tried.
fn failed_rehearsal(engine: &Engine, session: &Session, root: KeyId, error: &Error) -> Result<()> {
    let wanted = Wanted::vault(Action::ManageKeys, "escrow.rehearse");
    let logged = act(engine, session, &wanted, &[], |tx, act| {
        // It may name files and people.
        let event = act.event("escrow.rehearse").on("root", root).with("outcome", "failed");
        let event = event.hiding("reason", &error.to_string())?;
        let logged = act.engine.log(tx, act.ticket, &act.by, &[event])?;
        logged.first().copied().ok_or(Error::Internal("an entry was lost"))
    })?;
    engine.settled(&logged).map(drop)
}

fn rehearsed(tx: &mut dyn Transaction, act: &Act<'_>, id: KeyId, numbers: &[u8]) -> Result<Logged> {
    let guard = &act.engine.keys.guard;
    let row: Root = guard.expect(tx, id.as_bytes())?;
    let change = guard.update(tx, &Root { drilled: Some(act.now), ..row }, act.ticket)?;
    let words: Vec<String> = numbers.iter().map(u8::to_string).collect();
    let event = act.event("escrow.rehearse").on("root", id).with("shares", words.join(" ")).changing(vec![change]);
    let logged = act.engine.log(tx, act.ticket, &act.by, &[event])?;
    logged.first().copied().ok_or(Error::Internal("an entry was lost"))
}

/// The escrow that shares open, before anything of the database is believed.
pub(crate) fn unlock(file: &VaultFile, texts: &Shares) -> Result<RecoveryRoot> {
    let suite = crate::keys::sealed(file.suite);
    let shares = parsed(texts)?;
    let mut refused = Error::SharesRefused("this vault has no escrow".into());
    for entry in file.roots.iter().filter(|entry| entry.kind == RootKind::Escrow) {
        let params = entry.params.as_ref().and_then(|params| hex::decode(params).ok()).unwrap_or_default();
        let form = |_| Error::VaultFile("its parameters of the escrow are not of their form");
        let of = Escrow::from_params(suite, file.vault.as_bytes(), entry.id.as_bytes(), &params).map_err(form);
        let root = of.and_then(|(escrow, _)| escrow.combine(&shares).map_err(failed));
        match root.and_then(|seed| opened(file, entry.id, &seed)) {
            Ok(root) => return Ok(root),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

/// The private half that a seed opens.
fn opened(file: &VaultFile, id: KeyId, seed: &seal::secret::EscrowSeed) -> Result<RecoveryRoot> {
    let entry = file.entry(id).ok_or(Error::VaultFile("it does not name the escrow"))?;
    let suite = crate::keys::sealed(file.suite);
    let params = entry.params.as_ref().and_then(|params| hex::decode(params).ok()).unwrap_or_default();
    let form = |_| Error::VaultFile("its parameters of the escrow are not of their form");
    let (_, sealed) = Escrow::from_params(suite, file.vault.as_bytes(), id.as_bytes(), &params).map_err(form)?;
    let key = seed.root_key(suite, file.vault.as_bytes(), id.as_bytes()).map_err(failed)?;
    let root = RecoveryRoot::opened(key, suite, file.vault, id, &sealed, RootKind::Escrow)?;
    file.check(entry, &root)?;
    Ok(root)
}

fn parsed(texts: &Shares) -> Result<Vec<Share>> {
    texts.0.iter().map(|text| Share::parse(text.as_bytes()).map_err(failed)).collect()
}

fn rows(engine: &Engine) -> Result<Vec<Root>> {
    let rows: Vec<Root> = engine.store.read(|tx| engine.keys.guard.select(tx, "ORDER BY id", &[]))?;
    Ok(rows.into_iter().filter(|row| row.state != RootState::Joining).collect())
}

fn failed(error: seal::escrow::Error) -> Error {
    use seal::escrow::Error as Escrow;
    match error {
        Escrow::Bounds => Error::bad("the escrow", error.to_string()),
        Escrow::Entropy(_) => Error::Random,
        Escrow::Cipher => Error::Internal("the shares could not be computed"),
        other => Error::SharesRefused(other.to_string()),
    }
}
