//! `cat`: a file of a version, or a range of one, in order.

use crate::opened::{Map, Opened};
use crate::seat::Why;
use crate::watch::{Watch, check};
use crate::{Client, fault};
use api::terms::{Action, Code, Reference, ReleaseId};
use api::wire::Problem;
use depot::sealed::{Scratch, SegmentReader};
use seal::map::MapEntry;
use std::io::Write;
use std::ops::Range;
use zeroize::Zeroizing;

/// Which bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bytes {
    /// All.
    All,
    /// First and last, both included; the last may lie beyond the end.
    Between(u64, u64),
    /// From here to the end.
    From(u64),
    /// This many at the end.
    Last(u64),
}

/// Where the bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Towards {
    /// To whoever reads them.
    Reader,
    /// To a disk, because a shell opened a file there: that is an export, whatever the command is called.
    Disk,
}

impl Towards {
    /// What lies behind a descriptor. A file in memory is no disk; what cannot be told is one.
    pub fn of(out: impl std::os::fd::AsFd) -> Self {
        use rustix::fs::FileType;
        let Ok(stat) = rustix::fs::fstat(&out) else { return Self::Disk };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile if crate::run::mounted::is_in_memory(&out).unwrap_or(false) => Self::Reader,
            FileType::RegularFile | FileType::BlockDevice => Self::Disk,
            _ => Self::Reader,
        }
    }

    /// What is asked for.
    pub const fn action(self) -> Action {
        match self {
            Self::Reader => Action::Read,
            Self::Disk => Action::Export,
        }
    }
}

/// What was written out.
#[derive(Debug, Clone, serde::Serialize)]
pub struct CatReport {
    /// `workspace/artifact@vN`.
    pub version: String,
    /// First byte.
    pub offset: u64,
    /// How many.
    pub bytes: u64,
    /// Size of the whole file.
    pub size: u64,
    /// The release in the log.
    pub release: ReleaseId,
}

impl Bytes {
    /// The range of a file of this size, if it has one.
    fn of(self, size: u64) -> Option<Range<u64>> {
        match self {
            Self::All => Some(0..size),
            Self::Between(first, last) if first <= last && first < size => {
                Some(first..last.saturating_add(1).min(size))
            }
            Self::From(first) if first < size => Some(first..size),
            Self::Last(len) if len > 0 && size > 0 => Some(size.saturating_sub(len)..size),
            _ => None,
        }
    }
}

/// Bytes read at a time.
const STEP_LEN: u64 = 1 << 20;

impl Client {
    /// Writes a file of a version to `out`. Every group is verified before it is decrypted, so nothing unauthenticated comes out.
    ///
    /// # Errors
    /// `denied`, `not-found`, `bad-request` for a range outside the file, `integrity` with the place; errors of `out` as `Err(Ok(_))`.
    pub fn cat(
        &self,
        reference: &Reference,
        bytes: Bytes,
        why: &Why,
        (out, towards): (&mut dyn Write, Towards),
        watch: &dyn Watch,
    ) -> Result<std::io::Result<CatReport>, Problem> {
        let grant = self.seat().release(&reference.without_path().to_string(), towards.action(), why)?;
        let opened = Opened::new(self.store(), &grant)?;
        let mut map = opened.map()?;
        let (entry, place) = opened.file(&mut map, reference.path.as_deref())?;
        let size = entry.size();
        let Some(range) = bytes.of(size) else {
            let what = format!("cannot read `{reference}`");
            return Err(Problem::new(Code::BadRequest, what, format!("the range lies outside its {size} bytes")));
        };
        let mut reading = Reading::new(&opened);
        if let Err(error) = reading.range(&map, &place, range.clone(), out, watch)? {
            return Ok(Err(error));
        }
        let version = grant.version.reference.clone();
        let report =
            CatReport { version, offset: range.start, bytes: range.end - range.start, size, release: grant.release };
        Ok(out.flush().map(|()| report))
    }
}

/// Reads files of a version in order, one after another.
pub(crate) struct Reading<'a> {
    opened: &'a Opened<'a>,
    /// What is said when somebody stops it.
    doing: &'static str,
    /// The segment that was read last: neighbours share one.
    open: Option<((u32, u32), SegmentReader)>,
    scratch: Scratch,
    buffer: Zeroizing<Vec<u8>>,
}

impl<'a> Reading<'a> {
    pub(crate) fn new(opened: &'a Opened<'a>) -> Self {
        Self::of(opened, "cat")
    }

    /// For something else than `cat`.
    pub(crate) fn of(opened: &'a Opened<'a>, doing: &'static str) -> Self {
        // Never grown, which would leave a copy behind.
        let buffer = Zeroizing::new(Vec::with_capacity(STEP_LEN as usize));
        Self { opened, doing, open: None, scratch: Scratch::default(), buffer }
    }

    /// Writes a range of a file; the failure of a write is what is answered.
    pub(crate) fn range(
        &mut self,
        map: &Map,
        place: &MapEntry,
        range: Range<u64>,
        out: &mut dyn Write,
        watch: &dyn Watch,
    ) -> Result<std::io::Result<()>, Problem> {
        let mut start = 0;
        for piece in place.extents.iter().flat_map(|extent| map.pieces(extent)) {
            let here = start..start + piece.len;
            start = here.end;
            let (mut at, end) = (range.start.max(here.start), range.end.min(here.end));
            if at >= end {
                continue;
            }
            let named = (piece.pack, piece.segment);
            if self.open.as_ref().is_none_or(|(open, _)| *open != named) {
                self.open = Some((named, self.opened.segment(map, piece.pack, piece.segment)?));
            }
            let Some((_, segment)) = &self.open else { continue };
            while at < end {
                check(watch, self.doing)?;
                let in_segment = piece.offset + (at - here.start);
                let len = (end - at).min(STEP_LEN - in_segment % STEP_LEN);
                self.buffer.resize(len as usize, 0);
                segment
                    .read(in_segment, &mut self.buffer, &mut self.scratch)
                    .map_err(|e| fault::sealed("cannot read a segment", &e))?;
                if let Err(error) = out.write_all(&self.buffer) {
                    return Ok(Err(error));
                }
                watch.advance(len);
                at += len;
            }
        }
        Ok(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::Bytes;

    #[test]
    fn ranges_are_those_of_http() {
        assert_eq!(Bytes::Between(0, 0).of(5), Some(0..1));
        assert_eq!(Bytes::Between(4, 100).of(5), Some(4..5));
        assert_eq!(Bytes::Between(0, u64::MAX).of(5), Some(0..5));
        assert_eq!(Bytes::Between(5, 6).of(5), None);
        assert_eq!(Bytes::From(4).of(5), Some(4..5));
        assert_eq!(Bytes::From(5).of(5), None);
        assert_eq!(Bytes::Last(2).of(5), Some(3..5));
        assert_eq!(Bytes::Last(9).of(5), Some(0..5));
        assert_eq!([Bytes::Last(0).of(5), Bytes::Last(1).of(0)], [None, None]);
        assert_eq!(Bytes::All.of(0), Some(0..0));
    }
}
