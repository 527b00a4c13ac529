//! Policies that never match, and permits that change nothing.
//!
//! Conditions over facts that have few values are tried with all of them: a fact is compared with words, so that it is enough to try
//! those words and one or two others. What cannot be tried counts as possible, so that nothing is said that is not certain.

use super::Place;
use crate::baseline::Tables;
use crate::role::{Role, closure};
use crate::set::{Applies, Entry, Fact, Guard, ResourceType, is_baseline};
use crate::slice::{ArtifactFacts, Circumstances, Facts, PrincipalFacts, ResourceFacts};
use api::terms::{Action, AuthMethod, Class, Environment, Kind, PrincipalKind, RootKind, Timestamp};
use cedar_policy::Effect;
use std::collections::BTreeSet;
use std::sync::OnceLock;

/// The most combinations of facts that are tried.
const MAX_TRIED: usize = 100_000;

/// Warns if the policy never matches; of a permit also if another permit always does, or a forbid.
pub(super) fn check(entries: &[Entry], entry: &Entry, place: &mut Place<'_>) {
    if !possible(entry, None) {
        place.warn("unused", "it never matches".to_owned());
        return;
    }
    if entry.effect != Effect::Permit {
        return;
    }
    // What an organisation adds may make a permit of the baseline idle: that is what it is for.
    let counts = |other: &Entry| is_baseline(&other.policy) || !is_baseline(&entry.policy);
    let covers = |other: &Entry| other.id != entry.id && other.applies.covers(&entry.applies);
    let others = || entries.iter().filter(|other| covers(other) && counts(other));
    let always = |other: &&Entry| !possible(entry, Some(other));
    if let Some(forbid) = others().filter(|other| other.effect == Effect::Forbid).find(always) {
        place.warn("forbidden", format!("`{}` forbids whatever it permits", forbid.id));
    }
    // Of two that say the same, the baseline's stays, or the first.
    let rank = |entry: &Entry| (!is_baseline(&entry.policy), entry.id.clone());
    let implied = |other: &&Entry| {
        let same = || entry.applies.covers(&other.applies) && !possible(other, Some(entry));
        always(other) && (rank(other) < rank(entry) || !same())
    };
    if let Some(permit) = others().filter(|other| other.effect == Effect::Permit).find(implied) {
        place.warn("shadowed", format!("`{}` permits all that it permits", permit.id));
    }
}

/// Whether the policy may match some request for which the other, if there is one, is not certain to.
fn possible(entry: &Entry, other: Option<&Entry>) -> bool {
    let mut actions = Action::ALL.iter().filter(|action| entry.applies.on(**action));
    if actions.any(|action| other.is_some_and(|other| !other.applies.on(*action))) {
        return true;
    }
    let guards: Vec<&Guard> = [Some(entry), other].into_iter().flatten().map(Entry::guard).collect();
    let (mut facts, mut texts) = (BTreeSet::from([Fact::Roles]), BTreeSet::new());
    guards.iter().for_each(|guard| guard.mentions(&mut facts, &mut texts));
    if [Some(entry), other].into_iter().flatten().any(|entry| entry.applies.asks_kind()) {
        facts.insert(Fact::PrincipalKind);
    }
    let texts: Vec<String> = texts.into_iter().collect();
    let axes: Option<Vec<Vec<Change>>> = facts.iter().map(|fact| axis(*fact, &texts)).collect();
    let tried = |axes: &Vec<Vec<Change>>| axes.iter().try_fold(1_usize, |all, axis| all.checked_mul(axis.len()));
    let Some(axes) = axes.filter(|axes| tried(axes).is_some_and(|count| count <= MAX_TRIED)) else { return true };
    let meets = |facts: &Facts| {
        let speaks = |entry: &Entry| entry.applies.admits(facts.principal.kind, &facts.principal.roles);
        let may = speaks(entry) && entry.guard().verdict(facts) != Some(false);
        let covered = other.is_some_and(|other| speaks(other) && other.guard().verdict(facts) == Some(true));
        may && !covered
    };
    for action in Action::ALL.iter().filter(|action| entry.applies.on(**action)) {
        for of in types(&entry.applies) {
            let mut start = blank(*action, of);
            if start.action_applies() && any(&axes, &mut start, &meets) {
                return true;
            }
        }
    }
    false
}

fn types(applies: &Applies) -> impl Iterator<Item = ResourceType> {
    applies.types().iter().copied()
}

/// Whether a combination of changes meets the wish.
fn any(axes: &[Vec<Change>], facts: &mut Facts, meets: &impl Fn(&Facts) -> bool) -> bool {
    let Some((first, rest)) = axes.split_first() else { return meets(facts) };
    first.iter().any(|change| {
        change(facts);
        any(rest, facts, meets)
    })
}

type Change = Box<dyn Fn(&mut Facts)>;

/// Everything that a fact may be, as far as policies that mention these texts can tell; none if that is too much.
fn axis(fact: Fact, texts: &[String]) -> Option<Vec<Change>> {
    fn each<T: Copy + 'static>(all: &[T], set: fn(&mut Facts, T)) -> Vec<Change> {
        all.iter().copied().map(|value| Box::new(move |facts: &mut Facts| set(facts, value)) as Change).collect()
    }
    fn owned<T: Clone + 'static>(all: Vec<T>, set: fn(&mut Facts, T)) -> Vec<Change> {
        all.into_iter().map(|value| Box::new(move |facts: &mut Facts| set(facts, value.clone())) as Change).collect()
    }
    fn artifact(facts: &mut Facts, set: impl Fn(&mut ArtifactFacts)) {
        if let ResourceFacts::Artifact(artifact) = &mut facts.resource {
            set(artifact);
        }
    }
    const FLAGS: [bool; 2] = [false, true];
    let mut free: Vec<String> = texts.to_vec();
    free.extend([String::new(), "\u{1}one".to_owned(), "\u{1}other".to_owned()]);
    Some(match fact {
        Fact::PrincipalKind => each(PrincipalKind::ALL, |facts, kind| facts.principal.kind = kind),
        Fact::Active => each(&FLAGS, |facts, is| facts.principal.active = is),
        Fact::Clearance => each(Class::ALL, |facts, class| facts.principal.clearance = class),
        Fact::Roles => owned(role_sets(), |facts, roles| facts.principal.roles = roles),
        Fact::Envs => owned(subsets(Environment::ALL)?, |facts, envs| facts.principal.envs = envs),
        Fact::Class => each(Class::ALL, |facts, class| artifact(facts, |of| of.class = class)),
        Fact::Env => each(Environment::ALL, |facts, env| artifact(facts, |of| of.env = env)),
        Fact::Kind => each(Kind::ALL, |facts, kind| artifact(facts, |of| of.kind = kind)),
        Fact::Owner => owned(free, |facts, owner| artifact(facts, |of| of.owner.clone_from(&owner))),
        Fact::Quarantined => each(&FLAGS, |facts, is| artifact(facts, |of| of.quarantined = is)),
        Fact::Held => each(&FLAGS, |facts, is| artifact(facts, |of| of.held = is)),
        Fact::Residency => owned(subsets(&free)?, |facts, all| artifact(facts, |of| of.residency.clone_from(&all))),
        Fact::Solo => each(&FLAGS, |facts, is| facts.context.solo = is),
        Fact::Auth => each(AuthMethod::ALL, |facts, auth| facts.context.auth = auth),
        Fact::Own => each(&FLAGS, |facts, is| facts.context.own = is),
        Fact::MfaApplicable => each(&FLAGS, |facts, is| facts.context.mfa_applicable = is),
        Fact::Approved => {
            let rules: Vec<String> = Tables::embedded().ok()?.approvals.into_keys().collect();
            owned(subsets(&rules)?, |facts, rules| facts.context.approved = rules)
        }
        Fact::Task => each(&FLAGS, |facts, is| facts.context.task = is),
        Fact::Reasoned => each(&FLAGS, |facts, is| facts.context.reasoned = is),
        Fact::Confirmed => each(&FLAGS, |facts, is| facts.context.confirmed = is),
        Fact::Roots => owned(subsets(RootKind::ALL)?, |facts, roots| facts.context.roots = roots),
        Fact::Region => owned(free, |facts, region| facts.context.region = region),
    })
}

/// Every subset; none of more than 256.
fn subsets<T: Clone>(all: &[T]) -> Option<Vec<Vec<T>>> {
    let count = 1_usize.checked_shl(u32::try_from(all.len()).ok()?).filter(|count| *count <= 256)?;
    let chosen =
        |set: usize| all.iter().enumerate().filter(move |(at, _)| set >> at & 1 == 1).map(|(_, one)| one.clone());
    Some((0..count).map(|set| chosen(set).collect()).collect())
}

/// Every set of roles that somebody may hold in a place, with those that they imply; nobody has a role without being a member.
fn role_sets() -> Vec<Vec<Role>> {
    static SETS: OnceLock<BTreeSet<Vec<Role>>> = OnceLock::new();
    let sets = || subsets(Role::ALL).unwrap_or_default().into_iter();
    SETS.get_or_init(|| sets().map(|set| closure(set).into_iter().collect()).collect()).iter().cloned().collect()
}

/// Facts of which the axes change what matters.
fn blank(action: Action, of: ResourceType) -> Facts {
    let artifact = || ArtifactFacts {
        id: String::new(),
        workspace: String::new(),
        class: Class::Public,
        env: Environment::Dev,
        kind: Kind::Other,
        owner: String::new(),
        quarantined: false,
        held: false,
        residency: Vec::new(),
    };
    Facts {
        action,
        principal: PrincipalFacts {
            id: String::new(),
            kind: PrincipalKind::User,
            clearance: Class::Public,
            active: true,
            roles: Vec::new(),
            envs: Vec::new(),
        },
        resource: match of {
            ResourceType::Vault => ResourceFacts::Vault,
            ResourceType::Workspace => ResourceFacts::Workspace(String::new()),
            ResourceType::Artifact => ResourceFacts::Artifact(artifact()),
        },
        vault: String::new(),
        context: Circumstances {
            now: Timestamp::from_millis(0),
            solo: false,
            auth: AuthMethod::Asserted,
            own: false,
            mfa_applicable: false,
            mfa_age_millis: 0,
            approved: Vec::new(),
            task: false,
            reasoned: false,
            confirmed: false,
            roots: Vec::new(),
            region: String::new(),
        },
    }
}
