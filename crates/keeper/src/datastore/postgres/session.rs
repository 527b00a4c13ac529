//! One transaction on a PostgreSQL connection: one round trip a statement, types taken from the values.

use super::super::error::{Error, Result};
use super::super::statement::{Verb, scan};
use super::super::value::{Cell, MAX_ROWS, Row, Rows, Value};
use super::super::{Alteration, Lock, Transaction, migrate};
use super::pool::Link;
use bytes::BytesMut;
use futures::TryStreamExt as _;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

/// What a transaction may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Read,
    Write,
    Alter,
}

/// Why a transaction ended early, and so what to do.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// It lost to another: run it again.
    Race,
    /// The connection is gone, and no commit was sent: run it again on another.
    Lost(Error),
    /// Tell the caller.
    Final(Error),
}

impl Failure {
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Race => Error::Contended { attempts: 1 },
            Self::Lost(error) | Self::Final(error) => error,
        }
    }
}

/// The transaction.
pub(super) struct Session<'l> {
    link: &'l mut Link,
    mode: Mode,
    failure: Option<Failure>,
}

impl<'l> Session<'l> {
    pub(super) fn new(link: &'l mut Link, mode: Mode) -> Self {
        Self { link, mode, failure: None }
    }

    /// The first failure, which ended the transaction.
    pub(super) fn into_failure(self) -> Option<Failure> {
        self.failure
    }

    /// Ends the transaction with an error of ours.
    pub(super) fn refuse(&mut self, error: Error) -> Error {
        self.failure = Some(Failure::Final(error.clone()));
        error
    }

    fn step<T>(&mut self, step: impl FnOnce(&mut Self) -> std::result::Result<T, Failure>) -> Result<T> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone().into_error());
        }
        step(self).map_err(|failure| {
            self.failure = Some(failure.clone());
            failure.into_error()
        })
    }

    fn run(&mut self, sql: &str, values: &[Value<'_>]) -> std::result::Result<Rows, Failure> {
        let scanned = scan(sql, values).map_err(Failure::Final)?;
        let (rows, changed) = self.fetch(sql, values)?;
        if rows.len() > MAX_ROWS {
            return Err(Failure::Final(Error::TooLarge { what: "the answer of a query", max: MAX_ROWS }));
        }
        Ok(Rows { rows, changed: changed.filter(|_| scanned.verb == Verb::Change).unwrap_or(0) })
    }

    fn fetch(&mut self, sql: &str, values: &[Value<'_>]) -> std::result::Result<(Vec<Row>, Option<u64>), Failure> {
        self.link.call(self.mode, async |client| {
            let parameters = values.iter().map(|value| (value, kind(value)));
            let mut stream = std::pin::pin!(client.query_typed_raw(sql, parameters).await?);
            let mut rows = Vec::new();
            while let Some(row) = stream.try_next().await? {
                // One more than allowed tells that there are too many; the rest is read and dropped.
                if rows.len() <= MAX_ROWS {
                    rows.push(cells(&row)?);
                }
            }
            Ok((rows, stream.rows_affected()))
        })
    }

    /// By a cursor, a page at a call: no call takes longer for a longer table.
    fn each(&mut self, sql: &str, show: &mut dyn FnMut(&Row) -> Result<()>) -> std::result::Result<(), Failure> {
        self.define_raw(&format!("DECLARE walk NO SCROLL CURSOR FOR {sql}"))?;
        loop {
            let (rows, _) = self.fetch(WALK, &[])?;
            if rows.is_empty() {
                return self.define_raw("CLOSE walk");
            }
            rows.iter().try_for_each(&mut *show).map_err(Failure::Final)?;
        }
    }

    fn writes(&self) -> std::result::Result<(), Failure> {
        match self.mode {
            Mode::Write | Mode::Alter => Ok(()),
            Mode::Read => Err(Failure::Final(Error::Misuse("a read transaction cannot lock or draw a ticket"))),
        }
    }

    fn define_raw(&mut self, ddl: &str) -> std::result::Result<(), Failure> {
        self.link.call(self.mode, async |client| client.batch_execute(ddl).await)
    }
}

impl Transaction for Session<'_> {
    fn query(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Rows> {
        self.step(|session| session.run(sql, values))
    }

    fn walk(&mut self, sql: &str, show: &mut dyn FnMut(&Row) -> Result<()>) -> Result<()> {
        self.step(|session| match scan(sql, &[]).map_err(Failure::Final)?.verb {
            Verb::Select => session.each(sql, show),
            _ => Err(Failure::Final(Error::Misuse("only a SELECT can be walked through"))),
        })
    }

    fn lock(&mut self, strength: Lock, sql: &str, values: &[Value<'_>]) -> Result<Rows> {
        let suffix = match strength {
            Lock::Shared => "FOR SHARE",
            Lock::Exclusive => "FOR UPDATE",
        };
        self.step(|session| {
            session.writes()?;
            match scan(sql, values).map_err(Failure::Final)?.verb {
                Verb::Select => session.run(&format!("{sql} {suffix}"), values),
                _ => Err(Failure::Final(Error::Misuse("only a SELECT can lock"))),
            }
        })
    }

    fn ticket(&mut self) -> Result<i64> {
        self.step(|session| {
            session.writes()?;
            let rows = session.run("SELECT nextval('ticket_sequence')", &[])?;
            rows.one().and_then(|row| row.integer(0)).map_err(Failure::Final)
        })
    }
}

impl Alteration for Session<'_> {
    fn prepare(&mut self) -> Result<()> {
        self.step(|session| {
            session.define_raw(migrate::BOOKKEEPING)?;
            session.define_raw("CREATE SEQUENCE IF NOT EXISTS ticket_sequence")?;
            session.define_raw("LOCK TABLE schema_migration IN EXCLUSIVE MODE")
        })
    }

    fn define(&mut self, ddl: &str) -> Result<()> {
        self.step(|session| {
            session.writes()?;
            session.define_raw(ddl)
        })
    }
}

/// A page of a walk.
const WALK: &str = "FETCH FORWARD 64 FROM walk";

fn kind(value: &Value<'_>) -> Type {
    match value {
        Value::Integer(_) => Type::INT8,
        Value::Text(_) => Type::TEXT,
        Value::Bytes(_) => Type::BYTEA,
    }
}

fn cells(row: &tokio_postgres::Row) -> std::result::Result<Row, tokio_postgres::Error> {
    let cells = (0..row.len()).map(|column| row.try_get(column)).collect::<std::result::Result<_, _>>()?;
    Ok(Row { cells })
}

type Failed = Box<dyn std::error::Error + Sync + Send>;

impl ToSql for Value<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> std::result::Result<IsNull, Failed> {
        match self {
            Self::Integer(value) => value.to_sql(kind, out),
            Self::Text(value) => value.to_sql(kind, out),
            Self::Bytes(value) => value.to_sql(kind, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        [Type::INT8, Type::TEXT, Type::BYTEA].contains(kind)
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Cell {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> std::result::Result<Self, Failed> {
        match *kind {
            Type::INT8 => i64::from_sql(kind, raw).map(Cell::Integer),
            Type::INT4 => i32::from_sql(kind, raw).map(|value| Cell::Integer(value.into())),
            Type::INT2 => i16::from_sql(kind, raw).map(|value| Cell::Integer(value.into())),
            Type::BYTEA => Ok(Cell::Bytes(raw.to_vec())),
            _ => String::from_sql(kind, raw).map(Cell::Text),
        }
    }

    fn from_sql_null(_: &Type) -> std::result::Result<Self, Failed> {
        Ok(Cell::Null)
    }

    fn accepts(kind: &Type) -> bool {
        let known = [Type::INT8, Type::INT4, Type::INT2, Type::BYTEA, Type::TEXT, Type::VARCHAR, Type::NAME];
        known.contains(kind)
    }
}
