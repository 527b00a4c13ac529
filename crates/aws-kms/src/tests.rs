//! The client against a server of the test, a KMS of another make and another signer.

mod answers;
mod faults;
mod peers;
mod server;
mod tls;

use super::*;
use server::Server;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const NOW: u64 = 1_790_000_000;

fn credentials(token: Option<&str>) -> Credentials {
    let token = token.map(|token| Zeroizing::new(token.to_owned()));
    Credentials::new("AKIDEXAMPLE".into(), Zeroizing::new(SECRET.into()), token).unwrap()
}

fn kms(key: &str, endpoint: &str, limits: Limits) -> Kms {
    let place = Place::new(key.parse().unwrap(), Some(endpoint.parse().unwrap())).unwrap();
    Kms::new(place, credentials(None), limits, Arc::new(|| NOW)).unwrap()
}

fn millis(deadline: u64, attempts: u32) -> Limits {
    Limits::new(Duration::from_millis(deadline), attempts).unwrap()
}

/// Enough for a busy machine.
fn patient() -> Limits {
    millis(30_000, 5)
}

fn context() -> Context {
    Context::new([("vault", "one"), ("root", "two")]).unwrap()
}

/// A good answer to any of the three calls.
fn good(key: &str) -> String {
    let plain = BASE64.encode([7; 32]);
    let metadata = format!(
        r#"{{"Arn":"{key}","KeyState":"Enabled","KeyUsage":"ENCRYPT_DECRYPT","KeySpec":"SYMMETRIC_DEFAULT","New":[1]}}"#
    );
    format!(
        r#"{{"KeyId":"{key}","Plaintext":"{plain}","CiphertextBlob":"AQID","EncryptionAlgorithm":"SYMMETRIC_DEFAULT",
            "KeyMaterialId":"new","KeyMetadata":{metadata}}}"#
    )
}

/// A Python program of `tests/peer.py`, which ends when its input does.
struct Peer {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Peer {
    fn start(what: &str) -> (Self, serde_json::Value) {
        let mut peer = Self::silent(what);
        let hello = peer.line();
        (peer, hello)
    }

    fn silent(what: &str) -> Self {
        let here = env!("CARGO_MANIFEST_DIR");
        let mut command = Command::new(testkit::python::program());
        command.arg(format!("{here}/tests/peer.py")).arg(what).env("PYTHONDONTWRITEBYTECODE", "1");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output }
    }

    fn line(&mut self) -> serde_json::Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
    }

    fn ask(&mut self, asked: &serde_json::Value) -> serde_json::Value {
        writeln!(self.input.as_mut().unwrap(), "{asked}").unwrap();
        self.line()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

#[test]
fn contexts_out_of_bounds_are_refused() {
    let pairs = |n: usize| (0..n).map(|i| (format!("name-{i:02}"), "value".to_owned())).collect::<Vec<_>>();
    assert!(Context::new(pairs(16)).is_ok());
    assert!(matches!(Context::new(pairs(17)), Err(Error::Context(_))));
    assert!(matches!(Context::new(pairs(0)), Err(Error::Context(_))));
    let (name, value) = ("n".repeat(128), "v".repeat(256));
    assert!(Context::new([(name.as_str(), value.as_str())]).is_ok());
    for (name, value) in [
        (format!("{name}n"), "v".into()),
        ("n".into(), format!("{value}v")),
        (String::new(), "v".into()),
        ("n".into(), String::new()),
        ("n\n".into(), "v".into()),
        ("aws:n".into(), "v".into()),
        ("AWS:n".into(), "v".into()),
    ] {
        assert!(matches!(Context::new([(name.clone(), value)]), Err(Error::Context(_))), "{name:.20}");
    }
    assert!(matches!(Context::new([("n", "1"), ("n", "2")]), Err(Error::Context(_))));
    let order = serde_json::to_string(&Context::new([("b", "1"), ("a", "2")]).unwrap()).unwrap();
    assert_eq!(order, r#"{"a":"2","b":"1"}"#);
}

#[test]
fn a_client_does_not_show_its_secrets() {
    let place = Place::new(KEY.parse().unwrap(), Some("http://127.0.0.1:1".parse().unwrap())).unwrap();
    let kms = Kms::new(place, credentials(Some("the-token")), Limits::default(), Arc::new(|| NOW)).unwrap();
    let shown = format!("{kms:?} {kms:#?}");
    assert!(shown.contains("AKIDEXAMPLE") && shown.contains(KEY));
    assert!(!shown.contains(SECRET) && !shown.contains("the-token"));
}
