//! Every hint of the sources is provoked in a real vault, and what it says is done; or it is said which test does, or why none can.
//!
//! `scripts/messages.py --hints` reads the hints from the sources: one that has no row here fails.

mod acts;
mod found;

use super::sandbox::{Ended, Sandbox};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How a hint is known to be right.
enum How {
    /// Here: it is printed by a command, and followed.
    Followed(fn(&Hint)),
    /// By the test of this name, anywhere in the repository.
    By(&'static str),
    /// By none, for this reason.
    Cannot(&'static str),
}

use How::{By, Cannot, Followed};

/// A hint as it stands in the sources, with `{...}` where something is filled in.
struct Hint {
    text: &'static str,
    met: Cell<bool>,
}

impl Hint {
    /// The `try:` line of a refusal, which is of this form.
    #[track_caller]
    fn of(&self, ended: &Ended) -> String {
        let line = ended.stderr.lines().rev().find_map(|line| line.strip_prefix("  try: "));
        self.is(line.unwrap_or_else(|| panic!("no hint: {}", ended.stderr)))
    }

    /// A text, which is of this form.
    #[track_caller]
    fn is(&self, text: &str) -> String {
        assert!(fits(self.text, text), "`{text}` is not `{}`", self.text);
        self.met.set(true);
        text.to_owned()
    }
}

/// Whether a text is what a format string makes.
fn fits(format: &str, text: &str) -> bool {
    let mut pieces = format.split('{').enumerate().map(|(at, part)| match part.split_once('}') {
        Some((_, rest)) if at > 0 => rest,
        _ => part,
    });
    let Some(mut rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut last = "";
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
        last = piece;
    }
    // What is filled in may go to the end.
    rest.is_empty() || (format.ends_with('}') && last.is_empty())
}

#[test]
fn a_text_fits_the_format_that_made_it() {
    for (format, text) in
        [("ls", "ls"), ("ls {}", "ls lab/a"), ("rm '{}', once", "rm 'x', once"), ("{} --help", "a b --help")]
    {
        assert!(fits(format, text), "{format}");
    }
    for (format, text) in
        [("ls", "ls x"), ("ls {}", "cat x"), ("rm '{}', once", "rm 'x'"), ("{} --help", "x --helpful")]
    {
        assert!(!fits(format, text), "{format}: {text}");
    }
}

const RACE: &str = "what stood in the way is gone when it is told: a lock, or a race that another command won";
const MACHINE: &str = "it changes the machine, not the vault";

/// Every hint, and how it is known to be right.
#[rustfmt::skip]
const HINTS: &[(&str, How)] = &[
    ("XDG_RUNTIME_DIR=DIR strongroom unlock, DIR being a folder of yours that nobody else can enter", Followed(acts::no_safe_place)),
    ("`strongroom audit tail` says whether it happened; if not, run the command again", Cannot("takes a database that is cut off while it commits")),
    ("`{explaining}` says what is missing", Followed(acts::forbidden_to_the_owner)),
    ("a machine with user namespaces or a file system in memory at /dev/shm", Cannot("takes another machine")),
    ("a name in a folder that exists", Followed(acts::no_folder)),
    ("a path inside the version, `NAME=WORKSPACE/ARTIFACT/path`, which opens that part alone", Followed(acts::too_large_for_memory)),
    ("a pattern without a slash matches names at any depth, one with a slash paths from the root", Followed(acts::no_match)),
    ("add a root that may wrap it: `strongroom root add --help`", Cannot("takes a token, and an escrow that was there before")),
    ("another destination, or --force to replace `{}`", Followed(acts::destination_exists)),
    ("another name for -o; nothing is overwritten", Followed(acts::proof_exists)),
    ("ask for it again: strongroom key certificate ID -o FILE", By("what_is_refused_about_keys_and_backups_is_told_with_its_own_way_on")),
    ("ask whoever manages principals to look at `{explaining}`", Followed(acts::suspended)),
    ("ask whoever writes the policies to run `strongroom policy lint`", By("a_policy_that_errs_is_named_to_whoever_it_refuses")),
    ("check the folder or device that is named, then run the command again", Followed(acts::not_a_folder)),
    ("check the name or the path", Followed(acts::no_source)),
    ("check the passphrase, or the key file with --keyfile", Followed(acts::wrong_passphrase)),
    ("chmod 600 '{}'", By("a_passphrase_file_that_others_may_read_is_refused_and_the_hint_mends_it")),
    ("chmod {to:03o} '{shown}'", Followed(found::open_key_file)),
    ("choose another folder with --vault", Followed(acts::second_init)),
    ("choose another path; nothing is overwritten", Followed(acts::recovery_file_exists)),
    ("compare the code with what was written down, and name its vault with --vault", Followed(acts::foreign_code)),
    ("encrypt it (cryptsetup with a random key), use zram, or swapoff", Cannot(MACHINE)),
    ("give as many shares of the vault's newest escrow as it takes, each once: --share FILE", By("shares_that_are_too_few_are_told_as_shares")),
    ("give each --context as it was given when the value was sealed", By("each_refusal_says_what_to_do")),
    (
        "give it later dates or add a root first; or, if that is what you want: --accept-lockout",
        Followed(acts::locks_out),
    ),
    ("init without --depot, then strongroom --as CUSTODIAN depot add DIR|URL", By("places_that_are_no_further_depot_are_refused")),
    ("it takes somebody with the role {role}: whoever manages principals can run `strongroom principal add NAME{}{cleared}`, and NAME then the same command", By("what_is_missing_is_named_as_the_command_that_gives_it_and_then_the_act_is_allowed")),
    ("keep a copy of it apart", Cannot("a copy that is kept apart is where no program looks")),
    ("keep the anchor on this machine: --anchor PATH", Cannot("takes a removable disk")),
    ("keep the vault on a mounted volume", Cannot("takes a container")),
    ("leave --class out, or put it as another artifact", Followed(acts::lower_class)),
    ("leave --kind out, or put it as another artifact", Followed(acts::other_kind)),
    ("look for a copy of the key file, and name it with --keyfile PATH", Followed(acts::no_recovery_code)),
    ("make room, or strongroom gc", By("gc_deletes_what_nobody_needs_and_nothing_else")),
    ("make room, then run the command again", By("a_full_disk_is_a_clear_temporary_error_and_loses_nothing")),
    ("move it away, or name another path with --keyfile; nothing is overwritten", Followed(acts::key_file_in_the_way)),
    ("move it, and name it with --anchor PATH or in the configuration", Followed(found::anchor_inside)),
    ("move it, and name it with --keyfile PATH or in the configuration", Followed(found::key_file_inside)),
    ("move the vault out of it, and back it up when nothing writes", Followed(found::synced_folder)),
    ("move the vault to a disk", Cannot("takes a disk besides the file system of the tests, and one in memory")),
    ("move the vault to a local disk", Cannot("takes a file system of another machine")),
    ("move the vault to a local disk that can be written", By("a_file_system_that_fails_the_probe_gets_no_vault_and_no_key")),
    ("move the vault, its key file and its anchor to a folder of yours", Cannot("takes a folder of another user")),
    ("name a file or a folder, or - for standard input", Followed(acts::pipe)),
    ("name an empty folder with --vault", By("a_backup_that_is_altered_cut_or_another_vaults_restores_nothing")),
    ("name the key file with --keyfile PATH; or bring it back with --share FILE for each, or --code-file FILE", By("a_vault_comes_back_on_a_fresh_machine_with_any_of_its_roots")),
    ("restore a newer backup; or, if there is none and what came later is lost: strongroom backup restore FILE --accept-fork", By("an_older_backup_is_refused_unless_its_fork_is_accepted_and_then_shown_for_ever")),
    ("restore the same backup again; or empty the folder", Cannot("takes a restore that is killed between two files of its last step")),
    ("strongroom backup restore FILE, once more", By("kill_9_in_a_restore_leaves_nothing_that_opens_or_what_the_next_one_finishes")),
    ("use another backup, or another copy of this one", By("a_backup_that_is_altered_cut_or_another_vaults_restores_nothing")),
    ("name a folder that is empty or absent", Followed(acts::export_into_something)),
    ("name what is to be protected; a vault inside a folder is passed over", Followed(acts::vault_itself)),
    ("name the vault that sealed it with --vault", By("each_refusal_says_what_to_do")),
    ("none: this release opens no tasks yet; `{explaining}` says what is missing", By("every_hint_of_a_refusal_runs_and_says_the_same")),
    ("none: this release takes no approvals ({rule}) yet; `{explaining}` says what is missing", By("every_hint_of_a_refusal_runs_and_says_the_same")),
    ("prove to be there: the same command with `--assert mfa=now`", By("every_hint_of_a_refusal_runs_and_says_the_same")),
    ("put back a newer copy of the vault; if there is none, move its anchor file away and say that this is the newest: `strongroom audit verify --new-anchor`", Followed(acts::older_copy)),
    ("put keeper.db and log back from a copy of the vault", Followed(|hint| acts::lost(hint, "keeper.db"))),
    ("put the anchor back, or, if this is the newest copy: `strongroom audit verify --new-anchor`", By("a_missing_anchor_is_said_with_what_to_do")),
    ("put the folder `depot` back from a copy of the vault", Followed(|hint| acts::lost(hint, "depot"))),
    ("put the vault's key file there, or name it with --keyfile PATH", Followed(acts::lost_key_file)),
    ("put vault.json back from a copy and remove nothing; or, if an `init` never finished here, move the folder away", Followed(|hint| acts::lost(hint, "vault.json"))),
    ("put vault.json back from a copy of the vault", Followed(acts::broken_vault_file)),
    ("remove it, then strongroom unlock", Followed(acts::no_socket)),
    ("rm '{}', once a copy is kept where only you can read it", Followed(found::copied_key_file)),
    ("run the command again", Cannot(RACE)),
    ("run the command again in a moment", Cannot(RACE)),
    ("run the command again when nothing writes to the source", By("a_source_that_changes_while_it_is_read_is_refused")),
    ("run the command again with -v, and report what it says", Cannot("takes a defect of ours")),
    ("run the command again: it starts a new session", Cannot("a command makes its session anew each time")),
    ("run the command again: it sends them anew", Cannot("takes a put that goes on for longer than a removed version waits")),
    ("run the command again: it starts a new version", Cannot("takes 131,072 objects of one version")),
    ("run the command again; a put of files keeps each GiB that was finished, and uploads the rest again", By("a_killed_put_goes_on_after_its_finished_segments")),
    ("set the clock; or, if it is right: strongroom status --accept-clock", By("a_clock_that_was_set_back_is_refused_until_it_is_accepted")),
    ("start it again with `--unattended`, which says how long it may take", By("a_run_has_an_end_that_its_classes_set")),
    ("strongroom --help", Followed(acts::bad_configuration)),
    ("strongroom alias rm {path} {alias}", By("an_alias_is_taken_away_before_its_version")),
    ("strongroom hold ls {workspace}/{artifact}", By("a_hold_keeps_and_a_rule_removes_what_nothing_keeps")),
    ("strongroom history {named}, then strongroom rm {named}@vN", By("a_removed_version_is_gone_and_comes_back")),
    ("strongroom history {path}, then strongroom undelete {path}@vN", By("the_latest_version_is_the_newest_that_is_there")),
    ("strongroom retention report {path}", By("a_rule_keeps_the_young_and_the_newest_and_removes_the_others")),
    ("strongroom hold ls {path}", By("a_hold_keeps_and_a_rule_removes_what_nothing_keeps")),
    ("strongroom undelete {reference}", By("a_removed_version_is_gone_and_comes_back")),
    ("strongroom alias history {path} {}", Followed(acts::alias_elsewhere)),
    (
        "open the vault with another root, or strongroom recover; then strongroom key check",
        By("a_passphrase_that_costs_too_little_opens_nothing_from_its_date_on"),
    ),
    ("strongroom audit tail", Followed(acts::no_decision)),
    ("strongroom audit tail; what would be decided: strongroom policy explain read REF", Followed(acts::bad_decision)),
    ("strongroom audit verify", Followed(found::read_only)),
    ("strongroom audit verify --new-anchor, if this is the newest copy of the vault", Followed(found::lost_anchor)),
    ("strongroom doctor --fix", By("doctor_says_what_it_could_not_check_and_mends_what_kept_the_vault_closed")),
    ("strongroom gc", By("gc_deletes_what_nobody_needs_and_nothing_else")),
    ("strongroom escrow create --help", By("a_code_and_an_escrow_are_made_anew_by_their_own_commands")),
    ("strongroom recover --help", By("a_code_and_an_escrow_are_made_anew_by_their_own_commands")),
    ("strongroom depot check --repair", By("an_object_lost_in_one_depot_is_read_from_another_and_repaired")),
    ("strongroom depot copy", By("a_depot_that_alone_holds_something_is_not_taken_out")),
    ("strongroom depot ls", By("what_was_put_before_is_copied_by_the_job_byte_for_byte")),
    ("strongroom incident ls", By("evidence_is_a_new_file_of_its_owner")),
    ("strongroom incident show {id}", By("a_compromised_domain_key_is_told_and_followed")),
    ("strongroom jobs run incidents", By("evidence_that_was_not_read_is_read_by_the_job_and_releases_have_stopped_before")),
    ("strongroom root remove {id}", By("keys_that_have_no_playbook_are_refused_with_what_to_do_instead")),
    ("strongroom init", Followed(acts::named_vault_absent)),
    ("strongroom init, or --vault DIR", Followed(acts::no_vault)),
    ("strongroom key check", By("the_only_root_that_may_open_a_key_is_not_removed")),
    ("strongroom key ls", Followed(|hint| acts::listed(hint, &["key", "show", "ffff"]))),
    ("strongroom key unarchive {of} --reason REASON", By("the_archive_is_told_of_and_what_is_in_it_comes_back")),
    ("strongroom key states", By("a_suspended_key_is_told_and_resumed")),
    ("strongroom key destroy {key} --cancel --reason REASON, as custodian", By("a_key_that_is_to_go_is_shut_until_it_is_spared")),
    ("strongroom key destroy {path}@v{} --cancel --reason REASON", By("a_key_that_is_to_go_is_shut_until_it_is_spared")),
    ("strongroom key destroy {reference} --cancel --reason REASON, as custodian", By("a_key_that_is_to_go_is_shut_until_it_is_spared")),
    ("strongroom root rotate {root}", By("an_open_passphrase_root_wraps_nothing_new_from_its_date_on")),
    ("strongroom key migrate", Cannot("a key that is out of policy is followed by the command itself, unless others win twice")),
    ("strongroom key rotate", By("keys_past_their_time_are_due_until_they_are_rotated")),
    ("strongroom key rotate --workspace {workspace}", By("every_version_of_a_domain_key_that_was_rotated_out")),
    ("strongroom lock", By("a_copy_of_the_vault_is_not_served_by_its_agent")),
    ("strongroom lock, then strongroom unlock", By("an_agent_that_hangs_is_ended_by_force")),
    ("strongroom lock, then strongroom unlock: it may be of another version", Cannot("takes an agent of another version")),
    ("strongroom lock, then the command again", By("an_agent_that_hangs_is_ended_by_force")),
    ("strongroom ls", Followed(|hint| acts::listed(hint, &["get", "none/a", "out"]))),
    ("strongroom ls {reference}", Followed(|hint| acts::listed(hint, &["cat", "lab/tree/none"]))),
    ("strongroom ls {text}, or strongroom show {}", Followed(acts::show_of_a_path)),
    ("strongroom ls {version}", Followed(|hint| acts::listed(hint, &["diff", "lab/tree/none", "lab/tree"]))),
    ("strongroom ls {whole}", Followed(acts::cat_of_a_folder)),
    ("strongroom policy apply --baseline", By("an_older_baseline_is_refused_with_the_command_that_moves_it")),
    ("strongroom policy lint", Followed(acts::bad_policy)),
    ("strongroom policy show", Followed(acts::other_base)),
    ("strongroom policy suites", Followed(acts::root_of_no_use)),
    (
        "strongroom policy suites FILE, with a later date; then strongroom key migrate",
        By("a_key_under_a_root_that_may_not_open_any_more_says_since_when"),
    ),
    ("strongroom principal add {name} --change --suspended", Followed(acts::erasing_somebody_active)),
    ("strongroom principal add {} --change", Followed(acts::principal_exists)),
    ("strongroom principal ls", Followed(|hint| acts::listed(hint, &["principal", "show", "nobody"]))),
    ("strongroom put '{}' ...", Followed(acts::link_as_source)),
    ("strongroom put ... --exclude '{}'", Followed(acts::pipe_inside)),
    ("strongroom recover, with the recovery code", Followed(acts::no_escrow)),
    ("strongroom root add --help", Cannot("takes policies without the baseline's guardrails, which refuse before")),
    ("strongroom root drill", Followed(acts::last_root)),
    ("strongroom root ls", By("a_wrong_pin_is_told_and_the_next_root_opens")),
    ("strongroom status", Followed(acts::unlock_of_an_older_copy)),
    ("strongroom unlock", By("a_locked_vault_stops_what_runs_in_it_but_not_what_was_to_go_on_alone")),
    ("strongroom unlock, at a terminal; or name a file with the PIN", By("a_pin_is_asked_for_where_somebody_is_there")),
    ("strongroom unlock, at a terminal; or STRONGROOM_PASSPHRASE_FILE=PATH strongroom ...", Followed(acts::no_terminal)),
    ("strongroom verify --all --state", Followed(acts::flipped_byte)),
    ("strongroom verify --sample 5%", By("a_sample_finds_what_is_damaged_or_gone_and_says_what_it_may_have_missed")),
    ("strongroom verify --state", Followed(acts::edited_row)),
    ("strongroom {name} --help", Followed(acts::bad_reference)),
    ("strongroom's own are off; turn the handler off, or empty what it keeps", Cannot(MACHINE)),
    ("sudo chown {user} '{shown}'", Cannot("takes another user")),
    ("sysctl fs.suid_dumpable=0", Cannot(MACHINE)),
    ("sysctl kernel.yama.ptrace_scope=1", Cannot(MACHINE)),
    ("the program's path, behind `--`", Followed(acts::no_program)),
    ("the same command with `--env staging`; or add a root that may wrap it: `strongroom root add --help`", By("every_hint_of_a_refusal_runs_and_says_the_same")),
    ("the same command with `--reason REASON --confirm {path}`", By("the_hint_of_a_confirmation_runs")),
    ("ulimit -c 0", Cannot(MACHINE)),
    ("ulimit -l 64", Cannot(MACHINE)),
    ("use the program that moved the vault to its baseline, or a newer one", By("a_newer_baseline_is_refused_as_what_it_is")),
    ("wait, then run the command again", Cannot("takes a principal that asks more than 100,000 times")),
    ("whoever manages principals can run `strongroom principal add {who} --change{grant}{cleared}`", By("what_is_missing_is_named_as_the_command_that_gives_it_and_then_the_act_is_allowed")),
    ("{} --help", Followed(acts::unknown_flag)),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn every_hint_of_the_sources_has_a_row_and_every_row_is_a_hint() {
    let script = root().join("scripts/messages.py");
    let output = Command::new("python3").arg(script).arg("--hints").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8(output.stdout).unwrap();
    let hints: BTreeSet<String> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(hints.len() > 80, "{hints:?}");
    let rows: BTreeSet<String> = HINTS.iter().map(|(text, _)| (*text).to_owned()).collect();
    assert_eq!(rows.len(), HINTS.len(), "a hint has two rows");
    let (unknown, stale): (Vec<_>, Vec<_>) = (hints.difference(&rows).collect(), rows.difference(&hints).collect());
    assert!(unknown.is_empty() && stale.is_empty(), "no row: {unknown:#?}\nno hint: {stale:#?}");
}

#[test]
fn the_tests_that_rows_name_exist() {
    let mut text = String::new();
    let mut open = vec![root().join("crates")];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                text.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    for (hint, how) in HINTS {
        match how {
            By(name) => assert!(
                text.contains(&format!("#[test]\nfn {name}()")) || text.contains(&format!("    fn {name}()")),
                "{hint}: {name}"
            ),
            Cannot(why) => assert!(why.len() > 15, "{hint}: {why}"),
            Followed(_) => {}
        }
    }
}

/// Every third row from here on: three tests take a third of the time.
fn follow(from: usize) {
    let mut followed = 0;
    for (text, how) in HINTS.iter().skip(from).step_by(3) {
        if let Followed(act) = how {
            println!("{text}");
            let hint = Hint { text, met: Cell::new(false) };
            act(&hint);
            assert!(hint.met.get(), "`{text}` was not printed");
            followed += 1;
        }
    }
    assert!(followed > 10, "{followed}");
}

#[test]
fn what_is_hinted_can_be_done() {
    follow(0);
}

#[test]
fn what_is_hinted_can_be_done_2() {
    follow(1);
}

#[test]
fn what_is_hinted_can_be_done_3() {
    follow(2);
}

/// A solo vault with a file, a folder, and a version of each.
fn solo() -> Sandbox {
    let sandbox = Sandbox::solo();
    sandbox.write("f", b"data");
    sandbox.write("tree/sub/f", b"data");
    sandbox.run(["put", "f", "lab/a", "--class", "internal"]).exits(0);
    sandbox.run(["put", "tree", "lab/tree", "--class", "internal"]).exits(0);
    sandbox
}

/// Runs a line of a shell in the sandbox.
fn sh(sandbox: &Sandbox, line: &str) {
    let done = Command::new("sh").args(["-c", line]).current_dir(sandbox.path()).output().unwrap();
    assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
}

/// Runs a `strongroom ...` that was printed, as its words stand there.
#[track_caller]
fn run(sandbox: &Sandbox, command: &str) -> Ended {
    let words = command.strip_prefix("strongroom ").unwrap_or_else(|| panic!("no command: {command}"));
    sandbox.run(words.split(' '))
}

/// The only file of a folder.
fn only(folder: PathBuf) -> PathBuf {
    let mut entries = std::fs::read_dir(folder).unwrap();
    entries.next().unwrap().unwrap().path()
}
