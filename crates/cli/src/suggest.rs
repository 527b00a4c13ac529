//! What users of other tools type, and what it is called here.

/// The hint for a word that is no command, if it is known from elsewhere.
pub fn for_word(word: &str) -> Option<&'static str> {
    Some(match word {
        "push" | "upload" | "add" | "store" | "save" | "import" | "encrypt" | "seal" | "commit" | "publish"
        | "backup" => "strongroom put SRC WORKSPACE/ARTIFACT",
        "pull" | "download" | "fetch" | "checkout" | "clone" | "restore" | "export" | "decrypt" | "extract" => {
            "strongroom get REF DEST"
        }
        "cp" | "copy" | "mv" | "move" | "sync" | "rsync" => {
            "strongroom put SRC WORKSPACE/ARTIFACT, or strongroom get REF DEST"
        }
        "read" | "open" | "head" | "stream" => "strongroom cat REF[/PATH]",
        "list" | "dir" | "find" | "tree" | "search" => "strongroom ls [WORKSPACE|REF[/PREFIX]]",
        "info" | "inspect" | "describe" | "stat" | "metadata" => "strongroom show REF",
        "log" | "versions" | "revisions" => "strongroom history REF, or strongroom audit tail",
        "events" | "journal" | "trail" => "strongroom audit tail",
        "check" | "fsck" | "scrub" | "doctor" => "strongroom verify --all",
        "prune" | "clean" | "cleanup" | "collect" => "strongroom gc",
        "delete" | "remove" | "rm" | "del" | "destroy" | "forget" => {
            "strongroom history REF (a version is immutable; strongroom gc removes what no version needs)"
        }
        "share" | "grant" | "invite" | "chmod" | "allow" => {
            "strongroom principal add NAME --grant WORKSPACE=ROLE --clearance CLASS"
        }
        "user" | "users" | "member" | "members" | "account" => "strongroom principal ls",
        "who-can" | "can" | "why" | "access" => "strongroom policy explain --as PRINCIPAL read REF",
        "rotate" | "rekey" | "keys" => "strongroom key rotate",
        "new" | "create" | "setup" | "initialize" => "strongroom init",
        "tag" | "alias" | "label" => "strongroom put ... --tag KEY=VALUE --alias NAME",
        "version" => "strongroom --version",
        "help" => "strongroom --help",
        "diff" | "compare" => "strongroom history REF",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::for_word;

    #[test]
    fn words_of_other_tools_lead_to_ours_and_never_shadow_them() {
        for word in ["push", "pull", "upload", "download", "delete", "share", "cp"] {
            assert!(for_word(word).is_some_and(|hint| hint.starts_with("strongroom ")), "{word}");
        }
        use clap::CommandFactory as _;
        for command in crate::args::Cli::command().get_subcommands() {
            assert_eq!(for_word(command.get_name()), None, "{}", command.get_name());
        }
    }
}
