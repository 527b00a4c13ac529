//! Administration through the real binary: keys, policy, log, garbage.

use super::sandbox::{Dice, Sandbox};
use std::process::Stdio;

pub fn filled() -> Sandbox {
    let sandbox = Sandbox::solo();
    sandbox.write("f", Dice(40).bytes(100_000));
    for n in 0..3 {
        sandbox.run(["put", "f", &format!("lab/a{n}"), "--class", "internal"]).exits(0);
    }
    sandbox
}

#[test]
fn jobs_are_listed_and_run_for_a_timer() {
    let sandbox = filled();
    let jobs = sandbox.run(["--format", "json", "jobs", "ls"]).exits(0).json();
    let names: Vec<&str> = jobs["items"].as_array().unwrap().iter().map(|job| job["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"rewrap") && names.last() == Some(&"log"), "{names:?}");
    assert!(String::from_utf8_lossy(&sandbox.run(["jobs", "run"]).exits(0).stdout).contains("nothing was due"));
    sandbox.run(["key", "rotate", "--no-wait"]).exits(0);
    let ran = sandbox.run(["--format", "json", "jobs", "run", "commands"]).exits(0).json();
    assert_eq!(ran["items"], serde_json::json!([{"name": "commands", "done": 0, "failed": null}]));
    assert!(sandbox.run(["jobs", "run", "tea"]).exits(2).stderr.contains("there is no job `tea`"));
}

#[test]
fn init_puts_the_key_file_where_it_is_told_and_over_nothing() {
    let sandbox = Sandbox::new();
    sandbox.run(["init", "--no-recovery", "--keyfile", "keys/of/mine.key"]).exits(0);
    let key = std::fs::metadata(sandbox.at("keys/of/mine.key")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&key.permissions()) & 0o777, 0o600);
    assert!(!sandbox.at("config").exists(), "no second key file where it goes by default");
    sandbox.run(["ls"]).exits(4);
    sandbox.run(["ls", "--keyfile", "keys/of/mine.key"]).exits(0);
    let other = ["init", "--no-recovery", "--vault", "other", "--keyfile", "keys/of/mine.key"];
    assert!(sandbox.run(other).exits(8).stderr.contains("exists already"));
    sandbox.run(["ls", "--keyfile", "keys/of/mine.key"]).exits(0);
}

#[test]
fn every_act_is_in_the_log_and_can_be_proved_and_exported() {
    let sandbox = filled();
    let put = sandbox.run(["--format", "json", "put", "f", "lab/proved"]).exits(0).json();
    let entry = put["entry"].as_str().unwrap();
    let shown = sandbox.run(["--format", "json", "audit", "show", entry]).exits(0).json();
    let index = shown["log_index"].as_u64().expect("integrated before the command exits").to_string();
    sandbox.run(["audit", "prove", entry, "--output", "receipt.tlog-proof"]).exits(0);
    let proof = std::fs::read_to_string(sandbox.at("receipt.tlog-proof")).unwrap();
    assert!(proof.contains("tlog-proof") && proof.contains(&index), "{proof}");
    sandbox.run(["audit", "prove", entry, "--output", "receipt.tlog-proof"]).exits(8);
    let verified = sandbox.run(["--format", "json", "audit", "verify"]).exits(0).json();
    assert_eq!((verified["ok"].as_bool(), verified["freshness"].as_str()), (Some(true), Some("proven")));
    sandbox.run(["audit", "export", "copy"]).exits(0);
    assert!(sandbox.at("copy/checkpoint").is_file());
    sandbox.run(["audit", "export", "copy"]).exits(8);
    sandbox.run(["verify", "--all", "--state"]).exits(0);
    let page = sandbox.run(["--format", "json", "audit", "tail", "--limit", "2"]).exits(0).json();
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
}

#[test]
fn gc_deletes_what_nobody_needs_and_nothing_else() {
    let sandbox = filled();
    let whole = sandbox.objects().len();
    // A put that dies leaves objects that no version names.
    let mut child = sandbox.command(["put", "-", "lab/dead"]).stdin(std::process::Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, &vec![1; 4 << 20]).unwrap();
    let begun = |path: &std::path::PathBuf| {
        path.parent().unwrap().ends_with("unfinished") && std::fs::metadata(path).is_ok_and(|meta| meta.len() > 1 << 20)
    };
    while !sandbox.objects().iter().any(begun) {
        assert!(child.try_wait().unwrap().is_none(), "it waits for its input");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let gc =
        |flags: &[&str]| sandbox.run(["--format", "json", "gc", "--grace", "0s"].iter().chain(flags)).exits(0).json();
    let would = gc(&["--dry-run"]);
    assert_eq!(would["kind"], "gc");
    assert!(would["bytes"].as_u64().unwrap() > 0 && would["uploads"].as_u64().unwrap() > 0, "{would}");
    assert_eq!(gc(&[]), would, "what was said was done");
    assert_eq!(gc(&[])["bytes"], 0);
    assert_eq!(sandbox.objects().len(), whole);
    sandbox.run(["verify", "--all"]).exits(0);
}

#[test]
fn gc_without_grace_leaves_a_running_put_alone() {
    let sandbox = filled();
    let bytes = Dice(41).bytes(6 << 20);
    let mut command = sandbox.command(["put", "-", "lab/slow"]);
    command
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let (first, rest) = bytes.split_at(4 << 20);
    std::io::Write::write_all(&mut stdin, first).unwrap();
    let uploading = |path: &std::path::PathBuf| {
        path.parent().unwrap().ends_with("unfinished") && std::fs::metadata(path).is_ok_and(|meta| meta.len() > 1 << 20)
    };
    while !sandbox.objects().iter().any(uploading) {
        assert!(child.try_wait().unwrap().is_none(), "it waits for its input");
        std::thread::yield_now();
    }
    // As if nothing had come for years.
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    for path in sandbox.objects().iter().filter(|path| path.parent().unwrap().ends_with("unfinished")) {
        std::fs::File::options().write(true).open(path).unwrap().set_modified(long_ago).unwrap();
    }
    let collected = sandbox.run(["--format", "json", "gc", "--grace", "0s"]).exits(0).json();
    assert_eq!((collected["objects"].as_u64(), collected["uploads"].as_u64()), (Some(0), Some(0)), "{collected}");
    std::io::Write::write_all(&mut stdin, rest).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(sandbox.run(["cat", "lab/slow"]).exits(0).stdout == bytes);
    sandbox.run(["verify", "--all"]).exits(0);
}

#[test]
fn a_project_raises_the_class_and_never_lowers_it() {
    let sandbox = filled();
    let class = |args: &[&str]| {
        let all: Vec<&str> = ["--format", "json", "put", "f"].into_iter().chain(args.iter().copied()).collect();
        let put = sandbox.run(all).exits(0).json();
        (put["class"].as_str().unwrap().to_owned(), put["class_why"].as_str().unwrap().to_owned())
    };
    let is = |class: &str, why: &str| (class.to_owned(), why.to_owned());
    sandbox.write("strongroom.toml", "class = 'public'\n");
    assert_eq!(class(&["lab/new"]), is("confidential", "default"), "a project lowered the class");
    assert_eq!(class(&["lab/chosen", "--class", "public"]), is("public", "asked"), "a flag chooses");
    assert_eq!(class(&["lab/a0"]), is("internal", "artifact"));
    let said = sandbox.run(["put", "f", "lab/told"]).exits(0).stderr;
    assert!(said.contains("only raises the class") && said.contains("--class"), "{said}");
    sandbox.write("strongroom.toml", "class = 'restricted'\n");
    assert_eq!(class(&["lab/raised"]), is("restricted", "raised"));
    assert_eq!(class(&["lab/a1"]), is("restricted", "raised"), "above the artifact's");
    assert_eq!(class(&["lab/a2", "--class", "internal"]), is("internal", "asked"));
}

#[test]
fn a_policy_is_linted_tested_and_applied() {
    let sandbox = filled();
    sandbox.run(["policy", "lint"]).exits(0);
    sandbox.write("policy/bad.cedar", "permit(principal, action, resource) when { resource.nonsense };");
    let found = sandbox.run(["--format", "json", "policy", "lint", "policy"]).exits(1).json();
    assert!(!found["findings"].as_array().unwrap().is_empty(), "{found}");
    assert!(sandbox.run(["policy", "apply", "policy", "--yes"]).code != 0);
    sandbox.run(["policy", "apply", "policy"]).exits(2);
    let shown = sandbox.run(["--format", "json", "policy", "show"]).exits(0).json();
    assert!(shown["hash"].is_string() && !shown["sources"].as_object().unwrap().is_empty());
}

#[test]
fn an_alias_moves_and_numbers_have_no_gaps() {
    let sandbox = Sandbox::solo();
    for n in 1..=3 {
        sandbox.write("f", format!("{n}"));
        sandbox.run(["put", "f", "lab/a", "--alias", "prod", "--tag", &format!("n={n}")]).exits(0);
    }
    sandbox.write("f", "4");
    sandbox.run(["put", "f", "lab/a"]).exits(0);
    let cat = |reference: &str| String::from_utf8(sandbox.run(["cat", reference]).exits(0).stdout).unwrap();
    assert_eq!([cat("lab/a"), cat("lab/a@latest"), cat("lab/a@prod"), cat("lab/a@v1")], ["4", "4", "3", "1"]);
    assert_eq!(cat("strongroom://lab/a@v2"), "2");
    let history = sandbox.run(["--format", "json", "history", "lab/a"]).exits(0).json();
    let numbers: Vec<u64> =
        history["items"].as_array().unwrap().iter().map(|item| item["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [4, 3, 2, 1]);
}

#[test]
fn the_clock_is_accepted_on_purpose_only() {
    let sandbox = filled();
    sandbox.run(["status", "--accept-clock"]).exits(2);
    let accepted = sandbox.run(["--yes", "--format", "json", "status", "--accept-clock"]).exits(0).json();
    assert_eq!(accepted["kind"], "clock");
    let shown = sandbox.run(["--format", "json", "audit", "query", "--act", "clock.accept"]).exits(0).json();
    assert_eq!(shown["items"][0]["entry"]["act"], "clock.accept");
    assert!(accepted["before"].as_u64() <= accepted["now"].as_u64(), "{accepted}");
}

/// A command at another time, by a clock that is that far from the machine's.
fn at_another_time(sandbox: &Sandbox, shift: &str, args: &[&str]) -> super::sandbox::Ended {
    let plain = sandbox.command(args);
    let mut command = std::process::Command::new("faketime");
    command.args(["-f", shift]).arg(plain.get_program()).args(plain.get_args()).current_dir(sandbox.path()).env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?)))).stdin(Stdio::null());
    super::sandbox::end(command)
}

#[test]
fn a_clock_that_was_set_back_is_refused_until_it_is_accepted() {
    let sandbox = filled();
    at_another_time(&sandbox, "+2d", &["put", "f", "lab/later"]).exits(0);
    for refused in [&["put", "f", "lab/now"][..], &["cat", "lab/later"], &["key", "rotate"]] {
        let refused = sandbox.run(refused).exits(9);
        assert!(refused.stderr.contains("[clock-back]") && refused.stdout.is_empty(), "{}", refused.stderr);
        assert!(refused.stderr.contains("strongroom status --accept-clock"), "{}", refused.stderr);
    }
    at_another_time(&sandbox, "+3d", &["cat", "lab/later"]).exits(0);
    let accepted = sandbox.run(["--yes", "--format", "json", "status", "--accept-clock"]).exits(0).json();
    assert!(accepted["now"].as_u64() < accepted["before"].as_u64(), "{accepted}");
    sandbox.run(["cat", "lab/later"]).exits(0);
    sandbox.run(["put", "f", "lab/now"]).exits(0);
    assert_eq!(sandbox.run(["--format", "json", "verify", "--all", "--state"]).exits(0).json()["ok"], true);
}

#[test]
fn keys_that_are_due_are_listed_with_what_happens_to_them() {
    let sandbox = filled();
    sandbox.run(["put", "f", "lab/secret", "--class", "restricted"]).exits(0);
    let due = |shift: &str, within: &str| {
        let args = ["--format", "json", "key", "ls", "--due", "--within", within];
        at_another_time(&sandbox, shift, &args).exits(0).json()
    };
    assert_eq!(due("+0d", "29d")["keys"], serde_json::json!([]));
    let told = due("+0d", "31d");
    let key = &told["keys"][0];
    assert_eq!(
        (&key["class"], &key["uses"], &key["uses_max"]),
        (&"restricted".into(), &1.into(), &(1_u64 << 30).into())
    );
    assert_eq!(key["due"].as_u64().unwrap() - key["renewed"].as_u64().unwrap(), 3 * 86_400_000);
    let id = key["id"].as_str().unwrap().to_owned();
    let standing =
        |shift: &str| at_another_time(&sandbox, shift, &["--format", "json", "status"]).exits(0).json()["keys"].clone();
    let keys = standing("+0d");
    assert_eq!((&keys["overdue"], &keys["due_soon"], &keys["suspended"]), (&0.into(), &1.into(), &0.into()), "{keys}");
    assert_eq!(keys["next_due"], key["due"]);
    let told = at_another_time(&sandbox, "+1d", &["status"]).exits(0).stdout;
    assert!(String::from_utf8(told).unwrap().contains("1 due within 30 days"));
    sandbox.run(["key", "suspend", &id, "--reason", "a laptop was lost"]).exits(0);
    let text = at_another_time(&sandbox, "+28d", &["key", "ls", "--due"]).exits(0).stdout;
    assert!(String::from_utf8(text).unwrap().contains("suspended: nothing renews it"));
    assert_eq!(standing("+28d")["suspended"], 1);
    at_another_time(&sandbox, "+28d", &["key", "resume", &id, "--reason", "found"]).exits(0);
    let now = due("+28d", "3d");
    assert_eq!(now["keys"], serde_json::json!([]), "the end of the last command renewed it");
}

#[test]
fn a_vault_that_was_closed_for_a_year_renews_each_key_once_when_its_clock_is_accepted() {
    let sandbox = filled();
    sandbox.run(["put", "f", "lab/secret", "--class", "restricted"]).exits(0);
    at_another_time(&sandbox, "+370d", &["ls"]).exits(9);
    at_another_time(&sandbox, "+370d", &["--yes", "status", "--accept-clock"]).exits(0);
    at_another_time(&sandbox, "+370d", &["jobs", "run"]).exits(0);
    let status = at_another_time(&sandbox, "+370d", &["--format", "json", "status"]).exits(0).json();
    assert_eq!((&status["keys"]["overdue"], &status["keys_due"]), (&0.into(), &0.into()), "{}", status["keys"]);
    let versions = |shift: &str| {
        let list = at_another_time(&sandbox, shift, &["--format", "json", "key", "ls"]).exits(0).json();
        let active = list["keys"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|key| key["purpose"] == "domain" && key["state"] == "active");
        active.map(|key| (key["version"].as_u64().unwrap(), key["due"].as_u64().unwrap())).collect::<Vec<_>>()
    };
    let far = versions("+370d");
    assert!(!far.is_empty() && far.iter().all(|(version, _)| *version == 2), "{far:?}");
    // It was the clock that was wrong: what it made is not due a year too late.
    sandbox.run(["ls"]).exits(9);
    sandbox.run(["--yes", "status", "--accept-clock"]).exits(0);
    let now = sandbox.run(["--format", "json", "key", "ls"]).exits(0).json()["now"].as_u64().unwrap();
    let back = versions("+0d");
    assert!(back.iter().all(|(_, due)| *due <= now + 366 * 86_400_000), "{back:?}");
    assert!(back.iter().any(|(_, due)| *due <= now + 31 * 86_400_000), "{back:?}");
    sandbox.run(["verify", "--all", "--state"]).exits(0);
}

#[test]
fn a_timer_reads_a_sample_and_drills_the_roots_when_a_month_is_over() {
    let sandbox = filled();
    sandbox.run(["root", "add", "keyfile", "--path", "stick.key"]).exits(0);
    let json = |shift: &str, args: &[&str]| {
        at_another_time(&sandbox, shift, &[&["--format", "json"], args].concat()).exits(0).json()
    };
    let ran = |shift: &str| {
        let told = json(shift, &["jobs", "run"]);
        let ran = told["items"].as_array().unwrap().iter();
        let ran = ran.inspect(|job| assert!(job["failed"].is_null(), "{job}")).map(|job| job["name"].clone());
        ["verify", "drill"].map(|name| ran.clone().any(|ran| ran == name))
    };
    let times = |status: &serde_json::Value| {
        let drilled = status["roots"].as_array().unwrap().iter().map(|root| root["drilled"].as_u64());
        (status["verified"].as_u64(), drilled.collect::<Vec<_>>())
    };
    assert_eq!(ran("+29d"), [false, false], "neither is due");
    assert_eq!(times(&json("+29d", &["status"])), (None, vec![None, None]));
    assert_eq!(ran("+31d"), [true, true]);
    assert_eq!(ran("+31d"), [false, false], "they are done");
    let status = json("+33d", &["status"]);
    let now = status["now"].as_u64().unwrap();
    let (verified, drilled) = times(&status);
    for at in [vec![verified], drilled].concat() {
        let hours = (now - at.expect("a time")) / 3_600_000;
        assert!((47..=49).contains(&hours), "{hours} hours: {status}");
    }
    let text = String::from_utf8(at_another_time(&sandbox, "+33d", &["status"]).exits(0).stdout).unwrap();
    assert!(text.lines().any(|line| line.starts_with("drilled      roots 2 days ago")), "{text}");
    let day = api::terms::Timestamp::from_millis(verified.unwrap()).to_string();
    assert!(text.lines().any(|line| line == format!("verified     {day} (all, or a sample)")), "{text}");
    let drills = json("+33d", &["audit", "query", "--act", "root.drill"]);
    assert!(!drills["items"].as_array().unwrap().is_empty(), "{drills}");
    // A month later again; what is damaged is told, and counts as not verified.
    assert_eq!(ran("+62d"), [true, true]);
    let object = sandbox.objects().swap_remove(0);
    std::fs::remove_file(object).unwrap();
    let failed = at_another_time(&sandbox, "+93d", &["--format", "json", "jobs", "run"]).exits(1).json();
    let failed = failed["items"].as_array().unwrap().iter().filter(|job| job["failed"].is_string());
    assert_eq!(failed.map(|job| job["name"].clone()).collect::<Vec<_>>(), ["verify"]);
    let days = (json("+93d", &["status"])["verified"].as_u64().unwrap() - verified.unwrap()) / 86_400_000;
    assert!((30..=31).contains(&days), "{days}");
}

#[test]
fn two_runs_of_all_jobs_at_once_do_each_once() {
    let sandbox = filled();
    sandbox.run(["root", "add", "keyfile", "--path", "stick.key"]).exits(0);
    sandbox.run(["put", "f", "lab/secret", "--class", "restricted"]).exits(0);
    sandbox.run(["put", "f", "lab/open", "--class", "public"]).exits(0);
    let json = |shift: &str, args: &[&str]| {
        at_another_time(&sandbox, shift, &[&["--format", "json"], args].concat()).exits(0).json()
    };
    let keys = json("+0d", &["key", "ls"]);
    let open = keys["keys"].as_array().unwrap().iter().find(|key| key["class"] == "public").unwrap()["id"].clone();
    let reason = ["--reason", "the contract ended", "--yes"];
    sandbox.run([&["key", "destroy", open.as_str().unwrap()][..], &reason].concat()).exits(0);
    sandbox.run([&["key", "destroy", "lab/a0@v1"][..], &reason].concat()).exits(0);
    let runs = [(); 2].map(|()| {
        let plain = sandbox.command(["jobs", "run"]);
        let mut command = std::process::Command::new("faketime");
        command.args(["-f", "+31d"]).arg(plain.get_program()).args(plain.get_args()).current_dir(sandbox.path());
        command.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    });
    for run in runs {
        let ended = run.wait_with_output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()));
    }
    let jobs = json("+31d", &["jobs", "ls"]);
    assert!(jobs["items"].as_array().unwrap().iter().all(|job| job["overdue"] == false), "{jobs}");
    let logged = |act: &str| {
        let log = json("+31d", &["audit", "query", "--act", act]);
        log["items"].as_array().unwrap().len()
    };
    assert_eq!((logged("key.certify"), logged("version.destroy"), logged("key.rotate")), (1, 1, 1));
    assert!((1..=4).contains(&logged("root.drill")), "each root once or twice");
    at_another_time(&sandbox, "+31d", &["cat", "lab/open"]).exits(10);
    at_another_time(&sandbox, "+31d", &["cat", "lab/a0@v1"]).exits(10);
    at_another_time(&sandbox, "+31d", &["cat", "lab/a1"]).exits(0);
    at_another_time(&sandbox, "+31d", &["verify", "--all", "--state"]).exits(0);
}

#[test]
fn keys_past_their_time_are_due_until_they_are_rotated() {
    let sandbox = filled();
    sandbox.run(["put", "f", "lab/secret", "--class", "restricted"]).exits(0);
    let due = |shift: &str| {
        at_another_time(&sandbox, shift, &["--format", "json", "status"]).exits(0).json()["keys_due"].as_u64()
    };
    assert_eq!(due("+26d"), Some(0), "restricted keys are rotated every 30 days");
    // Nothing ran since: it is told, and the end of the command that tells it renews the key.
    let human = at_another_time(&sandbox, "+31d", &["status"]).exits(0).stdout;
    let human = String::from_utf8(human).unwrap();
    let line = human.lines().find(|line| line.starts_with("overdue")).unwrap();
    assert_eq!(line, "overdue      1 key: strongroom key rotate");
    let versions = |shift: &str| {
        let keys = at_another_time(&sandbox, shift, &["--format", "json", "key", "ls"]).exits(0).json()["keys"].clone();
        let of = |key: &&serde_json::Value| key["class"] == "restricted" && key["state"] == "active";
        keys.as_array().unwrap().iter().find(of).unwrap()["version"].as_u64()
    };
    assert_eq!((due("+31d"), versions("+31d")), (Some(0), Some(2)));
    at_another_time(&sandbox, "+31d", &["key", "rotate", "--class", "restricted"]).exits(0);
    assert_eq!((due("+31d"), versions("+32d")), (Some(0), Some(3)));
    // Before its time is over, where somebody works.
    at_another_time(&sandbox, "+59d", &["ls"]).exits(0);
    assert_eq!((due("+61d"), versions("+61d")), (Some(0), Some(4)));
}

#[test]
fn a_key_that_is_to_go_is_shut_until_it_is_spared() {
    let sandbox = filled();
    sandbox.run(["put", "f", "lab/secret", "--class", "restricted"]).exits(0);
    let json = |args: &[&str], code: i32| sandbox.run(["--format", "json"].iter().chain(args)).exits(code);
    let keys = json(&["key", "ls"], 0).json()["keys"].clone();
    let restricted = keys.as_array().unwrap().iter().find(|key| key["class"] == "restricted").unwrap();
    let short = &restricted["id"].as_str().unwrap()[..8];
    let why = ["--reason", "the contract ended", "--yes"];
    let destroy =
        |more: &[&str], code: i32| sandbox.run(["key", "destroy", short].iter().chain(&why).chain(more)).exits(code);
    // Restricted data: its name typed again.
    destroy(&["--dry-run"], 0);
    let told = destroy(&[], 2).stderr;
    assert!(told.contains("--confirm"), "{told}");
    destroy(&["--confirm", "lab/dev/internal"], 2);
    let done = String::from_utf8(destroy(&["--confirm", "lab/dev/restricted"], 0).stdout).unwrap();
    assert!(done.contains("1 versions go with it") && done.contains("--cancel"), "{done}");
    let cat = ["cat", "lab/secret", "--reason", "r", "--confirm", "lab/secret"];
    let told = sandbox.run(cat).exits(10).stderr;
    let id = restricted["id"].as_str().unwrap();
    assert!(told.contains(&format!("try: strongroom key destroy {id} --cancel --reason REASON")), "{told}");
    let told = sandbox.run(["key", "certificate", short]).exits(8).stderr;
    assert!(told.contains("was not destroyed"), "{told}");
    sandbox.run(["key", "destroy", id, "--cancel", "--reason", "it did not"]).exits(0);
    sandbox.run(cat).exits(0);

    // A version's own.
    sandbox.run(["put", "f", "lab/plain", "--class", "internal"]).exits(0);
    sandbox.run(["key", "destroy", "lab/plain@v1", "--reason", "a mistake", "--yes"]).exits(0);
    let cancel = "try: strongroom key destroy lab/plain@v1 --cancel --reason REASON";
    assert!(sandbox.run(["cat", "lab/plain@v1"]).exits(10).stderr.contains(cancel));
    assert!(sandbox.run(["undelete", "lab/plain@v1"]).exits(8).stderr.contains(cancel));
    sandbox.run(["key", "destroy", "lab/plain@v1", "--cancel", "--reason", "none"]).exits(0);
    sandbox.run(["cat", "lab/plain@v1"]).exits(0);
}

#[test]
fn a_certificate_is_checked_where_there_is_no_vault() {
    let sandbox = Sandbox::new();
    let vectors = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/certificate");
    let (text, keys) = (format!("{vectors}/certificate.txt"), format!("{vectors}/vkeys"));
    let check = |file: &str, keys: &str, code: i32| {
        sandbox.run(["key", "certificate", "--check", file, "--log-keys", keys]).exits(code)
    };
    let told = String::from_utf8(check(&text, &keys, 0).stdout).unwrap();
    assert!(told.contains("vouches for it") && told.contains("of lab/dev/internal"), "{told}");
    let altered = std::fs::read_to_string(&text).unwrap().replace("lab/dev/internal", "lab/dev/external");
    sandbox.write("altered", altered.as_bytes());
    assert!(check("altered", &keys, 7).stderr.contains("does not hold"));
    check(&text, &text, 2);
    sandbox.run(["key", "certificate", "--check", &text]).exits(2);
}

#[test]
fn a_certificate_is_checked_by_the_exported_log_of_its_vault_where_there_is_none() {
    let sandbox = Sandbox::solo();
    sandbox.write("in/large", Dice(41).bytes(2_000_000));
    for n in 0..2 {
        sandbox.write("in/small", format!("version {n}"));
        sandbox.run(["put", "in", "lab/net", "--class", "internal"]).exits(0);
    }
    let id = sandbox.run(["--format", "json", "show", "lab/net@v2"]).exits(0).json()["id"].clone();
    sandbox.run(["key", "destroy", "lab/net@v1", "--reason", "a mistake", "--yes"]).exits(0);
    for args in [&["jobs", "run"][..], &["key", "certificate", "lab/net@v1", "-o", "cert"], &["audit", "export", "out"]]
    {
        at_another_time(&sandbox, "+8d", args).exits(0);
    }
    let text = std::fs::read_to_string(sandbox.at("cert")).unwrap();
    let lives: Vec<&str> = text.lines().filter(|line| line.starts_with("lives-on ")).collect();
    assert!(!lives.is_empty() && lives.iter().all(|line| line.ends_with(id.as_str().unwrap())), "{text}");
    // On a machine that has nothing of that vault but these two files.
    let other = Sandbox::new();
    other.write("vkeys", std::fs::read(sandbox.at("out/vkeys")).unwrap());
    let check = |text: &str, keys: &str, code: i32| {
        other.write("cert", text);
        other.run(["key", "certificate", "--check", "cert", "--log-keys", keys]).exits(code).text()
    };
    let told = check(&text, "vkeys", 0);
    assert!(told.contains("vouches for it") && told.contains("of lab/net@v1"), "{told}");
    check(&text.replace(&format!("{}\n", lives[0]), ""), "vkeys", 7);
    check(&text.replace("lab/net@v1", "lab/net@v9"), "vkeys", 7);
    // Another vault's log vouches for nothing of it.
    let stranger = Sandbox::solo();
    stranger.run(["audit", "export", "out"]).exits(0);
    other.write("others", std::fs::read(stranger.at("out/vkeys")).unwrap());
    check(&text, "others", 7);
    assert!(!other.vault().exists());
    at_another_time(&sandbox, "+8d", &["get", "lab/net@v2", "back"]).exits(0);
}

#[test]
fn a_suspended_key_is_told_and_resumed() {
    let sandbox = filled();
    sandbox.run(["put", "f", "lab/secret", "--class", "confidential"]).exits(0);
    let json = |args: &[&str], code: i32| sandbox.run(["--format", "json"].iter().chain(args)).exits(code);
    let item = json(&["show", "lab/secret"], 0).json();
    assert_eq!(item["key_state"], "active");
    // By the version, and by the key's own id.
    let moved = json(&["key", "suspend", "lab/secret@v1", "--reason", "a laptop was lost"], 0).json();
    assert_eq!((&moved["key"], &moved["of"]), (&item["key"], &"lab/secret@v1".into()));
    for args in [&["get", "lab/secret", "out"][..], &["cat", "lab/secret"], &["ls", "lab/secret"]] {
        let told = sandbox.run(args).exits(10).stderr;
        assert!(told.contains("is suspended: it neither seals nor opens"), "{told}");
        assert!(told.contains("try: strongroom key states"), "{told}");
    }
    assert!(!sandbox.path().join("out").exists());
    let states = String::from_utf8(sandbox.run(["key", "states"]).exits(0).stdout).unwrap();
    let told = |state: &str, then: &str| states.lines().any(|line| line.starts_with(state) && line.ends_with(then));
    for state in api::terms::KeyState::ALL {
        let then: Vec<String> = state.follows().map(|next| next.to_string()).collect();
        assert!(told(&state.to_string(), &format!("  {}", if then.is_empty() { "-".into() } else { then.join(", ") })));
    }
    json(&["key", "resume", item["key"].as_str().unwrap(), "--reason", "found again"], 0);
    sandbox.run(["cat", "lab/secret"]).exits(0);
    // A domain key, by the beginning of its id.
    let keys = json(&["key", "ls"], 0).json()["keys"].clone();
    let domain = keys.as_array().unwrap().iter().find(|key| key["class"] == "confidential").unwrap();
    let short = &domain["id"].as_str().unwrap()[..8];
    sandbox.run(["key", "suspend", short, "--reason", "checking"]).exits(0);
    sandbox.run(["cat", "lab/secret"]).exits(10);
    sandbox.run(["put", "f", "lab/more", "--class", "confidential"]).exits(10);
    sandbox.run(["key", "suspend", short, "--reason", "checking", "--dry-run"]).exits(0);
    sandbox.run(["key", "resume", short, "--reason", "checked"]).exits(0);
    sandbox.run(["put", "f", "lab/more", "--class", "confidential"]).exits(0);
    sandbox.run(["key", "suspend", "ffff", "--reason", "none"]).exits(3);
    sandbox.run(["key", "suspend", &"ab".repeat(16), "--reason", "none"]).exits(3);
    assert_eq!(json(&["verify", "--all", "--state"], 0).json()["ok"], true);
}

#[test]
fn a_dry_run_changes_nothing() {
    let sandbox = filled();
    let state = |sandbox: &Sandbox| sandbox.run(["--format", "json", "status"]).exits(0).json()["log_size"].clone();
    let before = state(&sandbox);
    for args in [
        &["-n", "put", "f", "lab/new"][..],
        &["-n", "get", "lab/a0", "out"],
        &["-n", "cat", "lab/a0"],
        &["-n", "key", "rotate"],
        &["-n", "status", "--accept-clock"],
        &["-n", "principal", "add", "bob"],
    ] {
        sandbox.run(args).exits(0);
    }
    assert_eq!(state(&sandbox), before);
    assert!(!sandbox.at("out").exists());
}
