//! Backups end to end: made while others write, checked with a root and without, restored on a machine that has nothing else; and
//! what is refused, killed or damaged on the way.

use super::faults::on_small_disk;
use super::sandbox::{Dice, Ended, Sandbox, end};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use testkit::suites;

/// A vault with two artifacts, and what opens it: a key file, and a recovery code in the file `code`.
fn filled() -> Sandbox {
    let sandbox = Sandbox::new();
    let mut init = sandbox.command(["init", "--recovery-file", "code"]);
    if let Some(table) = suites::table(suites::current()) {
        init.arg("--crypto").arg(sandbox.write("suites.toml", table));
    }
    end(init).exits(0);
    sandbox.write("f", b"hello");
    sandbox.run(["put", "f", "lab/a", "--class", "internal"]).exits(0);
    sandbox.run(["put", "f", "lab/b", "--env", "staging"]).exits(0);
    sandbox
}

fn made(sandbox: &Sandbox, name: &str) -> PathBuf {
    sandbox.run(["backup", "create", name]).exits(0);
    sandbox.at(name)
}

fn keyfile(sandbox: &Sandbox) -> PathBuf {
    let mut files = std::fs::read_dir(sandbox.at("config/strongroom")).unwrap().map(|file| file.unwrap().path());
    files.find(|path| path.extension().is_some_and(|end| end == "key")).expect("a key file")
}

/// Gives another machine a file of this one.
fn carried(from: &Path, to: &Sandbox, name: &str) {
    to.write_private(name, std::fs::read(from).unwrap());
}

/// Gives another machine the ciphertext, which no backup holds.
fn depot_carried(from: &Sandbox, to: &Sandbox) {
    let (from, to) = (from.vault().join("depot"), to.vault());
    assert!(Command::new("cp").arg("-r").arg(from).arg(to).status().unwrap().success());
}

fn json(ended: Ended) -> Value {
    ended.exits(0).json()
}

fn whole(sandbox: &Sandbox) {
    let verified = json(sandbox.run(["--format", "json", "verify", "--all", "--state"]));
    assert_eq!(verified["ok"], true, "{verified}");
    sandbox.run(["audit", "verify", "--replay"]).exits(0);
}

#[test]
fn a_vault_comes_back_on_a_fresh_machine_with_any_of_its_roots() {
    suites::each(comes_back);
}

fn comes_back() {
    let old = filled();
    old.run(["key", "archive", "lab/b", "--reason", "the project ended"]).exits(0);
    let never = json(old.run(["--format", "json", "status"]));
    assert_eq!((&never["backed_up"], &never["restored"]), (&Value::Null, &Value::Null));
    assert!(old.run(["status"]).exits(0).text().contains("backup       none was made: strongroom backup create FILE"));
    let told = json(old.run(["--format", "json", "backup", "create", "b"]));
    assert_eq!((told["versions"].as_u64(), told["kind"].as_str()), (Some(2), Some("backup-made")));
    assert_eq!(told["roots"].as_array().unwrap().len(), 2);
    assert_eq!(std::fs::metadata(old.at("b")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(old.at("b")).unwrap().len(), told["bytes"].as_u64().unwrap());
    assert_eq!(json(old.run(["--format", "json", "status"]))["backed_up"], told["made"]);
    let before = std::fs::read(old.at("b")).unwrap();
    old.run(["backup", "create", "b"]).exits(8);
    assert!(std::fs::read(old.at("b")).unwrap() == before, "nothing is overwritten");
    let acts = json(old.run(["--format", "json", "audit", "query", "--act", "backup.create"]));
    assert_eq!(acts["items"].as_array().unwrap().len(), 1);

    // Names and content are in it nowhere.
    for plain in [&b"hello"[..], b"workspace", b"SQLite format 3", b"strongroom_backup"] {
        assert!(!before.windows(plain.len()).any(|at| at == plain), "{plain:?}");
    }
    let checked = json(old.run(["--format", "json", "backup", "verify", "b"]));
    assert_eq!((&checked["ok"], &checked["content"]["log_size"]), (&true.into(), &told["log_size"]));
    assert_eq!((&checked["content"]["versions"], &checked["backup"]), (&2.into(), &told["backup"]));

    for (root, with) in [("key", vec!["--keyfile", "key"]), ("code", vec!["--code-file", "code", "--no-recovery"])] {
        let new = Sandbox::new();
        carried(&old.at("b"), &new, "b");
        // Without a root it is looked at, not proven, and not restored.
        let unproven = new.run(["--format", "json", "backup", "verify", "b"]).exits(0);
        assert_eq!((&unproven.json()["ok"], &unproven.json()["content"]), (&true.into(), &Value::Null));
        assert!(unproven.stderr.contains("no root of its vault is at hand"), "{}", unproven.stderr);
        new.run(["backup", "restore", "b"]).exits(4);
        assert!(!new.vault().exists());

        let from = if root == "key" { keyfile(&old) } else { old.at("code") };
        carried(&from, &new, root);
        if root == "key" {
            let proven = json(new.run(["--format", "json", "backup", "verify", "b", "--keyfile", "key"]));
            assert_eq!(proven["content"]["opened_by"], "keyfile");
        }
        let restore = [vec!["--format", "json", "backup", "restore", "b"], with].concat();
        let restored = json(new.run(restore));
        assert_eq!((&restored["freshness"], &restored["fork"]), (&"unproven".into(), &Value::Null));
        assert_eq!(restored["depots"][0]["primary"], true);
        depot_carried(&old, &new);
        let key: &[&str] = if root == "key" { &["--keyfile", "key"] } else { &[] };
        let run = |args: &[&str]| new.run([args, key].concat());
        assert_eq!(run(&["cat", "lab/a"]).exits(0).stdout, b"hello");
        assert_eq!(run(&["cat", "lab/b"]).exits(0).stdout, b"hello");
        new.write("g", b"afterwards");
        run(&["put", "g", "lab/a"]).exits(0);
        assert_eq!(json(run(&["--format", "json", "verify", "--all", "--state"]))["ok"], true);
        run(&["audit", "verify", "--replay"]).exits(0);
        let status = json(run(&["--format", "json", "status"]));
        assert_eq!((&status["restored"]["count"], &status["restored"]["forks"]), (&1.into(), &0.into()));
        assert_eq!(
            (&status["restored"]["latest"][0]["backup"], &status["freshness"]),
            (&told["backup"], &"proven".into())
        );
        assert!(run(&["status"]).exits(0).text().contains("restored     "));
        // A vault is not restored over.
        let over = new.run(["backup", "restore", "b", "--keyfile", "key"]);
        assert!(matches!(over.code, 4 | 8), "{}", over.text());
    }
}

#[test]
fn with_every_root_gone_m_shares_restore_everything_and_fewer_nothing() {
    let old = filled();
    std::fs::create_dir(old.at("shares")).unwrap();
    old.run(["escrow", "create", "--shares", "4", "--threshold", "3", "--into", "shares"]).exits(0);
    // Keys that are made later, without the shares at hand, are in it too.
    old.run(["put", "f", "lab/later", "--class", "public"]).exits(0);
    made(&old, "b");
    let new = Sandbox::new();
    carried(&old.at("b"), &new, "b");
    let mut files: Vec<PathBuf> = std::fs::read_dir(old.at("shares")).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    for (number, file) in files.iter().enumerate() {
        carried(file, &new, &format!("s{number}"));
    }
    let (few, enough) = (["--share", "s0", "--share", "s2"], ["--share", "s3", "--share", "s0", "--share", "s2"]);
    let refused = new.run([&["backup", "restore", "b", "--no-recovery"][..], &few].concat()).exits(4);
    assert!(refused.stderr.contains("2 of the 3 shares that are needed"), "{}", refused.stderr);
    let refused = new.run([&["backup", "verify", "b"][..], &few].concat()).exits(4);
    assert!(!refused.text().contains("holds"), "{}", refused.text());
    assert!(!new.vault().exists() && !new.at("config/strongroom").exists(), "nothing is left of what was refused");

    assert_eq!(json(new.run([&["--format", "json", "backup", "verify", "b"][..], &enough].concat()))["ok"], true);
    let restored = new.run([&["--format", "json", "backup", "restore", "b", "--no-recovery"][..], &enough].concat());
    assert!(json(restored)["keyfile"].is_string());
    depot_carried(&old, &new);
    for name in ["lab/a", "lab/b", "lab/later"] {
        assert_eq!(new.run(["cat", name]).exits(0).stdout, b"hello");
    }
    new.run(["put", "b", "lab/new"]).exits(0);
    whole(&new);
    // What opened it before does not; the shares still do.
    carried(&keyfile(&old), &new, "old.key");
    new.run(["ls", "--keyfile", "old.key"]).exits(4);
    new.run([&["escrow", "rehearse"][..], &enough].concat()).exits(0);
}

#[test]
fn an_older_backup_is_refused_unless_its_fork_is_accepted_and_then_shown_for_ever() {
    let sandbox = filled();
    made(&sandbox, "b");
    let gone = |number: u32| std::fs::rename(sandbox.vault(), sandbox.at(format!("lost{number}"))).unwrap();
    let depot_back = |number: u32| {
        let from = sandbox.at(format!("lost{number}/depot"));
        assert!(Command::new("cp").arg("-r").arg(from).arg(sandbox.vault()).status().unwrap().success());
    };
    // Nothing came after it: the anchor agrees.
    gone(0);
    let same = json(sandbox.run(["--format", "json", "backup", "restore", "b"]));
    assert_eq!((&same["freshness"], &same["fork"]), (&"proven".into(), &Value::Null));
    depot_back(0);
    sandbox.run(["put", "f", "lab/c"]).exits(0);
    gone(1);

    let refused = sandbox.run(["backup", "restore", "b"]).exits(7);
    assert!(refused.stderr.contains("the anchor on this machine knows of"), "{}", refused.stderr);
    assert!(refused.stderr.contains("--accept-fork"), "{}", refused.stderr);
    assert!(!sandbox.vault().exists(), "nothing is left");
    // Nor does a variable that is set somewhere accept it.
    let mut by_variable = sandbox.command(["backup", "restore", "b"]);
    by_variable.env("STRONGROOM_BACKUP_RESTORE_ACCEPT_FORK", "1");
    end(by_variable).exits(7);
    let forked = json(sandbox.run(["--format", "json", "backup", "restore", "b", "--accept-fork"]));
    let known = forked["fork"].as_u64().expect("a fork");
    assert!(known > forked["log_size"].as_u64().unwrap());
    let old_anchor = PathBuf::from(forked["old_anchor"].as_str().unwrap());
    assert!(old_anchor.is_file(), "the anchor of then stays as a witness");
    depot_back(1);
    sandbox.run(["show", "lab/c"]).exits(3);
    sandbox.run(["put", "f", "lab/d"]).exits(0);
    whole(&sandbox);
    let given_up = format!("FORK: it gave up {} entries", known - forked["log_size"].as_u64().unwrap());
    for command in [&["status"][..], &["verify", "--all"], &["audit", "verify"]] {
        let said = sandbox.run(command).exits(0).text();
        assert!(said.contains(&given_up), "{command:?}: {said}");
    }
    let acts = json(sandbox.run(["--format", "json", "audit", "query", "--act", "vault.restore"]));
    assert_eq!(acts["items"][0]["entry"]["detail"]["anchor_size"], known.to_string(), "{acts}");
    // It is in the next backup, and in what is restored from that.
    made(&sandbox, "b2");
    gone(2);
    sandbox.run(["backup", "restore", "b2"]).exits(0);
    let status = json(sandbox.run(["--format", "json", "status"]));
    assert_eq!((&status["restored"]["count"], &status["restored"]["forks"]), (&2.into(), &1.into()));
}

#[test]
fn a_backup_that_is_altered_cut_or_another_vaults_restores_nothing() {
    let (sandbox, other) = (filled(), filled());
    let bytes = std::fs::read(made(&sandbox, "b")).unwrap();
    let refused = |what: &str, bytes: &[u8]| {
        sandbox.write("bad", bytes);
        let checked = sandbox.run(["backup", "verify", "bad"]);
        assert_eq!(checked.code, 7, "{what}: {}", checked.text());
        let restored = sandbox.run(["backup", "restore", "bad", "--vault", "new"]);
        assert_eq!(restored.code, 7, "{what}: {}", restored.text());
        assert!(!sandbox.at("new").exists(), "{what}: something is left");
    };
    let mut dice = Dice(0xbac);
    let len = bytes.len();
    let mut places = vec![0, 21, 22, 40, 100, len - 1, len - 32, len - 33, len - 49, len / 2];
    places.extend((0..8).map(|_| dice.below(len as u64) as usize));
    for at in places {
        let mut altered = bytes.clone();
        altered[at] ^= 1 << dice.below(8);
        refused(&format!("byte {at}"), &altered);
    }
    for cut in [0, 10, 26, 200, len / 2, len - 33, len - 32, len - 1] {
        refused(&format!("cut to {cut}"), &bytes[..cut]);
    }
    refused("longer", &[&bytes[..], b"more"].concat());
    refused("a database", &std::fs::read(sandbox.vault().join("keeper.db")).unwrap());
    // Damage is seen without a root too.
    let fresh = Sandbox::new();
    let mut altered = bytes.clone();
    altered[len / 2] ^= 1;
    fresh.write("bad", &altered);
    fresh.run(["backup", "verify", "bad"]).exits(7);

    // Whole, and of another vault than the root that is there.
    carried(&made(&other, "b"), &sandbox, "foreign");
    let foreign = sandbox.run([
        "backup",
        "restore",
        "foreign",
        "--vault",
        "new",
        "--keyfile",
        keyfile(&sandbox).to_str().unwrap(),
    ]);
    assert!(foreign.exits(4).stderr.contains("another vault"));
    assert!(!sandbox.at("new").exists());
    sandbox.run(["backup", "verify", "nowhere"]).exits(3);
    sandbox.write("full/f", b"x");
    sandbox.run(["backup", "restore", "b", "--vault", "full"]).exits(8);
    assert_eq!(std::fs::read_dir(sandbox.at("full")).unwrap().count(), 1, "what was there stays");
}

/// Runs a command and kills it after so long; whether it had ended by itself.
fn killed_after(mut command: Command, time: Duration) -> bool {
    let started = Instant::now();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while started.elapsed() < time {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            return true;
        }
        std::thread::yield_now();
    }
    let _ = child.kill();
    child.wait().unwrap().success()
}

const ROUNDS: u32 = 24;

#[test]
fn kill_9_in_a_restore_leaves_nothing_that_opens_or_what_the_next_one_finishes() {
    let old = filled();
    made(&old, "b");
    let key = keyfile(&old).display().to_string();
    let started = Instant::now();
    let restore = |round: u32| {
        let (dir, anchor) = (format!("new{round}"), format!("anchors/{round}"));
        ["backup", "restore", "b", "--vault", &dir, "--anchor", &anchor, "--keyfile", &key].map(str::to_owned)
    };
    old.run(restore(0)).exits(0);
    let typical = started.elapsed();
    let (mut killed, mut unfinished) = (0, 0);
    for round in 1..=ROUNDS {
        let ended = killed_after(old.command(restore(round)), typical * round / ROUNDS);
        killed += u32::from(!ended);
        let dir = old.at(format!("new{round}"));
        let (vault, anchor) = (dir.display().to_string(), format!("anchors/{round}"));
        let ls = ["ls", "--vault", &vault, "--anchor", &anchor, "--keyfile", &key];
        let looked = old.run(ls);
        if dir.join("vault.json").exists() {
            looked.exits(0);
            old.run(restore(round)).exits(8);
        } else {
            assert!(matches!(looked.code, 3 | 4 | 8), "round {round}: {}", looked.text());
            unfinished += u32::from(looked.stderr.contains("that did not finish"));
            old.run(restore(round)).exits(0);
            old.run(ls).exits(0);
        }
        let of = ["--vault", &vault, "--anchor", &anchor, "--keyfile", &key];
        let verified = json(old.run([&["--format", "json", "verify", "--state"][..], &of].concat()));
        assert_eq!(verified["ok"], true, "round {round}: {verified}");
        let acts = json(old.run([&["--format", "json", "audit", "query", "--act", "vault.restore"][..], &of].concat()));
        assert_eq!(acts["items"].as_array().unwrap().len(), 1, "round {round}: said once");
    }
    assert!(killed * 2 >= ROUNDS && unfinished > 0, "{killed} of {ROUNDS} killed, {unfinished} in the middle");
}

#[test]
fn kill_9_in_a_backup_leaves_a_vault_that_goes_on_and_a_whole_file_or_none() {
    let sandbox = filled();
    sandbox.write("large", Dice(5).bytes(1 << 20));
    let started = Instant::now();
    std::fs::create_dir(sandbox.at("out")).unwrap();
    sandbox.run(["backup", "create", "out/first"]).exits(0);
    let typical = started.elapsed();
    for round in 1..=ROUNDS {
        let name = format!("out/{round}");
        killed_after(sandbox.command(["backup", "create", &name]), typical * round / ROUNDS);
        sandbox.run(["put", "f", "lab/a", "--class", "internal"]).exits(0);
        if sandbox.at(&name).exists() {
            sandbox.run(["backup", "verify", &name]).exits(0);
        } else {
            sandbox.run(["backup", "create", &name]).exits(0);
        }
        let left = std::fs::read_dir(sandbox.at("out")).unwrap().count();
        assert_eq!(left, round as usize + 1, "round {round}: what a killed one left is swept");
        assert!(!sandbox.vault().join("backup.partial").exists());
    }
    whole(&sandbox);
}

#[test]
fn a_full_disk_stops_a_backup_and_a_restore_and_leaves_nothing_of_them() {
    let sandbox = Sandbox::new();
    sandbox.write("f", b"hello");
    let script = "$SR init --no-recovery
for n in 1 2 3 4 5 6; do $SR put ../f lab/a$n --class internal > /dev/null; done
$SR backup create ../b > /dev/null
$SR backup restore ../b --vault ../new --anchor ../new.anchor > /dev/null && echo restored=whole
dd if=/dev/zero of=filler bs=64k 2>/dev/null || true
code=0; $SR backup create b 2> ../create.txt || code=$?; echo create=$code
code=0; $SR backup restore ../b --vault again --anchor ../again.anchor 2> ../restore.txt || code=$?; echo restore=$code
ls | tr '\\n' ' '; echo
rm filler
$SR backup create b > /dev/null && $SR backup verify b > /dev/null && $SR verify --all --state > /dev/null && echo whole";
    let ended = on_small_disk(&sandbox, 6, script).exits(0);
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    for line in ["restored=whole", "create=9", "restore=9", "filler ", "whole"] {
        assert!(said.lines().any(|l| l == line), "no `{line}` in: {said}\n{}", ended.stderr);
    }
    for name in ["create.txt", "restore.txt"] {
        let why = std::fs::read_to_string(sandbox.at(name)).unwrap();
        assert!(why.contains("full") || why.contains("space"), "{name}: {why}");
    }
}

#[test]
fn backups_that_are_made_while_others_write_are_whole() {
    let sandbox = filled();
    let puts: Vec<_> = (0..2)
        .map(|writer| {
            let script =
                format!("for n in 1 2 3 4 5 6 7 8; do \"$0\" put f lab/w{writer} --class internal || exit 1; done");
            let inner = sandbox.command::<&str>([]);
            let mut command = Command::new("sh");
            command.args(["-c", &script]).arg(inner.get_program()).current_dir(sandbox.path()).env_clear();
            command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for number in 0..6 {
        made(&sandbox, &format!("b{number}"));
    }
    for put in puts {
        let ended = put.wait_with_output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    }
    whole(&sandbox);
    let key = keyfile(&sandbox).display().to_string();
    for number in 0..6 {
        let (file, vault, anchor) = (format!("b{number}"), format!("new{number}"), format!("anchors/{number}"));
        sandbox.run(["backup", "verify", &file]).exits(0);
        let of = ["--vault", &vault, "--anchor", &anchor, "--keyfile", &key];
        sandbox.run([&["backup", "restore", &file][..], &of].concat()).exits(0);
        let verified = json(sandbox.run([&["--format", "json", "verify", "--state"][..], &of].concat()));
        assert_eq!(verified["ok"], true, "{number}: {verified}");
    }
}

#[test]
fn a_backup_is_for_who_keeps_the_keys_and_not_for_who_reads_the_data() {
    let sandbox = Sandbox::rehearsal();
    for grant in ["rita:lab=reader", "will:lab=writer", "carl:vault=custodian", "paul:vault=policy-author"] {
        let (name, grant) = grant.split_once(':').unwrap();
        sandbox.run(["principal", "add", name, "--grant", grant, "--clearance", "restricted"]).exits(0);
    }
    for name in ["rita", "will", "paul"] {
        let denied = sandbox.run(["--as", name, "backup", "create", "b"]);
        assert!(matches!(denied.code, 3 | 5), "{name}: {}", denied.text());
        assert!(!sandbox.at("b").exists());
    }
    sandbox.run(["--as", "carl", "backup", "create", "b"]).exits(0);
    sandbox.run(["unlock", "--for", "5m"]).exits(0);
    sandbox.run(["--as", "carl", "backup", "create", "by-agent"]).exits(0);
    sandbox.run(["lock"]).exits(0);
    sandbox.run(["backup", "verify", "by-agent"]).exits(0);
}

#[test]
fn a_further_depot_is_named_when_a_backup_is_restored() {
    let old = filled();
    old.run(["depot", "add", "copies"]).exits(0);
    old.run(["depot", "copy"]).exits(0);
    made(&old, "b");
    let new = Sandbox::new();
    carried(&old.at("b"), &new, "b");
    carried(&keyfile(&old), &new, "key");
    // The ciphertext was brought to another place than the backup knows.
    let moved = Command::new("cp").arg("-r").arg(old.at("copies")).arg(new.at("brought")).status().unwrap();
    assert!(moved.success());
    std::fs::remove_dir_all(old.at("copies")).unwrap();
    std::fs::remove_dir_all(old.vault()).unwrap();
    let restored = new.run(["backup", "restore", "b", "--keyfile", "key", "--depot", "brought"]).exits(0);
    assert!(restored.text().contains("brought"), "{}", restored.text());
    assert_eq!(new.run(["cat", "lab/a", "--keyfile", "key"]).exits(0).stdout, b"hello");
}
