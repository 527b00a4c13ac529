//! One transaction on a SQLite connection: binds by name, remembers its first failure.

use super::super::error::{Error, Result};
use super::super::statement::{Statement, Verb, scan};
use super::super::value::{Cell, MAX_ROWS, Row, Rows, Value};
use super::super::{Alteration, Lock, Transaction, migrate};
use super::{execute, translate};
use rusqlite::Connection;
use rusqlite::types::{ToSqlOutput, ValueRef};

/// What a transaction may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Read,
    Write,
}

/// The transaction.
pub(super) struct Session<'c> {
    connection: &'c Connection,
    mode: Mode,
    failure: Option<Error>,
}

impl<'c> Session<'c> {
    pub(super) fn new(connection: &'c Connection, mode: Mode) -> Self {
        Self { connection, mode, failure: None }
    }

    /// The first failure, which ended the transaction.
    pub(super) fn into_failure(self) -> Option<Error> {
        self.failure
    }

    /// Runs `step` unless something failed before, and remembers its failure.
    fn step<T>(&mut self, step: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        if let Some(error) = &self.failure {
            return Err(error.clone());
        }
        step(self).inspect_err(|error| self.failure = Some(error.clone()))
    }

    fn run(&self, sql: &str, values: &[Value<'_>]) -> Result<Rows> {
        let scanned = scan(sql, values)?;
        let mut rows = Vec::new();
        self.each(sql, &scanned, values, &mut |row| {
            if rows.len() == MAX_ROWS {
                return Err(Error::TooLarge { what: "the answer of a query", max: MAX_ROWS });
            }
            rows.push(row);
            Ok(())
        })?;
        Ok(Rows { rows, changed: if scanned.verb == Verb::Change { self.connection.changes() } else { 0 } })
    }

    /// Shows each row of a statement as it comes.
    fn each(
        &self,
        sql: &str,
        scanned: &Statement,
        values: &[Value<'_>],
        show: &mut dyn FnMut(Row) -> Result<()>,
    ) -> Result<()> {
        let mut statement = self.connection.prepare_cached(sql).map_err(translate)?;
        if self.mode == Mode::Read && !statement.readonly() {
            return Err(Error::Misuse("a read transaction cannot write"));
        }
        if statement.parameter_count() != scanned.order.len() {
            return Err(Error::Misuse("the engine counts other parameters than the dialect"));
        }
        for (index, number) in (1..).zip(&scanned.order) {
            let value = values.get(usize::from(*number) - 1).ok_or(Error::Misuse("a parameter has no value"))?;
            statement.raw_bind_parameter::<usize, _>(index, output(value)).map_err(translate)?;
        }
        let width = statement.column_count();
        let mut found = statement.raw_query();
        while let Some(row) = found.next().map_err(translate)? {
            let cells =
                (0..width).map(|column| cell(row.get_ref(column).map_err(translate)?)).collect::<Result<_>>()?;
            show(Row { cells })?;
        }
        Ok(())
    }

    fn writes(&self) -> Result<()> {
        match self.mode {
            Mode::Write => Ok(()),
            Mode::Read => Err(Error::Misuse("a read transaction cannot lock or draw a ticket")),
        }
    }
}

impl Transaction for Session<'_> {
    fn query(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Rows> {
        self.step(|session| session.run(sql, values))
    }

    fn walk(&mut self, sql: &str, show: &mut dyn FnMut(&Row) -> Result<()>) -> Result<()> {
        self.step(|session| match scan(sql, &[])? {
            scanned if scanned.verb == Verb::Select => session.each(sql, &scanned, &[], &mut |row| show(&row)),
            _ => Err(Error::Misuse("only a SELECT can be walked through")),
        })
    }

    fn lock(&mut self, _strength: Lock, sql: &str, values: &[Value<'_>]) -> Result<Rows> {
        self.step(|session| {
            session.writes()?;
            match scan(sql, values)?.verb {
                Verb::Select => session.run(sql, values),
                _ => Err(Error::Misuse("only a SELECT can lock")),
            }
        })
    }

    fn ticket(&mut self) -> Result<i64> {
        self.step(|session| {
            session.writes()?;
            session
                .run("UPDATE ticket_counter SET value = value + 1 WHERE id = 1 RETURNING value", &[])?
                .one()?
                .integer(0)
        })
    }
}

impl Alteration for Session<'_> {
    fn prepare(&mut self) -> Result<()> {
        self.step(|session| {
            // The file's one writer: no lock is needed.
            for ddl in [
                migrate::BOOKKEEPING,
                "CREATE TABLE IF NOT EXISTS ticket_counter (id BIGINT PRIMARY KEY CHECK (id = 1), value BIGINT NOT NULL)",
            ] {
                execute(session.connection, &dialect(ddl))?;
            }
            let first = "INSERT INTO ticket_counter (id, value) VALUES (1, 0) ON CONFLICT (id) DO NOTHING";
            session.run(first, &[]).map(|_| ())
        })
    }

    fn define(&mut self, ddl: &str) -> Result<()> {
        self.step(|session| {
            session.writes()?;
            execute(session.connection, &dialect(ddl))
        })
    }
}

/// DDL in SQLite's words: BIGINT is INTEGER, BYTEA is BLOB, tables are STRICT.
fn dialect(ddl: &str) -> String {
    let mut text = String::with_capacity(ddl.len() + 16);
    let mut rest = ddl;
    while !rest.is_empty() {
        let word = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (head, tail) = rest.split_at(word);
        text.push_str(match head {
            "BIGINT" => "INTEGER",
            "BYTEA" => "BLOB",
            other => other,
        });
        let between = tail.find(|c: char| c.is_ascii_alphanumeric() || c == '_').unwrap_or(tail.len());
        let (head, tail) = tail.split_at(between);
        text.push_str(head);
        rest = tail;
    }
    if ddl.starts_with("CREATE TABLE") {
        text.push_str(" STRICT");
    }
    text
}

fn output<'v>(value: &Value<'v>) -> ToSqlOutput<'v> {
    ToSqlOutput::Borrowed(match *value {
        Value::Integer(Some(value)) => ValueRef::Integer(value),
        Value::Text(Some(value)) => ValueRef::Text(value.as_bytes()),
        Value::Bytes(Some(value)) => ValueRef::Blob(value),
        Value::Integer(None) | Value::Text(None) | Value::Bytes(None) => ValueRef::Null,
    })
}

fn cell(value: ValueRef<'_>) -> Result<Cell> {
    Ok(match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(value) => Cell::Integer(value),
        ValueRef::Blob(value) => Cell::Bytes(value.to_vec()),
        ValueRef::Text(value) => {
            Cell::Text(std::str::from_utf8(value).map_err(|_| Error::Corrupt("text is not UTF-8".into()))?.to_owned())
        }
        ValueRef::Real(_) => return Err(Error::Misuse("a query gives a number that is not a BIGINT: CAST it")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ddl_is_mapped_by_whole_words_and_tables_are_strict() {
        assert_eq!(
            dialect("CREATE TABLE a (bytea_x BYTEA, n BIGINT NOT NULL, t TEXT)"),
            "CREATE TABLE a (bytea_x BLOB, n INTEGER NOT NULL, t TEXT) STRICT"
        );
        assert_eq!(dialect("CREATE INDEX i ON a (n, t)"), "CREATE INDEX i ON a (n, t)");
    }
}
