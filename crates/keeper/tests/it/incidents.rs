//! A compromised key: releases stop, the log tells what it ever touched, and a playbook is followed to its end.

mod shown;

use crate::decisions::{entries, principal, staff};
use crate::world::{Client, Put, World, code};
use api::terms::{Action, Class, Code, IncidentId, KeyId, KeyState, Mode, PlaybookStep};
use api::wire::{
    Answer, AuditFilter, Command, EvidenceWritten, IncidentDone, IncidentItem, IncidentTold, KeyCompromise, KeyItem,
    KeyMove, KeyRotate, KeyRotated, Problem, Remove, Status,
};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use testkit::suites;

const DAY: u64 = 86_400_000;

pub fn compromise(client: &Client<'_>, key: KeyId) -> Result<IncidentTold, Problem> {
    told(client.call(Command::KeyCompromise(KeyCompromise { key, reason: "found on a public server".into() })))
}

fn told(answer: Result<Answer, Problem>) -> Result<IncidentTold, Problem> {
    match answer? {
        Answer::Incident(told) => Ok(*told),
        other => panic!("{other:?}"),
    }
}

fn show(client: &Client<'_>, incident: IncidentId) -> Result<IncidentTold, Problem> {
    told(client.call(Command::IncidentShow { incident }))
}

fn done(client: &Client<'_>, incident: IncidentId, step: PlaybookStep) -> Result<IncidentTold, Problem> {
    told(client.call(Command::IncidentDone(IncidentDone { incident, step, reason: "by telephone".into() })))
}

fn close(client: &Client<'_>, incident: IncidentId) -> Result<IncidentTold, Problem> {
    told(client.call(Command::IncidentClose { incident }))
}

fn list(client: &Client<'_>) -> Vec<IncidentItem> {
    match client.call(Command::Incidents).unwrap() {
        Answer::Incidents(list) => list.items,
        other => panic!("{other:?}"),
    }
}

fn status(client: &Client<'_>) -> Status {
    match client.call(Command::Status).unwrap() {
        Answer::Status(status) => *status,
        other => panic!("{other:?}"),
    }
}

fn keys(client: &Client<'_>) -> Vec<KeyItem> {
    match client.call(Command::KeyList).unwrap() {
        Answer::Keys(list) => list.keys,
        other => panic!("{other:?}"),
    }
}

/// The newest key of a class's domain.
fn domain_key(client: &Client<'_>, class: Class) -> KeyId {
    keys(client).iter().filter(|key| key.class == Some(class)).max_by_key(|key| key.version).unwrap().id
}

fn rotate(client: &Client<'_>) -> KeyRotated {
    match client.call(Command::KeyRotate(KeyRotate::default())).unwrap() {
        Answer::Rotated(rotated) => rotated,
        other => panic!("{other:?}"),
    }
}

fn state_holds(client: &Client<'_>) {
    match client.call(Command::StateVerify).unwrap() {
        Answer::StateVerified(verified) => assert!(verified.ok, "{verified:?}"),
        other => panic!("{other:?}"),
    }
}

/// Removes a version and lets the time pass until its key is destroyed.
fn destroy(client: &Client<'_>, world: &World, reference: &str) {
    let remove = Remove { reference: reference.into(), all: false, reason: None, confirm: None, dry: false };
    client.call(Command::Remove(remove)).unwrap();
    world.clock.advance(40 * DAY);
    client.call(Command::JobsRun { name: Some("destroy".into()) }).unwrap();
}

fn evidence(client: &Client<'_>, world: &World, incident: IncidentId, name: &str) -> (EvidenceWritten, Vec<Value>) {
    let path = world.tmp.path().join(name);
    let file = path.display().to_string();
    let written = match client.call(Command::IncidentEvidence { incident, file }).unwrap() {
        Answer::Evidence(written) => written,
        other => panic!("{other:?}"),
    };
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&path).unwrap();
    let proven: Vec<&str> = text.split_inclusive('\n').take_while(|line| !line.contains("\"line\":\"end\"")).collect();
    assert_eq!(log::tree::sha256(proven.concat().as_bytes()).to_string(), written.evidence);
    assert_eq!(text.lines().count() as u64, written.lines);
    (written, text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn of<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["line"] == kind).collect()
}

fn shut(refused: Result<impl std::fmt::Debug, Problem>, key: KeyId) {
    let refused = refused.unwrap_err();
    assert_eq!((refused.code, refused.what.as_str()), (Code::Gone, "the key is compromised"));
    assert!(refused.why.contains(&key.to_string()), "{refused}");
}

#[test]
fn a_compromised_domain_key_releases_nothing_and_the_log_tells_what_it_touched() {
    suites::each(|| {
        let world = World::new(Mode::Solo);
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        for name in ["lab/net", "lab/net", "lab/other"] {
            client.put(&Put::new(name).class(Class::Internal)).unwrap();
        }
        client.begin(&Put::new("lab/late").class(Class::Internal)).unwrap();
        client.put(&Put::new("lab/open").class(Class::Public)).unwrap();
        client.release(Action::Read, "lab/net@v1").unwrap();
        client.release(Action::Export, "lab/other").unwrap();
        client.release(Action::Read, "lab/open").unwrap();
        let key = domain_key(&client, Class::Internal);
        let told = compromise(&client, key).unwrap();
        let found = told.found.clone().unwrap();
        assert_eq!((found.versions, found.unfinished, found.packs, found.records_lost), (3, 1, 3, 0));
        assert_eq!((found.releases, found.exports, found.shares, found.writes), (2, 1, 0, 4));
        assert_eq!((found.principals, told.principals.as_ref().unwrap().len()), (1, 1));
        assert!(told.receipt.is_some() && told.unread.is_none());
        assert_eq!(told.incident.open, PlaybookStep::ALL);
        assert_eq!((told.incident.exposed, told.incident.of_keys), (Some(4), Some(4)));
        // Nothing is opened, and nothing written; beside it everything goes on.
        for action in [Action::List, Action::Read, Action::Export] {
            shut(client.release(action, "lab/net@v1"), key);
        }
        shut(client.put(&Put::new("lab/new").class(Class::Internal)), key);
        client.release(Action::Read, "lab/open").unwrap();
        client.put(&Put::new("lab/open").class(Class::Public)).unwrap();
        // Again: where it was, and nothing is written.
        let again = compromise(&client, key).unwrap();
        assert_eq!(again, IncidentTold { receipt: None, ..told.clone() });
        assert_eq!(entries(&client, "key.compromise").len(), 1);
        let marked = &entries(&client, "key.compromise")[0];
        assert!(marked.entry["detail"]["log_size"].as_str().unwrap().parse::<u64>().unwrap() > 0);
        assert_eq!(marked.disclosed["reason"]["value"], "found on a public server");
        assert_eq!(status(&client).incidents, list(&client));
        state_holds(&client);

        let (_, lines) = evidence(&client, &world, told.incident.id, "before");
        assert_eq!((of(&lines, "version").len(), of(&lines, "release").len(), of(&lines, "write").len()), (4, 2, 4));
        assert_eq!((of(&lines, "packs").len(), of(&lines, "name")[0]["name"].as_str()), (3, Some("olivia")));
        drop(client);
        keeper.close().unwrap();

        // After a restart: shut still, until another key takes its place.
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        shut(client.release(Action::Read, "lab/other"), key);
        assert_eq!(rotate(&client).rewrapped, 6);
        client.release(Action::Read, "lab/other").unwrap();
        client.put(&Put::new("lab/new").class(Class::Internal)).unwrap();
        let after = show(&client, told.incident.id).unwrap();
        assert_eq!(after.incident.open, [PlaybookStep::ReEncrypt, PlaybookStep::Notify, PlaybookStep::Review]);
        assert_eq!(after.incident.exposed, Some(4), "a wrap under another key changes no version key");
        assert_eq!(after.found, told.found);
        // The log has grown; what it tells of then is the same.
        let (_, later) = evidence(&client, &world, told.incident.id, "after");
        assert_eq!(later, lines);
        let compromised = keys(&client).into_iter().find(|item| item.id == key).unwrap();
        assert_eq!((compromised.state.as_str(), compromised.wraps, compromised.due), ("compromised", 0, None));
        let back = KeyMove { key, to: KeyState::Active, reason: "found".into() };
        assert_eq!(code(client.call(Command::KeyMove(back))), Code::Conflict);
        state_holds(&client);
    });
}

#[test]
fn a_compromised_version_key_is_one_version_and_rotation_does_not_bring_it_back() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
    client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
    client.release(Action::Read, "lab/net@v1").unwrap();
    client.release(Action::Read, "lab/net@v2").unwrap();
    let key = client.show("lab/net@v1").unwrap().key;
    let told = compromise(&client, key).unwrap();
    let found = told.found.unwrap();
    assert_eq!((found.versions, found.releases, found.writes), (1, 1, 1));
    assert_eq!(told.incident.of, "lab/net@v1");
    assert_eq!(told.incident.open, [PlaybookStep::ReEncrypt, PlaybookStep::Notify, PlaybookStep::Review]);
    shut(client.release(Action::Read, "lab/net@v1"), key);
    client.release(Action::Read, "lab/net@v2").unwrap();
    rotate(&client);
    shut(client.release(Action::Read, "lab/net@v1"), key);
    destroy(&client, &world, "lab/net@v1");
    assert_eq!(show(&client, told.incident.id).unwrap().incident.exposed, Some(0));
    state_holds(&client);
}

#[test]
fn what_was_wrapped_again_counts_for_the_key_that_it_left_and_for_the_one_that_it_came_to() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
    client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
    let first = domain_key(&client, Class::Internal);
    destroy(&client, &world, "lab/net@v1");
    rotate(&client);
    let second = domain_key(&client, Class::Internal);
    client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
    rotate(&client);
    let third = domain_key(&client, Class::Internal);
    client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
    // Of a key that wraps nothing any more, whose time was over.
    let of_first = compromise(&client, first).unwrap();
    let found = of_first.found.unwrap();
    assert_eq!((found.versions, found.destroyed, of_first.incident.exposed), (2, 1, Some(1)));
    assert!(!of_first.incident.open.contains(&PlaybookStep::Rotate));
    client.release(Action::Read, "lab/net@v2").unwrap();
    let touched = |key| {
        let told = compromise(&client, key).unwrap();
        let name = key.to_string();
        let (_, lines) = evidence(&client, &world, told.incident.id, &name);
        let versions: Vec<String> =
            of(&lines, "version").iter().map(|line| line["version"].as_str().unwrap().to_owned()).collect();
        versions
    };
    let version = |reference: &str| client.show(reference).unwrap().id.to_string();
    let (v2, v3, v4) = (version("lab/net@v2"), version("lab/net@v3"), version("lab/net@v4"));
    assert_eq!(touched(second), [v2.clone(), v3.clone()]);
    assert_eq!(touched(third), [v2, v3, v4]);
    state_holds(&client);
}

#[test]
fn an_incident_is_closed_when_nothing_is_left_and_not_before() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
    let key = domain_key(&client, Class::Internal);
    let id = compromise(&client, key).unwrap().incident.id;
    for step in [PlaybookStep::Rotate, PlaybookStep::ReEncrypt] {
        assert_eq!(code(done(&client, id, step)), Code::BadRequest, "nobody says that");
    }
    assert_eq!(code(close(&client, id)), Code::Conflict);
    rotate(&client);
    destroy(&client, &world, "lab/net@v1");
    let refused = close(&client, id).unwrap_err();
    assert!(refused.why.contains("notify, review"), "{refused}");
    assert_eq!(refused.try_, Some(format!("strongroom incident show {id}")));
    assert!(done(&client, id, PlaybookStep::Notify).unwrap().receipt.is_some());
    assert_eq!(done(&client, id, PlaybookStep::Notify).unwrap().receipt, None, "once");
    let last = done(&client, id, PlaybookStep::Review).unwrap();
    assert!(last.incident.open.is_empty() && last.steps.iter().all(|step| step.done));
    let closed = close(&client, id).unwrap();
    assert!(closed.receipt.is_some() && closed.incident.closed.is_some());
    assert_eq!(close(&client, id).unwrap().receipt, None);
    assert_eq!(code(done(&client, id, PlaybookStep::Review)), Code::Conflict);
    assert!(status(&client).incidents.is_empty());
    // What was found stays.
    let kept = compromise(&client, key).unwrap();
    assert_eq!((kept.found, kept.incident.closed), (closed.found, closed.incident.closed));
    assert_eq!(of(&evidence(&client, &world, id, "kept").1, "version").len(), 1);
    assert_eq!((entries(&client, "incident.done").len(), entries(&client, "incident.close").len()), (2, 1));
    assert_eq!(entries(&client, "incident.export").len(), 1);
    state_holds(&client);
}

#[test]
fn evidence_that_was_not_read_is_read_by_the_job_and_releases_have_stopped_before() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    // More than a bundle, so that something of the log is in a file.
    for _ in 0..130 {
        client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
    }
    let key = domain_key(&client, Class::Internal);
    client.call(Command::AuditVerify).unwrap();
    let bundle = world.dir().join("log/tile/entries/000");
    let away = world.tmp.path().join("away");
    std::fs::rename(&bundle, &away).unwrap();
    let told = compromise(&client, key).unwrap();
    assert!(told.receipt.is_some() && told.found.is_none() && told.principals.is_none());
    assert!(told.unread.unwrap().contains("entries/000"));
    shut(client.release(Action::Read, "lab/net@v1"), key);
    assert_eq!(told.incident.open, PlaybookStep::ALL, "nothing is known to be done");
    assert_eq!(code(close(&client, told.incident.id)), Code::Conflict);
    let file = world.tmp.path().join("none").display().to_string();
    let early = Command::IncidentEvidence { incident: told.incident.id, file };
    assert_eq!(code(client.call(early)), Code::Conflict);
    assert!(status(&client).jobs_overdue.contains(&"incidents".to_owned()));
    drop(client);
    // As killed: no job runs at its end.
    drop(keeper);
    std::fs::rename(&away, &bundle).unwrap();
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    shut(client.release(Action::Read, "lab/net@v1"), key);
    client.call(Command::JobsRun { name: None }).unwrap();
    let found = show(&client, told.incident.id).unwrap().found.unwrap();
    assert_eq!((found.versions, found.writes), (130, 130));
    assert!(!status(&client).jobs_overdue.contains(&"incidents".to_owned()));
    let logged = entries(&client, "incident.evidence");
    assert_eq!((logged.len(), logged[0].entry["auth"]["method"].as_str()), (1, Some("system")));
    assert_eq!(logged[0].entry["subject"]["evidence"], found.evidence);
    state_holds(&client);
}

#[test]
fn no_release_is_logged_after_the_marking() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
    let key = domain_key(&client, Class::Internal);
    let began = std::sync::Barrier::new(4);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let other = Client::new(&keeper, &world, None);
                other.release(Action::Read, "lab/net").unwrap();
                began.wait();
                let ends = (0..100_000).find_map(|_| other.release(Action::Read, "lab/net").err());
                shut(Err::<(), _>(ends.unwrap()), key);
            });
        }
        began.wait();
        compromise(&client, key).unwrap();
        // After its answer nothing leaves at all.
        shut(client.release(Action::Read, "lab/net"), key);
    });
    client.call(Command::AuditVerify).unwrap();
    let marked = entries(&client, "key.compromise")[0].log_index.unwrap();
    let filter =
        AuditFilter { act: Some("release.read".into()), newest_first: true, limit: 10_000, ..AuditFilter::default() };
    let releases = match client.call(Command::Audit(filter)).unwrap() {
        Answer::Audit(page) => page.items,
        other => panic!("{other:?}"),
    };
    let released = releases.iter().filter(|item| item.entry["kind"] == "release");
    let (before, after): (Vec<_>, Vec<_>) = released.partition(|item| item.log_index.unwrap() < marked);
    assert!(before.len() >= 3 && after.is_empty(), "{} before, {} after", before.len(), after.len());
    let found = list(&client)[0].clone();
    let told = show(&client, found.id).unwrap().found.unwrap();
    assert!(told.releases == before.len() as u64 || releases.len() == 10_000, "and the evidence has every one");
}

#[test]
fn incidents_are_followed_on_postgres() {
    let world = World::postgres(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    for _ in 0..3 {
        client.put(&Put::new("lab/net").class(Class::Restricted)).unwrap();
    }
    let read = |client: &Client<'_>| client.release_with(Action::Read, "lab/net@v1", Some("test"), Some("lab/net"));
    read(&client).unwrap();
    let key = domain_key(&client, Class::Restricted);
    let told = compromise(&client, key).unwrap();
    let found = told.found.unwrap();
    assert_eq!((found.versions, found.packs, found.releases, found.writes), (3, 3, 1, 3));
    shut(read(&client), key);
    assert_eq!(rotate(&client).rewrapped, 3);
    read(&client).unwrap();
    assert_eq!(of(&evidence(&client, &world, told.incident.id, "lines").1, "version").len(), 3);
    assert_eq!(show(&client, told.incident.id).unwrap().incident.exposed, Some(3));
    state_holds(&client);
}

#[test]
fn keys_that_have_no_playbook_are_refused_with_what_to_do_instead() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
    for own in keys(&client).iter().filter(|key| key.purpose != "domain") {
        let refused = compromise(&client, own.id).unwrap_err();
        assert_eq!(refused.code, Code::Conflict, "{}", own.purpose);
        assert!(refused.why.contains("Make a new vault") && refused.try_.is_some(), "{refused}");
    }
    let root = status(&client).roots[0].id;
    let refused = compromise(&client, root).unwrap_err();
    assert_eq!((refused.code, refused.try_), (Code::Conflict, Some(format!("strongroom root remove {root}"))));
    assert_eq!(code(compromise(&client, KeyId::from_bytes([7; 16]))), Code::NotFound);
    let key = domain_key(&client, Class::Internal);
    for reason in ["", " ", &"x".repeat(1025)] {
        let wish = KeyCompromise { key, reason: reason.to_owned() };
        assert_eq!(code(client.call(Command::KeyCompromise(wish))), Code::BadRequest);
    }
    assert_eq!(code(show(&client, IncidentId::from_bytes([7; 16]))), Code::NotFound);
    client.release(Action::Read, "lab/net").unwrap();
    // A suspended one is followed by compromise as well, and a rotation goes on from there.
    client.call(Command::KeyMove(KeyMove { key, to: KeyState::Suspended, reason: "lost".into() })).unwrap();
    assert_eq!(rotate(&client).keys.len(), 0, "a suspended one is its custodian's business");
    compromise(&client, key).unwrap();
    assert_eq!(rotate(&client).keys.len(), 1);
    client.release(Action::Read, "lab/net").unwrap();
    state_holds(&client);
}
