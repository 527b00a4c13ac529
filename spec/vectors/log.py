#!/usr/bin/env python3
"""Writes vectors/log.json: a second implementation of spec/log.md, sharing no code with the first (needs `cryptography` >= 50)."""

import base64
import hashlib
import json
import struct
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ORIGIN = "strongroom/000102030405060708090a0b0c0d0e0f/1"
TIME = 1_800_000_000


def b64(data):
    return base64.b64encode(data).decode()


def sha(data):
    return hashlib.sha256(data).digest()


def leaf(entry):
    return sha(b"\0" + entry)


def node(left, right):
    return sha(b"\1" + left + right)


def mth(leaves):
    if len(leaves) < 2:
        return leaves[0] if leaves else sha(b"")
    k = split(len(leaves))
    return node(mth(leaves[:k]), mth(leaves[k:]))


def split(n):
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def path(m, leaves):
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    return path(m, leaves[:k]) + [mth(leaves[k:])] if m < k else path(m - k, leaves[k:]) + [mth(leaves[:k])]


def subproof(m, leaves, whole=True):
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = split(len(leaves))
    if m <= k:
        return subproof(m, leaves[:k], whole) + [mth(leaves[k:])]
    return subproof(m - k, leaves[k:], False) + [mth(leaves[:k])]


class Key:
    def __init__(self, seed, kind, name=ORIGIN):
        self.name, self.kind = name, kind
        self.private = (Ed25519PrivateKey.from_private_bytes if kind == 1 else MLDSA44PrivateKey.from_seed_bytes)(bytes([seed] * 32))
        self.public = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.id = sha(name.encode() + b"\n" + bytes([kind]) + self.public)[:4]

    def vkey(self):
        return f"{self.name}+{self.id.hex()}+{b64(bytes([self.kind]) + self.public)}"

    def line(self, signature):
        return f"\u2014 {self.name} {b64(self.id + signature)}\n"

    def sign(self, text, time=TIME, origin=None, start=0, size=None, root=None, label=b"subtree/v1\n\0"):
        if self.kind == 1:
            return self.line(self.private.sign(text.encode()))
        lines = text.split("\n")
        origin = (lines[0] if origin is None else origin).encode()
        size = int(lines[1]) if size is None else size
        root = base64.b64decode(lines[2]) if root is None else root
        name = self.name.encode()
        message = label + bytes([len(name)]) + name + struct.pack(">Q", time) + bytes([len(origin)]) + origin
        message += struct.pack(">QQ", start, size) + root
        return self.line(struct.pack(">Q", time) + self.private.sign(message))


ED, ML = Key(1, 1), Key(2, 6)


def text_of(size, root, origin=ORIGIN):
    return f"{origin}\n{size}\n{b64(root)}\n"


def checkpoint(size, root):
    text = text_of(size, root)
    return text + "\n" + ED.sign(text) + ML.sign(text)


def checkpoints():
    root = sha(b"root")
    text = text_of(7, root)
    good = checkpoint(7, root)
    ed, ml = ED.sign(text), ML.sign(text)
    witness = Key(9, 1, "witness.example/w").sign(text)
    other_ed, other_ml = Key(3, 1), Key(4, 6)

    def raw(key, data):
        return f"\u2014 {ORIGIN} {b64(key + data)}\n"

    yield "good", good, True
    yield "lines in the other order", text + "\n" + ml + ed, True
    yield "a witness line besides", good + witness, True
    yield "empty tree", checkpoint(0, sha(b"")), True
    zero = text + "\n" + ed + ML.sign(text, time=0)
    yield "time zero", zero, True
    yield "no signature", text + "\n", False
    yield "no Ed25519 line", text + "\n" + ml, False
    yield "no ML-DSA line", text + "\n" + ed, False
    yield "only a witness line", text + "\n" + witness, False
    yield "Ed25519 line twice", text + "\n" + ed + ed + ml, False
    yield "ML-DSA line twice", text + "\n" + ed + ml + ml, False
    yield "Ed25519 by another key", text + "\n" + other_ed.sign(text) + ml, False
    yield "ML-DSA by another key", text + "\n" + ed + other_ml.sign(text), False
    yield "signature of another key under the right key id", text + "\n" + raw(ED.id, other_ed.private.sign(text.encode())) + ml, False
    yield "size changed", good.replace("\n7\n", "\n8\n"), False
    yield "root changed", good.replace(b64(root), b64(sha(b"other"))), False
    yield "origin changed", good.replace(f"{ORIGIN}\n", f"{ORIGIN}2\n"), False
    yield "ML-DSA over another size", text + "\n" + ed + ML.sign(text, size=8), False
    yield "ML-DSA over another root", text + "\n" + ed + ML.sign(text, root=sha(b"x")), False
    yield "ML-DSA over another origin", text + "\n" + ed + ML.sign(text, origin=ORIGIN + "1"), False
    yield "ML-DSA over a subtree that does not start at 0", text + "\n" + ed + ML.sign(text, start=1), False
    yield "ML-DSA under another label", text + "\n" + ed + ML.sign(text, label=b"subtree/v2\n\0"), False
    yield "ML-DSA over the note text", text + "\n" + ed + ML.line(struct.pack(">Q", TIME) + ML.private.sign(text.encode())), False
    late = base64.b64decode(ml.split(" ")[2])
    yield "ML-DSA time changed", text + "\n" + ed + raw(late[:4], struct.pack(">Q", TIME + 1) + late[12:]), False
    yield "ML-DSA time above 2^63 - 1", text + "\n" + ed + ML.sign(text, time=2**63), False
    yield "ML-DSA line too short", text + "\n" + ed + raw(late[:4], late[4:-1]), False
    yield "ML-DSA line too long", text + "\n" + ed + raw(late[:4], late[4:] + b"\0"), False
    for what, bad in [
        ("an extension line", text + "extension\n"),
        ("a size with a leading zero", text.replace("\n7\n", "\n07\n")),
        ("a size with a sign", text.replace("\n7\n", "\n+7\n")),
        ("a size above 2^48", text.replace("\n7\n", f"\n{2**48 + 1}\n")),
        ("no root", f"{ORIGIN}\n7\n"),
        ("a short root", text_of(7, root[:31])),
        ("a long root", text_of(7, root + b"\0")),
        ("a root in base64url", text_of(7, bytes([0xFF] * 32)).replace("/", "_").replace("strongroom_", "strongroom/")),
        ("a space after the origin", text.replace(ORIGIN, ORIGIN + " ")),
        ("a foreign origin", text_of(7, root, "example.com/log")),
        ("an origin of log 0", text_of(7, root, ORIGIN[:-1] + "0")),
        ("an origin in upper case", text_of(7, root, ORIGIN.upper().replace("STRONGROOM", "strongroom"))),
        ("carriage returns", text.replace("\n", "\r\n")),
    ]:
        signature = ML.sign(text, size=7, root=root)
        yield f"signed text with {what}", bad + "\n" + ED.sign(bad) + signature, False
    for what, bad in [
        ("no blank line", text + ed + ml),
        ("no final newline", good[:-1]),
        ("a blank line at the end", good + "\n"),
        ("a hyphen for the dash", good.replace("\u2014", "-")),
        ("two spaces", good.replace("\u2014 ", "\u2014  ")),
        ("base64 without padding", text + "\n" + ed.replace("=", "") + ml),
        ("a line without a signature", text + "\n" + ed + ml + f"\u2014 {ORIGIN}\n"),
        ("a line with a key id only", text + "\n" + ed + ml + "\u2014 w AAAAAA==\n"),
        ("a key name with a plus", text + "\n" + ed + ml + "\u2014 a+b AAAAAAA=\n"),
        ("a tab", good.replace("\n7\n", "\n7\t\n")),
        ("33 lines", good + "\u2014 w AAAAAAA=\n" * 31),
    ]:
        yield f"note with {what}", bad, False


def proofs():
    leaves = [leaf(bytes([n])) for n in range(20)]
    for size, index in [(1, 0), (2, 1), (7, 3), (8, 7), (20, 16), (20, 19)]:
        good, root = path(index, leaves[:size]), mth(leaves[:size])
        case = dict(leaf=leaves[index].hex(), index=index, size=size, path=[h.hex() for h in good], root=root.hex())
        yield "inclusion", f"{index} of {size}", case, True
        for what, change in [
            ("another leaf", dict(leaf=leaves[(index + 1) % 20].hex())),
            ("another index", dict(index=(index + 1) % max(size, 2))),
            ("an index outside", dict(index=size)),
            ("another root", dict(root=sha(b"r").hex())),
            ("a hash too many", dict(path=case["path"] + [sha(b"x").hex()])),
        ] + ([("a hash too few", dict(path=case["path"][:-1]))] if good else []):
            yield "inclusion", f"{index} of {size} with {what}", {**case, **change}, False
    for old, new in [(1, 2), (3, 7), (4, 8), (6, 20), (16, 20), (20, 20), (0, 5)]:
        good = subproof(old, leaves[:new]) if old else []
        case = dict(old_size=old, old_root=mth(leaves[:old]).hex(), new_size=new, new_root=mth(leaves[:new]).hex())
        case["proof"] = [h.hex() for h in good]
        yield "consistency", f"{old} to {new}", case, True
        for what, change in [
            ("another old root", dict(old_root=sha(b"r").hex())),
            ("a hash too many", dict(proof=case["proof"] + [sha(b"x").hex()])),
            ("sizes swapped", dict(old_size=new, new_size=old) if old != new else dict(old_size=new + 1)),
        ] + ([("another new root", dict(new_root=sha(b"r").hex())), ("an old size one more", dict(old_size=old + 1))] if old else []) \
          + ([("a hash too few", dict(proof=case["proof"][1:]))] if good else []):
            yield "consistency", f"{old} to {new} with {what}", {**case, **change}, False


def receipts():
    entry = b'{"an":"entry"}'
    leaves = [leaf(bytes([n])) for n in range(9)]
    leaves[5] = leaf(entry)
    hashes = "".join(b64(h) + "\n" for h in path(5, leaves))
    signed = checkpoint(9, mth(leaves))
    head = "c2sp.org/tlog-proof@v1\n"
    good = head + "index 5\n" + hashes + "\n" + signed
    yield "good", entry, good, True
    yield "with extra data", entry, good.replace("index", "extra AAEC\nindex"), True
    yield "another entry", entry + b" ", good, False
    yield "another index", entry, good.replace("index 5", "index 4"), False
    yield "a path line less", entry, head + "index 5\n" + hashes[45:] + "\n" + signed, False
    yield "a path line more", entry, head + "index 5\n" + hashes + b64(sha(b"")) + "\n\n" + signed, False
    yield "a checkpoint of another root", entry, head + "index 5\n" + hashes + "\n" + checkpoint(9, sha(b"")), False
    yield "a checkpoint that is not signed", entry, head + "index 5\n" + hashes + "\n" + signed.split("\n\n")[0] + "\n", False
    yield "another version", entry, good.replace("@v1", "@v2"), False
    yield "no index", entry, good.replace("index 5\n", ""), False
    yield "an index with a leading zero", entry, good.replace("index 5", "index 05"), False
    yield "extra data that is not base64", entry, good.replace("index", "extra *\nindex"), False
    yield "no blank line", entry, good.replace("\n\n" + ORIGIN, "\n" + ORIGIN), False


def paths():
    for good in ["tile/0/000", "tile/6/x001/234.p/255", "tile/entries/x001/x234/067", "tile/entries/999.p/1"]:
        yield good, True
    for bad in [
        "", "tile/0", "tile/0/", "tile/0/0", "tile/0/0000", "tile/00/000", "tile/7/000", "tile/-1/000", "tile/0/000/", "/tile/0/000",
        "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/07", "tile/0/000.p/", "tile/0/x000/000", "tile/0/001/000", "tile/0/x001",
        "tile/data/000", "tile/0/../000", "tile/0/00a", "tile/entries/x999/x999/x999/x999/999",
    ]:
        yield bad, False


def bundles():
    def pack(*entries):
        return b"".join(struct.pack(">H", len(e)) + e for e in entries)

    yield "one", pack(b"a"), 1, True
    yield "three", pack(b"a", b"bc", b"d" * 300), 3, True
    yield "the longest", pack(b"x" * 65535), 1, True
    for what, data, width in [
        ("nothing", b"", 1), ("an empty entry", b"\0\0", 1), ("an empty entry at the end", pack(b"a") + b"\0\0", 2),
        ("half a length", pack(b"a") + b"\0", 2), ("a cut entry", pack(b"abc")[:-1], 1), ("a length beyond the end", b"\xff\xffabc", 1),
        ("one too many", pack(b"a", b"b"), 1), ("one too few", pack(b"a"), 2), ("a little-endian length", b"\1\0a", 1),
        ("trailing bytes", pack(b"a") + b"zz", 1),
    ]:
        yield what, data, width, False


ENTRY = {
    "act": "version.commit", "auth": {"method": "asserted"}, "commitments": {"note": "07" * 32},
    "decision": {"context": "01" * 32, "effect": "allow", "engine": "cedar-policy 4.14.1", "id": "0d" * 16, "policies": ["writers"],
                 "policy_set": "02" * 32, "schema": "03" * 32, "slice": "04" * 32},
    "detail": {"reason": "caf\u00e9 \"x\"\n"}, "id": "0e" * 16, "kind": "state", "log": 1, "principal": "0f" * 16,
    "state": [{"commitment": None, "id": "0a0b", "table": "alias"}, {"commitment": "05" * 32, "id": "0c", "table": "version"}],
    "subject": {"artifact": "1a" * 16}, "ticket": 9007199254740992, "time": "2026-11-21T02:03:04.005Z", "v": 1, "vault": "1b" * 16,
}


def jcs(value):
    # All names are ASCII, so sorting by code points is sorting by UTF-16 code units.
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def entries():
    def changed(**members):
        return jcs({k: v for k, v in {**ENTRY, **members}.items() if v is not ...})

    good = jcs(ENTRY)
    minimal = changed(commitments=..., decision=..., detail=..., state=..., subject=...)
    yield "full", good, True
    yield "minimal", minimal, True
    yield "a denial with near misses", changed(decision={**ENTRY["decision"], "effect": "deny", "near": ["clearance"]}), True
    for what, bad in [
        ("a space", good.replace(":", ": ", 1)), ("a newline at the end", good + "\n"), ("an escaped letter", good.replace("\u00e9", "\\u00e9")),
        ("an escaped slash", good.replace("caf", "\\/caf")), ("a long escape of a newline", good.replace("\\n", "\\u000a")),
        ("a duplicate member", good.replace('"v":1', '"v":1,"v":1')), ("another order", "{" + '"v":1,' + good[1:].replace('"v":1,', "")),
        ("an unknown member", changed(zzz=1)), ("a null member", changed(decision=None)), ("an empty map", changed(subject={})),
        ("an empty list", changed(state=[])), ("a fraction", good.replace('"v":1', '"v":1.0')), ("an exponent", good.replace('"log":1', '"log":1e0')),
        ("a ticket above 2^53", changed(ticket=2**53 + 1)), ("a negative ticket", changed(ticket=-1)), ("a ticket as text", changed(ticket="1")),
        ("log 0", changed(log=0)), ("another version", changed(v=2)), ("no version", changed(v=...)), ("no vault", changed(vault=...)),
        ("an id in upper case", changed(id="0E" * 16)), ("a short id", changed(id="0e" * 15)), ("a long hash", changed(commitments={"a": "07" * 33})),
        ("an unknown kind", changed(kind="other")), ("an unknown method", changed(auth={"method": "trusted"})),
        ("an unknown member of auth", changed(auth={"method": "oidc", "x": "y"})), ("an act with a space", changed(act="version commit")),
        ("an empty act", changed(act="")), ("an act of 65 bytes", changed(act="a" * 65)), ("a time without milliseconds", changed(time="2026-11-21T02:03:04Z")),
        ("a time with an offset", changed(time="2026-11-21T02:03:04.005+00:00")), ("month 13", changed(time="2026-13-21T02:03:04.005Z")),
        ("a subject that is a number", changed(subject={"a": 1})), ("a member name with a space", changed(subject={"a b": "c"})),
        ("a string of 4,097 bytes", changed(detail={"a": "x" * 4097})), ("65 members", changed(detail={str(n): "" for n in range(65)})),
        ("a row without an id", changed(state=[{"commitment": None, "id": "", "table": "t"}])),
        ("a row without a commitment", changed(state=[{"id": "00", "table": "t"}])),
        ("an odd row id", changed(state=[{"commitment": None, "id": "000", "table": "t"}])),
        ("an effect that is neither", changed(decision={**ENTRY["decision"], "effect": "maybe"})),
        ("a decision without engine", changed(decision={k: v for k, v in ENTRY["decision"].items() if k != "engine"})),
        ("65,536 bytes", minimal[:-1] + " " * (65536 - len(minimal)) + "}"), ("an array", "[]"), ("nothing", ""), ("half of it", good[: len(good) // 2]),
    ]:
        yield what, bad, False


def vkeys():
    yield "Ed25519", ED.vkey(), True
    yield "ML-DSA-44", ML.vkey(), True
    name, key_id, data = ED.vkey().split("+", 2)
    for what, bad in [
        ("another key id", f"{name}+00000000+{data}"), ("a key id in upper case", f"{name}+{key_id.upper()}+{data}"),
        ("a name with a space", f"a b+{key_id}+{data}"), ("no name", f"+{key_id}+{data}"), ("no key", f"{name}+{key_id}+"),
        ("an unknown type", f"{name}+{sha(name.encode() + chr(10).encode() + bytes([9]) + ED.public)[:4].hex()}+{b64(bytes([9]) + ED.public)}"),
        ("a short key", f"{name}+{sha(name.encode() + chr(10).encode() + bytes([1]) + ED.public[:31])[:4].hex()}+{b64(bytes([1]) + ED.public[:31])}"),
        ("two parts", f"{name}+{key_id}"), ("base64url", f"{name}+{key_id}+{data[:-2]}-_"), ("the type of the other", ED.vkey().replace(data, b64(b"\6" + ED.public))),
    ]:
        yield what, bad, False


def main():
    out = {
        "about": "cases for spec/log.md, written by spec/vectors/log.py; `ok` says whether a reader accepts",
        "ed25519": ED.vkey(), "mldsa": ML.vkey(),
        "vkey": [dict(name=n, vkey=v, ok=ok) for n, v, ok in vkeys()],
        "checkpoint": [dict(name=n, note=t, ok=ok) for n, t, ok in checkpoints()],
        "proof": [dict(kind=k, name=n, ok=ok, **c) for k, n, c, ok in proofs()],
        "receipt": [dict(name=n, entry=e.decode(), receipt=r, ok=ok) for n, e, r, ok in receipts()],
        "path": [dict(path=p, ok=ok) for p, ok in paths()],
        "bundle": [dict(name=n, hex=d.hex(), width=w, ok=ok) for n, d, w, ok in bundles()],
        "entry": [dict(name=n, json=j, ok=ok, leaf=leaf(j.encode()).hex()) for n, j, ok in entries()],
    }
    cases = [case for group in out.values() if isinstance(group, list) for case in group]
    bad = sum(not case["ok"] for case in cases)
    print(f"{len(cases)} cases, {bad} negative", file=sys.stderr)
    json.dump(out, sys.stdout, indent=1, ensure_ascii=True)
    print()


if __name__ == "__main__":
    main()
