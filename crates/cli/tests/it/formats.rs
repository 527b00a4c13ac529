//! Every command answers JSON of a kind that `docs/json.md` names, in both forms.

use super::sandbox::Sandbox;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;

/// A command with what it takes, twice: once for each form. `ID` is a decision, `N` differs between the two.
const LINES: &[&str] = &[
    "init --no-recovery --vault vN",
    "put f lab/aN --class internal",
    "put tree lab/tree",
    "get lab/a1 outN",
    "share lab/a1 sharedN --with RECIPIENT --purpose test",
    "run --input m=lab/a1 --output o=lab/madeN -- sh -c RUN",
    "ls",
    "ls lab",
    "ls lab/tree",
    "show lab/a1",
    "history lab/a1",
    "diff lab/a1 lab/tree",
    "lineage show lab/a1",
    "lineage impact lab/a1",
    "alias set lab/a1@v1 prodN",
    "alias ls lab/a1",
    "alias history lab/a1 prod1",
    "alias rm lab/a1 prodN",
    "rm lab/madeN@v1",
    "undelete lab/madeN@v1",
    "retention set lab/a1 --keep-last N",
    "retention report lab",
    "hold set lab/a1 caseN --reason test",
    "hold ls lab",
    "hold lift lab/a1 caseN --reason test",
    "verify --all --state",
    "status",
    "whoami",
    "doctor",
    "doctor --spills tree",
    "who-can read lab/a1",
    "who-did lab/a1",
    "explain ID",
    "key create lab/keyN --class internal",
    "encrypt --key lab/key1 f",
    "decrypt TOKEN",
    "key ls",
    "key ls --due --within 1000d",
    "key show KEY",
    "key states",
    "key reencrypt lab/a1@v1",
    "key check",
    "key migrate --plan",
    "key migrate --yes",
    "key suspend lab/a1@v1 --reason lost",
    "key resume lab/a1@v1 --reason found",
    "key archive lab/tree@v1 --reason ended",
    "key unarchive lab/tree@v1 --reason asked",
    "key destroy lab/aN@v1 --reason unused --yes",
    "key destroy lab/aN@v1 --cancel --reason used",
    "key certificate --check CERTIFICATE --log-keys VKEYS",
    "key rotate --workspace lab",
    "key rotate ROOT --yes",
    "key compromise lab/madeN@v1 --reason lost",
    "incident ls",
    "incident show INCIDENT",
    "incident show INCIDENT --evidence evidenceN",
    "incident done INCIDENT notify --reason told",
    "incident close INCIDENT --dry-run",
    "root ls",
    "root add keyfile --path rootN.key",
    "root drill",
    "escrow create --shares 2 --threshold 2 --into sharesN",
    "escrow rehearse --share SHARE1 --share SHARE2",
    "root set ROOT --priority 30",
    "root rotate ROOT --yes --path rotated-N.key",
    "root remove ROOT --yes",
    "principal add personN",
    "principal show person1",
    "principal ls",
    "principal add personN --change --suspended",
    "principal erase personN --reason asked --yes",
    "policy show",
    "policy lint",
    "policy test cases.json",
    "policy explain read lab/a1",
    "policy suites",
    "policy apply --yes --base BASE empty.cedar",
    "audit tail",
    "audit query --act release",
    "audit show ID",
    "audit prove 1",
    "audit verify",
    "audit export logN",
    "gc --yes",
    "depot add depotN",
    "depot ls",
    "depot copy",
    "depot check",
    "depot rm DEPOT",
    "backup create backupN",
    "backup verify backupN",
    "backup restore backupN --vault restoredN --anchor restoredN.anchor",
    "jobs ls",
    "jobs run",
    "unlock --for 1m",
    "lock",
    "recover --code-file codeN --recovery-file afterN --keyfile newN.key",
    "escrow recover --share SHARE1 --share SHARE2 --no-recovery --keyfile lastN.key",
];

/// These take a token and a service: `roots.rs` asks them.
const OF_DEVICES: [&str; 2] = ["root add aws-kms", "root add pkcs11"];

/// These write bytes.
const BYTES: [&str; 3] = ["cat", "completions", "man"];

/// The commands that have none below them, as the help lists them.
fn commands(sandbox: &Sandbox) -> BTreeSet<String> {
    let (mut found, mut open) = (BTreeSet::new(), vec![String::new()]);
    while let Some(words) = open.pop() {
        let help = sandbox.run(words.split_whitespace().chain(["--help"])).exits(0).text();
        let listed = help.split("Commands:\n").nth(1).unwrap_or_default().lines().take_while(|line| !line.is_empty());
        let names: Vec<&str> =
            listed.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next()).collect();
        if names.is_empty() {
            found.insert(words);
        } else {
            open.extend(names.into_iter().map(|name| format!("{words} {name}").trim().to_owned()));
        }
    }
    found
}

/// The kinds that the document names for each command; a word alone in a row may stand for `alias rm` after `alias set`.
fn kinds() -> BTreeMap<String, BTreeSet<String>> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/json.md")).unwrap();
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let mut found = BTreeMap::<String, BTreeSet<String>>::new();
    for row in text.lines().filter_map(|line| line.strip_prefix("| ")) {
        let mut cells = row.split(" | ");
        let (commands, mut kinds) = (cells.next().unwrap_or_default(), quoted(cells.next().unwrap_or_default()));
        // A kind that the last column adds: `jsonl` ends with the kind `diff-summary`.
        for part in cells.next().unwrap_or_default().split("the kind `").skip(1) {
            kinds.extend(part.split('`').next().map(str::to_owned));
        }
        let mut above = String::new();
        for words in quoted(commands) {
            // Without what it takes: `ls REF/`, `doctor --spills`.
            let named = |word: &&str| word.starts_with(|c: char| c.is_ascii_lowercase());
            let words = words.split(' ').take_while(named).collect::<Vec<_>>().join(" ");
            for words in [words.clone(), format!("{above} {words}")] {
                found.entry(words).or_default().extend(kinds.iter().cloned());
            }
            above = words.split(' ').next().unwrap_or_default().to_owned();
        }
    }
    found
}

/// The command that a line calls.
fn words<'a>(line: &str, commands: &'a BTreeSet<String>) -> &'a String {
    let called = |words: &&String| {
        line.strip_prefix(words.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    commands.iter().find(called).unwrap_or_else(|| panic!("no command: {line}"))
}

/// A solo vault in the working folder, and what the lines need.
fn vault() -> Sandbox {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.at("run")).unwrap();
    std::fs::set_permissions(sandbox.at("run"), std::fs::Permissions::from_mode(0o700)).unwrap();
    for folder in ["shares1", "shares2"] {
        std::fs::create_dir(sandbox.at(folder)).unwrap();
    }
    for (name, text) in [("f", "data"), ("tree/f", "data"), ("empty.cedar", "")] {
        sandbox.write(name, text);
    }
    let cases = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/policies/solo.json");
    sandbox.write("cases.json", std::fs::read(cases).unwrap());
    sandbox.run(["init", "--recovery-file", "code1"]).exits(0);
    sandbox
}

/// A line's words, with what stands for something filled in.
fn filled(sandbox: &Sandbox, line: &str, number: &str) -> Vec<String> {
    let told = |args: &[&str]| sandbox.run(["--format", "json"].iter().chain(args)).exits(0).json();
    let word = |word: &str| match word {
        "ID" => {
            let page = told(&["audit", "query", "--act", "release.read"]);
            page["items"][0]["entry"]["decision"]["id"]
                .as_str()
                .or(page["items"][0]["entry"]["id"].as_str())
                .unwrap()
                .to_owned()
        }
        // The escrow of the second form replaces that of the first.
        "SHARE1" | "SHARE2" => {
            let made = |folder: &str| -> Vec<_> {
                let files = std::fs::read_dir(sandbox.at(folder)).unwrap().map(|file| file.unwrap().path());
                let mut files: Vec<_> = files.collect();
                files.sort();
                files
            };
            let files = if made("shares2").is_empty() { made("shares1") } else { made("shares2") };
            files[usize::from(word == "SHARE2")].display().to_string()
        }
        "ROOT" => {
            let roots = told(&["root", "ls"]);
            let of = |root: &&Value| root["kind"] == "keyfile" && root["at_hand"] == true && root["priority"] == 30;
            let last = roots["roots"].as_array().unwrap().iter().rfind(of).unwrap();
            last["id"].as_str().unwrap().to_owned()
        }
        "CERTIFICATE" => concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/certificate/certificate.txt").to_owned(),
        "VKEYS" => concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/certificate/vkeys").to_owned(),
        "KEY" => told(&["key", "ls"])["keys"][0]["id"].as_str().unwrap().to_owned(),
        "TOKEN" => {
            let token = told(&["encrypt", "--key", "lab/key1", "f"])["token"].as_str().unwrap().to_owned();
            sandbox.write("token", token);
            "token".to_owned()
        }
        "INCIDENT" => told(&["incident", "ls"])["items"][0]["id"].as_str().unwrap().to_owned(),
        "DEPOT" => told(&["depot", "ls"])["items"][1]["id"].as_str().unwrap().to_owned(),
        "BASE" => told(&["policy", "show"])["hash"].as_str().unwrap().to_owned(),
        "RECIPIENT" => "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p".to_owned(),
        "RUN" => "echo x > $STRONGROOM_OUTPUT_O/x".to_owned(),
        other if other.starts_with('-') => other.to_owned(),
        other => other.replace('N', number),
    };
    line.split(' ').map(word).collect()
}

#[test]
fn every_command_answers_json_of_the_kind_that_the_document_names() {
    let sandbox = vault();
    let (commands, kinds) = (commands(&sandbox), kinds());
    let mut called: BTreeSet<&str> = BYTES.into_iter().chain(OF_DEVICES).collect();
    for line in LINES {
        let words = words(line, &commands);
        called.insert(words);
        let documented = kinds.get(words).unwrap_or_else(|| panic!("docs/json.md does not name {words}"));
        for (number, format) in [("1", "json"), ("2", "jsonl")] {
            let args = filled(&sandbox, line, number);
            let ended = sandbox.run(["--format", format].into_iter().chain(args.iter().map(String::as_str)));
            assert!(ended.code <= 1, "{args:?}: {}", ended.text());
            if words == "recover" && number == "1" {
                std::fs::rename(sandbox.at("after1"), sandbox.at("code2")).unwrap();
            }
            // What a run's command writes is the command's own.
            let text = if words == "run" { ended.stderr } else { String::from_utf8(ended.stdout).unwrap() };
            let lines: Vec<Value> = text
                .lines()
                .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{args:?}: {e}: {line}")))
                .collect();
            assert!(format == "jsonl" || lines.len() == 1, "{args:?}: {text}");
            for told in lines {
                let kind = told["kind"].as_str().unwrap_or_else(|| panic!("{args:?} has no kind: {told}"));
                let known = documented.contains(kind) || (format == "jsonl" && kind == "next");
                assert!(known, "{args:?}: docs/json.md names {documented:?}, not {kind}");
            }
        }
    }
    let missing: Vec<&String> = commands.iter().filter(|words| !called.contains(words.as_str())).collect();
    assert!(missing.is_empty() && called.len() > 45, "no line for {missing:?}");
}
