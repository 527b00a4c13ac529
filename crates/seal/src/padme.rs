//! Padmé padding: a length leaks O(log log n) bits at a cost of at most 12 % (`spec/format.md#padding`).
//!
//! Nikitin et al., *Reducing Metadata Leakage from Encrypted Files and Communication with PURBs*, section 4.

/// The padded length of `len` bytes.
///
/// Lengths of 2^63 and more stay as they are; nothing here is that long.
pub fn padded_len(len: u64) -> u64 {
    if len < 2 {
        return len;
    }
    let exponent = len.ilog2();
    let significant = exponent.ilog2() + 1;
    let mask = (1u64 << exponent.saturating_sub(significant)) - 1;
    len.checked_add(mask).map_or(len, |sum| sum & !mask)
}

/// Are totals padded? Yes for confidential and restricted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// The true length.
    None,
    /// Up to the next Padmé length.
    Padme,
}

impl Padding {
    /// What a classification asks for, by its number (0 public .. 3 restricted).
    pub fn for_class(class: u8) -> Self {
        if class >= 2 { Self::Padme } else { Self::None }
    }

    /// The padded length of `len` bytes.
    pub fn apply(self, len: u64) -> u64 {
        match self {
            Self::None => len,
            Self::Padme => padded_len(len),
        }
    }
}
