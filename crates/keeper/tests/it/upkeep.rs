//! Rotation, garbage, the log, the clock.

use crate::decisions::{entries, staff};
use crate::world::{Client, Put, World, code};
use api::terms::{Action, Class, Code, Environment, Mode, ObjectId};
use api::wire::{
    Answer, Command, Freshness, JobItem, KeyList, KeyRotate, KeyRotated, LogVerified, ObjectRole, StateVerified, Status,
};
use keeper::Keeper;
use keeper::vault::{ClockCheck, OpenOptions};
use std::collections::HashMap;
use testkit::suites;

fn rotate(client: &Client<'_>, ask: KeyRotate) -> KeyRotated {
    match client.call(Command::KeyRotate(ask)).unwrap() {
        Answer::Rotated(rotated) => rotated,
        other => panic!("{other:?}"),
    }
}

fn keys(client: &Client<'_>) -> KeyList {
    match client.call(Command::KeyList).unwrap() {
        Answer::Keys(list) => list,
        other => panic!("{other:?}"),
    }
}

fn log_verified(client: &Client<'_>) -> LogVerified {
    match client.call(Command::AuditVerify).unwrap() {
        Answer::LogVerified(verified) => verified,
        other => panic!("{other:?}"),
    }
}

fn state_verified(client: &Client<'_>) -> StateVerified {
    match client.call(Command::StateVerify).unwrap() {
        Answer::StateVerified(verified) => verified,
        other => panic!("{other:?}"),
    }
}

fn status(client: &Client<'_>) -> Status {
    match client.call(Command::Status).unwrap() {
        Answer::Status(status) => *status,
        other => panic!("{other:?}"),
    }
}

#[test]
fn rotation_wraps_everything_again_and_every_version_still_opens() {
    suites::each(|| {
        let world = World::new(Mode::Solo);
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        let mut before = HashMap::new();
        for n in 0..5 {
            let reference = format!("lab/net-{n}");
            client.put(&Put::new(&reference)).unwrap();
            let (_, opened) = client.release(Action::Read, &reference).unwrap();
            before.insert(reference, opened);
        }
        let draft = Put::new("lab/draft");
        client.begin(&draft).unwrap();
        client.put(&Put::new("lab/public").class(Class::Public)).unwrap();
        let rotated = rotate(&client, KeyRotate { class: Some(Class::Confidential), ..KeyRotate::default() });
        assert_eq!((rotated.keys.len(), rotated.rewrapped, rotated.remaining), (1, 6, 0));
        assert_eq!((rotated.keys[0].version, rotated.keys[0].wraps), (2, 6));
        assert!(rotated.receipts.iter().all(|receipt| receipt.log_index.is_some()));
        let list = keys(&client);
        let domain: Vec<_> = list.keys.iter().filter(|key| key.purpose == "domain").collect();
        assert_eq!(domain.len(), 3);
        assert!(domain.iter().any(|key| key.state == "deactivated" && key.wraps == 0));
        assert_eq!(list.keys.len(), 8);
        let bytes = |opened: &seal::envelope::Opened| match &opened.keys[1].key {
            seal::envelope::Key::Map(key) => *key.expose_bytes(),
            seal::envelope::Key::List(_) => panic!("no map key"),
        };
        for (reference, opened) in &before {
            assert_eq!(bytes(&client.release(Action::Read, reference).unwrap().1), bytes(opened));
        }
        let (begun, _) = client.begin(&draft).unwrap();
        client.commit(&draft, &begun).unwrap();
        assert!(state_verified(&client).ok, "{:?}", state_verified(&client));
        let none = KeyRotate { environment: Some(Environment::Prod), ..KeyRotate::default() };
        assert!(rotate(&client, none).keys.is_empty());
    });
}

#[test]
fn a_rotation_that_did_not_finish_goes_on_later() {
    suites::each(|| {
        let world = World::new(Mode::Solo);
        {
            let keeper = world.open();
            let client = Client::new(&keeper, &world, None);
            for n in 0..3 {
                client.put(&Put::new(&format!("lab/net-{n}"))).unwrap();
            }
            let rotated = rotate(&client, KeyRotate { no_wait: true, ..KeyRotate::default() });
            assert_eq!((rotated.rewrapped, rotated.remaining), (0, 3));
            // Old and new version open meanwhile; new versions use the new key.
            client.release(Action::Read, "lab/net-0").unwrap();
            client.put(&Put::new("lab/net-3")).unwrap();
            // Killed here: no close.
        }
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        let resumed = rotate(&client, KeyRotate::default());
        assert_eq!((resumed.rewrapped, resumed.remaining), (3, 0));
        assert_eq!(resumed.keys[0].version, 2, "resumed, not rotated once more");
        let again = rotate(&client, KeyRotate { no_wait: true, ..KeyRotate::default() });
        assert_eq!((again.keys[0].version, again.remaining), (3, 4));
        drop(client);
        keeper.close().unwrap();
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        assert!(keys(&client).keys.iter().all(|key| key.state != "deactivated" || key.wraps == 0), "done in passing");
        for n in 0..4 {
            client.release(Action::Read, &format!("lab/net-{n}")).unwrap();
        }
    });
}

#[test]
fn a_rotation_keeps_its_pace() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    for n in 0..6 {
        client.put(&Put::new(&format!("lab/net-{n}"))).unwrap();
    }
    let paced = |per_second| Command::KeyRotate(KeyRotate { per_second: Some(per_second), ..KeyRotate::default() });
    assert_eq!(client.call(paced(0)).unwrap_err().code, api::terms::Code::BadRequest);
    let began = std::time::Instant::now();
    match client.call(paced(4)).unwrap() {
        Answer::Rotated(rotated) => assert_eq!((rotated.rewrapped, rotated.remaining), (6, 0)),
        other => panic!("{other:?}"),
    }
    assert!(began.elapsed().as_millis() >= 1_500, "six at four in a second");
    let sql = "SELECT COUNT(*) FROM entry WHERE CAST(body AS TEXT) LIKE '%key.rewrap%'";
    let db = rusqlite::Connection::open(world.dir().join("keeper.db")).unwrap();
    assert_eq!(db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap(), 2, "four, then two");
}

#[test]
fn garbage_is_what_no_version_names_and_no_lease_holds() {
    suites::each(|| {
        let world = World::new(Mode::Solo);
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        let (kept, given_up, leased, dead) =
            (Put::new("lab/kept"), Put::new("lab/net"), Put::new("lab/net"), Put::new("lab/net"));
        client.put(&kept).unwrap();
        let spare = ObjectId::from_bytes([9; 16]);
        let second = Put::new("lab/kept");
        let (begun, _) = client.begin(&second).unwrap();
        client.call(Command::Extend { version: second.version, objects: vec![spare] }).unwrap();
        client.commit(&second, &begun).unwrap();
        client.begin(&given_up).unwrap();
        client.call(Command::Abandon { version: given_up.version }).unwrap();
        // A draft of the same id would say that its objects are still wanted, and no collection would get past that.
        let again =
            Put { objects: vec![ObjectId::from_bytes([8; 16])], version: given_up.version, ..Put::new("lab/net") };
        assert_eq!(code(client.begin(&again)), Code::Conflict);
        client.begin(&dead).unwrap();
        let mark = |grace_secs| match client.call(Command::CollectMark { grace_secs, dry: false }) {
            Ok(Answer::Collect(plan)) => plan,
            other => panic!("{other:?}"),
        };
        world.clock.advance(1000);
        assert!(mark(3600).objects.is_empty(), "the grace holds");
        world.clock.advance(25 * 3_600_000);
        client.begin(&leased).unwrap();
        let plan = mark(3600);
        assert_eq!(plan.freshness, Freshness::Proven);
        let mut expected: Vec<ObjectId> = given_up.objects.iter().chain(&dead.objects).copied().collect();
        expected.push(spare);
        expected.sort();
        let mut marked = plan.objects.clone();
        marked.sort();
        // Leases of dead drafts ended after the grace began only by an hour, so they are in.
        assert_eq!(marked, expected);
        assert_eq!(code(client.begin(&dead)), Code::Conflict, "marked objects are not taken up again");
        assert_eq!(code(client.call(Command::CollectDone { objects: kept.objects.clone() })), Code::Conflict);
        let Answer::Objects { items, next } = client.call(Command::Objects { after: None, limit: 100 }).unwrap() else {
            panic!()
        };
        let count = |role| items.iter().filter(|item| item.role == role).count();
        assert_eq!((count(ObjectRole::Committed), count(ObjectRole::Leased), count(ObjectRole::Marked)), (4, 2, 5));
        assert!(next.is_none() && items.is_sorted_by_key(|item| item.object));
        client.call(Command::CollectDone { objects: plan.objects }).unwrap();
        assert!(mark(0).objects.is_empty());
        let (begun, _) = client.begin(&leased).unwrap();
        client.commit(&leased, &begun).unwrap();
    });
}

#[test]
fn collection_refuses_without_a_proof_that_the_database_is_current() {
    let world = World::new(Mode::Solo);
    {
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        client.put(&Put::new("lab/net")).unwrap();
        keeper.close().unwrap();
    }
    std::fs::remove_file(world.anchor()).unwrap();
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    assert_eq!(code(client.call(Command::CollectMark { grace_secs: 0, dry: false })), Code::BehindAnchor);
    assert_eq!(status(&client).freshness, Freshness::Unproven);
}

#[test]
fn an_older_copy_of_the_database_opens_read_only() {
    let world = World::new(Mode::Solo);
    let put = |reference: &str| {
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        client.put(&Put::new(reference)).unwrap();
        keeper.close().unwrap();
    };
    put("lab/one");
    let copy = world.tmp.path().join("copy");
    let save = |from: &std::path::Path, to: &std::path::Path| {
        for entry in walk(from) {
            let target = to.join(entry.strip_prefix(from).unwrap());
            std::fs::create_dir_all(target.parent().unwrap()).unwrap();
            std::fs::copy(&entry, target).unwrap();
        }
    };
    save(&world.dir(), &copy);
    put("lab/two");
    std::fs::remove_dir_all(world.dir()).unwrap();
    save(&copy, &world.dir());
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    assert!(status(&client).read_only.is_some());
    assert_eq!(code(client.release(Action::Read, "lab/one")), Code::BehindAnchor);
    assert_eq!(code(client.put(&Put::new("lab/three"))), Code::BehindAnchor);
    assert_eq!(code(client.call(Command::CollectMark { grace_secs: 0, dry: false })), Code::BehindAnchor);
    keeper.close().unwrap();
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn the_log_verifies_and_one_replayed_row_is_found() {
    suites::each(|| {
        let world = World::new(Mode::Solo);
        let old;
        {
            let keeper = world.open();
            let client = Client::new(&keeper, &world, None);
            client.put(&Put::new("lab/net")).unwrap();
            let (log, state) = (log_verified(&client), state_verified(&client));
            assert!(log.ok && state.ok, "{log:?} {state:?}");
            assert_eq!(log.freshness, Freshness::Proven);
            let db = rusqlite::Connection::open(world.dir().join("keeper.db")).unwrap();
            old = db
                .query_row("SELECT body, salt, ticket, mac FROM artifact", [], |row| {
                    let blob = |at| row.get::<_, Vec<u8>>(at);
                    Ok((blob(0)?, blob(1)?, row.get::<_, i64>(2)?, blob(3)?))
                })
                .unwrap();
            client.put(&Put::new("lab/net")).unwrap();
            assert!(state_verified(&client).ok);
            keeper.close().unwrap();
        }
        let db = rusqlite::Connection::open(world.dir().join("keeper.db")).unwrap();
        let (body, salt, ticket, mac) = old;
        let sql = "UPDATE artifact SET body = ?1, salt = ?2, ticket = ?3, mac = ?4, latest = 1";
        assert_eq!(db.execute(sql, (body, salt, ticket, mac)).unwrap(), 1);
        drop(db);
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        // Its MAC holds, because it was the keeper's own once: only the log knows better.
        assert_eq!(client.show("lab/net").unwrap().number, 1);
        let state = state_verified(&client);
        assert!(!state.ok && state.failures.iter().any(|failure| failure.contains("artifact")), "{state:?}");
    });
}

#[test]
fn entries_are_found_shown_and_proven() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    let committed = client.put(&Put::new("lab/genome").class(Class::Restricted)).unwrap();
    let index = committed.receipt.log_index.unwrap();
    let (released, _) = client.release_with(Action::Read, "lab/genome", Some("study 7"), Some("lab/genome")).unwrap();
    assert!(released.receipt.log_index.is_some(), "restricted waits for the anchor");
    let show = |entry: String| match client.call(Command::AuditShow { entry }).unwrap() {
        Answer::Entry(item) => *item,
        other => panic!("{other:?}"),
    };
    let item = show(released.receipt.entry.to_string());
    assert_eq!(item.entry["detail"]["approval"], "none (solo)");
    assert_eq!(item.disclosed["reason"]["value"], "study 7");
    assert!(!item.entry.to_string().contains("study 7"));
    assert_eq!(item.principal.as_deref(), Some("olivia"));
    assert_eq!(show(index.to_string()).entry["act"], "version.commit");
    let prove = Command::AuditProve { entry: committed.receipt.entry.to_string() };
    let Answer::Proof { proof, log_index } = client.call(prove).unwrap() else { panic!() };
    assert_eq!(log_index, index);
    let vkeys = &keeper.info().log_keys;
    let log_keys = log::keys::LogKeys::from_vkeys(&vkeys[0], &vkeys[1]).unwrap();
    let receipt = log::receipt::Receipt::parse(proof.as_bytes()).unwrap();
    let body = log::jcs::to_vec(&show(index.to_string()).entry).unwrap();
    receipt.verify(&body, &log_keys).unwrap();
    assert_eq!(entries(&client, "vault.init").len(), 1);
    assert_eq!(code(client.call(Command::AuditShow { entry: "x".into() })), Code::BadRequest);
    assert_eq!(code(client.call(Command::AuditShow { entry: "0".repeat(32) })), Code::NotFound);
    let out = world.tmp.path().join("export");
    client.call(Command::AuditExport { folder: out.display().to_string() }).unwrap();
    assert!(out.join("checkpoint").exists() || walk(&out).iter().any(|path| path.ends_with("checkpoint")));
}

#[test]
fn a_clock_set_back_refuses_and_a_small_correction_does_not() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/net")).unwrap();
    let now = world.clock.millis();
    world.clock.set(now - 60_000);
    client.release(Action::Read, "lab/net").unwrap();
    world.clock.set(now - 3_600_000);
    let back = client.release(Action::Read, "lab/net").unwrap_err();
    assert_eq!(back.code, Code::ClockBack);
    drop(client);
    drop(keeper);
    assert_eq!(code(Keeper::open(&world.options())), Code::ClockBack, "the mark outlives the process");
    world.clock.set(now);
    assert!(Keeper::open(&world.options()).is_ok());
}

fn any_clock(world: &World) -> Keeper {
    Keeper::open(&OpenOptions { clock_check: ClockCheck::AtCommands, ..world.options() }).unwrap()
}

#[test]
fn a_clock_far_ahead_leaves_no_mark_and_its_keeper_of_keys_may_accept_it() {
    let world = staff(World::new(Mode::Rehearsal));
    let keeper = world.open();
    let rick = Client::new(&keeper, &world, Some("rick"));
    rick.release(Action::Read, "lab/net").unwrap();
    let (now, year) = (world.clock.millis(), 365 * 86_400_000);
    world.clock.advance(year);
    assert_eq!(code(rick.release(Action::Read, "lab/net")), Code::ClockAhead);
    assert_eq!(code(rick.put(&Put::new("lab/net"))), Code::ClockAhead);
    assert_eq!(code(Keeper::open(&world.options())), Code::ClockAhead);
    // It was a mistake: nothing was written down, and nothing is locked.
    world.clock.set(now);
    rick.release(Action::Read, "lab/net").unwrap();
    drop(rick);
    drop(keeper);
    // It was right: whoever keeps the keys says so, nobody else, and it is in the log.
    world.clock.advance(year);
    let keeper = any_clock(&world);
    let sits = |who| Client::new(&keeper, &world, who);
    let (custodian, rick) = (sits(Some("cus")), sits(Some("rick")));
    assert_eq!(code(custodian.call(Command::Status)), Code::ClockAhead);
    assert_eq!(code(rick.call(Command::ClockAccept)), Code::Denied);
    let Answer::ClockAccepted(accepted) = custodian.call(Command::ClockAccept).unwrap() else { panic!() };
    assert_eq!(accepted.now.as_millis(), now + year);
    assert!(accepted.before.as_millis() <= now, "{accepted:?}");
    rick.release(Action::Read, "lab/net").unwrap();
    assert_eq!(entries(&sits(Some("aud")), "clock.accept")[0].entry["kind"], "denial");
    assert_eq!(entries(&sits(Some("aud")), "clock.accept")[1].entry["detail"]["now"], accepted.now.to_string());
    world.open();
    // The way back after a wrong one was accepted.
    world.clock.set(now + 10_000);
    assert_eq!(code(Keeper::open(&world.options())), Code::ClockBack);
    let keeper = any_clock(&world);
    Client::new(&keeper, &world, Some("cus")).call(Command::ClockAccept).unwrap();
    Client::new(&keeper, &world, Some("rick")).release(Action::Read, "lab/net").unwrap();
    let aud = Client::new(&keeper, &world, Some("aud"));
    assert!(state_verified(&aud).ok && log_verified(&aud).ok);
    world.open();
}

#[test]
fn a_clock_that_revives_a_grant_is_not_accepted_by_its_holder() {
    let world = staff(World::new(Mode::Rehearsal));
    let (now, hour) = (world.clock.millis(), 3_600_000);
    {
        let keeper = world.open();
        let mut add = crate::decisions::principal("temp", Class::Internal, &[("vault", "custodian")]);
        add.grants[0].until = Some(api::terms::Timestamp::from_millis(now + hour));
        Client::new(&keeper, &world, None).call(Command::PrincipalAdd(add)).unwrap();
        world.clock.set(now + 2 * hour);
        Client::new(&keeper, &world, Some("rick")).release(Action::Read, "lab/net").unwrap();
    }
    world.clock.set(now + hour / 2);
    let keeper = any_clock(&world);
    // The clock shows a time at which the grant holds; at the mark it is over, and nothing is left to see.
    assert_eq!(code(Client::new(&keeper, &world, Some("temp")).call(Command::ClockAccept)), Code::NotFound);
    Client::new(&keeper, &world, Some("cus")).call(Command::ClockAccept).unwrap();
}

#[test]
fn the_mark_of_the_clock_is_under_a_mac() {
    for edit in ["high = high + 1", "high = 0", "high = 0, mac = NULL", "mac = zeroblob(32)"] {
        let world = World::new(Mode::Solo);
        world.open();
        assert_eq!(world.tamper(&format!("UPDATE clock SET {edit}")), 1);
        assert_eq!(code(Keeper::open(&world.options())), Code::BadSignature, "{edit}");
    }
}

#[test]
fn two_processes_work_on_one_vault() {
    let world = World::new(Mode::Solo);
    let (one, two) = (world.open(), world.open());
    std::thread::scope(|scope| {
        for keeper in [&one, &two] {
            scope.spawn(|| {
                let client = Client::new(keeper, &world, None);
                for _ in 0..5 {
                    client.put(&Put::new("lab/net")).unwrap();
                    client.release(Action::Read, "lab/net@v1").unwrap();
                }
            });
        }
    });
    let client = Client::new(&one, &world, None);
    assert_eq!(client.show("lab/net").unwrap().number, 10);
    assert!(state_verified(&client).ok);
    assert!(log_verified(&client).ok);
    let status = status(&client);
    assert_eq!((status.workspaces, status.artifacts, status.versions, status.drafts), (1, 1, 10, 0));
}

fn jobs(client: &Client<'_>) -> Vec<JobItem> {
    match client.call(Command::Jobs).unwrap() {
        Answer::Jobs(list) => list.items,
        other => panic!("{other:?}"),
    }
}

fn overdue(client: &Client<'_>) -> Vec<String> {
    let due: Vec<String> = jobs(client).into_iter().filter(|job| job.overdue).map(|job| job.name).collect();
    assert_eq!(status(client).jobs_overdue, due);
    due
}

fn ran(client: &Client<'_>, name: Option<&str>) -> Vec<(String, u64)> {
    match client.call(Command::JobsRun { name: name.map(str::to_owned) }).unwrap() {
        Answer::JobsRan(ran) => {
            assert!(ran.items.iter().all(|job| job.failed.is_none()), "{ran:?}");
            ran.items.into_iter().map(|job| (job.name, job.done)).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn jobs_that_are_due_run_to_their_end_and_are_listed_until_then() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    for n in 0..3 {
        client.put(&Put::new(&format!("lab/net-{n}"))).unwrap();
    }
    let draft = Put::new("lab/draft");
    client.begin(&draft).unwrap();
    keeper.settle().unwrap();
    assert!(overdue(&client).is_empty(), "{:?}", jobs(&client));
    rotate(&client, KeyRotate { no_wait: true, ..KeyRotate::default() });
    keeper.settle().unwrap();
    assert_eq!(overdue(&client), ["rewrap"]);
    assert_eq!(ran(&client, None), [("rewrap".to_owned(), 4), ("log".to_owned(), 1)]);
    assert!(overdue(&client).is_empty());

    // A day later remembered commands are looked through; eight days later nobody will finish the draft.
    world.clock.advance(86_400_000);
    assert_eq!(overdue(&client), ["commands"]);
    keeper.go_on(std::time::Duration::from_secs(60)).unwrap();
    assert!(overdue(&client).is_empty());
    let commands = jobs(&client).into_iter().find(|job| job.name == "commands").unwrap();
    assert_eq!(commands.last.map(|last| last.as_millis()), Some(world.clock.millis()));
    world.clock.advance(8 * 86_400_000);
    assert_eq!(overdue(&client), ["drafts", "commands"]);
    assert_eq!(status(&client).drafts, 1);
    assert_eq!(ran(&client, Some("drafts")), [("drafts".to_owned(), 1)]);
    assert_eq!(status(&client).drafts, 0);
    let (begun, _) = client.begin(&Put::new("lab/other")).unwrap();
    assert!(client.commit(&draft, &begun).is_err(), "it was given up");
    assert!(state_verified(&client).ok);
}

#[test]
fn a_job_is_one_of_the_list_and_a_client_speaks_for_its_own_only() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    assert_eq!(code(client.call(Command::JobsRun { name: Some("tea".into()) })), Code::BadRequest);
    assert_eq!(code(client.call(Command::JobDone { name: "tea".into() })), Code::BadRequest);
    assert_eq!(code(client.call(Command::JobDone { name: "log".into() })), Code::BadRequest);
    world.clock.advance(31 * 86_400_000);
    assert!(overdue(&client).contains(&"verify".to_owned()));
    client.call(Command::JobDone { name: "verify".into() }).unwrap();
    assert!(!overdue(&client).contains(&"verify".to_owned()));
}

#[test]
fn when_a_job_ran_last_is_under_a_mac() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    ran(&client, Some("commands"));
    assert_eq!(world.tamper("UPDATE job SET last = last + 1"), 1);
    assert_eq!(code(client.call(Command::Jobs)), Code::BadSignature);
}
