//! How long versions stay: removed, restored, destroyed; kept by a rule, by an alias, by a legal hold.

use crate::decisions::{entries, principal, staff};
use crate::world::{Client, Put, World, code, name};
use api::terms::{Action, Class, Code, Environment, Mode, ObjectId, Timestamp};
use api::wire::{
    AliasRemove, AliasSet, Answer, Command, Explain, HoldItem, HoldLift, HoldMoved, HoldSet, Keeping, Prints, Problem,
    Removal, Remove, Restore, RetentionQuery, RetentionReport, RetentionSet, WhoCan, WhoDid,
};
use keeper::Keeper;
use seal::envelope::{Key, Opened};

const DAY: u64 = 86_400_000;

fn wish(reference: &str) -> Remove {
    Remove { reference: reference.into(), all: false, reason: None, confirm: None, dry: false }
}

fn removal(answer: Result<Answer, Problem>) -> Result<Removal, Problem> {
    match answer? {
        Answer::Removal(removal) => Ok(*removal),
        other => panic!("{other:?}"),
    }
}

fn remove(client: &Client<'_>, reference: &str) -> Result<Removal, Problem> {
    removal(client.call(Command::Remove(wish(reference))))
}

fn restore(client: &Client<'_>, reference: &str) -> Result<Removal, Problem> {
    removal(client.call(Command::Restore(Restore { reference: reference.into() })))
}

fn keep(
    client: &Client<'_>,
    reference: &str,
    days: Option<u64>,
    last: Option<u32>,
    dry: bool,
) -> Result<RetentionReport, Problem> {
    let keep_secs = days.map(|days| days * DAY / 1000);
    let set = RetentionSet {
        reference: reference.into(),
        keep_secs,
        keep_last: last,
        reason: Some("storage".into()),
        confirm: None,
        dry,
    };
    match client.call(Command::RetentionSet(set))? {
        Answer::Retention(report) => Ok(*report),
        other => panic!("{other:?}"),
    }
}

fn report(client: &Client<'_>, place: &str) -> RetentionReport {
    let query = RetentionQuery { place: place.into(), after: None };
    match client.call(Command::Retention(query)).unwrap() {
        Answer::Retention(report) => *report,
        other => panic!("{other:?}"),
    }
}

fn fates(client: &Client<'_>) -> Vec<Keeping> {
    let mut fates: Vec<Keeping> =
        report(client, "lab/net").items[0].versions.iter().map(|version| version.fate).collect();
    fates.reverse();
    fates
}

fn moved(answer: Result<Answer, Problem>) -> Result<HoldMoved, Problem> {
    match answer? {
        Answer::HoldMoved(moved) => Ok(*moved),
        other => panic!("{other:?}"),
    }
}

fn hold(client: &Client<'_>, reference: &str, hold: &str) -> Result<HoldMoved, Problem> {
    let set = HoldSet { reference: reference.into(), name: name(hold), reason: "a letter of the court".into() };
    moved(client.call(Command::HoldSet(set)))
}

fn lift(client: &Client<'_>, reference: &str, hold: &str) -> Result<HoldMoved, Problem> {
    let lift = HoldLift { reference: reference.into(), name: name(hold), reason: "settled".into() };
    moved(client.call(Command::HoldLift(lift)))
}

fn holds(client: &Client<'_>, place: &str) -> Vec<HoldItem> {
    match client.call(Command::Holds { place: place.into() }).unwrap() {
        Answer::Holds { items } => items,
        other => panic!("{other:?}"),
    }
}

fn alias(client: &Client<'_>, reference: &str, alias: &str) -> Result<Answer, Problem> {
    client.call(Command::AliasSet(AliasSet { reference: reference.into(), alias: name(alias), expect: None }))
}

/// What the jobs did, by name.
fn ran(client: &Client<'_>, job: &str) -> u64 {
    match client.call(Command::JobsRun { name: Some(job.into()) }).unwrap() {
        Answer::JobsRan(ran) => {
            assert!(ran.items.iter().all(|item| item.failed.is_none()), "{ran:?}");
            ran.items.iter().map(|item| item.done).sum()
        }
        other => panic!("{other:?}"),
    }
}

pub fn collected(client: &Client<'_>) -> Vec<ObjectId> {
    match client.call(Command::CollectMark { grace_secs: 0, dry: false }).unwrap() {
        Answer::Collect(mut plan) => {
            plan.objects.sort();
            plan.objects
        }
        other => panic!("{other:?}"),
    }
}

fn holds_together(client: &Client<'_>) {
    match client.call(Command::StateVerify).unwrap() {
        Answer::StateVerified(verified) => assert!(verified.ok, "{verified:?}"),
        other => panic!("{other:?}"),
    }
    match client.call(Command::DecisionsReplay).unwrap() {
        Answer::DecisionsReplayed(replayed) => assert!(replayed.ok, "{replayed:?}"),
        other => panic!("{other:?}"),
    }
}

/// `lab/net` with so many versions in a solo vault.
fn world(versions: usize) -> (World, Keeper, Vec<Put>) {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    let puts: Vec<Put> = (0..versions).map(|_| Put::new("lab/net").class(Class::Internal)).collect();
    for put in &puts {
        client.put(put).unwrap();
        world.clock.advance(1000);
    }
    drop(client);
    (world, keeper, puts)
}

#[test]
fn what_is_removed_is_not_opened_until_it_is_restored() {
    let (world, keeper, _) = world(3);
    let client = Client::new(&keeper, &world, None);
    let (_, before) = client.release(Action::Read, "lab/net@v3").unwrap();
    let then = Timestamp::from_millis(world.clock.millis());
    world.clock.advance(1_000);
    let removed = remove(&client, "lab/net@v3").unwrap();
    let until = removed.items[0].until.unwrap();
    assert_eq!((removed.changed, until.as_millis()), (1, world.clock.millis() + 7 * DAY));
    // The newest that is there is the latest one; the number is never used again.
    assert_eq!(client.show("lab/net").unwrap().number, 2);
    assert_eq!(client.put(&Put::new("lab/net")).unwrap().version.number, 4);
    for action in [Action::Read, Action::Export, Action::List] {
        let refused = client.release(action, "lab/net@v3").unwrap_err();
        assert_eq!(refused.code, Code::Gone);
        assert_eq!(refused.try_.as_deref(), Some("strongroom undelete lab/net@v3"));
    }
    assert_eq!(code(alias(&client, "lab/net@v3", "prod")), Code::Gone);
    questions_are_answered_like_acts(&client, then);
    // Said again it is so already.
    let again = remove(&client, "lab/net@v3").unwrap();
    assert_eq!((again.changed, again.receipt, again.items[0].until), (0, None, Some(until)));
    let told = client.show("lab/net@v3").unwrap().removed.unwrap();
    assert_eq!((told.until, told.by_rule, told.held, told.destroyed), (until, false, false, None));

    assert_eq!(restore(&client, "lab/net@v3").unwrap().changed, 1);
    assert_eq!(restore(&client, "lab/net@v3").unwrap().changed, 0);
    let (_, after) = client.release(Action::Read, "lab/net@v3").unwrap();
    let map = |opened: &Opened| match &opened.keys[1].key {
        Key::Map(key) => *key.expose_bytes(),
        Key::List(_) => panic!("no map key"),
    };
    assert_eq!(map(&before), map(&after), "the same keys");
    assert_eq!(client.show("lab/net").unwrap().number, 4);
    assert_eq!((entries(&client, "version.remove").len(), entries(&client, "version.restore").len()), (1, 1));
    holds_together(&client);
}

/// Of `lab/net@v3`, which was there before.
fn questions_are_answered_like_acts(client: &Client<'_>, before: Timestamp) {
    let explain =
        |action| client.call(Command::Explain(Explain { reference: Some("lab/net@v3".into()), ..Explain::of(action) }));
    let who_can = |action, as_of| {
        let reference = Some("lab/net@v3".into());
        client.call(Command::WhoCan(WhoCan { action, reference, environment: None, as_of, after: None, limit: 10 }))
    };
    for action in [Action::Read, Action::Export, Action::Scan, Action::Alias] {
        assert_eq!(code(explain(action)), Code::Gone, "{action}");
        assert_eq!(code(who_can(action, None)), Code::Gone, "{action}");
        assert!(
            matches!(who_can(action, Some(before)), Ok(Answer::WhoCan(page)) if !page.items.is_empty()),
            "{action}"
        );
    }
    for action in [Action::Restore, Action::Hold, Action::List] {
        assert!(matches!(explain(action), Ok(Answer::Explained(_))), "{action}");
        assert!(matches!(who_can(action, None), Ok(Answer::WhoCan(page)) if !page.items.is_empty()), "{action}");
    }
}

#[test]
fn questions_about_the_last_version_are_answered_when_it_is_removed_too() {
    let (world, keeper, _) = world(1);
    let client = Client::new(&keeper, &world, None);
    remove(&client, "lab/net@v1").unwrap();
    let who_can = |action| {
        let reference = Some("lab/net@v1".into());
        let ask = WhoCan { action, reference, environment: None, as_of: None, after: None, limit: 10 };
        client.call(Command::WhoCan(ask))
    };
    assert_eq!(code(who_can(Action::Read)), Code::Gone);
    assert!(matches!(who_can(Action::Restore), Ok(Answer::WhoCan(page)) if !page.items.is_empty()));
}

#[test]
fn a_removed_version_ends_with_its_key_and_keeps_its_name() {
    let (world, keeper, puts) = world(2);
    let client = Client::new(&keeper, &world, None);
    remove(&client, "lab/net@v1").unwrap();
    world.clock.advance(7 * DAY - 1000);
    assert_eq!(ran(&client, "destroy"), 0, "it can be restored to the end");
    assert!(collected(&client).is_empty());
    world.clock.advance(1000);
    assert_eq!(ran(&client, "destroy"), 1);
    let ask = WhoDid { reference: "lab/net@v1".into(), since: None, until: None, after: None, limit: 10 };
    let Answer::WhoDid { items, .. } = client.call(Command::WhoDid(ask)).unwrap() else { panic!() };
    let by_system: Vec<(&str, bool)> = items.iter().map(|deed| (deed.act.as_str(), deed.by_system)).collect();
    assert!(by_system.contains(&("version.destroy", true)), "{by_system:?}");
    assert!(by_system.contains(&("version.remove", false)), "{by_system:?}");
    let gone = client.release(Action::Read, "lab/net@v1").unwrap_err();
    assert_eq!((gone.code, gone.try_), (Code::Gone, None));
    assert_eq!(code(restore(&client, "lab/net@v1")), Code::Gone);
    let item = client.show("lab/net@v1").unwrap();
    assert_eq!((item.number, item.is_destroyed()), (1, true));
    let wraps = |put: &Put| {
        let db = rusqlite::Connection::open(world.dir().join("keeper.db")).unwrap();
        let sql = format!(
            "SELECT (SELECT COUNT(*) FROM wrap WHERE version = x'{0}'), (SELECT COUNT(*) FROM prints WHERE version = x'{0}')",
            put.version
        );
        db.query_row(&sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))).unwrap()
    };
    assert_eq!((wraps(&puts[0]), wraps(&puts[1])), ((0, 0), (1, 1)), "no wrap of its key, and no print");
    let mut freed = puts[0].objects.clone();
    freed.sort();
    world.clock.advance(1000);
    assert_eq!(collected(&client), freed, "its objects are garbage, and nobody else's");
    client.call(Command::CollectDone { objects: freed }).unwrap();
    client.release(Action::Read, "lab/net@v2").unwrap();
    let ended = entries(&client, "version.destroy");
    assert_eq!(ended.len(), 1);
    assert_eq!(ran(&client, "destroy"), 0);
    holds_together(&client);
}

#[test]
fn packs_that_another_version_took_over_stay_and_are_told_of() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    let first = Put::new("lab/net").class(Class::Internal);
    let (begun, _) = client.begin(&first).unwrap();
    let record = first.record(&keeper, &begun);
    client.commit_record(&first, record.encode().unwrap()).unwrap();
    let second = Put {
        previous: Some(first.version),
        packs: record.packs.clone(),
        ..Put::new("lab/net").class(Class::Internal)
    };
    client.put(&second).unwrap();
    let removed = remove(&client, "lab/net@v1").unwrap();
    assert_eq!(removed.items[0].shares_with, ["lab/net@v2"]);
    world.clock.advance(8 * DAY);
    assert_eq!(ran(&client, "destroy"), 1);
    world.clock.advance(1000);
    // Its own object goes; the segment that the second version names stays, until that is destroyed too.
    assert_eq!(collected(&client), [first.objects[0]]);
    client.call(Command::CollectDone { objects: vec![first.objects[0]] }).unwrap();
    // And a third version takes it over, though who wrote it is gone: until nobody names it any more.
    let borrowing = |previous: &Put| Put {
        previous: Some(previous.version),
        packs: record.packs.clone(),
        ..Put::new("lab/net").class(Class::Internal)
    };
    let third = borrowing(&second);
    client.put(&third).unwrap();
    let all = Remove { all: true, ..wish("lab/net") };
    let late = borrowing(&third);
    let (begun, _) = client.begin(&late).unwrap();
    assert_eq!(removal(client.call(Command::Remove(all))).unwrap().items.len(), 2);
    assert_eq!(code(client.show("lab/net").map(drop)), Code::NotFound, "nothing is there");
    world.clock.advance(8 * DAY);
    assert_eq!(ran(&client, "destroy"), 2);
    assert_eq!(code(client.commit(&late, &begun)), Code::Conflict, "what it would take over is gone");
    client.call(Command::Abandon { version: late.version }).unwrap();
    world.clock.advance(1000);
    let mut rest = vec![first.objects[1]];
    rest.extend([&second, &third, &late].into_iter().flat_map(|put| put.objects.clone()));
    rest.sort();
    assert_eq!(collected(&client), rest);
    holds_together(&client);
}

#[test]
fn what_is_made_from_it_is_told_and_an_alias_keeps_it() {
    let (world, keeper, _) = world(1);
    let client = Client::new(&keeper, &world, None);
    client.put(&Put { from: vec!["lab/net@v1".into()], ..Put::new("lab/model") }).unwrap();
    alias(&client, "lab/net@v1", "prod").unwrap();
    let refused = remove(&client, "lab/net@v1").unwrap_err();
    assert_eq!((refused.code, refused.try_.as_deref()), (Code::Conflict, Some("strongroom alias rm lab/net prod")));
    let gone = AliasRemove { reference: "lab/net".into(), alias: name("prod"), expect: None };
    client.call(Command::AliasRemove(gone)).unwrap();
    let dry = removal(client.call(Command::Remove(Remove { dry: true, ..wish("lab/net@v1") }))).unwrap();
    assert_eq!((dry.changed, dry.items[0].made_from_it.as_slice()), (0, ["lab/model@v1".to_owned()].as_slice()));
    client.release(Action::Read, "lab/net@v1").unwrap();
    assert_eq!(remove(&client, "lab/net@v1").unwrap().items[0].made_from_it, ["lab/model@v1"]);
    for bad in ["lab/net", "lab/net/path"] {
        assert_eq!(code(remove(&client, bad)), Code::BadRequest, "{bad}");
    }
    assert_eq!(code(remove(&client, "lab/net@v9")), Code::NotFound);
}

#[test]
fn nothing_under_a_legal_hold_is_removed_or_destroyed() {
    let (world, keeper, _) = world(3);
    let client = Client::new(&keeper, &world, None);
    remove(&client, "lab/net@v1").unwrap();
    assert!(hold(&client, "lab/net@v2", "one").unwrap().changed);
    assert!(!hold(&client, "lab/net@v2", "one").unwrap().changed);
    assert_eq!(code(hold(&client, "lab/net@v3", "one")), Code::Conflict, "a name holds one thing");
    let refused = remove(&client, "lab/net@v2").unwrap_err();
    let refusal = refused.refusal.unwrap();
    assert_eq!((refused.code, refusal.policies), (Code::Denied, vec!["legal-hold".to_owned()]));
    remove(&client, "lab/net@v3").unwrap();
    restore(&client, "lab/net@v3").unwrap();
    // A hold on the artifact that comes after a removal keeps the key, whatever time passes; it is restored under it, too.
    hold(&client, "lab/net", "all").unwrap();
    assert_eq!(code(remove(&client, "lab/net@v3")), Code::Denied);
    world.clock.advance(30 * DAY);
    assert_eq!(ran(&client, "destroy"), 0);
    assert!(client.show("lab/net@v1").unwrap().removed.unwrap().held);
    let names: Vec<(String, String)> =
        holds(&client, "lab").into_iter().map(|hold| (hold.name.to_string(), hold.of)).collect();
    let pair = |name: &str, of: &str| (name.to_owned(), of.to_owned());
    assert_eq!(names, [pair("all", "lab/net"), pair("one", "lab/net@v2")]);
    assert_eq!(code(keep(&client, "lab/net", None, Some(1), false)), Code::Denied, "no rule either");
    lift(&client, "lab/net", "all").unwrap();
    assert_eq!(code(lift(&client, "lab/net", "all")), Code::Conflict);
    assert_eq!(ran(&client, "destroy"), 0, "its time begins again, so that nobody destroys by lifting a hold");
    world.clock.advance(7 * DAY);
    assert_eq!(ran(&client, "destroy"), 1, "its time is over");
    assert_eq!(code(remove(&client, "lab/net@v1")), Code::Gone);
    assert!(client.show("lab/net@v1").unwrap().is_destroyed());
    assert_eq!(code(hold(&client, "lab/net@v1", "late")), Code::Gone);
    assert_eq!(entries(&client, "hold.set").len(), 2);
    holds_together(&client);
}

#[test]
fn a_rule_keeps_the_young_and_the_newest_and_removes_the_others() {
    let (world, keeper, _) = world(5);
    let client = Client::new(&keeper, &world, None);
    assert_eq!(fates(&client), [Keeping::NoRule; 5]);
    alias(&client, "lab/net@v1", "golden").unwrap();
    hold(&client, "lab/net@v2", "case").unwrap();
    let dry = keep(&client, "lab/net", None, Some(2), true).unwrap();
    assert_eq!((dry.items[0].due, dry.receipt), (1, None));
    assert_eq!(ran(&client, "retention"), 0, "nothing was set");
    keep(&client, "lab/net", None, Some(2), false).unwrap();
    let (due, last) = (Keeping::Due, Keeping::Last);
    assert_eq!(fates(&client), [Keeping::Aliased, Keeping::Held, due, last, last]);
    assert_eq!(ran(&client, "retention"), 1);
    assert!(client.show("lab/net@v3").unwrap().removed.unwrap().by_rule);
    let again = restore(&client, "lab/net@v3").unwrap_err();
    let hint = "strongroom retention report lab/net";
    assert_eq!((again.code, again.try_.as_deref()), (Code::Conflict, Some(hint)), "the rule would take it again");
    // One more version pushes the oldest of the last two out.
    client.put(&Put::new("lab/net")).unwrap();
    assert_eq!(ran(&client, "retention"), 1);
    assert_eq!(fates(&client), [Keeping::Aliased, Keeping::Held, Keeping::Removed, Keeping::Removed, last, last]);
    // What the alias kept goes when it moves on, within a day.
    alias(&client, "lab/net@v6", "golden").unwrap();
    world.clock.advance(DAY);
    assert_eq!(ran(&client, "retention"), 1);
    // By age alone everything goes in the end, but what is held.
    lift(&client, "lab/net", "case").unwrap();
    keep(&client, "lab/net", Some(3), None, false).unwrap();
    assert_eq!(ran(&client, "retention"), 0);
    world.clock.advance(4 * DAY);
    assert_eq!(ran(&client, "retention"), 2);
    let told = report(&client, "lab");
    assert_eq!((told.items[0].kept, told.items[0].removed), (1, 5), "{told:?}");
    world.clock.advance(8 * DAY);
    assert_eq!(ran(&client, "destroy"), 5);
    keep(&client, "lab/net", None, None, false).unwrap();
    assert_eq!(fates(&client)[5], Keeping::NoRule);
    for (days, last) in [(Some(0), None), (Some(40_000), None), (None, Some(0)), (None, Some(2_000_000))] {
        assert_eq!(code(keep(&client, "lab/net", days, last, false)), Code::BadRequest);
    }
    holds_together(&client);
}

#[test]
fn who_may_not_remove_does_not_and_learns_nothing() {
    let world = staff(World::new(Mode::Rehearsal));
    let keeper = world.open();
    let owner = Client::new(&keeper, &world, None);
    for add in [
        principal("stew", Class::Restricted, &[("lab", "steward")]),
        principal("own", Class::Restricted, &[("lab", "owner")]),
    ] {
        owner.call(Command::PrincipalAdd(add)).unwrap();
    }
    let as_ = |who: &str| Client::new(&keeper, &world, Some(who));
    let (wanda, stew, rick, mallory) = (as_("wanda"), as_("stew"), as_("rick"), as_("mallory"));
    let prod = Put { environment: Environment::Staging, ..Put::new("lab/net").class(Class::Confidential) };
    wanda.put(&prod).unwrap();
    wanda.put(&Put::new("lab/net").class(Class::Confidential)).unwrap();
    assert_eq!(code(remove(&rick, "lab/net@v2")), Code::Denied);
    assert_eq!(code(remove(&mallory, "lab/net@v2")), Code::NotFound);
    // Writers remove in dev only, and set no rule, which would reach everything.
    assert_eq!(code(remove(&wanda, "lab/net@v2")), Code::Denied);
    assert_eq!(code(keep(&wanda, "lab/net", None, Some(1), false)), Code::Denied);
    remove(&wanda, "lab/net@v3").unwrap();
    assert_eq!(code(hold(&stew, "lab/net", "case")), Code::Denied);
    hold(&as_("own"), "lab/net", "case").unwrap();
    assert_eq!(code(remove(&stew, "lab/net@v2")), Code::Denied);
    lift(&as_("own"), "lab/net", "case").unwrap();
    remove(&stew, "lab/net@v2").unwrap();
    assert_eq!(code(restore(&wanda, "lab/net@v2")), Code::Denied);
    // Gone for those who see it, not found for the others; what is tried is in the log.
    assert_eq!(code(rick.release(Action::Read, "lab/net@v2")), Code::Gone);
    assert_eq!(code(mallory.release(Action::Read, "lab/net@v2")), Code::NotFound);
    assert_eq!(code(alias(&mallory, "lab/net@v2", "prod")), Code::NotFound);
    assert_eq!(code(hold(&mallory, "lab/net@v2", "case")), Code::NotFound);
    restore(&stew, "lab/net@v2").unwrap();
    // Restricted data is removed when two agree, whom this release cannot ask.
    let secret = Put::new("lab/secret").class(Class::Restricted);
    stew.put(&secret).unwrap();
    let refused = remove(&stew, "lab/secret@v1").unwrap_err();
    assert_eq!(refused.code, Code::ApprovalNeeded);
    // Nor by a rule that was set while the artifact was of a lower class; such a rule can always be taken away.
    stew.put(&Put::new("lab/rising").class(Class::Internal)).unwrap();
    keep(&stew, "lab/rising", None, Some(1), false).unwrap();
    for _ in 0..2 {
        stew.put(&Put::new("lab/rising").class(Class::Restricted)).unwrap();
    }
    assert_eq!(ran(&owner, "retention"), 1, "the internal one");
    assert_eq!(report(&stew, "lab/rising").items[0].versions[1].fate, Keeping::Above);
    assert_eq!(code(keep(&stew, "lab/rising", Some(1), None, false)), Code::ApprovalNeeded);
    keep(&stew, "lab/rising", None, None, false).unwrap();
    holds_together(&as_("aud"));
}

#[test]
fn restricted_data_is_removed_alone_with_a_reason_and_its_name() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/secret").class(Class::Restricted)).unwrap();
    let refused = remove(&client, "lab/secret@v1").unwrap_err();
    assert_eq!(refused.code, Code::ConfirmationNeeded);
    let (reason, confirm) = (Some("consent withdrawn".to_owned()), Some("lab/secret".to_owned()));
    removal(client.call(Command::Remove(Remove { reason, confirm, ..wish("lab/secret@v1") }))).unwrap();
    assert_eq!(code(keep(&client, "lab/secret", None, Some(1), false)), Code::ConfirmationNeeded);
    let until = client.show("lab/secret@v1").unwrap().removed.unwrap().until;
    assert_eq!(until.as_millis(), world.clock.millis() + 30 * DAY);
}

#[test]
fn a_writer_of_the_database_cannot_undo_a_removal_or_a_hold() {
    for edit in [
        "UPDATE version SET ends = NULL",
        "UPDATE version SET body = CAST(replace(CAST(body AS TEXT), '\"removed\"', '\"removed_\"') AS BLOB)",
        "UPDATE artifact SET body = CAST(replace(CAST(body AS TEXT), '\"holds\"', '\"holds_\"') AS BLOB)",
        "UPDATE artifact SET due = 7",
        "UPDATE version SET artifact = zeroblob(16) WHERE number = 2",
    ] {
        let (world, keeper, _) = world(2);
        let client = Client::new(&keeper, &world, None);
        remove(&client, "lab/net@v1").unwrap();
        hold(&client, "lab/net@v2", "case").unwrap();
        drop(client);
        keeper.close().unwrap();
        assert!(world.tamper(edit) > 0, "{edit}");
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        let state = client.call(Command::StateVerify).unwrap();
        assert!(matches!(state, Answer::StateVerified(verified) if !verified.ok), "{edit}");
        assert_ne!(code(client.release(Action::Read, "lab/net@v1")), Code::NotFound, "{edit}");
        assert!(remove(&client, "lab/net@v2").is_err(), "{edit}");
    }
}

#[test]
fn removal_and_retention_work_on_postgres() {
    let world = World::postgres(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    for _ in 0..3 {
        client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
    }
    remove(&client, "lab/net@v1").unwrap();
    hold(&client, "lab/net", "case").unwrap();
    world.clock.advance(8 * DAY);
    assert_eq!(ran(&client, "destroy"), 0);
    lift(&client, "lab/net", "case").unwrap();
    world.clock.advance(8 * DAY);
    assert_eq!(ran(&client, "destroy"), 1);
    keep(&client, "lab/net", None, Some(1), false).unwrap();
    assert_eq!((ran(&client, "retention"), ran(&client, "retention")), (1, 0));
    holds_together(&client);
}

#[test]
fn what_the_database_hides_is_not_destroyed_for_its_sake() {
    // A version that needs the same objects is hidden from whoever looks for it by its artifact; a wrap from whoever looks by its key.
    for (edit, back) in [
        ("UPDATE version SET artifact = zeroblob(16) WHERE number = 2", "UPDATE version SET artifact = ARTIFACT"),
        ("UPDATE wrap SET wrapped = zeroblob(16) WHERE version IS NOT NULL", ""),
    ] {
        let (world, keeper, puts) = world(2);
        let client = Client::new(&keeper, &world, None);
        let artifact = client.show("lab/net").unwrap().artifact;
        remove(&client, "lab/net@v1").unwrap();
        world.clock.advance(8 * DAY);
        assert!(world.tamper(edit) > 0, "{edit}");
        match client.call(Command::JobsRun { name: Some("destroy".into()) }).unwrap() {
            Answer::JobsRan(ran) => assert!(ran.items[0].done == 0 && ran.items[0].failed.is_some(), "{edit}: {ran:?}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(code(client.call(Command::CollectMark { grace_secs: 0, dry: false })), Code::Integrity, "{edit}");
        if !back.is_empty() {
            world.tamper(&back.replace("ARTIFACT", &format!("x'{artifact}'")));
            assert_eq!(ran(&client, "destroy"), 1);
            client.release(Action::Read, "lab/net@v2").unwrap();
            holds_together(&client);
        }
        drop(puts);
    }
}

#[test]
fn one_environment_pushes_nothing_out_of_another() {
    let (world, keeper, _) = world(1);
    let client = Client::new(&keeper, &world, None);
    keep(&client, "lab/net", None, Some(1), false).unwrap();
    for _ in 0..2 {
        client.put(&Put { environment: Environment::Staging, ..Put::new("lab/net").class(Class::Internal) }).unwrap();
    }
    assert_eq!(ran(&client, "retention"), 1);
    assert_eq!(fates(&client), [Keeping::Last, Keeping::Removed, Keeping::Last]);
}

#[test]
fn no_key_of_a_removed_version_leaves_for_a_scan_either() {
    let (world, keeper, puts) = world(2);
    let client = Client::new(&keeper, &world, None);
    remove(&client, "lab/net@v1").unwrap();
    let ids: Vec<_> = puts.iter().map(|put| put.version).collect();
    let empty = Command::Prints(Prints { request: Vec::new() });
    let asked = client.ask(Action::Scan, &ids, &empty);
    let request = asked.signed.encode();
    match client.call(Command::Prints(Prints { request })).unwrap() {
        Answer::Printed(printed) => {
            let told: Vec<_> = printed.items.iter().map(|item| item.version).collect();
            assert_eq!(told, [puts[1].version]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn holds_are_listed_of_more_artifacts_than_are_looked_at_in_one_go() {
    let (world, keeper, _) = world(1);
    let client = Client::new(&keeper, &world, None);
    for number in 0..205 {
        client.put(&Put::new(&format!("lab/a{number:03}")).class(Class::Internal)).unwrap();
    }
    let held = ["lab/a000", "lab/a199", "lab/a200", "lab/a204"];
    for reference in held {
        hold(&client, reference, "case").unwrap();
    }
    let of: Vec<String> = holds(&client, "lab").into_iter().map(|item| item.of).collect();
    assert_eq!(of, held);
}
