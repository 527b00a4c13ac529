//! What users of other tools type, and what it is called here.

/// The hint for a word that is no command, if it is known from elsewhere.
pub fn for_word(word: &str) -> Option<&'static str> {
    Some(match word {
        "push" | "upload" | "add" | "store" | "save" | "import" | "import-url" | "seal" | "commit" | "publish"
        | "write" | "register" | "log-artifact" | "log-model" | "mb" | "mkdir" => {
            "strongroom put SRC WORKSPACE/ARTIFACT"
        }
        "pull" | "download" | "fetch" | "checkout" | "clone" | "export" | "extract" | "unseal" | "switch"
        | "get-url" | "artifacts" => "strongroom get REF DEST",
        "cp" | "copy" | "mv" | "move" | "sync" | "rsync" | "s3" | "s3api" | "kv" | "secrets" | "rclone" | "edit" => {
            "strongroom put SRC WORKSPACE/ARTIFACT, or strongroom get REF DEST"
        }
        "read" | "open" | "head" | "stream" | "dump" | "less" | "tail" | "view" => "strongroom cat REF[/PATH]",
        "list" | "dir" | "find" | "tree" | "search" | "grep" | "ls-files" | "ls-tree" | "ls-remote" => {
            "strongroom ls [WORKSPACE|REF[/PREFIX]]"
        }
        "info" | "inspect" | "describe" | "stat" | "metadata" => "strongroom show REF",
        "log" | "versions" | "revisions" | "snapshots" | "models" => "strongroom history REF, or strongroom audit tail",
        "events" | "journal" | "trail" | "lease" | "monitor" => "strongroom audit tail",
        "check" | "fsck" | "scrub" | "repair" | "rebuild-index" => "strongroom verify --all",
        "prune" | "clean" | "cleanup" | "collect" => "strongroom gc",
        "delete" | "remove" | "del" | "destroy" | "forget" | "unlink" | "shred" | "erase" | "purge" | "rb"
        | "rmdir" => "strongroom rm REF",
        "restore" => "strongroom undelete REF, or strongroom get REF DEST",
        "undo" | "unremove" | "undestroy" | "recycle" | "unrm" | "trash" => "strongroom undelete REF",
        "expire" | "lifecycle" | "keep" | "ttl" | "retain" => {
            "strongroom retention set WORKSPACE/ARTIFACT --keep-last 5"
        }
        "legal-hold" | "freeze" | "pin" => "strongroom hold set REF NAME --reason TEXT",
        "grant" | "invite" | "chmod" | "chown" | "allow" => {
            "strongroom principal add NAME --grant WORKSPACE=ROLE --clearance CLASS"
        }
        "user" | "users" | "member" | "members" | "account" | "auth" => "strongroom principal ls",
        "whocan" | "can" | "access" | "permissions" | "acl" => "strongroom who-can read REF",
        "whodid" | "blame" | "annotate" | "usage" | "accesses" => "strongroom who-did REF",
        "why" => "strongroom policy explain --as PRINCIPAL read REF",
        "rotate" | "rekey" | "keys" | "renew" | "transit" => "strongroom key rotate",
        "presign" | "send" => "strongroom share REF --with RECIPIENT --purpose TEXT",
        "new" | "create" | "setup" | "initialize" => "strongroom init",
        "operator" => "strongroom init, or strongroom key rotate",
        "tag" | "label" | "promote" | "rollback" | "ln" | "branch" | "revert" => "strongroom alias set REF NAME",
        "aliases" | "tags" | "reflog" | "branches" => "strongroom alias ls WORKSPACE/ARTIFACT",
        "exec" | "repro" | "exp" | "stage" | "mount" | "train" => {
            "strongroom run --input NAME=REF --output NAME=WORKSPACE/ARTIFACT -- COMMAND"
        }
        "version" => "strongroom --version",
        "policies" | "rule" | "rules" => "strongroom policy show",
        "revoke" | "suspend" => "strongroom principal add NAME --change --revoke WORKSPACE",
        "id" | "me" | "session" | "token" => "strongroom whoami",
        "reset" | "recovery" | "rescue" => "strongroom recover",
        "login" | "signin" => "strongroom unlock",
        "logout" | "signout" | "close" => "strongroom lock",
        "stats" | "state" | "health" | "remote" => "strongroom status",
        "mirror" | "replicate" | "replica" | "replicas" | "depots" | "bucket" => "strongroom depot ls",
        "timers" | "cron" | "tasks" => "strongroom jobs ls",
        "manual" => "strongroom man",
        "help" => "strongroom --help",
        "compare" | "cmp" | "delta" | "changes" => "strongroom diff REF REF",
        "provenance" | "ancestry" | "dag" | "parents" | "graph" => "strongroom lineage show REF",
        "descendants" | "children" | "dependents" | "downstream" => "strongroom lineage impact REF",
        _ => return None,
    })
}

/// The same for a word below a command of ours.
pub fn below(parent: &str, word: &str) -> Option<&'static str> {
    Some(match (parent, word) {
        ("principal", "list" | "dir" | "all") => "strongroom principal ls",
        ("principal", "rm" | "remove" | "delete" | "del" | "disable" | "suspend" | "lock") => {
            "strongroom principal add NAME --change --suspended"
        }
        ("retention", "ls" | "list" | "show" | "get" | "status") => "strongroom retention report WORKSPACE[/ARTIFACT]",
        ("retention", "rm" | "remove" | "clear" | "unset" | "delete") => {
            "strongroom retention set WORKSPACE/ARTIFACT --keep-everything"
        }
        ("hold", "add" | "put" | "place" | "create" | "new") => "strongroom hold set REF NAME --reason TEXT",
        ("hold", "rm" | "remove" | "release" | "unset" | "delete" | "clear" | "end") => {
            "strongroom hold lift WORKSPACE/ARTIFACT NAME --reason TEXT"
        }
        ("hold", "list" | "show" | "get" | "status") => "strongroom hold ls WORKSPACE[/ARTIFACT]",
        ("principal", "revoke" | "ungrant") => "strongroom principal add NAME --change --revoke WORKSPACE",
        ("principal", "change" | "edit" | "set" | "update" | "modify" | "grant") => {
            "strongroom principal add NAME --change --grant WORKSPACE=ROLE"
        }
        ("principal", "new" | "create" | "invite") => "strongroom principal add NAME",
        ("key", "list" | "dir" | "all") => "strongroom key ls",
        ("key", "disable" | "pause" | "freeze" | "lock" | "revoke") => "strongroom key suspend ID --reason TEXT",
        ("key", "enable" | "unpause" | "activate" | "restore" | "unsuspend") => {
            "strongroom key resume ID --reason TEXT"
        }
        ("key", "deactivate" | "retire" | "shelve") => "strongroom key archive REF --reason TEXT",
        ("key", "unretire" | "dearchive") => "strongroom key unarchive REF --reason TEXT",
        ("key", "state" | "lifecycle") => "strongroom key states",
        ("key", "add" | "new" | "make" | "generate") => "strongroom key create WORKSPACE/NAME",
        ("key", "renew" | "rekey" | "roll") => "strongroom key rotate",
        ("policy", "ls" | "list" | "get" | "cat" | "dump") => "strongroom policy show",
        ("policy", "check" | "validate") => "strongroom policy lint",
        ("policy", "add" | "set" | "put" | "replace" | "update") => "strongroom policy apply FILE",
        ("policy", "why" | "can" | "ask") => "strongroom policy explain read REF",
        ("depot", "list" | "show" | "status") => "strongroom depot ls",
        ("depot", "new" | "create" | "attach" | "register") => "strongroom depot add DIR|URL",
        ("depot", "sync" | "mirror" | "replicate" | "push") => "strongroom depot copy",
        ("depot", "verify" | "fsck" | "scrub" | "repair" | "heal") => "strongroom depot check --repair",
        ("depot", "remove" | "delete" | "detach" | "retire") => "strongroom depot rm DEPOT",
        ("jobs", "list" | "show" | "status") => "strongroom jobs ls",
        ("jobs", "start" | "do" | "now") => "strongroom jobs run",
        ("alias", "list" | "dir" | "all") => "strongroom alias ls WORKSPACE/ARTIFACT",
        ("alias", "add" | "new" | "create" | "move" | "mv" | "update" | "point" | "put") => {
            "strongroom alias set REF NAME"
        }
        ("alias", "remove" | "delete" | "del" | "unset" | "drop") => "strongroom alias rm WORKSPACE/ARTIFACT NAME",
        ("alias", "log" | "show" | "reflog" | "past") => "strongroom alias history WORKSPACE/ARTIFACT NAME",
        ("lineage", "up" | "ancestors" | "parents" | "from" | "sources") => "strongroom lineage show REF",
        ("lineage", "down" | "descendants" | "children" | "usage") => "strongroom lineage impact REF",
        ("audit", "list" | "ls" | "log" | "last" | "newest") => "strongroom audit tail",
        ("audit", "search" | "find" | "filter") => "strongroom audit query",
        ("policy", "write" | "edit" | "create") => "strongroom policy apply FILE",
        ("policy", "read" | "fmt") => "strongroom policy show",
        ("audit", "enable" | "tailf" | "follow") => "strongroom audit tail",
        ("audit", "check" | "replay") => "strongroom audit verify",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{below, for_word};
    use crate::args::Cli;
    use clap::Parser as _;
    use std::path::{Path, PathBuf};

    #[test]
    fn words_of_other_tools_lead_to_ours_and_never_shadow_them() {
        for word in ["push", "pull", "upload", "download", "delete", "cp"] {
            assert!(for_word(word).is_some_and(|hint| hint.starts_with("strongroom ")), "{word}");
        }
        use clap::CommandFactory as _;
        for command in crate::args::Cli::command().get_subcommands() {
            assert_eq!(for_word(command.get_name()), None, "{}", command.get_name());
        }
    }

    /// What users of other tools type first, by tool.
    const HABITS: [(&str, &[&str]); 8] = [
        (
            "git",
            &[
                "add", "blame", "branch", "checkout", "clone", "commit", "diff", "fetch", "gc", "grep", "init", "log",
                "ls-files", "mv", "pull", "push", "reflog", "remote", "reset", "restore", "revert", "rm", "show",
                "status", "switch", "tag",
            ],
        ),
        ("aws s3", &["s3", "cp", "ls", "mb", "mv", "presign", "rb", "rm", "sync"]),
        (
            "dvc",
            &[
                "add",
                "checkout",
                "dag",
                "diff",
                "exp",
                "fetch",
                "gc",
                "get",
                "get-url",
                "import",
                "import-url",
                "init",
                "list",
                "mv",
                "pull",
                "push",
                "remote",
                "remove",
                "repro",
                "run",
                "stage",
                "status",
            ],
        ),
        (
            "restic",
            &[
                "backup",
                "cat",
                "check",
                "copy",
                "diff",
                "dump",
                "find",
                "forget",
                "init",
                "key",
                "list",
                "ls",
                "mount",
                "prune",
                "rebuild-index",
                "repair",
                "restore",
                "snapshots",
                "stats",
                "tag",
                "unlock",
                "version",
            ],
        ),
        (
            "vault",
            &[
                "audit", "auth", "delete", "kv", "lease", "list", "login", "operator", "policy", "read", "seal",
                "secrets", "status", "token", "transit", "unseal", "write",
            ],
        ),
        ("age, sops", &["encrypt", "decrypt", "edit", "rotate"]),
        ("mlflow, hubs", &["artifacts", "models", "register", "log-artifact", "upload", "download", "run", "login"]),
        ("shells", &["cat", "chmod", "cp", "find", "head", "less", "ls", "mkdir", "mv", "rm", "rmdir", "stat", "tail"]),
    ];

    #[test]
    fn every_habit_from_elsewhere_is_a_command_or_leads_to_one_that_parses() {
        use clap::CommandFactory as _;
        let ours: Vec<String> = Cli::command().get_subcommands().map(|c| c.get_name().to_owned()).collect();
        for (tool, words) in HABITS {
            for word in words {
                if ours.iter().any(|name| name == word) {
                    continue;
                }
                let hint = for_word(word).unwrap_or_else(|| panic!("{tool} {word} leads nowhere"));
                // A hint may name two commands; prose stands in brackets.
                for command in hint.split(" (").next().unwrap_or_default().split(", or ") {
                    let told = parses(command);
                    assert!(told.is_ok(), "{tool} {word}: `{command}`: {told:?}");
                }
            }
        }
    }

    #[test]
    fn words_below_a_command_lead_to_one_that_parses() {
        use clap::CommandFactory as _;
        let command = Cli::command();
        for (parent, words) in [
            ("principal", &["list", "rm", "revoke", "grant", "new"][..]),
            ("key", &["list", "add", "renew", "retire", "dearchive"]),
            ("policy", &["list", "read", "write", "validate", "why"]),
            ("jobs", &["list", "start"]),
            ("alias", &["list", "add", "delete", "reflog"]),
            ("audit", &["list", "enable", "search", "check"]),
        ] {
            let ours = command.find_subcommand(parent).unwrap();
            for word in words {
                assert!(ours.find_subcommand(word).is_none(), "{parent} {word}");
                let hint = below(parent, word).unwrap_or_else(|| panic!("{parent} {word} leads nowhere"));
                let told = parses(hint);
                assert!(told.is_ok(), "{parent} {word}: `{hint}`: {told:?}");
            }
        }
    }

    /// Every `strongroom ...` in a text of these crates, as far as it is a command: what follows a mark is prose.
    fn commands(line: &str) -> Vec<String> {
        let mut found = Vec::new();
        for (at, _) in line.match_indices("strongroom ") {
            let quoted = line.get(..at).is_some_and(|before| before.contains('"'));
            let command: String = line.chars().skip(at).take_while(|c| !"\"`,;(\\".contains(*c)).collect();
            let word = command.split(' ').nth(1).unwrap_or_default();
            if quoted && (word.starts_with("--") || word.chars().all(|c| c.is_ascii_lowercase() || c == '-')) {
                found.push(command.trim_end_matches([')', ' ', '\n']).to_owned());
            }
        }
        found
    }

    /// With something in the place of each placeholder and of what is formatted in.
    fn filled(command: &str) -> Vec<String> {
        let mut words = Vec::new();
        // Flags that may be formatted in.
        let command = &command.replace("{grant}", "").replace("{cleared}", "").replace("NAME{}", "NAME");
        for word in command.split_whitespace().filter(|word| *word != "...") {
            let word = match word {
                "SRC" | "FILE" | "DEST" | "'{}'" => "file",
                "WORKSPACE/ARTIFACT" | "REF" | "REF[/PATH]" | "[WORKSPACE|REF[/PREFIX]]" | "{reference}" => "lab/a",
                "NAME=REF" | "NAME=WORKSPACE/ARTIFACT" => "a=lab/a",
                "WORKSPACE=ROLE" | "WORKSPACE=writer" => "lab=reader",
                "KEY=VALUE" => "k=v",
                "WORKSPACE" => "lab",
                "CLASS" => "internal",
                "NAME" | "PRINCIPAL" | "COMMAND" | "{}" | "{who}" => "alice",
                "{action}" => "read",
                "{asked}" => "lab/a",
                other => other,
            };
            words.push(word.to_owned());
        }
        // What a `...` stands for.
        if command.contains("run ...") {
            words.extend(["--input", "data=lab/a", "--", "true"].map(str::to_owned));
        }
        if command.contains("put ...") {
            words.splice(2..2, ["file".to_owned(), "lab/a".to_owned()]);
        } else if command.ends_with(" ...") {
            words.push("lab/a".to_owned());
        }
        words
    }

    /// Whether the parser takes it, or prints help or the version.
    fn parses(command: &str) -> Result<(), clap::Error> {
        Cli::try_parse_from(filled(command)).map(|_| ()).or_else(|error| match error.kind() {
            clap::error::ErrorKind::DisplayHelp | clap::error::ErrorKind::DisplayVersion => Ok(()),
            _ => Err(error),
        })
    }

    fn sources(dir: &Path, into: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, into);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                into.push(path);
            }
        }
    }

    #[test]
    fn every_command_that_a_message_names_parses() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut files = Vec::new();
        for name in ["cli", "client", "keeper", "depot", "policy", "api"] {
            sources(&crates.join(name).join("src"), &mut files);
        }
        let mut seen = 0;
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
                for command in commands(line) {
                    let told = parses(&command);
                    assert!(told.is_ok(), "{}: `{command}`: {told:?}", file.display());
                    seen += 1;
                }
            }
        }
        assert!(seen > 40, "{seen} commands were found");
    }
}
