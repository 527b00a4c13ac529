//! What a decision costs: `cargo bench -p strongroom-policy` (`--quick` for fewer rounds). Prints p50 and p99 in
//! microseconds for the baseline and for sets of 20, 100 and 500 policies, through the index; and for 500 without it, by
//! giving every policy a scope that always matches.
#![expect(clippy::unwrap_used, reason = "a bench stops where it fails")]

use api::terms::{
    Action, ArtifactId, AuthMethod, Class, Environment, Kind, Mode, PrincipalId, PrincipalKind, Timestamp, VaultId,
    WorkspaceId,
};
use policy::{
    Artifact, Context, Held, Mfa, Pins, Principal, PrincipalState, Query, Resource, Role, Scope, Set, Source, decide,
};
use std::hint::black_box;
use std::time::{Duration, Instant};

fn main() {
    let rounds = if std::env::args().any(|arg| arg == "--quick") { 500 } else { 20_000 };
    let baseline = Set::baseline().unwrap();
    println!("{:<28} {:>9} {:>9} {:>9}", "set", "load ms", "p50 us", "p99 us");
    report("baseline, read", &baseline, &query(Action::Read, 3), rounds);
    report("baseline, export", &baseline, &query(Action::Export, 3), rounds);
    report("baseline, refused + near", &baseline, &query(Action::Read, 0), rounds / 10);
    for policies in [20, 100, 500] {
        let set = grown(policies, "resource is Artifact in Workspace::\"{place}\"");
        report(&format!("{policies} policies, read"), &set, &query(Action::Read, 3), rounds);
    }
    let flat = grown(500, "resource is Artifact");
    report("500 policies, none sliced", &flat, &query(Action::Read, 3), rounds / 10);
}

/// The baseline with permits of other workspaces up to `policies`; one in 32 is of the workspace asked about.
fn grown(policies: usize, scope: &str) -> Set {
    let mut sources = Set::baseline_sources();
    let start = Instant::now();
    let base = Set::load(&sources).unwrap().ids().count();
    let mut text = String::new();
    for n in 0..policies.saturating_sub(base) {
        let place = format!("{:02x}", if n % 32 == 0 { 0x1a } else { 0x20 + n % 200 }).repeat(16);
        let scope = scope.replace("{place}", &place);
        let action = ["read", "export", "write", "alias"].get(n % 4).unwrap_or(&"read");
        text += &format!(
            "@id(\"own-{n}\") permit (principal in Role::\"reader\", action == Action::\"{action}\", {scope})\n\
             when {{ principal.clearance >= resource.class && resource.kind == \"dataset\" && context.task }};\n"
        );
    }
    sources.push(Source { name: "own".to_owned(), text });
    let set = Set::load_with(&sources, Pins::Required).unwrap();
    println!("{:<28} {:>9.1}", format!("load of {}", set.ids().count()), start.elapsed().as_secs_f64() * 1e3);
    set
}

fn report(name: &str, set: &Set, query: &Query, rounds: usize) {
    let mut times: Vec<Duration> = Vec::with_capacity(rounds);
    for _ in 0..rounds.min(200) {
        black_box(decide(set, query));
    }
    for _ in 0..rounds {
        let start = Instant::now();
        black_box(decide(set, black_box(query)));
        times.push(start.elapsed());
    }
    times.sort();
    let at = |share: usize| times.get(times.len() * share / 100).map_or(0.0, |time| time.as_secs_f64() * 1e6);
    println!("{name:<28} {:>9} {:>9.1} {:>9.1}", "", at(50), at(99));
}

fn query(action: Action, clearance: u8) -> Query {
    let place = WorkspaceId::from_bytes([0x1a; 16]);
    Query {
        vault: VaultId::from_bytes([0; 16]),
        principal: Principal {
            id: PrincipalId::from_bytes([1; 16]),
            kind: PrincipalKind::User,
            clearance: Class::from_number(clearance).unwrap(),
            state: PrincipalState::Active,
            roles: vec![Held::new(Role::Steward, Scope::Workspace(place))],
            envs: Environment::ALL.to_vec(),
        },
        action,
        resource: Resource::Artifact(Artifact {
            id: ArtifactId::from_bytes([2; 16]),
            workspace: place,
            class: Class::Confidential,
            env: Environment::Dev,
            kind: Kind::Model,
            owner: Some(PrincipalId::from_bytes([1; 16])),
            quarantined: false,
            residency: Vec::new(),
        }),
        context: Context {
            auth: AuthMethod::Asserted,
            mfa: Mfa::Age { millis: 60_000 },
            ..Context::new(Timestamp::from_millis(1_795_000_000_000), Mode::Rehearsal)
        },
        salt: [3; 16],
    }
}
