//! Epochs: a number per subject (principal, workspace, artifact, key, policy set) that moves with every change a decision
//! could see (DESIGN 7, 9).
//!
//! A release holds its subjects' rows shared and compares; a revocation holds them exclusively and moves them. A `closing`
//! row announces a revocation, so that new releases refuse at once.

use crate::datastore::{Lock, Transaction, Value};
use crate::error::{Error, Result};
use api::terms::Timestamp;
use std::collections::BTreeMap;

/// A subject's id.
pub(crate) type Subject = [u8; 16];

/// What was seen of some subjects.
pub(crate) type Epochs = BTreeMap<Subject, i64>;

/// Statement sizes: a list is padded to the next one, so that a handful of texts serve every batch.
const SIZES: [usize; 5] = [1, 8, 32, 128, 512];

/// Makes the row of a new subject.
pub(crate) fn create(tx: &mut dyn Transaction, subject: &Subject, kind: &'static str) -> Result<()> {
    tx.query(
        "INSERT INTO epoch (subject, kind, value) VALUES ($1, $2, 1) ON CONFLICT (subject) DO NOTHING",
        &[subject.into(), kind.into()],
    )?;
    Ok(())
}

/// What stands there now, without holding it.
pub(crate) fn read(tx: &mut dyn Transaction, subjects: &[Subject]) -> Result<Epochs> {
    pages(subjects, |marks, values| {
        let sql = format!("SELECT subject, value FROM epoch WHERE subject IN ({marks})");
        Ok(tx.query(&sql, values)?)
    })
}

/// Holds the subjects shared until the transaction ends, and tells what stands there. The first statement of a release.
pub(crate) fn hold(tx: &mut dyn Transaction, subjects: &[Subject]) -> Result<Epochs> {
    held(tx, subjects, Lock::Shared)
}

/// Holds the subjects exclusively. The first statement of whatever changes what decisions see.
pub(crate) fn seize(tx: &mut dyn Transaction, subjects: &[Subject]) -> Result<Epochs> {
    held(tx, subjects, Lock::Exclusive)
}

fn held(tx: &mut dyn Transaction, subjects: &[Subject], strength: Lock) -> Result<Epochs> {
    pages(subjects, |marks, values| {
        let sql = format!("SELECT subject, value FROM epoch WHERE subject IN ({marks}) ORDER BY subject");
        Ok(tx.lock(strength, &sql, values)?)
    })
}

/// Moves a subject's epoch.
pub(crate) fn bump(tx: &mut dyn Transaction, subject: &Subject) -> Result<()> {
    let changed = tx.query("UPDATE epoch SET value = value + 1 WHERE subject = $1", &[subject.into()])?.changed();
    if changed == 1 { Ok(()) } else { Err(Error::Altered { table: "epoch", row: hex::encode(subject) }) }
}

/// The subjects about which a revocation is under way.
pub(crate) fn closing(tx: &mut dyn Transaction, subjects: &[Subject]) -> Result<Vec<Subject>> {
    let found = pages(subjects, |marks, values| {
        let sql = format!("SELECT subject, at FROM closing WHERE subject IN ({marks})");
        Ok(tx.query(&sql, values)?)
    })?;
    Ok(found.into_keys().collect())
}

/// Announces a revocation: from the commit of this on, releases about the subject refuse. Whether none was announced before.
pub(crate) fn announce(tx: &mut dyn Transaction, subject: &Subject, now: Timestamp) -> Result<bool> {
    let at = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    let sql = "INSERT INTO closing (subject, at) VALUES ($1, $2) ON CONFLICT (subject) DO NOTHING";
    Ok(tx.query(sql, &[subject.into(), at.into()])?.changed() == 1)
}

/// Ends the announcement, in the transaction that revokes.
pub(crate) fn conclude(tx: &mut dyn Transaction, subject: &Subject) -> Result<()> {
    tx.query("DELETE FROM closing WHERE subject = $1", &[subject.into()])?;
    Ok(())
}

/// Runs a query over sorted, distinct subjects in padded pages.
fn pages(
    subjects: &[Subject],
    mut query: impl FnMut(&str, &[Value<'_>]) -> Result<crate::datastore::Rows>,
) -> Result<Epochs> {
    let mut sorted = subjects.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut found = Epochs::new();
    for page in sorted.chunks(512) {
        let size = SIZES.into_iter().find(|size| *size >= page.len()).unwrap_or(512);
        let padding = page.last().into_iter().cycle().take(size - page.len());
        let values: Vec<Value<'_>> = page.iter().chain(padding).map(Into::into).collect();
        let marks = (1..=size).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ");
        for row in &query(&marks, &values)? {
            found.insert(row.array(0)?, row.integer(1)?);
        }
    }
    Ok(found)
}
