//! The datastore on both engines: SQLite in a temporary folder, PostgreSQL on a private server.

mod engines;
mod faults;
mod model;
mod races;
mod suite;

use keeper::datastore::{Datastore, Migration, postgres, sqlite};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;
use testkit::postgres::{Collation, Postgres};

/// What a test returns: any failure, with `?`.
pub type Outcome = Result<(), Box<dyn std::error::Error>>;

/// The tests' schema.
pub const SCHEMA: &[Migration] = &[
    Migration {
        number: 1,
        name: "epochs and commands",
        statements: &[
            "CREATE TABLE epoch (subject BYTEA PRIMARY KEY, kind TEXT NOT NULL, value BIGINT NOT NULL CHECK (value >= 0))",
            "CREATE TABLE command (key BYTEA PRIMARY KEY, answer BYTEA, at BIGINT NOT NULL)",
        ],
    },
    Migration {
        number: 2,
        name: "entries",
        statements: &[
            "CREATE TABLE entry (id BYTEA PRIMARY KEY, at BIGINT NOT NULL, kind TEXT, subject BYTEA REFERENCES epoch (subject))",
            "CREATE UNIQUE INDEX entry_at ON entry (at, id)",
        ],
    },
];

/// An open, migrated store, and how to open it again.
pub struct Fixture {
    pub store: Datastore,
    pub place: Place,
}

pub enum Place {
    Sqlite { dir: TempDir },
    Postgres { address: String, _server: Arc<Postgres> },
}

impl Fixture {
    pub fn sqlite() -> Self {
        Self::at(Place::Sqlite { dir: tempfile::tempdir().unwrap() })
    }

    pub fn postgres() -> Self {
        let server = Postgres::shared().unwrap();
        Self::at(Place::Postgres { address: server.database(Collation::Bytes).unwrap(), _server: server })
    }

    fn at(place: Place) -> Self {
        let store = place.open();
        store.migrate(SCHEMA).unwrap();
        Self { store, place }
    }
}

impl Place {
    pub fn open(&self) -> Datastore {
        match self {
            Self::Sqlite { dir } => Datastore::sqlite(&dir.path().join("store.db"), &sqlite::Options::default()),
            Self::Postgres { address, .. } => Datastore::postgres(&postgres::Options::new(address)),
        }
        .unwrap()
    }
}

/// The database file of a SQLite fixture.
pub fn file(dir: &TempDir) -> PathBuf {
    dir.path().join("store.db")
}

/// Runs each claim of a suite on each engine, as a test of its own.
macro_rules! on_both_engines {
    ($suite:ident: $($claim:ident)*) => {
        mod on_sqlite {
            $(#[test] fn $claim() -> crate::datastore::Outcome {
                super::$suite::$claim(&crate::datastore::Fixture::sqlite())
            })*
        }
        mod on_postgres {
            $(#[test] fn $claim() -> crate::datastore::Outcome {
                super::$suite::$claim(&crate::datastore::Fixture::postgres())
            })*
        }
    };
}
use on_both_engines;
