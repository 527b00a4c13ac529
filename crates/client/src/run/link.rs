//! What a run and the processes around its command say to each other: whole messages over a socket pair, and descriptors with them.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType,
};
use std::io::{Error, IoSlice, IoSliceMut, Result};
use std::mem::MaybeUninit;

/// The longest text, in bytes.
const MAX_TEXT_LEN: usize = 1024;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    /// To the run: the room is there; its descriptor comes along.
    Room,
    /// To the run: no room, for this reason.
    NoRoom(String),
    /// To the run: the command cannot be started, for this reason.
    NotStarted(String),
    /// To the run: the command ended with this code.
    Exited(u8),
    /// To the run: the command was ended by this signal.
    Signalled(u8),
    /// From the run: start the command; its standard input comes along.
    Go,
    /// From the run: a signal for the command.
    Signal(u8),
    /// From the run: end everything now.
    Kill,
}

impl Message {
    fn encode(&self) -> Vec<u8> {
        let text = |kind: u8, text: &str| {
            let text = text.get(..text.floor_char_boundary(MAX_TEXT_LEN)).unwrap_or_default();
            [&[kind], text.as_bytes()].concat()
        };
        match self {
            Self::Room => vec![1],
            Self::NoRoom(why) => text(2, why),
            Self::NotStarted(why) => text(3, why),
            Self::Exited(code) => vec![4, *code],
            Self::Signalled(signal) => vec![5, *signal],
            Self::Go => vec![6],
            Self::Signal(signal) => vec![7, *signal],
            Self::Kill => vec![8],
        }
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        Some(match bytes {
            [1] => Self::Room,
            [2, why @ ..] => Self::NoRoom(text(why)?),
            [3, why @ ..] => Self::NotStarted(text(why)?),
            [4, code] => Self::Exited(*code),
            [5, signal] => Self::Signalled(*signal),
            [6] => Self::Go,
            [7, signal] => Self::Signal(*signal),
            [8] => Self::Kill,
            _ => return None,
        })
    }
}

/// One end.
#[derive(Debug)]
pub(super) struct Link(OwnedFd);

impl Link {
    /// Two ends.
    pub(super) fn pair() -> Result<(Self, OwnedFd)> {
        let (ours, theirs) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self(ours), theirs))
    }

    /// The end that this process got as its standard input.
    pub(super) fn of_stdin() -> Result<Self> {
        Ok(Self(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?))
    }

    /// The same end once more, for another thread.
    pub(super) fn again(&self) -> Result<Self> {
        Ok(Self(self.0.try_clone()?))
    }

    /// The same end once more, for a process below.
    pub(super) fn for_below(&self) -> Result<OwnedFd> {
        self.0.try_clone()
    }

    /// Says something, with a descriptor if there is one.
    pub(super) fn send(&self, message: &Message, along: Option<BorrowedFd<'_>>) -> Result<()> {
        let bytes = message.encode();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let fds: Vec<BorrowedFd<'_>> = along.into_iter().collect();
        if !fds.is_empty() {
            ancillary.push(SendAncillaryMessage::ScmRights(&fds));
        }
        rustix::net::sendmsg(&self.0, &[IoSlice::new(&bytes)], &mut ancillary, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// The next message, with the descriptor that came along; none when the other end is gone.
    pub(super) fn receive(&self) -> Result<Option<(Message, Option<OwnedFd>)>> {
        let mut bytes = [0; MAX_TEXT_LEN + 1];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC;
        let got = loop {
            match rustix::net::recvmsg(&self.0, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, flags) {
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::CONNRESET) => return Ok(None),
                other => break other?.bytes,
            }
        };
        let along = ancillary.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        if got == 0 {
            return Ok(None);
        }
        let message = bytes.get(..got).and_then(Message::decode);
        message.map(|message| Some((message, along))).ok_or_else(|| Error::other("not a message of a run"))
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_and_descriptors_arrive_as_they_were_sent() {
        let (one, other) = Link::pair().unwrap();
        let other = Link(other);
        let long = "ü".repeat(1000);
        let said = [
            Message::Room,
            Message::NoRoom("why".into()),
            Message::NotStarted(String::new()),
            Message::Exited(3),
            Message::Signalled(9),
            Message::Go,
            Message::Signal(15),
            Message::Kill,
        ];
        for message in &said {
            one.send(message, None).unwrap();
            let (got, along) = other.receive().unwrap().unwrap();
            assert_eq!((&got, along.is_none()), (message, true));
        }
        one.send(&Message::NoRoom(long.clone()), None).unwrap();
        let Some((Message::NoRoom(cut), _)) = other.receive().unwrap() else { panic!("another message") };
        assert_eq!((cut.len(), long.starts_with(&cut)), (MAX_TEXT_LEN, true));
        let file = std::fs::File::open("/dev/null").unwrap();
        one.send(&Message::Go, Some(file.as_fd())).unwrap();
        let (_, along) = other.receive().unwrap().unwrap();
        let same = |fd: BorrowedFd<'_>| rustix::fs::fstat(fd).unwrap().st_rdev;
        assert_eq!(same(along.unwrap().as_fd()), same(file.as_fd()));
        drop(one);
        assert!(other.receive().unwrap().is_none());
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for bytes in [&[][..], &[0], &[9], &[1, 0], &[4], &[4, 1, 1], &[8, 0], &[2, 0xff]] {
            assert_eq!(Message::decode(bytes), None, "{bytes:?}");
        }
    }
}
