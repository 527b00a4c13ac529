//! The baseline as one table: class x action x role x mode, and each guardrail at its edge.

use crate::facts::*;
use api::terms::{Action, Class, Environment, Mode, PrincipalKind, RootKind, Timestamp};
use policy::{Advice, Held, Mfa, PrincipalState, Query, Resource, Role, Scope, decide};

/// Which roles may do what to an artifact of their workspace, with clearance, presence, task, reason and approvals all
/// given: `public internal confidential restricted`, by role, in rehearsal.
const ON_ARTIFACTS: &[(Action, &[Role])] = &[
    (
        Action::List,
        &[
            Role::Member,
            Role::Reader,
            Role::Writer,
            Role::Steward,
            Role::Custodian,
            Role::PolicyAuthor,
            Role::Auditor,
            Role::Owner,
        ],
    ),
    (Action::Read, &[Role::Reader, Role::Writer, Role::Steward]),
    (Action::Export, &[Role::Reader, Role::Writer, Role::Steward]),
    (Action::Write, &[Role::Writer, Role::Steward]),
    (Action::Alias, &[Role::Writer, Role::Steward]),
    (Action::RotateKeys, &[]),
    (Action::ManagePrincipals, &[]),
    (Action::ManagePolicy, &[]),
    (Action::Audit, &[]),
    (Action::Collect, &[]),
    (Action::Scan, &[Role::Reader, Role::Writer, Role::Steward]),
    (Action::Review, &[Role::Steward, Role::Auditor, Role::Owner]),
    (Action::Remove, &[Role::Writer, Role::Steward]),
    (Action::Hold, &[Role::Owner]),
    (Action::Restore, &[Role::Writer, Role::Steward]),
    (Action::ManageKeys, &[]),
    (Action::DestroyKeys, &[Role::Custodian]),
    (Action::Backup, &[]),
    (Action::Reencrypt, &[Role::Custodian]),
    (Action::Encrypt, &[Role::Writer, Role::Steward]),
    (Action::Decrypt, &[Role::Reader, Role::Writer, Role::Steward]),
    (Action::ArchiveRead, &[Role::Steward]),
];

fn is_on_artifacts(action: Action) -> bool {
    (action as u8 <= Action::Alias as u8 || action as u8 >= Action::Scan as u8)
        && !matches!(action, Action::ManageKeys | Action::Backup)
}

fn everything_given(mut query: Query) -> Query {
    query.context.task_open = true;
    query.context.reason_given = true;
    query.context.confirmed = true;
    query.context.roots = vec![RootKind::Hsm, RootKind::Kms, RootKind::Escrow];
    let both = |rule| [approval(rule, BOB, &[Role::Steward]), approval(rule, CAROL, &[Role::Owner])];
    query.context.approvals = ["restricted-export", "restricted-removal"].into_iter().flat_map(both).collect();
    query
}

#[test]
fn roles_in_rehearsal_do_what_the_table_says_for_every_class() {
    for (action, allowed) in ON_ARTIFACTS {
        for class in Class::ALL {
            for role in Role::ALL {
                let query = with(*action, Resource::Artifact(artifact(*class)), &[*role], Mode::Rehearsal);
                let answer = decide(baseline(), &everything_given(query));
                assert_eq!(answer.allowed, allowed.contains(role), "{role} {action} {class}: {answer:?}");
                let applies = is_on_artifacts(*action);
                assert!(answer.errors.is_empty() == applies && answer.visible);
            }
        }
    }
}

#[test]
fn roles_in_solo_do_the_same_and_the_owner_everything() {
    for (action, allowed) in ON_ARTIFACTS {
        let on_artifacts = is_on_artifacts(*action);
        for class in Class::ALL {
            for role in Role::ALL {
                let query = with(*action, Resource::Artifact(artifact(*class)), &[*role], Mode::Solo);
                let answer = decide(baseline(), &everything_given(query));
                let expected = allowed.contains(role) || (*role == Role::Owner && on_artifacts);
                assert_eq!(answer.allowed, expected, "{role} {action} {class}: {answer:?}");
            }
        }
    }
}

#[test]
fn acts_on_workspaces_and_the_vault_belong_to_their_roles() {
    let administer: &[(Action, Role, bool, bool)] = &[
        // Action, its role, on a workspace, on the vault.
        (Action::RotateKeys, Role::Custodian, true, true),
        (Action::ManageKeys, Role::Custodian, true, true),
        (Action::ManagePrincipals, Role::Owner, true, true),
        (Action::ManagePolicy, Role::PolicyAuthor, false, true),
        (Action::Audit, Role::Auditor, true, true),
        (Action::Collect, Role::Custodian, false, true),
        (Action::Backup, Role::Custodian, false, true),
    ];
    for (action, holder, on_workspace, on_vault) in administer {
        for role in Role::ALL {
            for mode in Mode::ALL {
                for (resource, possible) in [(workspace(), *on_workspace), (Resource::Vault, *on_vault)] {
                    let mut query = with(*action, resource, &[], *mode);
                    query.principal.roles = vec![Held::new(*role, Scope::Vault)];
                    let answer = decide(baseline(), &query);
                    let may = role == holder || (*role == Role::Owner && *mode == Mode::Solo);
                    assert_eq!(
                        answer.allowed,
                        may && possible,
                        "{role} {action} {mode} {:?}: {answer:?}",
                        query.resource
                    );
                }
            }
        }
    }
}

#[test]
fn roles_of_a_workspace_do_not_reach_the_vault() {
    for action in [
        Action::RotateKeys,
        Action::ManageKeys,
        Action::ManagePrincipals,
        Action::ManagePolicy,
        Action::Audit,
        Action::Collect,
        Action::Backup,
    ] {
        for role in Role::ALL {
            let answer = decide(baseline(), &with(action, Resource::Vault, &[*role], Mode::Rehearsal));
            assert!(!answer.allowed, "{role} {action}");
        }
    }
    assert!(decide(baseline(), &with(Action::List, Resource::Vault, &[Role::Reader], Mode::Rehearsal)).allowed);
}

#[test]
fn no_role_and_no_pair_that_duties_admit_holds_keys_and_data() {
    let keys = [Action::RotateKeys, Action::ManageKeys, Action::Collect, Action::Backup];
    let data = [
        Action::Read,
        Action::Export,
        Action::Write,
        Action::Alias,
        Action::Scan,
        Action::Remove,
        Action::Restore,
        Action::Encrypt,
        Action::Decrypt,
    ];
    for one in Role::ALL {
        for other in Role::ALL {
            let held = [Held::new(*one, Scope::Vault), Held::new(*other, Scope::Vault)];
            let may = |action: Action, resource: Resource| {
                let mut query = everything_given(with(action, resource, &[], Mode::Rehearsal));
                query.principal.roles = held.to_vec();
                decide(baseline(), &query).allowed
            };
            let has_keys = keys.iter().any(|action| may(*action, Resource::Vault));
            let has_data = data.iter().any(|action| may(*action, Resource::Artifact(artifact(Class::Public))));
            assert!(!(has_keys && has_data), "{one} and {other}");
            let rules = may(Action::ManagePolicy, Resource::Vault);
            assert!(!(rules && may(Action::ManagePrincipals, Resource::Vault)), "{one} and {other}");
        }
    }
}

/// A query that is allowed, a change to it, and the guardrails that then refuse it.
type Edge = (&'static str, Query, fn(&mut Query), &'static [&'static str], &'static [&'static str]);

fn edges() -> Vec<Edge> {
    let read = |class| query(Action::Read, class);
    let restricted = |action| {
        let mut query = everything_given(query(action, Class::Restricted));
        query.context.mfa = Mfa::Age { millis: 15 * 60_000 };
        query
    };
    let removal = |class| {
        let mut query = everything_given(with(
            Action::Remove,
            Resource::Artifact(artifact(class)),
            &[Role::Steward],
            Mode::Rehearsal,
        ));
        query.context.mfa = Mfa::Age { millis: 15 * 60_000 };
        query
    };
    let solo = |action| {
        everything_given(with(action, Resource::Artifact(artifact(Class::Restricted)), &[Role::Owner], Mode::Solo))
    };
    fn of(query: &mut Query) -> &mut policy::Artifact {
        match &mut query.resource {
            Resource::Artifact(artifact) => artifact,
            _ => panic!("an artifact"),
        }
    }
    fn age(query: &mut Query, millis: u64) {
        query.context.mfa = Mfa::Age { millis };
    }
    const H: u64 = 3_600_000;
    fn under(query: &mut Query, roots: &[RootKind]) {
        query.context.roots = roots.to_vec();
    }
    // Each mode: alone there is a vault with roots as well.
    let prod = |class, mode| {
        let mut place = artifact(class);
        place.env = Environment::Prod;
        everything_given(with(Action::Write, Resource::Artifact(place), &[Role::Writer], mode))
    };
    let encrypted = |class, env| {
        let place = policy::Artifact { env, ..artifact(class) };
        everything_given(with(Action::Encrypt, Resource::Artifact(place), &[Role::Writer], Mode::Rehearsal))
    };
    use RootKind::{Escrow, Hsm, Keyfile, Kms, Passphrase};
    let (confidential, restricted_root): (&[&str], &[&str]) =
        (&["prod-roots-confidential"], &["prod-roots-restricted"]);
    let root: &[&str] = &["root"];
    let (c, r) = (Class::Confidential, Class::Restricted);
    let confirm: &[&str] = &["confirm"];
    let present: &[&str] = &["present"];
    let mut away = query(Action::Export, Class::Confidential);
    away.principal.roles = vec![Held::new(Role::Reader, Scope::Vault)];
    away.context.approvals = vec![approval("confidential-export", BOB, &[Role::Steward])];
    vec![
        ("suspended", read(Class::Public), |q| q.principal.state = PrincipalState::Suspended, &["suspended"], &[]),
        ("cleared for less", read(Class::Internal), |q| q.principal.clearance = Class::Public, &["clearance"], &[]),
        ("another environment", read(Class::Public), |q| of(q).env = Environment::Prod, &[], &[]),
        ("no environment", read(Class::Public), |q| q.principal.envs.clear(), &["environment"], &[]),
        ("quarantined", read(Class::Public), |q| of(q).quarantined = true, &["quarantine"], &[]),
        ("held", removal(Class::Public), |q| of(q).held = true, &["legal-hold"], &[]),
        ("held, read", read(Class::Public), |q| of(q).held = true, &[], &[]),
        (
            "removed with no approval",
            removal(r),
            |q| q.context.approvals.clear(),
            &["restricted-removal"],
            &["request"],
        ),
        ("removed over 15 min", removal(r), |q| age(q, H / 4 + 1), &["presence-restricted-export"], present),
        (
            "removed alone with no reason",
            solo(Action::Remove),
            |q| q.context.reason_given = false,
            &["restricted-confirmation"],
            confirm,
        ),
        ("unowned", read(Class::Public), |q| of(q).owner = None, &["ownership"], &[]),
        ("region unknown", read(Class::Public), |q| of(q).residency = vec!["eu".into()], &["residency"], &[]),
        ("12 h", read(Class::Confidential), |q| age(q, 12 * H), &[], &[]),
        ("over 12 h", read(Class::Confidential), |q| age(q, 12 * H + 1), &["presence-confidential"], present),
        ("never seen", read(Class::Confidential), |q| q.context.mfa = Mfa::Never, &["presence-confidential"], present),
        ("1 h", restricted(Action::Read), |q| age(q, H), &[], &[]),
        ("over 1 h", restricted(Action::Read), |q| age(q, H + 1), &["presence-restricted"], present),
        ("over 15 min", restricted(Action::Export), |q| age(q, H / 4 + 1), &["presence-restricted-export"], present),
        ("decrypted over 1 h", restricted(Action::Decrypt), |q| age(q, H + 1), &["presence-restricted"], present),
        ("encrypted over 1 h", encrypted(r, Environment::Dev), |q| age(q, H + 1), &["presence-restricted"], present),
        (
            "encrypted in prod under a key file",
            encrypted(c, Environment::Prod),
            |q| under(q, &[RootKind::Keyfile]),
            confidential,
            root,
        ),
        (
            "decrypted with no task",
            restricted(Action::Decrypt),
            |q| q.context.task_open = false,
            &["restricted-task"],
            &["task"],
        ),
        ("no task", restricted(Action::Read), |q| q.context.task_open = false, &["restricted-task"], &["task"]),
        (
            "solo, no reason",
            solo(Action::Read),
            |q| q.context.reason_given = false,
            &["restricted-confirmation"],
            confirm,
        ),
        (
            "solo, unconfirmed",
            solo(Action::Export),
            |q| q.context.confirmed = false,
            &["restricted-confirmation"],
            confirm,
        ),
        ("solo, no task", solo(Action::Read), |q| q.context.task_open = false, &[], &[]),
        ("solo, never seen", solo(Action::Export), |q| q.context.mfa = Mfa::Never, &[], &[]),
        ("solo, no approval", solo(Action::Export), |q| q.context.approvals.clear(), &[], &[]),
        ("away, no approval", away, |q| q.context.approvals.clear(), &["confidential-export"], &["request"]),
        ("key file, internal", prod(Class::Internal, Mode::Solo), |q| under(q, &[Keyfile]), &[], &[]),
        ("key file", prod(c, Mode::Rehearsal), |q| under(q, &[Keyfile]), confidential, root),
        ("key file, solo", prod(c, Mode::Solo), |q| under(q, &[Keyfile]), confidential, root),
        (
            "key file, staging",
            prod(c, Mode::Solo),
            |q| (of(q).env, q.context.roots) = (Environment::Staging, vec![Keyfile]),
            &[],
            &[],
        ),
        ("key file beside hardware", prod(c, Mode::Solo), |q| under(q, &[Keyfile, Hsm]), confidential, root),
        (
            "key file beside a passphrase",
            prod(c, Mode::Rehearsal),
            |q| under(q, &[Keyfile, Passphrase]),
            confidential,
            root,
        ),
        ("key file beside all, restricted", prod(r, Mode::Solo), |q| under(q, RootKind::ALL), restricted_root, root),
        (
            "passphrase beside hardware and escrow",
            prod(r, Mode::Rehearsal),
            |q| under(q, &[Passphrase, Hsm, Escrow]),
            restricted_root,
            root,
        ),
        ("passphrase and escrow", prod(c, Mode::Solo), |q| under(q, &[Passphrase, Escrow]), &[], &[]),
        ("no root", prod(c, Mode::Solo), |q| under(q, &[]), confidential, root),
        ("passphrase", prod(c, Mode::Solo), |q| under(q, &[Passphrase]), &[], &[]),
        ("passphrase, restricted", prod(r, Mode::Solo), |q| under(q, &[Passphrase, Escrow]), restricted_root, root),
        ("no escrow", prod(r, Mode::Rehearsal), |q| under(q, &[Hsm, Kms]), restricted_root, root),
        ("hardware and escrow", prod(r, Mode::Rehearsal), |q| under(q, &[Hsm, Escrow]), &[], &[]),
        ("cloud and escrow", prod(r, Mode::Solo), |q| under(q, &[Kms, Escrow]), &[], &[]),
        ("own", query(Action::Export, Class::Confidential), |_| {}, &[], &[]),
    ]
}

#[test]
fn each_guardrail_refuses_on_its_own_side_of_its_edge() {
    for (name, query, change, policies, advice) in edges() {
        let answer = decide(baseline(), &query);
        assert!(answer.allowed, "{name} before: {answer:?}");
        let mut changed = query;
        change(&mut changed);
        let answer = decide(baseline(), &changed);
        assert_eq!(answer.policies.is_empty() || answer.allowed, policies.is_empty(), "{name}: {answer:?}");
        if !policies.is_empty() {
            assert_eq!(answer.policies, policies, "{name}");
            let word = |advice: &Advice| match advice {
                Advice::Confirm => "confirm",
                Advice::Present => "present",
                Advice::OpenTask => "task",
                Advice::Root => "root",
                Advice::Request { .. } => "request",
            };
            assert_eq!(answer.advice.iter().map(word).collect::<Vec<_>>(), advice, "{name}");
        }
    }
}

#[test]
fn restricted_export_wants_two_people_of_distinct_roles_who_are_not_the_requester() {
    let rule = "restricted-export";
    let ask = |approvals: &[policy::Approval]| {
        let mut query = everything_given(query(Action::Export, Class::Restricted));
        query.context.approvals = approvals.to_vec();
        decide(baseline(), &query)
    };
    let steward = approval(rule, BOB, &[Role::Steward]);
    let owner = approval(rule, CAROL, &[Role::Owner]);
    assert!(ask(&[steward.clone(), owner.clone()]).allowed);
    let refused = ask(&[]);
    assert_eq!(refused.policies, [rule]);
    assert_eq!(refused.approval.as_deref(), Some(rule));
    assert_eq!(refused.code, Some(api::terms::Code::ApprovalNeeded));
    let both_roles = approval(rule, BOB, &[Role::Steward, Role::Owner]);
    for (what, approvals) in [
        ("one of two", vec![steward.clone()]),
        ("one person in both roles", vec![both_roles.clone(), both_roles.clone()]),
        ("two stewards", vec![steward.clone(), approval(rule, CAROL, &[Role::Steward])]),
        ("the requester", vec![steward.clone(), approval(rule, ALICE, &[Role::Owner])]),
        ("another rule", vec![steward.clone(), approval("confidential-export", CAROL, &[Role::Owner])]),
        ("a program", vec![steward.clone(), policy::Approval { kind: PrincipalKind::Service, ..owner.clone() }]),
    ] {
        assert!(!ask(&approvals).allowed, "{what}");
    }
    let either = approval(rule, BOB, &[Role::Owner, Role::Steward]);
    assert!(!ask(&[either, steward]).allowed, "one person, two approvals");
    assert!(
        ask(&[both_roles, approval(rule, CAROL, &[Role::Steward])]).allowed,
        "the one with both takes the other slot"
    );
}

#[test]
fn a_role_counts_until_its_end_and_only_where_it_is_held() {
    let mut query = query(Action::Read, Class::Public);
    let now = query.context.now;
    query.principal.roles = vec![Held { until: Some(now), ..Held::new(Role::Reader, Scope::Workspace(LAB)) }];
    assert!(decide(baseline(), &query).allowed);
    query.context.now = now.plus_millis(1);
    let over = decide(baseline(), &query);
    assert!(!over.allowed && !over.visible);
    query.context.now = Timestamp::from_millis(0);
    query.principal.roles = vec![Held::new(Role::Reader, Scope::Workspace(OTHER))];
    let elsewhere = decide(baseline(), &query);
    assert!(!elsewhere.allowed && !elsewhere.visible);
    assert_eq!(elsewhere.code, Some(api::terms::Code::NotFound));
}

#[test]
fn presence_is_not_asked_of_programs() {
    for kind in [PrincipalKind::Service, PrincipalKind::Workload] {
        let mut query = query(Action::Read, Class::Confidential);
        query.principal.kind = kind;
        query.context.mfa = Mfa::Never;
        assert!(decide(baseline(), &query).allowed);
        let mut manage = with(Action::ManagePrincipals, workspace(), &[Role::Owner], Mode::Rehearsal);
        assert!(decide(baseline(), &manage).allowed);
        manage.principal.kind = kind;
        assert_eq!(decide(baseline(), &manage).policies, ["duties-people"]);
    }
}

#[test]
fn writers_move_aliases_and_remove_in_dev_and_stewards_everywhere() {
    let all = [Action::Alias, Action::Remove, Action::Restore].into_iter();
    for (action, env) in all.flat_map(|action| Environment::ALL.iter().map(move |env| (action, env))) {
        for (role, may) in [(Role::Writer, *env == Environment::Dev), (Role::Steward, true), (Role::Reader, false)] {
            let mut artifact = artifact(Class::Internal);
            artifact.env = *env;
            let query = with(action, Resource::Artifact(artifact), &[role], Mode::Rehearsal);
            assert_eq!(decide(baseline(), &query).allowed, may, "{role} {action} in {env}");
        }
    }
}
