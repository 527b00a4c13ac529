//! One share: 80 bytes that say what it is of, as 32 groups for paper.

use std::fmt::Write as _;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Error, Terms};
use crate::label::{Context, Label};
use crate::paper::{self, Misread};
use crate::secret::{KEY_LEN, ShareKey};
use crate::{Id, Suite, derive, hash};

/// Groups of a share.
pub const SHARE_GROUPS: usize = paper::groups(SHARE_LEN);
/// The longest text that is looked at, with its comment and what people put between groups.
pub const MAX_TEXT_LEN: usize = 4_096;

const VERSION: u8 = 1;
const SHARE_LEN: usize = BODY_LEN + CHECKSUM_LEN;
/// Version, vault, root, generation, time, threshold, shares, number, the share.
const BODY_LEN: usize = 1 + 16 + 16 + 2 + 6 + 3 + KEY_LEN;
const CHECKSUM_LEN: usize = 4;
const GROUPS_PER_LINE: usize = 8;
/// A line that begins with it is for people.
const COMMENT: u8 = b'#';

/// One share of an escrow's seed, and what it is of.
pub struct Share {
    terms: Terms,
    number: u8,
    key: ShareKey,
}

impl std::fmt::Debug for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Share({} of {}, ..)", self.number, self.terms.shares)
    }
}

impl Share {
    pub(super) fn new(terms: Terms, number: u8, key: ShareKey) -> Self {
        Self { terms, number, key }
    }

    /// What it says it is of. Only [`super::Escrow::check`] proves it.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Its number, from 1.
    pub fn number(&self) -> u8 {
        self.number
    }

    pub(super) fn key(&self) -> &ShareKey {
        &self.key
    }

    /// Reads a share as it was shown or as people type it: in any case, with blanks and hyphens anywhere, `O` for 0 and `I` or `L` for 1.
    /// Lines that begin with `#` are left out: nothing in them counts.
    ///
    /// # Errors
    /// [`Error::Long`], [`Error::Form`], [`Error::Slip`] with the first group that has one, [`Error::Checksum`], [`Error::Version`].
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        if text.len() > MAX_TEXT_LEN {
            return Err(Error::Long);
        }
        let mut typed = Zeroizing::new(Vec::with_capacity(MAX_TEXT_LEN + 1));
        for line in text.split(|byte| *byte == b'\n').filter(|line| line.trim_ascii().first() != Some(&COMMENT)) {
            typed.extend_from_slice(line);
        }
        let bytes = paper::read(&typed, SHARE_LEN).map_err(|error| match error {
            Misread::Form => Error::Form,
            Misread::Slip(group) => Error::Slip(group),
        })?;
        Self::decode(&bytes)
    }

    /// The text of a share: a comment for people, then the groups.
    ///
    /// # Security
    /// With as many of them as are needed the vault opens. Each belongs to another person, and to no disk of the vault.
    pub fn expose_text(&self) -> Zeroizing<String> {
        let Terms { vault, root, generation, made_ms, threshold, shares } = self.terms;
        let mut text = Zeroizing::new(String::with_capacity(MAX_TEXT_LEN));
        let (vault, root, day) = (hex(&vault), hex(&root), date(made_ms));
        let groups = paper::shown(&self.encode(), GROUPS_PER_LINE);
        let _ = writeln!(
            text,
            "# strongroom escrow: share {} of {shares}; any {threshold} of them open the vault",
            self.number
        );
        let _ = writeln!(text, "# vault {vault}, escrow {generation} ({root}), made {day}");
        let _ = writeln!(text, "# keep it secret, and apart from the others");
        let _ = writeln!(text, "{}", groups.as_str());
        text
    }

    /// What the vault keeps of it: nobody finds the share by it, and no other share has it.
    pub(super) fn commitment(&self, suite: Suite) -> Result<[u8; 32], Error> {
        let terms = &self.terms;
        let info = Context::new(Label::EscrowShare, suite)
            .field(&terms.vault)
            .field(&terms.root)
            .field(&terms.generation.to_be_bytes())
            .field(&terms.made())
            .field(&[terms.threshold, terms.shares, self.number])
            .into_bytes();
        let mut out = [0; 32];
        derive::expand(self.key.expose_bytes(), &info, &mut out)?;
        Ok(out)
    }

    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let terms = &self.terms;
        let mut bytes = Zeroizing::new(Vec::with_capacity(SHARE_LEN));
        bytes.push(VERSION);
        bytes.extend_from_slice(&terms.vault);
        bytes.extend_from_slice(&terms.root);
        bytes.extend_from_slice(&terms.generation.to_be_bytes());
        bytes.extend_from_slice(&terms.made());
        bytes.extend_from_slice(&[terms.threshold, terms.shares, self.number]);
        bytes.extend_from_slice(self.key.expose_bytes());
        let checksum = checksum(&bytes);
        bytes.extend_from_slice(&checksum);
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let (body, found) = bytes.split_at_checked(BODY_LEN).ok_or(Error::Form)?;
        match body.first() {
            Some(&VERSION) => {}
            other => return Err(other.map_or(Error::Form, |version| Error::Version(*version))),
        }
        if !bool::from(checksum(body).as_slice().ct_eq(found)) {
            return Err(Error::Checksum);
        }
        let mut fields = Fields(body);
        let [_] = fields.next()?;
        let (vault, root): (Id, Id) = (fields.next()?, fields.next()?);
        let generation = u16::from_be_bytes(fields.next()?);
        let made: [u8; 6] = fields.next()?;
        let made_ms = made.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
        let [threshold, shares, number] = fields.next()?;
        let terms = Terms { vault, root, generation, made_ms, threshold, shares };
        if !terms.is_bounded() || !(1..=shares).contains(&number) {
            return Err(Error::Form);
        }
        let key = ShareKey::from_slice(fields.0).map_err(|_| Error::Form)?;
        Ok(Self { terms, number, key })
    }
}

/// Fields of known lengths, one after the other.
struct Fields<'b>(&'b [u8]);

impl Fields<'_> {
    fn next<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (field, rest) = self.0.split_first_chunk().ok_or(Error::Form)?;
        self.0 = rest;
        Ok(*field)
    }
}

/// Finds what slipped in several places; it is no authentication.
pub(super) fn checksum(body: &[u8]) -> [u8; CHECKSUM_LEN] {
    let label = Label::EscrowChecksum.text().as_bytes();
    // LP, without a copy of the share: both are shorter than 256 bytes.
    let [a, b, c, d, ..] = hash::sha256(&[&[0, label.len() as u8], label, &[0, body.len() as u8], body]);
    [a, b, c, d]
}

fn hex(id: &Id) -> String {
    id.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The day in UTC, as `2026-11-22`.
fn date(made_ms: u64) -> String {
    // Years from March, in eras of 400: the 29 February is the last day of its year. 719,468 days before 1970 the first era began.
    let days = made_ms / 86_400_000 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month_of_year) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = era * 400 + year + u64::from(month_of_year <= 2);
    format!("{year:04}-{month_of_year:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn days_are_those_of_the_calendar() {
        const DAY: u64 = 86_400_000;
        for (made_ms, shown) in [
            (0, "1970-01-01"),
            (58 * DAY, "1970-02-28"),
            (59 * DAY, "1970-03-01"),
            (951_782_400_000, "2000-02-29"),
            (951_868_800_000, "2000-03-01"),
            (1_795_305_599_999, "2026-11-21"),
            (1_795_305_600_000, "2026-11-22"),
            (4_107_456_000_000, "2100-02-28"),
            (4_107_542_400_000, "2100-03-01"),
            (super::super::MAX_MADE_MS, "9999-12-31"),
        ] {
            assert_eq!(date(made_ms), shown);
        }
    }
}
