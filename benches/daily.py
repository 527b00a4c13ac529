#!/usr/bin/env python3
"""The daily loop as whole commands, against peers in one run: `run`, an unlocked vault, the search of `doctor`.

    benches/daily.py [--size GIB] [--runs N] [--only NAME,...] [--files N]

As `commands.py`: in a memory-backed folder, runs interleaved, medians quoted, what comes out compared, one JSON line a measure and a
table at the end. `true` and `cp` are the peers of `run`; an opened file counts from the start of `strongroom` to the start of the
command, which says when that was.
"""

import argparse
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from commands import BIN, ROOT, Vault, incompressible, quiet, report, run, table

ms = lambda seconds: statistics.median(seconds) * 1e3


def interleaved(n, **commands):
    """Seconds of each command, `n` times, in turn."""
    times = {name: [] for name in commands}
    for _ in range(n):
        for name, command in commands.items():
            times[name].append(command())
    return times


def true(work, runs):
    """What `run` adds to `true`, and put and get of 1 KiB, with the key file and through an unlocked vault."""
    v = Vault(work)
    f, out = work / "k.bin", work / "k.out"
    incompressible(f, 1024)
    v.time("put", f, "bench/in", "--class", "internal")
    n = max(runs * 8, 40)
    number = iter(range(1 << 30))

    def put():
        incompressible(f, 1024)
        return v.time("put", f, f"bench/k{next(number)}", "--class", "internal")

    def get():
        out.unlink(missing_ok=True)
        return v.time("get", "bench/in", out)

    for how in ("key file", "unlocked"):
        if how == "unlocked":
            v.time("unlock", "--for", "1h")
        t = interleaved(
            n,
            # What a run leaves behind is gone before what is short is timed.
            run=lambda: v.time("run", "--input", "in=bench/in", "--", "true"),
            true=lambda: run(["true"]),
            version=lambda: run([BIN, "--version"]),
            ls=lambda: v.time("ls"),
            put=put,
            get=get,
        )
        report(f"run -- true, added to true, {how}, p50", ms(t["run"]) - ms(t["true"]), "ms", ("<=", 50), run=round(ms(t["run"]), 2), true=round(ms(t["true"]), 2), load=quiet())
        need = ("<=", 5) if how == "unlocked" else None
        report(f"put of 1 KiB, {how}, p50", ms(t["put"]), "ms", need, version=round(ms(t["version"]), 2), ls=round(ms(t["ls"]), 2))
        report(f"get of 1 KiB, {how}, p50", ms(t["get"]), "ms", need)
    v.time("lock")
    v.drop()


# A static program loads no library of a token: this is the build for one machine.
LOADS = ROOT / "target/release/strongroom"
SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"


def token(work, runs):
    """From `unlock` to what the first `cat` says, of a vault that only a root in a token opens; and what is asked of the token after it."""
    v = Vault(work)
    (v.dir / "tokens").mkdir()
    (v.dir / "softhsm2.conf").write_text(f"directories.tokendir = {v.dir / 'tokens'}\nlog.level = ERROR\n")
    (v.dir / "pin").write_text("1234\n")
    (v.dir / "pin").chmod(0o600)
    v.env["SOFTHSM2_CONF"] = str(v.dir / "softhsm2.conf")
    subprocess.run(["softhsm2-util", "--init-token", "--free", "--label", "bench", "--so-pin", "5678", "--pin", "1234"], env=v.env, check=True, stdout=subprocess.DEVNULL)
    said = lambda *args: json.loads(subprocess.run([LOADS, "-q", "--format", "json", *args], env=v.env, check=True, capture_output=True).stdout)
    f = work / "k.bin"
    incompressible(f, 1024)
    said("put", f, "bench/in", "--class", "internal")
    said("root", "add", "pkcs11", "--module", SOFTHSM, "--token", "bench", "--pin-file", v.dir / "pin")
    for key in (v.dir / "c").rglob("*.key"):
        key.rename(key.with_suffix(".away"))
    times = {"unlock": [], "cat": []}
    for _ in range(max(runs, 5)):
        times["unlock"].append(run([LOADS, "-q", "unlock", "--for", "1h"], env=v.env))
        times["cat"].append(run([LOADS, "-q", "cat", "bench/in"], env=v.env))
        asked = lambda: max(root["calls"] for root in said("root", "ls")["roots"])
        before = asked()
        for _ in range(20):
            run([LOADS, "-q", "cat", "bench/in"], env=v.env)
        if asked() != before:
            sys.exit("a release asked the token")
        run([LOADS, "-q", "lock"], env=v.env)
    both = [unlock + cat for unlock, cat in zip(times["unlock"], times["cat"])]
    report("unlock by a token, then the first release, p50", ms(both), "ms", ("<=", 200), unlock=round(ms(times["unlock"]), 2), cat=round(ms(times["cat"]), 2), asked_after=0, load=quiet())
    v.drop()


SAYS_WHEN = "import os, sys, time; open(sys.argv[1], 'w').write(str(time.monotonic())); sys.exit(os.stat(os.environ['STRONGROOM_INPUT_IN']).st_size != int(sys.argv[2]))"


def inputs(work, size, runs):
    """From the start of `run` to the start of its command, with one large input, against `cp` into memory of the same file."""
    v = Vault(work)
    src, said = work / "src.bin", work / "said"
    incompressible(src, size)
    v.time("put", src, "bench/big", "--class", "internal")
    digest = lambda path: subprocess.run(["cksum"], stdin=open(path, "rb"), check=True, capture_output=True).stdout
    args = v.cmd("run", "--input", "in=bench/big", "--", sys.executable, "-c", SAYS_WHEN, said, size)

    def start():
        began = time.monotonic()
        run(args, env=v.env)
        return float(said.read_text()) - began

    def cp():
        took = run(["cp", src, work / "copy"])
        os.unlink(work / "copy")
        return took

    t = interleaved(runs, cp=cp, run=start, python=lambda: run([sys.executable, "-c", "pass"]))
    seen = subprocess.run(v.cmd("run", "--input", "in=bench/big", "--", "sh", "-c", 'cksum < "$STRONGROOM_INPUT_IN"'), env=v.env, check=True, capture_output=True).stdout
    if seen != digest(src):
        sys.exit("the input of a run is not what was put")
    gb = size / 1e9
    for name in ("cp", "run"):
        report(f"{name}, {size >> 20} MiB into memory", gb / statistics.median(t[name]), "GB/s", runs=runs, seconds=[round(s, 3) for s in t[name]])
    report("command started / cp into memory", statistics.median(t["cp"]) / statistics.median(t["run"]), "x", (">=", 0.8), load=quiet())
    src.unlink()
    v.drop()


def words(path, size):
    """Lines of numbers and words, none like another, as tables have them."""
    draw = random.Random(7)
    line = lambda n: f"{n},{draw.random():.12f},{draw.getrandbits(64):016x},{draw.choice(COLOURS)},{draw.randrange(10**9)}\n"
    with open(path, "w") as out:
        left, n = size, 0
        while left > 0:
            lines = "".join(line(n + i) for i in range(20_000))
            n += 20_000
            left -= out.write(lines[:left])


COLOURS = ["red", "green", "blue", "amber", "violet", "grey"]


def doctor(work, runs, count):
    """A search for spills through a tree of code, notebooks and data, with one spill in it, on the disk that holds the repository."""
    v = Vault(work)
    disk = pathlib.Path(tempfile.mkdtemp(dir=ROOT / "target"))
    source = disk / "secret.csv"
    words(source, 4 << 20)
    v.time("put", source, "bench/secret", "--class", "confidential")
    tree = disk / "tree"
    draw = random.Random(11)
    text = "".join(draw.choices("etaoin shrdlu,;()=\n", k=1 << 20))
    total = 0
    for i in range(count):
        folder = tree / f"{i // 5000:03}" / f"{i // 100 % 50:02}"
        if i % 100 == 0:
            folder.mkdir(parents=True)
        # From a few bytes to some hundred KiB, 8 KiB in the middle, as trees of code are.
        length = min(int(draw.lognormvariate(9, 1.2)), 1 << 19)
        at = draw.randrange((1 << 20) - length)
        total += length
        (folder / f"f{i}.{draw.choice(['py', 'csv', 'json', 'txt'])}").write_text(f"{i}\n{text[at : at + length]}")
    source.rename(tree / "spill.csv")
    args = v.cmd("doctor", "--spills", tree)
    took = []
    for _ in range(runs):
        began = time.perf_counter()
        done = subprocess.run([str(a) for a in args], env=v.env, capture_output=True, text=True)
        took.append(time.perf_counter() - began)
        if "spill.csv" not in done.stdout:
            sys.exit(f"the search found nothing: {done.stdout}{done.stderr}")
    report(f"doctor over {count} files, {total >> 20} MiB", statistics.median(took), "s", ("<=", 20), seconds=[round(s, 2) for s in took], load=quiet())
    shutil.rmtree(disk)
    v.drop()


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--size", type=float, default=4.0, help="GiB of the big input")
    ap.add_argument("--runs", type=int, default=5)
    ap.add_argument("--only", default="true,token,inputs,doctor")
    ap.add_argument("--files", type=int, default=100_000)
    a = ap.parse_args()
    subprocess.run(["cargo", "build", "-q", "--release", "--workspace", "--bins", "--examples"], cwd=ROOT, check=True)
    size = int(a.size * (1 << 30))
    wanted = a.only.split(",")
    work = pathlib.Path(tempfile.mkdtemp(dir="/dev/shm"))
    try:
        if "true" in wanted:
            true(work, a.runs)
        if "token" in wanted:
            token(work, a.runs)
        if "inputs" in wanted:
            inputs(work, size, a.runs)
        if "doctor" in wanted:
            doctor(work, min(a.runs, 3), a.files)
    finally:
        shutil.rmtree(work)
    table()


if __name__ == "__main__":
    main()
