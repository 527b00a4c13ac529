//! Which vault, and what opens it.

use crate::args::{Asserted, Global};
use crate::config::{config_home, runtime_dir, state_home};
use crate::output::{Failure, on_terminal, printable};
use api::terms::{Code, KeyId, Name, VaultId};
use api::wire::Problem;
use client::Client;
use client::agent;
use client::root::{At, Places};
use client::vault::{
    self, ANSWER_WITHIN, ClockCheck, KmsPlace, Passphrase, Presence, RootKind, RootMeans, RootUnlock, Sitting,
    TokenPlace,
};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::Zeroizing;

/// The longest passphrase, in bytes.
const MAX_PASSPHRASE_LEN: u64 = 1_024;
/// The longest PIN, in bytes.
const MAX_PIN_LEN: usize = 255;

/// The vault folder that a command is about.
pub fn folder(global: &Global) -> Result<PathBuf, Failure> {
    if let Some(dir) = &global.vault {
        return Ok(vault::named(dir));
    }
    let here = std::env::current_dir().map_err(|e| Failure::from_io("cannot tell the working folder", &e))?;
    vault::find(&here).ok_or_else(|| {
        let why = format!("there is no `{}` in this folder or above it", vault::FOLDER);
        Problem::new(Code::NoVault, "no vault here", why).with_try("strongroom init, or --vault DIR").into()
    })
}

/// Opens the vault and sits down.
pub fn open(global: &Global) -> Result<Client, Failure> {
    open_checking(global, ClockCheck::AtOpening)
}

/// The same, although the clock may be out of bounds.
pub fn open_with_any_clock(global: &Global) -> Result<Client, Failure> {
    open_checking(global, ClockCheck::AtCommands)
}

/// Opens the vault if nobody needs to be asked for that and no passphrase has to be stretched.
pub fn open_unasked(global: &Global) -> Result<Option<Client>, Failure> {
    let asked = Asked::new(global)?;
    if let Some(client) = asked.by_agent()? {
        return Ok(Some(client));
    }
    let roots = unasked(global, &asked.described)?;
    if roots.is_empty() { Ok(None) } else { asked.by_roots(roots, ClockCheck::AtOpening).map(Some) }
}

fn open_checking(global: &Global, clock_check: ClockCheck) -> Result<Client, Failure> {
    let asked = Asked::new(global)?;
    match asked.by_agent()? {
        Some(client) => Ok(client),
        None => asked.by_root(clock_check),
    }
}

/// Which vault somebody wants to sit down at, and who.
struct Asked<'a> {
    global: &'a Global,
    dir: PathBuf,
    described: vault::Description,
    principal: Option<Name>,
}

impl<'a> Asked<'a> {
    fn new(global: &'a Global) -> Result<Self, Failure> {
        let dir = folder(global)?;
        let described = vault::describe(&dir)?;
        let principal = global.principal.as_deref().map(name).transpose()?;
        Ok(Self { global, dir, described, principal })
    }

    /// At the agent's side, if there is one and it may be asked.
    fn by_agent(&self) -> Result<Option<Client>, Failure> {
        if self.global.opens_itself {
            return Ok(None);
        }
        let presence = self.global.presence.map(|asserted| match asserted {
            Asserted::Absent => agent::Presence::None,
            Asserted::Present => agent::Presence::Now,
        });
        let who = agent::Seated { principal: self.principal.as_ref(), presence };
        Ok(agent::seat(&place_of_agent(self.described.vault), &self.dir, who)?)
    }

    fn by_root(&self, clock_check: ClockCheck) -> Result<Client, Failure> {
        self.by_roots(roots(self.global, &self.described)?, clock_check)
    }

    fn by_roots(&self, roots: Vec<RootMeans>, clock_check: ClockCheck) -> Result<Client, Failure> {
        let anchor = anchor(self.global, self.described.vault)?;
        let presence = self.global.presence.map(|asserted| match asserted {
            Asserted::Absent => Presence::None,
            Asserted::Present => Presence::Now,
        });
        let who = Sitting { principal: self.principal.as_ref(), presence };
        Ok(vault::open_checking(&self.dir, roots, anchor, who, clock_check)?)
    }
}

/// Where the agent of a vault is found.
pub fn place_of_agent(vault: VaultId) -> agent::Place {
    agent::Place::new(runtime_dir().as_deref(), vault)
}

/// Options with which a command that goes on for this long opens the vault: by itself, where it would not stay unlocked.
pub fn for_secs(global: &Global, secs: u64) -> Result<Global, Failure> {
    let described = vault::describe(&folder(global)?)?;
    let lasts = global.opens_itself || agent::lasts(&place_of_agent(described.vault), secs)?;
    Ok(Global { opens_itself: global.opens_itself || !lasts, ..global.clone() })
}

/// The anchor's place.
pub fn anchor(global: &Global, vault: VaultId) -> Result<PathBuf, Failure> {
    let place = place(global.anchor.as_deref(), state_home(), &format!("strongroom/{vault}.anchor"), "--anchor")?;
    // Its folder is synced, so it must have a name.
    std::path::absolute(&place).map_err(|e| Failure::from_io("cannot tell where the anchor is", &e))
}

/// The key file's place.
pub fn keyfile(global: &Global, vault: VaultId) -> Result<PathBuf, Failure> {
    place(global.keyfile.as_deref(), config_home(), &format!("strongroom/{vault}.key"), "--keyfile")
}

/// A principal's name.
pub fn name(text: &str) -> Result<Name, Failure> {
    text.parse().map_err(|e| Failure::usage("bad name", e))
}

/// The passphrase, from a file or from the terminal; asked twice for a new one.
pub fn passphrase(global: &Global, new: New) -> Result<Passphrase, Failure> {
    let passphrase = match &global.passphrase_file {
        Some(path) => from_file(path)?,
        None => from_terminal(new)?,
    };
    if passphrase.is_empty() || passphrase.len() as u64 > MAX_PASSPHRASE_LEN {
        return Err(Failure::usage("bad passphrase", "it must have 1 to 1,024 bytes"));
    }
    Ok(passphrase)
}

/// Whether the passphrase is being made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum New {
    /// It is.
    Yes,
    /// It exists.
    No,
}

/// Where this account finds what opens the vault's roots.
pub fn places(vault: VaultId) -> Result<(PathBuf, Places), Failure> {
    let path = place(None, config_home(), &format!("strongroom/{vault}.roots.json"), "--keyfile")?;
    let places = Places::read(&path)?;
    Ok((path, places))
}

/// What opens the vault, asked for if need be.
pub fn roots(global: &Global, described: &vault::Description) -> Result<Vec<RootMeans>, Failure> {
    let mut roots = unasked(global, described)?;
    let given = global.passphrase_file.is_some() && global.keyfile.is_none();
    if roots.is_empty() && !given {
        roots = asked_tokens(described)?;
    }
    if described.has(RootKind::Passphrase) && (given || roots.is_empty()) {
        roots.push(RootMeans { root: None, unlock: RootUnlock::Passphrase(passphrase(global, New::No)?) });
    }
    if roots.is_empty() {
        let path = keyfile(global, described.vault)?;
        let why = format!("there is no key file at `{}`", path.display());
        let problem = Problem::new(Code::RootRefused, "the vault stays locked", why);
        return Err(problem.with_try("put the vault's key file there, or name it with --keyfile PATH").into());
    }
    Ok(roots)
}

/// What opens it and is at hand. Nothing is no error, unless it was named.
pub fn at_hand(global: &Global, described: &vault::Description) -> Result<Vec<RootMeans>, Failure> {
    let named = global.keyfile.is_some() || global.passphrase_file.is_some();
    match roots(global, described) {
        Err(Failure::Problem(problem)) if problem.code == Code::RootRefused && !named => Ok(Vec::new()),
        other => other,
    }
}

/// The same, and tokens whose PIN only a person knows: one is passed over with an empty answer.
pub fn every_root(global: &Global, described: &vault::Description) -> Result<Vec<RootMeans>, Failure> {
    let mut roots = roots(global, described)?;
    let has = |roots: &[RootMeans], id| roots.iter().any(|means| means.root == Some(id));
    if on_terminal() && global.keyfile.is_none() && global.passphrase_file.is_none() {
        for entry in described.roots.iter().filter(|entry| entry.kind == RootKind::Pkcs11) {
            if !has(&roots, entry.id) {
                roots.extend(asked_token(described, entry.id, true)?);
            }
        }
    }
    Ok(roots)
}

/// A token's PIN, from a file or from the terminal.
pub fn pin(file: Option<&Path>, token: &str) -> Result<Passphrase, Failure> {
    checked_pin(match file {
        Some(path) => from_file(path)?,
        None => typed_pin(token)?,
    })
}

fn checked_pin(pin: Passphrase) -> Result<Passphrase, Failure> {
    if pin.is_empty() || pin.len() > MAX_PIN_LEN {
        return Err(Failure::usage("bad PIN", "it must have 1 to 255 bytes"));
    }
    Ok(pin)
}

fn typed_pin(token: &str) -> Result<Passphrase, Failure> {
    if !on_terminal() {
        let why = format!("there is no terminal to ask for the PIN of token `{token}`");
        let problem = Problem::new(Code::RootRefused, "the token stays locked", why);
        return Err(problem.with_try("strongroom unlock, at a terminal; or name a file with the PIN").into());
    }
    let text = rpassword::prompt_password(format!("PIN of token {}: ", printable(token)))
        .map_err(|e| Failure::from_io("cannot read the PIN", &e))?;
    Ok(Zeroizing::new(text.into_bytes()))
}

/// What opens it without asking anybody, and without stretching a passphrase.
fn unasked(global: &Global, described: &vault::Description) -> Result<Vec<RootMeans>, Failure> {
    let (_, places) = places(described.vault)?;
    let mut roots = Vec::new();
    for entry in &described.roots {
        let unlock = match (entry.kind, places.of(entry.id)) {
            // One that is named stands for every key file.
            (RootKind::Keyfile, Some(At::Keyfile { path })) if global.keyfile.is_none() => {
                RootUnlock::Keyfile(path.clone())
            }
            (RootKind::Keyfile, _) => RootUnlock::Keyfile(keyfile(global, described.vault)?),
            (RootKind::Pkcs11, Some(at @ At::Pkcs11 { pin_file: Some(file), token, .. })) => {
                // What is wrong with one root keeps no other from opening.
                match (token_at(at, false), pin(Some(file), token)) {
                    (Some(place), Ok(pin)) => RootUnlock::Pkcs11 { place, pin },
                    _ => continue,
                }
            }
            (RootKind::AwsKms, Some(At::AwsKms { key, endpoint, deadline_ms })) => {
                let place = KmsPlace { key: key.clone(), endpoint: endpoint.clone(), deadline: within(*deadline_ms) };
                RootUnlock::AwsKms { place, credentials: Passphrase::default() }
            }
            (RootKind::Pkcs11 | RootKind::AwsKms | RootKind::Passphrase | RootKind::Recovery | RootKind::Escrow, _) => {
                continue;
            }
        };
        let is_there = match &unlock {
            RootUnlock::Keyfile(path) => !matches!(path.try_exists(), Ok(false)),
            RootUnlock::Passphrase(_) | RootUnlock::Pkcs11 { .. } | RootUnlock::AwsKms { .. } => true,
        };
        if is_there {
            roots.push(RootMeans { root: Some(entry.id), unlock });
        }
    }
    Ok(roots)
}

/// Tokens whose PIN is asked for.
fn asked_tokens(described: &vault::Description) -> Result<Vec<RootMeans>, Failure> {
    let tokens = described.roots.iter().filter(|entry| entry.kind == RootKind::Pkcs11);
    let asked = tokens.map(|entry| asked_token(described, entry.id, false));
    Ok(asked.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// One whose PIN is asked for, if this account knows where it is; perhaps passed over.
fn asked_token(described: &vault::Description, root: KeyId, optional: bool) -> Result<Option<RootMeans>, Failure> {
    let (_, places) = places(described.vault)?;
    let Some(at @ At::Pkcs11 { pin_file: None, token, .. }) = places.of(root) else { return Ok(None) };
    let Some(place) = token_at(at, true) else { return Ok(None) };
    let pin = match (typed_pin(token)?, optional) {
        (pin, true) if pin.is_empty() => return Ok(None),
        (pin, _) => checked_pin(pin)?,
    };
    Ok(Some(RootMeans { root: Some(root), unlock: RootUnlock::Pkcs11 { place, pin } }))
}

/// A token as the keeper knows it.
pub fn token_at(at: &At, asked: bool) -> Option<TokenPlace> {
    let At::Pkcs11 { module, token, serial, deadline_ms, .. } = at else { return None };
    let (module, token, serial) = (module.clone(), token.clone(), serial.clone());
    Some(TokenPlace { module, token, serial, asked, deadline: within(*deadline_ms) })
}

/// How long a token or a service may take.
pub fn within(deadline_ms: Option<u64>) -> Duration {
    deadline_ms.map_or(ANSWER_WITHIN, Duration::from_millis)
}

fn place(given: Option<&Path>, home: Option<PathBuf>, below: &str, flag: &str) -> Result<PathBuf, Failure> {
    match (given, home) {
        (Some(path), _) => Ok(path.to_owned()),
        (None, Some(home)) => Ok(home.join(below)),
        (None, None) => Err(Failure::usage("no home folder", format!("HOME is not set; give {flag} PATH"))),
    }
}

fn from_file(path: &Path) -> Result<Passphrase, Failure> {
    let what = format!("cannot read `{}`", path.display());
    let file = std::fs::File::open(path).map_err(|e| Failure::from_io(&what, &e))?;
    let about = file.metadata().map_err(|e| Failure::from_io(&what, &e))?;
    // A pipe or a terminal is whoever's it was made for.
    if about.is_file() && about.mode() & 0o077 != 0 {
        let why = "others can read the passphrase file, or write to it";
        let hint = format!("chmod 600 '{}'", path.display());
        return Err(Problem::new(Code::RootRefused, "the vault stays locked", why).with_try(hint).into());
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_PASSPHRASE_LEN as usize + 3));
    file.take(MAX_PASSPHRASE_LEN + 3).read_to_end(&mut bytes).map_err(|e| Failure::from_io(&what, &e))?;
    let ends = bytes.iter().rev().take_while(|b| matches!(b, b'\n' | b'\r')).count().min(2);
    let len = bytes.len() - ends;
    bytes.truncate(len);
    Ok(bytes)
}

fn from_terminal(new: New) -> Result<Passphrase, Failure> {
    if !on_terminal() {
        let why = "there is no terminal to ask for the passphrase";
        let problem = Problem::new(Code::RootRefused, "the vault is locked", why);
        let hint = "strongroom unlock, at a terminal; or STRONGROOM_PASSPHRASE_FILE=PATH strongroom ...";
        return Err(problem.with_try(hint).into());
    }
    let ask = |prompt: &str| {
        let text =
            rpassword::prompt_password(prompt).map_err(|e| Failure::from_io("cannot read the passphrase", &e))?;
        Ok::<_, Failure>(Zeroizing::new(text.into_bytes()))
    };
    let first = ask(if new == New::Yes { "New passphrase: " } else { "Passphrase: " })?;
    if new == New::Yes && *ask("The same again: ")? != *first {
        return Err(Failure::usage("bad passphrase", "the two are not the same"));
    }
    Ok(first)
}
