//! Every refusal of the baseline says what was missing, and what to do.

use super::{About, THE_VAULT, judge};
use api::terms::{
    Action, ArtifactId, AuthMethod, Class, Code, DecisionId, Environment, Kind, Mode, PrincipalId, PrincipalKind,
    RootKind, Timestamp, VaultId, WorkspaceId,
};
use policy::{
    Approval, Artifact, Context, Held, Mfa, Principal, PrincipalState, Query, Resource, Role, Scope, Set, Workspace,
};

const LAB: WorkspaceId = WorkspaceId::from_bytes([1; 16]);

/// What a question varies in, each with its possibilities.
const AXES: [usize; 12] = [10, 4, 3, 9, 2, 2, 3, 3, 2, 2, 2, 2];

/// The question with these choices; none if they make no sense together.
fn question(at: &[usize]) -> Query {
    let [action, class, env, role, mode, kind, presence, clearance, task, odd, roots, place] = at else { panic!() };
    let action = Action::ALL[action % Action::ALL.len()];
    let class = Class::ALL[*class];
    let artifact = Artifact {
        id: ArtifactId::from_bytes([2; 16]),
        workspace: LAB,
        class,
        env: Environment::ALL[*env],
        kind: Kind::Model,
        owner: (*odd == 0).then(|| PrincipalId::from_bytes([3; 16])),
        held: false,
        quarantined: *odd == 1 && *task == 1,
        residency: if *odd == 1 && *roots == 1 { vec!["eu".to_owned()] } else { Vec::new() },
    };
    let on_artifact = matches!(action, Action::List | Action::Read | Action::Export | Action::Write | Action::Alias);
    let resource = match (on_artifact, *place) {
        (true, _) => Resource::Artifact(artifact),
        (false, 0) => Resource::Workspace(Workspace { id: LAB }),
        (false, _) => Resource::Vault,
    };
    // Two roles that exclude each other besides the single ones.
    let roles = match Role::ALL.get(*role) {
        Some(role) => vec![*role],
        None => vec![Role::Custodian, Role::Steward, Role::PolicyAuthor, Role::Owner],
    };
    let scope = if *place == 0 { Scope::Workspace(LAB) } else { Scope::Vault };
    let mode = [Mode::Rehearsal, Mode::Solo][*mode];
    let approval = |by: u8, role| Approval {
        rule: "restricted-export".to_owned(),
        approver: PrincipalId::from_bytes([by; 16]),
        kind: PrincipalKind::User,
        roles: vec![role],
    };
    let approvals = if *task == 1 { vec![approval(7, Role::Steward), approval(8, Role::Owner)] } else { Vec::new() };
    Query {
        vault: VaultId::from_bytes([0; 16]),
        principal: Principal {
            id: PrincipalId::from_bytes([4; 16]),
            kind: [PrincipalKind::User, PrincipalKind::Workload][*kind],
            clearance: [Class::Public, Class::Confidential, Class::Restricted][*clearance],
            state: if *odd == 1 && *place == 1 { PrincipalState::Suspended } else { PrincipalState::Active },
            roles: roles.into_iter().map(|role| Held::new(role, scope)).collect(),
            envs: if *odd == 1 { vec![Environment::Dev] } else { Environment::ALL.to_vec() },
        },
        action,
        resource,
        context: Context {
            auth: AuthMethod::Asserted,
            mfa: [Mfa::Never, Mfa::Age { millis: 30 * 60_000 }, Mfa::Age { millis: 0 }][*presence],
            approvals,
            task_open: *task == 1,
            reason_given: *task == 1,
            roots: vec![[RootKind::Keyfile, RootKind::Passphrase][*roots]],
            ..Context::new(Timestamp::from_millis(1_795_000_000_000), mode)
        },
        salt: [0; 16],
    }
}

#[test]
fn every_refusal_says_what_was_missing_and_what_to_do() {
    let set = Set::baseline().unwrap();
    // Every combination would take minutes: steps that share no factor with any axis meet every value beside every other.
    let all: usize = AXES.iter().product();
    let (mut refused, mut hidden, mut codes) = (0, 0, std::collections::BTreeMap::new());
    for n in (0..all).step_by(101) {
        let mut rest = n;
        let at: Vec<usize> = AXES
            .iter()
            .map(|size| {
                let choice = rest % size;
                rest /= size;
                choice
            })
            .collect();
        let query = question(&at);
        let about = match &query.resource {
            Resource::Vault => About::new(THE_VAULT, "ann"),
            Resource::Workspace(_) => About::new("lab", "ann"),
            Resource::Artifact(_) => About::new("lab/net", "ann"),
        };
        let verdict = judge(&set, DecisionId::from_bytes([0; 16]), &query);
        if verdict.answer.allowed {
            continue;
        }
        let refusal = verdict.refusal(&about, None);
        if !verdict.answer.visible {
            hidden += 1;
            assert!(refusal.near_misses.is_empty() && refusal.try_.is_none(), "{query:?}: {refusal:?}");
            continue;
        }
        refused += 1;
        *codes.entry(verdict.answer.code.map(Code::word)).or_insert(0) += 1;
        let told =
            refusal.near_misses.iter().all(|miss| !miss.condition.contains('`') || miss.condition.contains("it takes"));
        let said = !refusal.near_misses.is_empty() || !refusal.reasons.is_empty();
        assert!(said && told, "{query:?}: {refusal:?}");
        assert!(refusal.try_.as_ref().is_some_and(|hint| hint.len() > 10), "{query:?}: {refusal:?}");
        assert!(refusal.policies.len() == refusal.reasons.len() || refusal.policies.is_empty(), "{refusal:?}");
    }
    assert!(refused > 5_000 && codes.len() >= 4, "{refused} {hidden} {codes:?}");
}

#[test]
fn a_policy_that_errs_is_named_to_whoever_it_refuses() {
    let mut sources = Set::baseline_sources();
    let text = "@id(\"broken\") permit (principal, action == Action::\"read\", resource is Artifact) \
                when { principal.clearance * 9223372036854775807 > 0 };";
    sources.push(policy::Source { name: "own".to_owned(), text: text.to_owned() });
    let set = Set::load(&sources).unwrap();
    // A reader who is cleared and was just there.
    let query = question(&[1, 0, 0, 1, 0, 0, 2, 2, 0, 0, 0, 0]);
    assert_eq!(query.action, Action::ALL[1]);
    let query = Query { action: Action::Read, ..query };
    let verdict = judge(&set, DecisionId::from_bytes([0; 16]), &query);
    let refusal = verdict.refusal(&About::new("lab/net", "ann"), None);
    assert_eq!(refusal.near_misses[0].policy, "broken");
    assert_eq!(refusal.near_misses[0].condition, "the policy cannot be evaluated, and any error denies");
    assert!(refusal.try_.is_some_and(|hint| hint.contains("policy lint")));
    assert_eq!(verdict.logged().near.len(), 1, "and in the log");
}
