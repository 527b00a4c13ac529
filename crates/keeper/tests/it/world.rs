//! A vault in a temporary folder and the least client that can talk to it: no depot, no sealing of data.

use api::terms::{Action, Class, DepotId, Environment, Kind, Mode, Name, ObjectId, Reference, VaultId, VersionId};
use api::wire::{Answer, Begin, Begun, Command, Commit, Committed, Problem, Release, Released, VersionItem};
use keeper::datastore::{Datastore, postgres};
use keeper::system::{Clock, SystemClock};
use keeper::vault::{self, InitOptions, OpenOptions, RootChoice, RootUnlock};
use keeper::{Keeper, Session};
use seal::envelope::{self, Opened};
use seal::hpke::OneTimeKey;
use seal::record::{Manifest, Pack, Segment, VersionRecord};
use seal::request::{Ask, SignedRequest};
use seal::secret::SigningSeed;
use seal::segment::SegmentInfo;
use seal::sign::{SigningKey, VerifyingKey};
use seal::tree::Digest;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use tempfile::TempDir;
use testkit::postgres::{Collation, Postgres};
use testkit::suites;

/// A clock that tests turn.
#[derive(Debug)]
pub struct TestClock(AtomicU64);

impl TestClock {
    pub fn at(millis: u64) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(millis)))
    }
    pub fn set(&self, millis: u64) {
        self.0.store(millis, Ordering::SeqCst);
    }
    pub fn advance(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
    pub fn millis(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Clock for TestClock {
    fn now(&self) -> api::terms::Timestamp {
        api::terms::Timestamp::from_millis(self.millis())
    }
    fn uptime_secs(&self) -> u64 {
        self.millis() / 1_000
    }
}

/// A vault on disk.
pub struct World {
    pub tmp: TempDir,
    pub vault: VaultId,
    pub clock: Arc<TestClock>,
    /// A database on a server, kept running.
    pub server: Option<(String, Arc<Postgres>)>,
}

impl World {
    pub fn new(mode: Mode) -> Self {
        Self::with(mode, None, None)
    }

    pub fn with_root(mode: Mode, passphrase: Option<&[u8]>) -> Self {
        Self::with(mode, passphrase, None)
    }

    pub fn postgres(mode: Mode) -> Self {
        let server = Postgres::shared().unwrap();
        Self::with(mode, None, Some((server.database(Collation::Bytes).unwrap(), server)))
    }

    /// One on each engine.
    pub fn both(mode: Mode) -> [Self; 2] {
        [Self::new(mode), Self::postgres(mode)]
    }

    fn with(mode: Mode, passphrase: Option<&[u8]>, server: Option<(String, Arc<Postgres>)>) -> Self {
        let tmp = tempfile::tempdir().unwrap();
        let vault = vault::draw_id().unwrap();
        // Some time after `init`, because the mark in the database is the system's.
        let clock = TestClock::at(SystemClock.now().as_millis() + 3_600_000);
        let root = match passphrase {
            None => RootChoice::Keyfile { path: tmp.path().join("keys/root.key") },
            Some(bytes) => RootChoice::Passphrase { bytes: bytes.to_vec().into() },
        };
        let world = Self { tmp, vault, clock, server };
        let crypto = suites::table(suites::current());
        let options = InitOptions {
            dir: world.dir(),
            vault,
            mode,
            root,
            anchor: world.anchor(),
            owner: name("olivia"),
            crypto,
            recovery: None,
        };
        let info = match world.store() {
            None => vault::init(&options),
            Some(store) => vault::init_in(&options, store),
        };
        let info = info.unwrap();
        assert_eq!((info.vault, info.mode), (vault, mode));
        world
    }

    pub fn dir(&self) -> PathBuf {
        self.tmp.path().join("vault")
    }
    pub fn keyfile(&self) -> PathBuf {
        self.tmp.path().join("keys/root.key")
    }
    pub fn anchor(&self) -> PathBuf {
        self.tmp.path().join("state/anchor")
    }

    pub fn options(&self) -> OpenOptions {
        let root = RootUnlock::Keyfile(self.keyfile());
        let clock: Arc<dyn Clock> = self.clock.clone();
        OpenOptions { clock, store: self.store(), ..OpenOptions::new(self.dir(), root, self.anchor()) }
    }

    fn store(&self) -> Option<Datastore> {
        let (address, _) = self.server.as_ref()?;
        Some(Datastore::postgres(&postgres::Options::new(address)).unwrap())
    }

    pub fn open(&self) -> Keeper {
        Keeper::open(&self.options()).unwrap()
    }

    /// Another keeper of it, with a clock of its own.
    pub fn open_by(&self, clock: &Arc<TestClock>) -> Keeper {
        let clock: Arc<dyn Clock> = Arc::clone(clock) as Arc<dyn Clock>;
        Keeper::open(&OpenOptions { clock, ..self.options() }).unwrap()
    }

    /// Runs SQL behind the keeper's back.
    pub fn tamper(&self, sql: &str) -> usize {
        let db = rusqlite::Connection::open(self.dir().join("keeper.db")).unwrap();
        db.execute(sql, []).unwrap()
    }
}

/// A client: a session with its key.
pub struct Client<'a> {
    pub keeper: &'a Keeper,
    pub session: Session,
    pub key: SigningKey,
    pub clock: Arc<TestClock>,
    /// What requests are made for and records say: at first, what the vault's own keys have.
    pub suite: AtomicU16,
}

/// A request whose one-time key is kept to open the answer.
pub struct Asked {
    pub signed: SignedRequest,
    pub one_time: OneTimeKey,
}

impl<'a> Client<'a> {
    pub fn new(keeper: &'a Keeper, world: &World, who: Option<&str>) -> Self {
        let key = SigningKey::from_seed(&SigningSeed::generate().unwrap()).unwrap();
        let principal = who.map(name);
        let session = keeper.session(principal.as_ref(), *key.verifying_key().as_bytes()).unwrap();
        let suite = AtomicU16::new(keeper.info().suite.number().into());
        Self { keeper, session, key, clock: Arc::clone(&world.clock), suite }
    }

    /// Goes on under another suite.
    pub fn under(&self, suite: seal::Suite) -> &Self {
        self.suite.store(suite.number(), Ordering::SeqCst);
        self
    }

    fn suite(&self) -> seal::Suite {
        seal::Suite::from_number(self.suite.load(Ordering::SeqCst)).unwrap()
    }

    pub fn call(&self, command: Command) -> Result<Answer, Problem> {
        self.keeper.call(&self.session, command)
    }

    /// Signs a request for the command that will carry it; its own place in it is empty.
    pub fn ask(&self, action: Action, versions: &[VersionId], command: &Command) -> Asked {
        let bytes = log::jcs::to_vec(&serde_json::to_value(command).unwrap()).unwrap();
        self.ask_bound(action, versions, log::tree::sha256(&bytes).as_bytes())
    }

    pub fn ask_bound(&self, action: Action, versions: &[VersionId], command: &[u8; 32]) -> Asked {
        let one_time = OneTimeKey::generate(self.suite()).unwrap();
        let versions: Vec<[u8; 16]> = versions.iter().map(|id| *id.as_bytes()).collect();
        let (principal, session) = (self.session.principal(), self.session.id());
        let ask = Ask {
            vault: self.keeper.info().vault.as_bytes(),
            principal: principal.as_bytes(),
            session: session.as_bytes(),
            action: action.number(),
            versions: &versions,
            command,
            time_ms: self.clock.millis(),
        };
        Asked { signed: SignedRequest::sign(&ask, &one_time, &self.key).unwrap(), one_time }
    }

    pub fn open(&self, asked: Asked, envelope: &[u8]) -> Result<Opened, envelope::Error> {
        let key: [u8; 32] = self.keeper.info().release_key.clone().try_into().unwrap();
        envelope::open(envelope, &asked.signed, asked.one_time, &VerifyingKey::from_bytes(key))
    }

    pub fn begin(&self, put: &Put) -> Result<(Begun, Opened), Problem> {
        self.begin_naming(put, None, &[])
    }

    /// With what the commit is going to name: its alias and its sources.
    pub fn begin_naming(&self, put: &Put, alias: Option<&str>, from: &[&str]) -> Result<(Begun, Opened), Problem> {
        let versions: Vec<VersionId> = std::iter::once(put.version).chain(put.previous).collect();
        let reference: Reference = put.reference.parse().unwrap();
        let mut begin = Begin {
            workspace: reference.workspace,
            artifact: reference.artifact,
            class: put.class,
            at_least: None,
            environment: put.environment,
            kind: put.kind,
            alias: alias.map(name),
            from: from.iter().map(|&text| text.to_owned()).collect(),
            run: None,
            objects: put.objects.clone(),
            request: Vec::new(),
        };
        let asked = self.ask(Action::Write, &versions, &Command::Begin(begin.clone()));
        begin.request = asked.signed.encode();
        match self.call(Command::Begin(begin))? {
            Answer::Begun(begun) => {
                let opened = self.open(asked, &begun.envelope).unwrap();
                Ok((*begun, opened))
            }
            other => panic!("{other:?}"),
        }
    }

    pub fn commit(&self, put: &Put, begun: &Begun) -> Result<Committed, Problem> {
        let record = VersionRecord { suite: self.suite(), ..put.record(self.keeper, begun) };
        self.commit_record(put, record.encode().unwrap())
    }

    pub fn commit_record(&self, put: &Put, record: Vec<u8>) -> Result<Committed, Problem> {
        let commit = Commit {
            version: put.version,
            record,
            plaintext_commitment: vec![7; 32],
            bytes: 11,
            files: 1,
            tags: BTreeMap::from([("stage".into(), "raw".into())]),
            alias: put.alias.clone(),
            from: put.from.clone(),
            made: None,
            // Opaque to the keeper.
            prints: put.version.as_bytes().to_vec(),
            depot: put.depot,
        };
        match self.call(Command::Commit(commit))? {
            Answer::Committed(committed) => Ok(*committed),
            other => panic!("{other:?}"),
        }
    }

    /// A whole `put`.
    pub fn put(&self, put: &Put) -> Result<Committed, Problem> {
        let (begun, _) = self.begin(put)?;
        self.commit(put, &begun)
    }

    pub fn show(&self, reference: &str) -> Result<VersionItem, Problem> {
        match self.call(Command::Show { reference: reference.into() })? {
            Answer::Version(item) => Ok(*item),
            other => panic!("{other:?}"),
        }
    }

    pub fn release(&self, action: Action, reference: &str) -> Result<(Released, Opened), Problem> {
        self.release_with(action, reference, None, None)
    }

    pub fn release_with(
        &self,
        action: Action,
        reference: &str,
        reason: Option<&str>,
        confirm: Option<&str>,
    ) -> Result<(Released, Opened), Problem> {
        let id = self.show(reference).map_or(VersionId::from_bytes([9; 16]), |item| item.id);
        let mut release = Release {
            reference: reference.into(),
            action,
            request: Vec::new(),
            reason: reason.map(str::to_owned),
            confirm: confirm.map(str::to_owned),
            run: None,
            shared_with: Vec::new(),
        };
        let asked = self.ask(action, &[id], &Command::Release(release.clone()));
        release.request = asked.signed.encode();
        match self.call(Command::Release(release))? {
            Answer::Released(released) => {
                let opened = self.open(asked, &released.envelope).unwrap();
                Ok((*released, opened))
            }
            other => panic!("{other:?}"),
        }
    }
}

/// A version to put.
#[derive(Clone)]
pub struct Put {
    pub reference: String,
    pub version: VersionId,
    pub previous: Option<VersionId>,
    pub class: Option<Class>,
    pub kind: Option<Kind>,
    pub environment: Environment,
    pub objects: Vec<ObjectId>,
    pub alias: Option<Name>,
    pub from: Vec<String>,
    pub packs: Vec<Pack>,
    pub depot: Option<DepotId>,
}

impl Put {
    pub fn new(reference: &str) -> Self {
        let objects = vec![ObjectId::from_bytes(random()), ObjectId::from_bytes(random())];
        Self {
            reference: reference.into(),
            version: VersionId::from_bytes(random()),
            previous: None,
            class: None,
            kind: Some(Kind::Dataset),
            environment: Environment::Dev,
            objects,
            alias: None,
            from: Vec::new(),
            packs: Vec::new(),
            depot: None,
        }
    }

    pub fn class(mut self, class: Class) -> Self {
        self.class = Some(class);
        self
    }

    /// The record of one pack with one segment, and of packs taken over.
    pub fn record(&self, keeper: &Keeper, begun: &Begun) -> VersionRecord {
        let len = 11_u64;
        let suite = seal::Suite::from_number(keeper.info().suite.number().into()).unwrap();
        let stored = SegmentInfo::manifest(suite, len, Digest::from_bytes([3; 32])).unwrap().stored_len();
        let manifest = |offset| Manifest { offset, plaintext_len: len, stored_len: stored, digest: [3; 32] };
        let segment =
            Segment { object: *self.objects[1].as_bytes(), plaintext_len: len, stored_len: stored, digest: [4; 32] };
        let own = Pack { id: random(), owner: *self.version.as_bytes(), segments: vec![segment] };
        VersionRecord {
            suite,
            vault: *keeper.info().vault.as_bytes(),
            artifact: *begun.artifact.as_bytes(),
            version: *self.version.as_bytes(),
            previous: self.previous.map(|id| *id.as_bytes()),
            class: begun.class.number(),
            environment: Some(self.environment.number()),
            packs: std::iter::once(own).chain(self.packs.clone()).collect(),
            object: *self.objects[0].as_bytes(),
            list: manifest(0),
            map: manifest(stored),
        }
    }
}

pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub fn random() -> [u8; 16] {
    seal::entropy::array().unwrap()
}

/// The code and the whole of a problem.
pub fn code<T: std::fmt::Debug>(result: Result<T, Problem>) -> api::terms::Code {
    match result {
        Err(problem) => problem.code,
        Ok(answer) => panic!("no refusal: {answer:?}"),
    }
}
