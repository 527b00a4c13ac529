//! Erasing a person: nothing personal is left, the log verifies, and no erasure is faked, hidden, or undone unseen.

use crate::decisions::{entries, principal, staff};
use crate::destroy::Dying;
use crate::runs::{over, start};
use crate::world::{Client, Put, World, code, name};
use api::terms::{Action, Class, Code, DecisionId, Mode, PrincipalId, Timestamp};
use api::wire::{
    Answer, AuditFilter, AuditItem, BackupCreate, Command, DecisionsReplayed, HoldLift, HoldSet, Outcome, PrincipalAdd,
    PrincipalErase, PrincipalErased, PrincipalItem, Problem, WhoCan,
};
use keeper::Keeper;
use keeper::backup::{self, Fork, Opening, RestoreOptions};
use keeper::datastore::Datastore;
use keeper::datastore::sqlite::{Options, Sqlite};
use keeper::vault::{OpenOptions, RootMeans, RootUnlock};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

const REASON: &str = "the trial of patient 4711";

pub fn suspend(owner: &Client<'_>, who: &str) {
    let add = PrincipalAdd {
        change: true,
        suspended: Some(true),
        kind: None,
        clearance: None,
        ..principal(who, Class::Public, &[])
    };
    owner.call(Command::PrincipalAdd(add)).unwrap();
}

pub fn erase(client: &Client<'_>, who: &str) -> Result<PrincipalErased, Problem> {
    let erase = PrincipalErase { name: name(who), reason: "request 17".into() };
    match client.call(Command::PrincipalErase(erase))? {
        Answer::PrincipalErased(done) => Ok(*done),
        other => panic!("{other:?}"),
    }
}

fn people(client: &Client<'_>) -> Vec<PrincipalItem> {
    match client.call(Command::PrincipalList).unwrap() {
        Answer::Principals { items } => items,
        other => panic!("{other:?}"),
    }
}

fn replayed(client: &Client<'_>) -> DecisionsReplayed {
    match client.call(Command::DecisionsReplay).unwrap() {
        Answer::DecisionsReplayed(told) => told,
        other => panic!("{other:?}"),
    }
}

fn state_failures(client: &Client<'_>) -> Vec<String> {
    match client.call(Command::StateVerify).unwrap() {
        Answer::StateVerified(verified) => verified.failures,
        other => panic!("{other:?}"),
    }
}

fn shown(client: &Client<'_>, entry: &serde_json::Value) -> Result<AuditItem, Problem> {
    let entry = entry["id"].as_str().unwrap().to_owned();
    match client.call(Command::AuditShow { entry })? {
        Answer::Entry(item) => Ok(*item),
        other => panic!("{other:?}"),
    }
}

/// Rick reads something for a reason, and tries what he may not.
fn lived(world: &World) -> PrincipalId {
    let keeper = world.open();
    let rick = Client::new(&keeper, world, Some("rick"));
    rick.release_with(Action::Read, "lab/net", Some(REASON), None).unwrap();
    rick.put(&Put::new("lab/net").class(Class::Confidential)).unwrap_err();
    let id = rick.session.principal();
    drop(rick);
    keeper.close().unwrap();
    id
}

fn all(client: &Client<'_>) -> Vec<AuditItem> {
    match client.call(Command::Audit(AuditFilter { limit: 1000, ..AuditFilter::default() })).unwrap() {
        Answer::Audit(page) => page.items,
        other => panic!("{other:?}"),
    }
}

/// Everything that entries say in the clear.
fn bodies(items: &[AuditItem]) -> String {
    items.iter().map(|item| item.entry.to_string()).collect()
}

/// Whether some bytes stand anywhere in a folder.
fn stands(folder: &Path, needle: &str) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return stands(&path, needle);
        }
        let bytes = std::fs::read(&path).unwrap();
        bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
    })
}

/// What lies sealed of somebody: the key, the name and what finds it, and what the sidecar of the log holds.
fn sealed(world: &World, id: PrincipalId) -> Vec<String> {
    let db = rusqlite::Connection::open(world.dir().join("keeper.db")).unwrap();
    let body: Vec<u8> =
        db.query_row("SELECT body FROM subject WHERE id = ?1", [id.as_bytes()], |row| row.get(0)).unwrap();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let kept = ["key", "name", "name_index"].map(|field| body[field].as_str().unwrap().to_owned());
    let mut rows = db.prepare("SELECT sealed FROM sidecar WHERE subject = ?1").unwrap();
    let rows = rows.query_map([id.as_bytes()], |row| row.get(0)).unwrap();
    let rows = rows.map(|sealed| String::from_utf8(sealed.unwrap()).unwrap());
    let kept: Vec<String> = kept.into_iter().chain(rows).collect();
    assert!(kept.iter().all(|text| text.len() >= 64 && stands(&world.dir(), text)), "{kept:?}");
    kept
}

/// Runs the job; how many people it saw to, and why it failed.
fn go_on(owner: &Client<'_>) -> (u64, Option<String>) {
    match owner.call(Command::JobsRun { name: Some("erase".into()) }).unwrap() {
        Answer::JobsRan(mut ran) => ran.items.pop().map(|item| (item.done, item.failed)).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn who_is_erased_is_an_id(world: &World) {
    let id = lived(world);
    let keeper = world.open();
    let (owner, aud) = (Client::new(&keeper, world, None), Client::new(&keeper, world, Some("aud")));
    let read = entries(&aud, "release.read").pop().unwrap();
    assert_eq!((read.principal.as_deref(), &read.disclosed["reason"]["value"]), (Some("rick"), &REASON.into()));
    let before = replayed(&aud);
    assert!(before.ok && before.erased == 0, "{before:?}");
    let then = Timestamp::from_millis(world.clock.millis());
    world.clock.advance(1000);
    suspend(&owner, "rick");
    let done = erase(&owner, "rick").unwrap();
    assert_eq!((done.id, done.grants, done.runs, done.backup, done.finished), (id, 1, 0, None, true));
    // The name twice, when it was added and when it was suspended, and the reason.
    assert_eq!(done.values, 3);

    // Its entries name an id, and what they commit to is gone.
    let erased = format!("{id} (erased)");
    let read = shown(&aud, &read.entry).unwrap();
    assert_eq!(read.principal.as_deref(), Some(erased.as_str()));
    assert_eq!(read.disclosed, serde_json::json!({ "reason": { "erased": true } }));
    let replay = read.replayed.unwrap();
    assert_eq!((replay.outcome, replay.why), (Outcome::Erased, Some(format!("{id} was erased since"))));
    let added: Vec<AuditItem> = entries(&aud, "principal")
        .into_iter()
        .filter(|item| item.entry["subject"]["principal"] == id.to_string())
        .collect();
    assert_eq!(added.len(), 4, "added, suspended, erased, and the bytes forgotten");
    assert!(added[..2].iter().all(|item| item.disclosed == serde_json::json!({ "name": { "erased": true } })));
    assert_eq!(added[2].disclosed["reason"]["value"], "request 17");
    let detail = serde_json::json!({ "backup": "none", "grants": "1", "runs": "0", "values": "3" });
    assert_eq!(added[2].entry["detail"], detail);
    let decision: DecisionId = read.entry["decision"]["id"].as_str().unwrap().parse().unwrap();
    match aud.call(Command::DecisionShow { decision }).unwrap() {
        Answer::Decision(told) => {
            assert_eq!((told.replayed.outcome, told.facts.is_none()), (Outcome::Erased, true));
            assert_eq!(told.principal.as_deref(), Some(erased.as_str()));
        }
        other => panic!("{other:?}"),
    }

    // Who might do what is told of the past still: of an id.
    let ask = WhoCan {
        action: Action::Read,
        reference: Some("lab/net".into()),
        environment: None,
        as_of: Some(then),
        after: None,
        limit: 100,
    };
    match owner.call(Command::WhoCan(ask)).unwrap() {
        Answer::WhoCan(page) => assert!(page.items.iter().any(|holder| holder.principal == erased), "{page:?}"),
        other => panic!("{other:?}"),
    }

    // The log holds whole, as does every proof in it.
    let told = replayed(&aud);
    assert!(told.ok && told.erased >= 2, "{told:?}");
    assert_eq!(told.same + told.erased, before.same + 2, "suspended and erased");
    assert_eq!(state_failures(&aud), [""; 0]);
    match aud.call(Command::AuditVerify).unwrap() {
        Answer::LogVerified(log) => assert!(log.ok, "{log:?}"),
        other => panic!("{other:?}"),
    }
    let entry = read.entry["id"].as_str().unwrap().to_owned();
    assert!(matches!(aud.call(Command::AuditProve { entry }), Ok(Answer::Proof { .. })));

    // Somebody new under the name is somebody new.
    let unknown = keeper.session(Some(&name("rick")), [0; 32]).unwrap_err();
    assert_eq!(unknown.code, Code::NotFound);
    assert_eq!(code(erase(&owner, "rick")), Code::NotFound);
    owner.call(Command::PrincipalAdd(principal("rick", Class::Public, &[]))).unwrap();
    let listed = people(&owner);
    let again = listed.iter().find(|item| item.name == "rick").unwrap();
    assert!(again.id != id && again.grants.is_empty() && again.erased.is_none());
    let gone = listed.iter().find(|item| item.id == id).unwrap();
    assert_eq!((gone.name.as_str(), gone.erased.is_some(), gone.suspended), (erased.as_str(), true, true));
    assert_eq!((gone.clearance, gone.grants.len()), (Class::Public, 0));
    assert_eq!(entries(&aud, "release.read").pop().unwrap().principal.as_deref(), Some(erased.as_str()));
    assert!(!bodies(&all(&aud)).contains("rick"));
    drop((owner, aud));
    keeper.close().unwrap();
}

#[test]
fn who_is_erased_is_an_id_in_a_log_that_verifies() {
    who_is_erased_is_an_id(&staff(World::new(Mode::Rehearsal)));
}

#[test]
fn who_is_erased_is_an_id_in_a_database_on_a_server_too() {
    who_is_erased_is_an_id(&staff(World::postgres(Mode::Rehearsal)));
}

#[test]
fn no_byte_is_left_of_a_person_who_was_erased() {
    let world = staff(World::new(Mode::Rehearsal));
    let id = lived(&world);
    let kept = sealed(&world, id);
    assert_eq!(kept.len(), 5, "and in the sidecar the name and the reason");
    let keeper = world.open();
    let owner = Client::new(&keeper, &world, None);
    suspend(&owner, "rick");
    erase(&owner, "rick").unwrap();
    for text in &kept {
        assert!(!stands(world.tmp.path(), text), "{text}");
    }
    drop(owner);
    keeper.close().unwrap();
    for text in &kept {
        assert!(!stands(world.tmp.path(), text), "{text}");
    }
}

#[test]
fn nobody_is_erased_who_is_active_held_or_the_owner_and_nobody_erases_themselves() {
    for world in World::both(Mode::Rehearsal).map(staff) {
        lived(&world);
        let keeper = world.open();
        let (owner, wanda) = (Client::new(&keeper, &world, None), Client::new(&keeper, &world, Some("wanda")));
        let why = |client: &Client<'_>, who: &str| {
            let refused = erase(client, who).unwrap_err();
            (refused.code, refused.why)
        };
        assert_eq!(code(erase(&wanda, "rick")), Code::Denied);
        assert_eq!(code(erase(&owner, "nobody")), Code::NotFound);
        let active = erase(&owner, "rick").unwrap_err();
        assert_eq!(active.code, Code::Conflict);
        assert_eq!(active.try_.as_deref(), Some("strongroom principal add rick --change --suspended"));
        let (refused, text) = why(&owner, "olivia");
        assert!(refused == Code::Conflict && text.contains("owns the vault"), "{text}");
        owner.call(Command::PrincipalAdd(principal("second", Class::Restricted, &[("vault", "owner")]))).unwrap();
        let second = Client::new(&keeper, &world, Some("second"));
        let (refused, text) = why(&second, "second");
        assert!(refused == Code::Conflict && text.contains("nobody erases themselves"), "{text}");
        assert!(why(&second, "olivia").1.contains("owns the vault"));

        suspend(&owner, "rick");
        for reason in ["", "  ", "Rick asked for it", "request of RICK"] {
            let erase = PrincipalErase { name: name("rick"), reason: reason.into() };
            assert_eq!(code(owner.call(Command::PrincipalErase(erase))), Code::BadRequest, "{reason}");
        }
        // What wanda made is held, as a whole or one version of it; what rick only read is not his.
        let hold =
            |reference: &str| HoldSet { reference: reference.into(), name: name("case"), reason: "a case".into() };
        let lift = HoldLift { reference: "lab/net".into(), name: name("case"), reason: "closed".into() };
        suspend(&owner, "wanda");
        for reference in ["lab/net", "lab/net@v1"] {
            owner.call(Command::HoldSet(hold(reference))).unwrap();
            let held = erase(&owner, "wanda").unwrap_err();
            assert_eq!((held.code, held.try_.as_deref()), (Code::Conflict, Some("strongroom hold ls lab/net")));
            let lift = HoldLift { reference: reference.into(), ..lift.clone() };
            if reference == "lab/net@v1" {
                erase(&second, "rick").unwrap();
            }
            owner.call(Command::HoldLift(lift)).unwrap();
        }
        erase(&owner, "wanda").unwrap();
        // Who made it is not known any more, and it stays.
        assert!(owner.show("lab/net").unwrap().creator.ends_with(" (erased)"));
        let aud = Client::new(&keeper, &world, Some("aud"));
        assert_eq!(state_failures(&aud), [""; 0]);
        let log = bodies(&entries(&aud, "principal.erase"));
        assert!(!log.contains("rick") && !log.contains("request 17"), "{log}");
    }
}

#[test]
fn the_owner_of_a_solo_vault_stays() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let owner = Client::new(&keeper, &world, None);
    let refused = erase(&owner, "olivia").unwrap_err();
    assert!(refused.code == Code::Conflict && refused.why.contains("owns the vault"), "{refused}");
    owner.call(Command::PrincipalAdd(principal("ann", Class::Internal, &[]))).unwrap();
    suspend(&owner, "ann");
    assert!(erase(&owner, "ann").unwrap().finished);
}

/// The database as it was; each attack starts from there.
fn restored(world: &World, whole: &[u8]) {
    std::fs::write(world.dir().join("keeper.db"), whole).unwrap();
    for rest in ["keeper.db-wal", "keeper.db-shm"] {
        let _ = std::fs::remove_file(world.dir().join(rest));
    }
}

#[test]
fn a_row_that_was_taken_out_is_no_erasure() {
    let world = staff(World::new(Mode::Rehearsal));
    let id = lived(&world);
    let whole = std::fs::read(world.dir().join("keeper.db")).unwrap();
    let read = {
        let keeper = world.open();
        entries(&Client::new(&keeper, &world, Some("aud")), "release.read").pop().unwrap().entry
    };
    let rick = format!("X'{id}'");
    let entry = read["id"].as_str().unwrap();
    let attacks = [
        // His key is gone, and nothing says that it should be.
        (format!("DELETE FROM subject WHERE id = {rick}"), true, true),
        // The value is gone, and the key is not.
        (format!("DELETE FROM sidecar WHERE owner = X'{entry}'"), true, false),
        // Another person's value in its place, and one of his own from elsewhere.
        (
            format!(
                "UPDATE sidecar SET sealed = (SELECT sealed FROM sidecar WHERE subject <> {rick} LIMIT 1) WHERE owner = X'{entry}'"
            ),
            true,
            false,
        ),
        (
            format!(
                "UPDATE sidecar SET sealed = (SELECT sealed FROM sidecar WHERE subject = {rick} AND owner <> X'{entry}') WHERE owner = X'{entry}'"
            ),
            true,
            false,
        ),
        // Another person's key under his id.
        (
            format!(
                "INSERT OR REPLACE INTO subject SELECT {rick}, 'x', body, salt, ticket, mac FROM subject WHERE id <> {rick} LIMIT 1"
            ),
            true,
            true,
        ),
        // The record of the decision.
        (format!("DELETE FROM cas WHERE ticket = {}", read["ticket"]), false, true),
    ];
    for (sql, shows, replays) in attacks {
        assert_eq!(world.tamper(&sql), 1, "{sql}");
        let keeper = world.open();
        let aud = Client::new(&keeper, &world, Some("aud"));
        let item = shown(&aud, &read);
        assert_eq!(item.as_ref().is_err_and(|problem| problem.code == Code::BadSignature), shows, "{sql}: {item:?}");
        let told = replayed(&aud);
        assert_eq!((told.ok, told.erased), (!replays, 0), "{sql}: {told:?}");
        drop(aud);
        drop(keeper);
        restored(&world, &whole);
    }
    // A mark of an erasure without one: the row's MAC says no, and so does the log.
    let marked = "\"created\"";
    let erased = format!("\"erased\":{{\"at\":1,\"by\":\"{id}\",\"finished\":1}},\"created\"");
    let sql = format!(
        "UPDATE principal SET body = CAST(replace(CAST(body AS TEXT), '{marked}', '{erased}') AS BLOB) WHERE id = {rick}"
    );
    assert_eq!(world.tamper(&sql), 1);
    assert_eq!(world.tamper(&format!("DELETE FROM subject WHERE id = {rick}")), 1);
    let keeper = world.open();
    let aud = Client::new(&keeper, &world, Some("aud"));
    assert_eq!(code(shown(&aud, &read)), Code::BadSignature);
    let told = replayed(&aud);
    assert!(!told.ok && told.erased == 0, "{told:?}");
    let failures = state_failures(&aud);
    assert!(
        ["principal", "subject"].iter().all(|table| failures.iter().any(|told| told.contains(table))),
        "{failures:?}"
    );
}

#[test]
fn an_erasure_that_is_hidden_or_undone_in_the_database_shows() {
    let world = staff(World::new(Mode::Rehearsal));
    let id = lived(&world);
    let rick = format!("X'{id}'");
    let old = std::fs::read(world.dir().join("keeper.db")).unwrap();
    let copy = world.tmp.path().join("copy.db");
    std::fs::write(&copy, old).unwrap();
    let keeper = world.open();
    let owner = Client::new(&keeper, &world, None);
    suspend(&owner, "rick");
    erase(&owner, "rick").unwrap();
    drop(owner);
    keeper.close().unwrap();
    let whole = std::fs::read(world.dir().join("keeper.db")).unwrap();
    let back = |tables: &[&str]| {
        let db = rusqlite::Connection::open(world.dir().join("keeper.db")).unwrap();
        db.execute("ATTACH ?1 AS old", [copy.to_str().unwrap()]).unwrap();
        for table in tables {
            let column = if *table == "role_grant" { "principal" } else { "id" };
            let sql = format!("INSERT OR REPLACE INTO main.{table} SELECT * FROM old.{table} WHERE {column} = {rick}");
            assert_eq!(db.execute(&sql, []).unwrap(), 1, "{table}");
        }
    };
    // The key and the name alone: they are believed nothing.
    back(&["subject"]);
    {
        let keeper = world.open();
        assert_eq!(code(keeper.session(Some(&name("rick")), [0; 32])), Code::BadSignature);
        let aud = Client::new(&keeper, &world, Some("aud"));
        let read = keeper.call(&aud.session, Command::Audit(AuditFilter { limit: 100, ..AuditFilter::default() }));
        assert_eq!(code(read), Code::BadSignature);
        let failures = state_failures(&aud);
        assert!(failures.len() == 1 && failures[0].contains("subject"), "{failures:?}");
    }
    // Everything that there was, under MACs that held once: the log tells that it is of before.
    restored(&world, &whole);
    back(&["subject", "principal", "role_grant"]);
    let keeper = world.open();
    let aud = Client::new(&keeper, &world, Some("aud"));
    let failures = state_failures(&aud);
    for table in ["subject", "principal", "role_grant"] {
        assert!(failures.iter().any(|told| told.contains(table)), "{table}: {failures:?}");
    }
}

/// Restores a backup under an anchor.
fn restore(world: &World, file: &Path, dir: &Path, anchor: &Path, fork: Fork) -> Result<backup::Restored, Problem> {
    let means = RootMeans { root: None, unlock: RootUnlock::Keyfile(world.keyfile()) };
    backup::restore(&RestoreOptions {
        file: file.to_owned(),
        dir: dir.to_owned(),
        opening: Opening::Roots(vec![Arc::new(means)]),
        anchor: anchor.to_owned(),
        fork,
        clock: world.clock.clone(),
    })
}

fn open(world: &World, dir: &Path, anchor: &Path) -> Keeper {
    let root = RootUnlock::Keyfile(world.keyfile());
    let options = OpenOptions::new(dir.to_owned(), root, anchor.to_owned());
    Keeper::open(&OpenOptions { clock: world.clock.clone(), ..options }).unwrap()
}

#[test]
fn a_backup_from_before_brings_nobody_back_where_the_anchor_is() {
    let world = staff(World::new(Mode::Rehearsal));
    let id = lived(&world);
    let file = world.tmp.path().join("backup");
    let keeper = world.open();
    let owner = Client::new(&keeper, &world, None);
    let custodian = Client::new(&keeper, &world, Some("cus"));
    custodian.call(Command::BackupCreate(BackupCreate { file: file.to_str().unwrap().into() })).unwrap();
    suspend(&owner, "rick");
    let done = erase(&owner, "rick").unwrap();
    // How far it does not reach is said, and stands in the log.
    let backup = done.backup.expect("the backup");
    let aud = Client::new(&keeper, &world, Some("aud"));
    assert_eq!(entries(&aud, "principal.erase").pop().unwrap().entry["detail"]["backup"], backup.to_string());
    drop((owner, aud, custodian));
    keeper.close().unwrap();

    let dir = world.tmp.path().join("new");
    let refused = restore(&world, &file, &dir, &world.anchor(), Fork::Refused).unwrap_err();
    assert_eq!(refused.code, Code::BehindAnchor);
    // Elsewhere nobody knows: that is what the backup stands in the entry for.
    let (other, far) = (world.tmp.path().join("other"), world.tmp.path().join("far.anchor"));
    restore(&world, &file, &other, &far, Fork::Refused).unwrap();
    let keeper = open(&world, &other, &far);
    assert_eq!(keeper.session(Some(&name("rick")), [0; 32]).unwrap().principal(), id);
    drop(keeper);

    // A list that somebody wrote erases nobody, and is not passed over.
    let list = world.anchor().with_file_name("anchor.erased");
    let kept = std::fs::read_to_string(&list).unwrap();
    assert!(kept.contains(&id.to_string()) && !kept.contains("rick"), "{kept}");
    for forged in [kept.replace(&id.to_string(), &PrincipalId::from_bytes([7; 16]).to_string()), "{}".into()] {
        std::fs::write(&list, forged).unwrap();
        let refused = restore(&world, &file, &dir, &world.anchor(), Fork::Accepted).unwrap_err();
        assert!(refused.code == Code::Integrity && refused.why.contains("anchor.erased"), "{refused}");
    }
    std::fs::write(&list, kept).unwrap();
    let _ = std::fs::remove_dir_all(&dir);
    restore(&world, &file, &dir, &world.anchor(), Fork::Accepted).unwrap();
    let keeper = open(&world, &dir, &world.anchor());
    assert_eq!(keeper.session(Some(&name("rick")), [0; 32]).unwrap_err().code, Code::NotFound);
    let (owner, aud) = (Client::new(&keeper, &world, None), Client::new(&keeper, &world, Some("aud")));
    assert_eq!(go_on(&owner), (1, None));
    let again = entries(&aud, "principal.erase").pop().unwrap().entry;
    assert_eq!((&again["detail"]["why"], &again["auth"]["method"]), (&"restored".into(), &"system".into()));
    assert_eq!(entries(&aud, "principal.erased").len(), 1);
    let told = replayed(&aud);
    assert!(told.ok && told.erased > 0, "{told:?}");
    assert_eq!(state_failures(&aud), [""; 0]);
}

#[test]
fn a_list_that_cannot_be_written_is_told_and_written_later() {
    for world in World::both(Mode::Rehearsal).map(staff) {
        let id = lived(&world);
        let keeper = world.open();
        let owner = Client::new(&keeper, &world, None);
        suspend(&owner, "rick");
        let list = world.anchor().with_file_name("anchor.erased");
        // In the way of the file that becomes the list.
        let in_the_way = list.with_file_name("anchor.erased.partial");
        std::fs::create_dir(&in_the_way).unwrap();
        let done = erase(&owner, "rick").unwrap();
        let why = done.unfinished.unwrap();
        assert!(!done.finished && why.contains("cannot be written") && why.contains("anchor.erased"), "{why}");
        let (seen_to, failed) = go_on(&owner);
        assert_eq!((seen_to, failed), (0, Some(why)));
        std::fs::remove_dir(&in_the_way).unwrap();
        assert_eq!(go_on(&owner), (1, None));
        assert!(std::fs::read_to_string(&list).unwrap().contains(&id.to_string()));
        let aud = Client::new(&keeper, &world, Some("aud"));
        assert_eq!((entries(&aud, "principal.erase").len(), entries(&aud, "principal.erased").len()), (1, 1));
    }
}

#[test]
fn a_list_that_does_not_hold_is_not_written_over() {
    let world = staff(World::new(Mode::Rehearsal));
    let id = lived(&world);
    let keeper = world.open();
    let owner = Client::new(&keeper, &world, None);
    let list = world.anchor().with_file_name("anchor.erased");
    suspend(&owner, "alice");
    let first = erase(&owner, "alice").unwrap();
    assert!(first.finished && first.unfinished.is_none());
    let kept = std::fs::read_to_string(&list).unwrap();
    let forged = kept.replace(&first.id.to_string(), &PrincipalId::from_bytes([7; 16]).to_string());
    std::fs::write(&list, &forged).unwrap();
    suspend(&owner, "rick");
    let done = erase(&owner, "rick").unwrap();
    let why = done.unfinished.unwrap();
    assert!(!done.finished && why.contains("anchor.erased") && why.contains("is not a list of the erased"), "{why}");
    assert_eq!(go_on(&owner).1, Some(why));
    assert_eq!(std::fs::read_to_string(&list).unwrap(), forged, "what shows it stays");
    // Nor is one of which nobody knows how it ends.
    std::fs::File::options().write(true).open(&list).unwrap().set_len((64 << 20) + 1).unwrap();
    assert!(go_on(&owner).1.is_some_and(|why| why.contains("is longer than any list")));
    assert_eq!(std::fs::metadata(&list).unwrap().len(), (64 << 20) + 1);
    std::fs::write(&list, &kept).unwrap();
    assert_eq!(go_on(&owner), (1, None));
    let now = std::fs::read_to_string(&list).unwrap();
    assert!([first.id, id].iter().all(|id| now.contains(&id.to_string())), "{now}");
}

#[test]
fn more_runs_than_an_entry_holds_end_with_whoever_is_erased_and_in_a_backup_from_before() {
    let world = staff(World::new(Mode::Rehearsal));
    let file = world.tmp.path().join("backup");
    let keeper = world.open();
    let (owner, wanda) = (Client::new(&keeper, &world, None), Client::new(&keeper, &world, Some("wanda")));
    let custodian = Client::new(&keeper, &world, Some("cus"));
    for _ in 0..300 {
        start(&wanda, over(&["lab/net"], &[])).unwrap();
    }
    custodian.call(Command::BackupCreate(BackupCreate { file: file.to_str().unwrap().into() })).unwrap();
    suspend(&owner, "wanda");
    let done = erase(&owner, "wanda").unwrap();
    assert_eq!((done.runs, done.finished), (300, true));
    let ended = |aud: &Client<'_>| {
        let (first, more) = (entries(aud, "principal.erase"), entries(aud, "principal.erase-runs"));
        assert_eq!((first.len(), more.len()), (1, 1));
        assert_eq!(first[0].entry["ticket"], more[0].entry["ticket"], "in one transaction");
        let runs = [&first[0], &more[0]].map(|item| item.entry["detail"]["runs"].as_str().unwrap().to_owned());
        assert_eq!(runs, ["300", "44"]);
        assert_eq!(state_failures(aud), [""; 0]);
    };
    let aud = Client::new(&keeper, &world, Some("aud"));
    ended(&aud);
    drop((owner, wanda, custodian, aud));
    keeper.close().unwrap();

    let dir = world.tmp.path().join("new");
    restore(&world, &file, &dir, &world.anchor(), Fork::Accepted).unwrap();
    let keeper = open(&world, &dir, &world.anchor());
    assert_eq!(keeper.session(Some(&name("wanda")), [0; 32]).unwrap_err().code, Code::NotFound);
    ended(&Client::new(&keeper, &world, Some("aud")));
}

#[test]
fn an_erasure_that_broke_off_goes_on() {
    let world = staff(World::new(Mode::Rehearsal));
    let id = lived(&world);
    let keeper = world.open();
    suspend(&Client::new(&keeper, &world, None), "rick");
    keeper.close().unwrap();
    let kept = sealed(&world, id);
    assert_eq!(kept.len(), 6);
    let (mut deaths, mut halves) = (0, 0);
    loop {
        let inner = Sqlite::open(&world.dir().join("keeper.db"), &Options::default()).unwrap();
        let dying = Arc::new(Dying { inner, left: AtomicI64::new(i64::MAX) });
        let store = Some(Datastore::new(dying.clone()));
        let keeper = Keeper::open(&OpenOptions { store, ..world.options() }).unwrap();
        let owner = Client::new(&keeper, &world, None);
        dying.left.store(deaths, Ordering::SeqCst);
        let done = erase(&owner, "rick");
        deaths += 1;
        assert!(deaths < 9, "it does not get on");
        dying.left.store(i64::MAX, Ordering::SeqCst);
        match done {
            Ok(done) if done.finished => break,
            // It stands: what is left is the job's.
            Ok(done) => {
                assert!(done.unfinished.is_some_and(|why| why.contains("the test")));
                halves += 1;
            }
            Err(problem) if problem.code == Code::NotFound => halves += 1,
            Err(problem) => {
                assert_eq!(problem.code, Code::Unavailable, "{problem}");
                if people(&owner).iter().any(|item| item.name == "rick") {
                    continue;
                }
                halves += 1;
            }
        }
        assert_eq!(state_failures(&Client::new(&keeper, &world, Some("aud"))), [""; 0]);
        assert_eq!(go_on(&owner), (1, None));
        break;
    }
    assert!(deaths >= 2 && halves > 0, "{deaths} {halves}");
    let keeper = world.open();
    let aud = Client::new(&keeper, &world, Some("aud"));
    assert_eq!((entries(&aud, "principal.erase").len(), entries(&aud, "principal.erased").len()), (1, 1));
    assert_eq!(state_failures(&aud), [""; 0]);
    for text in &kept {
        assert!(!stands(world.tmp.path(), text), "{text}");
    }
}

#[test]
fn whoever_is_erased_while_at_work_leaves_nothing_behind_the_erasure() {
    let world = staff(World::new(Mode::Rehearsal));
    let keeper = world.open();
    let (owner, rick) = (Client::new(&keeper, &world, None), Client::new(&keeper, &world, Some("rick")));
    let id = rick.session.principal();
    rick.release_with(Action::Read, "lab/net", Some(REASON), None).unwrap();
    let kept = sealed(&world, id);
    assert_eq!(kept.len(), 5);
    let last = std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            // Bounded: a suspension ends it, and so does the erasure.
            (0..100_000).find_map(|_| match rick.release_with(Action::Read, "lab/net", Some(REASON), None) {
                Err(problem) if problem.code == Code::Gone && problem.why.contains("was erased") => Some(problem),
                Ok(_) | Err(_) => None,
            })
        });
        suspend(&owner, "rick");
        erase(&owner, "rick").unwrap();
        worker.join().unwrap()
    });
    assert!(last.is_some(), "it was told that it is over");
    let aud = Client::new(&keeper, &world, Some("aud"));
    let told = replayed(&aud);
    assert!(told.ok && told.erased > 0, "{told:?}");
    let erased = entries(&aud, "principal.erase").pop().unwrap().entry["ticket"].as_i64().unwrap();
    let decided = |item: &&AuditItem| item.entry["principal"] == id.to_string() && item.entry["decision"].is_object();
    let all = entries(&aud, "release");
    assert!(all.iter().filter(decided).all(|item| item.entry["ticket"].as_i64().unwrap() < erased));
    assert_eq!(state_failures(&aud), [""; 0]);
    // Whoever read meanwhile may have kept the bytes there.
    assert_eq!(go_on(&owner).1, None);
    assert_eq!(entries(&aud, "principal.erased").len(), 1);
    for text in &kept {
        assert!(!stands(world.tmp.path(), text), "{text}");
    }
}
