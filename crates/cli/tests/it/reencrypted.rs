//! `key reencrypt`: the same files under another key and in other packs; killed, refused, damaged or full, the version is what it was.

use super::faults::on_small_disk;
use super::inside::{self, Known, known};
use super::sandbox::{Dice, Ended, Sandbox, end};
use super::stored::{objects, put};
use depot::Key;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::Stdio;
use testkit::suites;

fn told(sandbox: &Sandbox, args: &[&str]) -> Value {
    sandbox.run(["--format", "json"].iter().chain(args)).exits(0).json()
}

/// One version of several files: an empty one, small ones, one over many groups, a link and folders.
fn filled(class: &str) -> Sandbox {
    let sandbox = Sandbox::solo();
    let mut dice = Dice(5);
    sandbox.write("in/large", dice.bytes(3_000_001));
    sandbox.write("in/deep/empty", b"");
    (0..20).for_each(|n| drop(sandbox.write(&format!("in/small-{n}"), dice.bytes(300 + n))));
    std::fs::create_dir(sandbox.at("in/folder")).unwrap();
    put(&sandbox, &["put", "in", "lab/data", "--class", class]);
    sandbox
}

/// A version of packs of its own and of four before it.
fn layered() -> Sandbox {
    let sandbox = Sandbox::solo();
    for n in 0..5 {
        sandbox.write(&format!("in/{n}"), Dice(n).bytes(4 << 20));
        put(&sandbox, &["put", "in", "lab/data", "--class", "internal"]);
    }
    sandbox
}

fn same(sandbox: &Sandbox, reference: &str) {
    let out = sandbox.at("out");
    let _ = std::fs::remove_dir_all(&out);
    sandbox.run(["get", reference, "out"]).exits(0);
    let compared = std::process::Command::new("diff").args(["-r", "in", "out"]).current_dir(sandbox.path()).output();
    let compared = compared.unwrap();
    assert!(compared.status.success(), "{reference}: {}", String::from_utf8_lossy(&compared.stdout));
}

fn sound(sandbox: &Sandbox) {
    for args in [&["verify", "--all", "--state"][..], &["audit", "verify", "--replay"]] {
        assert_eq!(told(sandbox, args)["ok"], true, "{args:?}");
    }
}

fn secrets(known: &Known) -> BTreeSet<Vec<u8>> {
    known.keys().into_values().collect()
}

fn item(sandbox: &Sandbox, args: &[&str]) -> Value {
    told(sandbox, args)["items"][0].clone()
}

/// The file of a depot object.
fn file_of(sandbox: &Sandbox, object: &[u8; 16]) -> PathBuf {
    let name = hex::encode(object);
    let mut found = sandbox.objects().into_iter();
    found.find(|path| path.to_string_lossy().replace('/', "").ends_with(&name)).expect("an object in the depot")
}

#[test]
fn the_files_stay_and_everything_that_seals_them_is_another() {
    suites::each(|| {
        let sandbox = filled("confidential");
        told(&sandbox, &["alias", "set", "lab/data@v1", "best"]);
        let (before, shown) = (known(&sandbox, "lab/data@v1"), told(&sandbox, &["show", "lab/data@v1"]));
        let done = item(&sandbox, &["key", "reencrypt", "lab/data@best"]);
        assert_eq!((&done["version"], &done["id"]), (&json!("lab/data@v1"), &shown["id"]));
        assert_eq!((&done["old_key"], &done["old_digest"]), (&shown["key"], &shown["digest"]));
        assert_eq!((&done["bytes"], &done["shared_with"]), (&shown["bytes"], &json!([])));

        let (after, now) = (known(&sandbox, "lab/data@best"), told(&sandbox, &["show", "lab/data"]));
        for field in ["id", "number", "bytes", "files", "created", "creator", "aliases", "class", "suite"] {
            assert_eq!(now[field], shown[field], "{field}");
        }
        assert!(now["key"] != shown["key"] && now["digest"] != shown["digest"] && now["reencrypted"].is_u64());
        assert_eq!(after.entries, before.entries);
        let digests = |known: &Known| known.places.iter().map(|place| place.digest).collect::<Vec<_>>();
        assert_eq!(digests(&after), digests(&before), "the files are the same");
        assert!(secrets(&after).is_disjoint(&secrets(&before)), "and each key another");
        assert!(objects(&after.record).is_disjoint(&objects(&before.record)));
        same(&sandbox, "lab/data@v1");
        sound(&sandbox);

        // What the old keys open is gone with the old packs, and they open nothing of the new.
        told(&sandbox, &["--yes", "gc", "--grace", "0s"]);
        let left: BTreeSet<String> =
            sandbox.objects().iter().map(|path| path.to_string_lossy().replace('/', "")).collect();
        let gone = |object: &[u8; 16]| !left.iter().any(|path| path.ends_with(&hex::encode(object)));
        assert!(objects(&before.record).iter().all(gone), "gc takes what was sealed under the old key");
        let client = inside::open(&sandbox);
        let object =
            depot::sealed::VersionObject::open(client.store(), &Key::new(after.record.vault, after.record.object));
        assert!(seal::map::MapReader::open(&before.map_key, &after.record, object.unwrap()).is_err());
        client.close().unwrap();
        same(&sandbox, "lab/data@v1");
        sound(&sandbox);
    });
}

#[test]
fn the_log_says_which_version_from_which_key_to_which() {
    let sandbox = filled("internal");
    let before = told(&sandbox, &["show", "lab/data"]);
    let done = item(&sandbox, &["key", "reencrypt", "lab/data", "--reason", "the key was in a dump"]);
    let entry = told(&sandbox, &["audit", "show", done["entry"].as_str().unwrap()]);
    let (subject, detail) = (&entry["entry"]["subject"], &entry["entry"]["detail"]);
    assert_eq!((&subject["version"], &subject["digest"]), (&before["id"], &done["digest"]), "{entry}");
    assert_eq!((&subject["digest.before"], &subject["replaces"]), (&before["digest"], &before["key"]), "{entry}");
    assert_eq!((&subject["key"], &detail["to"]), (&done["key"], &json!("destroyed")), "{entry}");
    let did = told(&sandbox, &["who-did", "lab/data"]);
    let acts: Vec<&str> = did["items"].as_array().unwrap().iter().filter_map(|deed| deed["act"].as_str()).collect();
    for act in ["version.reencrypt", "version.reencrypt.begin", "release.reencrypt", "version.commit"] {
        assert!(acts.contains(&act), "{act}: {acts:?}");
    }
    // A key that is destroyed is nobody's.
    sandbox.run(["key", "suspend", before["key"].as_str().unwrap(), "--reason", "r"]).exits(3);
}

#[test]
fn packs_that_versions_share_are_told_and_kept_until_each_is_sealed_anew() {
    let sandbox = layered();
    let before = known(&sandbox, "lab/data@v3").record;
    assert_eq!(before.packs.len(), 3);
    let done = item(&sandbox, &["key", "reencrypt", "lab/data@v3"]);
    assert_eq!(done["shared_with"], json!(["lab/data@v5", "lab/data@v4", "lab/data@v2", "lab/data@v1"]));
    assert_eq!(done["garbage"], 1, "its version object alone");
    assert_eq!(known(&sandbox, "lab/data@v3").record.packs.len(), 1);
    told(&sandbox, &["--yes", "gc", "--grace", "0s"]);
    sound(&sandbox);
    same(&sandbox, "lab/data@v5");
    // Nothing new is made of packs whose key somebody may have.
    sandbox.write("in/5", b"more");
    assert_eq!(put(&sandbox, &["put", "in", "lab/data"])["reused_bytes"], 0);
    assert!(put(&sandbox, &["put", "in", "lab/data"])["reused_bytes"].as_u64().unwrap() > 0);
    let all = ["key", "reencrypt", "lab/data@v1", "lab/data@v2", "lab/data@v4", "lab/data@v5"];
    let last = told(&sandbox, &all)["items"][3].clone();
    assert_eq!(last["shared_with"], json!([]));
    told(&sandbox, &["--yes", "gc", "--grace", "0s"]);
    let left = sandbox.objects().len();
    let named: BTreeSet<_> =
        (1..=7).flat_map(|n| objects(&known(&sandbox, &format!("lab/data@v{n}")).record)).collect();
    assert_eq!(left, named.len(), "nothing of before is left in the depot");
    sound(&sandbox);
}

#[test]
fn every_version_of_a_domain_key_that_was_rotated_out() {
    let sandbox = layered();
    sandbox.write("other", b"other");
    put(&sandbox, &["put", "other", "lab/other", "--class", "public"]);
    let keys = told(&sandbox, &["key", "ls"]);
    let domain = |key: &&Value| key["class"] == "internal";
    let old = keys["keys"].as_array().unwrap().iter().find(domain).unwrap()["id"].as_str().unwrap().to_owned();
    let refused = sandbox.run(["--format", "json", "key", "reencrypt", "--all-of", &old]).exits(8);
    assert!(refused.stderr.contains("strongroom key rotate --workspace lab"), "{}", refused.stderr);
    told(&sandbox, &["--yes", "key", "rotate", "--class", "internal"]);
    let done = told(&sandbox, &["key", "reencrypt", "--all-of", &old]);
    assert_eq!(done["items"].as_array().unwrap().len(), 5);
    assert_eq!(told(&sandbox, &["key", "reencrypt", "--all-of", &old])["items"], json!([]), "once is enough");
    sound(&sandbox);
}

#[test]
fn restricted_wants_a_reason_and_its_name_and_custodians_need_not_read() {
    let sandbox = filled("restricted");
    sandbox.run(["key", "reencrypt", "lab/data"]).exits(2);
    told(&sandbox, &["key", "reencrypt", "lab/data", "--reason", "r", "--confirm", "lab/data"]);
    sandbox.run(["get", "lab/data", "out", "--reason", "r", "--confirm", "lab/data"]).exits(0);
    sound(&sandbox);

    let team = Sandbox::rehearsal();
    team.write("f", b"data");
    for (who, grant) in [("wanda", "lab=writer"), ("rick", "lab=reader"), ("cus", "lab=custodian")] {
        let args = ["principal", "add", who, "--grant", grant, "--clearance", "internal"];
        if who == "wanda" {
            team.run(["principal", "add", "olivia", "--grant", "vault=writer", "--clearance", "internal"]).exits(0);
            team.run(["--as", "olivia", "put", "f", "lab/data", "--class", "internal"]).exits(0);
        }
        team.run(args).exits(0);
    }
    for who in ["wanda", "rick"] {
        team.run(["--as", who, "key", "reencrypt", "lab/data"]).exits(5);
    }
    team.run(["--as", "cus", "cat", "lab/data"]).exits(5);
    team.run(["--as", "cus", "--dry-run", "key", "reencrypt", "lab/data"]).exits(0);
    team.run(["--as", "cus", "key", "reencrypt", "lab/data"]).exits(0);
    assert_eq!(team.run(["--as", "rick", "cat", "lab/data"]).exits(0).stdout, b"data");
}

#[test]
fn a_reader_who_began_before_the_switch_ends_after_it() {
    let sandbox = Sandbox::solo();
    let content = Dice(9).bytes(24 << 20);
    sandbox.write("in/file", &content);
    put(&sandbox, &["put", "in/file", "lab/file", "--class", "internal"]);
    let mut reader = sandbox.command(["cat", "lab/file"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut pipe = reader.stdout.take().unwrap();
    let mut read = vec![0; 1 << 20];
    pipe.read_exact(&mut read).unwrap();
    told(&sandbox, &["key", "reencrypt", "lab/file"]);
    pipe.read_to_end(&mut read).unwrap();
    assert!(read == content && reader.wait().unwrap().success());
    assert!(sandbox.run(["cat", "lab/file"]).exits(0).stdout == content);
}

#[test]
fn a_kill_at_any_point_leaves_the_old_one_and_the_same_command_ends_it() {
    suites::each(|| {
        let sandbox = layered();
        let before = told(&sandbox, &["show", "lab/data"]);
        let mut dice = Dice(77);
        let (mut killed, mut resumed) = (0, false);
        // As many records of the journal as each round waits for; each segment is finished once.
        for wait_for in 0..5_usize {
            let mut child = sandbox
                .command(["key", "reencrypt", "lab/data"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let looks = dice.below(200);
            let mut looked = 0;
            while child.try_wait().unwrap().is_none() && (records(&sandbox) < wait_for || looked < looks) {
                looked += 1;
                std::thread::yield_now();
            }
            let _ = child.kill();
            if child.wait().unwrap().success() {
                break;
            }
            killed += 1;
            assert_eq!(told(&sandbox, &["show", "lab/data"])["key"], before["key"], "it lies under its key");
            same(&sandbox, "lab/data");
            assert_eq!(told(&sandbox, &["verify", "--all", "--state"])["ok"], true);
            resumed |= records(&sandbox) > 0;
        }
        let done = item(&sandbox, &["key", "reencrypt", "lab/data"]);
        assert!(killed >= 2 && resumed, "killed {killed}");
        assert!(done["resumed_segments"].as_u64().unwrap() > 0 || killed < 5, "{done}");
        same(&sandbox, "lab/data");
        sound(&sandbox);
        told(&sandbox, &["--yes", "gc", "--grace", "0s"]);
        let named: BTreeSet<_> =
            (1..=5).flat_map(|n| objects(&known(&sandbox, &format!("lab/data@v{n}")).record)).collect();
        assert_eq!(sandbox.objects().len(), named.len(), "what the killed ones left is collected");
        sound(&sandbox);
    });
}

/// Records of the journal.
fn records(sandbox: &Sandbox) -> usize {
    let Ok(drafts) = std::fs::read_dir(sandbox.vault().join("drafts")) else { return 0 };
    let folders = drafts.filter_map(|entry| std::fs::read_dir(entry.ok()?.path()).ok());
    let names = folders.flatten().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| name.len() == 8 && name.bytes().all(|byte| byte.is_ascii_digit())).count()
}

#[test]
fn of_two_at_once_one_does_it_or_both_one_after_the_other() {
    let sandbox = layered();
    let both: Vec<_> = (0..2)
        .map(|_| {
            let mut command = sandbox.command(["key", "reencrypt", "lab/data"]);
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let ended: Vec<(i32, String)> = both
        .into_iter()
        .map(|child| child.wait_with_output().unwrap())
        .map(|output| (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned()))
        .collect();
    assert!(ended.iter().any(|(code, _)| *code == 0), "{ended:?}");
    assert!(ended.iter().all(|(code, _)| [0, 8].contains(code)), "{ended:?}");
    same(&sandbox, "lab/data");
    sound(&sandbox);
}

#[test]
fn a_damaged_pack_is_named_and_the_version_stays_under_its_key() {
    let sandbox = filled("internal");
    let before = known(&sandbox, "lab/data");
    let path = file_of(&sandbox, &before.record.packs[0].segments[0].object);
    let whole = std::fs::read(&path).unwrap();
    let mut bytes = whole.clone();
    bytes[1_500_000] ^= 1;
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::write(&path, &bytes).unwrap();
    let refused: Ended = sandbox.run(["--format", "json", "key", "reencrypt", "lab/data"]).exits(7);
    assert!(refused.stderr.contains("integrity"), "{}", refused.stderr);
    assert_eq!(told(&sandbox, &["status"])["drafts"], 0, "nothing is left begun");
    std::fs::write(&path, &whole).unwrap();
    assert!(known(&sandbox, "lab/data").record.object == before.record.object);
    told(&sandbox, &["key", "reencrypt", "lab/data"]);
    same(&sandbox, "lab/data");
    sound(&sandbox);
}

#[test]
fn a_full_disk_ends_it_for_now_and_loses_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("big.bin", Dice(2).bytes(7_000_000));
    let ended = on_small_disk(
        &sandbox,
        12,
        "$SR init --no-recovery > /dev/null
$SR put ../big.bin lab/big --class internal > /dev/null
code=0; $SR key reencrypt lab/big > /dev/null 2> ../full.txt || code=$?
echo reencrypt=$code
$SR cat lab/big | cmp - ../big.bin && echo big=same
$SR verify --all --state > /dev/null && $SR audit verify > /dev/null && echo verified",
    )
    .exits(0);
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    for line in ["reencrypt=9", "big=same", "verified"] {
        assert!(said.lines().any(|l| l == line), "no `{line}` in: {said}\n{}", ended.stderr);
    }
}

#[test]
fn copies_lying_about_are_still_found_and_other_depots_get_the_new_packs() {
    let sandbox = filled("confidential");
    sandbox.run(["depot", "add", "second"]).exits(0);
    sandbox.run(["depot", "copy"]).exits(0);
    told(&sandbox, &["key", "reencrypt", "lab/data"]);
    let status = told(&sandbox, &["status"]);
    assert_eq!(status["depots"][1]["backlog"], 0, "{}", status["depots"]);
    told(&sandbox, &["--yes", "gc", "--grace", "0s"]);
    std::fs::remove_dir_all(sandbox.vault().join("depot")).unwrap();
    same(&sandbox, "lab/data");
    std::fs::create_dir(sandbox.at("lying")).unwrap();
    std::fs::copy(sandbox.at("in/large"), sandbox.at("lying/copy")).unwrap();
    let found = end(sandbox.command(["--format", "json", "doctor", "--spills", "lying"])).exits(1).json();
    assert_eq!(found["items"][0]["holds"][0]["version"], "lab/data@v1", "{found}");
}
