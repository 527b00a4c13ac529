//! Runs: what a session may do in the name of one, and what nobody may.

use crate::decisions::{entries, principal, staff};
use crate::erase::{erase, suspend};
use crate::world::{Client, Put, World, code};
use api::terms::{Action, Class, Code, Environment, Mode, Reference, RunId, VersionId};
use api::wire::{
    Answer, AuditFilter, Begin, Command, Commit, Problem, Provenance, Release, RunEnd, RunOutcome, RunOutput,
    RunRenewed, RunStart, RunStarted,
};
use std::collections::BTreeMap;

const HOUR: u64 = 3_600_000;

fn output(artifact: &str) -> RunOutput {
    let reference: Reference = artifact.parse().unwrap();
    RunOutput {
        workspace: reference.workspace,
        artifact: reference.artifact,
        class: None,
        at_least: None,
        environment: Environment::Dev,
        kind: None,
    }
}

pub fn over(inputs: &[&str], outputs: &[&str]) -> RunStart {
    RunStart {
        inputs: inputs.iter().map(|&input| input.to_owned()).collect(),
        outputs: outputs.iter().copied().map(output).collect(),
        unattended_secs: None,
        line: "python train.py --token s3cr3t".to_owned(),
        reason: None,
        confirm: Vec::new(),
    }
}

pub fn start(client: &Client<'_>, run: RunStart) -> Result<RunStarted, Problem> {
    match client.call(Command::RunStart(run))? {
        Answer::RunStarted(started) => Ok(*started),
        other => panic!("{other:?}"),
    }
}

pub fn renew(client: &Client<'_>, run: RunId) -> Result<RunRenewed, Problem> {
    match client.call(Command::RunRenew { run })? {
        Answer::RunRenewed(renewed) => Ok(renewed),
        other => panic!("{other:?}"),
    }
}

fn stop(client: &Client<'_>, run: RunId) -> Result<(), Problem> {
    let end = RunEnd { run, outcome: RunOutcome::Exited { code: 0 }, outputs: Vec::new() };
    client.call(Command::RunEnd(end)).map(drop)
}

/// A release in the name of a run.
pub fn release(client: &Client<'_>, run: RunId, action: Action, item: (&str, VersionId)) -> Result<(), Problem> {
    let mut release = Release {
        reference: item.0.to_owned(),
        action,
        request: Vec::new(),
        reason: None,
        confirm: None,
        run: Some(run),
        shared_with: Vec::new(),
    };
    let asked = client.ask(action, &[item.1], &Command::Release(release.clone()));
    release.request = asked.signed.encode();
    client.call(Command::Release(release)).map(drop)
}

/// Begins and commits a version in the name of a run; answers its class and what it comes from.
fn make(client: &Client<'_>, run: Option<RunId>, put: &Put, made: bool) -> Result<api::wire::VersionItem, Problem> {
    let reference: Reference = put.reference.parse().unwrap();
    let mut begin = Begin {
        workspace: reference.workspace,
        artifact: reference.artifact,
        class: put.class,
        at_least: None,
        environment: put.environment,
        kind: None,
        alias: None,
        from: Vec::new(),
        run,
        objects: put.objects.clone(),
        request: Vec::new(),
    };
    let asked = client.ask(Action::Write, &[put.version], &Command::Begin(begin.clone()));
    begin.request = asked.signed.encode();
    let Answer::Begun(begun) = client.call(Command::Begin(begin))? else { panic!() };
    let provenance = Provenance {
        command: "python train.py --token s3cr3t".to_owned(),
        code: Some("a".repeat(40)),
        environment: "0".repeat(64),
        parts: BTreeMap::from([("system".to_owned(), "Debian".to_owned())]),
    };
    let commit = Commit {
        version: put.version,
        record: put.record(client.keeper, &begun).encode().unwrap(),
        plaintext_commitment: vec![7; 32],
        bytes: 11,
        files: 1,
        tags: BTreeMap::new(),
        alias: None,
        from: Vec::new(),
        made: made.then_some(provenance),
        prints: Vec::new(),
        depot: None,
    };
    match client.call(Command::Commit(commit))? {
        Answer::Committed(committed) => Ok(committed.version),
        other => panic!("{other:?}"),
    }
}

/// A rehearsal vault with data of several classes in `lab`.
fn lab() -> World {
    let world = staff(World::new(Mode::Rehearsal));
    let keeper = world.open();
    let wanda = Client::new(&keeper, &world, Some("wanda"));
    for (artifact, class) in [("lab/int", Class::Internal), ("lab/conf", Class::Confidential)] {
        wanda.put(&Put { kind: None, ..Put::new(artifact).class(class) }).unwrap();
    }
    drop(wanda);
    keeper.close().unwrap();
    world
}

#[test]
fn a_version_made_in_a_run_comes_from_its_inputs_and_is_no_lower_than_they_are() {
    let world = lab();
    let keeper = world.open();
    let wanda = Client::new(&keeper, &world, Some("wanda"));
    let started = start(&wanda, over(&["lab/int", "lab/conf", "lab/int"], &["lab/out"])).unwrap();
    let ids: Vec<VersionId> = started.inputs.iter().map(|item| item.id).collect();
    assert_eq!((ids.len(), ids[0]), (3, ids[2]));
    for input in &started.inputs {
        release(&wanda, started.run, Action::Read, (&input.reference, input.id)).unwrap();
    }
    let put = Put::new("lab/out").class(Class::Internal);
    let made = make(&wanda, Some(started.run), &put, true).unwrap();
    assert_eq!((made.class, &made.from), (Class::Confidential, &vec![ids[0], ids[1]]));
    let by = made.made.unwrap();
    assert_eq!((by.run, by.provenance.command.as_str()), (started.run, "python train.py --token s3cr3t"));
    assert_eq!(wanda.show("lab/out").unwrap().made.unwrap().run, started.run);
    stop(&wanda, started.run).unwrap();
    // People write tokens into commands: neither the log nor the tables hold it in the clear.
    drop(wanda);
    keeper.close().unwrap();
    for file in ["keeper.db", "keeper.db-wal"] {
        let bytes = std::fs::read(world.dir().join(file)).unwrap_or_default();
        assert!(!bytes.windows(6).any(|window| window == b"s3cr3t"), "{file}");
    }
    let keeper = world.open();
    let aud = Client::new(&keeper, &world, Some("aud"));
    let Answer::StateVerified(verified) = aud.call(Command::StateVerify).unwrap() else { panic!() };
    assert!(verified.ok, "{:?}", verified.failures);
    let Answer::DecisionsReplayed(replayed) = aud.call(Command::DecisionsReplay).unwrap() else { panic!() };
    assert!(replayed.ok, "{:?}", replayed.failures);
}

#[test]
fn a_command_goes_with_whoever_ran_it_and_what_they_run_ends_with_them() {
    let world = lab();
    let keeper = world.open();
    let (owner, wanda) = (Client::new(&keeper, &world, None), Client::new(&keeper, &world, Some("wanda")));
    let done = start(&wanda, over(&["lab/int"], &["lab/out"])).unwrap();
    make(&wanda, Some(done.run), &Put::new("lab/out").class(Class::Internal), true).unwrap();
    stop(&wanda, done.run).unwrap();
    let under_way = start(&wanda, RunStart { unattended_secs: Some(7200), ..over(&["lab/int"], &[]) }).unwrap();
    let aud = Client::new(&keeper, &world, Some("aud"));
    suspend(&owner, "wanda");
    let erased = erase(&owner, "wanda").unwrap();
    assert_eq!((erased.runs, erased.grants), (1, 1));
    let made = owner.show("lab/out").unwrap().made.unwrap();
    assert_eq!((made.run, made.provenance.command.as_str()), (done.run, "(erased)"));
    let started = entries(&aud, "run.start").pop().unwrap();
    assert_eq!(started.disclosed["command"], serde_json::json!({ "erased": true }));
    let input = &under_way.inputs[0];
    let refused = release(&wanda, under_way.run, Action::Read, (&input.reference, input.id)).unwrap_err();
    assert!(refused.code == Code::Conflict && refused.why.contains("it ended at"), "{refused}");
    assert!(renew(&wanda, under_way.run).is_err());
    let Answer::StateVerified(verified) = aud.call(Command::StateVerify).unwrap() else { panic!() };
    assert!(verified.ok, "{:?}", verified.failures);
}

#[test]
fn a_run_opens_its_inputs_and_makes_its_outputs_and_nothing_else() {
    let world = lab();
    let keeper = world.open();
    let wanda = Client::new(&keeper, &world, Some("wanda"));
    let started = start(&wanda, over(&["lab/int"], &["lab/out"])).unwrap();
    let run = started.run;
    let input = (started.inputs[0].reference.as_str(), started.inputs[0].id);
    let other = wanda.show("lab/conf").unwrap();
    assert_eq!(code(release(&wanda, run, Action::Read, (&other.reference, other.id))), Code::BadRequest);
    assert_eq!(code(release(&wanda, run, Action::Export, input)), Code::BadRequest, "a run reads");
    assert_eq!(code(make(&wanda, Some(run), &Put::new("lab/else"), true)), Code::BadRequest);
    let staging = Put { environment: Environment::Staging, ..Put::new("lab/out") };
    assert_eq!(code(make(&wanda, Some(run), &staging, true)), Code::BadRequest);
    assert_eq!(code(make(&wanda, None, &Put::new("lab/out"), true)), Code::BadRequest, "nobody claims a run");
    // Another session of the same person, and another person, have no part in it; nor has an id that was guessed.
    let again = Client::new(&keeper, &world, Some("wanda"));
    let alice = Client::new(&keeper, &world, Some("alice"));
    for stranger in [&again, &alice] {
        assert_eq!(code(release(stranger, run, Action::Read, input)), Code::NotFound);
        assert_eq!(code(renew(stranger, run)), Code::NotFound);
        assert_eq!(code(stop(stranger, run)), Code::NotFound);
        assert_eq!(code(make(stranger, Some(run), &Put::new("lab/out"), true)), Code::NotFound);
    }
    assert_eq!(code(release(&wanda, RunId::from_bytes([1; 16]), Action::Read, input)), Code::NotFound);
    // When it has ended, it is over, and ending it once more changes nothing.
    stop(&wanda, run).unwrap();
    stop(&wanda, run).unwrap();
    assert_eq!(code(release(&wanda, run, Action::Read, input)), Code::Conflict);
    assert_eq!(code(renew(&wanda, run)), Code::Conflict);
    assert_eq!(code(make(&wanda, Some(run), &Put::new("lab/out"), true)), Code::Conflict);
}

#[test]
fn a_run_is_refused_before_it_starts_if_any_input_or_output_is() {
    let world = lab();
    let keeper = world.open();
    let alice = Client::new(&keeper, &world, Some("alice"));
    assert_eq!(code(start(&alice, over(&["lab/int", "lab/conf"], &[]))), Code::Denied);
    assert_eq!(code(start(&alice, over(&["lab/int"], &["lab/out"]))), Code::Denied, "a reader writes nothing");
    assert_eq!(code(start(&alice, over(&["lab/none"], &[]))), Code::NotFound);
    let mallory = Client::new(&keeper, &world, Some("mallory"));
    assert_eq!(code(start(&mallory, over(&["lab/int"], &[]))), Code::NotFound, "what is hidden is not there");
    let wanda = Client::new(&keeper, &world, Some("wanda"));
    assert_eq!(code(start(&wanda, over(&[], &[]))), Code::BadRequest);
    assert_eq!(code(start(&wanda, over(&["lab/int"], &["lab/out", "lab/out"]))), Code::BadRequest);
    assert_eq!(code(start(&wanda, over(&vec!["lab/int"; 65], &[]))), Code::BadRequest);
    let long = RunStart { line: "x".repeat(4097), ..over(&["lab/int"], &[]) };
    assert_eq!(code(start(&wanda, long)), Code::BadRequest);
    let lower = RunStart {
        outputs: vec![RunOutput { class: Some(Class::Internal), ..output("lab/conf") }],
        ..over(&["lab/int"], &[])
    };
    assert_eq!(code(start(&wanda, lower)), Code::Conflict);
    let aud = Client::new(&keeper, &world, Some("aud"));
    let filter = AuditFilter { act: Some("run.start".into()), limit: 100, ..AuditFilter::default() };
    let Answer::Audit(page) = aud.call(Command::Audit(filter)).unwrap() else { panic!() };
    let kinds: Vec<_> = page.items.iter().map(|item| item.entry["kind"].clone()).collect();
    assert!(!kinds.is_empty() && kinds.iter().all(|kind| kind == "denial"), "{kinds:?}");
}

#[test]
fn a_run_has_an_end_that_its_classes_set() {
    let world = lab();
    let keeper = world.open();
    let wanda = Client::new(&keeper, &world, Some("wanda"));
    let hours = |unattended: Option<u64>, inputs: &[&str]| {
        let unattended_secs = unattended.map(|hours| hours * 3600);
        let started = start(&wanda, RunStart { unattended_secs, ..over(inputs, &[]) })?;
        Ok::<_, Problem>((started.until.as_millis() - world.clock.millis()) / HOUR)
    };
    assert_eq!(hours(None, &["lab/int"]).unwrap(), 12);
    assert_eq!(hours(Some(30 * 24), &["lab/int"]).unwrap(), 720);
    assert_eq!(code(hours(Some(30 * 24 + 1), &["lab/int"])), Code::BadRequest);
    assert_eq!(hours(Some(7 * 24), &["lab/int", "lab/conf"]).unwrap(), 168);
    assert_eq!(code(hours(Some(7 * 24 + 1), &["lab/int", "lab/conf"])), Code::BadRequest);
    assert_eq!(code(hours(Some(0), &["lab/int"])), Code::BadRequest);

    let started = start(&wanda, RunStart { unattended_secs: Some(2 * 3600), ..over(&["lab/conf"], &["lab/out"]) });
    let started = started.unwrap();
    assert_eq!(started.lease_until.as_millis(), world.clock.millis() + HOUR, "an hour's lease for confidential data");
    world.clock.advance(HOUR + HOUR / 2);
    let renewed = renew(&wanda, started.run).unwrap();
    assert_eq!(renewed.lease_until, started.until, "no lease is longer than its run");
    world.clock.advance(HOUR / 2);
    let over = renew(&wanda, started.run).unwrap_err();
    assert!(over.why.contains("its time was over") && over.try_.unwrap().contains("--unattended"), "{}", over.why);
    assert_eq!(code(make(&wanda, Some(started.run), &Put::new("lab/out"), true)), Code::Conflict);
}

#[test]
fn a_run_goes_on_only_while_everything_it_opened_may_be_read_and_the_log_says_why_it_ended() {
    let world = lab();
    let keeper = world.open();
    let owner = Client::new(&keeper, &world, None);
    let wanda = Client::new(&keeper, &world, Some("wanda"));
    let aud = Client::new(&keeper, &world, Some("aud"));
    let entries = || {
        let filter = AuditFilter { act: Some("run.renew".into()), limit: 100, ..AuditFilter::default() };
        let Answer::Audit(page) = aud.call(Command::Audit(filter)).unwrap() else { panic!() };
        page.items.into_iter().map(|item| item.entry["kind"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let run = start(&wanda, over(&["lab/int", "lab/conf"], &["lab/out"])).unwrap().run;
    for _ in 0..20 {
        renew(&wanda, run).unwrap();
    }
    assert_eq!(entries(), Vec::<String>::new(), "nothing is written while the lease is young");
    world.clock.advance(HOUR / 2 + 1000);
    for _ in 0..20 {
        renew(&wanda, run).unwrap();
    }
    assert_eq!(entries(), ["state"], "one entry in half a lease");
    let mut lower = principal("wanda", Class::Internal, &[]);
    (lower.change, lower.kind) = (true, None);
    owner.call(Command::PrincipalAdd(lower)).unwrap();
    let refused = renew(&wanda, run).unwrap_err();
    assert_eq!(refused.code, Code::Denied, "{refused}");
    assert!(refused.refusal.unwrap().reasons[0].contains("clearance"), "{}", refused.why);
    assert_eq!(entries(), ["state", "denial"]);
    // It has ended with that: the right coming back does not bring it back.
    let mut again = principal("wanda", Class::Confidential, &[]);
    (again.change, again.kind) = (true, None);
    owner.call(Command::PrincipalAdd(again)).unwrap();
    assert_eq!(code(renew(&wanda, run)), Code::Conflict);
    assert_eq!(code(make(&wanda, Some(run), &Put::new("lab/out"), true)), Code::Conflict);
    let Answer::StateVerified(verified) = aud.call(Command::StateVerify).unwrap() else { panic!() };
    assert!(verified.ok, "{:?}", verified.failures);
    let Answer::DecisionsReplayed(replayed) = aud.call(Command::DecisionsReplay).unwrap() else { panic!() };
    assert!(replayed.ok, "{:?}", replayed.failures);
}

#[test]
fn a_row_of_a_run_that_was_edited_is_refused() {
    let world = lab();
    let keeper = world.open();
    let wanda = Client::new(&keeper, &world, Some("wanda"));
    let started = start(&wanda, over(&["lab/int"], &[])).unwrap();
    let input = (started.inputs[0].reference.as_str(), started.inputs[0].id);
    // More time, by whoever writes the database.
    let edit = "UPDATE run SET body = CAST(replace(CAST(body AS TEXT), '\"unattended\":false', '\"unattended\":true ') AS BLOB)";
    assert_eq!(world.tamper(edit), 1);
    assert_eq!(code(release(&wanda, started.run, Action::Read, input)), Code::BadSignature);
    assert_eq!(code(renew(&wanda, started.run)), Code::BadSignature);
    assert_eq!(code(stop(&wanda, started.run)), Code::BadSignature);
}

#[test]
fn in_solo_a_run_over_restricted_data_wants_a_reason_and_each_name_and_renews_without() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let owner = Client::new(&keeper, &world, None);
    for artifact in ["lab/one", "lab/two"] {
        owner.put(&Put { kind: None, ..Put::new(artifact).class(Class::Restricted) }).unwrap();
    }
    let inputs = ["lab/one", "lab/two"];
    let stated = |reason: Option<&str>, confirm: &[&str]| RunStart {
        reason: reason.map(str::to_owned),
        confirm: confirm.iter().map(|&text| text.to_owned()).collect(),
        ..over(&inputs, &[])
    };
    for (reason, confirm) in
        [(None, &inputs[..]), (Some("trial"), &[]), (Some("trial"), &["lab/one"]), (Some(" "), &inputs[..])]
    {
        assert_eq!(code(start(&owner, stated(reason, confirm))), Code::ConfirmationNeeded, "{reason:?} {confirm:?}");
    }
    let started = start(&owner, stated(Some("trial"), &inputs)).unwrap();
    assert_eq!(started.lease_until.as_millis() - world.clock.millis(), HOUR / 4);
    for _ in 0..5 {
        world.clock.advance(HOUR / 4);
        renew(&owner, started.run).unwrap();
    }
}
