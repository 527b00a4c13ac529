//! Decisions: asked of the policy, told to the caller, written for the log.

use crate::error::Error;
use crate::journal::{Blob, Event};
use api::terms::{Action, Code, DecisionId};
use api::wire::{NearMiss, Refusal};
use log::entry::{self, Effect, Id};
use policy::{Advice, Answer, Query, Set};

/// One decision.
#[derive(Debug, Clone)]
pub(crate) struct Verdict {
    pub(crate) id: DecisionId,
    pub(crate) action: Action,
    pub(crate) answer: Answer,
}

/// What the question was about, in words for messages.
#[derive(Debug, Clone)]
pub(crate) struct About {
    /// `workspace/artifact`, `workspace`, or `the vault`.
    pub(crate) path: String,
    /// Who asked, by name.
    pub(crate) who: String,
}

/// Asks the policy. Never fails: what goes wrong is a refusal.
pub(crate) fn judge(set: &Set, id: DecisionId, query: &Query) -> Verdict {
    Verdict { id, action: query.action, answer: policy::decide(set, query) }
}

impl Verdict {
    /// For the log.
    pub(crate) fn logged(&self) -> entry::Decision {
        let answer = &self.answer;
        let near = |miss: &policy::NearMiss| format!("{}: {} ({})", miss.policy, miss.condition, miss.held);
        entry::Decision {
            id: Id(*self.id.as_bytes()),
            effect: if answer.allowed { Effect::Allow } else { Effect::Deny },
            policies: answer.policies.clone(),
            near: answer.near_misses.iter().map(near).collect(),
            policy_set: log::tree::Hash::from_bytes(*answer.set_hash.as_bytes()),
            schema: log::tree::Hash::from_bytes(*answer.schema_hash.as_bytes()),
            slice: log::tree::Hash::from_bytes(*answer.slice_hash.as_bytes()),
            context: log::tree::Hash::from_bytes(*answer.context_hash.as_bytes()),
            engine: answer.engine.to_owned(),
        }
    }

    /// What replays the decision, under the slice's hash: salt, slice after a u32, context.
    pub(crate) fn blob(&self) -> Blob {
        let record = &self.answer.record;
        let mut bytes = Vec::with_capacity(20 + record.slice.len() + record.context.len());
        bytes.extend_from_slice(&record.salt);
        crate::hash::push_long(&mut bytes, &record.slice);
        bytes.extend_from_slice(&record.context);
        (*self.answer.slice_hash.as_bytes(), bytes)
    }

    /// The denial's entry.
    pub(crate) fn denial(&self, act: &'static str) -> Event {
        // The slice names principal, action and resource with their facts; its hash in the entry is salted.
        let asked = crate::hash::sha256(&self.answer.record.slice);
        Event { decision: Some(self.logged()), asked: Some(asked), ..Event::new(entry::Kind::Denial, act) }
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
        let near = |miss: &policy::NearMiss| NearMiss {
            policy: miss.policy.clone(),
            condition: miss.condition.clone(),
            held: miss.held.clone(),
        };
        Refusal {
            allowed: answer.allowed,
            decision,
            policies: answer.policies.clone(),
            reasons: answer.reasons.clone(),
            near_misses: answer.near_misses.iter().map(near).collect(),
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
        let About { path, who } = about;
        let first = self.answer.advice.first();
        Some(match first {
            Some(Advice::Confirm) => format!("add --reason REASON --confirm {path}"),
            Some(Advice::Present) => "start a session in which you proved to be there (--assert mfa=now)".to_owned(),
            Some(Advice::OpenTask) => format!("ask a steward of {path} for a task that covers it"),
            Some(Advice::Request { rule }) => {
                format!("ask for approval under the rule `{rule}` from a steward of {path}")
            }
            None => format!(
                "ask whoever manages principals to look at `strongroom policy explain --as {who} {} {path}`",
                self.action
            ),
        })
    }

    /// The error of a refusal that was logged.
    pub(crate) fn error(&self, about: &About) -> Error {
        if !self.answer.visible {
            return Error::NotFound(about.path.clone());
        }
        Error::Refused {
            what: format!("{} may not {} {}", about.who, self.action, about.path),
            code: self.answer.code.unwrap_or(Code::Denied),
            refusal: Box::new(self.refusal(about, Some(self.id))),
        }
    }
}
