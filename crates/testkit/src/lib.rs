//! What tests share: faults on command, forged chunks, a private PostgreSQL, Python. Depends on none of our crates.

pub mod fault;
pub mod forge;
pub mod postgres;
pub mod python;
