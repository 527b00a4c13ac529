//! Colour, where somebody looks and wants it: `error:`, `warning:`, `try:`, heads of tables and of help. Nothing else.
//!
//! `NO_COLOR` takes it away everywhere, `CLICOLOR_FORCE` brings it into files and pipes, `CLICOLOR=0` and `TERM=dumb` take it from a
//! terminal. Colour is put on after everything else was made printable, so that no text of others brings its own.

use super::printable::{HEAD, HEAD_END};
use clap::builder::StyledStr;
use std::ffi::OsString;
use std::io::IsTerminal;

const BOLD: &str = "\u{1b}[1m";
const RED: &str = "\u{1b}[1;31m";
const YELLOW: &str = "\u{1b}[1;33m";
const GREEN: &str = "\u{1b}[1;32m";
const PLAIN: &str = "\u{1b}[0m";

/// Words at the beginning of a line of standard error, with their colour.
const HEADS: [(&str, &str); 3] = [("error:", RED), ("warning:", YELLOW), ("  try:", GREEN)];

/// The parser's help for standard output.
pub fn styled(help: &StyledStr) -> String {
    styled_for(help, &std::io::stdout())
}

/// The parser's help for one of the outputs.
pub fn styled_for(help: &StyledStr, to: &impl IsTerminal) -> String {
    if wanted(to) { help.ansi().to_string() } else { help.to_string() }
}

/// Text for standard output, with marked heads in bold, or plain.
pub fn marked(text: &str) -> String {
    if wanted(&std::io::stdout()) { text.replace(HEAD, BOLD).replace(HEAD_END, PLAIN) } else { plain(text) }
}

/// Text without marks.
pub fn plain(text: &str) -> String {
    text.replace([HEAD, HEAD_END], "")
}

/// Text for standard error, its heads in colour or not.
pub fn with_heads(text: String) -> String {
    if wanted(&std::io::stderr()) { colour_heads(&text) } else { text }
}

fn colour_heads(text: &str) -> String {
    let line = |line: &str| {
        let found = HEADS.iter().find_map(|(head, colour)| Some((head, colour, line.strip_prefix(head)?)));
        match found {
            Some((head, colour, rest)) => {
                let word = head.trim_start();
                let indent = head.strip_suffix(word).unwrap_or_default();
                format!("{indent}{colour}{word}{PLAIN}{rest}")
            }
            None => line.to_owned(),
        }
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

fn wanted(to: &impl IsTerminal) -> bool {
    chosen(|name| std::env::var_os(name), to.is_terminal())
}

/// As <https://no-color.org> and <https://bixense.com/clicolors> say.
fn chosen(variable: impl Fn(&str) -> Option<OsString>, terminal: bool) -> bool {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    if set("NO_COLOR").is_some() {
        return false;
    }
    if set("CLICOLOR_FORCE").is_some_and(|value| value != "0") {
        return true;
    }
    let able = set("TERM").is_some_and(|term| term != "dumb");
    terminal && able && set("CLICOLOR").is_none_or(|value| value != "0")
}

#[cfg(test)]
mod tests {
    use super::{chosen, colour_heads};
    use std::ffi::OsString;

    #[test]
    fn colour_is_for_terminals_and_for_who_wants_it() {
        for (variables, on_terminal, elsewhere) in [
            (&[("TERM", "xterm")][..], true, false),
            (&[], false, false),
            (&[("TERM", "dumb")], false, false),
            (&[("TERM", "xterm"), ("NO_COLOR", "1")], false, false),
            (&[("TERM", "xterm"), ("NO_COLOR", "")], true, false),
            (&[("TERM", "xterm"), ("CLICOLOR", "0")], false, false),
            (&[("CLICOLOR_FORCE", "1")], true, true),
            (&[("TERM", "dumb"), ("CLICOLOR_FORCE", "1")], true, true),
            (&[("TERM", "xterm"), ("CLICOLOR_FORCE", "0")], true, false),
            (&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false, false),
        ] {
            let variable =
                |name: &str| variables.iter().find(|(set, _)| *set == name).map(|(_, value)| OsString::from(value));
            assert_eq!((chosen(variable, true), chosen(variable, false)), (on_terminal, elsewhere), "{variables:?}");
        }
    }

    #[test]
    fn only_heads_at_the_beginning_of_a_line_have_colour() {
        let text = "error: an error: no [x]\n  why: try: it\n  try: strongroom ls\n";
        let shown = colour_heads(text);
        assert_eq!(
            shown,
            "\u{1b}[1;31merror:\u{1b}[0m an error: no [x]\n  why: try: it\n  \u{1b}[1;32mtry:\u{1b}[0m strongroom ls\n"
        );
    }
}
