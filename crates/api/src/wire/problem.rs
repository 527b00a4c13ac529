//! What went wrong, in the shape that the command line prints (DESIGN 12).

use crate::terms::{Code, DecisionId, Suite};

/// A failure: one line what, one why, one thing to try.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Problem {
    /// Stable code.
    pub code: Code,
    /// What failed.
    pub what: String,
    /// Why.
    pub why: String,
    /// A command that would help.
    #[serde(rename = "try", skip_serializing_if = "Option::is_none", default)]
    pub try_: Option<String>,
    /// The decision that refused, with its reasons.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub refusal: Option<Box<Refusal>>,
    /// What is not there: a name or a reference, as it was asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub missing: Option<String>,
    /// The suite that the signed request has to be made for: the one that the class writes or that the version has.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub suite: Option<Suite>,
}

impl Problem {
    /// A problem without a hint.
    pub fn new(code: Code, what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { code, what: what.into(), why: why.into(), try_: None, refusal: None, missing: None, suite: None }
    }

    /// With a command to try.
    #[must_use]
    pub fn with_try(mut self, hint: impl Into<String>) -> Self {
        self.try_ = Some(hint.into());
        self
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

impl std::error::Error for Problem {}

/// A policy's answer, as the caller may see it: `{allowed,decision,policies,near_misses,try}`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Refusal {
    /// Whether it was, or would be, allowed.
    pub allowed: bool,
    /// The decision's id in the log; absent for `policy explain`, which does not act.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub decision: Option<DecisionId>,
    /// Ids of the policies that determined it, sorted.
    pub policies: Vec<String>,
    /// The sentences of their `@reason` annotations.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// What was missing, facts about the caller only.
    pub near_misses: Vec<NearMiss>,
    /// Missing: a reason and a confirmation (solo, restricted).
    #[serde(default)]
    pub confirmation_needed: bool,
    /// The approval rule that would lift it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub approval: Option<String>,
    /// How to ask.
    #[serde(rename = "try", skip_serializing_if = "Option::is_none", default)]
    pub try_: Option<String>,
}

/// One policy that nearly allowed it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NearMiss {
    /// The policy.
    pub policy: String,
    /// The condition that failed, in words.
    pub condition: String,
    /// How many conditions held, as in `4 of 5`.
    pub held: String,
}
