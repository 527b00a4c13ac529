//! How long versions stay: what was removed, what is held, what a rule keeps.

use api::terms::{Class, PrincipalId, Timestamp, VersionId};
use serde::{Deserialize, Serialize};

/// That a version was removed. It can be restored until its key is destroyed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Removed {
    pub(crate) at: Timestamp,
    pub(crate) by: PrincipalId,
    /// By the artifact's retention, not by hand.
    pub(crate) by_rule: bool,
    /// Its key stays at least until then.
    pub(crate) until: Timestamp,
    /// Under a legal hold, which came after the removal: its key stays.
    pub(crate) held: bool,
    /// When its key was destroyed.
    pub(crate) destroyed: Option<Timestamp>,
    /// By `key destroy`: a custodian restores it by cancelling that.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) by_key: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl Removed {
    /// When its key is to be destroyed, if it is.
    pub(crate) fn ends(&self) -> Option<Timestamp> {
        (self.destroyed.is_none() && !self.held).then_some(self.until)
    }
}

/// Which versions an artifact keeps; what neither bound keeps is removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Retention {
    /// Those that are younger.
    pub(crate) keep_secs: Option<u64>,
    /// The newest so many of each environment.
    pub(crate) keep_last: Option<u32>,
    /// It was decided for versions up to this class, and removes none above.
    pub(crate) class: Class,
    /// When there may be something to remove; none: not before the next version comes.
    pub(crate) due: Option<Timestamp>,
}

impl Retention {
    /// Whether it keeps whatever another one does.
    pub(crate) fn keeps_all_of(&self, other: &Self) -> bool {
        // None keeps nothing by itself, and is below every bound.
        self.keep_secs >= other.keep_secs && self.keep_last >= other.keep_last && self.class <= other.class
    }
}

/// A legal hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hold {
    /// Of one version; else of every version, later ones too.
    pub(crate) version: Option<VersionId>,
    pub(crate) by: PrincipalId,
    pub(crate) at: Timestamp,
}
