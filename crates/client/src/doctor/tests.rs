//! Checks against folders and a made-up `proc`.

use super::*;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

fn write(root: &Path, name: &str, text: &str) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}

#[track_caller]
fn named<'a>(checks: &'a [Check], name: &str) -> &'a Check {
    checks.iter().find(|check| check.name == name).unwrap_or_else(|| panic!("no check {name}"))
}

/// A machine, and what its checks say.
fn machine(files: &[(&str, &str)]) -> Vec<Check> {
    let root = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, text)| write(root.path(), name, text));
    machine::checks(root.path())
}

const HEAD: &str = "Filename Type Size Used Priority\n";

#[test]
fn swap_is_told_by_what_lies_below_it() {
    let swap = |line: &str, files: &[(&str, &str)]| {
        let table = format!("{HEAD}{line}");
        let mut all = vec![("proc/swaps", table.as_str())];
        all.extend(files);
        named(&machine(&all), "swap").state
    };
    assert_eq!(swap("", &[]), State::Ok);
    assert_eq!(swap("/dev/zram0 partition 1 0 100\n", &[]), State::Ok);
    assert_eq!(swap("/dev/sda2 partition 1 0 -2\n", &[("sys/class/block/sda2/size", "1")]), State::Warning);
    assert_eq!(swap("/dev/dm-1 partition 1 0 -2\n", &[("sys/block/dm-1/dm/uuid", "CRYPT-PLAIN-swap")]), State::Ok);
    // A volume on an encrypted disk, and one half of which is on a bare one.
    let volume = ("sys/block/dm-2/dm/uuid", "LVM-abc");
    let below = ("sys/block/dm-2/slaves/dm-0/dm/uuid", "CRYPT-LUKS2-def");
    assert_eq!(swap("/dev/dm-2 partition 1 0 -2\n", &[volume, below]), State::Ok);
    let bare = ("sys/block/dm-2/slaves/sdb1/size", "1");
    assert_eq!(swap("/dev/dm-2 partition 1 0 -2\n", &[volume, below, bare]), State::Warning);
    let both = "/dev/zram0 partition 1 0 100\n/dev/sda2 partition 1 0 -2\n";
    assert_eq!(swap(both, &[("sys/class/block/sda2/size", "1")]), State::Warning);
    assert_eq!(named(&machine(&[]), "swap").state, State::Unknown, "no table");
}

#[test]
fn dumps_locks_and_looks_are_told_by_their_limits() {
    let limits = |core: &str, lock: &str| {
        format!(
            "Limit  Soft  Hard  Units\nMax core file size        {core}    0  bytes\nMax locked memory         {lock}  1  bytes\n"
        )
    };
    let state = |pattern: &str, core: &str, scope: &str| {
        let limits = limits(core, "65536");
        let pid = format!("proc/{}/limits", rustix::process::getppid().unwrap().as_raw_nonzero());
        let files = [
            ("proc/sys/kernel/core_pattern", pattern),
            (pid.as_str(), limits.as_str()),
            ("proc/self/limits", limits.as_str()),
            ("proc/sys/kernel/yama/ptrace_scope", scope),
        ];
        let checks = machine(&files);
        (named(&checks, "core-dumps").state, named(&checks, "ptrace").state)
    };
    assert_eq!(state("core", "0", "1\n"), (State::Ok, State::Ok));
    assert_eq!(state("core", "unlimited", "0\n"), (State::Warning, State::Warning));
    // A handler is given dumps whatever the limit is.
    assert_eq!(state("|/usr/lib/systemd/systemd-coredump %P", "0", "2\n").0, State::Warning);
    let little = limits("0", "16");
    assert_eq!(named(&machine(&[("proc/self/limits", &little)]), "locked-memory").state, State::Warning);
    let synced = machine(&[("run/systemd/timesync/synchronized", "")]);
    assert_eq!(named(&synced, "clock-sync").state, State::Ok);
    assert_eq!(named(&machine(&[]), "clock-sync").state, State::Unknown);
}

/// A vault folder as `init` makes it, with key file and anchor apart.
struct Home {
    dir: tempfile::TempDir,
}

const VAULT: &str = "000102030405060708090a0b0c0d0e0f";

impl Home {
    fn new() -> Self {
        let home = Self { dir: tempfile::tempdir().unwrap() };
        for folder in ["work/.strongroom/depot", "config", "state"] {
            std::fs::create_dir_all(home.at(folder)).unwrap();
        }
        write(home.dir.path(), "work/.strongroom/keeper.db", "x");
        write(home.dir.path(), "config/a.key", &format!("strongroom-root-v1 {VAULT} 00 11\n"));
        write(home.dir.path(), "state/a.anchor", "x");
        mode(&home.at("work/.strongroom"), 0o700);
        mode(&home.at("config/a.key"), 0o600);
        for name in ["", "work", "config", "state"] {
            mode(&home.at(name), 0o755);
        }
        home
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn places(&self) -> Places {
        Places {
            dir: self.at("work/.strongroom"),
            vault: VAULT.parse().ok(),
            keyfile: Some(self.at("config/a.key")),
            keyfiles: Vec::new(),
            anchor: Some(self.at("state/a.anchor")),
            config: Some(self.at("config/config.toml")),
            passphrase_file: None,
            here: self.at("work"),
            system: self.at("nowhere"),
        }
    }

    fn state(&self, name: &str) -> State {
        named(&examine(&self.places()), name).state
    }
}

#[test]
fn a_vault_as_it_is_made_has_no_finding() {
    let home = Home::new();
    let checks = examine(&home.places());
    let found: Vec<&Check> = checks.iter().filter(|check| check.state == State::Finding).collect();
    // The temporary folder may be in memory.
    let found: Vec<&&Check> = found.iter().filter(|check| check.name != "file-system").collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn open_permissions_are_found_and_mended_and_nothing_else_is_touched() {
    let home = Home::new();
    write(home.dir.path(), "config/config.toml", "");
    let opened = [
        ("vault-folder", "work/.strongroom", 0o755, 0o700),
        ("key-file", "config/a.key", 0o640, 0o600),
        ("anchor", "state/a.anchor", 0o666, 0o644),
        ("configuration", "config/config.toml", 0o622, 0o600),
    ];
    for (name, path, open, _) in opened {
        mode(&home.at(path), open);
        assert_eq!(home.state(name), State::Finding, "{name}");
    }
    let mut checks = examine(&home.places());
    checks.iter_mut().for_each(Check::fix);
    for (name, path, _, closed) in opened {
        let now = std::fs::metadata(home.at(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(now, closed, "{name}");
        assert!(named(&checks, name).fixed.is_some(), "{name}");
        assert_eq!(home.state(name), State::Ok, "{name}");
    }
    // A database behind an open folder is read by others too.
    mode(&home.at("work/.strongroom"), 0o755);
    mode(&home.at("work/.strongroom/keeper.db"), 0o644);
    assert_eq!(home.state("database"), State::Finding);
    // What others can write is not shut behind their backs.
    mode(&home.at("work"), 0o777);
    let checks = examine(&home.places());
    let parents = named(&checks, "parents");
    assert_eq!((parents.state, &parents.fix), (State::Finding, &None), "{parents:?}");
    mode(&home.at("work"), 0o1777);
    assert_eq!(home.state("parents"), State::Ok, "owners are kept apart");
}

#[test]
fn a_key_beside_its_vault_or_copied_is_found() {
    let home = Home::new();
    assert_eq!(home.state("key-place"), State::Ok);
    assert_eq!(home.state("key-copies"), State::Ok);
    std::fs::copy(home.at("config/a.key"), home.at("work/backup")).unwrap();
    assert_eq!(home.state("key-copies"), State::Finding);
    std::fs::rename(home.at("work/backup"), home.at("work/.strongroom/x")).unwrap();
    assert_eq!(home.state("key-copies"), State::Finding);
    let placed = |folder: &str, name: &str| {
        std::fs::create_dir_all(home.at(folder)).unwrap();
        let keyfile = home.at(folder).join("a.key");
        std::fs::copy(home.at("config/a.key"), &keyfile).unwrap();
        let checks = examine(&Places { keyfile: Some(keyfile), ..home.places() });
        named(&checks, name).state
    };
    assert_eq!(placed("work/.strongroom", "key-place"), State::Finding);
    assert_eq!(placed("Dropbox/keys", "key-place"), State::Finding);
    assert_eq!(placed("OneDrive - Clinic/keys", "key-place"), State::Finding);
    std::fs::create_dir_all(home.at("repo/.git")).unwrap();
    assert_eq!(placed("repo/keys", "key-place"), State::Warning);
    std::fs::create_dir_all(home.at("shared/.stfolder")).unwrap();
    let synced = Places { dir: home.at("shared"), ..home.places() };
    assert_eq!(named(&examine(&synced), "vault-place").state, State::Warning);
}

#[test]
fn an_anchor_in_the_vault_or_missing_is_said() {
    let home = Home::new();
    assert_eq!((home.state("anchor"), home.state("anchor-place")), (State::Ok, State::Ok));
    let inside = Places { anchor: Some(home.at("work/.strongroom/log.anchor")), ..home.places() };
    assert_eq!(named(&examine(&inside), "anchor-place").state, State::Finding);
    assert_eq!(named(&examine(&inside), "anchor").state, State::Warning, "it is not there");
}

#[test]
fn what_killed_commands_left_is_found_and_removed_and_young_things_stay() {
    let home = Home::new();
    let staging = home.at("work/.strongroom-staging-0123456789abcdef");
    std::fs::create_dir_all(&staging).unwrap();
    write(home.dir.path(), "work/.strongroom/drafts/aa/version", "x");
    write(home.dir.path(), "work/.strongroom/drafts/bb/version", "x");
    write(home.dir.path(), "work/.strongroom/scratch/old", "x");
    let old = std::fs::FileTimes::new().set_modified(crate::system::before(3 * 24 * 3_600));
    for name in ["drafts/bb/version", "scratch/old"] {
        let file = std::fs::File::options().write(true).open(home.at("work/.strongroom").join(name)).unwrap();
        file.set_times(old).unwrap();
    }
    let mut checks = examine(&home.places());
    assert_eq!(named(&checks, "stagings").state, State::Finding);
    assert_eq!(named(&checks, "scratch").state, State::Warning);
    assert_eq!(named(&checks, "journals").state, State::Warning);
    checks.iter_mut().for_each(Check::fix);
    let left = |name: &str| home.at("work/.strongroom").join(name).exists();
    assert_eq!(
        (staging.exists(), left("drafts/aa/version"), left("drafts/bb"), left("scratch/old")),
        (false, true, false, false)
    );
}

#[test]
fn a_vault_that_does_not_open_says_what_was_not_checked() {
    let problem = Problem::new(Code::RootRefused, "the vault stays locked", "no key file");
    let checks = unopened(&problem);
    assert_eq!(named(&checks, "opens").state, State::Finding);
    let rest: Vec<State> = checks.iter().skip(1).map(|check| check.state).collect();
    assert!(rest.len() >= 5 && rest.iter().all(|state| *state == State::Unknown), "{checks:?}");
    let problem = Problem::new(Code::ClockBack, "the clock went back", "by 200 s");
    assert_eq!(named(&unopened(&problem), "clock").state, State::Finding);
}
