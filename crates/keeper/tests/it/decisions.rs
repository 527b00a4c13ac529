//! Decisions: denied and logged, explained as they are made, taken away at once.

use crate::world::{Client, Put, World, code, name};
use api::terms::{Action, Class, Code, Mode, PrincipalKind};
use api::wire::{
    Answer, AuditFilter, AuditItem, Command, Explain, GrantSpec, PolicyApply, PrincipalAdd, Refusal, Revocation,
};
use keeper::Presence;
use std::collections::BTreeMap;

pub fn principal(who: &str, clearance: Class, grants: &[(&str, &str)]) -> PrincipalAdd {
    let grant =
        |(workspace, role): &(&str, &str)| GrantSpec { workspace: name(workspace), role: (*role).into(), until: None };
    PrincipalAdd {
        name: name(who),
        kind: Some(PrincipalKind::User),
        clearance: Some(clearance),
        grants: grants.iter().map(grant).collect(),
        revoke: Vec::new(),
        suspended: Some(false),
        change: false,
    }
}

pub fn entries(auditor: &Client<'_>, act: &str) -> Vec<AuditItem> {
    let filter = AuditFilter { act: Some(act.into()), limit: 1000, ..AuditFilter::default() };
    match auditor.call(Command::Audit(filter)).unwrap() {
        Answer::Audit(page) => page.items,
        other => panic!("{other:?}"),
    }
}

fn explain(client: &Client<'_>, who: Option<&str>, action: Action, reference: &str) -> Refusal {
    let ask = Explain { principal: who.map(name), reference: Some(reference.into()), ..Explain::of(action) };
    match client.call(Command::Explain(ask)).unwrap() {
        Answer::Explained(refusal) => *refusal,
        other => panic!("{other:?}"),
    }
}

/// A rehearsal vault with one confidential artifact, and its people.
fn staffed() -> World {
    staff(World::new(Mode::Rehearsal))
}

pub fn staff(world: World) -> World {
    let keeper = world.open();
    let owner = Client::new(&keeper, &world, None);
    for add in [
        principal("wanda", Class::Confidential, &[("lab", "writer")]),
        principal("alice", Class::Internal, &[("lab", "reader")]),
        principal("rick", Class::Confidential, &[("lab", "reader")]),
        principal("mallory", Class::Restricted, &[("yard", "reader")]),
        principal("aud", Class::Public, &[("vault", "auditor")]),
        principal("cus", Class::Public, &[("vault", "custodian")]),
        principal("pol", Class::Public, &[("vault", "policy-author")]),
    ] {
        owner.call(Command::PrincipalAdd(add)).unwrap();
    }
    let wanda = Client::new(&keeper, &world, Some("wanda"));
    wanda.put(&Put::new("lab/net").class(Class::Confidential)).unwrap();
    drop(owner);
    drop(wanda);
    keeper.close().unwrap();
    world
}

#[test]
fn a_refusal_is_found_by_its_decision() {
    let world = staff(World::new(Mode::Rehearsal));
    let keeper = world.open();
    let aud = Client::new(&keeper, &world, Some("aud"));
    let show = |id: String| match aud.call(Command::AuditShow { entry: id }).unwrap() {
        Answer::Entry(item) => item.entry,
        other => panic!("{other:?}"),
    };
    // No reader of it; refused once, while it waits, in the tail, and from a full bundle.
    let olivia = Client::new(&keeper, &world, None);
    let refusal = olivia.release(Action::Read, "lab/net").unwrap_err().refusal.unwrap();
    let decision = refusal.decision.unwrap().to_string();
    let waiting = show(decision.clone());
    assert_eq!((&waiting["kind"], &waiting["decision"]["id"]), (&"denial".into(), &decision.clone().into()));
    let rick = Client::new(&keeper, &world, Some("rick"));
    for _ in 0..300 {
        rick.release(Action::Read, "lab/net").unwrap();
    }
    aud.call(Command::AuditVerify).unwrap();
    assert_eq!(show(decision), waiting);
    assert_eq!(code(aud.call(Command::AuditShow { entry: "7".repeat(32) })), Code::NotFound);
}

#[test]
fn a_reader_without_clearance_is_refused_with_reasons_and_the_log_says_so() {
    let world = staffed();
    let keeper = world.open();
    let (alice, aud) = (Client::new(&keeper, &world, Some("alice")), Client::new(&keeper, &world, Some("aud")));
    let before = entries(&aud, "release.read").len();
    let problem = alice.release(Action::Read, "lab/net").unwrap_err();
    assert_eq!(problem.code, Code::Denied);
    let refusal = problem.refusal.unwrap();
    assert!(!refusal.allowed && !refusal.policies.is_empty() && !refusal.near_misses.is_empty());
    assert!(refusal.try_.is_some());
    let logged = entries(&aud, "release.read");
    assert_eq!(logged.len(), before + 1);
    let entry = &logged.last().unwrap().entry;
    assert_eq!(entry["kind"], "denial");
    assert_eq!(entry["decision"]["id"], refusal.decision.unwrap().to_string());
    assert_eq!(entry["decision"]["effect"], "deny");
    assert_eq!(logged.last().unwrap().principal.as_deref(), Some("alice"));
}

#[test]
fn what_is_not_visible_is_not_found() {
    let world = staffed();
    let keeper = world.open();
    let mallory = Client::new(&keeper, &world, Some("mallory"));
    assert_eq!(code(mallory.show("lab/net")), Code::NotFound);
    assert_eq!(code(mallory.release(Action::Read, "lab/net")), Code::NotFound);
    assert_eq!(code(mallory.release(Action::Read, "lab/ghost")), Code::NotFound);
    let hidden = mallory.show("lab/net").unwrap_err();
    assert!(hidden.refusal.is_none(), "{hidden:?}");
}

#[test]
fn explain_says_what_the_real_answer_says_and_acts_not_at_all() {
    let world = staffed();
    let keeper = world.open();
    let owner = Client::new(&keeper, &world, None);
    let aud = Client::new(&keeper, &world, Some("aud"));
    for who in ["wanda", "alice", "rick", "cus", "aud"] {
        let client = Client::new(&keeper, &world, Some(who));
        for action in [Action::List, Action::Read, Action::Export] {
            let before = entries(&aud, "release").len();
            let told = explain(&owner, Some(who), action, "lab/net");
            assert_eq!(entries(&aud, "release").len(), before, "explaining is not acting");
            assert_eq!(told.decision, None);
            match client.release(action, "lab/net") {
                Ok(_) => assert!(told.allowed, "{who} {action}"),
                Err(problem) => {
                    assert!(!told.allowed, "{who} {action}: {problem:?}");
                    if let Some(real) = problem.refusal {
                        assert_eq!(Refusal { decision: None, ..*real }, told, "{who} {action}");
                    }
                }
            }
        }
    }
    assert!(explain(&owner, Some("wanda"), Action::Write, "lab/new").allowed);
    assert!(!explain(&owner, Some("rick"), Action::Write, "lab/new").allowed);
    assert!(explain(&owner, Some("cus"), Action::RotateKeys, "lab").allowed);
}

#[test]
fn in_solo_others_are_asked_about_and_cannot_act() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let owner = Client::new(&keeper, &world, None);
    owner.put(&Put::new("lab/net")).unwrap();
    owner.put(&Put::new("lab/open").class(Class::Internal)).unwrap();
    owner.call(Command::PrincipalAdd(principal("alice", Class::Internal, &[("lab", "reader")]))).unwrap();
    let refused = explain(&owner, Some("alice"), Action::Read, "lab/net");
    assert!(!refused.allowed && !refused.near_misses.is_empty() && refused.try_.is_some());
    assert!(explain(&owner, Some("alice"), Action::Read, "lab/open").allowed);
    assert_eq!(code(keeper.session(Some(&name("alice")), [0; 32])), Code::BadRequest);
}

#[test]
fn each_right_is_its_own() {
    let world = staffed();
    let keeper = world.open();
    let as_ = |who| Client::new(&keeper, &world, Some(who));
    assert_eq!(code(as_("rick").put(&Put::new("lab/net"))), Code::Denied);
    let rotate = || Command::KeyRotate(Default::default());
    assert!(matches!(code(as_("wanda").call(rotate())), Code::Denied | Code::NotFound));
    as_("cus").call(rotate()).unwrap();
    assert_eq!(code(as_("cus").release(Action::Read, "lab/net")), code(as_("aud").release(Action::Read, "lab/net")));
    let audit = || Command::Audit(AuditFilter { limit: 1, ..AuditFilter::default() });
    assert!(as_("wanda").call(audit()).is_err());
    assert!(as_("pol").call(audit()).is_err());
    let policy = || Command::PolicyApply(PolicyApply { sources: BTreeMap::new(), base: None });
    assert!(as_("aud").call(policy()).is_err());
    as_("pol").call(policy()).unwrap();
    let add = || Command::PrincipalAdd(principal("eve", Class::Public, &[]));
    assert!(as_("wanda").call(add()).is_err());
    assert!(as_("wanda").call(Command::CollectMark { grace_secs: 0, dry: false }).is_err());
}

#[test]
fn presence_counts_in_rehearsal() {
    let world = staffed();
    let keeper = world.open();
    let rick = Client::new(&keeper, &world, Some("rick"));
    rick.release(Action::Read, "lab/net").unwrap();
    let absent = Client { session: rick.session.clone().with_presence(Presence::None), ..rick };
    assert!(absent.release(Action::Read, "lab/net").is_err());
}

#[test]
fn a_revocation_refuses_the_next_release_in_this_and_other_processes() {
    let world = staffed();
    let (keeper, other) = (world.open(), world.open());
    let owner = Client::new(&keeper, &world, None);
    let (here, there) = (Client::new(&keeper, &world, Some("rick")), Client::new(&other, &world, Some("rick")));
    here.release(Action::Read, "lab/net").unwrap();
    there.release(Action::Read, "lab/net").unwrap();
    let suspend = PrincipalAdd {
        suspended: Some(true),
        change: true,
        ..principal("rick", Class::Confidential, &[("lab", "reader")])
    };
    owner.call(Command::PrincipalAdd(suspend)).unwrap();
    for client in [&here, &there] {
        let code = code(client.release(Action::Read, "lab/net"));
        assert!(matches!(code, Code::Denied | Code::NotFound | Code::Gone), "{code:?}");
    }
    let back = PrincipalAdd { change: true, ..principal("rick", Class::Internal, &[("lab", "reader")]) };
    owner.call(Command::PrincipalAdd(back)).unwrap();
    assert_eq!(code(there.release(Action::Read, "lab/net")), Code::Denied);
    let clear = PrincipalAdd { change: true, ..principal("rick", Class::Confidential, &[("lab", "reader")]) };
    owner.call(Command::PrincipalAdd(clear)).unwrap();
    there.release(Action::Read, "lab/net").unwrap();
}

#[test]
fn no_release_has_a_ticket_after_the_revocation_that_forbids_it() {
    revoke_under_load(&staffed());
}

pub fn revoke_under_load(world: &World) {
    let keeper = world.open();
    let owner = Client::new(&keeper, world, None);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let rick = Client::new(&keeper, world, Some("rick"));
                while rick.release(Action::Read, "lab/net").is_ok() {}
            });
        }
        let suspend = PrincipalAdd {
            suspended: Some(true),
            change: true,
            ..principal("rick", Class::Confidential, &[("lab", "reader")])
        };
        std::thread::yield_now();
        owner.call(Command::PrincipalAdd(suspend)).unwrap();
    });
    let aud = Client::new(&keeper, world, Some("aud"));
    let ticket = |item: &AuditItem| item.entry["ticket"].as_u64().unwrap();
    let revoked = entries(&aud, "principal.change").iter().map(ticket).max().unwrap();
    let released: Vec<AuditItem> = entries(&aud, "release.read");
    let allowed = released.iter().filter(|item| item.entry["decision"]["effect"] == "allow");
    assert!(allowed.map(ticket).all(|ticket| ticket < revoked));
    assert!(released.iter().any(|item| item.entry["decision"]["effect"] == "deny"));
}

#[test]
fn a_grant_ends_when_it_ends() {
    let world = staffed();
    let keeper = world.open();
    let owner = Client::new(&keeper, &world, None);
    let until = api::terms::Timestamp::from_millis(world.clock.millis() + 1000);
    let mut add = principal("temp", Class::Confidential, &[("lab", "reader")]);
    add.grants[0].until = Some(until);
    owner.call(Command::PrincipalAdd(add)).unwrap();
    let temp = Client::new(&keeper, &world, Some("temp"));
    temp.release(Action::Read, "lab/net").unwrap();
    world.clock.advance(1001);
    assert!(temp.release(Action::Read, "lab/net").is_err());
}

#[test]
fn principals_are_checked_listed_and_kept_apart() {
    let world = staffed();
    let keeper = world.open();
    let owner = Client::new(&keeper, &world, None);
    let add = |add: PrincipalAdd| owner.call(Command::PrincipalAdd(add));
    assert_eq!(code(add(principal("rick", Class::Public, &[]))), Code::Conflict);
    assert_eq!(code(add(principal("x", Class::Public, &[("lab", "emperor")]))), Code::BadRequest);
    let ghost = PrincipalAdd { change: true, ..principal("ghost", Class::Public, &[]) };
    assert_eq!(code(add(ghost)), Code::NotFound);
    let owns = || Revocation { workspace: name("vault"), role: None };
    let orphan = PrincipalAdd { change: true, revoke: vec![owns()], ..principal("olivia", Class::Restricted, &[]) };
    assert_eq!(code(add(orphan)), Code::Conflict);
    let ends = Some(api::terms::Timestamp::from_millis(world.clock.millis() + 1000));
    let mut ends = PrincipalAdd {
        grants: vec![GrantSpec { workspace: name("vault"), role: "owner".into(), until: ends }],
        change: true,
        ..principal("olivia", Class::Restricted, &[])
    };
    assert_eq!(code(add(ends.clone())), Code::Conflict);
    ends = PrincipalAdd { grants: Vec::new(), suspended: Some(true), ..ends };
    assert_eq!(code(add(ends)), Code::Conflict);
    let both = principal("both", Class::Public, &[("vault", "custodian"), ("lab", "reader")]);
    assert_eq!(code(add(both)), Code::Conflict);
    let Answer::Principals { items } = owner.call(Command::PrincipalList).unwrap() else { panic!() };
    let names: Vec<&str> = items.iter().map(|item| item.name.as_str()).collect();
    assert!(names.is_sorted());
    let wanda = items.iter().find(|item| item.name == "wanda").unwrap();
    assert_eq!((wanda.clearance, wanda.grants[0].role.as_str()), (Class::Confidential, "writer"));
    // Names do not stand in the database in the clear.
    drop(owner);
    keeper.close().unwrap();
    for file in ["keeper.db", "keeper.db-wal"] {
        let bytes = std::fs::read(world.dir().join(file)).unwrap_or_default();
        assert!(!bytes.windows(5).any(|window| window == b"wanda"), "{file}");
    }
}

#[test]
fn a_policy_change_is_checked_logged_and_in_force_at_once() {
    let world = staffed();
    let (keeper, other) = (world.open(), world.open());
    let pol = Client::new(&keeper, &world, Some("pol"));
    let rick = Client::new(&other, &world, Some("rick"));
    rick.release(Action::Read, "lab/net").unwrap();
    let shown = |client: &Client<'_>| match client.call(Command::PolicyShow).unwrap() {
        Answer::Policy(shown) => shown,
        other => panic!("{other:?}"),
    };
    let base = shown(&pol).hash;
    let freeze = "@id(\"freeze\") @reason(\"nothing leaves today\") @owner(\"pol\") \
                  forbid (principal, action == Action::\"read\", resource is Artifact);";
    let apply = |sources: &[(&str, &str)], base: Option<&str>| {
        let sources = sources.iter().map(|(n, t)| ((*n).to_owned(), (*t).to_owned())).collect();
        pol.call(Command::PolicyApply(PolicyApply { sources, base: base.map(str::to_owned) }))
    };
    assert_eq!(code(apply(&[("a.cedar", "permit (principal, act")], None)), Code::BadRequest);
    assert_eq!(code(apply(&[("baseline/x.cedar", freeze)], None)), Code::BadRequest);
    assert_eq!(code(apply(&[("own.cedar", freeze)], Some(&"0".repeat(64)))), Code::Conflict);
    let Answer::PolicyApplied(applied) = apply(&[("own.cedar", freeze)], Some(&base)).unwrap() else { panic!() };
    assert!(applied.receipt.log_index.is_some());
    let refused = rick.release(Action::Read, "lab/net").unwrap_err();
    assert_eq!((refused.code, refused.why.as_str()), (Code::Denied, "nothing leaves today"));
    assert_eq!(code(apply(&[], Some(&base))), Code::Conflict);
    apply(&[], Some(&applied.hash)).unwrap();
    rick.release(Action::Read, "lab/net").unwrap();
    assert_eq!(shown(&pol).hash, base);
    // A set that was removed row by row behind the keeper's back is missed.
    apply(&[("own.cedar", freeze)], None).unwrap();
    world.tamper("DELETE FROM policy_source");
    assert_eq!(code(keeper::Keeper::open(&world.options())), Code::BadSignature);
}
