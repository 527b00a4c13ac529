//! Bash, which takes a word apart at `@`, `=` and `:` before a completion sees it.

use clap_complete::env::EnvCompleter;
use std::ffi::OsString;
use std::io::{Error, Write};
use std::path::Path;

/// As the parser's own, with the words of the line put together again.
#[derive(Debug)]
pub struct Bash;

/// Bash replaces what follows the last break in a word, so that an answer is cut there too.
const SCRIPT: &str = r#"_strongroom() {
    local rest=${COMP_LINE:0:COMP_POINT} at piece last answer breaks='' before=''
    local -a words=()
    COMPREPLY=()
    for ((at = 0; at <= COMP_CWORD; at++)); do
        piece=${COMP_WORDS[at]}
        if ((at == 0)) || [[ $rest == [[:blank:]]* ]]; then
            rest=${rest#"${rest%%[![:blank:]]*}"}
            words+=('')
        fi
        ((at < COMP_CWORD)) || piece=$rest
        last=$((${#words[@]} - 1))
        words[last]+=$piece
        rest=${rest#"$piece"}
    done
    for piece in @ = :; do
        [[ $COMP_WORDBREAKS != *"$piece"* ]] || breaks+=$piece
    done
    [[ -z $breaks ]] || before=${words[last]%"${words[last]##*[$breaks]}"}
    while IFS= read -r answer; do
        [[ -z $answer ]] || COMPREPLY+=("${answer#"$before"}")
    done < <(STRONGROOM_INDEX=$last VARIABLE=bash COMPLETER -- "${words[@]}" 2>/dev/null)
    if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[=/@] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -o bashdefault -F _strongroom BIN
"#;

impl EnvCompleter for Bash {
    fn name(&self) -> &'static str {
        "bash"
    }

    fn is(&self, name: &str) -> bool {
        name == "bash"
    }

    fn write_registration(
        &self,
        var: &str,
        _name: &str,
        bin: &str,
        completer: &str,
        buf: &mut dyn Write,
    ) -> Result<(), Error> {
        let script = SCRIPT.replace("VARIABLE", var).replace("COMPLETER", completer).replace("BIN", bin);
        buf.write_all(script.as_bytes())
    }

    fn write_complete(
        &self,
        cmd: &mut clap::Command,
        args: Vec<OsString>,
        current_dir: Option<&Path>,
        buf: &mut dyn Write,
    ) -> Result<(), Error> {
        let index = std::env::var("STRONGROOM_INDEX").ok().and_then(|index| index.parse().ok()).unwrap_or_default();
        for candidate in clap_complete::engine::complete(cmd, args, index, current_dir)? {
            let value = candidate.get_value().to_string_lossy();
            // A name of a file that has a line break is no line.
            if !value.contains('\n') {
                writeln!(buf, "{value}")?;
            }
        }
        Ok(())
    }
}
