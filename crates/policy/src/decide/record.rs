//! Records of decisions, and deciding them again.

use super::{Answer, answer};
use crate::digest::{Digest, of_parts};
use crate::set::Set;
use crate::slice::{ContextDoc, DocumentError, Facts, SliceDoc};

/// Everything a decision depended on besides the policy set (`spec/policy.md#records`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Canonical JSON: principal, action, resource and entities in Cedar's format. Empty when the query broke a bound.
    pub slice: Vec<u8>,
    /// Canonical JSON of the context in Cedar's format.
    pub context: Vec<u8>,
    /// Salts the two content addresses.
    pub salt: [u8; 16],
}

/// Why a record cannot be decided again.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The bytes are not what this version writes, to the byte.
    #[error("the record is not a canonical slice and context")]
    Malformed,
    /// The set, at this engine, is not the one that decided.
    #[error("the record was decided by set `{recorded}`, this is `{given}`")]
    OtherSet {
        /// The set of the decision.
        recorded: Digest,
        /// The set given.
        given: Digest,
    },
}

impl Record {
    /// The longest slice or context that is read back, in bytes.
    pub const MAX_LEN_BYTES: usize = 64 * 1024;

    pub(crate) fn of(facts: &Facts, salt: [u8; 16]) -> Self {
        // Plain structs of strings and numbers always serialise; an empty document would only fail to replay.
        let slice = serde_json::to_vec(&SliceDoc::of(facts)).unwrap_or_default();
        let context = serde_json::to_vec(&ContextDoc::of(&facts.context)).unwrap_or_default();
        Self { slice, context, salt }
    }

    /// The content address of [`Self::slice`].
    pub fn slice_hash(&self) -> Digest {
        of_parts([b"strongroom/v1/policy/slice", self.salt.as_slice(), self.slice.as_slice()])
    }

    /// The content address of [`Self::context`].
    pub fn context_hash(&self) -> Digest {
        of_parts([b"strongroom/v1/policy/context", self.salt.as_slice(), self.context.as_slice()])
    }

    pub(crate) fn facts(&self) -> Result<Facts, ReplayError> {
        if self.slice.len().max(self.context.len()) > Self::MAX_LEN_BYTES {
            return Err(ReplayError::Malformed);
        }
        let facts = Facts::read(&self.slice, &self.context).map_err(|_: DocumentError| ReplayError::Malformed)?;
        if Self::of(&facts, self.salt) == *self { Ok(facts) } else { Err(ReplayError::Malformed) }
    }
}

/// Decides a record again: with the set that decided it, the answer is the one that was given. Of facts that broke a bound there
/// is an empty record; it is refused again, without the name of the bound.
///
/// # Errors
/// [`ReplayError::OtherSet`] when `decided_by` is not this set's hash; pass `None` to ask what this set would say, as a
/// policy change does. [`ReplayError::Malformed`] for bytes that [`decide`](super::decide) did not write.
pub fn replay(set: &Set, record: &Record, decided_by: Option<Digest>) -> Result<Answer, ReplayError> {
    if let Some(recorded) = decided_by
        && recorded != set.hash()
    {
        return Err(ReplayError::OtherSet { recorded, given: set.hash() });
    }
    if record.slice.is_empty() && record.context.is_empty() {
        return Ok(super::broken(set, record.clone(), vec!["the facts broke a bound".to_owned()], false));
    }
    let facts = record.facts()?;
    Ok(answer(set, &facts, record.clone()))
}
