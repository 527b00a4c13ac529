//! What the machine does with memory: swap, dumps, looks of one process into another. Read from `proc` and `sys`.

use super::{Check, Unit};
use std::path::{Path, PathBuf};

const SWAP: Unit = Unit::new("swap", "what is swapped out to a bare disk can be read there for ever");
const DUMPS: Unit = Unit::new("core-dumps", "a dump of a program that works with the data holds the data");
const PTRACE: Unit = Unit::new("ptrace", "a program of yours can read the memory of your other programs");
const LOCKED: Unit = Unit::new("locked-memory", "keys that cannot be locked in memory may be swapped out");
const SYNCED: Unit = Unit::new("clock-sync", "a clock that nobody sets drifts until the vault refuses it");

/// Locked memory that an agent needs.
const LOCK_BYTES: u64 = 64 << 10;

pub(super) fn checks(system: &Path) -> Vec<Check> {
    vec![swap(system), dumps(system), ptrace(system), locked(system), clock(system)]
}

fn read(system: &Path, path: &str) -> Option<String> {
    std::fs::read_to_string(system.join(path)).ok()
}

fn swap(system: &Path) -> Check {
    let Some(table) = read(system, "proc/swaps") else {
        return SWAP.unknown("the system does not say what it swaps to");
    };
    let devices: Vec<&str> = table.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    let bare: Vec<&str> = devices.iter().copied().filter(|device| !keeps_secrets(system, device)).collect();
    match (devices.as_slice(), bare.as_slice()) {
        ([], _) => SWAP.ok("there is none"),
        (_, []) => SWAP.ok("encrypted, or in memory"),
        (_, bare) => SWAP
            .warning(format!("{} is not encrypted, as far as the system says", bare.join(", ")))
            .with_try("encrypt it (cryptsetup with a random key), use zram, or swapoff"),
    }
}

/// Whether a swap device is memory, or lies on dm-crypt. A file lies on its file system's device.
fn keeps_secrets(system: &Path, device: &str) -> bool {
    let name = device.rsplit('/').next().unwrap_or(device);
    if name.starts_with("zram") {
        return true;
    }
    let block = system.join("sys/block").join(name);
    if block.exists() {
        return crypted(&block, 0);
    }
    let partition = system.join("sys/class/block").join(name);
    if partition.exists() {
        return crypted(&partition, 0);
    }
    use std::os::unix::fs::MetadataExt as _;
    let Ok(file) = std::fs::metadata(device) else { return false };
    let of = if file.rdev() == 0 { file.dev() } else { file.rdev() };
    let (major, minor) = (rustix::fs::major(of), rustix::fs::minor(of));
    crypted(&system.join(format!("sys/dev/block/{major}:{minor}")), 0)
}

/// Whether a block device is dm-crypt, or everything below it is.
fn crypted(block: &Path, depth: u32) -> bool {
    let uuid = std::fs::read_to_string(block.join("dm/uuid")).unwrap_or_default();
    if uuid.starts_with("CRYPT-") {
        return true;
    }
    let below: Vec<PathBuf> = std::fs::read_dir(block.join("slaves"))
        .map(|found| found.flatten().map(|e| e.path()).collect())
        .unwrap_or_default();
    depth < MAX_LAYERS && !below.is_empty() && below.iter().all(|slave| crypted(slave, depth + 1))
}

/// Layers of devices that are followed.
const MAX_LAYERS: u32 = 8;

/// Dumps of this program are off; what counts is what other programs of the same shell leave.
fn dumps(system: &Path) -> Check {
    let Some(pattern) = read(system, "proc/sys/kernel/core_pattern") else {
        return DUMPS.unknown("the system does not say where dumps go");
    };
    let pattern = pattern.trim();
    let parent = rustix::process::getppid().map_or(1, |pid| pid.as_raw_nonzero().get());
    let limits = read(system, &format!("proc/{parent}/limits")).or_else(|| read(system, "proc/self/limits"));
    let allowed = limits.as_deref().and_then(|text| limit(text, "Max core file size"));
    let suid = read(system, "proc/sys/fs/suid_dumpable").is_some_and(|text| text.trim() == "1");
    if let Some(handler) = pattern.strip_prefix('|') {
        let program = handler.split_whitespace().next().unwrap_or_default();
        let name = program.rsplit('/').next().unwrap_or_default();
        return DUMPS
            .warning(format!("dumps of other programs go to `{name}`, which keeps them, whatever the limit is"))
            .with_try("strongroom's own are off; turn the handler off, or empty what it keeps");
    }
    match allowed {
        _ if suid => DUMPS
            .warning("programs that change their user may be dumped (fs.suid_dumpable is 1)")
            .with_try("sysctl fs.suid_dumpable=0"),
        Some(0) => DUMPS.ok("off in this shell"),
        None => DUMPS.unknown("the limit of this shell cannot be read; strongroom's own dumps are off"),
        Some(_) => DUMPS.warning("on in this shell; strongroom's own are off").with_try("ulimit -c 0"),
    }
}

/// The soft limit of a line of `limits`.
fn limit(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    match rest.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

fn ptrace(system: &Path) -> Check {
    match read(system, "proc/sys/kernel/yama/ptrace_scope").as_deref().map(str::trim) {
        Some("0") => PTRACE
            .warning("any program of yours may (kernel.yama.ptrace_scope is 0); ours keep their memory closed")
            .with_try("sysctl kernel.yama.ptrace_scope=1"),
        Some(scope) => PTRACE.ok(format!("only a program's parent may (kernel.yama.ptrace_scope is {scope})")),
        None => PTRACE.unknown("the system has no such rule; ours keep their memory closed"),
    }
}

fn locked(system: &Path) -> Check {
    let limits = read(system, "proc/self/limits");
    match limits.as_deref().and_then(|text| limit(text, "Max locked memory")) {
        None => LOCKED.unknown("the limit cannot be read"),
        Some(bytes) if bytes < LOCK_BYTES => {
            LOCKED.warning(format!("{bytes} bytes may be locked, {LOCK_BYTES} are needed")).with_try("ulimit -l 64")
        }
        Some(_) => LOCKED.ok("enough may be locked"),
    }
}

/// What services that set the clock leave while they run.
fn clock(system: &Path) -> Check {
    let marks = ["run/systemd/timesync/synchronized", "run/chrony/chronyd.pid", "run/chronyd.pid", "run/ntpd.pid"];
    match marks.iter().find(|mark| system.join(mark).exists()) {
        Some(mark) => SYNCED.ok(format!("a service sets it ({mark})")),
        None => SYNCED.unknown("the system does not say whether somebody sets it"),
    }
}
