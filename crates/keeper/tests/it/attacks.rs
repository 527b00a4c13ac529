//! Who can write the database cannot raise access; who can send requests cannot borrow another's.

mod wraps;

use super::decisions::{entries, principal, staff};
use crate::world::{Asked, Client, Put, World, code, name};
use api::terms::{Action, Class, Code, Mode, PrincipalKind};
use api::wire::{Answer, Begin, Command, GrantSpec, PolicyApply, PrincipalAdd, Release, Revocation};
use keeper::Keeper;
use seal::envelope;
use seal::hpke::OneTimeKey;
use seal::request::{Ask, SignedRequest};
use seal::secret::SigningSeed;
use seal::sign::SigningKey;
use std::sync::atomic::{AtomicBool, Ordering};
use testkit::suites;

fn put_one(world: &World, class: Class) {
    let keeper = world.open();
    let client = Client::new(&keeper, world, None);
    client.put(&Put::new("lab/net").class(class)).unwrap();
    keeper.close().unwrap();
}

/// Opens and asks for the keys: the first refusal on the way.
fn outcome(world: &World) -> Result<(), api::wire::Problem> {
    let keeper = Keeper::open(&world.options())?;
    let key = SigningKey::from_seed(&SigningSeed::generate().unwrap()).unwrap();
    keeper.session(None, *key.verifying_key().as_bytes())?;
    let client = Client::new(&keeper, world, None);
    client.show("lab/net")?;
    client.release(Action::Export, "lab/net").map(|_| ())
}

#[test]
fn every_edited_row_that_a_release_reads_is_refused_by_its_mac() {
    suites::each(|| {
        let text = |table: &str, from: &str, to: &str| {
            format!("UPDATE {table} SET body = CAST(replace(CAST(body AS TEXT), '{from}', '{to}') AS BLOB)")
        };
        let here = suites::current();
        let there = suites::ALL.into_iter().find(|suite| *suite != here).unwrap();
        let flipped = |table: &str| text(table, &format!("\"suite\":\"{here}\""), &format!("\"suite\":\"{there}\""));
        let edits = [
            text("version", "\"class\":\"confidential\"", "\"class\":\"public\""),
            text("artifact", "\"class\":\"confidential\"", "\"class\":\"public\""),
            text("principal", "\"clearance\":\"restricted\"", "\"clearance\":\"public\""),
            text("principal", "\"suspended\":false", "\"suspended\":true"),
            text("role_grant", "\"role\":\"owner\"", "\"role\":\"reader\""),
            text("policy_set", "\"hash\":\"", "\"hash\":\"0"),
            text("wrap", "\"under_version\":1", "\"under_version\":2"),
            text("crypto_key", "\"version\":1", "\"version\":2"),
            text("workspace", "\"name\":\"lab\"", "\"name\":\"lob\""),
            flipped("version"),
            flipped("wrap"),
            flipped("crypto_key"),
            text("setting", "\"name\":\"crypto\"", "\"name\":\"crypt0\""),
            text("setting", "\"value\":\"solo\"", "\"value\":\"rehearsal\""),
            "UPDATE role_grant SET ticket = ticket + 1".to_owned(),
            "UPDATE principal SET salt = randomblob(16)".to_owned(),
            "UPDATE artifact SET mac = zeroblob(32)".to_owned(),
            // Index columns find rows; they must say what the body says.
            "UPDATE artifact SET latest = 2".to_owned(),
            "UPDATE version SET number = 7".to_owned(),
            "UPDATE crypto_key SET state = 'active', number = 9 WHERE purpose = 'domain'".to_owned(),
        ];
        for sql in edits {
            let world = World::new(Mode::Solo);
            put_one(&world, Class::Confidential);
            outcome(&world).unwrap();
            assert!(world.tamper(&sql) > 0, "{sql}");
            let Err(refused) = outcome(&world) else { panic!("{sql}") };
            let expected = if sql.contains("SET number = 7") || sql.contains("SET latest") {
                // Found under another number: either the row is refused or nothing is found.
                matches!(refused.code, Code::BadSignature | Code::NotFound)
            } else {
                refused.code == Code::BadSignature
            };
            assert!(expected, "{sql}: {refused:?}");
        }
    });
}

#[test]
fn rows_cannot_be_moved_between_tables_or_ids() {
    let world = World::new(Mode::Solo);
    {
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        client.put(&Put::new("lab/open").class(Class::Public)).unwrap();
        client.put(&Put::new("lab/net").class(Class::Restricted)).unwrap();
    }
    // The public version's row under the restricted version's id.
    let columns = ["body", "salt", "ticket", "mac"];
    let sets: Vec<String> = columns
        .iter()
        .map(|c| {
            let of = "(SELECT id FROM artifact WHERE name = 'open')";
            format!("{c} = (SELECT {c} FROM version WHERE artifact = {of})")
        })
        .collect();
    let target = "artifact = (SELECT id FROM artifact WHERE name = 'net')";
    assert_eq!(world.tamper(&format!("UPDATE version SET {} WHERE {target}", sets.join(", "))), 1);
    assert_eq!(outcome(&world).unwrap_err().code, Code::BadSignature);
}

#[test]
fn swapped_wraps_do_not_open() {
    suites::each(|| {
        let world = World::new(Mode::Solo);
        {
            let keeper = world.open();
            let client = Client::new(&keeper, &world, None);
            client.put(&Put::new("lab/other")).unwrap();
            client.put(&Put::new("lab/net")).unwrap();
        }
        let sql = "UPDATE wrap SET wrapped = CASE wrapped \
               WHEN (SELECT wrapped FROM wrap WHERE json_extract(body, '$.kind') = 'version' ORDER BY id LIMIT 1) \
               THEN (SELECT wrapped FROM wrap WHERE json_extract(body, '$.kind') = 'version' ORDER BY id DESC LIMIT 1) \
               ELSE (SELECT wrapped FROM wrap WHERE json_extract(body, '$.kind') = 'version' ORDER BY id LIMIT 1) END \
               WHERE json_extract(body, '$.kind') = 'version'";
        assert_eq!(world.tamper(sql), 2);
        assert_eq!(outcome(&world).unwrap_err().code, Code::BadSignature);
    });
}

#[test]
fn an_altered_record_is_refused() {
    let world = World::new(Mode::Solo);
    put_one(&world, Class::Internal);
    assert_eq!(world.tamper("UPDATE record SET bytes = CAST(bytes || x'00' AS BLOB)"), 1);
    assert_eq!(outcome(&world).unwrap_err().code, Code::BadSignature);
}

#[test]
fn a_removed_policy_source_or_grant_takes_rights_away_only() {
    let world = World::new(Mode::Solo);
    put_one(&world, Class::Internal);
    assert_eq!(world.tamper("DELETE FROM role_grant"), 1);
    assert_eq!(outcome(&world).unwrap_err().code, Code::NotFound);
    let world = World::new(Mode::Solo);
    put_one(&world, Class::Internal);
    assert_eq!(world.tamper("DELETE FROM policy_set"), 1);
    assert_eq!(outcome(&world).unwrap_err().code, Code::BadSignature);
}

/// What is wrong; the key that signs; vault, principal and session that are named; the time.
type Case<'a> = (&'a str, &'a SigningKey, [u8; 16], [u8; 16], [u8; 16], u64);

/// The command of a release of `lab/net`, its request to be put in.
fn of_net(action: Action) -> Release {
    Release {
        reference: "lab/net".into(),
        action,
        request: Vec::new(),
        reason: None,
        confirm: None,
        run: None,
        shared_with: Vec::new(),
    }
}

struct Scene<'a> {
    client: Client<'a>,
    id: api::terms::VersionId,
}

impl Scene<'_> {
    fn ask(&self, action: Action) -> Asked {
        self.client.ask(action, &[self.id], &Command::Release(of_net(action)))
    }

    fn send(&self, request: Vec<u8>, action: Action) -> Result<api::wire::Released, api::wire::Problem> {
        let release = Release { request, ..of_net(action) };
        match self.client.call(Command::Release(release))? {
            Answer::Released(released) => Ok(*released),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn requests_that_are_replayed_altered_or_foreign_are_refused() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    let id = client.put(&Put::new("lab/net")).unwrap().version.id;
    let scene = Scene { client, id };
    let client = &scene.client;

    let asked = scene.ask(Action::Read);
    let bytes = asked.signed.encode();
    scene.send(bytes.clone(), Action::Read).unwrap();
    assert_eq!(code(scene.send(bytes.clone(), Action::Read)), Code::BadSession, "replay");

    // Another action than was signed, in the request and in the command.
    let asked = scene.client.ask(Action::Read, &[scene.id], &Command::Release(of_net(Action::Export)));
    assert_eq!(code(scene.send(asked.signed.encode(), Action::Export)), Code::BadRequest);
    let asked = scene.ask(Action::Read);
    assert_eq!(code(scene.send(asked.signed.encode(), Action::Export)), Code::BadSession);

    // Every flipped bit of a sample is refused: the one-time key cannot be exchanged, nothing else can either.
    let fresh = scene.ask(Action::Read).signed.encode();
    for at in (0..fresh.len()).step_by(37) {
        let mut altered = fresh.clone();
        altered[at] ^= 1;
        assert!(scene.send(altered, Action::Read).is_err(), "byte {at}");
    }
    scene.send(fresh, Action::Read).unwrap();

    // Signed by another key, for another session, another principal, another vault, or too old.
    let (vault, principal, session) = (keeper.info().vault, client.session.principal(), client.session.id());
    let other = SigningKey::from_seed(&SigningSeed::generate().unwrap()).unwrap();
    let now = world.clock.millis();
    let command = log::jcs::to_vec(&serde_json::to_value(Command::Release(of_net(Action::Read))).unwrap()).unwrap();
    let command = *log::tree::sha256(&command).as_bytes();
    let cases: [Case<'_>; 6] = [
        ("key", &other, *vault.as_bytes(), *principal.as_bytes(), *session.as_bytes(), now),
        ("vault", &client.key, [1; 16], *principal.as_bytes(), *session.as_bytes(), now),
        ("principal", &client.key, *vault.as_bytes(), [1; 16], *session.as_bytes(), now),
        ("session", &client.key, *vault.as_bytes(), *principal.as_bytes(), [1; 16], now),
        ("old", &client.key, *vault.as_bytes(), *principal.as_bytes(), *session.as_bytes(), now - 300_001),
        ("early", &client.key, *vault.as_bytes(), *principal.as_bytes(), *session.as_bytes(), now + 300_001),
    ];
    for (what, key, vault, principal, session, time_ms) in cases {
        let one_time = OneTimeKey::generate(seal::Suite::Default).unwrap();
        let ask = Ask {
            vault: &vault,
            principal: &principal,
            session: &session,
            action: Action::Read.number(),
            versions: &[*scene.id.as_bytes()],
            command: &command,
            time_ms,
        };
        let request = SignedRequest::sign(&ask, &one_time, key).unwrap();
        assert_eq!(code(scene.send(request.encode(), Action::Read)), Code::BadSession, "{what}");
    }
}

#[test]
fn an_envelope_opens_only_for_its_request_and_only_if_the_keeper_signed_it() {
    suites::each(|| {
        let world = World::new(Mode::Solo);
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        let id = client.put(&Put::new("lab/net")).unwrap().version.id;
        let scene = Scene { client, id };
        let client = &scene.client;
        let (one, two) = (scene.ask(Action::Read), scene.ask(Action::Read));
        let envelope_of_one = scene.send(one.signed.encode(), Action::Read).unwrap().envelope;
        assert_eq!(client.open(two, &envelope_of_one).unwrap_err(), envelope::Error::Authentication);
        let foreign = World::new(Mode::Solo);
        let foreign_keeper = foreign.open();
        let foreign_client = Client::new(&foreign_keeper, &foreign, None);
        assert_eq!(foreign_client.open(one, &envelope_of_one).unwrap_err(), envelope::Error::Authentication);
    });
}

#[test]
fn one_principal_cannot_use_another_ones_session_or_draft() {
    let world = World::new(Mode::Rehearsal);
    let keeper = world.open();
    let owner = Client::new(&keeper, &world, None);
    for who in ["ada", "bob"] {
        let add = PrincipalAdd {
            name: name(who),
            kind: Some(PrincipalKind::User),
            clearance: Some(Class::Confidential),
            grants: vec![GrantSpec { workspace: name("lab"), role: "writer".into(), until: None }],
            revoke: Vec::new(),
            suspended: None,
            change: false,
        };
        owner.call(Command::PrincipalAdd(add)).unwrap();
    }
    let (ada, bob) = (Client::new(&keeper, &world, Some("ada")), Client::new(&keeper, &world, Some("bob")));
    let put = Put::new("lab/net");
    let (begun, _) = ada.begin(&put).unwrap();
    assert_eq!(code(bob.begin(&put)), Code::Conflict);
    assert_eq!(code(bob.commit(&put, &begun)), Code::NotFound);
    assert_eq!(code(bob.call(Command::Abandon { version: put.version })), Code::NotFound);
    assert_eq!(code(bob.call(Command::Extend { version: put.version, objects: vec![] })), Code::NotFound);
    let committed = ada.commit(&put, &begun).unwrap();
    // Ada's signed request in Bob's session.
    let asked = ada.ask(Action::Read, &[committed.version.id], &Command::Release(of_net(Action::Read)));
    let release = Release { request: asked.signed.encode(), ..of_net(Action::Read) };
    assert_eq!(code(bob.call(Command::Release(release))), Code::BadSession);
}

#[test]
fn a_request_that_is_not_bound_to_its_command_is_refused() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    let id = client.put(&Put::new("lab/net")).unwrap().version.id;
    let scene = Scene { client, id };
    let client = &scene.client;
    // Signed for no command, and for another one.
    let unbound = client.ask_bound(Action::Read, &[id], &[0; 32]);
    assert_eq!(code(scene.send(unbound.signed.encode(), Action::Read)), Code::BadSession);
    let other = Release { reason: Some("study 7".into()), ..of_net(Action::Read) };
    let other = client.ask(Action::Read, &[id], &Command::Release(other));
    assert_eq!(code(scene.send(other.signed.encode(), Action::Read)), Code::BadSession);
    let put = Put::new("lab/new");
    let begin = |class, request| {
        let (workspace, artifact) = (name("lab"), name("new"));
        let (environment, objects) = (put.environment, put.objects.clone());
        Begin {
            workspace,
            artifact,
            class,
            at_least: None,
            environment,
            kind: None,
            alias: None,
            from: Vec::new(),
            run: None,
            objects,
            request,
        }
    };
    let unbound = client.ask_bound(Action::Write, &[put.version], &[0; 32]).signed.encode();
    assert_eq!(code(client.call(Command::Begin(begin(None, unbound)))), Code::BadSession);
    // A class that somebody on the way lowered.
    let signed = Command::Begin(begin(Some(Class::Confidential), Vec::new()));
    let signed = client.ask(Action::Write, &[put.version], &signed).signed.encode();
    assert_eq!(code(client.call(Command::Begin(begin(Some(Class::Public), signed.clone())))), Code::BadSession);
    client.call(Command::Begin(begin(Some(Class::Confidential), signed))).unwrap();
}

#[test]
fn a_repeated_commit_is_not_answered_from_an_altered_row() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    let put = Put::new("lab/net");
    let (begun, _) = client.begin(&put).unwrap();
    let record = put.record(&keeper, &begun).encode().unwrap();
    let first = client.commit_record(&put, record.clone()).unwrap();
    let again = client.commit_record(&put, record.clone()).unwrap();
    assert_eq!((first.receipt.entry, first.receipt.leaf), (again.receipt.entry, again.receipt.leaf));
    // A receipt over a leaf that is in no tree.
    let forged =
        "UPDATE command SET answer = CAST(replace(CAST(answer AS TEXT), '\"leaf\":\"', '\"leaf\":\"0') AS BLOB)";
    assert_eq!(world.tamper(forged), 1);
    assert_eq!(code(client.commit_record(&put, record.clone())), Code::BadSignature);
    // Another command's answer, whole.
    let other = client.put(&Put::new("lab/other")).unwrap();
    let moved = "UPDATE command SET answer = (SELECT answer FROM command ORDER BY at DESC, rowid DESC LIMIT 1), \
                 mac = (SELECT mac FROM command ORDER BY at DESC, rowid DESC LIMIT 1)";
    assert_eq!(world.tamper(moved), 2);
    assert_eq!(code(client.commit_record(&put, record)), Code::BadSignature);
    client.show(&other.version.reference).unwrap();
}

#[test]
fn an_entry_that_was_altered_in_the_database_is_not_shown() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    let committed = client.put(&Put::new("lab/net")).unwrap();
    let released = client.release(Action::Read, "lab/net").unwrap().0;
    let show = |entry: String| client.call(Command::AuditShow { entry });
    // One is in the tree's newest bundle, the other waits.
    let (committed, released) = (committed.receipt, released.receipt);
    show(committed.entry.to_string()).unwrap();
    show(released.entry.to_string()).unwrap();
    let altered = "UPDATE entry SET body = CAST(replace(CAST(body AS TEXT), '\"class\":\"confidential\"', \
                   '\"class\":\"public\"') AS BLOB) WHERE instr(CAST(body AS TEXT), '\"class\":\"confidential\"') > 0";
    assert!(world.tamper(altered) >= 2);
    assert_eq!(code(show(committed.entry.to_string())), Code::Integrity);
    assert_eq!(code(show(committed.log_index.unwrap().to_string())), Code::Integrity);
    assert_eq!(code(show(released.entry.to_string())), Code::Integrity);
}

#[test]
fn a_policy_that_was_applied_counts_although_its_epoch_was_put_back() {
    let world = World::new(Mode::Solo);
    let (keeper, other) = (world.open(), world.open());
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
    // Both the set and the facts of a release are in this keeper's memory.
    client.release(Action::Read, "lab/net").unwrap();
    let freeze = "@id(\"freeze\") @reason(\"nothing leaves today\") @owner(\"olivia\") \
                  forbid (principal, action == Action::\"read\", resource is Artifact);";
    let sources = [("own.cedar".to_owned(), freeze.to_owned())].into();
    Client::new(&other, &world, None).call(Command::PolicyApply(PolicyApply { sources, base: None })).unwrap();
    assert_eq!(world.tamper("UPDATE epoch SET value = value - 1 WHERE kind = 'policy'"), 1);
    let refused = client.release(Action::Read, "lab/net").unwrap_err();
    assert_eq!((refused.code, refused.why.as_str()), (Code::Denied, "nothing leaves today"));
}

#[test]
fn a_suspension_and_a_lost_role_count_although_the_epoch_was_put_back() {
    let world = World::new(Mode::Rehearsal);
    let (keeper, other) = (world.open(), world.open());
    let (owner, elsewhere) = (Client::new(&keeper, &world, None), Client::new(&other, &world, None));
    let reader = || principal("rick", Class::Internal, &[("lab", "reader")]);
    owner.call(Command::PrincipalAdd(principal("olga", Class::Internal, &[("lab", "writer")]))).unwrap();
    owner.call(Command::PrincipalAdd(reader())).unwrap();
    Client::new(&keeper, &world, Some("olga")).put(&Put::new("lab/net").class(Class::Internal)).unwrap();
    let rick = Client::new(&keeper, &world, Some("rick"));
    let suspended = PrincipalAdd { suspended: Some(true), ..reader() };
    let revoke = vec![Revocation { workspace: name("lab"), role: Some("reader".into()) }];
    let lost = PrincipalAdd { revoke, ..principal("rick", Class::Internal, &[]) };
    for change in [suspended, principal("rick", Class::Public, &[("lab", "reader")]), lost] {
        // What a release knows is in this keeper's memory; another one takes the right away.
        rick.release(Action::Read, "lab/net").unwrap();
        elsewhere.call(Command::PrincipalAdd(PrincipalAdd { change: true, ..change })).unwrap();
        assert_eq!(world.tamper("UPDATE epoch SET value = value - 1 WHERE kind = 'principal' AND value > 1"), 1);
        let refused = rick.release(Action::Read, "lab/net").unwrap_err().code;
        assert!(matches!(refused, Code::Denied | Code::Gone | Code::NotFound), "{refused:?}");
        elsewhere.call(Command::PrincipalAdd(PrincipalAdd { change: true, ..reader() })).unwrap();
    }
}

#[test]
fn a_release_whose_entry_was_deleted_before_it_was_integrated_is_missed() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/net")).unwrap();
    for _ in 0..3 {
        client.release(Action::Read, "lab/net").unwrap();
    }
    // No row of any table names a release: only the keeper that answered it knows.
    assert_eq!(world.tamper("DELETE FROM entry WHERE ticket = (SELECT MAX(ticket) FROM entry)"), 1);
    assert_eq!(code(client.call(Command::AuditVerify)), Code::Integrity);
    assert_eq!(code(client.put(&Put::new("lab/net"))), Code::Integrity);
    drop(client);
    assert_eq!(keeper.close().unwrap_err().code, Code::Integrity);
}

#[test]
fn keys_of_a_resumed_draft_whose_entry_was_deleted_are_missed() {
    let world = World::new(Mode::Solo);
    let waiting = || {
        let db = rusqlite::Connection::open(world.dir().join("keeper.db")).unwrap();
        db.query_row("SELECT COUNT(*) FROM entry WHERE idx IS NULL", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let (open, restricted) = (Put::new("lab/net"), Put::new("lab/genome").class(Class::Restricted));
    {
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        client.begin(&open).unwrap();
        client.begin(&restricted).unwrap();
        drop(client);
        keeper.close().unwrap();
    }
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    // Keys of restricted data do not leave before their entry is in the tree.
    client.begin(&restricted).unwrap();
    assert_eq!(waiting(), 0);
    // Others do: nothing in the database names the entry but itself.
    client.begin(&open).unwrap();
    assert_eq!(waiting(), 1);
    assert_eq!(world.tamper("DELETE FROM entry WHERE idx IS NULL"), 1);
    assert_eq!(code(client.call(Command::AuditVerify)), Code::Integrity);
    assert_eq!(code(client.put(&Put::new("lab/net"))), Code::Integrity);
    drop(client);
    assert_eq!(keeper.close().unwrap_err().code, Code::Integrity);
}

#[test]
fn a_release_that_another_keeper_integrated_is_not_missed() {
    let world = World::new(Mode::Solo);
    let (one, two) = (world.open(), world.open());
    let client = Client::new(&one, &world, None);
    client.put(&Put::new("lab/net")).unwrap();
    // More than a bundle, so that some are in files and some in the database.
    for _ in 0..300 {
        client.release(Action::Read, "lab/net").unwrap();
    }
    two.close().unwrap();
    drop(client);
    one.close().unwrap();
}

#[test]
fn a_row_that_was_altered_fails_the_releases_of_its_principal_and_no_other_of_the_batch() {
    let world = staff(World::new(Mode::Rehearsal));
    let keeper = world.open();
    let bob = principal("bob", Class::Confidential, &[("lab", "reader")]);
    Client::new(&keeper, &world, None).call(Command::PrincipalAdd(bob)).unwrap();
    let id = Client::new(&keeper, &world, Some("rick")).show("lab/net").unwrap().id;
    let reader = |who| Scene { client: Client::new(&keeper, &world, Some(who)), id };
    let release = |scene: &Scene<'_>| scene.send(scene.ask(Action::Read).signed.encode(), Action::Read);
    // Facts of both are in memory: only the transaction that logs a release finds out.
    let (rick, bob) = (reader("rick"), reader("bob"));
    release(&rick).unwrap();
    release(&bob).unwrap();
    let of_bob = |by| format!("UPDATE principal SET ticket = {by} WHERE id = x'{}'", bob.client.session.principal());
    assert_eq!(world.tamper(&of_bob("ticket + 1")), 1);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    assert_eq!(code(release(&bob)), Code::BadSignature);
                }
            });
        }
        let ricks: Vec<_> =
            (0..3).map(|_| scope.spawn(|| (0..100).map(|_| release(&rick)).find_map(Result::err))).collect();
        let failed: Vec<_> = ricks.into_iter().filter_map(|rick| rick.join().unwrap()).collect();
        over.store(true, Ordering::SeqCst);
        assert!(failed.is_empty(), "{failed:?}");
    });
    assert_eq!(world.tamper(&of_bob("ticket - 1")), 1);
    let released = entries(&Client::new(&keeper, &world, Some("aud")), "release.read");
    assert_eq!(released.len(), 2 + 3 * 100, "each is logged once, those that failed are not");
}
