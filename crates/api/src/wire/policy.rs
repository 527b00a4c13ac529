//! What checks of policies answer.

/// What a check found.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct PolicyChecked {
    /// The set loads, every case went as expected, and without cases nothing was found.
    pub ok: bool,
    /// Hash of the set that was checked, hexadecimal; empty if it does not load.
    pub hash: String,
    /// Policies checked, the baseline's included.
    pub policies: u64,
    /// Cases run.
    pub cases: u64,
    /// What is wrong with the policies, or should be better.
    pub findings: Vec<PolicyFinding>,
    /// Cases that went otherwise than expected.
    pub failures: Vec<CaseFailure>,
    /// What the cases reached, if any were given.
    pub coverage: Option<PolicyCoverage>,
    /// What would change if the sources were applied, if any were given.
    pub changes: Option<PolicyChanges>,
}

/// Something found in a policy.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct PolicyFinding {
    /// `error`: the set is refused; `warning`: it is taken.
    pub severity: String,
    /// Which check, in a word that does not change.
    pub rule: String,
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: Option<u64>,
    /// The column, from 1, in characters.
    pub column: Option<u64>,
    /// The policy's id.
    pub policy: Option<String>,
    /// What.
    pub what: String,
    /// Why it matters.
    pub why: String,
    /// How to mend it.
    pub mend: String,
}

/// A case that went otherwise than expected.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct CaseFailure {
    /// Its name.
    pub case: String,
    /// What was expected, as in `deny by clearance`.
    pub expected: String,
    /// What came.
    pub got: String,
    /// On a refusal: what failed, in words.
    pub why: Vec<String>,
}

/// What cases reached.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct PolicyCoverage {
    /// Of the organisation's own policies, or of all if there are none; rounded down.
    pub percent: u8,
    /// Every policy.
    pub policies: Vec<PolicyCovered>,
}

/// What cases reached of a policy.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct PolicyCovered {
    /// Its id.
    pub policy: String,
    /// It is not the baseline's.
    pub own: bool,
    /// Cases that it was a reason of.
    pub determined: u64,
    /// Its conditions, split at `&&`.
    pub conditions: Vec<ConditionCovered>,
}

/// How a condition was seen.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct ConditionCovered {
    /// In Cedar.
    pub condition: String,
    /// Cases in which it was true.
    pub held: u64,
    /// Cases in which it was false.
    pub failed: u64,
}

/// What would change.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct PolicyChanges {
    /// Hash of the set in force.
    pub before: String,
    /// Policies that come.
    pub added: Vec<String>,
    /// Policies that go.
    pub removed: Vec<String>,
    /// Policies with another text.
    pub changed: Vec<String>,
    /// Cases that would be decided otherwise.
    pub decisions: Vec<DecisionChange>,
}

/// A case that would be decided otherwise.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct DecisionChange {
    /// Its name.
    pub case: String,
    /// The answer of the set in force.
    pub before: String,
    /// The answer of the sources.
    pub after: String,
}
