//! Decisions: asked of the policy, told to the caller, written for the log.

mod mend;

use crate::error::{Error, Result};
use crate::field::Personal;
use crate::journal::{Blob, Event};
use crate::kept;
use api::terms::{Action, ArtifactId, Class, Code, DecisionId, Environment, PrincipalId, Reference, WorkspaceId};
use api::wire::{NearMiss, Refusal};
use log::entry::{self, Effect, Id};
use policy::{Advice, Answer, Query, Resource, Set};

/// One decision.
#[derive(Debug, Clone)]
pub(crate) struct Verdict {
    pub(crate) id: DecisionId,
    /// Who asked.
    pub(crate) principal: PrincipalId,
    pub(crate) action: Action,
    pub(crate) answer: Answer,
    /// Where: the workspace and the artifact, as far as the question has them.
    place: (Option<WorkspaceId>, Option<ArtifactId>),
    asked: mend::Asked,
}

/// What the question was about, in words for messages.
#[derive(Debug, Clone)]
pub(crate) struct About {
    /// `workspace/artifact`, `workspace`, or [`THE_VAULT`].
    pub(crate) path: String,
    /// As the caller named it. What is hidden is refused under this name, as what is not there is.
    pub(crate) named: String,
    /// Who asked, by name.
    pub(crate) who: String,
    /// The same as `policy explain` takes it.
    pub(crate) asked: String,
}

/// The vault in words.
pub(crate) const THE_VAULT: &str = "the vault";

impl About {
    /// About the vault, a workspace, or the latest version of an artifact.
    pub(crate) fn new(path: impl Into<String>, who: impl ToString) -> Self {
        let path = path.into();
        let asked = if path == THE_VAULT { String::new() } else { path.clone() };
        Self { named: path.clone(), path, who: who.to_string(), asked }
    }

    /// About a version.
    pub(crate) fn version(reference: &Reference, who: impl ToString) -> Self {
        let path = format!("{}/{}", reference.workspace, reference.artifact);
        let named = reference.without_path().to_string();
        Self { asked: named.clone(), named, ..Self::new(path, who) }
    }

    /// About a version that is not there yet.
    pub(crate) fn placed(path: String, who: impl ToString, (class, environment): (Class, Environment)) -> Self {
        Self { asked: format!("{path} --class {class} --env {environment}"), ..Self::new(path, who) }
    }

    /// The command that tells whoever may change something what was missing.
    fn explaining(&self, action: Action) -> String {
        let Self { who, asked, .. } = self;
        format!("strongroom policy explain --as {who} {action} {asked}").trim_end().to_owned()
    }
}

/// The most near misses of a decision in its entry, and the longest of them in bytes.
const MAX_NEAR: usize = 32;
const MAX_NEAR_LEN: usize = 512;

/// Asks the policy. Never fails: what goes wrong is a refusal.
pub(crate) fn judge(set: &Set, id: DecisionId, query: &Query) -> Verdict {
    let artifact = match &query.resource {
        Resource::Artifact(artifact) => Some(artifact.id),
        Resource::Vault | Resource::Workspace(_) => None,
    };
    let place = (query.resource.workspace(), artifact);
    Verdict {
        id,
        principal: query.principal.id,
        action: query.action,
        answer: policy::decide(set, query),
        place,
        asked: mend::Asked::of(query),
    }
}

impl Verdict {
    /// For the log. Long lists and texts are cut: a refusal that does not fit an entry would be one that nobody sees.
    pub(crate) fn logged(&self) -> entry::Decision {
        Self::logged_as(&self.id, &self.answer)
    }

    /// The same of an answer under a decision's id.
    pub(crate) fn logged_as(id: &DecisionId, answer: &Answer) -> entry::Decision {
        let near = |miss: &policy::NearMiss| {
            let mut text = format!("{}: {} ({})", miss.policy, miss.condition, miss.held);
            text.truncate(text.floor_char_boundary(MAX_NEAR_LEN));
            text
        };
        entry::Decision {
            id: Id(*id.as_bytes()),
            effect: if answer.allowed { Effect::Allow } else { Effect::Deny },
            policies: answer.policies.iter().take(entry::MAX_POLICIES).cloned().collect(),
            near: answer.near_misses.iter().take(MAX_NEAR).map(near).collect(),
            policy_set: log::tree::Hash::from_bytes(*answer.set_hash.as_bytes()),
            schema: log::tree::Hash::from_bytes(*answer.schema_hash.as_bytes()),
            slice: log::tree::Hash::from_bytes(*answer.slice_hash.as_bytes()),
            context: log::tree::Hash::from_bytes(*answer.context_hash.as_bytes()),
            engine: answer.engine.to_owned(),
        }
    }

    /// What replays the decision, under the slice's hash: sealed, for it tells what was known of who asked.
    pub(crate) fn blob(&self, personal: &Personal) -> Result<Blob> {
        let hash = *self.answer.slice_hash.as_bytes();
        Ok((hash, kept::sealed(personal, &hash, &self.answer.record)?))
    }

    /// The denial's entry.
    pub(crate) fn denial(&self, act: &'static str) -> Event {
        // The slice names principal, action and resource with their facts; its hash in the entry is salted.
        let asked = crate::hash::sha256(&self.answer.record.slice);
        let event = Event { decision: Some(self.logged()), asked: Some(asked), ..Event::new(entry::Kind::Denial, act) };
        let (workspace, artifact) = self.place;
        let event = workspace.into_iter().fold(event, |event, id| event.on("workspace", id));
        artifact.into_iter().fold(event, |event, id| event.on("artifact", id))
    }

    /// As the caller may see it. What is not visible is not found, and nothing else is said.
    pub(crate) fn refusal(&self, about: &About, decision: Option<DecisionId>) -> Refusal {
        let answer = &self.answer;
        if !answer.visible && !answer.allowed {
            return Refusal {
                allowed: false,
                decision,
                policies: Vec::new(),
                reasons: vec!["not found".into()],
                near_misses: Vec::new(),
                confirmation_needed: false,
                approval: None,
                try_: None,
            };
        }
        // Several conditions of a policy may be about one fact, which is told once.
        let mut near_misses: Vec<NearMiss> = Vec::with_capacity(answer.near_misses.len());
        for policy::NearMiss { policy, condition, held, .. } in &answer.near_misses {
            if !near_misses.iter().any(|told| told.policy == *policy && told.condition == *condition) {
                let (policy, condition, held) = (policy.clone(), condition.clone(), held.clone());
                near_misses.push(NearMiss { policy, condition, held });
            }
        }
        Refusal {
            allowed: answer.allowed,
            decision,
            policies: answer.policies.clone(),
            reasons: answer.reasons.clone(),
            near_misses,
            confirmation_needed: answer.advice.contains(&Advice::Confirm),
            approval: answer.approval.clone(),
            try_: self.hint(about),
        }
    }

    /// The command that would help.
    fn hint(&self, about: &About) -> Option<String> {
        if self.answer.allowed {
            return None;
        }
        let (path, explaining) = (&about.path, about.explaining(self.action));
        if !self.answer.errors.is_empty() {
            return Some("ask whoever writes the policies to run `strongroom policy lint`".to_owned());
        }
        let first = self.answer.advice.first();
        Some(match first {
            Some(Advice::Confirm) => format!("the same command with `--reason REASON --confirm {path}`"),
            Some(Advice::Present) => "prove to be there: the same command with `--assert mfa=now`".to_owned(),
            Some(Advice::OpenTask) => {
                format!("none: this release opens no tasks yet; `{explaining}` says what is missing")
            }
            // The environment is that of the key.
            Some(Advice::Root) if self.action == Action::Encrypt => {
                "add a root that may wrap it: `strongroom root add --help`".to_owned()
            }
            Some(Advice::Root) => {
                "the same command with `--env staging`; or add a root that may wrap it: `strongroom root add --help`"
                    .to_owned()
            }
            Some(Advice::Request { rule }) => {
                format!("none: this release takes no approvals ({rule}) yet; `{explaining}` says what is missing")
            }
            None if self.is_held() => format!("strongroom hold ls {path}"),
            None => self.mending(about),
        })
    }

    /// Whether a legal hold is what refuses.
    fn is_held(&self) -> bool {
        self.answer.policies.iter().any(|policy| policy == "legal-hold")
    }

    /// The error of a refusal that was logged.
    pub(crate) fn error(&self, about: &About) -> Error {
        if !self.answer.visible {
            return Error::NotFound(about.named.clone());
        }
        Error::Refused {
            what: format!("{} may not {} {}", about.who, self.action, about.path),
            code: self.answer.code.unwrap_or(Code::Denied),
            refusal: Box::new(self.refusal(about, Some(self.id))),
        }
    }
}

#[cfg(test)]
mod tests;
