//! The real binary, end to end.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod aliases;
mod asked;
mod attacks;
mod baseline;
mod commands;
mod compared;
mod crash;
mod demo;
mod doctor;
mod errors;
mod faults;
mod hints;
mod independent;
mod inside;
mod killed;
mod mistakes;
mod outputs;
mod policies;
mod prompts;
mod readme;
mod rehearsal;
mod runs;
mod sandbox;
mod scale;
mod secrets;
mod settings;
mod shares;
mod sources;
mod spills;
mod stored;
mod suites;
mod terminal;
mod trips;
mod tutorial;
