//! The recovery code: made by `init`, taken by `recover`, and what is left of what opened the vault before.

use super::sandbox::{Sandbox, end};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use testkit::python::python;
use testkit::suites;

/// A vault with a recovery code in a file, of the suite that the test runs for.
fn with_code(root: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write_private("phrase", b"correct horse");
    sandbox.write("f", b"hello");
    let mut init = sandbox.command(["--format", "json", "init", "--root", root, "--recovery-file", "code"]);
    init.env("STRONGROOM_PASSPHRASE_FILE", sandbox.at("phrase"));
    if let Some(table) = suites::table(suites::current()) {
        init.arg("--crypto").arg(sandbox.write("suites.toml", table));
    }
    let made = end(init).exits(0);
    assert!(made.stderr.contains("whoever has it opens the vault"), "{}", made.stderr);
    assert_eq!(made.json()["recovery"], "file");
    sandbox
}

fn keyfile(sandbox: &Sandbox) -> PathBuf {
    let mut files = std::fs::read_dir(sandbox.at("config/strongroom")).unwrap();
    files.next().expect("a key file").unwrap().path()
}

fn roots(sandbox: &Sandbox) -> Vec<String> {
    let status = sandbox.run(["--format", "json", "status"]).exits(0).json();
    let mut kinds: Vec<String> =
        status["roots"].as_array().unwrap().iter().map(|root| root["kind"].as_str().unwrap().to_owned()).collect();
    kinds.sort();
    kinds
}

fn code(sandbox: &Sandbox, name: &str) -> String {
    std::fs::read_to_string(sandbox.at(name)).unwrap().trim().to_owned()
}

#[test]
fn a_lost_key_file_is_recovered_from_and_opens_nothing_any_more() {
    let sandbox = with_code("keyfile");
    let mode = std::fs::metadata(sandbox.at("code")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(roots(&sandbox), ["keyfile", "recovery"]);
    let before = sandbox.write("before", b"made before");
    sandbox.run(["put", "f", "lab/first"]).exits(0);
    // Keys that are made without the code at hand: of other domains, and by a rotation.
    sandbox.run(["put", "before", "lab/second", "--class", "internal"]).exits(0);
    sandbox.run(["key", "rotate"]).exits(0);
    sandbox.run(["put", "f", "other/third", "--class", "public", "--env", "prod"]).exits(0);
    let old = keyfile(&sandbox);
    std::fs::rename(&old, sandbox.at("lost.key")).unwrap();
    sandbox.run(["ls"]).exits(4);

    let dry = sandbox.run(["recover", "--dry-run"]).exits(0);
    assert!(dry.text().contains("would give the vault a new root: a keyfile"), "{}", dry.text());
    let recover = ["--format", "json", "recover", "--code-file", "code", "--recovery-file", "code2"];
    let told = sandbox.run(recover).exits(0).json();
    assert_eq!((told["root"].as_str(), told["recovery"].as_str()), (Some("keyfile"), Some("file")));
    assert_eq!(keyfile(&sandbox), old, "a new one where the old one was");
    for (name, bytes) in [("lab/first", &b"hello"[..]), ("lab/second", b"made before"), ("other/third", b"hello")] {
        assert_eq!(sandbox.run(["cat", name]).exits(0).stdout, bytes);
    }
    sandbox.run(["put", before.to_str().unwrap(), "lab/fourth"]).exits(0);
    assert_eq!(roots(&sandbox), ["keyfile", "recovery"]);

    // The lost one opens nothing, with the vault's file of then neither; nor does the code that was used.
    let refused = sandbox.run(["ls", "--keyfile", "lost.key"]).exits(4);
    assert!(refused.stderr.contains("the key file is not this vault's"), "{}", refused.stderr);
    std::fs::rename(&old, sandbox.at("new.key")).unwrap();
    let used = sandbox.run(["recover", "--code-file", "code", "--no-recovery"]).exits(4);
    assert!(used.stderr.contains("or was used already"), "{}", used.stderr);
    assert!(!old.exists(), "no key file of a recovery that was not");
    sandbox.run(["recover", "--code-file", "code2", "--no-recovery"]).exits(0);
    assert_eq!(roots(&sandbox), ["keyfile"]);
    assert_eq!(sandbox.run(["cat", "lab/fourth"]).exits(0).stdout, b"made before");
    sandbox.run(["ls", "--keyfile", "new.key"]).exits(4);
    let none = sandbox.run(["recover", "--code-file", "code2", "--no-recovery"]).exits(4);
    assert!(none.stderr.contains("--no-recovery"), "{}", none.stderr);

    // All of it is in the log, and the tables are its fold.
    assert_eq!(sandbox.run(["--format", "json", "verify", "--all", "--state"]).exits(0).json()["ok"], true);
    let acts = sandbox.run(["--format", "json", "audit", "query", "--act", "vault.recover"]).exits(0).json();
    assert_eq!(acts["items"].as_array().unwrap().len(), 4, "begun and done, twice");
    sandbox.run(["audit", "verify", "--replay"]).exits(0);
}

#[test]
fn the_file_of_then_does_not_bring_a_retired_root_back() {
    let sandbox = with_code("keyfile");
    sandbox.run(["put", "f", "lab/a"]).exits(0);
    let old = keyfile(&sandbox);
    let file = std::fs::read(sandbox.vault().join("vault.json")).unwrap();
    std::fs::rename(&old, sandbox.at("lost.key")).unwrap();
    sandbox.run(["recover", "--code-file", "code", "--recovery-file", "code2"]).exits(0);
    std::fs::write(sandbox.vault().join("vault.json"), file).unwrap();
    sandbox.run(["ls", "--keyfile", "lost.key"]).exits(7);
    sandbox.run(["recover", "--code-file", "code", "--no-recovery", "--keyfile", "third.key"]).exits(7);
}

#[test]
fn a_passphrase_is_recovered_from_and_replaced() {
    let sandbox = with_code("passphrase");
    let open = |args: &[&str], phrase: &str| {
        let mut command = sandbox.command(args);
        command.env("STRONGROOM_PASSPHRASE_FILE", sandbox.write_private("typed", phrase));
        end(command)
    };
    open(&["put", "f", "lab/a"], "correct horse").exits(0);
    open(&["recover", "--code-file", "code", "--recovery-file", "code2"], "new words").exits(0);
    open(&["cat", "lab/a"], "correct horse").exits(4);
    assert_eq!(open(&["cat", "lab/a"], "new words").exits(0).stdout, b"hello");
    // Another kind of root, if that is wanted.
    open(&["recover", "--code-file", "code2", "--root", "keyfile", "--no-recovery"], "").exits(0);
    assert_eq!(sandbox.run(["cat", "lab/a"]).exits(0).stdout, b"hello");
}

#[test]
fn each_wrong_code_is_told_what_is_wrong_with_it() {
    let (sandbox, other) = (with_code("keyfile"), with_code("keyfile"));
    sandbox.write("foreign", code(&other, "code"));
    let right = code(&sandbox, "code");
    let slip = if right.starts_with('0') { "1" } else { "0" };
    sandbox.write("slip", format!("{slip}{}", &right[1..]));
    sandbox.write("short", &right[..60]);
    sandbox.write("none", "");
    std::fs::rename(keyfile(&sandbox), sandbox.at("lost.key")).unwrap();
    for (file, says) in [
        ("foreign", "of another vault, or was used already"),
        ("slip", "group 1 of the recovery code has a slip in it"),
        ("short", "13 groups of five"),
        ("none", "13 groups of five"),
    ] {
        let refused = sandbox.run(["recover", "--code-file", file, "--no-recovery"]).exits(4);
        assert!(refused.stderr.contains(says) && refused.stderr.contains("try: "), "{file}: {}", refused.stderr);
        assert!(!refused.stderr.contains(&right[6..40]), "the code is repeated");
    }
    assert!(sandbox.at("config/strongroom").read_dir().unwrap().next().is_none(), "no key file is left behind");
    // As people type it.
    sandbox.write("typed", right.to_lowercase().replace('-', " "));
    sandbox.run(["recover", "--code-file", "typed", "--no-recovery"]).exits(0);
    sandbox.run(["ls"]).exits(0);
}

#[test]
fn init_wants_to_know_where_the_code_goes() {
    let sandbox = Sandbox::new();
    let refused = sandbox.run(["init"]).exits(2);
    assert!(refused.stderr.contains("--recovery-file FILE or --no-recovery"), "{}", refused.stderr);
    assert!(!sandbox.vault().exists() && !sandbox.at("config").exists(), "nothing was made");
    std::fs::create_dir(sandbox.at("x")).unwrap();
    for inside in [".strongroom/code", ".strongroom/deeper/../code", "./x/../.strongroom/code"] {
        let refused = sandbox.run(["init", "--recovery-file", inside]).exits(2);
        assert!(refused.stderr.contains("inside of the vault"), "{inside}: {}", refused.stderr);
    }
    sandbox.write("taken", b"mine");
    assert!(sandbox.run(["init", "--recovery-file", "taken"]).exits(8).stderr.contains("exists already"));
    assert_eq!(std::fs::read(sandbox.at("taken")).unwrap(), b"mine");
    sandbox.run(["init", "--recovery-file", "code", "--no-recovery"]).exits(2);
    sandbox.run(["init", "--no-recovery"]).exits(0);
    // A vault that is there already: no code is left that opens nothing.
    sandbox.run(["init", "--recovery-file", "code"]).exits(8);
    assert!(!sandbox.at("code").exists());
    let none = sandbox.run(["recover", "--code-file", "taken", "--no-recovery"]).exits(4);
    assert!(none.stderr.contains("has no recovery code"), "{}", none.stderr);
}

#[test]
fn a_code_in_a_file_counts_as_a_key_file_and_one_on_paper_as_a_passphrase() {
    // Confidential data in prod is kept under a passphrase, or a code on paper; a key file beside it, or a code that lies in a file,
    // wraps nothing of it.
    let put = ["put", "f", "lab/a", "--class", "confidential", "--env", "prod"];
    let run = |sandbox: &Sandbox, args: &[&str]| {
        let mut command = sandbox.command(args);
        command.env("STRONGROOM_PASSPHRASE_FILE", sandbox.at("phrase"));
        end(command)
    };
    let plain = Sandbox::new();
    plain.write_private("phrase", b"correct horse");
    plain.write("f", b"hello");
    run(&plain, &["init", "--root", "passphrase", "--no-recovery"]).exits(0);
    run(&plain, &put).exits(0);
    let in_file = with_code("passphrase");
    run(&in_file, &put).exits(0);
    let roots = run(&in_file, &["--format", "json", "root", "ls"]).exits(0).json();
    let wraps = |kind: &str| {
        let of = roots["roots"].as_array().unwrap().iter().find(|root| root["kind"] == kind).unwrap();
        (of["term"].as_str().unwrap().to_owned(), of["wraps"].as_u64().unwrap(), of["lacks"].as_u64().unwrap())
    };
    assert_eq!(wraps("passphrase"), ("passphrase".into(), 6, 0));
    assert_eq!(wraps("recovery"), ("keyfile".into(), 5, 0));
    let keyfile = with_code("keyfile");
    keyfile.run(put).exits(5);
}

#[test]
fn what_the_code_does_not_open_stays_under_the_root_that_does() {
    let sandbox = with_code("passphrase");
    let with = |phrase: &str, args: &[&str]| {
        let mut command = sandbox.command(args);
        command.env("STRONGROOM_PASSPHRASE_FILE", sandbox.at(phrase));
        end(command)
    };
    // In prod confidential data is not under a code that lies in a file.
    with("phrase", &["put", "f", "lab/a", "--class", "confidential", "--env", "prod"]).exits(0);
    with("phrase", &["put", "f", "lab/b", "--class", "internal"]).exits(0);
    sandbox.write_private("new", b"another passphrase");
    let recover = ["--format", "json", "recover", "--code-file", "code", "--recovery-file", "code2"];
    let refused = with("new", &recover).exits(8);
    assert!(refused.stderr.contains("alone") && refused.stderr.contains("--keep-roots"), "{}", refused.stderr);
    assert!(!sandbox.at("code2").exists(), "nothing is left of it");
    let told = with("new", &[&recover[..], &["--keep-roots"]].concat()).exits(0);
    let stays = told.json()["stays"].as_array().unwrap().clone();
    assert!(stays.len() == 1 && told.stderr.contains("still counts"), "{}", told.stderr);
    assert_eq!(with("new", &["cat", "lab/b"]).exits(0).stdout, b"hello");
    with("new", &["cat", "lab/a"]).exits(4);
    let old = stays[0].as_str().unwrap();
    with("new", &["--yes", "root", "remove", old]).exits(8);
    // It was remembered.
    assert_eq!(with("phrase", &["cat", "lab/a"]).exits(0).stdout, b"hello");
    with("new", &["recover", "--code-file", "code", "--no-recovery"]).exits(4);
}

#[test]
fn an_agent_does_not_survive_the_recovery_of_its_vault() {
    let sandbox = with_code("keyfile");
    std::fs::create_dir(sandbox.at("run")).unwrap();
    std::fs::set_permissions(sandbox.at("run"), std::fs::Permissions::from_mode(0o700)).unwrap();
    sandbox.run(["unlock"]).exits(0);
    std::fs::rename(keyfile(&sandbox), sandbox.at("lost.key")).unwrap();
    sandbox.run(["recover", "--code-file", "code", "--no-recovery"]).exits(0);
    let status = sandbox.run(["--format", "json", "status"]).exits(0).json();
    assert_eq!(status["unlocked"], Value::Null);
}

/// Has a vault write one class with the other suite than its own.
fn another_suite_for_internal(sandbox: &Sandbox) {
    let own = suites::current();
    let other = if own == "nist" { "default" } else { "nist" };
    let baseline = include_str!("../../../../baseline/crypto.toml");
    let table = baseline.replacen("suite = \"default\"", &format!("suite = \"{own}\""), 1);
    let (before, after) = table.split_once("[class.internal]\nwrite = \"default\"").expect("the class");
    sandbox.write("mixed.toml", format!("{before}[class.internal]\nwrite = \"{other}\"{after}"));
    sandbox.run(["--yes", "policy", "suites", "mixed.toml"]).exits(0);
}

#[test]
fn keys_of_both_suites_are_recovered() {
    suites::each(|| {
        let sandbox = with_code("keyfile");
        sandbox.run(["put", "f", "lab/one", "--class", "internal"]).exits(0);
        another_suite_for_internal(&sandbox);
        sandbox.run(["put", "f", "lab/two", "--class", "internal"]).exits(0);
        sandbox.run(["key", "rotate"]).exits(0);
        std::fs::rename(keyfile(&sandbox), sandbox.at("lost.key")).unwrap();
        sandbox.run(["recover", "--code-file", "code", "--recovery-file", "code2"]).exits(0);
        for name in ["one", "two"] {
            assert_eq!(sandbox.run(["cat", &format!("lab/{name}")]).exits(0).stdout, b"hello", "{name}");
        }
        sandbox.run(["verify", "--all", "--state"]).exits(0);
        assert_eq!(python_reads(&sandbox, "code2", "lab/one@v1"), b"hello");
        assert_eq!(python_reads(&sandbox, "code2", "lab/two@v1"), b"hello");
    });
}

/// The file of a version, read by Python with the code alone.
fn python_reads(sandbox: &Sandbox, code: &str, version: &str) -> Vec<u8> {
    let listed = python_recovers(sandbox, code, &["ls"]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    let line = listed.lines().find(|line| line.contains(version)).expect("the version");
    let words: Vec<&str> = line.split_whitespace().collect();
    let keys = python_recovers(sandbox, code, &["keys", words[0]]);
    assert!(keys.status.success(), "{}", String::from_utf8_lossy(&keys.stderr));
    let keys = sandbox.write("keys.json", keys.stdout);
    let object = sandbox.objects().into_iter().find(|path| path.ends_with(words[2])).unwrap();
    let depot = sandbox.vault().join("depot");
    let paths = [spec("strongroom_open.py"), "--depot".into(), depot, "--object".into(), object, "--keys".into(), keys];
    let open: Vec<String> = paths.iter().map(|path| text(path)).chain(["cat", "f"].map(str::to_owned)).collect();
    python(&open).stdout
}

fn python_recovers(sandbox: &Sandbox, code: &str, args: &[&str]) -> std::process::Output {
    let mut all = vec![text(&spec("strongroom_recover.py")), "--vault".into(), text(&sandbox.vault())];
    all.extend(["--code-file".into(), text(&sandbox.at(code))]);
    all.extend(args.iter().map(|arg| (*arg).to_owned()));
    python(&all)
}

fn spec(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec").join(name)
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

#[test]
fn python_opens_a_version_with_the_recovery_code_alone() {
    let sandbox = with_code("keyfile");
    sandbox.run(["put", "f", "lab/a"]).exits(0);
    sandbox.run(["key", "rotate"]).exits(0);
    assert_eq!(python_reads(&sandbox, "code", "lab/a@v1"), b"hello");
    sandbox.run(["key", "archive", "lab/a@v1", "--reason", "the project ended"]).exits(0);
    assert_eq!(python_reads(&sandbox, "code", "lab/a@v1"), b"hello");
    let recover = |code: &str| python_recovers(&sandbox, code, &["ls"]).status.code();
    let right = code(&sandbox, "code");
    let slip = if right.starts_with('0') { "1" } else { "0" };
    sandbox.write("slip", format!("{slip}{}", &right[1..]));
    assert_eq!(recover("slip"), Some(4));
    let other = with_code("keyfile");
    sandbox.write("foreign", code(&other, "code"));
    assert_eq!(recover("foreign"), Some(4));
}

#[test]
fn a_recovery_key_that_was_exchanged_is_refused() {
    let (sandbox, other) = (with_code("keyfile"), with_code("keyfile"));
    let database = |sandbox: &Sandbox| rusqlite::Connection::open(sandbox.vault().join("keeper.db")).unwrap();
    let body = |sandbox: &Sandbox| -> (Vec<u8>, Value) {
        let rows = "SELECT id, body FROM root WHERE instr(body, '\"recovery\"') > 0";
        database(sandbox)
            .query_row(rows, [], |row| Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?)))
            .map(|(id, body)| (id, serde_json::from_slice(&body).unwrap()))
            .unwrap()
    };
    let (id, mut row) = body(&sandbox);
    let theirs = body(&other).1["public"].clone();
    assert_ne!(row["public"], theirs);
    row["public"] = theirs;
    let changed = database(&sandbox)
        .execute("UPDATE root SET body = ?1 WHERE id = ?2", rusqlite::params![row.to_string().into_bytes(), id])
        .unwrap();
    assert_eq!(changed, 1);
    let refused = sandbox.run(["put", "f", "lab/a"]).exits(7);
    assert!(refused.stderr.contains("of `root` is not what the keeper wrote"), "{}", refused.stderr);
}

#[test]
fn a_recovery_that_breaks_off_anywhere_leaves_a_vault_that_opens() {
    let mut met = std::collections::BTreeSet::new();
    for round in 0..24_u32 {
        let sandbox = with_code("keyfile");
        for class in ["public", "internal", "confidential"] {
            sandbox.run(["put", "f", &format!("lab/{class}"), "--class", class]).exits(0);
        }
        let old = keyfile(&sandbox);
        let recover = ["recover", "--code-file", "code", "--recovery-file", "code2", "--keyfile", "new.key"];
        let mut child = sandbox.command(recover).spawn().unwrap();
        // Some die before they begin, some are through.
        let nap = format!("0.{:03}", 4 + round * 2);
        std::process::Command::new("sleep").arg(nap).status().unwrap();
        let _ = child.kill();
        child.wait().unwrap();
        let opens = |key: &Path| sandbox.run(["ls", "--keyfile", key.to_str().unwrap()]).code == 0;
        let works = [opens(&old), sandbox.at("new.key").exists() && opens(&sandbox.at("new.key"))];
        met.insert(works);
        let key = match works {
            [true, false] => {
                let again = ["recover", "--code-file", "code", "--no-recovery", "--keyfile", "newer.key"];
                sandbox.run(again).exits(0);
                "newer.key"
            }
            [false, true] => "new.key",
            other => panic!("round {round}: {other:?}"),
        };
        for class in ["public", "internal", "confidential"] {
            let cat = ["cat", &format!("lab/{class}"), "--keyfile", key];
            assert_eq!(sandbox.run(cat).exits(0).stdout, b"hello", "round {round}");
        }
        assert!(!opens(&old), "round {round}");
        sandbox.run(["verify", "--all", "--state", "--keyfile", key]).exits(0);
    }
    assert!(met.contains(&[true, false]), "some died early enough: {met:?}");
}
