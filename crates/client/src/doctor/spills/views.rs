//! What is in a file beside its bytes: strings of a notebook, rows of a table in HTML, bytes in base64, members of an archive.

use super::archive;
use super::look::Tally;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use seal::prints::Edges;
use zeroize::Zeroizing;

/// Shorter base64 is not decoded.
const MIN_BASE64_LEN: usize = 128;
/// Longer JSON is looked at as text: its tree would take several times as much memory.
const MAX_JSON_LEN: usize = 16 << 20;
/// How deep strings may hold what holds strings.
const MAX_DEPTH: u32 = 3;
/// Base64 with and without its padding.
const LAX: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Looks at what a file holds, besides the bytes as they are.
pub(super) fn inside(tally: &mut Tally<'_>, path: &[u8], bytes: &[u8]) {
    if archive::is_tar(bytes) {
        tally.holds_more();
        return archive::members(tally, bytes);
    }
    if path.ends_with(b".ipynb") {
        tally.holds_more();
    }
    let start = bytes.trim_ascii_start().first();
    let named = [&b".ipynb"[..], b".json", b".jsonl", b".ndjson"].iter().any(|end| path.ends_with(end));
    if bytes.len() <= MAX_JSON_LEN && (named || matches!(start, Some(b'{' | b'['))) {
        match serde_json::from_slice(bytes) {
            Ok(value) => strings(tally, &value),
            Err(_) if named => json_lines(tally, bytes),
            Err(_) => {}
        }
    }
    pasted(tally, bytes, 0);
}

fn json_lines(tally: &mut Tally<'_>, bytes: &[u8]) {
    let lines = bytes.split(|byte| *byte == b'\n');
    lines.filter_map(|line| serde_json::from_slice(line).ok()).for_each(|value| strings(tally, &value));
}

/// Every string of a JSON value; strings of an array are lines of one text, as notebooks write them.
fn strings(tally: &mut Tally<'_>, value: &serde_json::Value) {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            serde_json::Value::String(text) => string(tally, text.as_bytes()),
            serde_json::Value::Array(items) => {
                let lines: Vec<&str> = items.iter().filter_map(serde_json::Value::as_str).collect();
                if lines.len() == items.len() && !lines.is_empty() {
                    let ended = lines.first().is_some_and(|line| line.ends_with('\n'));
                    let text = Zeroizing::new(lines.join(if ended { "" } else { "\n" }));
                    string(tally, text.as_bytes());
                } else {
                    open.extend(items);
                }
            }
            serde_json::Value::Object(fields) => open.extend(fields.values()),
            _ => {}
        }
    }
}

fn string(tally: &mut Tally<'_>, text: &[u8]) {
    if text.len() >= 32 {
        tally.whole(text);
        tally.parts(text, Edges::WHOLE);
        pasted(tally, text, 0);
    }
}

/// Tables in HTML and bytes in base64, wherever they are pasted.
fn pasted(tally: &mut Tally<'_>, bytes: &[u8], depth: u32) {
    if memchr::memmem::find(bytes, b"<td").is_some() {
        tally.parts(&rows(bytes), Edges::WHOLE);
    }
    if depth >= MAX_DEPTH {
        return;
    }
    for run in base64_runs(bytes) {
        let decoded = Zeroizing::new(LAX.decode(run.as_slice()).unwrap_or_default());
        if decoded.len() >= 64 {
            tally.whole(&decoded);
            tally.parts(&decoded, Edges::WHOLE);
            pasted(tally, &decoded, depth + 1);
        }
    }
}

/// The rows of tables in HTML, one on a line, with tabs between cells.
fn rows(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    // Never longer, so it is never moved.
    let mut out = Zeroizing::new(Vec::with_capacity(bytes.len() + 1));
    let mut rest = bytes;
    let mut inside = false;
    while let Some((byte, after)) = rest.split_first() {
        if *byte != b'<' {
            if inside && !matches!(byte, b'\n' | b'\r' | b'\t') {
                out.push(*byte);
            }
            rest = after;
            continue;
        }
        let end = after.iter().position(|byte| *byte == b'>').unwrap_or(after.len());
        let tag = after.get(..end).unwrap_or_default().to_ascii_lowercase();
        rest = after.get(end + 1..).unwrap_or_default();
        match tag.get(..3).unwrap_or(&tag) {
            b"td" | b"td " | b"th" | b"th " => inside = true,
            b"/td" | b"/th" => {
                inside = false;
                out.push(b'\t');
            }
            b"/tr" => out.push(b'\n'),
            _ => {}
        }
    }
    // A tab before the end of a row is no cell.
    let mut clean = Zeroizing::new(Vec::with_capacity(out.len()));
    for line in out.split(|byte| *byte == b'\n') {
        clean.extend_from_slice(line.strip_suffix(b"\t").unwrap_or(line));
        clean.push(b'\n');
    }
    clean
}

/// Long runs of base64, line breaks inside them left out.
fn base64_runs(bytes: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let is_other = |byte: &u8| !is_digit(byte) && !matches!(byte, b'\n' | b'\r');
    let mut runs = Vec::new();
    let mut rest = bytes;
    // A long run has no other byte in its first stretch: behind the last one there, the next may begin.
    while let Some(stretch) = rest.get(..MIN_BASE64_LEN) {
        if let Some(last) = stretch.iter().rposition(is_other) {
            rest = rest.get(last + 1..).unwrap_or_default();
            continue;
        }
        let start = rest.iter().position(is_digit).unwrap_or(rest.len());
        let from = rest.get(start..).unwrap_or_default();
        let end = from.iter().position(is_other).unwrap_or(from.len());
        let run = from.get(..end).unwrap_or_default();
        if run.len() >= MIN_BASE64_LEN && is_dense(run) {
            let mut clean = Zeroizing::new(Vec::with_capacity(run.len()));
            clean.extend(run.iter().filter(|byte| is_digit(byte)));
            runs.push(clean);
        }
        rest = from.get(end.max(1)..).unwrap_or_default();
    }
    runs
}

/// Words on lines of their own are no base64: its lines are long and of one length.
fn is_dense(run: &[u8]) -> bool {
    let lines = run.split(|byte| *byte == b'\n').count();
    run.len() / lines >= 40
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Looking ahead finds what looking at each byte finds.
        #[test]
        fn long_runs_are_all_found(pieces in prop::collection::vec(("[A-Za-z0-9+/]{0,150}", "[\n\r]{0,2}[ \"=,.]{0,1}"), 0..12)) {
            let text: String = pieces.iter().map(|(run, between)| format!("{run}{between}")).collect();
            let is_other = |c: char| !c.is_ascii_alphanumeric() && !"+/\r\n".contains(c);
            let plain = text.split(is_other).map(|run| run.trim_start_matches(['\r', '\n']));
            let long = plain.filter(|run| run.len() >= MIN_BASE64_LEN && is_dense(run.as_bytes()));
            let expected: Vec<Vec<u8>> = long.map(|run| run.replace(['\r', '\n'], "").into_bytes()).collect();
            let found: Vec<Vec<u8>> = base64_runs(text.as_bytes()).iter().map(|run| run.to_vec()).collect();
            prop_assert_eq!(found, expected);
        }
    }

    /// What the fuzzer starts from holds what it is named for.
    #[test]
    fn the_seeds_of_the_fuzzer_are_looked_into() {
        let seeds = testkit::seeds::good("spills");
        assert!(seeds.len() >= 6);
        for seed in &seeds {
            let (first, rest) = seed.split_first().unwrap();
            super::super::looked_into(super::super::FUZZED[usize::from(*first)], rest);
        }
        let some = |has: &dyn Fn(&[u8]) -> bool| assert!(seeds.iter().any(|seed| has(&seed[1..])));
        some(&archive::is_tar);
        some(&|bytes| rows(bytes).len() > 20);
        some(&|bytes| !base64_runs(bytes).is_empty());
        some(&|bytes| serde_json::from_slice::<serde_json::Value>(bytes).is_ok());
    }

    #[test]
    fn rows_of_html_become_lines() {
        let html =
            b"<table><tr><th></th><th>a</th></tr>\n<tr>\n <th>0</th>\n <td style='x'>1.5</td><td>b c</td></tr></table>";
        assert_eq!(rows(html).as_slice(), b"\ta\n0\t1.5\tb c\n\n");
    }

    #[test]
    fn base64_is_found_in_lines_and_words_are_not() {
        let bytes: Vec<u8> = (0..=255).cycle().take(600).collect();
        let text = base64::engine::general_purpose::STANDARD.encode(&bytes);
        let wrapped: Vec<&str> = text.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
        for text in [format!("data:image/png;base64,{text}\""), format!("x = '{}'", wrapped.join("\n"))] {
            let runs = base64_runs(text.as_bytes());
            assert_eq!(runs.len(), 1);
            assert_eq!(LAX.decode(runs[0].as_slice()).unwrap(), bytes);
        }
        assert!(base64_runs("some\nwords\non\nlines\n".repeat(50).as_bytes()).is_empty());
    }
}
