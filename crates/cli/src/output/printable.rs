//! What a terminal must not get from file names, tags, errors and everything else that others wrote.
//!
//! Names and texts of a vault come from whoever may write to it. A terminal obeys escape sequences, and an invisible or reordering
//! character makes a line look like another one: all of them are shown as `\u{..}`.

/// Text for one line: nothing in it moves the cursor, changes what was printed or looks like another line.
pub fn printable(text: &str) -> String {
    escaped(text, &[])
}

/// Text of several lines, as this program lays them out. What others wrote went through [`printable`] before, so that its line breaks
/// are not taken for ours, nor its marks of a head.
pub fn lines(text: &str) -> String {
    escaped(text, &['\n', '\t', HEAD, HEAD_END])
}

/// Where the head of a table begins, until it is printed; a character that Unicode keeps for such use and that no text has.
pub const HEAD: char = '\u{fdd0}';
/// Where it ends.
pub const HEAD_END: char = '\u{fdd1}';

/// JSON whose strings mean the same and are safe to look at: JSON has its own way to write such a character.
pub fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut units = [0; 2];
    for c in text.chars() {
        // Outside of strings there are only line breaks, which pretty-printed JSON has.
        if is_hidden(c) && c != '\n' {
            c.encode_utf16(&mut units).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        } else {
            out.push(c);
        }
    }
    out
}

fn escaped(text: &str, kept: &[char]) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) && !kept.contains(&c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Control characters (C0, DEL, C1), line and paragraph separators, and what reorders, hides or tags text without a glyph of its own.
/// Joiners stay: scripts and emoji need them.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fdd0}'..='\u{fdef}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::{json, lines, printable};

    const SLY: &str = "a\u{1b}[31m\u{9b}2J\r\u{7}\u{8}\u{7f}\u{202e}txt\u{2066}\u{200b}\u{feff}\u{2028}\u{e0041}\0z";

    #[test]
    fn nothing_that_a_terminal_obeys_comes_through() {
        for shown in [printable(SLY), lines(SLY), json(SLY)] {
            assert!(shown.chars().all(|c| c.is_ascii_graphic() || c == ' '), "{shown:?}");
            assert!(shown.starts_with('a') && shown.ends_with('z'), "{shown}");
        }
        assert_eq!(printable("a\nb\tc\u{1b}"), "a\\nb\\tc\\u{1b}");
        assert_eq!(lines("a\nb\tc\u{1b}"), "a\nb\tc\\u{1b}");
    }

    #[test]
    fn the_mark_of_a_head_is_shown_in_what_others_wrote() {
        assert_eq!(printable("a\u{fdd0}b\u{fdd1}"), "a\\u{fdd0}b\\u{fdd1}");
        assert_eq!(json("\"\u{fdd0}\""), "\"\\ufdd0\"");
    }

    #[test]
    fn text_of_every_script_stays_as_it_is() {
        for text in ["plain", "Ümläut ß", "日本語", "العربية", "می‌خواهم", "👩‍💻", "a b", "quote's \"x\" \\ back"]
        {
            assert_eq!((printable(text).as_str(), lines(text).as_str(), json(text).as_str()), (text, text, text));
        }
    }

    #[test]
    fn json_means_the_same() {
        let value = serde_json::json!({"name": SLY, "\u{202e}": ["\u{9b}", "\n"]});
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let shown = json(&text);
            assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
            assert!(!shown.contains(['\u{9b}', '\u{202e}', '\u{1b}']));
        }
    }
}
