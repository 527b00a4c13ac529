//! A server that answers as it is told, one reply a connection; the last is given again and again.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

#[derive(Clone)]
pub(super) enum Reply {
    /// Status, more header lines, body.
    Whole(u16, String, String),
    /// Reads and says nothing.
    Hang,
    /// The headers, then a byte now and then.
    Trickle,
    /// A byte of the headers now and then.
    TrickleHeaders,
    /// Reads and closes.
    Close,
    /// Closes with the request unread.
    Reset,
    /// Closes in the middle of the body.
    Cut,
    /// A body without end.
    Flood,
}

impl Reply {
    pub(super) fn ok(body: impl Into<String>) -> Self {
        Self::Whole(200, String::new(), body.into())
    }

    pub(super) fn error(status: u16, code: &str) -> Self {
        Self::Whole(status, String::new(), format!(r#"{{"__type":"{code}","message":"why"}}"#))
    }
}

#[derive(Clone)]
pub(super) struct Request {
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

pub(super) struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    closed: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(super) fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let replies: Arc<Vec<_>> = Arc::new(replies.into_iter().collect());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (kept, stopped, turn) = (Arc::clone(&requests), Arc::clone(&stop), Arc::new(AtomicUsize::new(0)));
        let closed = Arc::new(AtomicUsize::new(0));
        let ended = Arc::clone(&closed);
        let thread = std::thread::spawn(move || {
            let mut threads = Vec::new();
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                let (stream, replies, kept) = (stream.unwrap(), Arc::clone(&replies), Arc::clone(&kept));
                let (stopped, turn, ended) = (Arc::clone(&stopped), Arc::clone(&turn), Arc::clone(&ended));
                threads.push(std::thread::spawn(move || {
                    let turn = turn.fetch_add(1, Ordering::SeqCst).min(replies.len() - 1);
                    let served = serve(stream, &replies[turn], &kept, &stopped);
                    ended.fetch_add(usize::from(matches!(served, Ok(Some(0)))), Ordering::SeqCst);
                }));
            }
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
        Self { address, requests, closed, stop, thread: Some(thread) }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    /// How many connections the client closed after a whole answer.
    pub(super) fn closed(&self) -> usize {
        self.closed.load(Ordering::SeqCst)
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// What was read after a whole answer.
fn serve(
    mut to: TcpStream,
    reply: &Reply,
    kept: &Mutex<Vec<Request>>,
    stop: &AtomicBool,
) -> std::io::Result<Option<usize>> {
    to.set_read_timeout(Some(Duration::from_secs(5)))?;
    to.set_write_timeout(Some(Duration::from_secs(5)))?;
    to.set_nodelay(true)?;
    if matches!(reply, Reply::Reset) {
        // One byte is there, so that closing with it unread resets.
        to.peek(&mut [0])?;
        return Ok(None);
    }
    kept.lock().unwrap().push(read(&mut to)?);
    let begin = Instant::now();
    let mut slowly = |first: &[u8], next: &[u8]| {
        to.write_all(first)?;
        while !stop.load(Ordering::SeqCst) && begin.elapsed() < Duration::from_secs(10) {
            to.write_all(next)?;
            std::thread::park_timeout(Duration::from_millis(10));
        }
        Ok(None)
    };
    match reply {
        Reply::Whole(status, more, body) => {
            write!(to, "HTTP/1.1 {status} X\r\n{more}Content-Length: {}\r\n\r\n{body}", body.len())?;
            to.read(&mut [0]).map(Some)
        }
        Reply::Hang => slowly(b"", b""),
        Reply::Trickle => slowly(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        Reply::TrickleHeaders => slowly(b"HTTP/1.1 200 OK\r\nx: ", b"y"),
        Reply::Close | Reply::Reset => Ok(None),
        Reply::Cut => {
            to.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"KeyId\"")?;
            Ok(None)
        }
        Reply::Flood => {
            to.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            while !stop.load(Ordering::SeqCst) && begin.elapsed() < Duration::from_secs(10) {
                write!(to, "400\r\n{}\r\n", " ".repeat(1024))?;
            }
            Ok(None)
        }
    }
}

fn read(from: &mut TcpStream) -> std::io::Result<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        let mut part = [0; 4096];
        let len = from.read(&mut part)?;
        bytes.extend_from_slice(&part[..len]);
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if len == 0 || bytes.len() > 100_000 {
            return Err(ErrorKind::InvalidData.into());
        }
    };
    let mut body = bytes.split_off(end);
    let mut request = Request { head: String::from_utf8(bytes).unwrap(), body: Vec::new() };
    let len: usize = request.header("content-length").unwrap().parse().unwrap();
    let have = body.len();
    body.resize(len, 0);
    from.read_exact(&mut body[have..])?;
    request.body = body;
    Ok(request)
}
