//! Who may and who did: answered like asking each, as of any time, and refused to whom it is not for.

use super::decisions::{principal, staff};
use crate::world::{Client, Put, World, code, name};
use api::terms::{Action, Class, Code, DecisionId, Environment, Mode, PrincipalKind, Timestamp};
use api::wire::{
    AliasSet, Answer, Command, DecisionTold, Deed, DeedOutcome, Explain, GrantSpec, Outcome, PolicyApply, PrincipalAdd,
    Problem, Revocation, WhoCan, WhoCanPage, WhoDid,
};
use keeper::Presence;
use std::collections::{BTreeMap, BTreeSet};

fn ask(action: Action, reference: Option<&str>) -> WhoCan {
    let reference = reference.map(str::to_owned);
    WhoCan { action, reference, environment: None, as_of: None, after: None, limit: 1_000 }
}

fn who_can(client: &Client<'_>, ask: WhoCan) -> Result<WhoCanPage, Problem> {
    match client.call(Command::WhoCan(ask))? {
        Answer::WhoCan(page) => Ok(*page),
        other => panic!("{other:?}"),
    }
}

fn names(page: &WhoCanPage) -> Vec<&str> {
    page.items.iter().map(|holder| holder.principal.as_str()).collect()
}

fn who_did(client: &Client<'_>, reference: &str) -> Result<Vec<Deed>, Problem> {
    let ask = WhoDid { reference: reference.into(), since: None, until: None, after: None, limit: 1_000 };
    match client.call(Command::WhoDid(ask))? {
        Answer::WhoDid { items, .. } => Ok(items),
        other => panic!("{other:?}"),
    }
}

fn decision(client: &Client<'_>, decision: DecisionId) -> Result<DecisionTold, Problem> {
    match client.call(Command::DecisionShow { decision })? {
        Answer::Decision(told) => Ok(*told),
        other => panic!("{other:?}"),
    }
}

fn change(owner: &Client<'_>, add: PrincipalAdd) {
    owner.call(Command::PrincipalAdd(PrincipalAdd { change: true, ..add })).unwrap();
}

#[test]
fn who_may_is_told_with_what_lets_them_and_what_is_asked_first() {
    let world = staff(World::new(Mode::Rehearsal));
    let keeper = world.open();
    let owner = Client::new(&keeper, &world, None);
    let until = Timestamp::from_millis(world.clock.millis() + 60_000);
    let mut guest = principal("guest", Class::Confidential, &[("lab", "writer")]);
    guest.grants[0].until = Some(until);
    owner.call(Command::PrincipalAdd(guest)).unwrap();
    let service = PrincipalAdd {
        kind: Some(PrincipalKind::Service),
        ..principal("robot", Class::Confidential, &[("vault", "reader")])
    };
    owner.call(Command::PrincipalAdd(service)).unwrap();
    let page = who_can(&owner, ask(Action::Read, Some("lab/net"))).unwrap();
    assert_eq!(names(&page), ["guest", "rick", "robot", "wanda"]);
    assert_eq!(
        (page.about.as_str(), page.class, page.environment),
        ("lab/net@v1", Some(Class::Confidential), Some(Environment::Dev))
    );
    assert_eq!((page.principals, page.next.as_deref()), (10, None));
    let [guest, rick, robot, _] = &page.items[..] else { panic!() };
    assert_eq!(guest.conditions, ["presence"], "people prove to be there");
    assert!(robot.conditions.is_empty(), "services are asked for nothing");
    let path = |at: &api::wire::Holder| {
        at.path.iter().map(|g| (g.policy.clone(), g.role.clone(), g.workspace.clone(), g.until)).collect::<Vec<_>>()
    };
    let by = |role: &str, place: &str, until| {
        vec![("reader-read".to_owned(), Some(role.to_owned()), Some(place.to_owned()), until)]
    };
    assert_eq!(path(guest), by("writer", "lab", Some(until)));
    assert_eq!(path(rick), by("reader", "lab", None));
    assert_eq!(path(robot), by("reader", "vault", None));
    // From another place confidential data wants an approval to leave memory.
    let page = who_can(&owner, ask(Action::Export, Some("lab/net"))).unwrap();
    let robot = page.items.iter().find(|holder| holder.principal == "robot").unwrap();
    assert_eq!(robot.conditions, ["approval:confidential-export"]);
    world.clock.advance(61_000);
    assert_eq!(names(&who_can(&owner, ask(Action::Read, Some("lab/net"))).unwrap()), ["rick", "robot", "wanda"]);
    // In prod the vault's key file keeps everybody from it.
    let prod = WhoCan { environment: Some(Environment::Prod), ..ask(Action::Write, Some("lab/net")) };
    assert_eq!(names(&who_can(&owner, prod).unwrap()), [""; 0]);
    assert_eq!(names(&who_can(&owner, ask(Action::Audit, None)).unwrap()), ["aud"]);
    assert_eq!(names(&who_can(&owner, ask(Action::ManagePrincipals, Some("vault"))).unwrap()), ["olivia"]);
    assert_eq!(names(&who_can(&owner, ask(Action::RotateKeys, Some("lab"))).unwrap()), ["cus"]);
    for (action, reference) in [
        (Action::Read, None),
        (Action::Read, Some("lab")),
        (Action::Collect, Some("lab")),
        (Action::Audit, Some("lab/net")),
        (Action::Write, Some("lab/net@v1")),
    ] {
        assert_eq!(code(who_can(&owner, ask(action, reference))), Code::BadRequest, "{action} {reference:?}");
    }
    assert_eq!(code(who_can(&owner, ask(Action::Read, Some("lab/net@v9")))), Code::NotFound);
    // Page by page it is the same.
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let page =
            who_can(&owner, WhoCan { after: after.clone(), limit: 2, ..ask(Action::List, Some("lab")) }).unwrap();
        paged.extend(page.items);
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(paged, who_can(&owner, ask(Action::List, Some("lab"))).unwrap().items);
    assert!(paged.len() > 4);
}

/// People of every kind that the rules tell apart.
fn crowd(owner: &Client<'_>, world: &World) -> Vec<String> {
    let roles = ["reader", "writer", "steward", "custodian", "policy-author", "auditor", "owner"];
    let soon = Timestamp::from_millis(world.clock.millis() + 1);
    let mut names = Vec::new();
    for n in 0..60_usize {
        let who = format!("p{n:02}");
        let place = ["lab", "yard", "vault"][n % 3];
        let mut add = principal(&who, Class::ALL[n % 4], &[(place, roles[n % 7])]);
        add.kind = Some(PrincipalKind::ALL[n % PrincipalKind::ALL.len()]);
        if n % 11 == 0 {
            add.grants.clear();
        }
        if n % 9 == 0 {
            add.grants.push(GrantSpec { workspace: name("lab"), role: "reader".into(), until: Some(soon) });
        }
        add.suspended = Some(n % 13 == 0);
        match owner.call(Command::PrincipalAdd(add)) {
            Ok(_) => names.push(who),
            // Duties that must be apart.
            Err(problem) => assert_eq!(problem.code, Code::Conflict, "{problem:?}"),
        }
    }
    world.clock.advance(10);
    names
}

#[test]
fn asking_once_for_those_alike_answers_like_asking_each() {
    let world = staff(World::new(Mode::Rehearsal));
    let keeper = world.open();
    let owner = Client::new(&keeper, &world, None);
    let mut people = crowd(&owner, &world);
    people.extend(["olivia", "wanda", "alice", "rick", "mallory", "aud", "cus", "pol"].map(str::to_owned));
    // A policy that names one person: nobody is like them.
    let p00 = Client::new(&keeper, &world, Some("rick")).session.principal();
    let text = format!(
        "@id(\"not-rick\") @reason(\"not him\") @owner(\"t\") forbid (principal == User::\"{p00}\", action == Action::\"read\", resource is Artifact);"
    );
    let pol = Client::new(&keeper, &world, Some("pol"));
    let sources = BTreeMap::from([("own.cedar".to_owned(), text)]);
    pol.call(Command::PolicyApply(PolicyApply { sources, base: None })).unwrap();
    let mut asker = Client::new(&keeper, &world, None);
    asker.session = asker.session.clone().with_presence(Presence::None);
    let mut denied = 0;
    for (action, reference) in [
        (Action::List, Some("lab/net@v1")),
        (Action::Read, Some("lab/net@v1")),
        (Action::Export, Some("lab/net@v1")),
        (Action::Alias, Some("lab/net@v1")),
        (Action::Write, Some("lab/net")),
        (Action::List, Some("lab")),
        (Action::RotateKeys, Some("lab")),
        (Action::Audit, None),
        (Action::Collect, None),
        (Action::ManagePolicy, None),
        (Action::List, None),
        (Action::Review, Some("lab/net@v1")),
    ] {
        let page = who_can(&asker, ask(action, reference)).unwrap();
        assert!(page.questions < page.principals, "{action}: {} of {}", page.questions, page.principals);
        let free: BTreeSet<&str> = page
            .items
            .iter()
            .filter(|holder| holder.conditions.is_empty())
            .map(|holder| holder.principal.as_str())
            .collect();
        for who in &people {
            let question =
                Explain { principal: Some(name(who)), reference: reference.map(str::to_owned), ..Explain::of(action) };
            let allowed = match asker.call(Command::Explain(question)) {
                Ok(Answer::Explained(answer)) => answer.allowed,
                other => panic!("{who} {action} {reference:?}: {other:?}"),
            };
            assert_eq!(free.contains(who.as_str()), allowed, "{who} {action} {reference:?}");
            denied += usize::from(!allowed);
        }
        for holder in &page.items {
            assert!(!holder.path.is_empty(), "{action}: {holder:?}");
        }
    }
    assert!(denied > 100, "{denied}");
    let read = who_can(&asker, ask(Action::Read, Some("lab/net@v1"))).unwrap();
    assert!(!names(&read).contains(&"rick") && names(&read).contains(&"wanda"));
}

#[test]
fn who_might_at_a_time_is_told_by_the_roles_and_rules_of_that_time() {
    let world = staff(World::new(Mode::Rehearsal));
    let keeper = world.open();
    let owner = Client::new(&keeper, &world, None);
    let stamp = || {
        world.clock.advance(1_000);
        let at = Timestamp::from_millis(world.clock.millis());
        world.clock.advance(1_000);
        at
    };
    let readers = |at: Option<Timestamp>, reference: &str| {
        let page = who_can(&owner, WhoCan { as_of: at, ..ask(Action::Read, Some(reference)) });
        page.map(|page| page.items.into_iter().map(|holder| holder.principal).collect::<Vec<_>>())
    };
    let first = stamp();
    change(&owner, PrincipalAdd { clearance: Some(Class::Public), ..only("rick") });
    change(&owner, PrincipalAdd { clearance: Some(Class::Confidential), ..only("alice") });
    let second = stamp();
    change(&owner, PrincipalAdd { revoke: vec![Revocation { workspace: name("lab"), role: None }], ..only("wanda") });
    change(&owner, PrincipalAdd { suspended: Some(true), ..only("alice") });
    let third = stamp();
    let pol = Client::new(&keeper, &world, Some("pol"));
    let text = "@id(\"none\") @reason(\"nobody\") @owner(\"t\") forbid (principal, action == Action::\"read\", resource is Artifact);";
    let sources = BTreeMap::from([("own.cedar".to_owned(), text.to_owned())]);
    change(&owner, PrincipalAdd { clearance: Some(Class::Confidential), ..only("rick") });
    let fourth = stamp();
    pol.call(Command::PolicyApply(PolicyApply { sources, base: None })).unwrap();
    assert_eq!(readers(None, "lab/net").unwrap(), [""; 0]);
    assert_eq!(readers(Some(fourth), "lab/net").unwrap(), ["rick"]);
    assert_eq!(readers(Some(third), "lab/net").unwrap(), [""; 0]);
    assert_eq!(readers(Some(second), "lab/net").unwrap(), ["alice", "wanda"]);
    assert_eq!(readers(Some(first), "lab/net").unwrap(), ["rick", "wanda"]);
    let long_ago = Timestamp::from_millis(1);
    assert_eq!(code(readers(Some(long_ago), "lab/net")), Code::BadRequest);
    let ahead = Timestamp::from_millis(world.clock.millis() + 60_000);
    assert_eq!(code(readers(Some(ahead), "lab/net")), Code::BadRequest);
    // The same after the log moved into files.
    let aud = Client::new(&keeper, &world, Some("aud"));
    (0..300).for_each(|_| drop(aud.release(Action::List, "lab/net")));
    aud.call(Command::AuditVerify).unwrap();
    assert_eq!(readers(Some(second), "lab/net").unwrap(), ["alice", "wanda"]);
}

/// A change of nobody's anything.
fn only(who: &str) -> PrincipalAdd {
    PrincipalAdd {
        name: name(who),
        kind: None,
        clearance: None,
        grants: Vec::new(),
        revoke: Vec::new(),
        suspended: None,
        change: true,
    }
}

#[test]
fn a_reference_at_a_time_is_the_version_of_that_time() {
    let world = staff(World::new(Mode::Rehearsal));
    let keeper = world.open();
    let (owner, wanda) = (Client::new(&keeper, &world, None), Client::new(&keeper, &world, Some("wanda")));
    let stamp = || {
        world.clock.advance(1_000);
        let at = Timestamp::from_millis(world.clock.millis());
        world.clock.advance(1_000);
        at
    };
    let about = |at: Timestamp, reference: &str| {
        who_can(&owner, WhoCan { as_of: Some(at), ..ask(Action::Read, Some(reference)) }).map(|page| page.about)
    };
    let first = stamp();
    wanda.put(&Put { alias: Some(name("live")), ..Put::new("lab/net").class(Class::Confidential) }).unwrap();
    let second = stamp();
    wanda
        .call(Command::AliasSet(AliasSet { reference: "lab/net@v1".into(), alias: name("live"), expect: None }))
        .unwrap();
    let third = stamp();
    assert_eq!(about(first, "lab/net").unwrap(), "lab/net@v1");
    assert_eq!(about(second, "lab/net").unwrap(), "lab/net@v2");
    assert_eq!(about(second, "lab/net@live").unwrap(), "lab/net@v2");
    assert_eq!(about(third, "lab/net@live").unwrap(), "lab/net@v1");
    for reference in ["lab/net@live", "lab/net@v2"] {
        assert_eq!(code(about(first, reference)), Code::NotFound, "{reference}");
    }
}

#[test]
fn what_was_kept_of_rights_is_held_to_the_log() {
    for sql in [
        "DELETE FROM cas WHERE ticket > 0 AND length(bytes) < 700",
        // Behind the salt.
        "UPDATE cas SET bytes = CAST(substr(bytes, 1, 16) || CAST(replace(CAST(substr(bytes, 17) AS TEXT), \
         '\"clearance\":\"internal\"', '\"clearance\":\"restricted\"') AS BLOB) AS BLOB) \
         WHERE instr(bytes, CAST('\"clearance\":\"internal\"' AS BLOB)) > 0",
        "UPDATE cas SET bytes = zeroblob(3) WHERE ticket > 0",
    ] {
        let world = staff(World::new(Mode::Rehearsal));
        let at = Timestamp::from_millis(world.clock.millis());
        world.clock.advance(1_000);
        assert!(world.tamper(sql) > 0, "{sql}");
        let keeper = world.open();
        let owner = Client::new(&keeper, &world, None);
        let then = WhoCan { as_of: Some(at), ..ask(Action::Read, Some("lab/net")) };
        assert_eq!(code(who_can(&owner, then)), Code::BadSignature, "{sql}");
        who_can(&owner, ask(Action::Read, Some("lab/net"))).unwrap();
    }
    for sql in [
        "UPDATE principal SET ticket = ticket + 1",
        "UPDATE role_grant SET principal = randomblob(16) WHERE workspace IS NOT NULL",
    ] {
        let world = staff(World::new(Mode::Rehearsal));
        let keeper = world.open();
        let owner = Client::new(&keeper, &world, None);
        assert!(world.tamper(sql) > 0, "{sql}");
        assert_eq!(code(who_can(&owner, ask(Action::Read, Some("lab/net")))), Code::BadSignature, "{sql}");
    }
}

#[test]
fn what_was_done_and_refused_is_told_to_whoever_audits_the_place() {
    let world = staff(World::new(Mode::Rehearsal));
    let keeper = world.open();
    let owner = Client::new(&keeper, &world, None);
    owner.call(Command::PrincipalAdd(principal("inspector", Class::Public, &[("lab", "auditor")]))).unwrap();
    let as_of = |who: &str| Client::new(&keeper, &world, Some(who));
    let (rick, alice, wanda, inspector) = (as_of("rick"), as_of("alice"), as_of("wanda"), as_of("inspector"));
    rick.release(Action::Read, "lab/net").unwrap();
    rick.release(Action::Export, "lab/net").unwrap();
    let refusal = alice.release(Action::Read, "lab/net").unwrap_err().refusal.unwrap();
    wanda.put(&Put::new("lab/net").class(Class::Confidential)).unwrap();
    wanda
        .call(Command::AliasSet(AliasSet { reference: "lab/net@v1".into(), alias: name("live"), expect: None }))
        .unwrap();
    let moved = AliasSet { reference: "lab/net@v2".into(), alias: name("live"), expect: None };
    assert_eq!(code(rick.call(Command::AliasSet(moved))), Code::Denied);
    let deeds = who_did(&inspector, "lab/net").unwrap();
    let told: Vec<_> = deeds
        .iter()
        .map(|deed| {
            (
                deed.principal.as_deref().unwrap(),
                deed.act.as_str(),
                deed.outcome,
                deed.version.as_deref(),
                deed.alias.as_deref(),
            )
        })
        .collect();
    let (done, denied) = (DeedOutcome::Done, DeedOutcome::Denied);
    let (v1, v2) = (Some("lab/net@v1"), Some("lab/net@v2"));
    assert_eq!(
        told,
        [
            ("rick", "alias.set", denied, v2, Some("live")),
            ("wanda", "alias.set", done, v1, Some("live")),
            ("wanda", "version.commit", done, v2, None),
            ("wanda", "version.begin", done, v2, None),
            ("alice", "release.read", denied, v1, None),
            ("rick", "release.export", done, v1, None),
            ("rick", "release.read", done, v1, None),
            ("wanda", "version.commit", done, v1, None),
            ("wanda", "version.begin", done, v1, None),
        ]
    );
    let denial = &deeds[4];
    assert_eq!((denial.decision, denial.policies.as_slice()), (refusal.decision, &["clearance".to_owned()][..]));
    let second = who_did(&inspector, "lab/net@v2").unwrap();
    assert!(second.len() == 3 && second.iter().all(|deed| deed.version.as_deref() == v2), "{second:?}");
    // Refusals that were counted are told with their number.
    (0..20).for_each(|_| drop(alice.release(Action::Read, "lab/net")));
    world.clock.advance(120_000);
    inspector.call(Command::AuditVerify).unwrap_err();
    as_of("aud").call(Command::AuditVerify).unwrap();
    let deeds = who_did(&inspector, "lab/net").unwrap();
    let refused: u64 =
        deeds.iter().filter(|d| d.act == "release.read" && d.outcome == denied).map(|deed| deed.count).sum();
    assert_eq!(refused, 21);
    // Neither those who work with the data nor those who do not see it.
    assert_eq!(code(who_did(&wanda, "lab/net")), Code::Denied);
    let why = |result: Result<Vec<Deed>, Problem>| result.unwrap_err().why.replace("none", "net");
    let mallory = as_of("mallory");
    assert_eq!(code(who_did(&mallory, "lab/net")), Code::NotFound);
    assert_eq!(why(who_did(&mallory, "lab/net")), why(who_did(&mallory, "lab/none")));
}

#[test]
fn who_may_is_not_for_everybody_to_know() {
    let world = staff(World::new(Mode::Rehearsal));
    let keeper = world.open();
    let owner = Client::new(&keeper, &world, None);
    owner.call(Command::PrincipalAdd(principal("stew", Class::Confidential, &[("lab", "steward")]))).unwrap();
    let may = |who: &str| who_can(&Client::new(&keeper, &world, Some(who)), ask(Action::Read, Some("lab/net")));
    for who in ["stew", "aud", "olivia"] {
        assert!(!may(who).unwrap().items.is_empty(), "{who}");
    }
    for who in ["wanda", "rick", "cus", "pol"] {
        assert_eq!(code(may(who)), Code::Denied, "{who}");
    }
    let mallory = Client::new(&keeper, &world, Some("mallory"));
    let why = |reference: &str| {
        let problem = who_can(&mallory, ask(Action::Read, Some(reference))).unwrap_err();
        (problem.code, problem.why.replace("none", "net"))
    };
    assert_eq!(why("lab/net@v1"), why("lab/none@v1"));
    assert_eq!(why("lab/net@v1").0, Code::NotFound);
    let solo = World::new(Mode::Solo);
    let keeper = solo.open();
    let alone = Client::new(&keeper, &solo, None);
    alone.put(&Put::new("lab/net").class(Class::Restricted)).unwrap();
    let page = who_can(&alone, ask(Action::Read, Some("lab/net"))).unwrap();
    assert_eq!((names(&page), page.items[0].conditions.as_slice()), (vec!["olivia"], &["confirmation".to_owned()][..]));
    assert!(!who_did(&alone, "lab/net").unwrap().is_empty());
}

#[test]
fn a_decision_is_explained_by_what_was_true_then() {
    let world = staff(World::new(Mode::Rehearsal));
    let keeper = world.open();
    let owner = Client::new(&keeper, &world, None);
    let alice = Client::new(&keeper, &world, Some("alice"));
    let id = alice.release(Action::Read, "lab/net").unwrap_err().refusal.unwrap().decision.unwrap();
    change(&owner, PrincipalAdd { clearance: Some(Class::Restricted), ..only("alice") });
    // One's own, and whoever audits the vault; nobody else.
    let told = decision(&alice, id).unwrap();
    assert!(!told.allowed && told.policies == ["clearance"] && told.act == "release.read", "{told:?}");
    assert_eq!((told.replayed.outcome, told.near_misses.len()), (Outcome::Same, 1));
    let facts = told.facts.clone().unwrap();
    assert_eq!((facts.clearance, facts.class, facts.own), (Class::Internal, Some(Class::Confidential), true));
    assert_eq!(facts.roles, ["member", "reader"]);
    assert_eq!(decision(&Client::new(&keeper, &world, Some("aud")), id).unwrap(), told);
    let rick = Client::new(&keeper, &world, Some("rick"));
    let missing = DecisionId::from_bytes([9; 16]);
    for other in [id, missing] {
        assert_eq!(code(decision(&rick, other)), Code::Denied);
    }
    assert_eq!(code(decision(&Client::new(&keeper, &world, Some("aud")), missing)), Code::NotFound);
    // What one could not see is not explained to oneself.
    let mallory = Client::new(&keeper, &world, Some("mallory"));
    drop(mallory.show("lab/net").unwrap_err());
    let aud = Client::new(&keeper, &world, Some("aud"));
    let hidden = super::decisions::entries(&aud, "metadata.list").pop().unwrap();
    let hidden: DecisionId = hidden.entry["decision"]["id"].as_str().unwrap().parse().unwrap();
    assert!(!decision(&aud, hidden).unwrap().facts.unwrap().own);
    assert_ne!(decision(&mallory, hidden).unwrap_err().code, Code::Internal);
    assert!(decision(&mallory, hidden).is_err());
    // What it rests on was altered.
    assert!(world.tamper("UPDATE cas SET bytes = zeroblob(3) WHERE ticket > 0") > 0);
    let broken = decision(&aud, id).unwrap();
    assert_eq!(broken.replayed.outcome, Outcome::Differs);
    assert!(broken.facts.is_none() && broken.near_misses.len() == 1, "{broken:?}");
    assert_eq!(code(decision(&alice, id)), Code::Denied, "nothing says that she could see it");
}
