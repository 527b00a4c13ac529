//! What rests on there being no hold: looked for outside of the transaction that ends something, in pages, so that no writer waits for
//! it; inside it, only whether any hold moved since.

use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::epochs::{self, Epochs, Subject};
use crate::error::{Error, Result};
use crate::rows::Setting;

/// How often it is looked again, if holds move all the time.
const TRIES: usize = 8;

/// The subject whose epoch moves with every hold of the vault that is set or lifted.
pub(crate) fn subject() -> Subject {
    Setting::id_of("holds")
}

/// What was found, and before which epochs.
#[derive(Debug)]
pub(crate) struct Looked<T> {
    pub(crate) found: T,
    epochs: Epochs,
}

impl<T> Looked<T> {
    /// Looks, about a key or a person: epochs first, so that whatever moves while it is looked is seen.
    pub(crate) fn at(engine: &Engine, about: Subject, look: impl FnOnce() -> Result<T>) -> Result<Self> {
        let epochs = engine.store.read(|tx| epochs::read(tx, &[about, subject()]))?;
        if epochs.len() != 2 {
            return Err(Error::Altered { table: "epoch", row: hex::encode(about) });
        }
        Ok(Self { found: look()?, epochs })
    }

    /// Refuses if a hold, or what it was about, moved since. Both are held exclusively from here on.
    pub(crate) fn stands(&self, tx: &mut dyn Transaction) -> Result<()> {
        let subjects: Vec<Subject> = self.epochs.keys().copied().collect();
        if epochs::seize(tx, &subjects)? == self.epochs { Ok(()) } else { Err(Error::Stale) }
    }
}

/// Does what rests on a look, from the look on, and again if something moved.
pub(crate) fn steady<T>(mut run: impl FnMut() -> Result<T>) -> Result<T> {
    for _ in 1..TRIES {
        match run() {
            Err(Error::Stale) => {}
            other => return other,
        }
    }
    run()
}
