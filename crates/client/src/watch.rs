//! How an operation tells what it does, and how it is told to stop.

use api::terms::Code;
use api::wire::Problem;

/// The view of an operation from outside. Called from several threads.
pub trait Watch: Sync {
    /// A stage begins, of this many bytes if that is known.
    fn stage(&self, _name: &'static str, _total_bytes: Option<u64>) {}
    /// This many more bytes are done.
    fn advance(&self, _bytes: u64) {}
    /// The last stage is over; somebody else has the terminal for a while.
    fn over(&self) {}
    /// Something worth saying that is no result.
    fn note(&self, _text: &str) {}
    /// Whether the user wants it to stop.
    fn interrupted(&self) -> bool {
        false
    }
}

/// Watches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl Watch for Unwatched {}

/// Fails if the user wants to stop.
pub(crate) fn check(watch: &dyn Watch, what: &str) -> Result<(), Problem> {
    if watch.interrupted() {
        return Err(Problem::new(Code::Interrupted, what, "it was interrupted"));
    }
    Ok(())
}
