"""Reads vectors/ with spec/strongroom_open.py: `python spec/vectors/check.py`. Exits with 1 if they disagree.

It reads what the decryptor reads: lists, maps, segments and trees; and shares of an escrow with spec/strongroom_recover.py. Of records it
reads what opening needs and of wraps, requests, envelopes and logs nothing: their vectors were written by Python (reference.py, log.py)
and are read by Rust."""

import hashlib
import io
import json
import pathlib
import struct
import sys
import tempfile

SPEC = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(SPEC))

from cryptography.exceptions import InvalidTag  # noqa: E402
from strongroom_open import GROUP, Corrupt, Stream, Version, decode, leaf, root  # noqa: E402
from strongroom_recover import SUITES, Escrow, Refused, Share, escrow_key, escrow_params  # noqa: E402


def load(name):
    return json.loads((SPEC.parent / "vectors" / f"{name}.json").read_text())


def manifests(folder):
    for name in ("list", "map"):
        for case in load(name)["cases"]:
            path = pathlib.Path(folder, "object")
            path.write_bytes(bytes.fromhex(case["object"]))

            def read(name=name, case=case, path=path):
                version = Version(path.parent, path, {f"{name}_key": case[f"{name}_key"]})
                return plain([entry for _, entry in (version.names() if name == "list" else version.places())])

            yield f"{name}: {case['name']}", read, case.get("entries") if case["expect"] == "ok" else None


def segments():
    file = load("segment")
    for number, base in enumerate(file["segments"]):
        yield f"segment {number}", lambda base=base: opened(base, {}), pattern(**base["plaintext"])
    for case in file["opens"]:
        base = file["segments"][case["segment"]]
        start, end = case["range"]
        yield f"segment: {case['name']}", lambda b=base, c=case: opened(b, c), pattern(**base["plaintext"])[start:end]
    for case in file["rejected"]:
        yield f"segment: {case['name']}", lambda b=file["segments"][case["segment"]], c=case: opened(b, c), None


def opened(base, case):
    """A stored segment, whole or a range, after the edits and with the differences of a case."""
    of = {**base, **{key: value for key, value in case.items() if key != "segment"}}
    stored = bytearray.fromhex(base["stored"])
    for splice in case.get("splices", []):
        stored[splice["at"] : splice["at"] + splice["remove"]] = bytes.fromhex(splice["insert"])
    if len(stored) != of["stored_len"]:
        raise Corrupt("length of an object")
    key, vault, pack, digest = (bytes.fromhex(of[name]) for name in ("key", "vault", "pack", "digest"))
    context = b"segment", vault, pack, struct.pack(">I", of["index"])
    length = of.get("plaintext_len", base["plaintext"]["len"])
    stream = Stream(io.BytesIO(stored), 0, length, of["stored_len"], digest, key, of["suite"], context)
    if "range" in case:
        start, end = case["range"]
        return b"".join(stream.read(start, end - start))
    return b"".join(stream.group(group) for group in range(stream.groups))


def trees():
    file = load("tree")
    streams = [(case, case["digest"]) for case in file["streams"]]
    roots = [(case, case["root"]) for case in file["roots"]]
    for case, digest in streams + roots:
        yield f"tree: {case}", lambda case=case: tree(case), digest
    for case in file["rejected"]:

        def differs(case=case):
            if tree(case) == case["root"]:
                return case["root"]
            raise Corrupt("another root")

        yield f"tree: {case['name']}", differs, None


def tree(case):
    if case.get("leaves") is not None:
        return root(case["suite"], [hashlib.sha256(struct.pack(">I", i)).digest() for i in range(case["leaves"])]).hex()
    data = pattern(case["len"], case["seed"])
    return root(case["suite"], [leaf(case["suite"], data[i : i + GROUP]) for i in range(0, len(data), GROUP)]).hex()


def escrows():
    names = {number: name for name, number in SUITES.items()}
    for case in load("escrow")["cases"]:
        of = {name: bytes.fromhex(case.get(name, "")) for name in ("vault", "root", "bytes", "kept", "sealed", "key", "value", "seed")}
        place = (names[case["suite"]], of["vault"], of["root"])

        def read(case=case, of=of, place=place):
            terms = lambda found: (found.generation, found.made, found.needed)
            said = lambda: tuple(case[name] for name in ("generation", "made", "needed"))
            if case["do"] == "share":
                share = Share(case["text"])
                return (*terms(share), share.vault, share.root, share.count, share.index, share.value) == (
                    *said(), of["vault"], of["root"], case["count"], case["index"], of["value"])
            if case["do"] == "kept":
                escrow = Escrow(*place, decode(of["bytes"]))
                return (*terms(escrow), len(escrow.commitments)) == (*said(), case["count"])
            if case["do"] == "params":
                return escrow_params(*place, of["bytes"])[1] == of["sealed"]
            if case["do"] == "key":
                return escrow_key(*place, of["seed"]) == of["key"]
            return Escrow(*place, decode(of["kept"])).seed([Share(text) for text in case["shares"]]) == of["seed"]

        def judged(case=case, read=read):
            try:
                return "ok" if read() else "error"
            except Refused as refused:
                return (refused.why, refused.about) if "about" in case else refused.why
            except Corrupt:
                return "error"

        why = case.get("why", case["expect"])
        yield f"escrow: {case['name']}", judged, (why, case["about"]) if "about" in case else why


def pattern(len, seed):  # noqa: A002
    return bytes((seed + 7 * i + i // 251) % 256 for i in range(len))


def plain(value):
    return [plain(v) for v in value] if isinstance(value, list) else value.hex() if isinstance(value, bytes) else value


def main():
    wrong, count = [], 0
    with tempfile.TemporaryDirectory() as folder:
        for cases in (manifests(folder), segments(), trees(), escrows()):
            for name, read, expected in cases:
                count += 1
                try:
                    good = read() == expected and expected is not None
                except (Corrupt, InvalidTag):
                    good = expected is None
                if not good:
                    wrong.append(name)
    print(f"{count} cases, {len(wrong)} wrong", *wrong, sep="\n")
    sys.exit(1 if wrong or count < 500 else 0)


if __name__ == "__main__":
    main()
