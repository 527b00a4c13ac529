//! Exit codes and what is said with them.

use super::sandbox::{Sandbox, end};
use serde_json::Value;

fn error(stderr: &str) -> Value {
    let line = stderr.lines().last().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {stderr}"))
}

#[test]
fn no_vault_is_said_with_what_to_do() {
    let sandbox = Sandbox::new();
    let ended = sandbox.run(["ls"]).exits(3);
    assert!(ended.stderr.contains("no vault here [no-vault]"), "{}", ended.stderr);
    assert!(ended.stderr.contains("try: strongroom init"), "{}", ended.stderr);
    assert!(ended.stdout.is_empty());
    let told = error(&sandbox.run(["--format", "json", "ls"]).exits(3).stderr);
    assert_eq!(
        (told["kind"].as_str(), told["code"].as_str(), told["exit"].as_u64()),
        (Some("error"), Some("no-vault"), Some(3))
    );
}

#[test]
fn words_of_other_tools_lead_to_ours() {
    let sandbox = Sandbox::new();
    for (word, hint) in
        [("push", "put"), ("pull", "get"), ("upload", "put"), ("download", "get"), ("cp", "put"), ("delete", "rm")]
    {
        let ended = sandbox.run([word]).exits(2);
        assert!(ended.stderr.contains(&format!("try: strongroom {hint}")), "{word}: {}", ended.stderr);
    }
    let told = error(&sandbox.run(["--format=json", "pull"]).exits(2).stderr);
    assert_eq!(told["try"], "strongroom get REF DEST");
}

#[test]
fn wrong_usage_is_2_and_says_which() {
    let sandbox = Sandbox::solo();
    for args in [
        &["put"][..],
        &["put", "x", "lab"],
        &["put", "x", "lab/a/b"],
        &["put", "x", "lab/a@v1"],
        &["put", "x", "lab/a", "--class", "secret"],
        &["put", "x", "lab/a", "--tag", "novalue"],
        &["get", "lab/a@", "out"],
        &["cat", "lab/../a"],
        &["ls", "--limit", "0"],
        &["gc", "--grace", "soon"],
        &["principal", "add", "a b"],
        &["principal", "add", "bob", "--grant", "lab"],
        &["audit", "query", "--since", "yesterday"],
        &["--nonsense"],
    ] {
        let ended = sandbox.run(args).exits(2);
        assert!(ended.stderr.starts_with("error: "), "{args:?}: {}", ended.stderr);
        assert!(ended.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn an_existing_target_is_8_and_stays() {
    let sandbox = Sandbox::solo();
    sandbox.write("in/f", b"new");
    sandbox.run(["put", "in", "lab/a"]).exits(0);
    sandbox.write("in.bin", b"new");
    sandbox.run(["put", "in.bin", "lab/b"]).exits(0);
    sandbox.write("taken", b"old");
    sandbox.write("folder/f", b"old");
    assert!(sandbox.run(["get", "lab/b", "taken"]).exits(8).stderr.contains("--force"));
    sandbox.run(["get", "lab/a", "taken"]).exits(8);
    sandbox.run(["get", "lab/a", "folder"]).exits(8);
    assert_eq!(std::fs::read(sandbox.at("taken")).unwrap(), b"old");
    assert_eq!(std::fs::read(sandbox.at("folder/f")).unwrap(), b"old");
    sandbox.run(["get", "lab/b", "taken", "--force"]).exits(0);
    sandbox.run(["get", "lab/a", "folder", "--force"]).exits(0);
    assert_eq!(std::fs::read(sandbox.at("taken")).unwrap(), b"new");
    assert_eq!(std::fs::read(sandbox.at("folder/f")).unwrap(), b"new");
    sandbox.run(["get", "lab/a", "no/such/folder"]).exits(3);
    let left: Vec<_> = std::fs::read_dir(sandbox.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("staging")), "{left:?}");
}

#[test]
fn what_is_not_there_is_3() {
    let sandbox = Sandbox::solo();
    sandbox.write("f", b"x");
    sandbox.run(["put", "f", "lab/a"]).exits(0);
    for args in [
        &["get", "lab/none", "out"][..],
        &["get", "none/a", "out"],
        &["get", "lab/a@v2", "out"],
        &["get", "lab/a@prod", "out"],
        &["cat", "lab/a/none"],
        &["show", "lab/none"],
        &["history", "lab/none"],
        &["ls", "none"],
        &["key", "show", "ffff"],
        &["principal", "show", "nobody"],
        &["audit", "show", "99999"],
        &["verify", "lab/none"],
    ] {
        let ended = sandbox.run(args).exits(3);
        assert!(ended.stderr.contains("[not-found]"), "{args:?}: {}", ended.stderr);
    }
    assert!(!sandbox.at("out").exists());
}

#[test]
fn a_wrong_passphrase_is_4_and_a_right_one_opens() {
    let sandbox = Sandbox::new();
    sandbox.write_private("right", "correct horse\n");
    sandbox.write_private("wrong", "battery staple\n");
    let run = |file: &str, args: &[&str]| {
        let mut command = sandbox.command(args);
        command.env("STRONGROOM_PASSPHRASE_FILE", sandbox.at(file));
        end(command)
    };
    run("right", &["init", "--root", "passphrase", "--no-recovery"]).exits(0);
    sandbox.write("f", b"x");
    run("right", &["put", "f", "lab/a"]).exits(0);
    let refused = run("wrong", &["cat", "lab/a"]).exits(4);
    assert!(refused.stderr.contains("root-refused") && refused.stdout.is_empty(), "{}", refused.stderr);
    assert!(!refused.stderr.contains("battery"), "{}", refused.stderr);
    assert_eq!(run("right", &["cat", "lab/a"]).exits(0).stdout, b"x");
    sandbox.run(["cat", "lab/a"]).exits(4);
}

#[test]
fn a_passphrase_file_that_others_may_read_is_refused_and_the_hint_mends_it() {
    let sandbox = Sandbox::new();
    let path = sandbox.write_private("words of mine", "correct horse\n");
    let run = |args: &[&str]| {
        let mut command = sandbox.command(["--format", "json"].iter().chain(args));
        command.env("STRONGROOM_PASSPHRASE_FILE", &path);
        end(command)
    };
    run(&["init", "--root", "passphrase", "--no-recovery"]).exits(0);
    for mode in [0o640, 0o604, 0o660, 0o602] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(&path, mode).unwrap();
        let refused = error(&run(&["ls"]).exits(4).stderr);
        assert_eq!(refused["code"], "root-refused", "{refused}");
        let hint = refused["try"].as_str().unwrap();
        let mended = std::process::Command::new("sh").args(["-c", hint]).status().unwrap();
        assert!(mended.success(), "{hint}");
        run(&["ls"]).exits(0);
    }
    // Of a pipe nobody else can read.
    let piped =
        format!("strongroom() {{ \"$0\" \"$@\"; }}; strongroom --passphrase-file <(cat '{}') ls", path.display());
    let plain = sandbox.command(["ls"]);
    let mut command = std::process::Command::new("bash");
    command.args(["-c", &piped]).arg(plain.get_program()).current_dir(sandbox.path()).env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    end(command).exits(0);
}

#[test]
fn a_lost_or_foreign_key_file_is_4() {
    let sandbox = Sandbox::solo();
    let key = std::fs::read_dir(sandbox.at("config/strongroom")).unwrap().next().unwrap().unwrap().path();
    let bytes = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    sandbox.run(["status"]).exits(4);
    let other = Sandbox::solo();
    let foreign = std::fs::read_dir(other.at("config/strongroom")).unwrap().next().unwrap().unwrap().path();
    sandbox.run([std::ffi::OsStr::new("status"), std::ffi::OsStr::new("--keyfile"), foreign.as_os_str()]).exits(4);
    std::fs::write(&key, bytes).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&key, private).unwrap();
    sandbox.run(["status"]).exits(0);
}

#[test]
fn a_key_file_that_is_not_there_is_said_with_its_path() {
    let sandbox = Sandbox::solo();
    let refused = sandbox.run(["ls", "--keyfile", "nowhere"]).exits(4);
    assert!(refused.stderr.contains("there is no key file at `nowhere`"), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("try: put the vault's key file there, or name it with --keyfile"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_key_file_that_cannot_be_looked_for_is_not_said_to_be_missing() {
    let sandbox = Sandbox::solo();
    sandbox.write("file", b"x");
    // Below a file nothing can be looked up, which root's rights do not change.
    let refused = sandbox.run(["ls", "--keyfile", "file/key"]).exits(9);
    assert!(!refused.stderr.contains("there is no key file"), "{}", refused.stderr);
}

#[test]
fn a_damaged_vault_file_does_not_send_to_another_vault() {
    let sandbox = Sandbox::solo();
    sandbox.run(["init", "--no-recovery", "--vault", ".strongroom/.strongroom"]).exits(0);
    sandbox.run(["status", "--vault", "."]).exits(0);
    std::fs::write(sandbox.vault().join("vault.json"), b"{").unwrap();
    let refused = sandbox.run(["--format", "json", "status", "--vault", ".strongroom"]);
    assert_ne!(refused.code, 0, "the vault inside was opened");
    assert!(refused.stderr.contains("vault.json"), "{}", refused.stderr);
}

#[test]
fn what_is_left_of_a_vault_is_never_advised_to_be_removed() {
    let sandbox = Sandbox::solo();
    sandbox.write("f", b"x");
    sandbox.run(["put", "f", "lab/a"]).exits(0);
    let file = sandbox.vault().join("vault.json");
    let text = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let told = |lost: &str| {
        for args in [&["ls"][..], &["ls", "--vault", ".strongroom"], &["init", "--no-recovery"]] {
            for format in ["human", "json"] {
                let ended = sandbox.run(args.iter().chain(&["--format", format])).exits(7);
                assert!(ended.stderr.contains("vault.json is missing"), "{lost} {args:?}: {}", ended.stderr);
                assert!(ended.stderr.contains("put vault.json back from a copy"), "{lost} {args:?}: {}", ended.stderr);
                assert!(!ended.stderr.contains("rm "), "{lost} {args:?}: {}", ended.stderr);
            }
        }
    };
    told("vault.json");
    let (db, away) = (sandbox.vault().join("keeper.db"), sandbox.at("keeper.db"));
    std::fs::rename(&db, &away).unwrap();
    told("vault.json and keeper.db");
    std::fs::rename(&away, &db).unwrap();
    std::fs::write(&file, text).unwrap();
    assert_eq!(sandbox.run(["cat", "lab/a"]).exits(0).stdout, b"x");
    // A folder that only looks a little like one is none.
    sandbox.write("project/log/today", b"x");
    sandbox.run(["status", "--vault", "project"]).exits(3);
}

#[test]
fn what_a_vault_lost_is_named_with_a_way_that_is_open() {
    let sandbox = Sandbox::solo();
    sandbox.write("f", b"x");
    sandbox.run(["put", "f", "lab/a"]).exits(0);
    let refused = |what: &str| {
        let told = error(&sandbox.run(["--format", "json", "ls"]).exits(7).stderr);
        assert!(
            told["why"].as_str().unwrap().contains(what) || told["what"].as_str().unwrap().contains(what),
            "{told}"
        );
        assert!(told["try"].as_str().unwrap().contains("from a copy of the vault"), "{told}");
        assert!(
            told["try"].as_str().unwrap().contains("from") && !told.to_string().contains("strongroom verify"),
            "{told}"
        );
    };
    for (name, what, empty) in [
        ("vault.json", "vault.json", true),
        ("keeper.db", "keeper.db", true),
        ("keeper.db", "keeper.db", false),
        ("depot", "depot", false),
    ] {
        let (path, away) = (sandbox.vault().join(name), sandbox.at("away"));
        std::fs::rename(&path, &away).unwrap();
        if empty {
            std::fs::write(&path, b"").unwrap();
        }
        refused(what);
        if empty {
            std::fs::remove_file(&path).unwrap();
        }
        std::fs::rename(&away, &path).unwrap();
    }
    sandbox.run(["verify", "--all", "--state"]).exits(0);
}

#[test]
fn a_missing_anchor_is_said_with_what_to_do() {
    let sandbox = Sandbox::solo();
    sandbox.write("f", b"x");
    sandbox.run(["put", "f", "lab/a"]).exits(0);
    let refused = sandbox.run(["gc", "--anchor", "nowhere"]).exits(7);
    assert!(refused.stderr.contains("there is no anchor"), "{}", refused.stderr);
    assert!(refused.stderr.contains("strongroom audit verify --new-anchor"), "{}", refused.stderr);
    sandbox.run(["audit", "verify", "--new-anchor", "--anchor", "nowhere"]).exits(0);
    sandbox.run(["gc", "--anchor", "nowhere"]).exits(0);
}

#[test]
fn the_folder_that_holds_the_vault_names_it_too() {
    let sandbox = Sandbox::solo();
    let elsewhere = tempfile::tempdir().unwrap();
    for named in [sandbox.vault(), sandbox.path().to_owned()] {
        let mut command = sandbox.command(["status", "--vault", named.to_str().unwrap()]);
        command.current_dir(elsewhere.path());
        end(command).exits(0);
    }
    let missing = sandbox.run(["status", "--vault", "nothing"]).exits(3);
    assert!(missing.stderr.contains("no vault in `nothing`"), "{}", missing.stderr);
}

#[test]
fn a_mistyped_name_is_answered_with_the_near_one() {
    let sandbox = Sandbox::solo();
    sandbox.write("f", b"x");
    sandbox.run(["put", "f", "clinic/records", "--alias", "golden"]).exits(0);
    sandbox.run(["principal", "add", "alice"]).exits(0);
    for (args, near, hint) in [
        (&["ls", "clinc"][..], "clinic", "strongroom ls clinic"),
        (&["ls", "clinic/recrds/"], "clinic/records", "strongroom ls clinic"),
        (&["get", "clinc/records", "out"], "clinic/records", "strongroom ls"),
        (&["cat", "clinic/recrods"], "clinic/records", "strongroom ls clinic"),
        (&["show", "clinic/records@v9"], "clinic/records@v1", "strongroom history clinic/records"),
        (&["show", "clinic/records@goldn"], "clinic/records@golden", "strongroom history clinic/records"),
        (&["history", "clinic/rec"], "clinic/records", "strongroom ls clinic"),
        (&["verify", "clinic/records", "clinic/record"], "clinic/records", "strongroom ls clinic"),
        (&["verify", "clinic/recods", "clinic/records@v1"], "clinic/records", "strongroom ls clinic"),
        (&["verify", "clinic/records@v1", "clinic/recods"], "clinic/records", "strongroom ls clinic"),
        (&["verify", "clinic/recods", "clnic/records"], "clinic/records", "strongroom ls clinic"),
        (&["put", "f", "clinic/model", "--from", "clinic/recods"], "clinic/records", "strongroom ls clinic"),
        (
            &["put", "f", "clinic/model", "--from", "clinic/records@golden", "--from", "clinic/recods"],
            "clinic/records",
            "strongroom ls clinic",
        ),
        (&["policy", "explain", "read", "clinic/recods"], "clinic/records", "strongroom ls clinic"),
        (&["policy", "explain", "--as", "alcie", "read", "clinic/records"], "alice", "strongroom principal ls"),
    ] {
        let told = error(&sandbox.run(["--format", "json"].iter().chain(args)).exits(3).stderr);
        let why = told["why"].as_str().unwrap();
        assert!(why.ends_with(&format!("did you mean `{near}`?")), "{args:?}: {why}");
        assert_eq!(told["try"], hint, "{args:?}");
    }
    let far = error(&sandbox.run(["--format", "json", "show", "garden/tools"]).exits(3).stderr);
    assert_eq!(far["why"], "`garden/tools` was not found");
    // What is there is not said to be missing, whichever version of it is named.
    for reference in ["lab/typo", "clinic/typo"] {
        for there in ["clinic/records@v1", "clinic/records@golden"] {
            let told = error(&sandbox.run(["--format", "json", "verify", reference, there]).exits(3).stderr);
            assert_eq!(told["why"], format!("`{reference}` was not found"));
        }
    }
}

#[test]
fn names_that_may_not_be_seen_are_not_suggested() {
    let sandbox = Sandbox::rehearsal();
    sandbox.write("f", b"x");
    for (name, grant) in [("wanda", "clinic=writer"), ("rick", "other=reader"), ("aud", "vault=auditor")] {
        sandbox.run(["principal", "add", name, "--clearance", "confidential", "--grant", grant]).exits(0);
    }
    sandbox.run(["--as", "wanda", "put", "f", "clinic/records"]).exits(0);
    let denials = || {
        let page = sandbox.run(["--format", "json", "--as", "aud", "audit", "query", "--principal", "rick"]).exits(0);
        page.json()["items"].as_array().unwrap().len()
    };
    for reference in ["clinic/recrds", "clinc/records"] {
        let told = error(&sandbox.run(["--format", "json", "--as", "rick", "show", reference]).exits(3).stderr);
        assert_eq!(told["why"], format!("`{reference}` was not found"));
    }
    assert_eq!(denials(), 0, "looking for a near name asks for nothing that is refused");
}

/// One command for each exit code, with the code's word. A full disk (9) is in `faults`, an interruption (130) in `sources`.
#[test]
fn each_exit_code_has_a_command_that_ends_with_it() {
    let sandbox = Sandbox::rehearsal();
    sandbox.write("f", b"data");
    for (name, grant) in [("wanda", "lab=writer"), ("visitor", "vault=reader"), ("gone", "lab=reader")] {
        sandbox.run(["principal", "add", name, "--clearance", "confidential", "--grant", grant]).exits(0);
    }
    sandbox.run(["principal", "add", "gone", "--change", "--suspended"]).exits(0);
    sandbox.run(["--as", "wanda", "put", "f", "lab/a"]).exits(0);
    sandbox.write("wrong.cedar", "permit");
    let object = sandbox.objects().remove(0);
    let whole = std::fs::read(&object).unwrap();
    let mut flipped = whole.clone();
    flipped[20] ^= 1;
    let coded = |args: &[&str], code: i32, word: &str| {
        let ended = sandbox.run(["--format", "json"].iter().chain(args)).exits(code);
        let told = error(&ended.stderr);
        assert_eq!((told["code"].as_str(), told["exit"].as_i64()), (Some(word), Some(code.into())), "{args:?}");
        assert!(told["try"].is_string(), "{args:?} says what to do: {told}");
    };
    sandbox.run(["--as", "wanda", "cat", "lab/a"]).exits(0);
    sandbox.run(["policy", "lint", "wrong.cedar"]).exits(1);
    coded(&["--as", "wanda", "cat", "lab/../a"], 2, "bad-request");
    coded(&["--as", "wanda", "cat", "lab/b"], 3, "not-found");
    coded(&["--keyfile", "nowhere", "ls"], 4, "root-refused");
    coded(&["--as", "visitor", "put", "f", "lab/a"], 5, "denied");
    coded(&["--as", "visitor", "get", "lab/a", "out"], 6, "approval-needed");
    std::fs::write(&object, flipped).unwrap();
    coded(&["--as", "wanda", "cat", "lab/a"], 7, "integrity");
    std::fs::write(&object, whole).unwrap();
    coded(&["principal", "add", "gone"], 8, "conflict");
    coded(&["--as", "gone", "cat", "lab/a"], 10, "gone");
}

#[test]
fn a_second_init_is_8() {
    let sandbox = Sandbox::solo();
    sandbox.run(["init", "--no-recovery"]).exits(8);
}

#[test]
fn nobody_reading_is_no_error() {
    let sandbox = Sandbox::solo();
    sandbox.write("f", vec![b'x'; 3_000_000]);
    sandbox.run(["put", "f", "lab/a"]).exits(0);
    let mut command = sandbox.command(["cat", "lab/a"]);
    let mut child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn restricted_data_asks_for_reason_and_confirmation() {
    let sandbox = Sandbox::solo();
    sandbox.write("f", b"secret");
    sandbox.run(["put", "f", "lab/a", "--class", "restricted"]).exits(0);
    let asked = sandbox.run(["cat", "lab/a"]).exits(2);
    assert!(asked.stdout.is_empty() && asked.stderr.contains("--reason"), "{}", asked.stderr);
    sandbox.run(["cat", "lab/a", "--reason", "incident 7", "--confirm", "lab/b"]).exits(2);
    let opened = sandbox.run(["cat", "lab/a", "--reason", "incident 7", "--confirm", "lab/a"]).exits(0);
    assert_eq!(opened.stdout, b"secret");
}

#[test]
fn a_key_file_carries_no_confidential_data_in_prod() {
    let sandbox = Sandbox::solo();
    sandbox.write("f", b"secret");
    for (class, reference) in [("confidential", "lab/a"), ("restricted", "lab/b")] {
        let put = ["put", "f", reference, "--class", class, "--env", "prod"];
        let refused = sandbox.run(put).exits(5);
        assert!(refused.stderr.contains(&format!("prod-roots-{class}")), "{}", refused.stderr);
        assert!(refused.stderr.contains("the vault's roots that may wrap it are none"), "{}", refused.stderr);
        assert!(refused.stderr.contains("try: the same command with `--env staging`"), "{}", refused.stderr);
        let asked = ["policy", "explain", "write", reference, "--class", class, "--env", "prod"];
        let told = sandbox.run(["--format", "json"].iter().chain(&asked)).exits(0).json();
        assert_eq!((&told["allowed"], &told["policies"][0]), (&false.into(), &format!("prod-roots-{class}").into()));
        let dry = sandbox.run(["--format", "json", "--dry-run"].iter().chain(&put)).exits(0).json();
        assert_eq!(dry, told);
    }
    assert!(sandbox.objects().is_empty(), "nothing was uploaded");
    sandbox.run(["put", "f", "lab/a", "--class", "confidential", "--env", "staging"]).exits(0);
    sandbox.run(["put", "f", "lab/c", "--class", "internal", "--env", "prod"]).exits(0);
    let other = Sandbox::new();
    other.write("f", b"secret");
    other.write_private("words", "correct horse\n");
    let run = |args: &[&str]| {
        let mut command = other.command(args);
        command.env("STRONGROOM_PASSPHRASE_FILE", other.at("words"));
        end(command)
    };
    run(&["init", "--root", "passphrase", "--no-recovery"]).exits(0);
    run(&["put", "f", "lab/a", "--class", "confidential", "--env", "prod"]).exits(0);
    let refused = run(&["put", "f", "lab/b", "--class", "restricted", "--env", "prod"]).exits(5);
    assert!(refused.stderr.contains("the vault's roots that may wrap it are none"), "{}", refused.stderr);
}

#[test]
fn the_vault_is_found_upwards_and_named_by_flag_or_environment() {
    let sandbox = Sandbox::solo();
    std::fs::create_dir_all(sandbox.at("a/b")).unwrap();
    let mut below = sandbox.command(["status"]);
    below.current_dir(sandbox.at("a/b"));
    end(below).exits(0);
    let elsewhere = tempfile::tempdir().unwrap();
    let mut named = sandbox.command(["status"]);
    named.current_dir(elsewhere.path()).env("STRONGROOM_VAULT", sandbox.vault());
    end(named).exits(0);
    std::fs::write(elsewhere.path().join("strongroom.toml"), format!("vault = {:?}\n", sandbox.vault())).unwrap();
    let mut project = sandbox.command(["status"]);
    project.current_dir(elsewhere.path());
    end(project).exits(0);
    std::fs::write(elsewhere.path().join("strongroom.toml"), "keyfile = 'x'\n").unwrap();
    let mut sly = sandbox.command(["status"]);
    sly.current_dir(elsewhere.path());
    end(sly).exits(2);
}
