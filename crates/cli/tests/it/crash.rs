//! kill -9 at random points of put, rotate, policy apply, gc, get and integration; after each, the vault is reopened and
//! asked: is everything acknowledged there, does nothing half-made show, does the log verify?
//!
//! After a round the artifact it touched is read and the log and the tables are verified; after rounds 1, 2, 4, 8 ... and the
//! last one every artifact is read and every object is verified. So the work grows with the rounds, not with their square.

mod revocation;

use super::sandbox::{Dice, Sandbox};
use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};
use testkit::suites;

const DEFAULT_ROUNDS: u64 = 20;

/// What was acknowledged: artifact -> contents of its versions, in order.
type Acknowledged = BTreeMap<String, Vec<Vec<u8>>>;

#[test]
fn what_was_acknowledged_survives_kill_9() {
    suites::each(survives);
}

fn survives() {
    let (rounds, mut dice) = rounds_and_dice();
    let seed = dice.0;
    let sandbox = Sandbox::solo();
    let mut known = Acknowledged::new();
    let mut typical: BTreeMap<&str, Duration> = BTreeMap::new();
    let mut killed = 0;
    for round in 0..rounds {
        let when = format!("round {round}, seed {seed}");
        let (was_killed, artifact) = one_round(&sandbox, &mut dice, &mut known, &mut typical, round);
        killed += u64::from(was_killed);
        check_artifact(&sandbox, &known, &artifact, &when);
        if (round + 1).is_power_of_two() {
            check(&sandbox, &known, &when);
        } else {
            let state = sandbox.run(["--format", "json", "verify", "--state"]).exits(0).json();
            assert_eq!(state["ok"], true, "{when}: {state}");
        }
    }
    println!("killed {killed} of {rounds} commands before they ended");
    // Acts that always fail would leave nothing to survive.
    let policies = sandbox.write("policies/extra.cedar", extra_policy(rounds)).display().to_string();
    sandbox.run(["key", "rotate"]).exits(0);
    sandbox.run(["policy", "apply", &policies, "--yes"]).exits(0);
    sandbox.run(["gc", "--grace", "0s", "--yes"]).exits(0);
    check(&sandbox, &known, "after the last round");
    for (artifact, versions) in &known {
        for (number, content) in versions.iter().enumerate() {
            let reference = format!("{artifact}@v{}", number + 1);
            assert!(&sandbox.run(["cat", &reference]).exits(0).stdout == content, "{reference} is not what was put");
        }
    }
    assert!(killed * 4 >= rounds, "too few kills ({killed} of {rounds}) to say anything");
}

/// How many rounds were asked for, and the dice that repeat them.
fn rounds_and_dice() -> (u64, Dice) {
    let rounds = std::env::var("CRASH_ROUNDS").ok().and_then(|r| r.parse().ok()).unwrap_or(DEFAULT_ROUNDS);
    let seed = std::env::var("CRASH_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(rounds ^ 0x5eed);
    println!("crash rounds: {rounds}, CRASH_SEED={seed}");
    (rounds, Dice(seed))
}

/// Starts one command, kills it at a random point of its usual time; whether it was killed before its
/// end, and the artifact it was about.
fn one_round(
    sandbox: &Sandbox,
    dice: &mut Dice,
    known: &mut Acknowledged,
    typical: &mut BTreeMap<&'static str, Duration>,
    round: u64,
) -> (bool, String) {
    let artifact = format!("crash/a{}", dice.below(3));
    let content = {
        let len = 1 + dice.below(600_000) as usize;
        dice.bytes(len)
    };
    let source = sandbox.write(&format!("src/{round}"), &content);
    let policies = sandbox.write("policies/extra.cedar", extra_policy(round));
    let act = ["put", "put", "put", "rotate", "policy", "gc", "get"][dice.below(7) as usize];
    let args: Vec<String> = match act {
        "put" => {
            vec!["put".into(), source.display().to_string(), artifact.clone(), "--class".into(), "internal".into()]
        }
        "rotate" => vec!["key".into(), "rotate".into()],
        "policy" => vec!["policy".into(), "apply".into(), policies.display().to_string(), "--yes".into()],
        "gc" => vec!["gc".into(), "--grace".into(), "0s".into(), "--yes".into()],
        _ => vec!["get".into(), artifact.clone(), sandbox.at(format!("got-{round}")).display().to_string()],
    };
    let usual = typical.get(act).copied().unwrap_or(Duration::from_millis(60));
    let until = usual.mul_f64(dice.below(1000) as f64 / 1000.0);
    let start = Instant::now();
    #[expect(clippy::zombie_processes, reason = "it is waited for below, killed or not")]
    let mut child =
        sandbox.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary starts");
    let mut ended = None;
    while start.elapsed() < until && ended.is_none() {
        ended = child.try_wait().expect("a child");
        std::hint::spin_loop();
    }
    if ended.is_none() {
        child.kill().expect("a kill");
        ended = Some(child.wait().expect("an end"));
    }
    let status = ended.expect("it ended");
    if status.success() && act == "put" {
        known.entry(artifact.clone()).or_default().push(content);
    } else if act == "put" {
        adopt_unacknowledged(sandbox, &artifact, &content, known);
    }
    if status.success() {
        let seen = typical.entry(act).or_insert(start.elapsed());
        *seen = (*seen + start.elapsed()) / 2;
    } else {
        // Not killed and not well: only a missing artifact may refuse (exit 3).
        let refused = status.code();
        assert!(matches!(refused, None | Some(3)), "{act} ended with {status} and was not killed");
        let longer = usual.mul_f64(1.3).min(Duration::from_secs(2));
        typical.insert(act, if refused.is_none() { longer } else { usual });
    }
    if act == "get" {
        let got = sandbox.at(format!("got-{round}"));
        let newest = known.get(&artifact).and_then(|versions| versions.last());
        // A copy appears whole or not at all, killed or not.
        let copy = std::fs::read(&got).ok();
        assert!(copy.is_some() || !status.success(), "get said it was well and wrote nothing");
        assert!(copy.is_none() || copy.as_ref() == newest, "half a copy at {}", got.display());
    }
    (status.code().is_none(), artifact)
}

/// A put that was killed may have committed without saying so: then it must be whole.
fn adopt_unacknowledged(sandbox: &Sandbox, artifact: &str, content: &[u8], known: &mut Acknowledged) {
    let versions = known.entry(artifact.to_owned()).or_default();
    let number = versions.len() + 1;
    let reference = format!("{artifact}@v{number}");
    let shown = sandbox.run(["show", &reference]);
    if shown.code == 0 {
        let read = sandbox.run(["cat", &reference]).exits(0);
        assert_eq!(read.stdout, content, "{reference} committed without an answer and is not what was put");
        versions.push(content.to_vec());
    } else {
        shown.exits(3);
    }
}

/// One artifact has the versions that were acknowledged, no other, and the newest reads as what was put.
fn check_artifact(sandbox: &Sandbox, known: &Acknowledged, artifact: &str, when: &str) {
    let Some(last) = known.get(artifact).and_then(|versions| versions.last()) else {
        sandbox.run(["show", artifact]).exits(3);
        return;
    };
    let history = sandbox.run(["--format", "json", "history", artifact, "--limit", "1000"]).exits(0).json();
    let numbers: Vec<u64> = history["items"]
        .as_array()
        .map(|items| items.iter().filter_map(|i| i["number"].as_u64()).collect())
        .unwrap_or_default();
    let expected: Vec<u64> = (1..=known[artifact].len() as u64).rev().collect();
    assert_eq!(numbers, expected, "{when}: {artifact}");
    let read = sandbox.run(["cat", artifact]).exits(0);
    assert!(&read.stdout == last, "{when}: {artifact} is not what was put");
}

/// Everything: every artifact, every object, the whole log, every table.
fn check(sandbox: &Sandbox, known: &Acknowledged, when: &str) {
    for artifact in known.keys() {
        check_artifact(sandbox, known, artifact, when);
    }
    let log = sandbox.run(["--format", "json", "audit", "verify"]).exits(0).json();
    assert_eq!(log["ok"], true, "{when}: {log}");
    let state = sandbox.run(["--format", "json", "verify", "--all", "--state"]).exits(0).json();
    assert_eq!(state["ok"], true, "{when}: {state}");
}

fn extra_policy(round: u64) -> String {
    format!(
        "@id(\"extra-{round}\")\n@reason(\"a policy that never matches, changed every round\")\n@owner(\"crash test\")\n\
         forbid (principal, action == Action::\"export\", resource is Artifact) when {{ resource.owner == \"never-{round}\" }};\n"
    )
}
