//! `key rotate` through the real binary: all keys, a workspace's, one by its id, a root.

use super::agent::with_runtime;
use super::commands::filled;
use super::sandbox::Sandbox;
use serde_json::Value;
use std::io::{Read as _, Write as _};

fn keys(sandbox: &Sandbox) -> Vec<Value> {
    sandbox.run(["--format", "json", "key", "ls"]).exits(0).json()["keys"].as_array().unwrap().clone()
}

/// The newest domain key or archive key of a class, in the workspace `lab`.
fn id(sandbox: &Sandbox, purpose: &str, class: &str) -> String {
    let keys = keys(sandbox);
    let of = keys.iter().filter(|key| key["purpose"] == purpose && key["class"] == class && key["workspace"] == "lab");
    of.max_by_key(|key| key["version"].as_u64()).unwrap()["id"].as_str().unwrap().to_owned()
}

/// Has keys rotated without waiting for what they wrap, and ends the process in the middle of its answer.
fn killed_before_anything_is_wrapped_again(sandbox: &Sandbox, which: &[&str]) {
    // All but a page of the pipe is full: whoever answers into it stands still in the middle of the answer, before it goes on to what
    // it would do in passing.
    let (pipe, mut into) = std::io::pipe().unwrap();
    let filled_len = 60 << 10;
    into.write_all(&vec![b' '; filled_len]).unwrap();
    let mut command = sandbox.command(["--format", "json", "key", "rotate", "--no-wait"].iter().chain(which));
    let mut child = command.stdout(into).spawn().unwrap();
    while rustix::io::ioctl_fionread(&pipe).unwrap() <= filled_len as u64 {
        assert!(child.try_wait().unwrap().is_none(), "it ended without an answer");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success(), "it was in the middle of its answer");
    drop(command);
    let mut answer = String::new();
    (&pipe).read_to_string(&mut answer).unwrap();
    assert!(answer.trim_start().starts_with('{'), "{answer}");
}

#[test]
fn rotation_leaves_the_depot_alone_and_everything_opens() {
    let sandbox = filled();
    let depot = |sandbox: &Sandbox| {
        sandbox.objects().into_iter().map(|path| (std::fs::read(&path).unwrap(), path)).collect::<Vec<_>>()
    };
    let before = depot(&sandbox);
    let rotated = sandbox.run(["--format", "json", "key", "rotate", "--workspace", "lab"]).exits(0).json();
    assert_eq!((rotated["rewrapped"].as_u64(), rotated["remaining"].as_u64()), (Some(3), Some(0)), "{rotated}");
    assert!(depot(&sandbox) == before, "the depot changed");
    for n in 0..3 {
        assert!(sandbox.run(["cat", &format!("lab/a{n}")]).exits(0).stdout == std::fs::read(sandbox.at("f")).unwrap());
    }
    let keys = sandbox.run(["--format", "json", "key", "ls"]).exits(0).json();
    let domain: Vec<_> = keys["keys"].as_array().unwrap().iter().filter(|key| key["purpose"] == "domain").collect();
    assert!(domain.iter().any(|key| key["version"] == 2 && key["state"] == "active"), "{keys}");
    let id = domain[0]["id"].as_str().unwrap();
    let shown = sandbox.run(["--format", "json", "key", "show", &id[..12]]).exits(0).json();
    assert_eq!(shown["keys"][0]["id"], id);
}

#[test]
fn a_rotation_without_waiting_is_finished_by_a_later_command() {
    let sandbox = filled();
    // Keys enough for an answer that is longer than a page.
    for n in 0..12 {
        sandbox.run(["put", "f", &format!("more-{n}/a"), "--class", "internal"]).exits(0);
    }
    killed_before_anything_is_wrapped_again(&sandbox, &[]);
    // A list tells how it is before the command that lists goes on with the rotation at its end.
    let wraps = |keys: &serde_json::Value, state: &str| -> u64 {
        let of = |key: &&serde_json::Value| key["purpose"] == "domain" && key["state"] == state;
        keys["keys"].as_array().unwrap().iter().filter(of).map(|key| key["wraps"].as_u64().unwrap()).sum()
    };
    let keys = sandbox.run(["--format", "json", "key", "ls"]).exits(0).json();
    assert_eq!((wraps(&keys, "active"), wraps(&keys, "deactivated")), (0, 15), "it had answered first: {keys}");
    let keys = sandbox.run(["--format", "json", "key", "ls"]).exits(0).json();
    assert_eq!(
        (wraps(&keys, "active"), wraps(&keys, "deactivated")),
        (15, 0),
        "the command before finished it: {keys}"
    );
    for n in 0..3 {
        assert!(sandbox.run(["cat", &format!("lab/a{n}")]).exits(0).stdout == std::fs::read(sandbox.at("f")).unwrap());
    }
}

#[test]
fn a_key_is_rotated_by_its_id_and_no_other() {
    let sandbox = filled();
    sandbox.run(["put", "f", "lab/secret", "--class", "confidential"]).exits(0);
    sandbox.run(["key", "archive", "lab/a1@v1", "--reason", "ended"]).exits(0);
    for named in ["lab/config", "lab/token"] {
        sandbox.run(["key", "create", named, "--class", "internal"]).exits(0);
    }
    let rotate = |id: &str| sandbox.run(["--format", "json", "key", "rotate", id]).exits(0).json();
    // Those that came with it.
    let new = |before: &[Value]| -> Vec<(String, u64)> {
        let after = keys(&sandbox).into_iter().filter(|key| before.iter().all(|old| old["id"] != key["id"]));
        let mut new: Vec<_> =
            after.map(|key| (key["purpose"].as_str().unwrap().to_owned(), key["version"].as_u64().unwrap())).collect();
        new.sort();
        new
    };

    let (before, first) = (keys(&sandbox), id(&sandbox, "domain", "internal"));
    let would = sandbox.run(["--format", "json", "--dry-run", "key", "rotate", &first]).exits(0).json();
    let of_each: Vec<&Value> = would["keys"].as_array().unwrap().iter().map(|key| &key["purpose"]).collect();
    assert_eq!(of_each, ["domain", "named", "named"]);
    let done = rotate(&first[..12]);
    // The versions and the named keys that lie under it; what is in the archive stays there.
    assert_eq!((&done["already"], &done["rewrapped"], &done["remaining"]), (&false.into(), &4.into(), &0.into()));
    assert_eq!(new(&before), [("domain".into(), 2), ("named".into(), 2), ("named".into(), 2)]);

    // Twice is once: what came after it is told, and nothing is made.
    let (before, next) = (keys(&sandbox), id(&sandbox, "domain", "internal"));
    let again = rotate(&first);
    assert_eq!((&again["already"], &again["keys"][0]["id"]), (&true.into(), &next.as_str().into()), "{again}");
    let text = sandbox.run(["key", "rotate", &first]).exits(0).text();
    assert_eq!(text, format!("it was rotated already: {next} came after it\n"));
    let would = sandbox.run(["--format", "json", "--dry-run", "key", "rotate", &first]).exits(0).json();
    assert_eq!((would["keys"].as_array().unwrap().len(), new(&before)), (0, vec![]));

    // The archive's, and one named key.
    rotate(&id(&sandbox, "archive", "internal"));
    assert_eq!(new(&before), [("archive".into(), 2)]);
    let before = keys(&sandbox);
    let named = before.iter().find(|key| key["name"] == "token" && key["state"] == "active").unwrap();
    let named = named["id"].as_str().unwrap();
    assert_eq!(rotate(named)["keys"][0]["name"], "token");
    assert_eq!(rotate(named)["already"], true);
    assert_eq!(new(&before), [("named".into(), 3)]);
    sandbox.run(["key", "rotate", named, "--rate", "9"]).exits(2);

    for place in ["lab/a0", "lab/a1", "lab/secret"] {
        sandbox.run(["cat", place]).exits(0);
    }
    sandbox.run(["verify", "--all", "--state"]).exits(0);
}

#[test]
fn a_key_that_has_no_next_version_is_refused_with_the_reason() {
    let sandbox = filled();
    let first = id(&sandbox, "domain", "internal");
    sandbox.run(["key", "suspend", &first, "--reason", "lost"]).exits(0);
    let refused = |id: &str, code: i32| {
        sandbox.run(["--dry-run", "key", "rotate", id]).exits(code);
        sandbox.run(["key", "rotate", id]).exits(code).stderr
    };
    refused(&first, 10);
    sandbox.run(["key", "resume", &first, "--reason", "found"]).exits(0);
    sandbox.run(["--yes", "key", "destroy", &first, "--reason", "unused"]).exits(0);
    assert!(refused(&first, 10).contains("to be destroyed"));
    // Also when another one has come after it.
    sandbox.run(["put", "f", "lab/more", "--class", "internal"]).exits(0);
    let before = keys(&sandbox);
    refused(&first, 10);
    assert_eq!(keys(&sandbox).len(), before.len());

    let own = before.iter().find(|key| key["purpose"] == "row-mac").unwrap()["id"].as_str().unwrap();
    assert!(refused(own, 8).contains("the vault's own keys"));
    let of_version = sandbox.run(["key", "rotate", "lab/more@v1"]).exits(8);
    assert!(of_version.stderr.ends_with("try: strongroom key reencrypt lab/more@v1\n"), "{}", of_version.stderr);
    for nothing in ["ffffffffffffffffffffffffffffffff", "", "lab/none@v1"] {
        refused(nothing, 3);
    }
    sandbox.run(["key", "rotate", &first, "--workspace", "lab"]).exits(2);

    // A destruction that was cancelled leaves a key that is spent, and none after it.
    let last = id(&sandbox, "domain", "internal");
    sandbox.run(["--yes", "key", "destroy", &last, "--reason", "unused"]).exits(0);
    sandbox.run(["--yes", "key", "destroy", &last, "--cancel", "--reason", "used"]).exits(0);
    let spent = refused(&last, 8);
    assert!(spent.contains("is made when something is sealed in lab/dev/internal"), "{spent}");
}

#[test]
fn a_rotation_by_id_that_was_killed_goes_on_with_the_same_id() {
    let sandbox = filled();
    let old = id(&sandbox, "domain", "internal");
    for n in 0..12 {
        sandbox.run(["key", "create", &format!("lab/config-{n}"), "--class", "internal"]).exits(0);
    }
    killed_before_anything_is_wrapped_again(&sandbox, &[&old]);
    let done = sandbox.run(["--format", "json", "key", "rotate", &old]).exits(0).json();
    // Three versions and the earlier versions of twelve named keys; their next ones lie there as well.
    assert_eq!((&done["already"], &done["rewrapped"], &done["remaining"]), (&true.into(), &15.into(), &0.into()));
    assert_eq!((&done["keys"][0]["version"], &done["keys"][0]["wraps"]), (&2.into(), &27.into()), "{done}");
    assert_eq!(sandbox.run(["--format", "json", "key", "rotate", &old]).exits(0).json()["rewrapped"], 0);
    assert_eq!(keys(&sandbox).iter().filter(|key| key["purpose"] == "domain").count(), 2);
}

#[test]
fn a_root_is_rotated_by_its_id_as_root_rotate_does() {
    let sandbox = with_runtime(filled());
    let root = || sandbox.run(["--format", "json", "root", "ls"]).exits(0).json()["roots"][0].clone();
    let old = root()["id"].as_str().unwrap().to_owned();
    // Nobody confirms it; what is for other keys is not for it.
    sandbox.run(["key", "rotate", &old]).exits(2);
    for of_others in [&["--no-wait"][..], &["--rate", "9"], &["--class", "internal"]] {
        let args = ["--yes", "key", "rotate", &old];
        sandbox.run(args.iter().chain(of_others)).exits(2);
    }
    let would = sandbox.run(["--format", "json", "--dry-run", "key", "rotate", &old]).exits(0).json();
    assert_eq!(would["replaces"], old);
    assert_eq!(root()["id"], old);
    let done = sandbox.run(["--format", "json", "--yes", "key", "rotate", &old[..12]]).exits(0).json();
    assert_eq!((&done["replaces"], &done["root"]["id"]), (&Value::from(old.as_str()), &root()["id"]), "{done}");
    assert_ne!(root()["id"], old);
    sandbox.run(["--yes", "key", "rotate", &old]).exits(3);
    sandbox.run(["cat", "lab/a0"]).exits(0);
    // What begins the id of a root and of a key is neither.
    let first = |id: &Value| id.as_str().unwrap()[..1].to_owned();
    let of_keys: Vec<String> = keys(&sandbox).iter().map(|key| first(&key["id"])).collect();
    for _ in 0..200 {
        if of_keys.contains(&first(&root()["id"])) {
            break;
        }
        sandbox.run(["--yes", "key", "rotate", root()["id"].as_str().unwrap()]).exits(0);
    }
    let both = first(&root()["id"]);
    assert!(of_keys.contains(&both), "no root's id began as that of a key does");
    let refused = sandbox.run(["--yes", "key", "rotate", &both]).exits(2);
    assert!(refused.stderr.contains("of a root and of a key begin with"), "{}", refused.stderr);
}
