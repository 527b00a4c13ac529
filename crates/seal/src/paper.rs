//! Secrets as people copy them from paper: Crockford's base 32 in groups, each with a check of its own (`spec/keys.md#recovery`).

use zeroize::{Zeroize as _, Zeroizing};

/// Characters of a group: four that carry five bits each, then a check of these and of the group's place.
pub(crate) const GROUP_LEN: usize = DATA_LEN + 1;

const DATA_LEN: usize = 4;
/// No I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// What is wrong with what was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misread {
    /// Not so many groups of so many characters, or bits that must be zero are not.
    Form,
    /// A group whose check does not hold, from 1.
    Slip(usize),
}

/// How many groups so many bytes take.
pub(crate) const fn groups(len: usize) -> usize {
    (len * 8).div_ceil(DATA_LEN * 5)
}

/// Reads `len` bytes: in any case, with blanks and hyphens anywhere, `O` for 0 and `I` or `L` for 1. The caller bounds the text.
pub(crate) fn read(text: &[u8], len: usize) -> Result<Zeroizing<Vec<u8>>, Misread> {
    let mut values = Zeroizing::new(Vec::with_capacity(text.len()));
    for byte in text.iter().filter(|byte| !byte.is_ascii_whitespace() && **byte != b'-') {
        values.push(value_of(*byte).ok_or(Misread::Form)?);
    }
    if values.len() != groups(len) * GROUP_LEN {
        return Err(Misread::Form);
    }
    let mut bits = Bits::with_capacity(values.len());
    for (place, group) in values.chunks_exact(GROUP_LEN).enumerate() {
        let Some((check, data)) = group.split_last() else { return Err(Misread::Form) };
        if *check != check_of(place, data) {
            return Err(Misread::Slip(place + 1));
        }
        data.iter().for_each(|value| bits.push(*value));
    }
    bits.finish(len)
}

/// The bytes as groups with hyphens between them, `per_line` to a line.
pub(crate) fn shown(bytes: &[u8], per_line: usize) -> Zeroizing<String> {
    let count = groups(bytes.len());
    let mut text = Zeroizing::new(String::with_capacity(count * (GROUP_LEN + 1)));
    let bit = |at: usize| bytes.get(at / 8).is_some_and(|byte| (byte >> (7 - at % 8)) & 1 == 1);
    for place in 0..count {
        let mut data = Zeroizing::new([0_u8; DATA_LEN]);
        for (n, value) in data.iter_mut().enumerate() {
            let first = (place * DATA_LEN + n) * 5;
            *value = (first..first + 5).fold(0, |value, at| (value << 1) | u8::from(bit(at)));
        }
        if place > 0 {
            text.push(if place % per_line == 0 { '\n' } else { '-' });
        }
        for value in data.iter().copied().chain([check_of(place, data.as_slice())]) {
            text.push(ALPHABET.get(usize::from(value)).copied().unwrap_or(b'0').into());
        }
    }
    text
}

/// Values of five bits, put together to bytes.
struct Bits {
    bytes: Zeroizing<Vec<u8>>,
    held: u16,
    count: u32,
}

impl Bits {
    fn with_capacity(len: usize) -> Self {
        Self { bytes: Zeroizing::new(Vec::with_capacity(len)), held: 0, count: 0 }
    }

    fn push(&mut self, value: u8) {
        self.held = (self.held << 5) | u16::from(value);
        self.count += 5;
        if self.count >= 8 {
            self.count -= 8;
            self.bytes.push((self.held >> self.count) as u8);
            self.held &= (1 << self.count) - 1;
        }
    }

    /// What is behind the last bit of the bytes must be zeros.
    fn finish(mut self, len: usize) -> Result<Zeroizing<Vec<u8>>, Misread> {
        let spare = self.bytes.get(len..).unwrap_or_default().iter().any(|byte| *byte != 0);
        if self.held != 0 || spare || self.bytes.len() < len {
            return Err(Misread::Form);
        }
        self.bytes.truncate(len);
        Ok(std::mem::take(&mut self.bytes))
    }
}

impl Drop for Bits {
    fn drop(&mut self) {
        self.held.zeroize();
    }
}

fn value_of(byte: u8) -> Option<u8> {
    let letter = match byte.to_ascii_uppercase() {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        other => other,
    };
    ALPHABET.iter().position(|known| *known == letter).map(|at| at as u8)
}

/// The check of a group over GF(32), with x^5 + x^2 + 1: any one character, any two that changed places, and groups that did are found.
fn check_of(place: usize, data: &[u8]) -> u8 {
    let doubled = |value: u8| if value & 16 == 0 { value << 1 } else { ((value << 1) & 31) ^ 5 };
    let sum = data.iter().rev().fold(0, |sum, value| doubled(sum ^ value));
    sum ^ ((place + 1) % 32) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(len: usize) -> Vec<u8> {
        (0..len).map(|at| (at * 89 + 7) as u8).collect()
    }

    #[test]
    fn what_is_shown_reads_the_same_at_every_length() {
        for len in 1..=80 {
            let bytes = pattern(len);
            let text = shown(&bytes, 8);
            assert_eq!(text.split(['-', '\n']).count(), groups(len));
            assert!(text.lines().all(|line| line.len() < 8 * (GROUP_LEN + 1)));
            assert_eq!(*read(text.as_bytes(), len).unwrap(), bytes, "{len}");
        }
        assert_eq!((groups(32), groups(80)), (13, 32));
    }

    #[test]
    fn every_slip_of_one_character_is_found_in_its_group() {
        for len in [32, 80] {
            let text = shown(&pattern(len), usize::MAX);
            for (at, character) in text.bytes().enumerate().filter(|(_, byte)| *byte != b'-') {
                for other in ALPHABET.iter().filter(|other| **other != character) {
                    let mut typed = text.as_bytes().to_vec();
                    typed[at] = *other;
                    assert_eq!(read(&typed, len).err(), Some(Misread::Slip(at / (GROUP_LEN + 1) + 1)), "{at}");
                }
            }
        }
    }

    #[test]
    fn neighbours_and_groups_that_changed_places_are_found() {
        for len in [32, 80] {
            let text = shown(&pattern(len), usize::MAX);
            for at in 0..text.len() - 1 {
                let mut typed = text.as_bytes().to_vec();
                typed.swap(at, at + 1);
                let same = typed == text.as_bytes() || typed[at] == b'-' || typed[at + 1] == b'-';
                assert!(same || matches!(read(&typed, len), Err(Misread::Slip(_))), "{at}");
            }
            for a in 0..groups(len) {
                for b in a + 1..groups(len) {
                    let mut groups: Vec<&str> = text.split('-').collect();
                    groups.swap(a, b);
                    let found = read(groups.join("-").as_bytes(), len).err();
                    assert!(found == Some(Misread::Slip(a + 1)) || groups[a] == groups[b], "{a} {b}");
                }
            }
        }
    }

    #[test]
    fn bits_behind_the_last_byte_must_be_zero() {
        // 32 bytes leave four bits, 33 bytes sixteen: a spare byte and more.
        for (len, spares) in [(32, 1), (33, 2)] {
            for spare in 1..=255_u8 {
                let mut bytes = pattern(len);
                bytes.resize(len + spares, spare);
                if groups(len) == groups(len + spares) || spare & 0xf == 0 {
                    let text = shown(&bytes, usize::MAX);
                    let cut: Vec<&str> = text.split('-').take(groups(len)).collect();
                    assert_eq!(read(cut.join("-").as_bytes(), len).err(), Some(Misread::Form), "{len} {spare}");
                }
            }
        }
    }
}
