//! Text: rows of tables, runs of cells, long lines, and three lines together.

use super::{Edges, For, Kind, Printer, has_distinct};
use zeroize::Zeroizing;

/// Rows shorter than this, in bytes of their cells, are shared by tables that have nothing to do with each other.
const MIN_ROW_LEN: usize = 20;
/// Different bytes that a row must have.
const MIN_ROW_DISTINCT: u32 = 6;
/// Rows of one form that make a table.
const MIN_RUN: usize = 3;
/// Cells of a run.
const CELLS: usize = 4;
/// Digits that a run of cells must have.
const MIN_DIGITS: usize = 10;
/// A line of this length is recognised by itself.
const LONG_LINE_LEN: usize = 100;
/// Lines shorter than this say nothing.
const MIN_LINE_LEN: usize = 12;
/// The longest line that is looked at.
const MAX_LINE_LEN: usize = 64 << 10;
/// The most cells of a row that are looked at.
const MAX_CELLS: usize = 4_096;
/// One run of cells of so many is looked at.
const CELLS_RATE: u64 = 4;

pub(super) fn prints(printer: &Printer, bytes: &[u8], edges: Edges, what_for: For, out: &mut dyn FnMut(Kind, u64)) {
    let mut lines =
        Lines { printer, what_for, run: Vec::new(), form: None, table: false, recent: [0; 3], known: 0, out };
    let mut rest = bytes;
    let mut first = true;
    while !rest.is_empty() {
        let end = memchr::memchr(b'\n', rest);
        let (line, next) = match end {
            Some(end) => (rest.get(..end).unwrap_or_default(), rest.get(end + 1..).unwrap_or_default()),
            None => (rest, &[][..]),
        };
        // A line that was cut is another line.
        let cut = (first && !edges.first) || (end.is_none() && !edges.last);
        if !cut && line.len() <= MAX_LINE_LEN {
            lines.take(line.trim_ascii());
        }
        first = false;
        rest = next;
    }
    lines.end_run();
}

/// The lines of a text, one after another.
struct Lines<'a> {
    printer: &'a Printer,
    what_for: For,
    /// Rows of one form that are not yet enough for a table, in their normal form.
    run: Vec<Row>,
    form: Option<Form>,
    /// There were enough: further rows of the form are rows of a table.
    table: bool,
    /// Prints of the last lines that said something.
    recent: [u64; 3],
    known: usize,
    out: &'a mut dyn FnMut(Kind, u64),
}

/// How a line is cut into cells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cut {
    At(u8),
    /// At white space, of one character or of two and more.
    AtSpace,
    AtSpaces,
    /// Not at all: one object of JSON on a line.
    Whole,
}

/// What the rows of a table have in common.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Form {
    cut: Cut,
    cells: usize,
}

/// A row in its normal form: cells without quotes and white space, numbers as they are written shortest, joined by zeros.
struct Row {
    text: Zeroizing<Vec<u8>>,
    /// Where each cell ends.
    ends: Vec<usize>,
    numbers: Vec<bool>,
}

impl Lines<'_> {
    fn take(&mut self, line: &[u8]) {
        if line.is_empty() {
            return;
        }
        match form_of(line) {
            Some(form) => self.row(line, form),
            None => {
                self.end_run();
                self.line(line);
            }
        }
    }

    fn row(&mut self, line: &[u8], form: Form) {
        if self.form != Some(form) {
            self.end_run();
            self.form = Some(form);
        }
        let row = Row::of(line, form.cut);
        if self.table {
            self.told(&row);
            return;
        }
        self.run.push(row);
        // One object of JSON is a row without others.
        let enough = if form.cut == Cut::Whole { 1 } else { MIN_RUN };
        if self.run.len() < enough {
            return;
        }
        self.table = true;
        self.known = 0;
        let run = std::mem::take(&mut self.run);
        // Names of columns begin tables that have nothing else in common.
        let head = enough > 1 && run.first().is_some_and(|row| !row.numbers.contains(&true));
        run.iter().skip(usize::from(head)).for_each(|row| self.told(row));
    }

    fn end_run(&mut self) {
        self.run.clear();
        self.form = None;
        self.table = false;
    }

    fn told(&mut self, row: &Row) {
        self.whole_row(row, 0);
        if self.what_for == For::Looking && row.ends.len() > 2 {
            self.whole_row(row, 1);
        }
        for first in 0..row.ends.len().saturating_sub(CELLS - 1) {
            let (text, digits) = row.part(first, first + CELLS);
            let numbers = row.numbers.get(first..first + CELLS).unwrap_or_default().iter().filter(|n| **n).count();
            let telling = numbers >= 2 && digits >= MIN_DIGITS && has_distinct(text, MIN_ROW_DISTINCT);
            if telling && quick(text).is_multiple_of(CELLS_RATE) {
                (self.out)(Kind::Cells, self.printer.print(Kind::Cells, text));
            }
        }
    }

    /// A row from one of its cells on.
    fn whole_row(&mut self, row: &Row, first: usize) {
        let (text, _) = row.part(first, row.ends.len());
        let len = text.iter().filter(|byte| **byte != 0).count();
        if len >= MIN_ROW_LEN && has_distinct(text, MIN_ROW_DISTINCT + 1) {
            (self.out)(Kind::Row, self.printer.print(Kind::Row, text));
        }
    }

    fn line(&mut self, line: &[u8]) {
        let starts: [&[u8]; 8] = [b"#", b"//", b"*", b"/*", b"--", b";", b"%", b"<!--"];
        if line.len() < MIN_LINE_LEN || !has_distinct(line, 8) || starts.iter().any(|start| line.starts_with(start)) {
            return;
        }
        let print = self.printer.print(Kind::Lines, line);
        if line.len() >= LONG_LINE_LEN {
            (self.out)(Kind::Row, self.printer.print(Kind::Row, line));
        }
        let [_, before, last] = self.recent;
        self.recent = [before, last, print];
        self.known = (self.known + 1).min(3);
        if self.known == 3 {
            let mut joined = [0; 24];
            for (to, print) in joined.chunks_exact_mut(8).zip(self.recent) {
                to.copy_from_slice(&print.to_be_bytes());
            }
            (self.out)(Kind::Lines, self.printer.print(Kind::Lines, &joined));
        }
    }
}

/// How a line is a row, if it looks like one.
fn form_of(line: &[u8]) -> Option<Form> {
    if line.starts_with(b"{") && (line.ends_with(b"}") || line.ends_with(b"},")) && line.len() >= 2 * MIN_ROW_LEN {
        return Some(Form { cut: Cut::Whole, cells: 1 });
    }
    let has = line.iter().fold(0, |has, byte| has | HAS.get(usize::from(*byte)).copied().unwrap_or(0));
    if has & DIGIT == 0 && line.len() < 2 * MIN_ROW_LEN {
        return None;
    }
    for (separator, bit) in SEPARATORS {
        let cut = Cut::At(separator);
        if has & bit != 0 && cut.cells(line).nth(2).is_some() {
            // What looks like a call or an assignment is code, of which unrelated programs share lines.
            let is_code = separator != b'\t' && has & CODE != 0;
            let is_row = !is_code || (has & DIGIT != 0 && cut.cells(line).any(|cell| is_number(cell.trim_ascii())));
            return is_row.then(|| Form { cut, cells: cut.cells(line).count() });
        }
    }
    if has & SPACE == 0 {
        return None;
    }
    let spaced = Cut::AtSpaces.cells(line).count();
    if spaced >= 3 {
        return Some(Form { cut: Cut::AtSpaces, cells: spaced });
    }
    let words = Cut::AtSpace.cells(line);
    let (mut cells, mut numbers) = (0, 0);
    for word in words {
        cells += 1;
        numbers += usize::from(is_number(word));
    }
    (cells >= 4 && numbers * 2 >= cells).then_some(Form { cut: Cut::AtSpace, cells })
}

/// Separators of cells, the likeliest first, with their bits in [`HAS`].
const SEPARATORS: [(u8, u8); 4] = [(b'\t', 1), (b',', 2), (b';', 4), (b'|', 8)];
const DIGIT: u8 = 16;
const SPACE: u8 = 32;
const CODE: u8 = 64;

/// What a byte is, for a line to be read once.
const HAS: [u8; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        let separator = match byte {
            b'\t' => 1,
            b',' => 2,
            b';' => 4,
            b'|' => 8,
            _ => 0,
        };
        let digit = if byte.is_ascii_digit() { DIGIT } else { 0 };
        let space = if byte.is_ascii_whitespace() { SPACE } else { 0 };
        let code = if matches!(byte, b'(' | b'=' | b'{') { CODE } else { 0 };
        #[expect(clippy::indexing_slicing, reason = "below 256, and checked by the compiler")]
        {
            table[at] = separator | digit | space | code;
        }
        at += 1;
    }
    table
};

impl Cut {
    fn cells(self, line: &[u8]) -> impl Iterator<Item = &[u8]> {
        let mut rest = Some(line);
        std::iter::from_fn(move || {
            let now = rest?;
            let (end, next) = match self {
                Self::Whole => (now.len(), None),
                Self::At(separator) => split(now, outside_quotes(now, separator), 1),
                Self::AtSpace => split(now, now.iter().position(u8::is_ascii_whitespace), 1),
                Self::AtSpaces => split(now, now.windows(2).position(|two| two.iter().all(u8::is_ascii_whitespace)), 2),
            };
            rest = match self {
                Self::AtSpace | Self::AtSpaces => next.map(<[u8]>::trim_ascii_start),
                _ => next,
            };
            now.get(..end)
        })
        .take(MAX_CELLS)
    }
}

/// Where a separator is first that no quotes enclose.
fn outside_quotes(bytes: &[u8], separator: u8) -> Option<usize> {
    let mut quoted = false;
    bytes.iter().position(|byte| {
        quoted ^= *byte == b'"';
        *byte == separator && !quoted
    })
}

fn split(bytes: &[u8], at: Option<usize>, len: usize) -> (usize, Option<&[u8]>) {
    match at {
        Some(at) => (at, bytes.get(at + len..)),
        None => (bytes.len(), None),
    }
}

impl Row {
    fn of(line: &[u8], cut: Cut) -> Self {
        // Normal forms are never longer, so the buffer is never moved.
        let mut row =
            Self { text: Zeroizing::new(Vec::with_capacity(line.len() + 1)), ends: Vec::new(), numbers: Vec::new() };
        for cell in cut.cells(line) {
            let cell = cell.trim_ascii();
            let bare = cell.strip_prefix(b"\"").and_then(|cell| cell.strip_suffix(b"\"")).unwrap_or(cell).trim_ascii();
            let number = is_number(bare);
            row.text.extend_from_slice(if number { shortest(bare) } else { bare });
            row.text.push(0);
            row.ends.push(row.text.len());
            row.numbers.push(number);
        }
        row
    }

    /// The text of some of its cells, and how many digits are in them.
    fn part(&self, first: usize, end: usize) -> (&[u8], usize) {
        let from = first.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let to = end.checked_sub(1).and_then(|last| self.ends.get(last)).copied().unwrap_or(0);
        let text = self.text.get(from..to).unwrap_or_default();
        (text, text.iter().filter(|byte| byte.is_ascii_digit()).count())
    }
}

fn is_number(cell: &[u8]) -> bool {
    let fits = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E');
    cell.len() < 40 && cell.iter().all(fits) && cell.iter().any(u8::is_ascii_digit)
}

/// A number as it is written shortest: without a plus, without zeros that end a fraction.
fn shortest(number: &[u8]) -> &[u8] {
    let number = number.strip_prefix(b"+").unwrap_or(number);
    if !number.contains(&b'.') || number.iter().any(|byte| matches!(byte, b'e' | b'E')) {
        return number;
    }
    let zeros = number.iter().rev().take_while(|byte| **byte == b'0').count();
    let cut = number.get(..number.len() - zeros).unwrap_or(number);
    cut.strip_suffix(b".").unwrap_or(cut)
}

/// A number that equal bytes share, to choose by.
fn quick(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in bytes {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash ^ (hash >> 32)
}
