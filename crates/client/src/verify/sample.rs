//! Which part of the segments a sample reads, and what it says of the rest.
//!
//! Each unit of a segment is read or left by a lot of its own, drawn when it is met: a depot that answers cannot know what will be
//! asked, so damage that it does on purpose is met as surely as damage by chance.

use crate::fault;
use api::wire::Problem;
use seal::segment::SegmentInfo;
use std::ops::Range;

/// Groups of a unit: 1 MiB.
const UNIT_GROUPS: u64 = 16;
/// Lots drawn at a time.
const DRAWN: usize = 4_096;
/// Damaged shares of the segments' bytes for which the report says how likely they were missed.
const DAMAGED: [f64; 3] = [0.001, 0.01, 0.1];
const MILLION: f64 = 1e6;

/// A part of a whole, more than nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// In millionths.
    millionths: u32,
}

impl Share {
    /// What the job reads.
    pub const OF_THE_JOB: Self = Self { millionths: 50_000 };

    /// So many millionths: 1 to 1,000,000.
    #[must_use]
    pub const fn of_millionths(millionths: u32) -> Option<Self> {
        if 0 < millionths && millionths <= 1_000_000 { Some(Self { millionths }) } else { None }
    }

    fn as_f64(self) -> f64 {
        f64::from(self.millionths) / MILLION
    }
}

/// What a sample covered.
#[derive(Debug, Clone, serde::Serialize)]
pub struct SampleReport {
    /// The chance of each part to be read.
    pub share: f64,
    /// Bytes of the segments.
    pub bytes: u64,
    /// Of these, read.
    pub covered: u64,
    /// How likely damage was missed.
    pub missed: Vec<Missed>,
}

/// The chance that damage was not met.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Missed {
    /// The damaged share of the segments' bytes.
    pub damaged: f64,
    /// At most so likely none of it was read.
    pub probability: f64,
}

/// A sample being drawn.
pub(crate) struct Sample {
    share: Share,
    lots: Vec<u8>,
    bytes: u64,
    covered: u64,
    /// The longest unit that was met, in bytes.
    unit: u64,
}

impl Sample {
    pub(crate) fn of(share: Share) -> Self {
        Self { share, lots: Vec::new(), bytes: 0, covered: 0, unit: 0 }
    }

    /// The units of a segment that are read.
    pub(crate) fn choose(&mut self, info: &SegmentInfo) -> Result<Vec<Range<u64>>, Problem> {
        let mut chosen = Vec::new();
        for step in super::steps(info, UNIT_GROUPS) {
            let len = super::sealed_len(info, &step);
            self.bytes += len;
            self.unit = self.unit.max(len);
            if self.lot()? {
                self.covered += len;
                chosen.push(step);
            }
        }
        Ok(chosen)
    }

    /// Whether one unit is read. 32 bits of a lot are far finer than a millionth.
    fn lot(&mut self) -> Result<bool, Problem> {
        if self.lots.is_empty() {
            self.lots = vec![0; DRAWN];
            seal::entropy::fill(&mut self.lots).map_err(|e| fault::internal("cannot draw a sample", e))?;
        }
        let lot = self.lots.split_off(self.lots.len().saturating_sub(4));
        let lot = lot.try_into().map(u32::from_le_bytes).unwrap_or_default();
        Ok(u64::from(lot) * 1_000_000 < u64::from(self.share.millionths) << 32)
    }

    /// Damage of so many bytes touches at least so many units, each of which was left by itself.
    pub(super) fn report(&self) -> SampleReport {
        let left = 1.0 - self.share.as_f64();
        let missed = |damaged: f64| {
            let units = (damaged * self.bytes as f64 / self.unit.max(1) as f64).ceil();
            Missed { damaged, probability: left.powf(units) }
        };
        SampleReport {
            share: self.share.as_f64(),
            bytes: self.bytes,
            covered: self.covered,
            missed: if self.bytes == 0 { Vec::new() } else { DAMAGED.map(missed).to_vec() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seal::tree::Digest;

    fn segment(mib: u64) -> SegmentInfo {
        SegmentInfo::manifest(seal::Suite::Default, mib << 20, Digest::from_bytes([0; 32])).unwrap()
    }

    #[test]
    fn about_the_share_is_read_and_never_the_same_part_twice_over() {
        let share = Share::of_millionths(50_000).unwrap();
        let mut draws = Vec::new();
        for _ in 0..2 {
            let mut sample = Sample::of(share);
            let chosen: Vec<_> = (0..20).map(|_| sample.choose(&segment(1_000)).unwrap()).collect();
            let report = sample.report();
            let covered = report.covered as f64 / report.bytes as f64;
            // 20,000 units: nine standard deviations of the lots' own spread.
            assert!((0.036..0.064).contains(&covered), "{covered}");
            draws.push(chosen);
        }
        assert_ne!(draws[0], draws[1]);
        assert_ne!(draws[0][0], draws[0][1]);
        let mut whole = Sample::of(Share::of_millionths(1_000_000).unwrap());
        let chosen = whole.choose(&segment(3)).unwrap();
        // With its tags it is a little longer than three units.
        assert_eq!(chosen, [0..16, 16..32, 32..48, 48..49]);
        assert!(whole.report().missed.iter().all(|missed| missed.probability == 0.0));
    }

    #[test]
    fn the_chance_of_a_miss_is_that_of_every_damaged_part_being_left() {
        let mut sample = Sample::of(Share::of_millionths(50_000).unwrap());
        sample.choose(&segment(1_000)).unwrap();
        let missed: Vec<(f64, f64)> =
            sample.report().missed.iter().map(|missed| (missed.damaged, missed.probability)).collect();
        for ((damaged, probability), units) in missed.into_iter().zip([1, 10, 100]) {
            let expected = 0.95_f64.powi(units);
            assert!((probability - expected).abs() < 1e-9, "{damaged}: {probability} {expected}");
        }
        assert!(Sample::of(Share::OF_THE_JOB).report().missed.is_empty(), "nothing was there");
    }

    #[test]
    fn a_share_is_more_than_nothing_and_at_most_all() {
        assert!(Share::of_millionths(0).is_none() && Share::of_millionths(1_000_001).is_none());
        assert!(Share::of_millionths(1).is_some() && Share::of_millionths(1_000_000).is_some());
    }
}
