//! Decisions made again from what was kept: they come out as recorded, and what was altered or removed is named.

use super::decisions::principal;
use crate::world::{Client, Put, World, name};
use api::terms::{Action, Class, Environment, Mode};
use api::wire::{
    Answer, AuditFilter, AuditItem, AuditPage, Command, DecisionsReplayed, GrantSpec, Outcome, PolicyApply,
    PrincipalAdd, Replayed,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

const PEOPLE: [&str; 3] = ["ann", "ben", "cat"];
const CLASSES: [&str; 3] = ["public", "internal", "confidential"];

/// Policies that an organisation may add: one that never matches, one that refuses, one that permits, one that errs.
const OWN: [&str; 4] = [
    "@id(\"own\") @reason(\"nobody\") forbid (principal, action == Action::\"read\", resource is Artifact) \
     when { resource.owner == \"nobody\" };",
    "@id(\"own\") @reason(\"not today\") forbid (principal, action == Action::\"export\", resource is Artifact) \
     unless { context.reasoned };",
    "@id(\"own\") @reason(\"anybody\") permit (principal, action == Action::\"list\", resource);",
    "@id(\"own\") @reason(\"broken\") forbid (principal, action == Action::\"read\", resource is Artifact) \
     when { principal.clearance * 4611686018427387904 > 0 };",
];

/// What somebody does; most of it is decided.
#[derive(Debug, Clone)]
enum Act {
    Release { who: usize, class: usize, action: Action, reason: bool },
    Put { who: usize, class: usize, prod: bool },
    Show { who: usize, class: usize },
    Grant { who: usize, role: &'static str, clearance: Class, suspended: bool },
    Apply { own: Option<usize> },
    Rotate { who: usize },
}

fn an_act() -> impl Strategy<Value = Act> {
    let (who, class) = (0..PEOPLE.len(), 0..CLASSES.len());
    let released = (who.clone(), class.clone(), select(vec![Action::Read, Action::Export]), any::<bool>())
        .prop_map(|(who, class, action, reason)| Act::Release { who, class, action, reason });
    let put = (who.clone(), class.clone(), any::<bool>()).prop_map(|(who, class, prod)| Act::Put { who, class, prod });
    let shown = (who.clone(), class).prop_map(|(who, class)| Act::Show { who, class });
    let roles = vec!["reader", "writer", "steward", "auditor", "owner"];
    let granted = (who.clone(), select(roles), select(Class::ALL), prop::bool::weighted(0.2))
        .prop_map(|(who, role, clearance, suspended)| Act::Grant { who, role, clearance, suspended });
    let applied = proptest::option::of(0..OWN.len()).prop_map(|own| Act::Apply { own });
    let rotated = who.prop_map(|who| Act::Rotate { who });
    prop_oneof![8 => released, 2 => put, 2 => shown, 3 => granted, 2 => applied, 1 => rotated]
}

fn apply(client: &Client<'_>, text: Option<&str>) {
    let sources = text.map(|text| ("own.cedar".to_owned(), text.to_owned())).into_iter().collect();
    client.call(Command::PolicyApply(PolicyApply { sources, base: None })).unwrap();
}

/// Does it; a refusal is as good as a yes.
fn perform(world: &World, keeper: &keeper::Keeper, act: &Act) {
    let (owner, pol) = (Client::new(keeper, world, None), Client::new(keeper, world, Some("pol")));
    let person = |who: &usize| Client::new(keeper, world, Some(PEOPLE[*who]));
    match act {
        Act::Release { who, class, action, reason } => {
            let reason = reason.then_some("because");
            let _ = person(who).release_with(*action, &format!("lab/{}", CLASSES[*class]), reason, None);
        }
        Act::Put { who, class, prod } => {
            let environment = if *prod { Environment::Prod } else { Environment::Dev };
            let _ = person(who).put(&Put { environment, ..Put::new(&format!("lab/{}", CLASSES[*class])) });
        }
        Act::Show { who, class } => drop(person(who).show(&format!("lab/{}", CLASSES[*class]))),
        Act::Grant { who, role, clearance, suspended } => {
            let add = PrincipalAdd {
                change: true,
                suspended: Some(*suspended),
                grants: vec![GrantSpec { workspace: name("lab"), role: (*role).into(), until: None }],
                ..principal(PEOPLE[*who], *clearance, &[])
            };
            let _ = owner.call(Command::PrincipalAdd(add));
        }
        Act::Apply { own } => apply(&pol, own.map(|at| OWN[at])),
        Act::Rotate { who } => drop(person(who).call(Command::KeyRotate(Default::default()))),
    }
}

/// A rehearsal vault with an artifact of each class, three people, an author of policies and an auditor.
fn lab() -> World {
    let world = World::new(Mode::Rehearsal);
    let keeper = world.open();
    let owner = Client::new(&keeper, &world, None);
    for add in [
        principal("wanda", Class::Restricted, &[("lab", "writer")]),
        principal("ann", Class::Confidential, &[("lab", "reader")]),
        principal("ben", Class::Internal, &[("lab", "writer")]),
        principal("cat", Class::Restricted, &[("yard", "reader")]),
        principal("aud", Class::Public, &[("vault", "auditor")]),
        principal("pol", Class::Public, &[("vault", "policy-author")]),
    ] {
        owner.call(Command::PrincipalAdd(add)).unwrap();
    }
    let wanda = Client::new(&keeper, &world, Some("wanda"));
    for class in &Class::ALL[..3] {
        wanda.put(&Put::new(&format!("lab/{class}")).class(*class)).unwrap();
    }
    drop((owner, wanda));
    keeper.close().unwrap();
    world
}

fn replayed(world: &World) -> DecisionsReplayed {
    let keeper = world.open();
    let aud = Client::new(&keeper, world, Some("aud"));
    let Answer::DecisionsReplayed(told) = aud.call(Command::DecisionsReplay).unwrap() else { panic!() };
    told
}

fn shown(world: &World, entry: &str) -> Option<Replayed> {
    let keeper = world.open();
    let aud = Client::new(&keeper, world, Some("aud"));
    let Answer::Entry(item) = aud.call(Command::AuditShow { entry: entry.into() }).unwrap() else { panic!() };
    item.replayed
}

/// The entries with a decision.
fn decided(world: &World) -> Vec<AuditItem> {
    let keeper = world.open();
    let filter = AuditFilter { limit: 10_000, ..AuditFilter::default() };
    let Answer::Audit(AuditPage { mut items, .. }) =
        Client::new(&keeper, world, Some("aud")).call(Command::Audit(filter)).unwrap()
    else {
        panic!()
    };
    items.retain(|item| item.entry["decision"].is_object());
    items
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 4, ..ProptestConfig::with_cases(6) })]

    #[test]
    fn every_decision_in_the_log_comes_out_as_it_was_recorded(acts in vec(an_act(), 24..48)) {
        let world = lab();
        let keeper = world.open();
        // Allowed, refused and broken ones, whatever was drawn.
        let read = |who| Act::Release { who, class: 2, action: Action::Read, reason: false };
        let certain = [read(0), read(1), Act::Apply { own: Some(3) }, read(0), Act::Apply { own: None }];
        for act in certain.iter().chain(&acts) {
            perform(&world, &keeper, act);
        }
        let before = replayed(&world);
        keeper.close().unwrap();
        let told = replayed(&world);
        prop_assert_eq!((&told.failures, told.ok, told.other_engine), (&Vec::new(), true, 0));
        let items = decided(&world);
        prop_assert_eq!((before.same, told.same), (items.len() as u64, items.len() as u64));
        let denied = |broken: bool| items.iter().any(|item| {
            let decision = &item.entry["decision"];
            decision["effect"] == "deny" && decision["policies"].as_array().unwrap().is_empty() == broken && item.entry["act"] == "release.read"
        });
        prop_assert!(denied(false) && denied(true), "a refusal by policies and one by an error");
        prop_assert!(items.iter().any(|item| item.entry["decision"]["effect"] == "allow"));
        let last = items.last().unwrap().entry["id"].as_str().unwrap();
        prop_assert_eq!(shown(&world, last), Some(Replayed { outcome: Outcome::Same, why: None }));
    }
}

#[test]
fn an_altered_or_removed_input_of_a_decision_is_named() {
    let world = lab();
    let keeper = world.open();
    apply(&Client::new(&keeper, &world, Some("pol")), Some(OWN[1]));
    Client::new(&keeper, &world, Some("ann")).release(Action::Read, "lab/confidential").unwrap();
    Client::new(&keeper, &world, Some("ben")).release(Action::Read, "lab/confidential").unwrap_err();
    apply(&Client::new(&keeper, &world, Some("pol")), None);
    keeper.close().unwrap();
    assert!(replayed(&world).ok);
    let items = decided(&world);
    let of = |who: &str| items.iter().rfind(|item| item.principal.as_deref() == Some(who)).unwrap();
    let (ann, ben) = (&of("ann").entry, &of("ben").entry);
    let (ticket, other) = (ann["ticket"].as_i64().unwrap(), ben["ticket"].as_i64().unwrap());
    let id = ann["id"].as_str().unwrap();
    let replace = |from: &str, to: &str, at: &str| {
        // Records hold bytes that are no text: only what follows their head is replaced.
        format!(
            "UPDATE cas SET bytes = CAST(substr(bytes, 1, 20) || \
             CAST(replace(CAST(substr(bytes, 21) AS TEXT), '{from}', '{to}') AS BLOB) AS BLOB) WHERE {at}"
        )
    };
    // What is sealed is flipped where it stands: in the head of it, and in the text.
    let flipped = |at: usize, ticket: i64| {
        let db = rusqlite::Connection::open(world.dir().join("keeper.db")).unwrap();
        let select = "SELECT bytes FROM cas WHERE ticket = ?1";
        let mut bytes: Vec<u8> = db.query_row(select, [ticket], |row| row.get(0)).unwrap();
        bytes[at] ^= 1;
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("UPDATE cas SET bytes = X'{hex}' WHERE ticket = {ticket}")
    };
    let (record, record_of_ben) = (format!("ticket = {ticket}"), format!("ticket = {other}"));
    let own = "ticket = 0 AND CAST(bytes AS TEXT) LIKE '%not today%'";
    let roles = "ticket = 0 AND CAST(bytes AS TEXT) LIKE '%reader-read%'";
    let lists = "ticket = 0 AND CAST(bytes AS TEXT) LIKE '{%own.cedar%'";
    // The damage, what it is called, and whether the entry of `ann` shows it.
    let attacks = [
        (flipped(3, ticket), "not what the entry commits to", true),
        (flipped(200, ticket), "not what the entry commits to", true),
        (flipped(200, other), "not what the entry commits to", false),
        (format!("UPDATE cas SET bytes = zeroblob(3) WHERE {record}"), "not what the entry commits to", true),
        (
            format!("UPDATE cas SET bytes = (SELECT bytes FROM cas WHERE {record_of_ben}) WHERE {record}"),
            "not what the entry commits to",
            true,
        ),
        (format!("DELETE FROM cas WHERE {record}"), "decided on is missing", true),
        (replace("forbid", "permit", own), "the text of `own.cedar`", true),
        (replace("Role", "Rule", roles), "the text of `baseline/permits/roles.cedar`", true),
        (format!("DELETE FROM cas WHERE {own}"), "the text of `own.cedar` in policy set", true),
        (format!("DELETE FROM cas WHERE {lists}"), "is missing", true),
        (replace("own.cedar", "own-cedar\":\"0\",\"x", lists), "the list of the sources", true),
        (replace("own.cedar", "baseline/permits/roles.cedar", lists), "the list of the sources", true),
    ];
    for (sql, named, by_ann) in attacks {
        let db = world.dir().join("keeper.db");
        let whole = std::fs::read(&db).unwrap();
        assert!(world.tamper(&sql) > 0, "{sql}");
        let told = replayed(&world);
        assert!(!told.ok && told.failures.iter().any(|failure| failure.contains(named)), "{sql}: {told:?}");
        let whose = if by_ann { id } else { ben["id"].as_str().unwrap() };
        assert!(told.failures.iter().any(|failure| failure.contains(whose)), "{sql}: {told:?}");
        let replayed = shown(&world, id).unwrap();
        assert_eq!(replayed.outcome == Outcome::Same, !by_ann, "{sql}: {replayed:?}");
        let missing = named.contains("missing") || (sql.starts_with("DELETE") && by_ann);
        assert_eq!(replayed.outcome == Outcome::Missing, missing, "{sql}: {replayed:?}");
        std::fs::write(&db, whole).unwrap();
        for rest in ["keeper.db-wal", "keeper.db-shm"] {
            let _ = std::fs::remove_file(world.dir().join(rest));
        }
    }
    assert!(replayed(&world).ok);
}

#[test]
fn every_decision_of_a_commit_has_an_entry_that_replays() {
    let world = lab();
    let keeper = world.open();
    let wanda = Client::new(&keeper, &world, Some("wanda"));
    let before = decided(&world).len();
    // The first move of an alias is decided where it comes to, the next one also where it leaves.
    let put = || Put { alias: Some(name("live")), ..Put::new("lab/internal").class(Class::Internal) };
    wanda.put(&put()).unwrap();
    wanda.put(&put()).unwrap();
    let acts: Vec<String> =
        decided(&world)[before..].iter().map(|item| item.entry["act"].as_str().unwrap().into()).collect();
    let of = |act: &str| acts.iter().filter(|known| *known == act).count();
    assert_eq!(of("version.commit"), 2, "{acts:?}");
    assert!(of("version.alias") >= 2, "{acts:?}");
    drop(wanda);
    keeper.close().unwrap();
    let told = replayed(&world);
    assert!(told.ok && told.same as usize == decided(&world).len(), "{told:?}");
    // Its inputs are committed to like any other's.
    let aliased = decided(&world).into_iter().rfind(|item| item.entry["act"] == "version.alias").unwrap();
    let slice = aliased.entry["decision"]["slice"].as_str().unwrap().to_owned();
    assert_eq!(world.tamper(&format!("DELETE FROM cas WHERE hash = X'{slice}'")), 1);
    let told = replayed(&world);
    assert!(!told.ok && told.failures.len() == 1 && told.failures[0].contains("version.alias"), "{told:?}");
}
