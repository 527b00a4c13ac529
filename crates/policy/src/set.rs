//! Policy sets: parsed, validated against the pinned schema, pinned to the baseline's guardrails, hashed, indexed.

mod guard;
mod read;
mod scope;
mod shelf;

pub(crate) use guard::{Fact, Guard};
#[cfg(test)]
pub(crate) use read::schema;
pub(crate) use read::{is_baseline, parse_source, position_of, validate};
pub(crate) use scope::{Applies, ResourceType};

use crate::Rules;
use crate::baseline::SCHEMA;
use crate::baseline::{self, ClassRules, Tables};
use crate::decide::Advice;
use crate::digest::{Digest, of_parts};
use crate::lint::Finding;
use crate::near_miss::Condition;
use crate::role::{Conflict, Held, Role, closure};
use crate::slice::{Clock, Facts, Names, Target};
use api::terms::Class;
use cedar_policy::{Effect, Policy, PolicySet, pst};
use read::Depth;
use shelf::Shelves;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// A text with policies in Cedar's syntax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name in messages, usually a file name.
    pub name: String,
    /// The policies.
    pub text: String,
}

/// What to do with a set that lacks a guardrail of the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pins {
    /// Refuse it.
    Required,
    /// Take it: a high-risk act that the caller logs as one.
    Waived,
}

/// What another set has that one has not, by the ids of policies.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Policies that come.
    pub added: Vec<String>,
    /// Policies that go.
    pub removed: Vec<String>,
    /// Policies with another text.
    pub changed: Vec<String>,
}

/// Why sources are no set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// More sources, text or policies than a set may have.
    #[error(
        "a policy set has at most {} sources, {} policies and {} bytes, a policy {} bytes",
        Set::MAX_SOURCES,
        Set::MAX_POLICIES,
        Set::MAX_LEN_BYTES,
        Set::MAX_POLICY_BYTES
    )]
    TooLarge,
    /// Text that does not parse or does not fit the schema, a missing or doubled id: at least one error.
    #[error("the policy set has errors: {}", .0.first().map(ToString::to_string).unwrap_or_default())]
    Invalid(Vec<Finding>),
    /// A guardrail of the baseline is missing, or its text was changed.
    #[error("the guardrail `{id}` of the baseline is missing or changed")]
    Pinned {
        /// The guardrail.
        id: String,
    },
    /// The embedded baseline itself is broken: a defect of ours.
    #[error("the embedded baseline is broken: {0}")]
    Baseline(String),
}

/// A policy set, ready to decide. Immutable; share it behind an `Arc`.
#[derive(Debug)]
pub struct Set {
    pub(crate) names: Names,
    pub(crate) tables: Tables,
    /// Sorted by id.
    entries: Vec<Entry>,
    /// Positions in `entries`, by action and place.
    shelves: Shelves,
    /// The entities that policies name, by id.
    mentioned: HashSet<String>,
    hash: Digest,
    schema_hash: Digest,
    pins: Pins,
    /// Cedar sets of candidates that were needed before. Only speed depends on it.
    narrowed: RwLock<HashMap<Vec<u32>, Arc<Narrowed>>>,
}

/// Some policies of a set, as Cedar takes them.
#[derive(Debug)]
pub(crate) struct Narrowed {
    /// As written.
    pub(crate) policies: PolicySet,
    /// What they want to know of the time.
    pub(crate) clock: Clock,
    asked: AtomicU32,
    /// The same, the forbids without their scopes.
    admitted: OnceLock<Option<PolicySet>>,
}

/// One policy.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) effect: Effect,
    pub(crate) reason: Option<String>,
    /// What lifts it, if it is a forbid that the caller can lift.
    pub(crate) advice: Option<Advice>,
    /// Its refusals say that the thing is gone.
    pub(crate) gone: bool,
    /// Exactly as written.
    pub(crate) text: String,
    pub(crate) policy: Policy,
    pub(crate) applies: Applies,
    asked: AtomicU32,
    guard: OnceLock<Guard>,
    conditions: OnceLock<Vec<Condition>>,
}

impl Set {
    /// The most sources of a set.
    pub const MAX_SOURCES: usize = 1_000;
    /// The most policies of a set.
    pub const MAX_POLICIES: usize = 10_000;
    /// The longest set, in bytes.
    pub const MAX_LEN_BYTES: usize = 4 << 20;
    /// The longest policy, in bytes: bounds how deep its expressions nest.
    pub const MAX_POLICY_BYTES: usize = 8 << 10;

    const MAX_NARROWED: usize = 512;

    /// The baseline.
    ///
    /// # Errors
    /// [`LoadError::Baseline`] and others only if the embedded files are broken, which a test excludes.
    pub fn baseline() -> Result<Self, LoadError> {
        Self::load(&Self::baseline_sources())
    }

    /// The baseline's sources, named `baseline/...`: the start of every set.
    #[must_use]
    pub fn baseline_sources() -> Vec<Source> {
        baseline::sources()
    }

    /// A set of these sources, which must hold every guardrail of the baseline, unchanged.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn load(sources: &[Source]) -> Result<Self, LoadError> {
        Self::load_with(sources, Pins::Required)
    }

    /// The same, with guardrails waived if asked.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn load_with(sources: &[Source], pins: Pins) -> Result<Self, LoadError> {
        Self::build(sources, sources, pins, Depth::Types)
    }

    /// A set that was loaded before by a program with the same [`Self::validator`], as its hash shows: validation, most of
    /// the time that loading takes, is not done again. None if the sources are not those that the hash names.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn load_validated(sources: &[Source], hash: &str) -> Result<Option<Self>, LoadError> {
        // Cedar's parser warms up anew for each text it is given. What does not load as one text tells why source by source.
        let texts: Vec<&str> = sources.iter().map(|source| source.text.as_str()).collect();
        let whole = [Source { name: "the set".into(), text: texts.join("\n") }];
        let named = |set: &Self| set.hash.to_string() == hash;
        if let Some(set) = Self::build(&whole, sources, Pins::Required, Depth::Form).ok().filter(named) {
            return Ok(Some(set));
        }
        Ok(Some(Self::build(sources, sources, Pins::Required, Depth::Form)?).filter(named))
    }

    /// A set that was in force once: compare its hash. Its guardrails, and the schema and rules that it names, are those of its
    /// time: what this program no longer has makes a decision fail, which refuses.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn load_kept(sources: &[Source]) -> Result<Self, LoadError> {
        Self::build(sources, sources, Pins::Waived, Depth::Text)
    }

    /// SHA-256 over every file of the baseline, tables and schema included.
    #[must_use]
    pub fn baseline_digest() -> Digest {
        baseline::digest()
    }

    /// SHA-256 over the pinned schema.
    #[must_use]
    pub fn schema() -> Digest {
        hash_of_schema()
    }

    /// What validates sets here: Cedar's version and the pinned schema's hash.
    #[must_use]
    pub fn validator() -> String {
        format!("{}, schema {}", crate::ENGINE, hash_of_schema())
    }

    /// A set of what `texts` hold, which are the sources or all of them in one.
    fn build(texts: &[Source], sources: &[Source], pins: Pins, depth: Depth) -> Result<Self, LoadError> {
        let tables = Tables::embedded().map_err(|e| LoadError::Baseline(e.to_string()))?;
        let policies = read::read(texts, &tables.approvals, depth)?;
        if pins == Pins::Required {
            read::check_pins(sources, &policies)?;
        }
        let entries: Vec<Entry> = policies.iter().map(Entry::of).collect();
        Ok(Self {
            names: Names::new().map_err(|e| LoadError::Baseline(e.to_string()))?,
            shelves: Shelves::of(entries.iter().map(|entry| &entry.applies)),
            mentioned: entries.iter().flat_map(|entry| mentioned(&entry.policy)).collect(),
            hash: set_hash(&entries),
            schema_hash: hash_of_schema(),
            pins,
            narrowed: RwLock::new(HashMap::new()),
            tables,
            entries,
        })
    }

    /// SHA-256 over id and exact text of every policy, sorted by id; names of sources do not count.
    pub const fn hash(&self) -> Digest {
        self.hash
    }

    /// Whether it was held to the guardrails of this program's baseline.
    pub const fn pins(&self) -> Pins {
        self.pins
    }

    /// SHA-256 over the pinned schema.
    pub const fn schema_hash(&self) -> Digest {
        self.schema_hash
    }

    /// The ids of the policies, sorted.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.id.as_str())
    }

    /// The annotations of each policy by its id, and its `effect`, which is `permit` or `forbid`.
    pub fn notes(&self) -> impl Iterator<Item = (&str, BTreeMap<String, String>)> {
        self.entries.iter().map(|entry| {
            let effect = if entry.effect == Effect::Permit { "permit" } else { "forbid" };
            let notes = entry.policy.annotations().map(|(key, text)| (key.to_owned(), text.to_owned()));
            (entry.id.as_str(), notes.chain([("effect".to_owned(), effect.to_owned())]).collect())
        })
    }

    /// What changes when `next` takes the place of this set.
    #[must_use]
    pub fn changes(&self, next: &Self) -> Changes {
        let ids = |of: &[&Entry]| of.iter().map(|entry| entry.id.clone()).collect::<Vec<_>>();
        let missing = |from: &Self, to: &'_ Self| {
            let gone: Vec<&Entry> = from.entries.iter().filter(|entry| to.entry(&entry.id).is_none()).collect();
            ids(&gone)
        };
        let differs = |entry: &&Entry| next.entry(&entry.id).is_some_and(|other| other.text != entry.text);
        let changed: Vec<&Entry> = self.entries.iter().filter(differs).collect();
        Changes { added: missing(next, self), removed: missing(self, next), changed: ids(&changed) }
    }

    /// What a class asks for.
    pub const fn class_rules(&self, class: Class) -> &ClassRules {
        self.tables.classes.of(class)
    }

    /// The approval rules by name.
    pub const fn approval_rules(&self) -> &Rules {
        &self.tables.approvals
    }

    /// The duties that these roles would bring together where they should be apart, for when a role is granted outside
    /// solo. Roles count where they meet: in one workspace, or in it and in the vault.
    pub fn conflicts(&self, roles: &[Held]) -> Vec<&Conflict> {
        let together = |a: Role, b: Role| {
            let holds = |held: &Held, role| closure([held.role]).contains(&role);
            let meets = |x: &Held, y: &Held| {
                x.scope == y.scope || x.scope == crate::Scope::Vault || y.scope == crate::Scope::Vault
            };
            roles.iter().any(|x| holds(x, a) && roles.iter().any(|y| holds(y, b) && meets(x, y)))
        };
        self.tables.conflicts.iter().filter(|conflict| together(conflict.one, conflict.other)).collect()
    }

    /// Whether a policy names an entity with this id.
    pub(crate) fn mentions(&self, id: &str) -> bool {
        self.mentioned.contains(id)
    }

    /// Positions of the policies that the scope admits to the target, in order.
    pub(crate) fn candidates(&self, target: &Target<'_>) -> Vec<u32> {
        let can = |at: &u32| self.at(*at).is_some_and(|entry| entry.applies.matches(target));
        let mut found = self.shelves.at(target);
        found.retain(can);
        found
    }

    /// The same without the permits that the facts rule out.
    pub(crate) fn speaking(&self, facts: &Facts) -> Vec<u32> {
        let mut found = self.candidates(&facts.target());
        found.retain(|at| self.at(*at).is_some_and(|entry| entry.effect == Effect::Forbid || !entry.rules_out(facts)));
        found
    }

    /// Positions of every policy: what the candidates are tested against.
    #[cfg(test)]
    pub(crate) fn all(&self) -> Vec<u32> {
        (0_u32..).zip(&self.entries).map(|(at, _)| at).collect()
    }

    /// Permits that a principal in other roles would have had, in order.
    pub(crate) fn near_permits(&self, target: &Target<'_>) -> Vec<&Entry> {
        let near = |entry: &&Entry| {
            entry.effect == Effect::Permit
                && entry.applies.could_match(target)
                && (!entry.applies.is_personal() || entry.applies.matches(target))
        };
        self.shelves.at(target).into_iter().filter_map(|at| self.at(at)).filter(near).collect()
    }

    /// Every policy, sorted by id.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn at(&self, at: u32) -> Option<&Entry> {
        self.entries.get(usize::try_from(at).ok()?)
    }

    pub(crate) fn entry(&self, id: &str) -> Option<&Entry> {
        let at = self.entries.binary_search_by(|entry| entry.id.as_str().cmp(id)).ok()?;
        self.entries.get(at)
    }

    /// What Cedar is to evaluate of candidates whose scopes admit the request. Forbids lose their scope in time: were the index
    /// wrong about one, it would refuse too much. Permits never do.
    pub(crate) fn admitted<'a>(&self, candidates: &[u32], narrowed: &'a Narrowed) -> &'a PolicySet {
        if !is_warm(&narrowed.asked) {
            return &narrowed.policies;
        }
        let build = || {
            let entries = candidates.iter().filter_map(|at| self.at(*at));
            let policies: Option<Vec<Policy>> = entries
                .map(|entry| match entry.effect {
                    Effect::Permit => Some(entry.policy.clone()),
                    Effect::Forbid => entry.admitted(),
                })
                .collect();
            PolicySet::from_policies(policies?).ok()
        };
        narrowed.admitted.get_or_init(build).as_ref().unwrap_or(&narrowed.policies)
    }

    /// Cedar's set of these candidates.
    pub(crate) fn narrowed(&self, candidates: &[u32]) -> Arc<Narrowed> {
        let known = self.narrowed.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(set) = known.get(candidates) {
            return Arc::clone(set);
        }
        drop(known);
        let entries = || candidates.iter().filter_map(|at| self.at(*at));
        // INVARIANT: ids are unique, so the set takes them all; an empty set denies.
        let policies = PolicySet::from_policies(entries().map(|entry| entry.policy.clone())).unwrap_or_default();
        let clock = if entries().any(Entry::may_read_time) { Clock::Told } else { Clock::Left };
        let set = Arc::new(Narrowed { policies, clock, asked: AtomicU32::new(0), admitted: OnceLock::new() });
        let mut known = self.narrowed.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= Self::MAX_NARROWED {
            known.clear();
        }
        known.insert(candidates.to_vec(), Arc::clone(&set));
        set
    }
}

/// The ids of the entities in a policy's scope and conditions.
fn mentioned(policy: &Policy) -> impl Iterator<Item = String> {
    policy.entity_literals().into_iter().map(|uid| uid.id().unescaped().to_owned())
}

impl Entry {
    /// The role that its scope asks for.
    pub(crate) fn role(&self) -> Option<Role> {
        self.applies.role()
    }

    fn of(policy: &Policy) -> Self {
        // Asked one by one, Cedar parses each key anew.
        let notes: HashMap<&str, &str> = policy.annotations().collect();
        let note = |key: &str| notes.get(key).map(|&text| text.to_owned());
        let forbid = policy.effect() == Effect::Forbid;
        let advice = match (note("approval"), note("advice").as_deref()) {
            (Some(rule), _) => Some(Advice::Request { rule }),
            (None, Some("confirm")) => Some(Advice::Confirm),
            (None, Some("present")) => Some(Advice::Present),
            (None, Some("task")) => Some(Advice::OpenTask),
            (None, Some("root")) => Some(Advice::Root),
            (None, _) => None,
        };
        Self {
            id: AsRef::<str>::as_ref(policy.id()).to_owned(),
            effect: policy.effect(),
            reason: note("reason"),
            advice: advice.filter(|_| forbid),
            gone: forbid && note("code").as_deref() == Some("gone"),
            text: read::text_of(policy),
            applies: Applies::of(policy),
            asked: AtomicU32::new(0),
            guard: OnceLock::new(),
            conditions: OnceLock::new(),
            policy: policy.clone(),
        }
    }

    /// Whether what it asks first fails. Reading that takes longer than asking Cedar a few times.
    fn rules_out(&self, facts: &Facts) -> bool {
        is_warm(&self.asked) && self.guard().rules_out(facts)
    }

    pub(crate) fn guard(&self) -> &Guard {
        self.guard.get_or_init(|| Guard::of(&self.policy))
    }

    /// The policy for requests that its scope admits: without the scope, which Cedar evaluates at more cost than most conditions.
    fn admitted(&self) -> Option<Policy> {
        let tree = self.policy.to_pst().ok()?;
        let (any, clauses) = (pst::PrincipalConstraint::Any, tree.body().clauses().clone());
        let id = pst::PolicyID(self.id.as_str().into());
        let bare =
            pst::Template::new(id, pst::Effect::Forbid, any, pst::ActionConstraint::Any, pst::ResourceConstraint::Any);
        let bare = bare.try_with_clauses(clauses).ok()?;
        Policy::from_pst(pst::Policy::Static(bare.try_into().ok()?)).ok()
    }

    /// Whether it could read `context.now`, from its text: only what holds these letters does, or writes them with an escape, or
    /// takes the context as a whole.
    fn may_read_time(&self) -> bool {
        let whole = |(at, word): (usize, &str)| !self.text.get(at + word.len()..).unwrap_or_default().starts_with('.');
        self.text.contains("now") || self.text.contains('\\') || self.text.match_indices("context").any(whole)
    }

    /// Its conditions one by one, split when first asked for.
    pub(crate) fn conditions(&self) -> &[Condition] {
        self.conditions.get_or_init(|| Condition::split(&self.policy))
    }
}

/// How often something is asked before time is taken to make it fast: commands that end after a decision or two do not pay.
pub(crate) const WARM: u32 = 4;

fn is_warm(asked: &AtomicU32) -> bool {
    asked.fetch_add(1, Ordering::Relaxed) >= WARM
}

fn hash_of_schema() -> Digest {
    of_parts([b"strongroom/v1/policy/schema".as_slice(), SCHEMA.as_bytes()])
}

fn set_hash(entries: &[Entry]) -> Digest {
    let label: &[u8] = b"strongroom/v1/policy/set";
    let parts = entries.iter().flat_map(|entry| [entry.id.as_bytes(), entry.text.as_bytes()]);
    of_parts(std::iter::once(label).chain(parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_validated_set_is_loaded_again_by_its_hash_only() {
        let mut sources = Set::baseline_sources();
        let text =
            "@id(\"own\") forbid (principal, action == Action::\"read\", resource is Artifact) when { context.task };";
        sources.push(Source { name: "own".into(), text: text.into() });
        let full = Set::load(&sources).unwrap();
        let hash = full.hash().to_string();
        let again = Set::load_validated(&sources, &hash).unwrap().unwrap();
        assert!(again.ids().eq(full.ids()));
        assert_eq!(again.hash(), full.hash());
        // Other text than the one that was validated, also if it parses; and a set without a guardrail.
        let mut other = sources.clone();
        other.last_mut().unwrap().text = text.replace("task", "solo");
        assert!(Set::load_validated(&other, &hash).unwrap().is_none());
        other.last_mut().unwrap().text = text.replace("task", "nothing");
        assert!(Set::load_validated(&other, &hash).unwrap().is_none());
        assert!(matches!(Set::load(&other), Err(LoadError::Invalid(_))));
        assert!(matches!(Set::load_validated(&sources[1..], &hash), Err(LoadError::Pinned { .. })));
        assert!(Set::validator().contains(&full.schema_hash().to_string()));
    }
}
