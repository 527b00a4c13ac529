//! Frames on a stream: a length of four bytes, big endian, then so many bytes of JSON. Each has a maximum and a deadline.

use api::terms::Code;
use api::wire::Problem;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// The longest frame: a version record of 8 MiB in hexadecimal fits, and the longest list of keys.
pub const MAX_FRAME_LEN: usize = 64 << 20;

/// How much is read at once, so that a length that lies allocates nothing.
const PART_LEN: usize = 64 << 10;

/// Why a frame did not come, or did not go.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    /// The other end closed before a frame began.
    #[error("the other end is gone")]
    Gone,
    /// It closed within a frame, or the system refused.
    #[error("the connection broke: {0}")]
    Broken(ErrorKind),
    /// The deadline passed.
    #[error("the other end is too slow")]
    Slow,
    /// The frame is longer than may be.
    #[error("a frame is longer than 64 MiB")]
    TooLong,
    /// It is not what frames hold.
    #[error("a frame is not of its form")]
    Malformed,
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Self::Slow,
            kind => Self::Broken(kind),
        }
    }
}

impl Failed {
    /// For whoever waits for an answer.
    pub(super) fn problem(&self) -> Problem {
        let what = "the agent did not answer";
        match self {
            Self::Malformed | Self::TooLong => Problem::new(Code::Conflict, what, self.to_string())
                .with_try("strongroom lock, then strongroom unlock: it may be of another version"),
            _ => Problem::new(Code::Unavailable, what, self.to_string())
                .with_try("strongroom lock, then the command again"),
        }
    }
}

/// When something must be over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline(Option<Instant>);

impl Deadline {
    pub(super) fn within(limit: Duration) -> Self {
        Self(Instant::now().checked_add(limit))
    }

    /// What is left; the system takes no timeout of zero.
    fn left(self) -> Result<Option<Duration>, Failed> {
        let Some(at) = self.0 else { return Ok(None) };
        match at.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            Some(left) => Ok(Some(left)),
            None => Err(Failed::Slow),
        }
    }
}

/// Bytes of a frame, which may hold a value: overwritten when they are dropped, also where they were before they grew.
#[derive(Default)]
struct Wiped(Zeroizing<Vec<u8>>);

impl Wiped {
    fn reserve(&mut self, more: usize) {
        let len = self.0.len().saturating_add(more);
        if len > self.0.capacity() {
            let mut grown = Zeroizing::new(Vec::with_capacity(len.max(self.0.capacity().saturating_mul(2))));
            grown.extend_from_slice(&self.0);
            self.0 = grown;
        }
    }
}

impl Write for Wiped {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.reserve(bytes.len());
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What is written, with its length in front.
pub(super) fn encoded(value: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, Failed> {
    let mut bytes = Wiped::default();
    bytes.write_all(&[0; 4])?;
    serde_json::to_writer(&mut bytes, value).map_err(|_| Failed::Malformed)?;
    let Wiped(mut bytes) = bytes;
    let len = bytes.len() - 4;
    if len > MAX_FRAME_LEN {
        return Err(Failed::TooLong);
    }
    let header = u32::try_from(len).map_err(|_| Failed::TooLong)?.to_be_bytes();
    if let Some(place) = bytes.first_chunk_mut::<4>() {
        *place = header;
    }
    Ok(bytes)
}

/// The body of a frame as either end reads it, written again, for the crate `fuzz/`; none if it is none.
#[cfg(any(test, feature = "fuzz"))]
pub fn reread(bytes: &[u8]) -> Option<Vec<u8>> {
    use super::wire::{Ask, Reply};
    match (body::<Ask>(bytes), body::<Reply>(bytes)) {
        (Ok(ask), _) => serde_json::to_vec(&ask).ok(),
        (_, Ok(reply)) => serde_json::to_vec(&reply).ok(),
        _ => None,
    }
}

fn body<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failed> {
    serde_json::from_slice(bytes).map_err(|_| Failed::Malformed)
}

/// Sends a frame, whole, before the deadline.
pub(super) fn send(stream: &UnixStream, value: &impl Serialize, deadline: Deadline) -> Result<(), Failed> {
    let bytes = encoded(value)?;
    let (mut rest, mut stream) = (bytes.as_slice(), stream);
    while !rest.is_empty() {
        stream.set_write_timeout(deadline.left()?)?;
        match stream.write(rest) {
            Ok(0) => return Err(Failed::Broken(ErrorKind::WriteZero)),
            Ok(n) => rest = rest.get(n..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Waits for a frame to begin, for ever without a deadline of that, and then for the rest of it as long as `within`.
pub(super) fn receive<T: DeserializeOwned>(
    stream: &UnixStream,
    begins: Option<Duration>,
    within: Duration,
) -> Result<T, Failed> {
    let mut header = [0; 4];
    let (first, others) = header.split_at_mut(1);
    fill(stream, first, begins.map_or(Deadline(None), Deadline::within)).map_err(|failed| match failed {
        Failed::Broken(ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => Failed::Gone,
        other => other,
    })?;
    let deadline = Deadline::within(within);
    fill(stream, others, deadline)?;
    let len = usize::try_from(u32::from_be_bytes(header)).map_err(|_| Failed::TooLong)?;
    if len > MAX_FRAME_LEN {
        return Err(Failed::TooLong);
    }
    let mut bytes = Wiped::default();
    while bytes.0.len() < len {
        let had = bytes.0.len();
        let part = PART_LEN.min(len - had);
        bytes.reserve(part);
        bytes.0.resize(had + part, 0);
        fill(stream, bytes.0.get_mut(had..).unwrap_or_default(), deadline)?;
    }
    body(&bytes.0)
}

fn fill(mut stream: &UnixStream, mut out: &mut [u8], deadline: Deadline) -> Result<(), Failed> {
    while !out.is_empty() {
        stream.set_read_timeout(deadline.left()?)?;
        match stream.read(out) {
            Ok(0) => return Err(Failed::Broken(ErrorKind::UnexpectedEof)),
            Ok(n) => out = out.get_mut(n..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Shutdown;

    const SOON: Duration = Duration::from_millis(50);

    fn pair() -> (UnixStream, UnixStream) {
        UnixStream::pair().unwrap()
    }

    #[test]
    fn a_frame_comes_as_it_was_sent() {
        let (a, b) = pair();
        let sent = vec!["x".repeat(100_000), String::new()];
        std::thread::scope(|scope| {
            scope.spawn(|| send(&a, &sent, Deadline::within(Duration::from_secs(10))).unwrap());
            let got: Vec<String> = receive(&b, None, Duration::from_secs(10)).unwrap();
            assert_eq!(got, sent);
        });
    }

    #[test]
    fn what_is_no_frame_is_told_apart() {
        let said = |bytes: &[u8]| {
            let (mut a, b) = pair();
            a.write_all(bytes).unwrap();
            a.shutdown(Shutdown::Write).unwrap();
            receive::<u64>(&b, Some(SOON), SOON).map_err(|failed| failed.to_string())
        };
        assert_eq!(said(b"\0\0\0\x027"), Err(Failed::Broken(ErrorKind::UnexpectedEof).to_string()), "cut");
        assert_eq!(said(b"\0\0\0\x0277"), Ok(77));
        assert_eq!(said(b""), Err(Failed::Gone.to_string()));
        assert_eq!(said(b"\0\0"), Err(Failed::Broken(ErrorKind::UnexpectedEof).to_string()));
        assert_eq!(said(b"\xff\xff\xff\xff7"), Err(Failed::TooLong.to_string()));
        assert_eq!(said(b"\x04\0\0\x01"), Err(Failed::TooLong.to_string()));
        for garbage in [&b"\0\0\0\x01x"[..], b"\0\0\0\x037 8", b"\0\0\0\0", b"\0\0\0\x02\xff\xfe"] {
            assert_eq!(said(garbage), Err(Failed::Malformed.to_string()), "{garbage:?}");
        }
    }

    #[test]
    fn whoever_is_slow_is_not_waited_for() {
        let (mut a, b) = pair();
        assert!(matches!(receive::<u64>(&b, Some(SOON), SOON), Err(Failed::Slow)), "nothing came");
        a.write_all(b"\0\0\0\x05123").unwrap();
        assert!(matches!(receive::<u64>(&b, None, SOON), Err(Failed::Slow)), "it began and did not go on");
        // A peer that never reads.
        let much = "x".repeat(8 << 20);
        assert!(matches!(send(&a, &much, Deadline::within(SOON)), Err(Failed::Slow)));
    }
}
