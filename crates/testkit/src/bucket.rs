//! An S3-compatible service on this machine (moto), which keeps its buckets in memory.

#![expect(clippy::panic, reason = "for tests: it fails, it does not skip")]

use crate::python;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};

/// A running service. It ends when this is dropped, and with the process in any case: it lives as long as its standard input.
#[derive(Debug)]
pub struct Buckets {
    child: Child,
    address: String,
}

impl Buckets {
    /// Starts one with these buckets.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start(names: &[&str]) -> Self {
        let mut command = python::command();
        command.args(["-c", SERVICE]).args(names);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{error}: run scripts/test-deps.sh"));
        let Some(out) = child.stdout.take() else { panic!("it has no output") };
        let mut line = String::new();
        let read = BufReader::new(out).read_line(&mut line);
        let port = line.trim();
        assert!(read.is_ok() && !port.is_empty(), "no service: run scripts/test-deps.sh");
        Self { child, address: format!("127.0.0.1:{port}") }
    }

    /// Its URL.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Removes an object behind everybody's back; whether there was an answer.
    #[must_use]
    pub fn delete(&self, path: &str) -> bool {
        // It wants to be signed, and does not look at the signature.
        let signed =
            "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x";
        let host = &self.address;
        let request =
            format!("DELETE /{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {signed}\r\nConnection: close\r\n\r\n");
        let mut answer = String::new();
        let asked = TcpStream::connect(&self.address).and_then(|mut stream| {
            stream.write_all(request.as_bytes())?;
            stream.read_to_string(&mut answer)
        });
        asked.is_ok() && answer.split(' ').nth(1).is_some_and(|status| status.starts_with('2'))
    }
}

impl Drop for Buckets {
    fn drop(&mut self) {
        // One that has ended already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const SERVICE: &str = "
import sys, urllib.request
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address='127.0.0.1', port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
for name in sys.argv[1:]:
    urllib.request.urlopen(urllib.request.Request(f'http://127.0.0.1:{port}/{name}', method='PUT'))
print(port, flush=True)
sys.stdin.read()
";
