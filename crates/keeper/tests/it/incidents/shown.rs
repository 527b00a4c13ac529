//! Who learns what, and that no writer of the database hides or forges anything.

use super::*;
use api::wire::Release;
use keeper::Keeper;

/// Releases of several principals, by their names.
fn used(keeper: &Keeper, world: &World) -> KeyId {
    let owner = Client::new(keeper, world, None);
    owner.call(Command::PrincipalAdd(principal("rita", Class::Confidential, &[("lab", "reader")]))).unwrap();
    owner.call(Command::PrincipalAdd(principal("carl", Class::Public, &[("lab", "custodian")]))).unwrap();
    for (who, times) in [("rick", 3), ("rita", 1)] {
        let client = Client::new(keeper, world, Some(who));
        for _ in 0..times {
            client.release(Action::Read, "lab/net").unwrap();
        }
    }
    // One that is refused is no release.
    assert_eq!(code(Client::new(keeper, world, Some("alice")).release(Action::Read, "lab/net")), Code::Denied);
    domain_key(&Client::new(keeper, world, Some("cus")), Class::Confidential)
}

#[test]
fn a_custodian_learns_counts_and_an_auditor_whom_and_nobody_else_anything() {
    let world = staff(World::new(Mode::Rehearsal));
    let keeper = world.open();
    let key = used(&keeper, &world);
    let client = |who: &str| Client::new(&keeper, &world, Some(who));
    for who in ["wanda", "alice", "rick", "aud", "pol"] {
        assert_eq!(code(compromise(&client(who), key)), Code::Denied, "{who}");
    }
    let refused = compromise(&client("mallory"), key).unwrap_err();
    assert_eq!((refused.code, refused.missing.clone()), (Code::NotFound, Some(key.to_string())));
    assert!(!refused.to_string().contains("lab"), "{refused}");
    client("rick").release(Action::Read, "lab/net").unwrap();

    let told = compromise(&client("carl"), key).unwrap();
    let id = told.incident.id;
    let found = told.found.clone().unwrap();
    assert_eq!((found.principals, found.releases, found.writes), (3, 5, 1));
    assert_eq!(told.principals, None);
    shut(client("rick").release(Action::Read, "lab/net"), key);
    // Who sees nothing of its keys is told the refusal of the policies.
    assert_eq!(code(client("alice").release(Action::Read, "lab/net")), Code::Denied);

    let aud = client("aud");
    let people = show(&aud, id).unwrap().principals.unwrap();
    let told: Vec<_> = people.iter().map(|one| (one.principal.as_deref().unwrap(), one.reads, one.writes)).collect();
    assert_eq!(told, [("rick", 4, 0), ("rita", 1, 0), ("wanda", 0, 1)]);
    assert_eq!(of(&evidence(&aud, &world, id, "evidence").1, "principal").len(), 3);
    for (step, who) in [(PlaybookStep::Notify, "aud"), (PlaybookStep::Review, "rick")] {
        assert_eq!(code(done(&client(who), id, step)), Code::Denied, "{who}");
    }
    let file = || world.tmp.path().join("other").display().to_string();
    for who in ["cus", "carl", "rick", "wanda"] {
        let ask = Command::IncidentEvidence { incident: id, file: file() };
        assert_eq!(code(client(who).call(ask)), Code::Denied, "{who}");
    }
    let ask = Command::IncidentEvidence { incident: id, file: file() };
    assert_eq!(code(client("mallory").call(ask)), Code::NotFound);
    assert!(!world.tmp.path().join("other").exists());
    for who in ["rick", "wanda", "alice", "pol"] {
        assert_eq!(code(show(&client(who), id)), Code::Denied, "{who}");
        assert!(list(&client(who)).is_empty() && status(&client(who)).incidents.is_empty(), "{who}");
    }
    assert_eq!(code(show(&client("mallory"), id)), Code::NotFound);
    assert!(list(&client("mallory")).is_empty());
    for who in ["cus", "carl", "aud"] {
        assert_eq!((list(&client(who)).len(), status(&client(who)).incidents.len()), (1, 1), "{who}");
    }
    // Who said that a step is done is told with the names.
    done(&client("cus"), id, PlaybookStep::Notify).unwrap();
    let by = |who: &str| {
        let steps = show(&client(who), id).unwrap().steps;
        steps.into_iter().find(|step| step.step == PlaybookStep::Notify).unwrap().by
    };
    assert_eq!((by("aud").as_deref(), by("carl")), (Some("cus"), None));
}

#[test]
fn entries_that_wait_are_in_the_evidence_and_exports_and_shares_are_told_apart() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
    let key = domain_key(&client, Class::Internal);
    keeper.unlocked_until(api::terms::Timestamp::from_millis(world.clock.millis() + DAY)).unwrap();
    client.release(Action::Read, "lab/net").unwrap();
    client.release(Action::Export, "lab/net").unwrap();
    let mut release = Release {
        reference: "lab/net".into(),
        action: Action::Export,
        request: Vec::new(),
        reason: Some("for a review".into()),
        confirm: None,
        run: None,
        shared_with: vec!["age1one".into(), "age1two".into()],
    };
    let id = client.show("lab/net").unwrap().id;
    let asked = client.ask(Action::Export, &[id], &Command::Release(release.clone()));
    release.request = asked.signed.encode();
    client.call(Command::Release(release)).unwrap();
    assert!(status(&client).log_pending > 0, "they wait");
    let told = compromise(&client, key).unwrap();
    let found = told.found.unwrap();
    assert_eq!((found.releases, found.exports, found.shares), (3, 2, 1));
    let (_, lines) = evidence(&client, &world, told.incident.id, "lines");
    let shared: Vec<_> = of(&lines, "release").iter().map(|line| line["shared"].as_u64().unwrap()).collect();
    assert_eq!(shared, [0, 0, 2]);
    let people = told.principals.unwrap();
    assert_eq!((people[0].reads, people[0].exports, people[0].shares, people[0].writes), (1, 1, 1, 1));
}

#[test]
fn what_a_writer_of_the_database_hides_is_still_found() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
    client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
    client.release(Action::Read, "lab/net@v2").unwrap();
    let (key, hidden) = (domain_key(&client, Class::Internal), client.show("lab/net@v2").unwrap());
    drop(client);
    keeper.close().unwrap();
    let row = hidden.id.to_string().to_uppercase();
    for (table, column) in [("version", "id"), ("record", "version"), ("wrap", "version")] {
        assert_eq!(world.tamper(&format!("DELETE FROM {table} WHERE hex({column}) = '{row}'")), 1, "{table}");
    }
    world.tamper("DELETE FROM entry_index");
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    let told = compromise(&client, key).unwrap();
    let found = told.found.unwrap();
    assert_eq!((found.versions, found.releases, found.packs, found.records_lost), (2, 1, 1, 1));
    let (_, lines) = evidence(&client, &world, told.incident.id, "lines");
    let versions = of(&lines, "version");
    assert!(versions.iter().any(|line| line["version"] == hidden.id.to_string()), "{versions:?}");
    // Its wrap is gone, so that it does not seem exposed; its row says that this is not known.
    assert_eq!((told.incident.exposed, told.incident.of_keys), (Some(1), Some(2)));
    assert_eq!(code(close(&client, told.incident.id)), Code::BadSignature);
}

#[test]
fn a_few_of_many_are_found_as_all_of_many_are() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    // Of the internal ones more than are looked up at once; the others are few among them.
    for _ in 0..70 {
        client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
    }
    for _ in 0..4 {
        client.put(&Put::new("lab/few").class(Class::Confidential)).unwrap();
    }
    let few = domain_key(&client, Class::Confidential);
    let many = domain_key(&client, Class::Internal);
    let versions =
        |name: &str| [1, 2].map(|n| client.show(&format!("{name}@v{n}")).unwrap().id.to_string().to_uppercase());
    let ([no_net, other_net], [no_few, other_few]) = (versions("lab/net"), versions("lab/few"));
    drop(client);
    keeper.close().unwrap();
    let bytes = "(SELECT r.bytes FROM record AS r WHERE r.version <> record.version LIMIT 1)";
    for (gone, other) in [(no_net, other_net), (no_few, other_few)] {
        assert_eq!(world.tamper(&format!("DELETE FROM record WHERE hex(version) = '{gone}'")), 1);
        assert_eq!(world.tamper(&format!("UPDATE record SET bytes = {bytes} WHERE hex(version) = '{other}'")), 1);
        assert_eq!(world.tamper(&format!("DELETE FROM wrap WHERE hex(version) = '{gone}'")), 1);
    }
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    for (key, all) in [(few, 4), (many, 70)] {
        let told = compromise(&client, key).unwrap();
        let found = told.found.unwrap();
        assert_eq!((found.versions, found.packs, found.records_lost), (all, all - 2, 2));
        assert_eq!((told.incident.exposed, told.incident.of_keys), (Some(all - 1), Some(all)));
    }
}

#[test]
fn forged_and_hidden_rows_of_incidents_are_refused() {
    let made = || {
        let world = World::new(Mode::Solo);
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
        let key = domain_key(&client, Class::Internal);
        let id = compromise(&client, key).unwrap().incident.id;
        drop(client);
        keeper.close().unwrap();
        (world, key, id)
    };
    let forgeries = [
        "UPDATE incident SET body = CAST(REPLACE(CAST(body AS TEXT), '\"closed\":null', '\"closed\":{}') AS BLOB)",
        "UPDATE incident SET state = 'closed'",
        "UPDATE incident SET exposed = x'07070707070707070707070707070707'",
        "UPDATE incident_part SET bytes = x'' WHERE list = 'keys'",
        "UPDATE incident_part SET bytes = x'7b7d0a' WHERE list = 'people'",
        "DELETE FROM incident_part",
    ];
    for forgery in forgeries {
        let (world, _, id) = made();
        assert!(world.tamper(forgery) > 0, "{forgery}");
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        assert_eq!(code(show(&client, id)), Code::BadSignature, "{forgery}");
        // Whom keys went to closes nothing.
        let closing = if forgery.contains("people") { Code::Conflict } else { Code::BadSignature };
        assert_eq!(code(close(&client, id)), closing, "{forgery}");
    }
    // Hidden: the key is compromised, so there is one.
    let (world, key, _) = made();
    assert_eq!(world.tamper("DELETE FROM incident"), 1);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    assert_eq!(code(compromise(&client, key)), Code::BadSignature);
    shut(client.release(Action::Read, "lab/net"), key);
    match client.call(Command::StateVerify).unwrap() {
        Answer::StateVerified(verified) => {
            assert!(!verified.ok && verified.failures.iter().any(|why| why.contains("incident")), "{verified:?}");
        }
        other => panic!("{other:?}"),
    }
}
