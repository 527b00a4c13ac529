//! Standard output: text for people, or JSON.

mod failure;
mod human;
mod printable;
mod style;

pub use failure::{Failure, refusal_text};
pub use human::{bytes_shown, table};
pub use printable::{json, printable};
pub use style::styled;

use crate::args::Format;
use serde::Serialize;
use std::io::{ErrorKind, IsTerminal as _, Write as _};

/// Where results go, and in which form.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    format: Format,
    quiet: bool,
    verbose: bool,
}

impl Output {
    /// As asked for.
    pub fn new(format: Format, quiet: bool, verbose: bool) -> Self {
        Self { format, quiet, verbose }
    }

    /// Whether results are JSON.
    pub fn is_json(&self) -> bool {
        matches!(self.format, Format::Json | Format::Jsonl)
    }

    /// Whether items go on lines of their own.
    pub fn is_lines(&self) -> bool {
        self.format == Format::Jsonl
    }

    /// Prints a result: its JSON under `kind`, or the text.
    pub fn result(&self, kind: &str, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Failure> {
        match self.format {
            Format::Auto | Format::Human => print(style::marked(&printable::lines(&text())).as_bytes()),
            Format::Json | Format::Jsonl => print(&line(&tagged(kind, value)?)),
        }
    }

    /// A result as a line of JSON.
    pub fn as_line(&self, kind: &str, value: &impl Serialize) -> Result<String, Failure> {
        Ok(json(&tagged(kind, value)?.to_string()))
    }

    /// Prints a list: one object with `key`, or each item on a line with `jsonl`, or the text.
    pub fn list(
        &self,
        kind: &str,
        value: &impl Serialize,
        key: &str,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        if self.format != Format::Jsonl {
            return self.result(kind, value, text);
        }
        let whole = tagged(kind, value)?;
        let items = whole.get(key).and_then(serde_json::Value::as_array).cloned().unwrap_or_default();
        for item in items {
            print(&line(&tagged(kind, &item)?))?;
        }
        match whole.get("next") {
            None | Some(serde_json::Value::Null) => Ok(()),
            Some(next) => print(&line(&serde_json::json!({"kind": "next", "next": next}))),
        }
    }

    /// Says something to the person at the terminal, on standard error; nothing with `-q` or JSON.
    pub fn say(&self, text: &str) {
        if !self.quiet && !self.is_json() {
            stderr(text);
        }
    }

    /// Says something with `-v` only.
    pub fn detail(&self, text: &str) {
        if self.verbose && !self.is_json() {
            stderr(text);
        }
    }

    /// Warns on standard error, also with `-q`.
    pub fn warn(&self, text: &str) {
        stderr(&format!("warning: {}", printable(text)));
    }
}

/// Whether somebody sits in front of it.
pub fn on_terminal() -> bool {
    std::io::stderr().is_terminal() && std::io::stdin().is_terminal()
}

/// Writes a line to standard error, with nothing in it that a terminal obeys; nobody can be told if that fails.
pub fn stderr(text: &str) {
    let text = style::with_heads(style::plain(&printable::lines(text)));
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Writes the parser's help to standard error.
pub fn usage(help: &clap::builder::StyledStr) {
    let _ = writeln!(std::io::stderr().lock(), "{}", style::styled_for(help, &std::io::stderr()).trim_end());
}

/// Writes bytes to standard output as they are: those of a file, or text that was made printable.
///
/// # Errors
/// [`Failure::Quiet`] when the reader is gone, which is no error of ours.
pub fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(bytes).and_then(|()| {
        let ended = bytes.is_empty() || bytes.last() == Some(&b'\n');
        if ended { Ok(()) } else { out.write_all(b"\n") }
    });
    written.and_then(|()| out.flush()).map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::Quiet,
        _ => Failure::from_io("cannot write to standard output", &error),
    })
}

/// The fields under `kind`. What a thing itself calls its kind (dataset, user) is its `type` here.
fn tagged(kind: &str, value: &impl Serialize) -> Result<serde_json::Value, Failure> {
    let mut object = serde_json::Map::from_iter([("kind".to_owned(), kind.into())]);
    match serde_json::to_value(value).map_err(|e| Failure::internal("cannot write JSON", &e))? {
        serde_json::Value::Object(fields) => {
            let renamed = |key: String| if key == "kind" { "type".to_owned() } else { key };
            object.extend(fields.into_iter().map(|(key, value)| (renamed(key), value)));
        }
        other => drop(object.insert("value".to_owned(), other)),
    }
    Ok(object.into())
}

fn line(value: &serde_json::Value) -> Vec<u8> {
    let mut bytes = json(&value.to_string()).into_bytes();
    bytes.push(b'\n');
    bytes
}
