//! Which suite seals what: the table in force decides, the rows hold it, and nothing of one suite passes for the other.

use crate::decisions::{entries, staff};
use crate::world::{Client, Put, World, code, name};
use api::terms::{Action, Class, Code, Environment, Mode, Suite};
use api::wire::{Answer, Command, KeyRotate, Problem, SuitesShown};
use keeper::vault::{self, InitOptions, RootChoice};
use seal::record::VersionRecord;

const BASELINE: &str = include_str!("../../../../baseline/crypto.toml");
const BOTH: &str = "[\"default\", \"nist\"]";

/// The baseline with another line for the class confidential.
fn confidential(write: &str, read: &str) -> String {
    let (before, after) = BASELINE.split_once("[class.confidential]").unwrap();
    let after = after.split_once("\n\n").unwrap().1;
    format!("{before}[class.confidential]\nwrite = \"{write}\"\nread = {read}\n\n{after}")
}

fn apply(client: &Client<'_>, table: &str) -> Result<SuitesShown, Problem> {
    match client.call(Command::SuitesApply { table: table.to_owned(), lockout: false })? {
        Answer::Suites(shown) => Ok(shown),
        other => panic!("{other:?}"),
    }
}

fn shown(client: &Client<'_>) -> SuitesShown {
    match client.call(Command::SuitesShow).unwrap() {
        Answer::Suites(shown) => shown,
        other => panic!("{other:?}"),
    }
}

fn verified(client: &Client<'_>) -> bool {
    let Answer::StateVerified(state) = client.call(Command::StateVerify).unwrap() else { panic!() };
    state.ok
}

const DEFAULT: seal::Suite = seal::Suite::Default;
const NIST: seal::Suite = seal::Suite::Nist;

#[test]
fn the_table_decides_with_what_a_class_is_sealed_and_another_request_is_refused() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    apply(&client, &confidential("nist", BOTH)).unwrap();
    let put = Put::new("lab/net").class(Class::Confidential);
    let refused = client.begin(&put).unwrap_err();
    assert_eq!((refused.code, refused.suite), (Code::Conflict, Some(Suite::Nist)));
    assert!(matches!(code(client.show("lab/net")), Code::NotFound), "nothing was begun");

    let (begun, opened) = client.under(NIST).begin(&put).unwrap();
    assert_eq!(opened.keys.len(), 2);
    // Sealed with the other suite than it was begun with: not committed.
    let record = VersionRecord { suite: DEFAULT, ..put.record(&keeper, &begun) };
    let refused = client.commit_record(&put, record.encode().unwrap()).unwrap_err();
    assert_eq!(refused.code, Code::BadRequest);
    assert!(refused.why.contains("suite"), "{refused:?}");
    let committed = client.commit(&put, &begun).unwrap();
    assert_eq!(committed.version.suite, Suite::Nist);
    assert_eq!(client.show("lab/net").unwrap().suite, Suite::Nist);

    // Another class goes on as it was.
    let internal = Put::new("lab/open").class(Class::Internal);
    assert_eq!(client.begin(&internal).unwrap_err().suite, Some(Suite::Default));
    assert_eq!(client.under(DEFAULT).put(&internal).unwrap().version.suite, Suite::Default);
    assert!(verified(&client));
}

#[test]
fn one_environment_of_a_class_may_differ() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    let prod = "[class.internal.prod]\nwrite = \"nist\"\nread = [\"nist\"]\n\n[class.confidential]";
    apply(&client, &BASELINE.replacen("[class.confidential]", prod, 1)).unwrap();
    let put = |environment| Put { environment, ..Put::new("lab/net").class(Class::Internal) };
    assert_eq!(client.put(&put(Environment::Staging)).unwrap().version.suite, Suite::Default);
    assert_eq!(client.begin(&put(Environment::Prod)).unwrap_err().suite, Some(Suite::Nist));
    assert_eq!(client.under(NIST).put(&put(Environment::Prod)).unwrap().version.suite, Suite::Nist);
}

#[test]
fn a_version_is_released_under_its_own_suite_only() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/net")).unwrap();
    apply(&client, &confidential("nist", BOTH)).unwrap();
    client.under(NIST).put(&Put::new("lab/net")).unwrap();
    for (reference, own, suite, other) in
        [("lab/net@v1", DEFAULT, Suite::Default, NIST), ("lab/net@v2", NIST, Suite::Nist, DEFAULT)]
    {
        let refused = client.under(other).release(Action::Read, reference).unwrap_err();
        assert_eq!((refused.code, refused.suite), (Code::Conflict, Some(suite)), "{reference}");
        let (released, opened) = client.under(own).release(Action::Read, reference).unwrap();
        assert_eq!((released.version.suite, opened.keys.len()), (suite, 2));
    }
}

#[test]
fn a_suite_that_may_not_be_read_is_not_opened_until_it_may_again() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/net")).unwrap();
    client.release(Action::Read, "lab/net").unwrap();
    apply(&client, &confidential("nist", "[\"nist\"]")).unwrap();
    let refused = client.release(Action::Read, "lab/net").unwrap_err();
    assert_eq!(refused.code, Code::Gone);
    assert!(refused.why.contains("`default`"), "{refused:?}");
    assert!(client.show("lab/net").is_ok(), "it is there all the same");
    apply(&client, "").unwrap();
    client.release(Action::Read, "lab/net").unwrap();
}

#[test]
fn packs_of_a_version_of_another_suite_are_not_borrowed() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    let first = Put::new("lab/net");
    let (begun, _) = client.begin(&first).unwrap();
    let packs = first.record(&keeper, &begun).packs;
    client.commit_record(&first, first_record(&keeper, &first, &begun, &packs)).unwrap();
    apply(&client, &confidential("nist", BOTH)).unwrap();
    let second = Put { previous: Some(first.version), packs, ..Put::new("lab/net") };
    let (begun, opened) = client.under(NIST).begin(&second).unwrap();
    assert!(begun.previous.is_none(), "no keys of packs that it may not name");
    assert_eq!(opened.keys.len(), 2);
    let refused = client.commit(&second, &begun).unwrap_err();
    assert!(refused.code == Code::BadRequest && refused.why.contains("pack"), "{refused:?}");
    let alone = Put { packs: Vec::new(), ..second };
    assert_eq!(client.commit(&alone, &begun).unwrap().version.number, 2);
}

fn first_record(keeper: &keeper::Keeper, put: &Put, begun: &api::wire::Begun, packs: &[seal::record::Pack]) -> Vec<u8> {
    VersionRecord { packs: packs.to_vec(), ..put.record(keeper, begun) }.encode().unwrap()
}

#[test]
fn a_draft_that_was_begun_under_another_suite_is_not_taken_up() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    let put = Put::new("lab/net");
    let (begun, _) = client.begin(&put).unwrap();
    apply(&client, &confidential("nist", BOTH)).unwrap();
    assert_eq!(client.begin(&put).unwrap_err().suite, Some(Suite::Nist));
    let refused = client.under(NIST).begin(&put).unwrap_err();
    assert_eq!((refused.code, refused.suite), (Code::Conflict, None), "{refused:?}");
    // What is under way ends as it was begun.
    assert_eq!(client.under(DEFAULT).commit(&put, &begun).unwrap().version.suite, Suite::Default);
}

#[test]
fn rotation_wraps_versions_of_both_suites_and_changes_neither() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/net")).unwrap();
    apply(&client, &confidential("nist", BOTH)).unwrap();
    client.under(NIST).put(&Put::new("lab/net")).unwrap();
    let Answer::Rotated(rotated) = client.call(Command::KeyRotate(KeyRotate::default())).unwrap() else { panic!() };
    // The second version was put under a domain key of its suite already.
    assert_eq!((rotated.rewrapped, rotated.remaining), (1, 0));
    for (reference, suite) in [("lab/net@v1", DEFAULT), ("lab/net@v2", NIST)] {
        assert_eq!(client.under(suite).release(Action::Read, reference).unwrap().1.keys.len(), 2);
    }
    assert!(verified(&client));
    drop(client);
    keeper.close().unwrap();
    let rows = |sql: &str| {
        let db = rusqlite::Connection::open(world.dir().join("keeper.db")).unwrap();
        let mut rows = db.prepare(sql).unwrap();
        let rows = rows.query_map([], |row| row.get::<_, String>(0)).unwrap();
        rows.map(Result::unwrap).collect::<Vec<String>>()
    };
    let suite = "json_extract(CAST(body AS TEXT), '$.suite')";
    let domains = rows(&format!("SELECT {suite} FROM crypto_key WHERE purpose = 'domain' ORDER BY number"));
    assert_eq!(domains, ["default", "nist"], "a new domain key is of the suite that its class writes");
    let mut versions = rows(&format!("SELECT {suite} FROM wrap WHERE version IS NOT NULL"));
    versions.sort();
    assert_eq!(versions, ["default", "nist"]);
}

#[test]
fn whoever_may_change_the_policy_changes_the_table_and_the_log_says_so() {
    let world = staff(World::new(Mode::Rehearsal));
    let keeper = world.open();
    let table = confidential("nist", BOTH);
    let rick = Client::new(&keeper, &world, Some("rick"));
    assert!(matches!(code(apply(&rick, &table)), Code::Denied | Code::NotFound));
    assert_eq!(shown(&rick).table, BASELINE);
    let pol = Client::new(&keeper, &world, Some("pol"));
    let applied = apply(&pol, &table).unwrap();
    assert!(applied.own && applied.receipt.is_some());
    assert_eq!(shown(&rick).table, table);
    let aud = Client::new(&keeper, &world, Some("aud"));
    let acts = entries(&aud, "policy.suites");
    assert!(acts.iter().any(|entry| entry.entry.to_string().contains("after")), "{acts:?}");
    let back = apply(&pol, "").unwrap();
    assert_eq!((back.own, back.table.as_str()), (false, BASELINE));
    assert!(verified(&aud));
}

#[test]
fn a_table_that_is_weak_hostile_or_not_one_is_refused() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    for (from, to, expected) in [
        ("iterations = 600000", "iterations = 1000", Code::BadRequest),
        ("iterations = 600000", "iterations = 4000000000", Code::BadRequest),
        ("memory_kib = 65536", "memory_kib = 1024", Code::BadRequest),
        ("memory_kib = 65536", "memory_kib = 1073741824", Code::BadRequest),
        ("[class.public]", "[class.secret]", Code::BadRequest),
        ("write = \"default\"", "write = \"fips\"", Code::BadRequest),
        // The vault's own keys have the suite that they were made with.
        ("suite = \"default\"", "suite = \"nist\"", Code::Conflict),
    ] {
        assert_eq!(code(apply(&client, &BASELINE.replacen(from, to, 1))), expected, "{to}");
        let options = InitOptions {
            dir: world.tmp.path().join("second"),
            vault: vault::draw_id().unwrap(),
            mode: Mode::Solo,
            root: RootChoice::Keyfile { path: world.tmp.path().join("second.key") },
            anchor: world.tmp.path().join("second.anchor"),
            owner: name("olivia"),
            crypto: Some(BASELINE.replacen(from, to, 1)),
            recovery: None,
        };
        if expected == Code::BadRequest {
            assert_eq!(code(vault::init(&options)), expected, "{to}");
            assert!(!options.dir.exists() && !world.tmp.path().join("second.key").exists(), "nothing was made");
        }
    }
    assert_eq!(shown(&client).table, BASELINE);
}

#[test]
fn the_costs_of_the_baseline_are_the_recommended_ones() {
    for suite in [DEFAULT, NIST] {
        let cost = seal::passphrase::Cost::recommended(suite);
        assert!(cost.is_bounded());
        let lines: Vec<String> = match cost {
            seal::passphrase::Cost::Argon2id { memory_kib, passes, lanes } => {
                vec![format!("memory_kib = {memory_kib}"), format!("passes = {passes}"), format!("lanes = {lanes}")]
            }
            seal::passphrase::Cost::Pbkdf2 { iterations } => vec![format!("iterations = {iterations}")],
        };
        lines.iter().for_each(|line| assert!(BASELINE.lines().any(|found| found == line), "{line}"));
    }
}
