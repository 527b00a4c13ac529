use super::connect::extend;
use super::frame::{Deadline, receive, send};
use super::wire::{PROTOCOL, program};
use super::*;
use crate::Client;
use crate::seat::SessionKey;
use crate::vault::{self, Init, Root};
use api::terms::{Code, Mode, Timestamp, VaultId};
use api::wire::{Command, Problem};
use keeper::Keeper;
use keeper::vault::{OpenOptions, RootMeans, RootUnlock};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(30);

/// Clocks that tests turn: the wall's beside what the machine's says, and the time since it started.
#[derive(Debug)]
struct Turned {
    wall: AtomicU64,
    boot: AtomicU64,
}

impl Clocks for Turned {
    fn now(&self) -> Moment {
        let wall = Timestamp::from_millis(self.wall.load(Ordering::SeqCst));
        Moment { wall, boot: Duration::from_millis(self.boot.load(Ordering::SeqCst)) }
    }
}

/// A vault and its agent in this process.
struct World {
    tmp: tempfile::TempDir,
    vault: VaultId,
    clocks: Arc<Turned>,
    agent: Option<JoinHandle<Result<(), Problem>>>,
}

fn limits() -> Limits {
    let short = Duration::from_millis(200);
    Limits { connections: 16, first: short, frame: short, beat: Duration::from_millis(10), tick: short, ending: LONG }
}

impl World {
    fn locked(mode: Mode) -> Self {
        let tmp = tempfile::tempdir().unwrap();
        let vault = vault::draw_id().unwrap();
        vault::init(Init {
            dir: tmp.path().join("vault"),
            vault,
            mode,
            root: Root::Keyfile(tmp.path().join("root.key")),
            anchor: tmp.path().join("state/anchor"),
            owner: "olivia".parse().unwrap(),
            crypto: None,
            recovery: None,
            depot: None,
        })
        .unwrap();
        let clocks = Turned { wall: crate::system::now().as_millis().into(), boot: 5_000_000.into() };
        Self { tmp, vault, clocks: Arc::new(clocks), agent: None }
    }

    fn unlocked(mode: Mode) -> Self {
        let mut world = Self::locked(mode);
        world.unlock();
        world
    }

    fn unlock(&mut self) {
        let (ready, is_ready) = mpsc::channel();
        let (place, serving) = (self.place(), self.serving());
        self.agent = Some(std::thread::spawn(move || serve(&place, serving, |_| ready.send(()).unwrap())));
        is_ready.recv().unwrap();
    }

    fn dir(&self) -> PathBuf {
        self.tmp.path().join("vault")
    }

    fn place(&self) -> Place {
        Place::within(self.tmp.path().join("agent"), self.vault)
    }

    fn serving(&self) -> Serving {
        let root = RootUnlock::Keyfile(self.tmp.path().join("root.key"));
        let keeper = Keeper::open(&OpenOptions::new(self.dir(), root, self.tmp.path().join("state/anchor"))).unwrap();
        let clocks: Arc<dyn Clocks> = self.clocks.clone();
        let lease = Lease::new(clocks.now(), 3600).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        Serving { keeper, dir: self.dir(), lease, clocks, root: "keyfile".into(), stop, limits: limits() }
    }

    fn seat(&self) -> Result<Option<Client>, Problem> {
        seat(&self.place(), &self.dir(), Seated::default())
    }

    fn client(&self) -> Client {
        self.seat().unwrap().expect("an agent")
    }

    fn raw(&self) -> UnixStream {
        UnixStream::connect(self.place().socket()).unwrap()
    }

    /// A connection of which a session was opened.
    fn sat(&self) -> UnixStream {
        let stream = self.raw();
        say(&stream, &Ask::Open(self.open()));
        assert!(matches!(hear(&stream), Reply::Opened(_)));
        stream
    }

    fn open(&self) -> Open {
        Open {
            protocol: PROTOCOL,
            program: program(),
            folder: Folder::at(&self.dir()).unwrap(),
            principal: None,
            presence: None,
            public_key: SessionKey::generate().unwrap().public().to_vec(),
        }
    }

    /// Waits for the agent's end; what it held is gone with it.
    fn ended(&mut self) -> Result<(), Problem> {
        self.agent.take().unwrap().join().unwrap()
    }
}

fn say(stream: &UnixStream, ask: &Ask) {
    send(stream, ask, Deadline::within(LONG)).unwrap();
}

fn hear(stream: &UnixStream) -> Reply {
    receive(stream, Some(LONG), LONG).unwrap()
}

fn refusal(reply: Reply) -> Problem {
    match reply {
        Reply::Refused(problem) => *problem,
        other => panic!("{other:?}"),
    }
}

fn code<T>(result: Result<T, Problem>) -> Code {
    result.map(drop).expect_err("no refusal").code
}

#[test]
fn sessions_are_served_until_the_vault_is_locked() {
    let mut world = World::unlocked(Mode::Rehearsal);
    let (a, b) = (world.client(), world.client());
    assert_eq!(a.status().unwrap().principal, "olivia");
    let unlocked = a.seat().connection().unlocked().unwrap().clone();
    assert_eq!(state(&world.place()).unwrap(), Some(unlocked.clone()));
    assert_eq!(
        (unlocked.until.as_millis() - unlocked.since.as_millis(), unlocked.pid),
        (3_600_000, std::process::id())
    );
    a.close().unwrap();
    // Who is asserted goes with the session, as in a process of one's own.
    let (alice, absent) = ("alice".parse().unwrap(), Some(Presence::None));
    let nobody = seat(&world.place(), &world.dir(), Seated { principal: Some(&alice), presence: absent });
    assert_eq!(code(nobody), Code::NotFound);
    assert!(seat(&world.place(), &world.dir(), Seated { principal: None, presence: absent }).unwrap().is_some());

    assert_eq!(lock(&world.place()).unwrap(), Locked::Asked);
    let refused = b.status().unwrap_err();
    assert!(matches!(refused.code, Code::RootRefused | Code::OutcomeUnknown), "{refused:?}");
    world.ended().unwrap();
    assert!(world.seat().unwrap().is_none() && !world.place().socket().exists());
    assert_eq!((lock(&world.place()).unwrap(), state(&world.place()).unwrap()), (Locked::Already, None));
}

#[test]
fn nothing_is_taken_on_somebodys_word_in_a_solo_vault() {
    let world = World::unlocked(Mode::Solo);
    let present = Seated { principal: None, presence: Some(Presence::Now) };
    assert_eq!(code(seat(&world.place(), &world.dir(), present)), Code::BadRequest);
    let bob = "bob".parse().unwrap();
    let other = Seated { principal: Some(&bob), presence: None };
    assert_eq!(code(seat(&world.place(), &world.dir(), other)), Code::BadRequest);
    lock(&world.place()).unwrap();
}

#[test]
fn when_the_time_is_over_by_either_clock_nothing_is_answered_any_more() {
    for (wall, boot) in [(3_600_000, 0), (0, 3_600_000)] {
        let mut world = World::unlocked(Mode::Solo);
        let client = world.client();
        client.status().unwrap();
        world.clocks.wall.fetch_add(wall, Ordering::SeqCst);
        world.clocks.boot.fetch_add(boot, Ordering::SeqCst);
        // It is not waited for: the next command meets it, or finds that the agent is gone.
        let refused = client.status().unwrap_err();
        assert!(matches!(refused.code, Code::RootRefused | Code::OutcomeUnknown), "{refused:?}");
        world.ended().unwrap();
        assert!(world.seat().unwrap().is_none());
    }
}

#[test]
fn a_wall_clock_that_is_set_back_locks_the_vault() {
    let mut world = World::unlocked(Mode::Solo);
    world.clocks.wall.fetch_sub(121_000, Ordering::SeqCst);
    world.ended().unwrap();
    assert!(world.seat().unwrap().is_none());
    let own = vault::open(
        &world.dir(),
        vec![RootMeans { root: None, unlock: RootUnlock::Keyfile(world.tmp.path().join("root.key")) }],
        world.tmp.path().join("state/anchor"),
        vault::Sitting::default(),
    );
    let filter = api::wire::AuditFilter { act: Some("vault.lock".into()), limit: 5, ..Default::default() };
    let page = own.unwrap().audit(filter).unwrap();
    assert_eq!(page.items[0].entry["detail"]["why"], "clock went back", "{page:?}");
}

#[test]
fn a_longer_time_counts_from_now_and_is_bounded() {
    let world = World::unlocked(Mode::Solo);
    world.clocks.wall.fetch_add(3_599_000, Ordering::SeqCst);
    world.clocks.boot.fetch_add(3_599_000, Ordering::SeqCst);
    let folder = Folder::at(&world.dir()).unwrap();
    let unlocked = extend(&world.place(), folder.clone(), 60).unwrap().unwrap();
    assert_eq!(unlocked.until.as_millis(), world.clocks.now().wall.as_millis() + 60_000);
    world.clocks.wall.fetch_add(59_000, Ordering::SeqCst);
    world.client().status().unwrap();
    for secs in [59, 604_801] {
        assert_eq!(code(extend(&world.place(), folder.clone(), secs)), Code::BadRequest);
    }
    let elsewhere = Folder { inode: folder.inode + 1, ..folder };
    assert_eq!(code(extend(&world.place(), elsewhere, 60)), Code::Conflict);
    lock(&world.place()).unwrap();
}

#[test]
fn a_command_at_work_when_the_time_is_over_comes_to_its_end_and_no_other() {
    let mut world = World::unlocked(Mode::Solo);
    let stream = world.sat();
    let database = rusqlite::Connection::open(world.dir().join("keeper.db")).unwrap();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    let writes = || Ask::Call(Box::new(Command::SuitesApply { table: String::new(), lockout: false }));
    say(&stream, &writes());
    // It waits for the database, and says that it does.
    assert!(matches!(hear(&stream), Reply::Working));
    world.clocks.boot.fetch_add(3_600_000, Ordering::SeqCst);
    assert!(matches!(hear(&stream), Reply::Working));
    database.execute_batch("ROLLBACK").unwrap();
    let answer = std::iter::repeat_with(|| hear(&stream)).find(|reply| !matches!(reply, Reply::Working)).unwrap();
    assert!(matches!(answer, Reply::Answer(_)), "{answer:?}");
    say(&stream, &writes());
    assert_eq!(refusal(hear(&stream)).code, Code::RootRefused);
    world.ended().unwrap();
}

#[test]
fn a_log_that_cannot_be_published_is_told_by_sessions_until_it_can() {
    let world = World::unlocked(Mode::Solo);
    let (checkpoint, aside) = (world.dir().join("log/checkpoint"), world.dir().join("log/aside"));
    let opened = || {
        let stream = world.raw();
        say(&stream, &Ask::Open(world.open()));
        match hear(&stream) {
            Reply::Opened(opened) => (stream, opened.waits),
            other => panic!("{other:?}"),
        }
    };
    let (stream, waits) = opened();
    assert!(!waits);
    std::fs::rename(&checkpoint, &aside).unwrap();
    std::fs::create_dir(&checkpoint).unwrap();
    let add = r#"{"name":"wanda","kind":"user","clearance":"internal","grants":[],"revoke":[],"suspended":null,"change":false}"#;
    say(&stream, &Ask::Call(Box::new(Command::PrincipalAdd(serde_json::from_str(add).unwrap()))));
    let answer = std::iter::repeat_with(|| hear(&stream)).find(|reply| !matches!(reply, Reply::Working)).unwrap();
    assert!(matches!(answer, Reply::Answer(_)), "what was answered stands: {answer:?}");
    drop(stream);
    // It is tried as soon as nobody asks for anything, or so many sessions later.
    assert!(std::iter::repeat_with(opened).take(100_000).any(|(_, waits)| waits));
    for _ in 0..2 {
        let (stream, waits) = opened();
        assert!(waits);
        say(&stream, &Ask::Close);
        assert_eq!(refusal(hear(&stream)).code, Code::Integrity);
    }
    std::fs::remove_dir(&checkpoint).unwrap();
    std::fs::rename(&aside, &checkpoint).unwrap();
    assert!(!opened().1);
    lock(&world.place()).unwrap();
}

#[test]
fn an_agent_of_another_folder_program_or_dialogue_is_refused() {
    let world = World::unlocked(Mode::Solo);
    let copy = world.tmp.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    std::fs::copy(world.dir().join("vault.json"), copy.join("vault.json")).unwrap();
    let refused = seat(&world.place(), &copy, Seated::default()).unwrap_err();
    assert_eq!((refused.code, refused.try_.as_deref()), (Code::Conflict, Some("strongroom lock")));
    assert!(refused.why.contains("one is a copy"), "{refused}");
    let other_program = Open { program: "strongroom 9.9.9".into(), ..world.open() };
    let other_dialogue = Open { protocol: PROTOCOL + 1, ..world.open() };
    let no_key = Open { public_key: vec![1; 31], ..world.open() };
    let same_path = Folder { inode: 1, ..world.open().folder };
    let other_folder = Open { folder: same_path, ..world.open() };
    for (open, expected) in [
        (other_program, Code::Conflict),
        (other_dialogue, Code::Conflict),
        (no_key, Code::BadRequest),
        (other_folder, Code::Conflict),
    ] {
        let stream = world.raw();
        say(&stream, &Ask::Open(open));
        assert_eq!(refusal(hear(&stream)).code, expected);
    }
    lock(&world.place()).unwrap();
}

#[test]
fn a_vault_whose_folder_is_gone_or_another_one_is_locked() {
    for replaced in [false, true] {
        let mut world = World::unlocked(Mode::Solo);
        let client = world.client();
        std::fs::rename(world.dir(), world.tmp.path().join("away")).unwrap();
        if replaced {
            std::fs::create_dir(world.dir()).unwrap();
            std::fs::copy(world.tmp.path().join("away/vault.json"), world.dir().join("vault.json")).unwrap();
        }
        let refused = client.status().unwrap_err();
        assert!(matches!(refused.code, Code::RootRefused | Code::OutcomeUnknown), "{refused:?}");
        world.ended().unwrap();
    }
    // So is one whose file names other roots.
    let mut world = World::unlocked(Mode::Solo);
    let file = world.dir().join("vault.json");
    std::fs::copy(&file, world.dir().join("new")).unwrap();
    std::fs::rename(world.dir().join("new"), file).unwrap();
    world.ended().unwrap();
}

#[test]
fn who_says_too_much_nonsense_or_nothing_is_cut_off_and_nobody_else() {
    let world = World::unlocked(Mode::Solo);
    let client = world.client();
    for (bytes, answered) in [
        (&b"\xff\xff\xff\xff"[..], true),
        (b"\0\0\0\x05hello", true),
        (b"\0\0\0\x0e{\"ask\":\"lunch\"", true),
        (b"GET / HTTP/1.1\r\n\r\n", true),
        (b"\0\0\0\x10{\"ask\":\"cl", false),
        (b"\0", false),
        (b"", false),
    ] {
        let mut stream = world.raw();
        stream.write_all(bytes).unwrap();
        if answered {
            assert_eq!(refusal(hear(&stream)).code, Code::Conflict, "{bytes:?}");
        }
        // Cut off after the deadline, at the latest.
        stream.set_read_timeout(Some(LONG)).unwrap();
        assert!(matches!(stream.read(&mut [0; 64]), Ok(0) | Err(_)), "{bytes:?}");
    }
    for before_a_session in [Ask::Close, Ask::Call(Box::new(Command::Status))] {
        let stream = world.raw();
        say(&stream, &before_a_session);
        assert_eq!(refusal(hear(&stream)).code, Code::BadSession);
    }
    let twice = world.sat();
    say(&twice, &Ask::Open(world.open()));
    assert_eq!(refusal(hear(&twice)).code, Code::BadSession);
    client.status().unwrap();
    lock(&world.place()).unwrap();
}

#[test]
fn a_client_that_never_reads_is_cut_off_and_nobody_else() {
    let world = World::unlocked(Mode::Solo);
    let stuck = world.sat();
    let asks: Vec<u8> = std::iter::repeat_n(
        super::frame::encoded(&Ask::Call(Box::new(Command::PolicyShow))).unwrap().to_vec(),
        100_000,
    )
    .flatten()
    .collect();
    stuck.set_write_timeout(Some(LONG)).unwrap();
    // Its answers fill the socket; when one did not go within the time for a frame, the connection is closed.
    let written = (&stuck).write_all(&asks);
    assert!(written.is_err(), "it was taken for ever");
    world.client().status().unwrap();
    lock(&world.place()).unwrap();
}

#[test]
fn connections_are_bounded() {
    let world = World::unlocked(Mode::Solo);
    let held: Vec<UnixStream> = (0..limits().connections).map(|_| world.sat()).collect();
    let refused = world.seat().unwrap_err();
    assert_eq!(refused.code, Code::Busy, "{refused:?}");
    drop(held);
    let free = std::iter::repeat_with(|| world.seat()).take(10_000).find(Result::is_ok);
    assert!(free.is_some(), "who left makes room");
    // While there is no room, it would be ended by force: but it is this process.
    let locked = std::iter::repeat_with(|| lock(&world.place())).take(10_000).find(Result::is_ok);
    assert_eq!(locked, Some(Ok(Locked::Asked)), "so does whoever locks it");
}

#[test]
fn one_agent_has_a_place_and_what_a_dead_one_left_is_removed() {
    let mut world = World::unlocked(Mode::Solo);
    assert_eq!(code(serve(&world.place(), world.serving(), |_| panic!("two"))), Code::Conflict);
    lock(&world.place()).unwrap();
    world.ended().unwrap();
    // A socket that nobody serves, as after `kill -9`.
    drop(UnixListener::bind(world.place().socket()).unwrap());
    assert!(world.place().socket().exists());
    assert!(world.seat().unwrap().is_none());
    assert!(!world.place().socket().exists(), "it is gone");
    world.unlock();
    world.client().status().unwrap();
    lock(&world.place()).unwrap();
}

#[test]
fn a_place_that_others_can_touch_is_none() {
    let world = World::locked(Mode::Solo);
    let (tmp, folder) = (world.tmp.path(), world.tmp.path().join("agent"));
    // A folder that others enter, and a link to one that they do not: no agent is looked for in them, and none goes there.
    for planted in [true, false] {
        if planted {
            std::fs::create_dir(&folder).unwrap();
            std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o1777)).unwrap();
        } else {
            std::fs::create_dir(tmp.join("elsewhere")).unwrap();
            std::fs::set_permissions(tmp.join("elsewhere"), PermissionsExt::from_mode(0o700)).unwrap();
            symlink(tmp.join("elsewhere"), &folder).unwrap();
        }
        let listener = UnixListener::bind(world.place().socket()).unwrap();
        listener.set_nonblocking(true).unwrap();
        assert!(world.seat().unwrap().is_none());
        assert!(listener.accept().is_err(), "nobody connected");
        assert_eq!(code(serve(&world.place(), world.serving(), |_| panic!("served"))), Code::Unavailable);
        std::fs::rename(&folder, tmp.join(format!("away-{planted}"))).unwrap();
    }
    // In a folder of one's own: something that is no socket.
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o700)).unwrap();
    std::fs::write(world.place().socket(), b"").unwrap();
    assert_eq!(code(world.seat()), Code::Conflict);
    // Not a folder for what runs: another one is taken.
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).unwrap();
    let own = format!("/tmp/strongroom-{}", rustix::process::geteuid().as_raw());
    for runtime in [Some(folder.as_path()), Some("run".as_ref()), Some("/nowhere".as_ref()), None] {
        assert!(Place::new(runtime, world.vault).socket().starts_with(&own), "{runtime:?}");
    }
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o700)).unwrap();
    assert!(Place::new(Some(&folder), world.vault).socket().starts_with(folder.join("strongroom")));
}

#[test]
fn a_path_longer_than_a_sockets_name_is_fine() {
    let mut world = World::locked(Mode::Solo);
    let deep = world.tmp.path().join("x".repeat(200));
    std::fs::create_dir(&deep).unwrap();
    let place = Place::within(deep.join("agent"), world.vault);
    let (ready, is_ready) = mpsc::channel();
    let (at, serving) = (place.clone(), world.serving());
    world.agent = Some(std::thread::spawn(move || serve(&at, serving, |_| ready.send(()).unwrap())));
    is_ready.recv().unwrap();
    seat(&place, &world.dir(), Seated::default()).unwrap().expect("an agent").status().unwrap();
    lock(&place).unwrap();
    world.ended().unwrap();
}

#[test]
fn the_seeds_of_the_fuzzer_are_frames() {
    let seeds = testkit::seeds::good("agent_frame");
    assert!(seeds.len() >= 8);
    for seed in seeds {
        assert_eq!(reread(&seed), Some(seed));
    }
}
