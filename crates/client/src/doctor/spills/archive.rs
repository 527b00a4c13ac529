//! Archives: members of a tar are looked at one by one; what is compressed is not opened, and said.

use super::look::Tally;
use seal::prints::Edges;

/// Bytes of a header, and what lengths are rounded up to.
const BLOCK: usize = 512;

/// Whether content is a tar archive.
pub(super) fn is_tar(bytes: &[u8]) -> bool {
    bytes.get(257..262) == Some(b"ustar")
}

/// Looks at each member of a tar archive.
pub(super) fn members(tally: &mut Tally<'_>, bytes: &[u8]) {
    let mut rest = bytes;
    while let Some((header, after)) = rest.split_at_checked(BLOCK) {
        let Some(len) = header.get(124..136).and_then(octal) else { return };
        let Some(member) = after.get(..len) else { return };
        if len > 0 {
            tally.whole(member);
            tally.parts(member, Edges::WHOLE);
        }
        let Some(next) = after.get(len.next_multiple_of(BLOCK)..) else { return };
        rest = next;
    }
}

fn octal(field: &[u8]) -> Option<usize> {
    let digits = field.trim_ascii_start();
    let end = digits.iter().position(|byte| !(b'0'..=b'7').contains(byte)).unwrap_or(digits.len());
    let text = std::str::from_utf8(digits.get(..end)?).ok()?;
    if text.is_empty() { Some(0) } else { usize::from_str_radix(text, 8).ok() }
}

/// What a file is that is not opened: compressed, or git's own.
pub(super) fn not_opened(path: &[u8], start: &[u8]) -> Option<&'static str> {
    let in_objects = path.windows(9).any(|part| part == b"/objects/");
    let named = |ends: &[&[u8]]| ends.iter().any(|end| path.ends_with(end));
    match start {
        [b'P', b'A', b'C', b'K', ..] if in_objects => Some("git packs, which are compressed"),
        [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] if in_objects => Some("git objects, which are compressed"),
        [0x1f, 0x8b, ..] => Some("gzip files"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("zstd files"),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => Some("xz files"),
        [b'B', b'Z', b'h', ..] => Some("bzip2 files"),
        [b'7', b'z', 0xbc, 0xaf, ..] => Some("7z archives"),
        [b'P', b'K', 3, 4, rest @ ..] if rest.get(4..6) != Some(&[0, 0]) => Some("compressed members of zip archives"),
        [b'P', b'A', b'R', b'1', ..] | [b'A', b'R', b'R', b'O', b'W', b'1', ..] => {
            Some("columns of Parquet and Arrow files that were written anew")
        }
        _ if named(&[b".lz4", b".br", b".snappy"]) => Some("lz4, brotli and snappy files"),
        _ => None,
    }
}
