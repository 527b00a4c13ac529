//! Team rules on one machine: who is refused, with which reasons, and that `policy explain` tells the truth.

use super::sandbox::{Dice, Sandbox};
use super::stored::{objects, put, record};
use serde_json::Value;

/// A rehearsal vault with data of every class but restricted, and people of different clearance.
fn lab() -> Sandbox {
    let sandbox = Sandbox::rehearsal();
    sandbox.write("f", b"data");
    // Duties are apart: the owner grants access and does not write.
    for (name, grant) in [("wanda", "lab=writer"), ("aud", "vault=auditor")] {
        sandbox.run(["principal", "add", name, "--clearance", "confidential", "--grant", grant]).exits(0);
    }
    for class in ["public", "internal", "confidential"] {
        sandbox.run(["--as", "wanda", "put", "f", &format!("lab/{class}"), "--class", class]).exits(0);
    }
    for (name, clearance) in [("alice", "internal"), ("carol", "confidential"), ("eve", "public")] {
        sandbox.run(["principal", "add", name, "--clearance", clearance, "--grant", "lab=reader"]).exits(0);
    }
    sandbox.run(["principal", "add", "mallory", "--clearance", "restricted"]).exits(0);
    sandbox
}

#[test]
fn a_refusal_says_why_what_was_missing_and_how_to_ask() {
    let sandbox = lab();
    let refused = sandbox.run(["--as", "alice", "cat", "lab/confidential"]).exits(5);
    assert!(refused.stdout.is_empty());
    for part in ["[denied]", "near miss:", "try:", "decision:"] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    let told = sandbox.run(["--format", "json", "--as", "alice", "cat", "lab/confidential"]).exits(5).stderr;
    let told: Value = serde_json::from_str(told.trim()).unwrap();
    let refusal = &told["refusal"];
    assert_eq!(refusal["allowed"], false);
    assert!(refusal["decision"].is_string() && !refusal["policies"].as_array().unwrap().is_empty(), "{told}");
    let miss = &refusal["near_misses"][0];
    assert!(miss["condition"].is_string() && miss["held"].as_str().unwrap().contains(" of "), "{told}");
}

#[test]
fn explain_equals_the_real_answer_without_acting() {
    let sandbox = lab();
    for who in ["alice", "carol", "eve", "mallory"] {
        for class in ["public", "internal", "confidential"] {
            let reference = format!("lab/{class}");
            let entries =
                |sandbox: &Sandbox| sandbox.run(["--format", "json", "status"]).exits(0).json()["log_size"].as_u64();
            let before = entries(&sandbox);
            let explained = sandbox.run(["--format", "json", "policy", "explain", "--as", who, "read", &reference]);
            assert_eq!(entries(&sandbox), before, "explaining acts on nothing");
            let real = sandbox.run(["--format", "json", "--as", who, "cat", &reference]);
            match explained.code {
                0 => {
                    let explained = explained.json();
                    let allowed = explained["allowed"].as_bool().unwrap();
                    assert_eq!(allowed, real.code == 0, "{who} {reference}: {explained} {}", real.stderr);
                    assert!(explained["decision"].is_null(), "{explained}");
                }
                // Without visibility both say the same: not found.
                code => assert_eq!(code, real.code, "{who} {reference}: {} {}", explained.stderr, real.stderr),
            }
        }
    }
}

/// The flags of a `put`, besides its project's settings.
const PUTS: [&[&str]; 16] = [
    &[],
    &["--class", "public"],
    &["--class", "internal", "--env", "staging"],
    &["--class", "confidential", "--env", "dev"],
    &["--class", "restricted"],
    &["--env", "prod"],
    &["--env", "prod", "--class", "internal"],
    &["--kind", "dataset"],
    &["--kind", "model", "--class", "internal"],
    &["--from", "lab/public"],
    &["--from", "lab/public", "--from", "lab/ghost"],
    &["--from", "yard/secret"],
    &["--from", "lab/confidential@v1", "--class", "internal"],
    &["--from", "lab/confidential@v7", "--kind", "code"],
    &["--from", "nowhere/x", "--class", "restricted"],
    &["--kind", "other", "--env", "staging", "--from", "lab/internal"],
];

/// What stands in `strongroom.toml`.
const PROJECTS: [&str; 6] = [
    "",
    "class = 'internal'",
    "class = 'confidential'",
    "class = 'restricted'",
    "env = 'prod'",
    "class = 'internal'\nenv = 'staging'",
];

#[test]
fn explain_of_a_put_equals_the_real_answer_whatever_says_its_class() {
    let sandbox = lab();
    // What wanda cannot see, and the owner can.
    sandbox.run(["principal", "add", "yolanda", "--clearance", "internal", "--grant", "yard=writer"]).exits(0);
    sandbox.run(["--as", "yolanda", "put", "f", "yard/secret", "--class", "public"]).exits(0);
    let (mut allowed, mut denied, mut failed) = (0, 0, 0);
    for (round, project) in PROJECTS.iter().enumerate() {
        sandbox.write("strongroom.toml", project);
        for (number, flags) in PUTS.iter().enumerate() {
            // Every artifact is met as it is not there yet, and then as the put before left it.
            let target = ["lab/internal".to_owned(), format!("lab/n{round}"), format!("lab/k{round}-{number}")];
            let target = &target[(round + number) % 3];
            let who = ["wanda", "wanda", "wanda", "alice", "mallory"][number % 5];
            let case = format!("{project:?} {who} {target} {flags:?}");
            let run = |words: &[&str]| sandbox.run(["--format", "json", "--as", who].iter().chain(words).chain(*flags));
            let explained = run(&["policy", "explain", "write", target]);
            let dry = run(&["--dry-run", "put", "f", target]);
            let real = run(&["put", "f", target]);
            let problem = |text: &str| serde_json::from_str::<Value>(text.trim()).unwrap_or_default();
            let told = problem(&real.stderr);
            if real.code == 0 {
                let answers = (explained.exits(0).json(), dry.exits(0).json());
                assert_eq!((&answers.0["allowed"], &answers.1["allowed"]), (&true.into(), &true.into()), "{case}");
                allowed += 1;
            } else if told["refusal"].is_object() {
                for mut answer in [explained.exits(0).json(), dry.exits(0).json()] {
                    for (field, value) in told["refusal"].as_object().unwrap() {
                        let same = field == "decision" || answer[field].take() == *value;
                        assert!(same, "{case} {field}: {told}");
                    }
                }
                denied += 1;
            } else {
                assert_eq!((dry.code, problem(&dry.stderr)), (real.code, told.clone()), "{case}");
                // The owner, who is asked, sees what is refused to mallory.
                if who == "mallory" {
                    assert_eq!(
                        (real.code, &explained.exits(0).json()["reasons"][0]),
                        (3, &"not found".into()),
                        "{case}"
                    );
                } else {
                    assert_eq!((explained.code, problem(&explained.stderr)), (real.code, told), "{case}");
                }
                failed += 1;
            }
        }
    }
    assert!(allowed > 20 && denied > 20 && failed > 20, "{allowed} {denied} {failed}");
}

#[test]
fn explain_takes_no_flag_that_means_nothing() {
    let sandbox = lab();
    sandbox.write("strongroom.toml", "class = 'internal'\nenv = 'staging'");
    let explain = |words: &[&str]| sandbox.run(["policy", "explain"].iter().chain(words));
    for flag in [&["--class", "internal"][..], &["--env", "dev"], &["--kind", "model"], &["--from", "lab/public"]] {
        for question in [&["read", "lab/public"][..], &["alias", "lab/public@v1"], &["list", "lab"], &["audit"]] {
            explain(question).exits(0);
            let refused = explain(&[question, flag].concat()).exits(2);
            assert!(refused.stdout.is_empty() && refused.stderr.contains("write"), "{}", refused.stderr);
        }
    }
    explain(&["write", "lab/public", "--reason", "because"]).exits(2);
}

#[test]
fn clearance_opens_what_it_covers_and_get_asks_for_its_own_right() {
    let sandbox = lab();
    assert_eq!(sandbox.run(["--as", "carol", "cat", "lab/confidential"]).exits(0).stdout, b"data");
    assert_eq!(sandbox.run(["--as", "alice", "cat", "lab/internal"]).exits(0).stdout, b"data");
    sandbox.run(["--as", "eve", "cat", "lab/internal"]).exits(5);
    sandbox.run(["--as", "mallory", "cat", "lab/public"]).exits(3);
    sandbox.run(["--as", "nobody", "cat", "lab/public"]).exits(3);
    assert!(!sandbox.at("out").exists());
}

#[test]
fn presence_is_asserted_and_asked_for() {
    let sandbox = lab();
    let as_carol = |assert: &[&str], rest: &[&str]| {
        sandbox.run(["--as", "carol"].iter().chain(assert).chain(rest).copied().collect::<Vec<_>>())
    };
    let cat = ["cat", "lab/confidential"];
    assert_eq!(as_carol(&["--assert", "mfa=now"], &cat).exits(0).stdout, b"data");
    assert_eq!(as_carol(&[], &cat).exits(0).stdout, b"data", "somebody is there unless they say otherwise");
    let refused = as_carol(&["--assert", "mfa=none"], &cat).exits(5);
    assert!(refused.stdout.is_empty());
    assert!(refused.stderr.contains("--assert mfa=now") && refused.stderr.contains("presence"), "{}", refused.stderr);
    as_carol(&["--assert", "mfa=none"], &["cat", "lab/internal"]).exits(0);
    let explained = as_carol(&["--assert", "mfa=none", "--format", "json"], &["policy", "explain", "read", cat[1]]);
    assert_eq!(explained.exits(0).json()["allowed"], false, "explaining says the same");
    let mut named = sandbox.command(["--as", "carol", "cat", cat[1]]);
    named.env("STRONGROOM_ASSERT", "mfa=none");
    super::sandbox::end(named).exits(5);
    as_carol(&["--assert", "mfa=yes"], &cat).exits(2);
}

#[test]
fn nothing_is_asserted_in_a_solo_vault() {
    let sandbox = Sandbox::solo();
    sandbox.write("f", b"x");
    sandbox.run(["put", "f", "lab/a"]).exits(0);
    for fact in ["mfa=now", "mfa=none"] {
        let refused = sandbox.run(["--assert", fact, "cat", "lab/a"]).exits(2);
        assert!(refused.stdout.is_empty() && refused.stderr.contains("rehearsal"), "{}", refused.stderr);
    }
    sandbox.run(["cat", "lab/a"]).exits(0);
}

#[test]
fn a_suspended_principal_is_refused_everything() {
    let sandbox = lab();
    sandbox.run(["--as", "alice", "cat", "lab/internal"]).exits(0);
    sandbox.run(["principal", "add", "alice", "--change", "--suspended"]).exits(0);
    let refused = sandbox.run(["--as", "alice", "cat", "lab/internal"]).exits(10);
    assert!(refused.stdout.is_empty() && refused.stderr.contains("[gone]"), "{}", refused.stderr);
    let alice = sandbox.run(["--format", "json", "principal", "show", "alice"]).exits(0).json();
    assert_eq!((alice["clearance"].as_str(), alice["grants"][0]["role"].as_str()), (Some("internal"), Some("reader")));
    sandbox.run(["principal", "add", "alice", "--change", "--active"]).exits(0);
    sandbox.run(["--as", "alice", "cat", "lab/internal"]).exits(0);
}

#[test]
fn a_change_leaves_what_it_does_not_name_and_takes_away_what_it_does() {
    let sandbox = lab();
    let change = |what: &[&str]| {
        let base = ["--format", "json", "principal", "add", "carol", "--change"];
        sandbox.run(base.iter().chain(what))
    };
    let carol = change(&["--grant", "yard=writer:2031-01-31"]).exits(0).json();
    assert_eq!(
        (carol["clearance"].as_str(), carol["grants"].as_array().map(Vec::len)),
        (Some("confidential"), Some(2))
    );
    let carol = change(&["--clearance", "internal"]).exits(0).json();
    assert_eq!((carol["clearance"].as_str(), carol["grants"].as_array().map(Vec::len)), (Some("internal"), Some(2)));
    let carol = change(&["--revoke", "yard"]).exits(0).json();
    assert_eq!(
        (carol["grants"].as_array().map(Vec::len), carol["grants"][0]["role"].as_str()),
        (Some(1), Some("reader"))
    );
    change(&["--revoke", "yard"]).exits(3);
    change(&["--revoke", "lab=raeder"]).exits(2);
    change(&[]).exits(2);
    sandbox.run(["principal", "add", "dora", "--revoke", "lab"]).exits(2);
    sandbox.run(["--as", "carol", "cat", "lab/internal"]).exits(0);
    change(&["--revoke", "lab=reader"]).exits(0);
    sandbox.run(["--as", "carol", "cat", "lab/internal"]).exits(3);
}

#[test]
fn an_alias_without_the_right_is_refused_before_anything_is_uploaded() {
    let sandbox = lab();
    let before = sandbox.objects();
    let put = ["put", "f", "lab/internal", "--env", "staging", "--alias", "live"];
    let as_wanda = |more: &[&str]| sandbox.run(["--as", "wanda"].iter().chain(more).chain(&put));
    let told = as_wanda(&["--format", "json", "--dry-run"]).exits(0).json();
    assert_eq!(
        (told["allowed"].as_bool(), told["policies"].as_array().map(Vec::len)),
        (Some(false), Some(0)),
        "{told}"
    );
    let refused = as_wanda(&[]).exits(5);
    assert!(refused.stderr.contains("may not alias lab/internal"), "{}", refused.stderr);
    assert_eq!(sandbox.objects(), before, "nothing was uploaded");
    let status = sandbox.run(["--format", "json", "status"]).exits(0).json();
    assert_eq!(
        (status["drafts"].as_u64(), status["versions"].as_u64()),
        (Some(0), Some(3)),
        "nothing was begun: {status}"
    );
    let page = sandbox.run(["--format", "json", "--as", "aud", "audit", "query", "--act", "version"]).exits(0).json();
    let last = &page["items"].as_array().unwrap().last().unwrap()["entry"];
    assert_eq!((last["kind"].as_str(), last["act"].as_str()), (Some("denial"), Some("version.begin")), "{page}");
    // Sources that nobody can see as well.
    sandbox.run(["--as", "wanda", "put", "f", "lab/internal", "--from", "lab/nothing"]).exits(3);
    assert_eq!(sandbox.objects(), before);
    let moved = ["--as", "wanda", "put", "f", "lab/internal", "--alias", "mine"];
    sandbox.run(moved.iter().copied().chain(["--dry-run"])).exits(0);
    sandbox.run(moved).exits(0);
    sandbox.run(["--as", "wanda", "cat", "lab/internal@mine"]).exits(0);
}

#[test]
fn as_is_refused_in_a_solo_vault() {
    let sandbox = Sandbox::solo();
    sandbox.write("f", b"x");
    sandbox.run(["put", "f", "lab/a"]).exits(0);
    sandbox.run(["principal", "add", "alice", "--clearance", "internal", "--grant", "lab=reader"]).exits(0);
    sandbox.run(["--as", "alice", "cat", "lab/a"]).exits(2);
}

#[test]
fn denials_are_in_the_log() {
    let sandbox = lab();
    sandbox.run(["--as", "eve", "cat", "lab/confidential"]).exits(5);
    let page = sandbox.run(["--format", "json", "--as", "aud", "audit", "query", "--principal", "eve"]).exits(0).json();
    assert!(!page["items"].as_array().unwrap().is_empty(), "{page}");
    let text = sandbox.run(["--as", "aud", "audit", "tail"]).exits(0).stdout;
    let text = String::from_utf8(text).unwrap();
    let outcomes = |who: &str| -> Vec<&str> {
        text.lines().filter(|line| line.contains(who)).filter_map(|line| line.split_whitespace().last()).collect()
    };
    assert_eq!(outcomes(" eve "), ["denied"], "{text}");
    assert!(outcomes(" wanda ").contains(&"allowed"), "{text}");
}

#[test]
fn a_writer_who_may_not_read_the_version_before_shares_nothing_with_it() {
    let sandbox = lab();
    sandbox.run(["principal", "add", "pol", "--grant", "vault=policy-author"]).exits(0);
    let mut dice = Dice(3);
    sandbox.write("in/large", dice.bytes(2_000_000));
    sandbox.write("in/small", dice.bytes(100));
    let put = || put(&sandbox, &["--as", "wanda", "put", "in", "lab/data", "--class", "internal"]);
    let (one, two) = (put(), put());
    assert_eq!((two["uploaded_bytes"].as_u64(), two["reused_bytes"].as_u64()), (Some(0), Some(2_000_100)), "{two}");
    assert!(!objects(&record(&sandbox, &one)).is_disjoint(&objects(&record(&sandbox, &two))));
    let freeze = "@id(\"sealed\") @reason(\"nobody reads\") @owner(\"pol\") \
                  forbid (principal, action == Action::\"read\", resource is Artifact);";
    sandbox.write("policy/own.cedar", freeze);
    sandbox.run(["--as", "pol", "policy", "apply", "policy", "--yes"]).exits(0);
    sandbox.run(["--as", "wanda", "cat", "lab/data/small"]).exits(5);
    let three = put();
    assert_eq!(three["reused_bytes"], 0, "{three}");
    assert!(three["uploaded_bytes"].as_u64().unwrap() > 2_000_000, "{three}");
    let (two, three) = (record(&sandbox, &two), record(&sandbox, &three));
    assert!(objects(&two).is_disjoint(&objects(&three)));
    assert!(three.packs.iter().all(|pack| pack.owner == three.version));
}
