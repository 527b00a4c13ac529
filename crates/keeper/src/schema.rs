//! The tables of the engine (the log's own are in the ledger).

use crate::datastore::Migration;

/// A MACed table: its index columns, then what every state row has.
macro_rules! state {
    ($name:literal, $columns:literal) => {
        concat!(
            "CREATE TABLE ",
            $name,
            " (id BYTEA PRIMARY KEY, ",
            $columns,
            "body BYTEA NOT NULL, salt BYTEA NOT NULL, ticket BIGINT NOT NULL, mac BYTEA NOT NULL)"
        )
    };
}

/// The first schema.
pub(crate) const ENGINE: Migration = Migration {
    number: 1,
    name: "engine",
    statements: &[
        // When it was erased, while something is left to do.
        state!("principal", "erasing BIGINT, "),
        "CREATE INDEX principal_erasing ON principal (erasing)",
        state!("role_grant", "principal BYTEA NOT NULL, workspace BYTEA, "),
        "CREATE INDEX role_grant_principal ON role_grant (principal, workspace)",
        state!("workspace", "name TEXT NOT NULL UNIQUE, "),
        state!("artifact", "workspace BYTEA NOT NULL, name TEXT NOT NULL, latest BIGINT NOT NULL, due BIGINT, "),
        "CREATE UNIQUE INDEX artifact_name ON artifact (workspace, name)",
        "CREATE INDEX artifact_latest ON artifact (workspace, latest)",
        "CREATE INDEX artifact_due ON artifact (due)",
        state!("version", "artifact BYTEA NOT NULL, number BIGINT NOT NULL, ends BIGINT, "),
        "CREATE UNIQUE INDEX version_number ON version (artifact, number)",
        "CREATE INDEX version_ends ON version (ends)",
        state!("alias", "artifact BYTEA NOT NULL, version BYTEA NOT NULL, "),
        "CREATE INDEX alias_version ON alias (version)",
        "CREATE INDEX alias_artifact ON alias (artifact)",
        state!("edge", "source BYTEA NOT NULL, made BYTEA NOT NULL, "),
        "CREATE INDEX edge_source ON edge (source, made)",
        state!("draft", "artifact BYTEA NOT NULL, lease_until BIGINT NOT NULL, "),
        "CREATE INDEX draft_lease ON draft (lease_until)",
        state!("run", "principal BYTEA NOT NULL, "),
        "CREATE INDEX run_principal ON run (principal)",
        state!("burst", "until BIGINT NOT NULL, "),
        "CREATE INDEX burst_until ON burst (until)",
        state!(
            "crypto_key",
            "purpose TEXT NOT NULL, workspace BYTEA, environment BIGINT, class BIGINT, number BIGINT NOT NULL, \
             state TEXT NOT NULL, due BIGINT, ends BIGINT, "
        ),
        "CREATE UNIQUE INDEX crypto_key_domain ON crypto_key (workspace, environment, class, purpose, number)",
        "CREATE INDEX crypto_key_purpose ON crypto_key (purpose, state)",
        "CREATE INDEX crypto_key_due ON crypto_key (state, due)",
        "CREATE INDEX crypto_key_ends ON crypto_key (ends)",
        state!("wrap", "wrapped BYTEA NOT NULL, under BYTEA NOT NULL, version BYTEA, "),
        "CREATE INDEX wrap_wrapped ON wrap (wrapped)",
        "CREATE INDEX wrap_under ON wrap (under, id)",
        "CREATE INDEX wrap_version ON wrap (version)",
        // One for each key.
        state!("incident", "exposed BYTEA NOT NULL UNIQUE, state TEXT NOT NULL, "),
        "CREATE INDEX incident_state ON incident (state)",
        // Lists of an incident, whose digests are in its row.
        "CREATE TABLE incident_part (incident BYTEA NOT NULL, list TEXT NOT NULL, part BIGINT NOT NULL, bytes BYTEA NOT NULL, \
         PRIMARY KEY (incident, list, part))",
        state!("root", "state TEXT NOT NULL, "),
        state!("policy_source", "name TEXT NOT NULL UNIQUE, "),
        state!("policy_set", ""),
        state!("setting", "name TEXT NOT NULL UNIQUE, "),
        // Which version an object is of is under a MAC; state and time are not, and collection believes neither alone.
        "CREATE TABLE object (id BYTEA PRIMARY KEY, version BYTEA NOT NULL, state BIGINT NOT NULL, at BIGINT NOT NULL, \
         mac BYTEA NOT NULL)",
        "CREATE INDEX object_version ON object (version)",
        "CREATE INDEX object_state ON object (state, at)",
        "CREATE TABLE command (key BYTEA PRIMARY KEY, answer BYTEA NOT NULL, at BIGINT NOT NULL, mac BYTEA NOT NULL)",
        "CREATE INDEX command_at ON command (at)",
        // The mark is without its MAC until the vault's first transaction writes it.
        "CREATE TABLE clock (id BIGINT PRIMARY KEY, high BIGINT NOT NULL, mac BYTEA)",
        "INSERT INTO clock (id, high) VALUES (0, 0)",
        // Not under a MAC: what no decision trusts. Records have their digest in the version's row.
        "CREATE TABLE record (version BYTEA PRIMARY KEY, bytes BYTEA NOT NULL)",
        // Certificates of destruction in parts, the head first; entries hold their digests.
        "CREATE TABLE certificate (of BYTEA NOT NULL, part BIGINT NOT NULL, body BYTEA NOT NULL, entry BYTEA, \
         version BYTEA, mac BYTEA NOT NULL, PRIMARY KEY (of, part))",
        // Sealed by the client, under keys that go with the version's.
        "CREATE TABLE prints (version BYTEA PRIMARY KEY, sealed BYTEA NOT NULL)",
        "CREATE TABLE epoch (subject BYTEA PRIMARY KEY, kind TEXT NOT NULL, value BIGINT NOT NULL)",
        "CREATE TABLE closing (subject BYTEA PRIMARY KEY, at BIGINT NOT NULL)",
        "CREATE TABLE cas (ticket BIGINT NOT NULL, hash BYTEA NOT NULL, bytes BYTEA NOT NULL, PRIMARY KEY (ticket, hash))",
        // Of which entry, and about whom: under whose key it is sealed.
        "CREATE TABLE sidecar (owner BYTEA NOT NULL, field TEXT NOT NULL, subject BYTEA NOT NULL, sealed BYTEA NOT NULL, \
         PRIMARY KEY (owner, field))",
        "CREATE INDEX sidecar_subject ON sidecar (subject)",
        // When a job ran last, under a MAC; that it waits is in what it works on.
        "CREATE TABLE job (name TEXT PRIMARY KEY, last BIGINT NOT NULL, mac BYTEA NOT NULL)",
        // Wraps that were ever made under a domain key, under a MAC.
        "CREATE TABLE key_use (key BYTEA PRIMARY KEY, uses BIGINT NOT NULL, mac BYTEA NOT NULL)",
        "CREATE TABLE tally (name TEXT PRIMARY KEY, value BIGINT NOT NULL)",
        "INSERT INTO tally (name, value) VALUES ('workspaces', 0), ('artifacts', 0), ('versions', 0)",
    ],
};

/// Depots besides the vault's own folder.
pub(crate) const DEPOTS: Migration = Migration {
    number: 3,
    name: "depots",
    statements: &[
        state!("depot", ""),
        // What was seen of a depot last, under a MAC; that something waits is in what it holds.
        "CREATE TABLE depot_seen (depot BYTEA PRIMARY KEY, body BYTEA NOT NULL, mac BYTEA NOT NULL)",
        // What was committed since and not told as copied: the object of a version, whoever committed it, how many objects came with it, and
        // which comparison saw it. No decision trusts it.
        "CREATE TABLE uncopied (depot BYTEA NOT NULL, object BYTEA NOT NULL, principal BYTEA NOT NULL, objects BIGINT NOT NULL, mark BIGINT, \
         PRIMARY KEY (depot, object))",
    ],
};

/// Keys of small values.
pub(crate) const NAMED: Migration = Migration {
    number: 4,
    name: "named",
    statements: &[
        state!("named_key", "workspace BYTEA NOT NULL, name TEXT NOT NULL, "),
        "CREATE UNIQUE INDEX named_key_name ON named_key (workspace, name)",
        state!("named_version", "named BYTEA NOT NULL, number BIGINT NOT NULL, state TEXT NOT NULL, due BIGINT, "),
        "CREATE UNIQUE INDEX named_version_number ON named_version (named, number)",
        "CREATE INDEX named_version_due ON named_version (state, due)",
    ],
};

/// Who principals are, with the key of each.
pub(crate) const SUBJECTS: Migration =
    Migration { number: 5, name: "subjects", statements: &[state!("subject", "name_index TEXT NOT NULL UNIQUE, ")] };

/// Every migration, in order; the log's comes second.
pub(crate) const ALL: [Migration; 5] = [ENGINE, crate::ledger::SCHEMA, DEPOTS, NAMED, SUBJECTS];
