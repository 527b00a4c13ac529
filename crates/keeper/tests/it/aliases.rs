//! Aliases move under a right of their own, on purpose and in the log; whoever asks is told who they are.

use super::decisions::{entries, principal, staff};
use crate::world::{Client, Put, World, code, name};
use api::terms::{Action, Class, Code, Environment, Mode, Timestamp};
use api::wire::{
    AliasItem, AliasMove, AliasMoved, AliasPast, AliasRemove, AliasSet, Answer, Command, GrantSpec, PresenceTold,
    Problem, WhoAmI,
};
use keeper::Presence;

fn set(client: &Client<'_>, reference: &str, alias: &str, expect: Option<u64>) -> Result<AliasMoved, Problem> {
    let set = AliasSet { reference: reference.into(), alias: name(alias), expect };
    match client.call(Command::AliasSet(set))? {
        Answer::AliasMoved(moved) => Ok(*moved),
        other => panic!("{other:?}"),
    }
}

fn remove(client: &Client<'_>, artifact: &str, alias: &str, expect: Option<u64>) -> Result<AliasMoved, Problem> {
    let remove = AliasRemove { reference: artifact.into(), alias: name(alias), expect };
    match client.call(Command::AliasRemove(remove))? {
        Answer::AliasMoved(moved) => Ok(*moved),
        other => panic!("{other:?}"),
    }
}

fn list(client: &Client<'_>, artifact: &str) -> Result<Vec<AliasItem>, Problem> {
    match client.call(Command::AliasList { reference: artifact.into() })? {
        Answer::Aliases { items } => Ok(items),
        other => panic!("{other:?}"),
    }
}

fn past(
    client: &Client<'_>,
    alias: &str,
    after: Option<u64>,
    limit: u32,
) -> Result<(Vec<AliasMove>, Option<u64>), Problem> {
    let past = AliasPast { reference: "lab/net".into(), alias: name(alias), after, limit };
    match client.call(Command::AliasHistory(past))? {
        Answer::AliasMoves { items, next } => Ok((items, next)),
        other => panic!("{other:?}"),
    }
}

fn whoami(client: &Client<'_>) -> WhoAmI {
    match client.call(Command::WhoAmI).unwrap() {
        Answer::WhoAmI(told) => *told,
        other => panic!("{other:?}"),
    }
}

/// `lab/net` with three versions in dev, of which the first is `live`.
fn three() -> World {
    let world = staff(World::new(Mode::Rehearsal));
    let keeper = world.open();
    let wanda = Client::new(&keeper, &world, Some("wanda"));
    wanda.put(&Put { alias: Some(name("live")), ..Put::new("lab/net").class(Class::Confidential) }).unwrap();
    wanda.put(&Put::new("lab/net").class(Class::Confidential)).unwrap();
    drop(wanda);
    keeper.close().unwrap();
    world
}

#[test]
fn an_alias_moves_back_and_its_past_is_in_the_log() {
    let world = three();
    let keeper = world.open();
    let wanda = Client::new(&keeper, &world, Some("wanda"));
    let rick = Client::new(&keeper, &world, Some("rick"));
    let released = |reference: &str| rick.release(Action::Read, reference).unwrap().0.version.number;
    assert_eq!(released("lab/net@live"), 2);
    let moved = set(&wanda, "lab/net@v3", "live", None).unwrap();
    let receipt = moved.receipt.clone().unwrap();
    assert_eq!(
        (moved.version.as_deref(), moved.before.as_deref(), moved.changed),
        (Some("lab/net@v3"), Some("lab/net@v2"), true)
    );
    assert!(receipt.log_index.is_some());
    // What is in memory under the alias is old.
    assert_eq!(released("lab/net@live"), 3);
    set(&wanda, "lab/net@v1", "live", None).unwrap();
    assert_eq!(released("lab/net@live"), 1);
    assert_eq!(list(&rick, "lab/net").unwrap().iter().map(|item| item.number).collect::<Vec<_>>(), [1]);
    remove(&wanda, "lab/net", "live", None).unwrap();
    assert_eq!(code(rick.show("lab/net@live")), Code::NotFound);
    assert_eq!(list(&rick, "lab/net").unwrap(), []);
    let (moves, next) = past(&rick, "live", None, 10).unwrap();
    let told: Vec<_> = moves.iter().map(|m| (m.act.as_str(), m.before.as_deref(), m.version.as_deref())).collect();
    assert_eq!(
        told,
        [
            ("alias.remove", Some("lab/net@v1"), None),
            ("alias.set", Some("lab/net@v3"), Some("lab/net@v1")),
            ("alias.set", Some("lab/net@v2"), Some("lab/net@v3")),
            ("version.commit", None, Some("lab/net@v2")),
        ]
    );
    assert_eq!(next, None);
    assert!(moves.iter().all(|m| m.principal.as_deref() == Some("wanda") && m.decision.is_some()));
    assert_eq!(moves[2].log_index, receipt.log_index);
    assert_eq!(moves[2].entry, receipt.entry);
    // Page by page it is the same.
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let (items, next) = past(&rick, "live", after, 1).unwrap();
        paged.extend(items);
        match next {
            Some(_) => after = next,
            None => break,
        }
    }
    assert_eq!(paged, moves);
    assert_eq!(code(past(&rick, "never", None, 10)), Code::NotFound);
    // Both decisions of a move have an entry, and come out again as they were.
    let aud = Client::new(&keeper, &world, Some("aud"));
    assert_eq!(entries(&aud, "alias.leave").len(), 2);
    match aud.call(Command::DecisionsReplay).unwrap() {
        Answer::DecisionsReplayed(replayed) => assert!(replayed.ok, "{replayed:?}"),
        other => panic!("{other:?}"),
    }
    match aud.call(Command::StateVerify).unwrap() {
        Answer::StateVerified(state) => assert!(state.ok, "{state:?}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_move_said_again_is_done_already_and_one_from_elsewhere_is_a_conflict() {
    let world = three();
    let keeper = world.open();
    let wanda = Client::new(&keeper, &world, Some("wanda"));
    assert_eq!(code(set(&wanda, "lab/net@v3", "live", Some(1))), Code::Conflict);
    assert_eq!(code(set(&wanda, "lab/net@v3", "live", Some(0))), Code::Conflict);
    assert_eq!(code(set(&wanda, "lab/net@v3", "new", Some(1))), Code::Conflict);
    let conflict = remove(&wanda, "lab/net", "live", Some(3)).unwrap_err();
    assert_eq!(conflict.code, Code::Conflict);
    assert!(conflict.why.contains("v2") && conflict.why.contains("v3"), "{conflict:?}");
    assert_eq!(wanda.show("lab/net@live").unwrap().number, 2, "a conflict moves nothing");
    set(&wanda, "lab/net@v3", "live", Some(2)).unwrap();
    set(&wanda, "lab/net@v3", "new", Some(0)).unwrap();
    let aud = Client::new(&keeper, &world, Some("aud"));
    let before = entries(&aud, "alias").len();
    for expect in [None, Some(2), Some(3)] {
        let again = set(&wanda, "lab/net@v3", "live", expect).unwrap();
        assert_eq!((again.changed, again.receipt), (false, None));
    }
    assert_eq!(entries(&aud, "alias").len(), before, "nothing happened, so nothing is logged");
    remove(&wanda, "lab/net", "live", Some(3)).unwrap();
    assert_eq!(code(remove(&wanda, "lab/net", "live", None)), Code::NotFound);
    for wrong in ["latest", "v3"] {
        assert_eq!(code(set(&wanda, "lab/net@v1", wrong, None)), Code::BadRequest, "{wrong}");
        assert_eq!(code(remove(&wanda, "lab/net", wrong, None)), Code::BadRequest, "{wrong}");
        assert_eq!(code(past(&wanda, wrong, None, 1)), Code::BadRequest, "{wrong}");
    }
    assert_eq!(code(set(&wanda, "lab/net@v9", "live", None)), Code::NotFound);
}

#[test]
fn an_alias_is_moved_where_it_comes_to_and_where_it_leaves_by_right_only() {
    let world = three();
    let keeper = world.open();
    let owner = Client::new(&keeper, &world, None);
    owner.call(Command::PrincipalAdd(principal("stew", Class::Confidential, &[("lab", "steward")]))).unwrap();
    let (wanda, stew) = (Client::new(&keeper, &world, Some("wanda")), Client::new(&keeper, &world, Some("stew")));
    let staged = Put { environment: Environment::Staging, ..Put::new("lab/net").class(Class::Confidential) };
    wanda.put(&staged).unwrap();
    let aud = Client::new(&keeper, &world, Some("aud"));
    let denied = |act: &str| entries(&aud, act).into_iter().filter(|item| item.entry["kind"] == "denial").count();
    // It comes to staging, where writers move none.
    let refused = set(&wanda, "lab/net@v4", "live", None).unwrap_err();
    assert_eq!(refused.code, Code::Denied);
    assert!(refused.try_.is_some_and(|hint| hint.contains("wanda --change --grant lab=steward")));
    set(&stew, "lab/net@v4", "live", None).unwrap();
    // It leaves staging.
    assert_eq!(code(set(&wanda, "lab/net@v1", "live", None)), Code::Denied);
    assert_eq!(code(remove(&wanda, "lab/net", "live", None)), Code::Denied);
    let rick = Client::new(&keeper, &world, Some("rick"));
    assert_eq!(code(set(&rick, "lab/net@v1", "fresh", None)), Code::Denied);
    assert_eq!(wanda.show("lab/net@live").unwrap().number, 4);
    assert_eq!((denied("alias.set"), denied("alias.remove")), (3, 1));
    let entry = &entries(&aud, "alias.remove").pop().unwrap().entry;
    let item = wanda.show("lab/net@v4").unwrap();
    assert_eq!(entry["subject"]["artifact"], item.artifact.to_string());
    assert_eq!(entry["subject"]["version"], item.id.to_string());
    // A refusal is no move.
    assert_eq!(past(&rick, "live", None, 10).unwrap().0.len(), 2);
}

#[test]
fn whoever_does_not_see_the_workspace_learns_of_no_alias() {
    let world = three();
    let keeper = world.open();
    let mallory = Client::new(&keeper, &world, Some("mallory"));
    let why = |result: Result<String, Problem>| {
        let problem = result.unwrap_err();
        assert_eq!(problem.code, Code::NotFound);
        (problem.what, problem.why.replace("ghost", "net"))
    };
    for artifact in ["lab/net", "lab/ghost"] {
        let version = format!("{artifact}@v1");
        assert!(why(set(&mallory, &version, "live", None).map(|_| String::new())).1.contains("`lab/net@v1`"));
        assert!(why(remove(&mallory, artifact, "live", None).map(|_| String::new())).1.contains("`lab/net@live`"));
        assert!(why(list(&mallory, artifact).map(|_| String::new())).1.contains("`lab/net`"));
        let past = AliasPast { reference: artifact.into(), alias: name("live"), after: None, limit: 1 };
        let told = mallory.call(Command::AliasHistory(past)).map(|answer| format!("{answer:?}"));
        assert!(why(told).1.contains("`lab/net`"));
    }
}

#[test]
fn an_alias_that_was_altered_in_the_database_is_refused() {
    for sql in [
        "UPDATE alias SET version = (SELECT id FROM version WHERE number = 1)",
        "UPDATE alias SET body = CAST(replace(CAST(body AS TEXT), 'live', 'dead') AS BLOB)",
        "UPDATE alias SET ticket = ticket + 1",
    ] {
        let world = three();
        assert!(world.tamper(sql) > 0);
        let keeper = world.open();
        let wanda = Client::new(&keeper, &world, Some("wanda"));
        assert_eq!(code(list(&wanda, "lab/net")), Code::BadSignature, "{sql}");
        assert_eq!(code(set(&wanda, "lab/net@v3", "live", None)), Code::BadSignature, "{sql}");
        assert_eq!(code(remove(&wanda, "lab/net", "live", None)), Code::BadSignature, "{sql}");
    }
}

#[test]
fn an_artifact_has_a_bounded_number_of_aliases() {
    let world = three();
    let rows = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 999) \
                INSERT INTO alias (id, artifact, version, body, salt, ticket, mac) \
                SELECT randomblob(16), artifact, version, body, salt, ticket, mac FROM alias, n";
    assert_eq!(world.tamper(rows), 999);
    let keeper = world.open();
    let wanda = Client::new(&keeper, &world, Some("wanda"));
    assert_eq!(code(set(&wanda, "lab/net@v1", "more", None)), Code::Conflict);
    let put = Put { alias: Some(name("more")), ..Put::new("lab/net").class(Class::Confidential) };
    assert_eq!(code(wanda.put(&put)), Code::Conflict);
    set(&wanda, "lab/net@v1", "live", None).unwrap();
}

#[test]
fn everybody_is_told_who_they_are() {
    let world = three();
    let keeper = world.open();
    let owner = Client::new(&keeper, &world, None);
    let until = Timestamp::from_millis(world.clock.millis() + 1_000);
    let mut add = principal("guest", Class::Internal, &[("lab", "reader")]);
    add.grants.push(GrantSpec { workspace: name("yard"), role: "reader".into(), until: Some(until) });
    owner.call(Command::PrincipalAdd(add)).unwrap();
    let mut guest = Client::new(&keeper, &world, Some("guest"));
    let told = whoami(&guest);
    assert_eq!(
        (told.principal.as_str(), told.id, told.clearance),
        ("guest", guest.session.principal(), Class::Internal)
    );
    assert_eq!((told.presence, told.mode, told.suspended), (PresenceTold::Now, Mode::Rehearsal, false));
    let grants: Vec<_> = told.grants.iter().map(|g| (g.workspace.as_str(), g.role.as_str(), g.until)).collect();
    assert_eq!(grants, [("lab", "reader", None), ("yard", "reader", Some(until))]);
    guest.session = guest.session.clone().with_presence(Presence::None);
    assert_eq!(whoami(&guest).presence, PresenceTold::None);
    // Also those who may do nothing.
    let mut change = principal("guest", Class::Internal, &[]);
    (change.change, change.suspended) = (true, Some(true));
    owner.call(Command::PrincipalAdd(change)).unwrap();
    assert!(whoami(&guest).suspended);
    assert_eq!(code(guest.show("lab/net")), Code::Gone);
    let solo = World::new(Mode::Solo);
    let keeper = solo.open();
    assert_eq!(whoami(&Client::new(&keeper, &solo, None)).presence, PresenceTold::NotAsked);
}
