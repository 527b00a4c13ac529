//! Decisions: who may do what to which artifact, decided by Cedar, explained, and replayable.
//!
//! [`Set::load`] takes policies as text, checks them strictly against the pinned schema and pins the baseline's
//! guardrails. [`decide`] answers a [`Query`] of typed facts. Nothing here reads a file, a clock or a random number.
//!
//! # Guarantees
//! - **Any error denies.** Cedar skips a policy that fails to evaluate; a decision with such a policy is a refusal.
//! - All facts that guardrails use are required: a fact that is missing is an error, so it never opens anything.
//! - The answer of the indexed set is the answer of the whole set.
//! - [`replay`] of a record gives the answer that was given.
//!
//! # Non-guarantees
//! The facts are believed. The keeper verifies rows, approvals and time before it asks.
//!
//! ```
//! use api::terms::{Action, Class, Environment, Mode, PrincipalId, PrincipalKind, Timestamp, VaultId, WorkspaceId};
//! use policy::*;
//!
//! let set = Set::baseline()?;
//! let lab = WorkspaceId::from_bytes([1; 16]);
//! let query = Query {
//!     vault: VaultId::from_bytes([0; 16]),
//!     principal: Principal {
//!         id: PrincipalId::from_bytes([2; 16]),
//!         kind: PrincipalKind::User,
//!         clearance: Class::Internal,
//!         state: PrincipalState::Active,
//!         roles: vec![Held::new(Role::Reader, Scope::Workspace(lab))],
//!         envs: vec![Environment::Dev],
//!     },
//!     action: Action::List,
//!     resource: Resource::Workspace(Workspace { id: lab }),
//!     context: Context::new(Timestamp::from_millis(0), Mode::Rehearsal),
//!     salt: [7; 16],
//! };
//! let answer = decide(&set, &query);
//! assert!(answer.allowed);
//! assert_eq!(answer.policies, ["member-list"]);
//! # Ok::<(), policy::LoadError>(())
//! ```

mod approval;
mod baseline;
mod cases;
mod crypto;
mod decide;
mod digest;
mod facts;
mod likeness;
mod lint;
mod near_miss;
mod role;
mod set;
mod slice;
mod standing;
mod told;

pub use approval::{Rule, Rules};
pub use baseline::{ClassRules, EDITION, ProdRoots, admits_root, class_rules};
pub use cases::{CaseError, Coverage, Covered, Failure, Report, Seen, test};
pub use crypto::{Argon2id, Crypto, CryptoError, Pbkdf2, Stretch};
pub use decide::{Advice, Answer, NearMiss, Record, ReplayError, decide, replay};
pub use digest::Digest;
pub use facts::{Approval, Artifact, Context, Mfa, Principal, PrincipalState, Query, Resource, Workspace};
pub use likeness::Likeness;
pub use lint::{Finding, Position, Severity, lint};
pub use role::{Conflict, Held, Role, Scope};
pub use set::{Changes, LoadError, Pins, Set, Source};
pub use standing::{Granting, Standing, standing};

/// The engine that evaluates, with its version; part of every answer, because replay needs the same one. What facts are made of
/// and how near misses are worded belongs to it: a change of either is another engine.
pub const ENGINE: &str = "cedar-policy 4.14";

/// The class of a new artifact: the workspace's default, else confidential.
#[must_use]
pub const fn default_class(workspace_default: Option<api::terms::Class>) -> api::terms::Class {
    match workspace_default {
        Some(class) => class,
        None => api::terms::Class::Confidential,
    }
}
