//! Content that is no text: windows of 64 bytes that a rolling hash chooses.

use super::{Kind, Printer, has_distinct};

/// Bytes of a window, and of what the rolling hash remembers.
const WINDOW: usize = 64;
/// One position of so many is chosen: 2 to this.
const RATE_BITS: u32 = 8;

/// The prints of the windows that the content chooses.
pub(super) fn prints(printer: &Printer, bytes: &[u8], out: &mut dyn FnMut(Kind, u64)) {
    let bytes = bytes.get(header_len(bytes)..).unwrap_or_default();
    let mut hash = 0_u64;
    for (at, byte) in bytes.iter().enumerate() {
        hash = (hash << 1).wrapping_add(GEAR.get(usize::from(*byte)).copied().unwrap_or(0));
        if hash >> (64 - RATE_BITS) == 0 && at + 1 >= WINDOW {
            let window = bytes.get(at + 1 - WINDOW..=at).unwrap_or_default();
            if is_telling(window) {
                out(Kind::Window, printer.print(Kind::Window, window));
            }
        }
    }
}

/// What comes before the data and is the same for every file of one kind: the header of a safetensors file.
fn header_len(bytes: &[u8]) -> usize {
    let Some((len, rest)) = bytes.split_first_chunk::<8>() else { return 0 };
    let len = u64::from_le_bytes(*len);
    let is_header = rest.first() == Some(&b'{') && len < 1 << 27;
    if is_header { usize::try_from(len).map_or(0, |len| len.saturating_add(8)) } else { 0 }
}

/// Whether a window is one that unrelated files do not share: not text (names, headers), not one value over and over, not a sequence
/// that only counts.
fn is_telling(window: &[u8]) -> bool {
    let printable = window.iter().filter(|byte| matches!(byte, 32..=126 | b'\n' | b'\t')).count();
    if printable * 10 > window.len() * 6 || !has_distinct(window, 10) {
        return false;
    }
    let differs = |stride: usize| {
        let later = window.get(stride..).unwrap_or_default();
        let count = window.iter().zip(later).filter(|(a, b)| a != b).count();
        (count * 100).checked_div(later.len()).unwrap_or(0)
    };
    differs(1) > 20 && differs(2) > 52 && differs(4) > 27 && differs(8) > 15
}

/// One number for each byte, drawn once by a generator of numbers that nobody chose (SplitMix64 of 0).
const GEAR: [u64; 256] = {
    let mut table = [0; 256];
    let (mut at, mut state) = (0, 0_u64);
    while at < 256 {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        #[expect(clippy::indexing_slicing, reason = "below 256, and checked by the compiler")]
        {
            table[at] = mixed ^ (mixed >> 31);
        }
        at += 1;
    }
    table
};
