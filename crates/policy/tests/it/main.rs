//! What the crate promises, from outside.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod cases;
mod explain;
mod facts;
mod fails_closed;
mod linting;
mod loading;
mod matrix;
mod playground;
mod replaying;
mod table;
mod tables;
