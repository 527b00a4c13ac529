//! Text for people.

use super::printable::{HEAD, HEAD_END, printable};

/// Columns of equal width; the last one runs free. Control characters are shown, never sent to the terminal.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
    let mut widths: Vec<usize> = head.iter().map(|h| h.chars().count()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    let head = head.iter().map(|h| h.to_uppercase()).collect::<Vec<_>>();
    for row in std::iter::once(&head).chain(&rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count()) + 2));
        }
        let line = line.trim_end();
        if out.is_empty() {
            out.extend([HEAD].into_iter().chain(line.chars()).chain([HEAD_END]));
        } else {
            out.push_str(line);
        }
        out.push('\n');
    }
    out
}

/// `1.5 MiB`.
pub fn bytes_shown(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = "KiB";
    for next in UNITS.into_iter().skip(1) {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    format!("{value:.1} {unit}")
}

#[cfg(test)]
mod tests {
    use super::{bytes_shown, table};

    #[test]
    fn columns_line_up_and_control_characters_are_shown() {
        let text = table(&["name", "size"], &[vec!["a\x1b[31m".into(), "1".into()], vec!["long".into(), "22".into()]]);
        assert_eq!(text, "\u{fdd0}NAME         SIZE\u{fdd1}\na\\u{1b}[31m  1\nlong         22\n");
    }

    #[test]
    fn sizes_have_a_unit() {
        assert_eq!(
            [bytes_shown(0), bytes_shown(1023), bytes_shown(1536), bytes_shown(u64::MAX)],
            ["0 B", "1023 B", "1.5 KiB", "16.0 EiB"]
        );
    }
}
