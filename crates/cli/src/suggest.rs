//! What users of other tools type, and what it is called here.

/// The hint for a word that is no command, if it is known from elsewhere.
pub fn for_word(word: &str) -> Option<&'static str> {
    Some(match word {
        "push" | "upload" | "add" | "store" | "save" | "import" | "encrypt" | "seal" | "commit" | "publish"
        | "backup" | "write" => "strongroom put SRC WORKSPACE/ARTIFACT",
        "pull" | "download" | "fetch" | "checkout" | "clone" | "restore" | "export" | "decrypt" | "extract"
        | "unseal" => "strongroom get REF DEST",
        "cp" | "copy" | "mv" | "move" | "sync" | "rsync" => {
            "strongroom put SRC WORKSPACE/ARTIFACT, or strongroom get REF DEST"
        }
        "read" | "open" | "head" | "stream" => "strongroom cat REF[/PATH]",
        "list" | "dir" | "find" | "tree" | "search" => "strongroom ls [WORKSPACE|REF[/PREFIX]]",
        "info" | "inspect" | "describe" | "stat" | "metadata" => "strongroom show REF",
        "log" | "versions" | "revisions" => "strongroom history REF, or strongroom audit tail",
        "events" | "journal" | "trail" => "strongroom audit tail",
        "check" | "fsck" | "scrub" => "strongroom verify --all",
        "prune" | "clean" | "cleanup" | "collect" => "strongroom gc",
        "delete" | "remove" | "del" | "destroy" | "forget" | "unlink" | "shred" | "erase" => "strongroom rm REF",
        "undo" | "unremove" | "undestroy" | "recycle" => "strongroom undelete REF",
        "expire" | "lifecycle" | "keep" | "ttl" => "strongroom retention set WORKSPACE/ARTIFACT --keep-last 5",
        "legal-hold" | "freeze" | "pin" => "strongroom hold set REF NAME --reason TEXT",
        "grant" | "invite" | "chmod" | "allow" => {
            "strongroom principal add NAME --grant WORKSPACE=ROLE --clearance CLASS"
        }
        "user" | "users" | "member" | "members" | "account" => "strongroom principal ls",
        "whocan" | "can" | "access" | "permissions" | "acl" => "strongroom who-can read REF",
        "whodid" | "blame" | "annotate" | "usage" | "accesses" => "strongroom who-did REF",
        "why" => "strongroom policy explain --as PRINCIPAL read REF",
        "rotate" | "rekey" | "keys" => "strongroom key rotate",
        "new" | "create" | "setup" | "initialize" => "strongroom init",
        "tag" | "label" | "promote" | "rollback" | "ln" | "branch" => "strongroom alias set REF NAME",
        "aliases" | "tags" | "reflog" => "strongroom alias ls WORKSPACE/ARTIFACT",
        "version" => "strongroom --version",
        "policies" | "rule" | "rules" => "strongroom policy show",
        "revoke" | "suspend" => "strongroom principal add NAME --change --revoke WORKSPACE",
        "id" | "me" | "session" => "strongroom whoami",
        "reset" | "recovery" | "rescue" => "strongroom recover",
        "login" | "signin" => "strongroom unlock",
        "logout" | "signout" | "close" => "strongroom lock",
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
        ("principal", "revoke" | "ungrant") => "strongroom principal add NAME --change --revoke WORKSPACE",
        ("principal", "change" | "edit" | "set" | "update" | "modify" | "grant") => {
            "strongroom principal add NAME --change --grant WORKSPACE=ROLE"
        }
        ("principal", "new" | "create" | "invite") => "strongroom principal add NAME",
        ("key", "list" | "dir" | "all") => "strongroom key ls",
        ("key", "add" | "new" | "create" | "renew" | "rekey" | "roll") => "strongroom key rotate",
        ("policy", "ls" | "list" | "get" | "cat" | "dump") => "strongroom policy show",
        ("policy", "check" | "validate") => "strongroom policy lint",
        ("policy", "add" | "set" | "put" | "replace" | "update") => "strongroom policy apply FILE",
        ("policy", "why" | "can" | "ask") => "strongroom policy explain read REF",
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
        ("audit", "check" | "replay") => "strongroom audit verify",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::for_word;
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
                "WORKSPACE=ROLE" | "WORKSPACE=writer" => "lab=reader",
                "KEY=VALUE" => "k=v",
                "WORKSPACE" => "lab",
                "CLASS" => "internal",
                "NAME" | "PRINCIPAL" | "{}" | "{who}" => "alice",
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
                    let parsed = Cli::try_parse_from(filled(&command));
                    let told = parsed.map(|_| ()).or_else(|error| match error.kind() {
                        clap::error::ErrorKind::DisplayHelp | clap::error::ErrorKind::DisplayVersion => Ok(()),
                        _ => Err(error),
                    });
                    assert!(told.is_ok(), "{}: `{command}`: {told:?}", file.display());
                    seen += 1;
                }
            }
        }
        assert!(seen > 40, "{seen} commands were found");
    }
}
