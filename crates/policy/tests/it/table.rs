//! `docs/baseline.md`: the whole baseline as tables, written from what its policies answer.

use crate::facts::*;
use api::terms::{Action, Class, Environment, Mode, PrincipalKind, RootKind};
use policy::{Answer, Held, Mfa, PrincipalState, ProdRoots, Query, Resource, Role, Scope, decide};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

#[test]
fn the_documented_baseline_is_what_the_policies_answer() {
    let written = written();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/baseline.md");
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    if written != there {
        let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join("baseline.md");
        std::fs::write(&fresh, &written).unwrap();
        panic!("docs/baseline.md is not what the policies answer; copy {} there", fresh.display());
    }
}

fn written() -> String {
    let mut out = String::from(
        "# The baseline\n\nWritten by a test from what the policies in `baseline/` answer and from its tables; the same test fails \
         when this page is not\nwhat they answer. [spec/policy.md](../spec/policy.md) has the rules behind it.\n",
    );
    roles(&mut out);
    conditions(&mut out);
    policies(&mut out);
    classes(&mut out);
    approvals(&mut out);
    out
}

/// A question to which everything is given that can be.
fn given(action: Action, resource: Resource, roles: &[Role], mode: Mode) -> Query {
    let mut query = with(action, resource, roles, mode);
    query.context.task_open = true;
    (query.context.reason_given, query.context.confirmed) = (true, true);
    query.context.roots = vec![RootKind::Hsm, RootKind::Escrow];
    query.context.approvals = vec![
        approval("confidential-export", BOB, &[Role::Steward]),
        approval("restricted-export", BOB, &[Role::Steward]),
        approval("restricted-export", CAROL, &[Role::Owner]),
        approval("restricted-removal", BOB, &[Role::Steward]),
        approval("restricted-removal", CAROL, &[Role::Owner]),
    ];
    query
}

fn ask(query: &Query) -> Answer {
    decide(baseline(), query)
}

/// What a role alone may, in a workspace or in the vault.
fn roles(out: &mut String) {
    let grantable: Vec<Role> = Role::ALL.iter().copied().filter(|role| *role != Role::Member).collect();
    for mode in [Mode::Rehearsal, Mode::Solo] {
        let title = if mode == Mode::Solo { "Who may what, in solo" } else { "Who may what, in a team" };
        let _ = write!(
            out,
            "\n## {title}\n\nWith everything given that the class asks for. `dev`: only there; `vault`: held in the vault.\n\n| act |"
        );
        for role in &grantable {
            let _ = write!(out, " {role} |");
        }
        out.push_str("\n|---|");
        grantable.iter().for_each(|_| out.push_str("---|"));
        for action in Action::ALL {
            let _ = write!(out, "\n| {action} |");
            for role in &grantable {
                let _ = write!(out, " {} |", may(*action, *role, mode));
            }
        }
        out.push('\n');
    }
}

fn may(action: Action, role: Role, mode: Mode) -> &'static str {
    let on = |env: Environment| {
        let mut place = artifact(Class::Public);
        place.env = env;
        let resource = Resource::Artifact(place);
        let resource = if ask_applies(action, &resource) { resource } else { workspace() };
        ask(&given(action, resource, &[role], mode)).allowed
    };
    let mut of_vault = given(action, Resource::Vault, &[], mode);
    of_vault.principal.roles = vec![Held::new(role, Scope::Vault)];
    match (on(Environment::Dev), on(Environment::Prod), ask(&of_vault).allowed) {
        (true, true, _) => "yes",
        (true, false, _) => "dev",
        (false, false, true) => "vault",
        _ => "",
    }
}

fn ask_applies(action: Action, resource: &Resource) -> bool {
    let query = given(action, resource.clone(), &[Role::Owner], Mode::Solo);
    ask(&query).errors.is_empty()
}

/// What is taken away from a question that is allowed, in the words of the table.
type Lack = (&'static str, fn(&mut Query));

const LACKS: &[Lack] = &[
    ("a role there", |q| q.principal.roles.iter_mut().for_each(|held| held.scope = Scope::Workspace(OTHER))),
    ("not being suspended", |q| q.principal.state = PrincipalState::Suspended),
    ("clearance for the class", |q| q.principal.clearance = Class::Public),
    ("admission to the environment", |q| q.principal.envs.clear()),
    ("no quarantine", |q| artifact_of(q).quarantined = true),
    ("no legal hold", |q| artifact_of(q).held = true),
    ("an owner", |q| artifact_of(q).owner = None),
    ("one of its regions, if it names any", |q| artifact_of(q).residency = vec!["eu".to_owned()]),
    ("no custodian's role", |q| q.principal.roles.push(Held::new(Role::Custodian, Scope::Workspace(LAB)))),
    ("presence within 12 h", |q| q.context.mfa = Mfa::Age { millis: 12 * 3_600_000 + 1 }),
    ("presence within 1 h", |q| q.context.mfa = Mfa::Age { millis: 3_600_001 }),
    ("presence within 15 min", |q| q.context.mfa = Mfa::Age { millis: 900_001 }),
    ("an open task", |q| q.context.task_open = false),
    ("a reason", |q| q.context.reason_given = false),
    ("its name typed again", |q| q.context.confirmed = false),
    ("a role in its own workspace, or a steward's approval", |q| {
        q.principal.roles.iter_mut().for_each(|held| held.scope = Scope::Vault);
        q.context.approvals.retain(|approval| approval.rule != "confidential-export");
    }),
    ("approval by a steward and an owner", |q| q.context.approvals.clear()),
];

fn words(lack: usize) -> &'static str {
    LACKS.get(lack).map_or("", |(words, _)| words)
}

fn artifact_of(query: &mut Query) -> &mut policy::Artifact {
    match &mut query.resource {
        Resource::Artifact(artifact) => artifact,
        _ => panic!("no artifact"),
    }
}

/// What each class asks for, by act: what is refused as soon as it lacks.
fn conditions(out: &mut String) {
    for mode in [Mode::Rehearsal, Mode::Solo] {
        let title =
            if mode == Mode::Solo { "What a class asks for, in solo" } else { "What a class asks for, in a team" };
        let _ = write!(
            out,
            "\n## {title}\n\nBy a person with the role; what every class asks for comes first. `read` is in memory, `export` leaves it.\n\n"
        );
        out.push_str(
            "| act | every class | public | internal | confidential | restricted |\n|---|---|---|---|---|---|\n",
        );
        for action in [Action::List, Action::Read, Action::Export, Action::Write, Action::Alias] {
            let role = if mode == Mode::Solo { Role::Owner } else { Role::Steward };
            let of_class: Vec<BTreeSet<usize>> =
                Class::ALL.iter().map(|class| wanted(action, *class, role, mode)).collect();
            let every = of_class.iter().cloned().reduce(|all, one| &all & &one).unwrap();
            let cell = |lacks: &BTreeSet<usize>| match lacks.len() {
                0 => "-".to_owned(),
                _ => lacks.iter().map(|at| words(*at)).collect::<Vec<_>>().join("; "),
            };
            let _ = write!(out, "| {action} | {} |", cell(&every));
            for lacks in &of_class {
                let _ = write!(out, " {} |", cell(&(lacks - &every)));
            }
            out.push('\n');
        }
    }
    let _ = write!(out, "\nRoots that `write` in prod admits: ");
    let rules: Vec<String> = Class::ALL
        .iter()
        .map(|class| {
            let words = match baseline().class_rules(*class).prod_roots {
                ProdRoots::Any => "any",
                ProdRoots::NotKeyFile => "a passphrase, hardware or cloud, and no key file",
                ProdRoots::HsmOrKmsWithEscrow => "hardware or cloud with escrow, and neither key file nor passphrase",
            };
            format!("{class}: {words}")
        })
        .collect();
    let _ = writeln!(out, "{}.", rules.join("; "));
    let job = |class: Class| {
        let mut query = given(Action::Read, Resource::Artifact(artifact(class)), &[Role::Reader], Mode::Rehearsal);
        query.principal.kind = PrincipalKind::Workload;
        query.context.mfa = Mfa::Never;
        ask(&query).allowed
    };
    assert!(Class::ALL.iter().all(|class| job(*class)));
    out.push_str("Presence is asked of people; services and workloads have none.\n");
}

fn wanted(action: Action, class: Class, role: Role, mode: Mode) -> BTreeSet<usize> {
    let whole = given(action, Resource::Artifact(artifact(class)), &[role], mode);
    assert!(ask(&whole).allowed, "{action} {class} {mode}: {:?}", ask(&whole));
    let lacking = |(at, (_, change)): (usize, &Lack)| {
        let mut query = whole.clone();
        change(&mut query);
        (!ask(&query).allowed).then_some(at)
    };
    let mut found: BTreeSet<usize> = LACKS.iter().enumerate().filter_map(lacking).collect();
    // The shortest span says it.
    let presence: Vec<usize> = found.iter().copied().filter(|at| words(*at).starts_with("presence")).collect();
    let strictest = presence.iter().copied().max();
    found.retain(|at| !presence.contains(at) || Some(*at) == strictest);
    found
}

/// Every policy with what it says of itself.
fn policies(out: &mut String) {
    out.push_str("\n## Its policies\n\n| policy | | reason | lifted by | control |\n|---|---|---|---|---|\n");
    let set = baseline();
    for (id, notes) in set.notes() {
        let note = |key: &str| notes.get(key).cloned().unwrap_or_default();
        let lifted = match (note("approval"), note("advice").as_str()) {
            (rule, _) if !rule.is_empty() => format!("approval `{rule}`"),
            (_, "confirm") => "reason and confirmation".to_owned(),
            (_, "present") => "presence".to_owned(),
            (_, "task") => "an open task".to_owned(),
            (_, "root") => "other roots".to_owned(),
            _ => String::new(),
        };
        let _ = writeln!(out, "| `{id}` | {} | {} | {lifted} | {} |", note("effect"), note("reason"), note("control"));
    }
}

fn classes(out: &mut String) {
    out.push_str("\n## Times and numbers by class\n\n| | public | internal | confidential | restricted |\n|---|---|---|---|---|\n");
    let of = |class: &Class| baseline().class_rules(*class).clone();
    let mut row = |name: &str, cell: fn(&policy::ClassRules) -> String| {
        let cells: Vec<String> = Class::ALL.iter().map(|class| cell(&of(class))).collect();
        let _ = writeln!(out, "| {name} | {} |", cells.join(" | "));
    };
    row("presence", |rules| rules.presence_secs.map_or("-".to_owned(), span));
    row("presence for export, share, approve, destroy", |rules| {
        rules.export_presence_secs.map_or("-".to_owned(), span)
    });
    row("lease, renewed silently", |rules| span(rules.lease_secs));
    row("longest unattended run", |rules| span(rules.longest_unattended_secs));
    row("domain keys rotate after", |rules| format!("{} d", rules.rotation_days));
    row("or when they have wrapped", |rules| {
        format!("{} % of 2^{} keys", rules.renew_at_percent, rules.wraps_max.ilog2())
    });
    row("destroyed after", |rules| format!("{} d", rules.destroy_wait_days));
    row("approvals to destroy", |rules| rules.destroy_approvals.to_string());
    row("a release waits for the anchor", |rules| if rules.waits_for_anchor { "yes" } else { "-" }.to_owned());
}

fn span(secs: u64) -> String {
    match secs {
        secs if secs % 86_400 == 0 && secs > 86_400 => format!("{} d", secs / 86_400),
        secs if secs % 3_600 == 0 => format!("{} h", secs / 3_600),
        secs => format!("{} min", secs / 60),
    }
}

fn approvals(out: &mut String) {
    out.push_str("\n## Approval rules\n\n| rule | by | counts for | |\n|---|---|---|---|\n");
    for (name, rule) in baseline().approval_rules() {
        let by: Vec<&str> = rule.slots.iter().map(|role| role.word()).collect();
        let _ = writeln!(out, "| `{name}` | {} | {} | {} |", by.join(", "), span(rule.valid_secs), rule.about);
    }
    out.push_str("\n## Duties that exclude each other, outside solo\n\n| | | because |\n|---|---|---|\n");
    let mut pairs = BTreeMap::new();
    let held: Vec<Held> = Role::ALL.iter().map(|role| Held::new(*role, Scope::Vault)).collect();
    for conflict in baseline().conflicts(&held) {
        pairs.insert((conflict.one.word(), conflict.other.word()), conflict.reason.clone());
    }
    for ((one, other), reason) in pairs {
        let _ = writeln!(out, "| {one} | {other} | {reason} |");
    }
}
