//! Schema changes: forward only, checksummed, applied in one transaction.
//!
//! DDL is written once, in the words `BIGINT`, `TEXT`, `BYTEA`; statements are `CREATE TABLE`, `CREATE INDEX`, `CREATE
//! UNIQUE INDEX`, `ALTER TABLE`, `DROP TABLE`, `DROP INDEX`, or a change of rows that takes no parameters.

use super::error::{Error, Result};
use super::{Alteration, Driver, Outcome, Transaction};
use aws_lc_rs::digest;

/// One step of the schema.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// 1, 2, 3 ...
    pub number: u32,
    /// What it is about; part of the checksum.
    pub name: &'static str,
    /// One statement each.
    pub statements: &'static [&'static str],
}

impl Migration {
    /// SHA-256 over number, name and statements, each with its length.
    pub fn checksum(&self) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&self.number.to_be_bytes());
        for part in std::iter::once(&self.name).chain(self.statements) {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut checksum = [0; 32];
        checksum.copy_from_slice(context.finish().as_ref());
        checksum
    }
}

/// The table of applied migrations.
pub(super) const BOOKKEEPING: &str = "CREATE TABLE IF NOT EXISTS schema_migration \
     (number BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum BYTEA NOT NULL)";

/// Brings the schema up to `migrations`.
pub(super) fn run(driver: &dyn Driver, migrations: &[Migration]) -> Result<()> {
    check(migrations)?;
    // The common case writes nothing. A database without the table answers with a statement error: then migrate.
    let mut missing = Err(Error::Misuse("a driver did not run the transaction"));
    let seen = driver.read(&mut |transaction| {
        missing = missing_in(transaction, migrations);
        Outcome::RollBack
    });
    match seen.and(missing) {
        Ok(0) => return Ok(()),
        Ok(_) | Err(Error::Statement(_)) => {}
        Err(error) => return Err(error),
    }
    let mut result = Ok(());
    driver.alter(&mut |alteration| {
        result = apply(alteration, migrations);
        if result.is_ok() { Outcome::Commit } else { Outcome::RollBack }
    })?;
    result
}

fn check(migrations: &[Migration]) -> Result<()> {
    if !migrations.iter().zip(1..).all(|(migration, number)| migration.number == number) {
        return Err(Error::Misuse("migrations are not numbered 1, 2, 3 without gaps"));
    }
    let allowed = |statement: &&str| VERBS.iter().any(|verb| statement.starts_with(verb)) && !statement.contains(';');
    if !migrations.iter().flat_map(|migration| migration.statements).all(allowed) {
        return Err(Error::Misuse("a migration holds something else than one change of the schema"));
    }
    Ok(())
}

/// How many of `migrations` the database lacks.
fn missing_in(transaction: &mut dyn Transaction, migrations: &[Migration]) -> Result<usize> {
    let applied = transaction.query("SELECT number, checksum FROM schema_migration ORDER BY number", &[])?;
    for (row, position) in applied.iter().zip(0_usize..) {
        let number = row.integer(0)?;
        let Some(migration) = migrations.get(position) else {
            let found = applied.iter().last().map_or(Ok(number), |row| row.integer(0))?;
            return Err(Error::SchemaNewer { found, known: migrations.len() as i64 });
        };
        if number != i64::from(migration.number) || row.bytes(1)? != migration.checksum() {
            return Err(Error::SchemaChanged { number });
        }
    }
    Ok(migrations.len() - applied.len())
}

fn apply(alteration: &mut dyn Alteration, migrations: &[Migration]) -> Result<()> {
    alteration.prepare()?;
    let missing = missing_in(alteration, migrations)?;
    for migration in migrations.iter().skip(migrations.len() - missing) {
        for statement in migration.statements {
            alteration.define(statement)?;
        }
        let insert = "INSERT INTO schema_migration (number, name, checksum) VALUES ($1, $2, $3)";
        alteration.query(
            insert,
            &[i64::from(migration.number).into(), migration.name.into(), (&migration.checksum()).into()],
        )?;
    }
    Ok(())
}

const VERBS: [&str; 9] = [
    "CREATE TABLE ",
    "CREATE INDEX ",
    "CREATE UNIQUE INDEX ",
    "ALTER TABLE ",
    "DROP TABLE ",
    "DROP INDEX ",
    "INSERT ",
    "UPDATE ",
    "DELETE ",
];
