//! A process and a token folder for each test: SoftHSM reads its configuration once per process.

use pkcs11::{Place, Settings, Token, TokenError};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

pub(crate) const PIN: &[u8] = b"correct-4711";
pub(crate) const SO_PIN: &str = "officer-0815";
pub(crate) const LABEL: &str = "root token";
pub(crate) const CONTEXT: &[u8] = b"strongroom/v1/a place";
pub(crate) const SECRET: [u8; 32] = [0x5a; 32];
const LONGEST: Duration = Duration::from_secs(90);

/// The folder of one test, seen from its process.
pub(crate) struct Home(PathBuf);

/// Runs a test in a process of its own. `name` is the test's path.
pub(crate) fn alone(name: &str, body: fn(&Home)) {
    if let Some(home) = std::env::var_os("P11_HOME") {
        body(&Home(home.into()));
        assert!(pkcs11::rest(LONGEST));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    std::fs::create_dir(home.join("tokens")).unwrap();
    let tokens = home.join("tokens");
    let config =
        format!("directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n", tokens.display());
    std::fs::write(home.join("softhsm2.conf"), config).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env("P11_HOME", home)
        .env("SOFTHSM2_CONF", home.join("softhsm2.conf"))
        .env("P11_FAULTS", home.join("faults"))
        .env("P11_LOGINS", home.join("logins"))
        .env("P11_REAL", softhsm())
        .spawn()
        .unwrap();
    let since = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{name}: {status}");
            return;
        }
        if since.elapsed() > LONGEST {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{name} hangs");
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// The module of SoftHSM, where distributions put it.
pub(crate) fn softhsm() -> PathBuf {
    let places =
        ["/usr/lib/softhsm", "/usr/lib64/softhsm", "/usr/local/lib/softhsm", "/usr/lib64/pkcs11", "/usr/lib/pkcs11"];
    let found = places.iter().map(|folder| Path::new(folder).join("libsofthsm2.so")).find(|path| path.exists());
    found.expect("the tests want SoftHSM 2.6: install softhsm2")
}

impl Home {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A fresh token with a user PIN. Before the first open only.
    pub(crate) fn token(&self, label: &str) {
        let pin = std::str::from_utf8(PIN).unwrap();
        self.util(&["--init-token", "--free", "--label", label, "--so-pin", SO_PIN, "--pin", pin]);
    }

    pub(crate) fn util(&self, args: &[&str]) {
        let made = Command::new("softhsm2-util").args(args).output().unwrap();
        assert!(made.status.success(), "{made:?}");
    }

    /// A root in a fresh token of SoftHSM.
    pub(crate) fn root(&self) -> (Token, Place) {
        self.token(LABEL);
        Token::create(&softhsm(), LABEL, None, PIN, Settings::default()).unwrap()
    }

    /// The module that fails on purpose.
    pub(crate) fn shim(&self) -> PathBuf {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/shim.c");
        let out = self.path("shim.so");
        let made =
            Command::new("cc").args(["-shared", "-fPIC", "-O1", "-w", "-o"]).args([&out, &source]).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        out
    }

    /// Says how it is to fail from now on.
    pub(crate) fn fault(&self, text: &str) {
        std::fs::write(self.path("next"), text).unwrap();
        std::fs::rename(self.path("next"), self.path("faults")).unwrap();
    }

    /// Logins that the module saw.
    pub(crate) fn logins(&self) -> u64 {
        std::fs::metadata(self.path("logins")).map(|about| about.len()).unwrap_or(0)
    }
}

pub(crate) fn open(place: &Place) -> Result<Token, TokenError> {
    Token::open(place, PIN, Settings::default())
}

#[track_caller]
pub(crate) fn opens(token: &Token, wrapped: &[u8]) {
    assert_eq!(token.unwrap(CONTEXT, wrapped).map(|secret| **secret), Ok(SECRET));
}
