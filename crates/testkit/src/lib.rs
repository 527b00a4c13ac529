//! What tests share: faults on command, forged chunks, a private PostgreSQL, Python, buckets, the fuzzer's seeds. Depends on none of our crates.

pub mod bucket;
pub mod fault;
pub mod forge;
pub mod postgres;
pub mod python;
pub mod seeds;
pub mod suites;
