//! The log's tables.
//!
//! `entry` holds what is not in a full bundle yet: pending entries (`idx` and `leaf` are NULL) and the tail of the tree, at most
//! 255 of them, with their leaves, which the signed root vouches for: whoever opens the log need not hash its newest entries.
//! `entry_pending` finds the pending ones without a look at the tail. Full bundles and tiles are files; the rows go when their bundle
//! is durable. `logstate` is the lock state: the last signed head. `entry_index` finds entries of full bundles; it is a hint, and what
//! it finds is read from the log itself.

use crate::datastore::Migration;

/// The log's migration. It must come second.
pub const SCHEMA: Migration = Migration {
    number: 2,
    name: "ledger",
    statements: &[
        "CREATE TABLE entry (ticket BIGINT NOT NULL, position BIGINT NOT NULL, id BYTEA NOT NULL, idx BIGINT, \
         leaf BYTEA, body BYTEA NOT NULL, mac BYTEA NOT NULL, PRIMARY KEY (ticket, position))",
        "CREATE INDEX entry_pending ON entry (ticket, position) WHERE idx IS NULL",
        "CREATE TABLE logstate (id BIGINT PRIMARY KEY, fence BIGINT NOT NULL, size BIGINT NOT NULL, root TEXT NOT NULL, \
         checkpoint TEXT NOT NULL)",
        "INSERT INTO logstate (id, fence, size, root, checkpoint) VALUES (0, 0, 0, \
         'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', '')",
        "CREATE TABLE entry_index (idx BIGINT PRIMARY KEY, id BYTEA NOT NULL, at BIGINT NOT NULL, principal BYTEA NOT NULL, \
         act TEXT NOT NULL, artifact BYTEA, version BYTEA, decision BYTEA)",
        "CREATE INDEX entry_index_id ON entry_index (id)",
        "CREATE INDEX entry_index_decision ON entry_index (decision)",
        "CREATE INDEX entry_index_principal ON entry_index (principal, idx)",
        "CREATE INDEX entry_index_artifact ON entry_index (artifact, idx)",
        "CREATE INDEX entry_index_at ON entry_index (at, idx)",
    ],
};
