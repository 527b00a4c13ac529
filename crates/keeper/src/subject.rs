//! Who a principal is, and the key that seals what is personal of it: the name, what the sidecar of the log holds, the records of
//! decisions, the commands of runs. Somebody who was erased has none: what was sealed under it opens never again.

use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::field::{Fields, Personal, Place};
use crate::rows::{Principal, Subject, Table};
use api::terms::{Name, PrincipalId, Timestamp, VaultId};
use seal::secret::SubjectKey;

/// The version of a key that is new.
const FIRST: u32 = 1;

/// Draws the key of somebody new, and seals the name under it.
pub(crate) fn drawn(
    fields: &Fields,
    vault: VaultId,
    id: PrincipalId,
    name: &Name,
    created: Timestamp,
) -> Result<Subject> {
    let key = SubjectKey::generate().map_err(|_| Error::Random)?;
    let sealed = fields.seal_key(of_key(&id), &key)?;
    let personal = Personal::new(vault, id, key, FIRST);
    Ok(Subject {
        id,
        name_index: index(fields, name),
        name: personal.seal(of_name(&id), name.as_str())?,
        key: sealed,
        version: FIRST,
        under: fields.epoch(),
        created,
    })
}

/// A principal by name.
///
/// # Errors
/// [`Error::Altered`] for the name of somebody who was erased: it was put back.
pub(crate) fn named(engine: &Engine, tx: &mut dyn Transaction, name: &Name) -> Result<Option<Principal>> {
    let index = index(&engine.keys.fields, name);
    let found: Option<Subject> = engine.keys.guard.select(tx, "WHERE name_index = $1", &[(&index).into()])?.pop();
    let Some(subject) = found else { return Ok(None) };
    let row: Principal = engine.keys.guard.expect(tx, subject.id.as_bytes())?;
    if row.erased.is_some() { Err(altered(&row.id)) } else { Ok(Some(row)) }
}

/// The name of a principal; of somebody who was erased, the id.
pub(crate) fn name_of(engine: &Engine, tx: &mut dyn Transaction, id: PrincipalId) -> Result<String> {
    match find(engine, tx, id)? {
        Some(subject) => opened(engine, &subject)?.open(of_name(&id), &subject.name),
        None => Ok(format!("{id} (erased)")),
    }
}

/// What opens what is personal of somebody; none of somebody who was erased.
pub(crate) fn personal(engine: &Engine, tx: &mut dyn Transaction, id: PrincipalId) -> Result<Option<Personal>> {
    find(engine, tx, id)?.map(|subject| opened(engine, &subject)).transpose()
}

/// What seals what somebody does now.
///
/// # Errors
/// [`Error::Erased`]: a session of somebody who was erased is over.
pub(crate) fn acting(engine: &Engine, tx: &mut dyn Transaction, id: PrincipalId) -> Result<Personal> {
    match engine.keys.guard.find::<Subject>(tx, id.as_bytes())? {
        Some(subject) => opened(engine, &subject),
        None => personal(engine, tx, id)?.ok_or(Error::Erased(id)),
    }
}

/// The row of a principal who was not erased. That of one who was is nowhere, else it was put back.
fn find(engine: &Engine, tx: &mut dyn Transaction, id: PrincipalId) -> Result<Option<Subject>> {
    let row: Principal = engine.keys.guard.expect(tx, id.as_bytes())?;
    let found: Option<Subject> = engine.keys.guard.find(tx, id.as_bytes())?;
    match (&found, row.erased) {
        (Some(_), None) | (None, Some(_)) => Ok(found),
        (Some(_), Some(_)) | (None, None) => Err(altered(&row.id)),
    }
}

fn opened(engine: &Engine, subject: &Subject) -> Result<Personal> {
    let key = engine.keys.fields.open_key(of_key(&subject.id), subject.under, &subject.key)?;
    Ok(Personal::new(engine.vault, subject.id, key, subject.version))
}

fn index(fields: &Fields, name: &Name) -> String {
    fields.blind_index(None, Subject::NAME, "name", name.as_str())
}

fn of_name(id: &PrincipalId) -> Place<'_> {
    Place::once(Subject::NAME, "name", id.as_bytes())
}

fn of_key(id: &PrincipalId) -> Place<'_> {
    Place::once(Subject::NAME, "key", id.as_bytes())
}

fn altered(id: &PrincipalId) -> Error {
    Error::Altered { table: Subject::NAME, row: id.to_string() }
}
