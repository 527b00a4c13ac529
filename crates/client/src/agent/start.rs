//! Starting an agent: the command spawns this program again, hands it over a pipe what opens the root, and hears over another one
//! whether it opened. Nothing secret is an argument or a variable.

use super::connect::extend;
use super::lease::{Clocks, Lease, SystemClocks};
use super::place::Place;
use super::serve::{Limits, Serving, serve_in};
use super::wire::{Folder, Unlocked};
use crate::vault::{KmsPlace, RootKind, RootMeans, RootUnlock, TokenPlace, aws_credentials};
use api::terms::{Code, KeyId, VaultId};
use api::wire::Problem;
use keeper::Keeper;
use keeper::vault::OpenOptions;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// How long another agent may take to begin or to end.
const ANOTHER: Duration = Duration::from_secs(15);
/// What a library that reaches a token may be told by.
const TOKEN_VARIABLES: [&str; 2] = ["HOME", "SOFTHSM2_CONF"];
/// The longest text that either side says to the other.
const MAX_TEXT_LEN: u64 = 65_536;

/// What an agent needs to know.
#[derive(Debug)]
pub struct Handover {
    /// Where its socket goes.
    pub place: Place,
    /// The vault's folder.
    pub dir: PathBuf,
    /// What opens its roots.
    pub roots: Vec<RootMeans>,
    /// The anchor.
    pub anchor: PathBuf,
    /// For how long, in seconds.
    pub secs: u64,
}

/// The part of it that is no secret; what is one follows as bytes.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Told {
    folder: PathBuf,
    vault: VaultId,
    dir: PathBuf,
    roots: Vec<ToldRoot>,
    anchor: PathBuf,
    secs: u64,
}

/// What opens a root.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct ToldRoot {
    root: Option<KeyId>,
    with: ToldMeans,
    /// Bytes that follow, after those of the roots before.
    secret: usize,
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ToldMeans {
    Keyfile(PathBuf),
    Passphrase,
    Pkcs11 { module: PathBuf, token: String, serial: Option<String>, asked: bool, deadline: Duration },
    AwsKms { key: String, endpoint: Option<String>, deadline: Duration },
}

impl ToldRoot {
    /// What is told of it, and its secret after those before.
    fn of(means: RootMeans, secrets: &mut Zeroizing<Vec<u8>>) -> std::io::Result<Self> {
        let before = secrets.len();
        let with = match means.unlock {
            RootUnlock::Keyfile(path) => ToldMeans::Keyfile(std::path::absolute(path)?),
            RootUnlock::Passphrase(bytes) => {
                secrets.extend_from_slice(&bytes);
                ToldMeans::Passphrase
            }
            RootUnlock::Pkcs11 { place: TokenPlace { module, token, serial, asked, deadline }, pin } => {
                secrets.extend_from_slice(&pin);
                ToldMeans::Pkcs11 { module, token, serial, asked, deadline }
            }
            RootUnlock::AwsKms { place: KmsPlace { key, endpoint, deadline }, credentials } => {
                secrets.extend_from_slice(&credentials);
                ToldMeans::AwsKms { key, endpoint, deadline }
            }
        };
        Ok(Self { root: means.root, with, secret: secrets.len() - before })
    }

    /// What was told, with its secret at the beginning of these bytes; the rest of them.
    fn means(self, secrets: &[u8]) -> Option<(RootMeans, &[u8])> {
        let (secret, rest) = secrets.split_at_checked(self.secret)?;
        let unlock = match self.with {
            ToldMeans::Keyfile(path) => RootUnlock::Keyfile(path),
            ToldMeans::Passphrase => RootUnlock::Passphrase(Zeroizing::new(secret.to_vec())),
            ToldMeans::Pkcs11 { module, token, serial, asked, deadline } => {
                let place = TokenPlace { module, token, serial, asked, deadline };
                RootUnlock::Pkcs11 { place, pin: Zeroizing::new(secret.to_vec()) }
            }
            ToldMeans::AwsKms { key, endpoint, deadline } => {
                let credentials = Zeroizing::new(secret.to_vec());
                RootUnlock::AwsKms { place: KmsPlace { key, endpoint, deadline }, credentials }
            }
        };
        Some((RootMeans { root: self.root, unlock }, rest))
    }
}

/// How the start went.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Unlocked(Unlocked),
    Refused(Box<Problem>),
}

/// Starts an agent with a command that calls [`run`], and waits until it answers; or has the one that lives stay on.
///
/// # Errors
/// `root-refused`, and whatever keeps a vault from being opened; `bad-request` for a time that is too short or too long.
pub fn start(mut program: Command, handover: Handover) -> Result<Unlocked, Problem> {
    let failed = |why: std::io::Error| Problem::new(Code::Unavailable, "cannot start the agent", why.to_string());
    let Handover { place, dir, roots, anchor, secs } = handover;
    let roots = with_credentials(roots)?;
    let absolute = |path: PathBuf| std::path::absolute(path).map_err(failed);
    // All of it at once: what grows leaves copies behind.
    let mut secrets = Zeroizing::new(Vec::with_capacity(MAX_TEXT_LEN as usize));
    let reaches_token = roots.iter().any(|means| means.unlock.kind() == RootKind::Pkcs11);
    let roots = roots.into_iter().map(|means| ToldRoot::of(means, &mut secrets));
    let roots = roots.collect::<std::io::Result<_>>().map_err(failed)?;
    let (folder, vault) = place.parts();
    let told = Told { folder, vault, dir: absolute(dir)?, roots, anchor: absolute(anchor)?, secs };
    let told =
        serde_json::to_vec(&told).map_err(|e| Problem::new(Code::Internal, "cannot start the agent", e.to_string()))?;
    // It holds no folder, no terminal and no variable of whoever started it but those by which libraries of tokens find theirs.
    let of_tokens = TOKEN_VARIABLES.iter().filter(|_| reaches_token);
    let kept: Vec<_> = of_tokens.filter_map(|name| Some((name, std::env::var_os(name)?))).collect();
    program.env_clear().envs(kept);
    program.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    talk(program.spawn().map_err(failed)?, &told, &secrets)
}

/// The roots with what only this process's environment says: a service without credentials is left out, unless it is alone.
fn with_credentials(roots: Vec<RootMeans>) -> Result<Vec<RootMeans>, Problem> {
    let (alone, mut kept) = (roots.len() == 1, Vec::with_capacity(roots.len()));
    for mut means in roots {
        if let RootUnlock::AwsKms { credentials, .. } = &mut means.unlock
            && credentials.is_empty()
        {
            match aws_credentials() {
                Ok(found) => *credentials = found,
                Err(problem) if alone => return Err(problem),
                Err(_) => continue,
            }
        }
        kept.push(means);
    }
    Ok(kept)
}

/// Hands a new agent what it needs, and hears how its start went. It lives on, and is nobody's child when this process ends.
fn talk(mut child: Child, told: &[u8], secrets: &[u8]) -> Result<Unlocked, Problem> {
    if let Some(mut pipe) = child.stdin.take() {
        let written = pipe.write_all(told).and_then(|()| pipe.write_all(b"\n"));
        let written = written.and_then(|()| pipe.write_all(secrets));
        // A child that ended at once says why below.
        let _ = written.and_then(|()| pipe.flush());
    }
    let mut said = Vec::new();
    if let Some(pipe) = child.stdout.take() {
        // One line: it lives on, and so does its end of the pipe.
        let read = BufReader::new(pipe.take(MAX_TEXT_LEN)).read_until(b'\n', &mut said);
        read.map_err(|e| Problem::new(Code::Unavailable, "cannot start the agent", e.to_string()))?;
    }
    match serde_json::from_slice(&said) {
        Ok(Outcome::Unlocked(unlocked)) => Ok(unlocked),
        Ok(Outcome::Refused(problem)) => Err(*problem),
        Err(_) => {
            let why = child.wait().map_or_else(|e| e.to_string(), |status| format!("it ended early: {status}"));
            Err(Problem::new(Code::Unavailable, "the agent did not start", why))
        }
    }
}

/// The agent's process, from its beginning to its end: reads what it is handed from `input`, and says on one line of `output` how it
/// went. `stop` ends it.
///
/// # Errors
/// What went wrong after it said that the vault is unlocked.
pub fn run(input: impl Read, output: impl Write, stop: Arc<AtomicBool>) -> Result<(), Problem> {
    // Not to be ended with the terminal. It fails for one that leads a group already, which a child does not.
    let _ = rustix::process::setsid();
    keeper::resident::keep_keys_resident();
    let mut output = Some(output);
    let mut say = |outcome: Outcome| {
        if let (Some(mut out), Ok(text)) = (output.take(), serde_json::to_vec(&outcome)) {
            let _ = out.write_all(&text).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
        }
    };
    let clocks: Arc<dyn Clocks> = Arc::new(SystemClocks);
    let (place, serving) = match opened(input, stop, clocks) {
        Ok(both) => both,
        Err(problem) => {
            say(Outcome::Refused(Box::new(problem)));
            return Ok(());
        }
    };
    let folder = Folder::at(&serving.dir).map_err(|error| crate::fault::io("cannot look at", &serving.dir, &error))?;
    let secs = serving.lease.secs();
    let began = Instant::now();
    loop {
        if began.elapsed() > ANOTHER {
            let why = "another agent of this vault neither answers nor ends";
            let problem = Problem::new(Code::Busy, "the vault was not unlocked", why);
            say(Outcome::Refused(Box::new(problem.with_try("strongroom lock, then strongroom unlock"))));
            return Ok(());
        }
        match place.claim() {
            // Never given back by hand: it is free when the memory of this process is gone, and `lock` waits for that.
            Ok(Some(held)) => {
                let held = std::mem::ManuallyDrop::new(held);
                return serve_in(&held, serving, |unlocked| say(Outcome::Unlocked(unlocked.clone())));
            }
            // One lives. It opened the same vault, and this process proved that the root still opens: it stays on.
            Ok(None) => match extend(&place, folder.clone(), secs) {
                Ok(Some(unlocked)) => {
                    say(Outcome::Unlocked(unlocked));
                    return serving.keeper.close();
                }
                // It is just ending, or just beginning.
                Ok(None) => place.wait_changed(),
                Err(problem) if problem.code == Code::RootRefused => place.wait_changed(),
                Err(problem) => {
                    say(Outcome::Refused(Box::new(problem)));
                    return Ok(());
                }
            },
            Err(problem) => {
                say(Outcome::Refused(Box::new(problem)));
                return Ok(());
            }
        }
    }
}

fn opened(input: impl Read, stop: Arc<AtomicBool>, clocks: Arc<dyn Clocks>) -> Result<(Place, Serving), Problem> {
    let bad = |why: &str| Problem::new(Code::BadRequest, "the agent cannot start", why);
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_TEXT_LEN as usize + 1));
    let read = input.take(MAX_TEXT_LEN + 1).read_to_end(&mut bytes);
    read.map_err(|error| bad(&error.to_string()))?;
    let line = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(|| bad("this is for `strongroom unlock`"))?;
    let (told, rest) = bytes.split_at(line);
    let told: Told = serde_json::from_slice(told).map_err(|_| bad("this is for `strongroom unlock`"))?;
    let Told { folder, vault, dir, roots: told, anchor, secs } = told;
    let (mut roots, mut rest) = (Vec::with_capacity(told.len()), rest.get(1..).unwrap_or_default());
    for root in told {
        let (means, after) = root.means(rest).ok_or_else(|| bad("this is for `strongroom unlock`"))?;
        roots.push(means);
        rest = after;
    }
    let too = || bad("the time to unlock for is from a minute to seven days");
    let lease = Lease::new(clocks.now(), secs).ok_or_else(too)?;
    let keeper = Keeper::open(&OpenOptions::with_roots(dir.clone(), roots, anchor))?;
    if keeper.info().vault != vault {
        return Err(Problem::new(Code::Conflict, "the agent cannot start", "the folder holds another vault now"));
    }
    if keeper.is_read_only() {
        let problem = Problem::new(Code::BehindAnchor, "the vault stays locked", "it is read-only, and may be mended");
        return Err(problem.with_try("strongroom status"));
    }
    let root = keeper.opened_by().word().to_owned();
    Ok((Place::within(folder, vault), Serving { keeper, dir, lease, clocks, root, stop, limits: Limits::default() }))
}
