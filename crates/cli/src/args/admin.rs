//! Commands on the vault, keys, principals and policy.

use super::Duration;
use api::terms::{Action, Class, Environment, Kind, Mode, PrincipalKind, Timestamp};
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// `init`
#[derive(Debug, Args)]
pub struct InitArgs {
    /// How the vault is run: solo (one person) or rehearsal (team rules on one machine, for learning and tests)
    #[arg(long, default_value = "solo")]
    pub mode: Mode,
    /// What opens it
    #[arg(long, value_enum, default_value = "keyfile")]
    pub root: RootKindArg,
    /// What becomes of its recovery code.
    #[command(flatten)]
    pub recovery: RecoveryArgs,
    /// Use this table of suites, which says what seals each class, in place of the built-in one
    #[arg(long, value_name = "FILE")]
    pub crypto: Option<PathBuf>,
    /// Name of the first principal [default: the user's name]
    #[arg(long, value_name = "NAME")]
    pub owner: Option<String>,
    /// Keep the data in this folder or bucket (s3://BUCKET/PREFIX) [default: a folder in the vault]
    #[arg(long, value_name = "DIR|URL", value_hint = clap::ValueHint::DirPath)]
    pub depot: Option<String>,
    /// Where a bucket's service is.
    #[command(flatten)]
    pub bucket: super::BucketArgs,
}

/// Where a recovery code goes: to the terminal, unless it is said.
#[derive(Debug, Args)]
pub struct RecoveryArgs {
    /// Make no recovery code
    #[arg(long, conflicts_with = "recovery_file")]
    pub no_recovery: bool,
    /// Write the recovery code to this new file instead of the terminal; to the policies it is a key file
    #[arg(long, value_name = "FILE")]
    pub recovery_file: Option<PathBuf>,
}

/// `recover`
#[derive(Debug, Args)]
pub struct RecoverArgs {
    /// Read the code from this file instead of a prompt
    #[arg(long, value_name = "FILE")]
    pub code_file: Option<PathBuf>,
    /// What opens the vault from now on [default: the kind that did]
    #[arg(long, value_enum)]
    pub root: Option<RootKindArg>,
    /// What becomes of the new recovery code.
    #[command(flatten)]
    pub recovery: RecoveryArgs,
    /// Keep roots of before that alone open a key; without this the recovery is refused there
    #[arg(long)]
    pub keep_roots: bool,
}

/// What opens a vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RootKindArg {
    /// A key file outside the vault.
    Keyfile,
    /// A passphrase.
    Passphrase,
}

/// `key`
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// List keys
    Ls {
        /// Only domain keys whose time or uses are over soon
        #[arg(long)]
        due: bool,
        /// How soon
        #[arg(long, value_name = "TIME", default_value = "30d", requires = "due")]
        within: Duration,
    },
    /// Make a key for `encrypt`, of small values such as passwords of services and fields of a database
    Create {
        /// Its workspace and its name
        #[arg(value_name = "WORKSPACE/NAME")]
        key: String,
        /// The environment that it is for
        #[arg(long = "env", value_name = "ENVIRONMENT", default_value = "dev")]
        environment: Environment,
        /// How sensitive what it seals is [default: the workspace's, else confidential]
        #[arg(long)]
        class: Option<Class>,
    },
    /// Show one key
    Show {
        /// Its id, or the beginning of it
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Give keys a new version and wrap everything again: a key, a root, or all of a workspace; the depot is not touched
    #[command(
        after_help = "With an ID: a domain key, with the named keys that lie under it, and no other one; an archive key;
a named key; or a root, as `root rotate` does without options. Without one, all domain keys,
archive keys and named keys, or those that the options name. What earlier rotations left is
wrapped again too. After a kill the same command goes on: a key that was rotated is not once more."
    )]
    Rotate(KeyRotateArgs),
    /// Set a key aside: nothing is sealed or opened with it until it is resumed
    Suspend(KeyMoveArgs),
    /// Take a suspended key into use again
    Resume(KeyMoveArgs),
    /// Have a key destroyed when its class has waited long enough; what only it opens stays shut from now on
    Destroy(KeyDestroyArgs),
    /// Show the certificate of a key that was destroyed, or check one without a vault
    Certificate(KeyCertificateArgs),
    /// Seal versions anew, under other keys and in other packs: for a key that somebody else may have
    #[command(
        after_help = "Wrapping a key again does not help when the key itself left: whoever has it opens what lies in
the depot. This makes another key and other packs from the old ones, in the memory of this
process. The version keeps its number, its files and its names; readers have the old one until
the new one was read back and found to be the same, file by file. Then the old key is destroyed,
and `gc` deletes the old packs. What was copied before stays open to who has the old key. After a
kill the same command goes on."
    )]
    Reencrypt(ReencryptArgs),
    /// Move the keys of versions to the archive: they are opened under the right archive-read then
    #[command(
        after_help = "What nobody works with any more is kept apart: the version key is wrapped under the archive key
of its domain instead of the domain key, and opening the version takes the right archive-read
besides read or export. Names, tags, lineage and the list of its files are told as before.
Nothing new takes over its packs; what other versions share of them opens by those versions.
After a kill the same command goes on. --workspace leaves alone what an alias names."
    )]
    Archive(KeyArchiveArgs),
    /// Take archived keys back into use: their versions open under read again
    Unarchive(KeyUnarchiveArgs),
    /// List what is out of policy: suites, roots, costs of passphrases, cryptoperiods; exits with 1 if anything is
    Check {
        /// As it will be at this time [default: now]
        #[arg(long, value_name = "TIME")]
        at: Option<Timestamp>,
        /// And what comes so long after
        #[arg(long, value_name = "TIME", default_value = "30d")]
        within: Duration,
    },
    /// Bring everything back into the vault's policy, or go on with that; reading and writing go on meanwhile
    #[command(after_help = "Domain keys and named keys that are out of policy are followed by others and everything is
wrapped again; roots that may wrap and did not do, and wraps of those that may not go; versions
of a suite that is not written any more are sealed anew, one after another, each read back before
it takes the place of the old one. After a kill the same command goes on. What only people can do
is told at the end.")]
    Migrate(MigrateArgs),
    /// Mark a key as compromised: nothing is released under it from now on; tells what it ever touched, and what is to be done
    Compromise(KeyMoveArgs),
    /// Show the states that a key goes through, and what each allows
    States,
}

/// `key rotate`
#[derive(Debug, Args)]
pub struct KeyRotateArgs {
    /// Only this key, or this root: its id, or the beginning of it
    #[arg(value_name = "ID", conflicts_with_all = ["workspace", "environment", "class", "name"])]
    pub id: Option<String>,
    /// Only of this workspace
    #[arg(long, value_name = "NAME")]
    pub workspace: Option<String>,
    /// Only of this environment
    #[arg(long = "env", value_name = "ENVIRONMENT")]
    pub environment: Option<Environment>,
    /// Only of this classification
    #[arg(long)]
    pub class: Option<Class>,
    /// Only the named key of this name, in the workspace
    #[arg(long, value_name = "NAME", requires = "workspace", conflicts_with_all = ["environment", "class"])]
    pub name: Option<String>,
    /// Return when the new version writes; later commands go on wrapping
    #[arg(long)]
    pub no_wait: bool,
    /// Wrap at most N keys again in a second, so that others find the vault at their service
    #[arg(long, value_name = "N", conflicts_with_all = ["no_wait", "name"], value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: Option<u32>,
}

/// `key suspend`, `key resume`, `key compromise`
#[derive(Debug, Args)]
pub struct KeyMoveArgs {
    /// Its id, the beginning of a domain key's or a named one's, or a version for its version key
    #[arg(value_name = "ID|REF")]
    pub key: String,
    /// Why; it goes into the log
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

/// `key destroy`
#[derive(Debug, Args)]
#[command(after_help = "The key opens nothing from now on, and until the waiting time is over every custodian can
cancel that. Then all that this vault holds of it goes, and a certificate says so. Copies of the
database from before, kept elsewhere, are not in the vault's hand.")]
pub struct KeyDestroyArgs {
    /// Its id, the beginning of a domain key's, or a version for its version key
    #[arg(value_name = "ID|REF")]
    pub key: String,
    /// Why; it goes into the log
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// What the key belongs to, typed again; restricted data wants it
    #[arg(long, value_name = "PLACE", conflicts_with = "cancel")]
    pub confirm: Option<String>,
    /// Cancel its destruction
    #[arg(long)]
    pub cancel: bool,
}

/// `key certificate`
#[derive(Debug, Args)]
pub struct KeyCertificateArgs {
    /// Its id, the beginning of a domain key's, or a version for its version key
    #[arg(value_name = "ID|REF", required_unless_present = "check")]
    pub key: Option<String>,
    /// Write it to this file
    #[arg(short, long, value_name = "FILE", requires = "key")]
    pub output: Option<PathBuf>,
    /// Check this certificate; no vault is needed
    #[arg(long, value_name = "FILE", requires = "log_keys", conflicts_with = "key")]
    pub check: Option<PathBuf>,
    /// The log's two verifier keys, one a line: the file `vkeys` of `audit export`
    #[arg(long, value_name = "FILE", requires = "check")]
    pub log_keys: Option<PathBuf>,
}

/// `key archive`
#[derive(Debug, Args)]
pub struct KeyArchiveArgs {
    /// The versions
    #[arg(value_name = "REF", required_unless_present = "workspace")]
    pub references: Vec<String>,
    /// The versions of this workspace that are old enough
    #[arg(long, value_name = "NAME", conflicts_with = "references")]
    pub workspace: Option<String>,
    /// With --workspace: made before this time (2026-01-31 or 2026-01-31T12:00:00Z)
    #[arg(long, value_name = "TIME", requires = "workspace", conflicts_with_all = ["older_than", "references"])]
    pub before: Option<Timestamp>,
    /// With --workspace: made longer ago than this (365d)
    #[arg(long, value_name = "TIME", requires = "workspace", conflicts_with = "references")]
    pub older_than: Option<Duration>,
    /// Why; it goes into the log
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

/// `key unarchive`
#[derive(Debug, Args)]
pub struct KeyUnarchiveArgs {
    /// The versions
    #[arg(value_name = "REF", required_unless_present = "all_of")]
    pub references: Vec<String>,
    /// Every archived version of the domain of this key
    #[arg(long, value_name = "ID", conflicts_with = "references")]
    pub all_of: Option<String>,
    /// Why; it goes into the log
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

/// `key migrate`
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// Only say what would be done, in order
    #[arg(long)]
    pub plan: bool,
    /// Why; it goes into the log. Restricted data wants it
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// `key reencrypt`
#[derive(Debug, Args)]
pub struct ReencryptArgs {
    /// The versions
    #[arg(value_name = "REF", required_unless_present = "all_of")]
    pub references: Vec<String>,
    /// Every version that this domain key ever wrapped the key of; it must be rotated out first
    #[arg(long, value_name = "ID", conflicts_with = "references")]
    pub all_of: Option<String>,
    #[command(flatten)]
    pub why: super::RemovalArgs,
}

/// `principal`
#[derive(Debug, Subcommand)]
pub enum PrincipalCommand {
    /// Add a principal, or change one
    Add(PrincipalAddArgs),
    /// Erase a suspended principal: its name, and what is sealed for it
    Erase(PrincipalEraseArgs),
    /// List principals
    Ls,
    /// Show one principal
    Show {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
    },
}

/// `principal add`
#[derive(Debug, Args)]
pub struct PrincipalAddArgs {
    /// Its name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// user, service or workload [default of a new one: user]
    #[arg(long)]
    pub kind: Option<PrincipalKind>,
    /// The highest classification it may see: public, internal, confidential or restricted [default of a new one: internal]
    #[arg(long, value_name = "CLASS")]
    pub clearance: Option<Class>,
    /// Give it a role in a workspace (vault: in all), as lab=reader or lab=reader:2027-01-31; may be repeated. Roles: reader, writer,
    /// steward, custodian, policy-author, auditor, owner
    #[arg(long = "grant", value_name = "WORKSPACE=ROLE[:UNTIL]")]
    pub grants: Vec<String>,
    /// Take a role away, or all that it has in a workspace; may be repeated
    #[arg(long, value_name = "WORKSPACE[=ROLE]", requires = "change")]
    pub revoke: Vec<String>,
    /// Refuse it everything
    #[arg(long)]
    pub suspended: bool,
    /// It is suspended no more
    #[arg(long, requires = "change", conflicts_with = "suspended")]
    pub active: bool,
    /// It exists already: change what is named here and leave everything else as it is
    #[arg(long)]
    pub change: bool,
}

/// `principal erase`
#[derive(Debug, Args)]
#[command(
    after_help = "Its key goes, and with it its name, its reasons and commands in the log, and the records of its
decisions. Entries stay and verify; they name an id. Backups from before are not in the vault's
hand."
)]
pub struct PrincipalEraseArgs {
    /// Its name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Why; it stays in the log: the number of the request, not the name
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

/// `policy`
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Show the policy set in force
    Show,
    /// Check policy files without applying them
    Lint {
        /// Cedar files or folders of them [default: the set in force]
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Run cases against the set in force, or against files
    Test {
        /// A file of cases
        #[arg(value_name = "CASES")]
        cases: PathBuf,
        /// Cedar files or folders instead of the set in force
        #[arg(long = "policies", value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Exit with 1 if the cases reach less of the organisation's policies
        #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
        min_coverage: Option<u8>,
    },

    /// Say what would be decided and why, without acting; exits with 0 either way
    Explain {
        /// list, read (cat), export (get), scan (doctor --spills), write (put), alias (alias set, put --alias), encrypt,
        /// decrypt, rotate-keys, manage-keys (key create, suspend, resume, compromise, archive; incident done, close),
        /// destroy-keys (key destroy), archive-read (besides read or export), reencrypt (key reencrypt), manage-principals, manage-policy, audit, collect (gc), backup or review
        /// (who-can)
        #[arg(value_name = "ACTION")]
        action: Action,
        /// On which version, workspace, named key, or artifact to put; nothing, or vault, for what is about the whole vault
        #[arg(value_name = "REF")]
        reference: Option<String>,
        /// With write and alias: the class that put would be given [default: as for put]
        #[arg(long)]
        class: Option<Class>,
        /// With write and alias: the environment [default: as for put]
        #[arg(long = "env", value_name = "ENVIRONMENT")]
        environment: Option<Environment>,
        /// With write and alias: the kind the artifact would have
        #[arg(long)]
        kind: Option<Kind>,
        /// With write: what it would be made from; may be repeated
        #[arg(long = "from", value_name = "REF")]
        from: Vec<String>,
        /// Why.
        #[command(flatten)]
        why: super::ReasonArgs,
    },
    /// Show which suite seals what, or put another table in force
    Suites {
        /// A table like baseline/crypto.toml [default: show the one in force]
        #[arg(value_name = "FILE", conflicts_with = "baseline")]
        file: Option<PathBuf>,
        /// Go back to the table of the baseline
        #[arg(long)]
        baseline: bool,
        /// Take a table that leaves keys without a root that opens them, now or from a date on
        #[arg(long)]
        accept_lockout: bool,
    },
    /// Replace the organisation's part of the policy set
    Apply {
        /// Cedar files or folders of them
        #[arg(value_name = "FILE", required_unless_present = "baseline")]
        files: Vec<PathBuf>,
        /// Move the vault to this program's baseline, with these files, or with those in force
        #[arg(long)]
        baseline: bool,
        /// The hash of the set this change was made against [default: the set in force when it is shown what changes]
        #[arg(long, value_name = "HASH")]
        base: Option<String>,
        /// Show which of these cases would be decided otherwise
        #[arg(long, value_name = "CASES")]
        cases: Option<PathBuf>,
    },
}

/// `status`
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Say that the machine's clock is right, although it is far from what the vault saw last
    #[arg(long)]
    pub accept_clock: bool,
}

/// `unlock`
#[derive(Debug, Args)]
pub struct UnlockArgs {
    /// For how long, from a minute to seven days; a machine that sleeps does not make it longer
    #[arg(long = "for", default_value = "8h", value_name = "TIME")]
    pub length: Duration,
}

/// `jobs`
#[derive(Debug, Subcommand)]
pub enum JobsCommand {
    /// List jobs and when each is due
    Ls,
    /// Run what is due to its end, for timers; commands and an agent do the same in passing
    Run {
        /// Only this job, whether it is due or not
        #[arg(value_name = "JOB")]
        name: Option<String>,
    },
}

/// `doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Mend what can be mended safely: permissions, and what killed commands left; asks before each
    #[arg(long, conflicts_with = "spills")]
    pub fix: bool,
    /// Only look for plaintext of what is in the vault: below these places, or in the working folder and where tools leave things
    #[arg(long, value_name = "PATH", num_args = 0..)]
    pub spills: Option<Vec<PathBuf>>,
    /// Remove what is found; asks before each. With --yes, what holds other things too stays unless it is named
    #[arg(long, requires = "spills")]
    pub remove: bool,
}

/// `gc`
#[derive(Debug, Args)]
pub struct GcArgs {
    /// What is younger stays
    #[arg(long, default_value = "24h", value_name = "TIME")]
    pub grace: Duration,
}
