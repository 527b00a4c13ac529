//! Certificates of destruction: what went, what lives on elsewhere, and how far that reaches. Kept as text in parts, the head under
//! number 0, whose digest the last entry of the destruction holds (`log::certificate`, `spec/keys.md#certificates`).

use crate::acts::{Under, Wanted, look};
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::keys::state::Target;
use crate::rows::{Root, Version};
use crate::session::Session;
use api::terms::{Action, EntryId, KeyId, ObjectId, Timestamp, VersionId};
use api::wire::Certificate;
use log::certificate::{MAGIC, part_line};
use log::tree;
use policy::Resource;
use std::fmt::Display;

/// The table of parts.
const TABLE: &str = "certificate";

/// Lines of a name and what it names. Nothing in them has a line end: names of ours have none.
#[derive(Debug, Default)]
pub(crate) struct Lines(String);

impl Lines {
    /// Adds one.
    pub(crate) fn add(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.0.push_str(&format!("{name} {value}\n"));
        self
    }

    /// Adds that there is such a part.
    pub(crate) fn part(&mut self, number: usize, body: &str) {
        self.0.push_str(&part_line(number, body));
    }

    /// The text.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

/// What a version's destruction left.
pub(crate) struct Gone<'a> {
    pub(crate) version: &'a Version,
    /// `workspace/artifact@vN`.
    pub(crate) named: &'a str,
    /// Of its key.
    pub(crate) fingerprint: &'a str,
    /// Objects that only it needed.
    pub(crate) freed: usize,
    /// Those that living versions need too, each with one of them.
    pub(crate) kept: &'a [(ObjectId, VersionId)],
}

impl Gone<'_> {
    /// What a part says of it.
    pub(crate) fn tell(&self, lines: &mut Lines) {
        let Self { version, named, fingerprint, freed, kept } = self;
        lines.add("version", format_args!("{} {named}", version.id));
        lines.add("version-key", format_args!("{} {fingerprint}", version.key));
        lines.add("record", &version.digest).add("freed", freed).add("kept", kept.len());
        for (object, by) in *kept {
            lines.add("lives-on", format_args!("{object} {by}"));
        }
    }
}

/// The head of a certificate of this key, begun.
pub(crate) fn head(engine: &Engine, key: KeyId, kind: &str, fingerprint: &str) -> Lines {
    let mut lines = Lines(format!("{MAGIC}\n"));
    lines.add("vault", engine.vault).add("log", engine.ledger.keys().origin());
    lines.add("key", key).add("kind", kind).add("fingerprint", fingerprint);
    lines
}

/// How far a destruction reaches: said in every head.
pub(crate) fn horizon(lines: &mut Lines, now: Timestamp, lease_secs: u64) {
    let ends = now.plus_millis(lease_secs.saturating_mul(1000));
    lines.add("leases-end", ends);
    lines.add(
        "horizon",
        "a copy of this vault's database from before, together with a key that wrapped this one, still opens it: destroy such backups, or those keys",
    );
    lines.add(
        "horizon",
        "what was released before may be in memory until leases end, and what was exported is where it was exported to: the log names both",
    );
}

/// The roots under which a key was wrapped, by line.
pub(crate) fn under_roots(engine: &Engine, tx: &mut dyn Transaction, lines: &mut Lines, roots: &[KeyId]) -> Result<()> {
    for id in roots {
        let root: Root = engine.keys.guard.expect(tx, id.as_bytes())?;
        lines.add("wrapped-under", format_args!("{id} {}", root.kind.word()));
    }
    Ok(())
}

/// Keeps a part, numbered from 1.
pub(crate) fn keep_part(engine: &Engine, tx: &mut dyn Transaction, of: KeyId, number: u32, body: &str) -> Result<()> {
    keep(engine, tx, (of, number), body, None, None)
}

/// Keeps the head, with the version whose key it was; gives its digest for the entry with this id.
pub(crate) fn keep_head(
    engine: &Engine,
    tx: &mut dyn Transaction,
    of: KeyId,
    version: Option<VersionId>,
    head: &Lines,
    entry: EntryId,
) -> Result<tree::Hash> {
    keep(engine, tx, (of, 0), head.text(), Some(entry), version)?;
    Ok(tree::sha256(head.text().as_bytes()))
}

fn keep(
    engine: &Engine,
    tx: &mut dyn Transaction,
    (of, number): (KeyId, u32),
    body: &str,
    entry: Option<EntryId>,
    version: Option<VersionId>,
) -> Result<()> {
    let kept = Kept { body: body.to_owned(), entry, version };
    let tag = engine.keys.guard.tag(TABLE, &row_id(of, number), &kept.bytes()?);
    let entry = kept.entry.as_ref().map(|entry| entry.as_bytes().as_slice());
    let version = kept.version.as_ref().map(|version| version.as_bytes().as_slice());
    tx.query(
        "INSERT INTO certificate (of, part, body, entry, version, mac) VALUES ($1, $2, $3, $4, $5, $6)",
        &[
            of.as_bytes().into(),
            i64::from(number).into(),
            body.as_bytes().into(),
            entry.into(),
            version.into(),
            (&tag).into(),
        ],
    )?;
    Ok(())
}

/// A part as it is kept, under a MAC.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Kept {
    pub(crate) body: String,
    /// Of a head: the entry that holds its digest.
    entry: Option<EntryId>,
    /// Of a head: the version whose key it was.
    version: Option<VersionId>,
}

impl Kept {
    fn bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|_| Error::Internal("a part that is no JSON"))
    }
}

fn row_id(of: KeyId, number: u32) -> Vec<u8> {
    [of.as_bytes().as_slice(), &number.to_be_bytes()].concat()
}

/// How many parts there are of a key, the head not counted.
pub(crate) fn parts(tx: &mut dyn Transaction, of: KeyId) -> Result<u32> {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM certificate WHERE of = $1 AND part > 0";
    let count = tx.query(sql, &[of.as_bytes().into()])?.one()?.integer(0)?;
    u32::try_from(count).map_err(|_| Error::Internal("more parts than there can be"))
}

/// One part.
pub(crate) fn part(engine: &Engine, tx: &mut dyn Transaction, of: KeyId, number: u32) -> Result<Option<Kept>> {
    let sql = "SELECT body, entry, version, mac FROM certificate WHERE of = $1 AND part = $2";
    let rows = tx.query(sql, &[of.as_bytes().into(), i64::from(number).into()])?;
    let Some(row) = rows.optional()? else { return Ok(None) };
    let altered = || Error::Altered { table: TABLE, row: of.to_string() };
    let kept = Kept {
        body: String::from_utf8(row.bytes(0)?.to_vec()).map_err(|_| altered())?,
        entry: row.bytes_or_null(1)?.map(EntryId::try_from).transpose().map_err(|_| altered())?,
        version: row.bytes_or_null(2)?.map(VersionId::try_from).transpose().map_err(|_| altered())?,
    };
    engine.keys.guard.check(TABLE, &row_id(of, number), &kept.bytes()?, row.bytes(3)?)?;
    Ok(Some(kept))
}

/// A certificate's head with its entry and proof, or one of its parts, for whoever may list the key's workspace.
pub(crate) fn shown(engine: &Engine, session: &Session, key: KeyId, number: u32) -> Result<Certificate> {
    let not_found = || Error::NotFound(key.to_string());
    let target = engine.store.read(|tx| found(engine, tx, key))?.ok_or_else(not_found)?;
    let id = target.workspace().ok_or_else(not_found)?;
    let resource = Resource::Workspace(policy::Workspace { id });
    let path = engine.store.read(|tx| target.place(engine, tx))?;
    look(
        engine,
        session,
        &Wanted { action: Action::List, resource, act: "key.certificate", path, under: Under::Current },
    )
    .map_err(|error| if matches!(error, Error::NotFound(_)) { not_found() } else { error })?;
    let (asked, parts) = engine.store.read(|tx| Ok::<_, Error>((part(engine, tx, key, number)?, parts(tx, key)?)))?;
    let Some(Kept { body: text, entry, .. }) = asked else {
        let why = "the key was not destroyed, or its destruction goes on".to_owned();
        return Err(Error::Conflict { what: "the certificate", why, hint: Some("strongroom key ls".to_owned()) });
    };
    let Some(entry) = entry else { return Ok(Certificate { parts, text, entry: None, proof: None }) };
    engine.integrate()?;
    let (receipt, body) = engine.ledger.receipt(&entry)?;
    let utf8 = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|_| Error::Internal("a proof that is no text"));
    Ok(Certificate { parts, text, entry: Some(utf8(body)?), proof: Some(utf8(receipt.to_bytes())?) })
}

/// What the key belongs to, or belonged to: the wraps by which a version's key is found are gone.
fn found(engine: &Engine, tx: &mut dyn Transaction, key: KeyId) -> Result<Option<Target>> {
    if let Some(target) = Target::find(engine, tx, key)? {
        return Ok(Some(target));
    }
    let Some(id) = part(engine, tx, key, 0)?.and_then(|head| head.version) else { return Ok(None) };
    let version: Option<Version> = engine.keys.guard.find(tx, id.as_bytes())?;
    Ok(version.filter(|version| version.key == key).map(|version| Target::Version(Box::new(version))))
}
