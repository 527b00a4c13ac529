//! What a person at a terminal sees: prompts that do not show what is typed, and bars; elsewhere neither.

use super::sandbox::{Ended, Sandbox, end};
use std::process::Command;

/// Runs the binary at a terminal of its own (Python's `pty`), answers each prompt (with `!`, once nothing that is typed shows), and tells
/// all that the terminal showed.
const AT_A_TERMINAL: &str = r#"
import fcntl, os, pty, select, struct, sys, termios, time
answers = [pair.split("=", 1) for pair in os.environ.pop("ANSWERS", "").split("\n") if pair]
child, terminal = pty.fork()
if child == 0:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    os.execv(sys.argv[1], sys.argv[1:])
shown, seen = b"", 0
while True:
    if not select.select([terminal], [], [], 120)[0]:
        sys.exit(99)
    try:
        block = os.read(terminal, 65536)
    except OSError:
        block = b""
    if not block:
        break
    shown += block
    while answers and answers[0][0].encode() in shown[seen:]:
        prompt, answer = answers.pop(0)
        seen = shown.index(prompt.encode(), seen) + len(prompt)
        # A passphrase is typed once the terminal shows nothing more; whoever never turns that off is found by the deadline.
        deadline = time.monotonic() + 60
        while answer.startswith("!") and termios.tcgetattr(terminal)[3] & termios.ECHO:
            if time.monotonic() > deadline:
                sys.exit(97)
        os.write(terminal, answer.removeprefix("!").encode() + b"\n")
sys.stdout.buffer.write(shown)
status = os.waitpid(child, 0)[1]
sys.exit(98 if answers else os.waitstatus_to_exitcode(status))
"#;

pub(super) fn at_a_terminal(sandbox: &Sandbox, answers: &[(&str, &str)], args: &[&str]) -> Ended {
    at_a_terminal_with(sandbox, &[("TERM", "xterm")], answers, args)
}

pub(super) fn at_a_terminal_with(
    sandbox: &Sandbox,
    variables: &[(&str, &str)],
    answers: &[(&str, &str)],
    args: &[&str],
) -> Ended {
    let plain = sandbox.command(args);
    let mut command = Command::new("python3");
    command.args(["-c", AT_A_TERMINAL]).arg(plain.get_program()).args(plain.get_args());
    command.current_dir(sandbox.path()).env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let answers: Vec<String> = answers.iter().map(|(prompt, answer)| format!("{prompt}={answer}")).collect();
    command.envs(variables.iter().copied()).env("ANSWERS", answers.join("\n"));
    end(command)
}

pub(super) fn shown(ended: &Ended) -> String {
    String::from_utf8_lossy(&ended.stdout).into_owned()
}

#[test]
fn a_recovery_code_is_shown_once_at_a_terminal_and_typed_unseen() {
    let sandbox = Sandbox::new();
    let made = shown(&at_a_terminal(&sandbox, &[], &["init"]).exits(0));
    let groups = |text: &str| {
        let is_code = |line: &&str| line.starts_with("    ") && line.trim().split('-').all(|group| group.len() == 5);
        text.lines().map(str::trim_end).filter(is_code).map(str::trim).collect::<Vec<_>>().join("-")
    };
    let code = groups(&made);
    assert_eq!(code.split('-').count(), 13, "{made}");
    let group = code.split('-').next().unwrap();
    let keys = sandbox.at("config/strongroom");
    let key = std::fs::read_dir(&keys).unwrap().next().unwrap().unwrap().path();
    std::fs::rename(key, sandbox.at("lost.key")).unwrap();
    let typed = format!("!{code}");
    let recovered = shown(&at_a_terminal(&sandbox, &[("Recovery code: ", &typed)], &["recover"]).exits(0));
    assert!(!recovered.contains(group), "what is typed is not shown: {recovered}");
    let next = groups(&recovered);
    assert!(next.split('-').count() == 13 && next != code, "{recovered}");
    sandbox.run(["ls"]).exits(0);
    sandbox.run(["ls", "--keyfile", "lost.key"]).exits(4);
}

#[test]
fn a_passphrase_is_asked_for_and_not_shown() {
    const RIGHT: &str = "!correct horse battery";
    let sandbox = Sandbox::new();
    let init = ["init", "--root", "passphrase", "--no-recovery"];
    let twice = [("New passphrase: ", RIGHT), ("The same again: ", RIGHT)];
    let made = at_a_terminal(&sandbox, &twice, &init).exits(0);
    assert!(shown(&made).contains("The same again: ") && !shown(&made).contains("horse"), "{}", shown(&made));
    let opened = at_a_terminal(&sandbox, &[("Passphrase: ", RIGHT)], &["ls"]).exits(0);
    assert!(shown(&opened).contains("nothing here yet") && !shown(&opened).contains("horse"), "{}", shown(&opened));
    let refused = at_a_terminal(&sandbox, &[("Passphrase: ", "!wrong staple")], &["ls"]).exits(4);
    assert!(shown(&refused).contains("[root-refused]") && !shown(&refused).contains("staple"), "{}", shown(&refused));
    let other = Sandbox::new();
    let unlike = [("New passphrase: ", RIGHT), ("The same again: ", "!something else")];
    at_a_terminal(&other, &unlike, &init).exits(2);
    assert!(!other.vault().exists());
}

#[test]
fn restricted_data_is_asked_about_at_a_terminal() {
    let sandbox = Sandbox::solo();
    sandbox.write("f", b"secret data");
    sandbox.run(["put", "f", "lab/a", "--class", "restricted"]).exits(0);
    let answers = [("Reason: ", "incident 7"), ("to confirm: ", "lab/a")];
    let opened = at_a_terminal(&sandbox, &answers, &["cat", "lab/a"]).exits(0);
    assert!(shown(&opened).contains("secret data"), "{}", shown(&opened));
    let answers = [("Reason: ", "incident 7"), ("to confirm: ", "lab/b")];
    let refused = at_a_terminal(&sandbox, &answers, &["cat", "lab/a"]).exits(2);
    assert!(!shown(&refused).contains("secret data"), "{}", shown(&refused));
}

#[test]
fn bars_are_drawn_at_a_terminal_and_nowhere_else() {
    let sandbox = Sandbox::solo();
    sandbox.write("f", vec![7; 24 << 20]);
    let drawn = shown(&at_a_terminal(&sandbox, &[], &["put", "f", "lab/a"]).exits(0));
    assert!(drawn.contains("sealing") && drawn.contains('\u{1b}') && drawn.contains("MiB/"), "{drawn:?}");
    for quiet in [&["--progress", "never"][..], &["-q"], &["--format", "json"]] {
        let args: Vec<&str> = quiet.iter().chain(&["put", "f", "lab/a"]).copied().collect();
        let told = shown(&at_a_terminal(&sandbox, &[], &args).exits(0));
        assert!(!told.contains("sealing") && !told.contains('\u{1b}'), "{quiet:?}: {told:?}");
    }
    let piped = sandbox.run(["put", "f", "lab/a"]).exits(0);
    assert!(!piped.stderr.contains("sealing") && !piped.stderr.contains('\u{1b}'), "{}", piped.stderr);
}

#[test]
fn progress_that_is_always_wanted_is_told_in_lines_where_no_terminal_is() {
    let sandbox = Sandbox::solo();
    sandbox.write("f", vec![7; 4 << 20]);
    let told = sandbox.run(["--progress", "always", "put", "f", "lab/a"]).exits(0).stderr;
    let lines: Vec<&str> = told.lines().filter(|line| line.starts_with("sealing")).collect();
    assert_eq!(lines.first(), Some(&"sealing 4.0 MiB"), "{told}");
    assert!(lines.iter().any(|line| line.starts_with("sealing 100 %")) && lines.len() <= 12, "{told}");
    assert!(!told.contains(['\u{1b}', '\r']), "{told:?}");
    let told = sandbox.run(["--progress", "never", "put", "f", "lab/a"]).exits(0).stderr;
    assert!(!told.contains("sealing"), "{told}");
}

#[test]
fn colour_is_shown_at_a_terminal_to_whoever_wants_it() {
    const COLOUR: char = '\u{1b}';
    let sandbox = Sandbox::solo();
    sandbox.write("f", b"data");
    sandbox.run(["put", "f", "lab/a"]).exits(0);
    let at = |variables: &[(&str, &str)], args: &[&str]| shown(&at_a_terminal_with(&sandbox, variables, &[], args));
    let xterm = ("TERM", "xterm");
    for (args, head) in [
        (&["show", "lab/none"][..], "\u{1b}[1;31merror:\u{1b}[0m "),
        (&["pull"], "  \u{1b}[1;32mtry:\u{1b}[0m strongroom get"),
        (&["ls"], "\u{1b}[1mWORKSPACE  ARTIFACTS\u{1b}[0m\r\n"),
        (&["--help"], "\u{1b}[1m\u{1b}[32mUsage:\u{1b}[0m"),
    ] {
        let text = at(&[xterm], args);
        assert!(text.contains(head), "{args:?}: {text:?}");
        for off in [&[xterm, ("NO_COLOR", "1")][..], &[("TERM", "dumb")], &[xterm, ("CLICOLOR", "0")], &[]] {
            let text = at(off, args);
            assert!(!text.contains(COLOUR), "{off:?} {args:?}: {text:?}");
        }
        // In a pipe there is none, unless it is forced; and whoever wants none gets none.
        let piped = |variables: &[(&str, &str)]| {
            let mut command = sandbox.command(args);
            end({
                command.envs(variables.iter().copied());
                command
            })
            .text()
        };
        assert!(!piped(&[xterm]).contains(COLOUR), "{args:?}");
        assert!(piped(&[("CLICOLOR_FORCE", "1")]).contains(head.trim_end()), "{args:?}");
        assert!(!piped(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]).contains(COLOUR), "{args:?}");
    }
    // JSON is for programs, wherever it is shown.
    assert!(!at(&[xterm], &["--format", "json", "ls"]).contains(COLOUR));
    assert!(!at(&[xterm], &["--format", "json", "show", "lab/none"]).contains(COLOUR));
}
