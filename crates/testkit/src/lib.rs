//! What tests share: faults on command, a private PostgreSQL. Depends on none of our crates.

pub mod fault;
pub mod postgres;
