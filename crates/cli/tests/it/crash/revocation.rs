//! kill -9 inside a revocation. It announces itself first (from then on releases refuse), then takes effect in one
//! transaction: killed, it took effect, or is announced and closed, or did not happen; and what was closed never opens by
//! itself.

use super::rounds_and_dice;
use crate::sandbox::{Dice, Ended, Sandbox};
use std::process::Stdio;

/// Kills until each of the three ends was met; a hundred times as many as it takes on average.
const MOST_ROUNDS: u64 = 300;

/// What the reader meets after a kill.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Access {
    Open,
    Closed,
    Revoked,
}

#[test]
fn a_revocation_survives_kill_9_and_what_it_closed_stays_closed() {
    let (rounds, mut dice) = rounds_and_dice();
    let sandbox = Sandbox::rehearsal();
    sandbox.write("f", b"data");
    for (name, grant) in [("wanda", "lab=writer"), ("aud", "vault=auditor"), ("alice", "lab=reader")] {
        sandbox.run(["principal", "add", name, "--clearance", "internal", "--grant", grant]).exits(0);
    }
    sandbox.run(["--as", "wanda", "put", "f", "lab/a", "--class", "internal"]).exits(0);
    let mut met = Vec::new();
    let mut round = 0;
    while round < rounds / 4 || [Access::Open, Access::Closed, Access::Revoked].iter().any(|end| !met.contains(end)) {
        assert!(round < MOST_ROUNDS, "{round} kills met {met:?} only");
        change(&sandbox, &["--grant", "lab=reader"]).exits(0);
        assert_eq!(access(&sandbox), Access::Open, "round {round}");
        let finished = kill_a_revocation(&sandbox, &mut dice);
        let now = access(&sandbox);
        assert!(!finished || now == Access::Revoked, "round {round}: it said done, and access is {now:?}");
        assert_eq!(access(&sandbox), now, "round {round}: it changed by itself");
        let state = sandbox.run(["--format", "json", "--as", "aud", "verify", "--state"]).exits(0).json();
        assert_eq!(state["ok"], true, "round {round}: {state}");
        // Said again, it is finished; if it was, there is nothing left to take.
        change(&sandbox, &["--revoke", "lab"]).exits(if now == Access::Revoked { 3 } else { 0 });
        assert_eq!(access(&sandbox), Access::Revoked, "round {round}");
        met.push(now);
        round += 1;
    }
    println!("killed {round} revocations");
}

fn change(sandbox: &Sandbox, what: &[&str]) -> Ended {
    sandbox.run(["principal", "add", "alice", "--change"].iter().chain(what))
}

fn access(sandbox: &Sandbox) -> Access {
    let read = sandbox.run(["--as", "alice", "cat", "lab/a"]);
    assert_eq!(read.stdout, if read.code == 0 { &b"data"[..] } else { b"" }, "{}", read.stderr);
    match read.code {
        0 => Access::Open,
        9 => Access::Closed,
        3 => Access::Revoked,
        other => panic!("exit {other}: {}", read.stderr),
    }
}

/// Takes alice's grants away and kills that after one to six growths of the database's journal, each of which is a commit.
/// True if it ended well before.
fn kill_a_revocation(sandbox: &Sandbox, dice: &mut Dice) -> bool {
    let journal = sandbox.vault().join("keeper.db-wal");
    let length = || std::fs::metadata(&journal).map_or(0, |meta| meta.len());
    let until = 1 + dice.below(6);
    let args = ["principal", "add", "alice", "--change", "--revoke", "lab=reader"];
    let mut child =
        sandbox.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary starts");
    let (mut seen, mut growths) = (0, 0);
    loop {
        if let Some(status) = child.try_wait().expect("a child") {
            assert!(status.success(), "it was not killed and ended with {status}");
            return true;
        }
        let now = length();
        growths += u64::from(now > seen);
        seen = now;
        if growths == until {
            child.kill().expect("a kill");
            return child.wait().expect("an end").success();
        }
        std::hint::spin_loop();
    }
}
