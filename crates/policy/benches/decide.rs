//! What a decision costs: `cargo bench -p strongroom-policy` (`--quick` for fewer rounds; words: only lines that hold them). Prints p50 and p99 in microseconds, facts
//! put together included. *Same*: one question again and again. *New*: each of another principal about another artifact, so that
//! nothing built before serves. *Cedar*: `is_authorized` alone over every policy of the set, with entities and request ready.
#![expect(clippy::unwrap_used, reason = "a bench stops where it fails")]

use api::terms::{
    Action, ArtifactId, AuthMethod, Class, Environment, Kind, Mode, PrincipalId, PrincipalKind, Timestamp, VaultId,
    WorkspaceId,
};
use cedar_policy::{Authorizer, Context as CedarContext, Entities, EntityUid, PolicySet, Request};
use policy::{
    Artifact, Context, Held, Mfa, Principal, PrincipalState, Query, Resource, Role, Scope, Set, Source, decide,
};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// More questions than the crate remembers facts of.
const NEW: usize = 4_096;

fn main() {
    let rounds = if std::env::args().any(|arg| arg == "--quick") { 2_000 } else { 40_000 };
    println!("{:<44} {:>9} {:>9}", "decision", "p50 us", "p99 us");
    let read = query(Action::Read, 0, Class::Restricted, 1);
    let refused = query(Action::Read, 0, Class::Public, 1);
    for policies in [0, 100, 500, 10_000] {
        let (set, text) = grown(policies);
        let name = if policies == 0 { "baseline".to_owned() } else { format!("{policies} policies") };
        same(&format!("{name}, read, same"), &set, &read, rounds);
        new(&format!("{name}, read, new"), &set, &questions(Class::Restricted), rounds);
        new(&format!("{name}, refused with near misses, new"), &set, &questions(Class::Public), rounds / 4);
        if policies <= 500 {
            same(&format!("{name}, refused with near misses, same"), &set, &refused, rounds / 4);
            cedar(&format!("{name}, Cedar over all of them"), &set, &text, rounds / 8);
        }
    }
    let (set, _) = grown(500);
    for roles in [1, 1_024, 4_096] {
        let question = query(Action::Read, 0, Class::Restricted, roles);
        same(&format!("500 policies, {roles} grants of its own, same"), &set, &question, rounds / 4);
    }
    let (broken, _) = with_errors(500);
    new("500 policies that err, new", &broken, &questions(Class::Restricted), rounds / 8);
}

/// The baseline with policies of its own up to `policies`, a fifth of them forbids, over 200 workspaces; one in 32 is of the
/// workspace asked about.
fn grown(policies: usize) -> (Set, String) {
    grown_with(policies, "principal.clearance >= resource.class && resource.kind == \"dataset\" && context.task")
}

/// The same, where every policy of its own errs for whoever has a clearance.
fn with_errors(policies: usize) -> (Set, String) {
    grown_with(policies, "principal.clearance * 9223372036854775807 > 0")
}

fn grown_with(policies: usize, condition: &str) -> (Set, String) {
    let mut sources = Set::baseline_sources();
    let start = Instant::now();
    let base = Set::load(&sources).unwrap().ids().count();
    let mut text = String::new();
    for n in 0..policies.saturating_sub(base) {
        let place = format!("{:02x}", if n.is_multiple_of(32) { 0x1a } else { 0x20 + n % 200 }).repeat(16);
        let action = ["read", "export", "write", "alias"].get(n / 32 % 4).unwrap_or(&"read");
        let effect = if n.is_multiple_of(5) { "forbid" } else { "permit" };
        text += &format!(
            "@id(\"own-{n}\") {effect} (principal in Role::\"reader\", action in [Action::\"{action}\", \
             Action::\"read\"], resource is Artifact in Workspace::\"{place}\")\nwhen {{ {condition} }};\n"
        );
    }
    sources.push(Source { name: "own".to_owned(), text });
    let set = Set::load(&sources).unwrap();
    let took = start.elapsed().as_secs_f64() * 1e3;
    println!("{:<44} {took:>9.1} ms", format!("load of {} policies", set.ids().count()));
    (set, sources.iter().map(|source| source.text.as_str()).collect::<Vec<_>>().join("\n"))
}

fn same(name: &str, set: &Set, query: &Query, rounds: usize) {
    report(name, rounds, || {
        black_box(decide(set, black_box(query)));
    });
}

fn new(name: &str, set: &Set, questions: &[Query], rounds: usize) {
    let mut questions = questions.iter().cycle();
    report(name, rounds, || {
        black_box(decide(set, black_box(questions.next().unwrap())));
    });
}

fn cedar(name: &str, set: &Set, text: &str, rounds: usize) {
    let policies: PolicySet = text.parse().unwrap();
    let ready = |query: &Query| {
        let record = decide(set, query).record;
        let slice: serde_json::Value = serde_json::from_slice(&record.slice).unwrap();
        let uid = |name: &str| EntityUid::from_json(slice.get(name).unwrap().clone()).unwrap();
        let context = CedarContext::from_json_str(std::str::from_utf8(&record.context).unwrap(), None).unwrap();
        let request = Request::new(uid("principal"), uid("action"), uid("resource"), context, None).unwrap();
        (request, Entities::from_json_value(slice.get("entities").unwrap().clone(), None).unwrap())
    };
    let ready: Vec<(Request, Entities)> = questions(Class::Restricted).iter().take(256).map(ready).collect();
    let mut ready = ready.iter().cycle();
    let authorizer = Authorizer::new();
    report(name, rounds, || {
        let (request, entities) = ready.next().unwrap();
        black_box(authorizer.is_authorized(black_box(request), &policies, entities));
    });
}

fn report(name: &str, rounds: usize, mut once: impl FnMut()) {
    if std::env::args().skip(1).any(|word| !word.starts_with('-') && !name.contains(&word)) {
        return;
    }
    let mut times: Vec<Duration> = Vec::with_capacity(rounds);
    for _ in 0..rounds.min(200) {
        once();
    }
    for _ in 0..rounds {
        let start = Instant::now();
        once();
        times.push(start.elapsed());
    }
    times.sort();
    let at = |share: usize| times.get(times.len() * share / 100).map_or(0.0, |time| time.as_secs_f64() * 1e6);
    println!("{name:<44} {:>9.1} {:>9.1}", at(50), at(99));
}

/// Questions of as many principals about as many artifacts.
fn questions(clearance: Class) -> Vec<Query> {
    (0..NEW).map(|n| query(Action::Read, n, clearance, 1)).collect()
}

fn query(action: Action, n: usize, clearance: Class, roles: usize) -> Query {
    let place = WorkspaceId::from_bytes([0x1a; 16]);
    let numbered = |n: usize, kind: u8| {
        let mut id = [kind; 16];
        id.iter_mut().zip(n.to_be_bytes()).for_each(|(to, from)| *to = from);
        id
    };
    let elsewhere = |n: usize| Held::new(Role::Reader, Scope::Workspace(WorkspaceId::from_bytes(numbered(n, 9))));
    Query {
        vault: VaultId::from_bytes([0; 16]),
        principal: Principal {
            id: PrincipalId::from_bytes(numbered(n, 1)),
            kind: PrincipalKind::User,
            clearance,
            state: PrincipalState::Active,
            roles: (1..roles).map(elsewhere).chain([Held::new(Role::Steward, Scope::Workspace(place))]).collect(),
            envs: Environment::ALL.to_vec(),
        },
        action,
        resource: Resource::Artifact(Artifact {
            id: ArtifactId::from_bytes(numbered(n, 2)),
            workspace: place,
            class: Class::Confidential,
            env: Environment::Dev,
            kind: Kind::Model,
            owner: Some(PrincipalId::from_bytes(numbered(n, 1))),
            quarantined: false,
            held: false,
            residency: Vec::new(),
        }),
        context: Context {
            auth: AuthMethod::Asserted,
            mfa: Mfa::Age { millis: 60_000 },
            ..Context::new(Timestamp::from_millis(1_795_000_000_000 + n as u64), Mode::Rehearsal)
        },
        salt: [3; 16],
    }
}
