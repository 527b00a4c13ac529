#!/usr/bin/env python3
"""Whole commands against peers, in one run: put and get against cp, age and tar; small things; memory; growth.

    benches/commands.py [--size GIB] [--runs N] [--only NAME,...] [--growth]

Works in a memory-backed folder (/dev/shm). Output is created fresh in every run, for every tool (`cp` included is then
bound by page allocation). Runs are interleaved; medians are quoted; every round trip is compared byte for byte.
Prints one JSON line a measure and a table at the end. Needs: age, tar, cmp (Debian packages `age`, `tar`, `diffutils`).
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
# As it is handed out: scripts/dist.sh makes it.
BIN = ROOT / "target" / "dist" / "out" / "strongroom"
ROWS = []


def report(name, value, unit, need=None, **more):
    """One measure; `need` is (operator, bound)."""
    verdict = ""
    if need:
        ok = value >= need[1] if need[0] == ">=" else value <= need[1]
        verdict = "reached" if ok else "MISSED"
    row = {"measure": name, "value": round(value, 3), "unit": unit, "need": f"{need[0]} {need[1]}" if need else "", "verdict": verdict, **more}
    ROWS.append(row)
    print(json.dumps(row), flush=True)


def run(args, env=None, stdout=None, check=True):
    """Seconds of a whole command, as whoever started it waits for it: from `posix_spawn` to `wait4`. A pipe and a reader of it, as
    `subprocess` has them for standard error, would be 0.4 ms of a command of 5."""
    with tempfile.TemporaryFile(dir="/dev/shm") as errors:
        out = (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0) if stdout is None else (os.POSIX_SPAWN_DUP2, stdout.fileno(), 1)
        args = [str(a) for a in args]
        start = time.perf_counter()
        pid = os.posix_spawnp(args[0], args, os.environ if env is None else env, file_actions=[out, (os.POSIX_SPAWN_DUP2, errors.fileno(), 2)])
        _, status, _ = os.wait4(pid, 0)
        took = time.perf_counter() - start
        if check and status != 0:
            errors.seek(0)
            sys.exit(f"{args}: exit {os.waitstatus_to_exitcode(status)}: {errors.read().decode()[-600:]}")
    return took


def measured(args, env):
    """Seconds and peak resident MiB of a whole command, by wait4."""
    start = time.perf_counter()
    pid = os.posix_spawn(str(args[0]), [str(a) for a in args], env, file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)])
    _, status, usage = os.wait4(pid, 0)
    took = time.perf_counter() - start
    if status != 0:
        sys.exit(f"{args}: status {status}")
    return took, usage.ru_maxrss / 1024


def same(one, other):
    """Ends the run when a round trip differs."""
    if subprocess.run(["diff", "-rq", one, other], stdout=subprocess.DEVNULL).returncode != 0:
        sys.exit(f"round trip differs: {one} {other}")


class Vault:
    def __init__(self, folder):
        self.dir = pathlib.Path(tempfile.mkdtemp(dir=folder))
        self.env = dict(os.environ, XDG_CONFIG_HOME=str(self.dir / "c"), XDG_STATE_HOME=str(self.dir / "s"), STRONGROOM_VAULT=str(self.dir / "v" / ".strongroom"))
        (self.dir / "v").mkdir()
        subprocess.run([BIN, "init", "--no-recovery", "--vault", str(self.dir / "v" / ".strongroom")], check=True, env=self.env, cwd=self.dir / "v", stdout=subprocess.DEVNULL)

    def cmd(self, *args):
        return [BIN, "-q", *args]

    def time(self, *args, **kw):
        return run(self.cmd(*args), env=self.env, **kw)

    def measured(self, *args):
        return measured(self.cmd(*args), self.env)

    def drop(self):
        shutil.rmtree(self.dir)


def incompressible(path, size):
    """AES-CTR-like bytes from the kernel's generator, written in 8 MiB steps."""
    with open(path, "wb") as out, open("/dev/urandom", "rb") as src:
        left = size
        while left:
            left -= out.write(src.read(min(left, 8 << 20)))


def quiet():
    return os.getloadavg()[0]


def bulk(work, size, runs, age_key):
    """put and get of one big file against cp and age, fresh."""
    src = work / "src.bin"
    incompressible(src, size)
    gb = size / 1e9
    times = {k: [] for k in ("cp", "put", "get", "age", "age -d")}
    peaks = {"put": [], "get": []}
    for _ in range(runs):
        v = Vault(work)
        times["cp"].append(run(["cp", src, work / "copy"]))
        os.unlink(work / "copy")
        for name, args in (("put", (src, "bench/big", "--class", "internal")), ("get", ("bench/big", work / "got"))):
            took, peak = v.measured(name, *args)
            times[name].append(took)
            peaks[name].append(peak)
        same(src, work / "got")
        os.unlink(work / "got")
        v.drop()
        recipient = subprocess.run(["age-keygen", "-y", age_key], check=True, capture_output=True, text=True).stdout.strip()
        times["age"].append(run(["age", "-r", recipient, "-o", work / "a.age", src]))
        times["age -d"].append(run(["age", "-d", "-i", age_key, "-o", work / "a.out", work / "a.age"]))
        os.unlink(work / "a.age")
        os.unlink(work / "a.out")
    med = {k: statistics.median(v) for k, v in times.items()}
    for k, v in med.items():
        report(f"{k}, {size >> 20} MiB, fresh", gb / v, "GB/s", runs=runs, seconds=[round(t, 3) for t in times[k]])
    report("put / cp, fresh", med["cp"] / med["put"], "x", (">=", 0.8))
    report("put / age, fresh", med["age"] / med["put"], "x", (">=", 1.2))
    report("get / cp, fresh", med["cp"] / med["get"], "x", (">=", 0.8))
    report("get / age -d, fresh", med["age -d"] / med["get"], "x", (">=", 1.4))
    for name, seen in peaks.items():
        report(f"peak memory, {name} of {size >> 20} MiB", max(seen), "MiB", ("<=", 64))
    src.unlink()


def small(work, runs):
    """1 KiB put and get, --version, ls of an empty vault."""
    v = Vault(work)
    f = work / "k.bin"
    n = max(runs * 6, 30)
    version = [run([BIN, "--version"]) for _ in range(n)]
    empty = [v.time("ls") for _ in range(n)]
    puts, gets = [], []
    for i in range(n):
        incompressible(f, 1024)
        puts.append(v.time("put", f, f"bench/k{i}", "--class", "internal"))
        gets.append(v.time("get", f"bench/k{i}", work / "k.out"))
        same(f, work / "k.out")
        (work / "k.out").unlink()
    ms = lambda ts: statistics.median(ts) * 1e3
    report("--version p50", ms(version), "ms", ("<=", 10), load=quiet())
    report("ls of an empty vault p50", ms(empty), "ms", ("<=", 30))
    report("put of 1 KiB p50", ms(puts), "ms", ("<=", 10))
    report("get of 1 KiB p50", ms(gets), "ms", ("<=", 10))
    v.drop()


def sync(folder):
    """Seconds until the file system of a folder is on its disk."""
    return run(["sync", "-f", folder])


def many(work, runs, count):
    """`count` files of 1 KiB against tar, packed with one fsync and unpacked with a sync, on the disk that holds the repository; peak memory."""
    disk = pathlib.Path(tempfile.mkdtemp(dir=ROOT / "target"))
    src = disk / "many"
    src.mkdir()
    block = os.urandom(1024)
    for i in range(count):
        d = src / f"{i // 1000:03}"
        if i % 1000 == 0:
            d.mkdir()
        (d / f"f{i:06}").write_bytes(i.to_bytes(8, "big") + block[8:])
    tars, puts, gets, untars, peaks, again = [], [], [], [], [], []
    for _ in range(runs):
        v = Vault(disk)
        start = time.perf_counter()
        subprocess.run(["tar", "-cf", disk / "t.tar", "-C", src, "."], check=True)
        fd = os.open(disk / "t.tar", os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
        tars.append(time.perf_counter() - start)
        for seconds, args in ((puts, ("put", src, "bench/many", "--class", "internal")), (gets, ("get", "bench/many", disk / "got"))):
            sync(disk)
            took, peak = v.measured(*args)
            seconds.append(took)
            peaks.append(peak)
        # What get left unwritten is not the peer's to write.
        sync(disk)
        (disk / "untar").mkdir()
        untars.append(run(["tar", "-xf", disk / "t.tar", "-C", disk / "untar"]) + sync(disk))
        for name in ("got", "untar"):
            same(src, disk / name)
            shutil.rmtree(disk / name)
        (disk / "t.tar").unlink()
        again.append(v.time("put", src, "bench/many", "--class", "internal"))
        v.drop()
    report(f"put of {count} files of 1 KiB / tar+fsync", statistics.median(tars) / statistics.median(puts), "x", (">=", 0.5), seconds=round(statistics.median(puts), 3))
    report(f"get of {count} files of 1 KiB", statistics.median(gets), "s")
    report(f"get of {count} files of 1 KiB / tar -x and sync", statistics.median(untars) / statistics.median(gets), "x", seconds=round(statistics.median(untars), 3))
    report(f"peak memory, put and get of {count} files", max(peaks), "MiB", ("<=", 64))
    report(f"unchanged put of {count} files / first put", statistics.median(puts) / statistics.median(again), "x")
    shutil.rmtree(disk)


def unchanged(work, size, runs):
    """put of an unchanged folder against the first put."""
    src = work / "folder"
    src.mkdir()
    for i in range(10):
        incompressible(src / f"part{i}.bin", size // 10)
    first, again, sent = [], [], []
    for _ in range(runs):
        v = Vault(work)
        args = ("put", src, "bench/same", "--class", "internal")
        first.append(v.time(*args))
        start = time.perf_counter()
        out = subprocess.run([BIN, "--format", "json", *args], env=v.env, check=True, capture_output=True, text=True).stdout
        again.append(time.perf_counter() - start)
        sent.append(json.loads(out)["uploaded_bytes"])
        v.drop()
    ratio = statistics.median(first) / statistics.median(again)
    report(f"unchanged put of {size >> 20} MiB / first", ratio, "x", (">=", 3), uploaded_bytes=max(sent), first_s=round(statistics.median(first), 3), again_s=round(statistics.median(again), 4))
    shutil.rmtree(src)


def growth(work, top):
    """put and get from 1 MiB up to `top` bytes, once each: how time grows."""
    size = 1 << 20
    while size <= top:
        src = work / "g.bin"
        incompressible(src, size)
        v = Vault(work)
        put = v.time("put", src, "bench/g", "--class", "internal")
        src.unlink()
        get = v.time("get", "bench/g", work / "g.out")
        (work / "g.out").unlink()
        v.drop()
        report(f"growth: put {size >> 20} MiB", put, "s", get_s=round(get, 4), put_gbps=round(size / 1e9 / put, 3), get_gbps=round(size / 1e9 / get, 3))
        size *= 4


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--size", type=float, default=4.0, help="GiB of the big file")
    ap.add_argument("--runs", type=int, default=5)
    ap.add_argument("--only", default="small,bulk,unchanged,many")
    ap.add_argument("--growth", action="store_true")
    ap.add_argument("--files", type=int, default=100_000)
    a = ap.parse_args()
    for tool in ("age", "age-keygen", "tar", "diff"):
        if not shutil.which(tool):
            sys.exit(f"{tool} is missing: apt-get install -y age tar diffutils")
    subprocess.run(["cargo", "build", "-q", "--release", "--workspace", "--bins", "--examples"], cwd=ROOT, check=True)
    size = int(a.size * (1 << 30))
    work = pathlib.Path(tempfile.mkdtemp(dir="/dev/shm"))
    try:
        key = work / "age.key"
        subprocess.run(["age-keygen", "-o", key], check=True, stderr=subprocess.DEVNULL)
        wanted = a.only.split(",")
        if "small" in wanted:
            small(work, a.runs)
        if "bulk" in wanted:
            bulk(work, size, a.runs, key)
        if "unchanged" in wanted:
            unchanged(work, size, a.runs)
        if "many" in wanted:
            many(work, a.runs, a.files)
        if a.growth:
            growth(work, 4 * size)
    finally:
        shutil.rmtree(work)
    table()


def table():
    """What was reported, once more, in columns."""
    print(f"\n{'measure':58} {'value':>10} {'unit':5} {'need':>9} verdict")
    for r in ROWS:
        print(f"{r['measure']:58} {r['value']:>10} {r['unit']:5} {r['need']:>9} {r['verdict']}")


if __name__ == "__main__":
    main()
