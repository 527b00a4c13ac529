//! Questions that a set cannot tell apart, so that many are answered by asking one.

use crate::approval;
use crate::facts::Query;
use crate::set::Set;
use crate::slice::{Circumstances, Facts, PrincipalFacts, ResourceFacts};
use api::terms::Action;

/// What a set can tell of a question: two questions with equal likenesses get the same answer from it, but for what records of
/// them say. Of principal, workspace and artifact the ids count only if some policy of the set names them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Likeness(Result<Alike, &'static str>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Alike {
    action: Action,
    principal: PrincipalFacts,
    resource: ResourceFacts,
    context: Circumstances,
}

impl Likeness {
    /// Of a question to a set.
    #[must_use]
    pub fn of(set: &Set, query: &Query) -> Self {
        Self(Facts::of(query, approval::met(&set.tables.approvals, query)).map(|facts| Alike::of(set, facts)))
    }
}

impl Alike {
    fn of(set: &Set, facts: Facts) -> Self {
        let Facts { action, mut principal, mut resource, vault: _, context } = facts;
        let unnamed = |id: &mut String| {
            if !set.mentions(id) {
                id.clear();
            }
        };
        unnamed(&mut principal.id);
        match &mut resource {
            ResourceFacts::Vault => {}
            ResourceFacts::Workspace(id) => unnamed(id),
            ResourceFacts::Artifact(artifact) => {
                unnamed(&mut artifact.id);
                unnamed(&mut artifact.workspace);
            }
        }
        Self { action, principal, resource, context }
    }
}
