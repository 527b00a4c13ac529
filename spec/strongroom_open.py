"""Opens what Strongroom sealed, from spec/format.md alone. Needs the Python packages `cryptography` and `blake3`.

    python strongroom_open.py --depot DIR --object VERSION_OBJECT --keys KEYS.json [--digest HEX] ls
    python strongroom_open.py ... extract DEST
    python strongroom_open.py ... cat PATH [--bytes A-B]          inclusive, like HTTP; only the groups that hold it are read

DIR holds the depot's objects by name: the 32 hexadecimal digits of the object id, alone or at the end of the file's path. KEYS.json is
{"list_key": HEX, "map_key": HEX}. Every group is verified before it is decrypted; a failure exits with 7.
"""

import argparse
import hashlib
import hmac
import json
import os
import pathlib
import struct
import sys

from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

LEAF, NODE = "strongroom/v1/tree-leaf", "strongroom/v1/tree-node"

CHUNK, TAG, HEADER, GROUP = 16384, 16, 56, 65536


class Corrupt(Exception):
    """Not what was sealed."""


def check(holds, what):
    if not holds:
        raise Corrupt(what)


def lp(label, *fields):
    return b"".join(struct.pack(">H", len(f)) + f for f in (b"strongroom/v1/" + label, *fields))


def expand(key, info, length):
    out = block = b""
    for i in range(1, -(-length // 32) + 1):
        block = hmac.new(key, block + info + bytes([i]), hashlib.sha256).digest()
        out += block
    return out[:length]


def leaf(suite, data):
    return blake3(data, derive_key_context=LEAF).digest() if suite == 1 else hashlib.sha256(b"\0" + data).digest()


def node(suite, both):
    return blake3(both, derive_key_context=NODE).digest() if suite == 1 else hashlib.sha256(b"\1" + both).digest()


def root(suite, digests):
    level = list(digests) or [(blake3 if suite == 1 else hashlib.sha256)(b"").digest()]
    while len(level) > 1:
        pairs = [level[i : i + 2] for i in range(0, len(level), 2)]
        level = [node(suite, p[0] + p[1]) if len(p) == 2 else p[0] for p in pairs]
    return level[0]


def cbor(data, at=0):
    """One item of the types of format.md#cbor, and where it ends."""
    check(at < len(data), "cbor: ends early")
    major, info, at = data[at] >> 5, data[at] & 31, at + 1
    if (major, info) == (7, 22):
        return None, at
    check(major in (0, 2, 3, 4) and info < 28, "cbor: type")
    size = 0 if info < 24 else 1 << (info - 24)
    value = int.from_bytes(data[at : at + size], "big") if size else info
    check(at + size <= len(data) and (not size or value >= (24 if size == 1 else 1 << (4 * size))), "cbor: not shortest")
    at += size
    if major == 0:
        return value, at
    check(value <= len(data) - at, "cbor: length")
    if major == 4:
        items = []
        for _ in range(value):
            item, at = cbor(data, at)
            items.append(item)
        return items, at
    raw = data[at : at + value]
    return (raw if major == 2 else raw.decode()), at + value


def decode(data):
    item, end = cbor(data)
    check(end == len(data), "cbor: trailing bytes")
    return item


class Stream:
    """A segment, list or map: any range, each group verified against the digest before it is decrypted."""

    def __init__(self, file, base, length, stored, digest, key, suite, context):
        """`context`: label and fields, the suite apart, which comes between."""
        label, *fields = context
        context = lp(label, struct.pack(">H", suite), *fields)
        self.suite, self.file, self.base, self.length, self.held = suite, file, base, length, (None, b"")
        self.groups = length // GROUP + 1
        self.sealed = HEADER + length + (length // CHUNK + 1) * TAG
        tops = -(-self.groups // 256)
        check(stored == self.sealed + 32 * (self.groups + tops), "stored length")
        self.tops = self.digests(self.sealed, tops)
        check(root(suite, self.tops) == digest, "tops of the tree")
        self.blocks = {}
        header = self.read_stored(0, HEADER)
        okm = expand(key, b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0" + header[:24] + context, 76)
        check(hmac.compare_digest(okm[44:], header[24:]), "key commitment")
        self.aead, self.nonce = AESGCM(okm[:32]), int.from_bytes(okm[32:44], "big")

    def read_stored(self, offset, length):
        self.file.seek(self.base + offset)
        data = self.file.read(length)
        check(len(data) == length, "object cut")
        return data

    def digests(self, offset, count):
        data = self.read_stored(offset, 32 * count)
        return [data[i : i + 32] for i in range(0, len(data), 32)]

    def leaf(self, group):
        block = group // 256
        if block not in self.blocks:
            first = self.sealed + 32 * len(self.tops) + 32 * 256 * block
            self.blocks[block] = self.digests(first, min(256, self.groups - 256 * block))
            check(root(self.suite, self.blocks[block]) == self.tops[block], f"leaves {block}")
        return self.blocks[block][group % 256]

    def group(self, group):
        if self.held[0] != group:
            step = 4 * (CHUNK + TAG)
            start, end = group * step + (HEADER if group else 0), min(HEADER + (group + 1) * step, self.sealed)
            data = self.read_stored(start, end - start)
            check(leaf(self.suite, data) == self.leaf(group), f"group {group}")
            body, out = data[HEADER if group == 0 else 0 :], b""
            for i in range(0, len(body), CHUNK + TAG):
                nonce = (self.nonce ^ (4 * group + i // (CHUNK + TAG))).to_bytes(12, "big")
                out += self.aead.decrypt(nonce, body[i : i + CHUNK + TAG], None)
            self.held = (group, out)
        return self.held[1]

    def read(self, offset, length):
        check(offset + length <= self.length, "outside the stream")
        while length:
            part = self.group(offset // GROUP)[offset % GROUP :][:length]
            check(part, "group too short")
            yield part
            offset, length = offset + len(part), length - len(part)


class Manifest:
    """The entries of a list or map."""

    def __init__(self, stream, magic):
        self.stream = stream
        foot = self.bytes(stream.length - 64, 64)
        names = struct.unpack(">8sQQQQIIB15s", foot)
        check(names[0] == magic and names[8] == bytes(15) and names[1] <= 1 << 30 and names[7] <= 8, "footer")
        _, self.count, self.root, self.total, self.packs, self.root_len, self.packs_len, self.depth, _ = names

    def bytes(self, offset, length):
        check(offset >= 0, "footer")
        return b"".join(self.stream.read(offset, length))

    def entries(self, wanted=None):
        """All entries, or those of the one block where the key or ordinal `wanted` would be, as (ordinal, entry)."""
        count = 0
        for ordinal, entry in self.walk(self.root, self.root_len, self.depth, 0, None, wanted):
            check(wanted is not None or ordinal == count, "number of entries")
            count += 1
            yield ordinal, entry
        check(wanted is not None or count == self.count, "number of entries")

    def walk(self, offset, length, level, first, key, wanted):
        check(length <= 65536, "block too long")
        items = decode(self.bytes(offset, length))
        if level == 0:
            check(key is None or (items and (key == b"" or items[0][0] == key)), "first key")
            yield from enumerate(items, first)
            return
        check(items and items[0][1] == first, "index")
        for a, b in zip(items, items[1:]):
            check(a[0] <= b[0] and a[1] < b[1] and a[2] < b[2], "index order")
        if wanted is not None:
            field = 0 if isinstance(wanted, bytes) else 1
            items = [[i for i in items if i[field] <= wanted][-1:] or items[:1]][0]
        for child_key, ordinal, child, child_len in items:
            check(child + child_len <= offset, "index child")
            yield from self.walk(child, child_len, level - 1, ordinal, child_key, wanted)


def check_entry(ordinal, entry):
    check(len(entry) == 4 and isinstance(entry[0], bytes), "entry")
    path, mode, kind, x = entry
    is_root = ordinal == 0 and path == b"" and kind == 1
    check(is_root or len(path) <= 4096 and b"\0" not in path and not {b"", b".", b".."} & set(path.split(b"/")), "path")
    good = {0: isinstance(x, int) and x <= 1 << 46, 1: x is None, 2: isinstance(x, bytes) and 0 < len(x) <= 4096 and b"\0" not in x}
    check(mode < 1 << 12 and good.get(kind), "mode or kind")


class Version:
    """One version: its record, list and map."""

    def __init__(self, depot, object_path, keys, digest=None):
        self.depot, self.file, self.streams = depot, open(object_path, "rb"), {}
        size = self.file.seek(0, 2)
        self.file.seek(max(size - 8, 0))
        magic, length = struct.unpack(">4sI", self.file.read(8).rjust(8, b"\0"))
        check(magic == b"SRV1" and length <= min(8 << 20, size - 8), "trailer")
        self.file.seek(size - 8 - length)
        record = self.file.read(length)
        found = hashlib.sha256(record).digest()
        check(digest is None or hmac.compare_digest(found, digest), "version digest")
        fields = decode(record)
        check(len(fields) == 13 and fields[0] == 1 and fields[1] in (1, 2) and fields[2] == 0, "record: too new")
        self.suite = fields[1]
        check(size - 8 - length == fields[12][0] + fields[12][2], "place of the record")
        self.vault, self.version, self.packs = fields[3], fields[5], fields[9]
        for name, sealed, magic in (("list", fields[11], b"SRLIST\0\1"), ("map", fields[12], b"SRMAP\0\0\1")):
            if f"{name}_key" in keys:
                context = name.encode(), self.vault, self.version
                stream = Stream(self.file, *sealed, bytes.fromhex(keys[f"{name}_key"]), self.suite, context)
                setattr(self, name, Manifest(stream, magic))
                check(name == "map" or (self.list.packs, self.list.packs_len) == (0, 0), "footer")
        if "map_key" in keys:
            table = decode(self.map.bytes(self.map.packs, self.map.packs_len))
            check([id_ for id_, _ in table] == [pack[0] for pack in self.packs], "pack table")
            self.pack_keys = [key for _, key in table]
            check(all(len(key) == 32 for key in self.pack_keys), "pack key")

    def names(self, wanted=None):
        last = None
        for ordinal, entry in self.list.entries(wanted):
            check_entry(ordinal, entry)
            check(last is None or last < entry[0], "order of paths")
            last = entry[0]
            yield ordinal, entry

    def places(self, wanted=None):
        for ordinal, place in self.map.entries(wanted):
            check(len(place) == 2 and (not place[0] if place[1] is None else len(place[1]) == 32), "map entry")
            check(len(place[0]) <= 1024, "extents")
            for pack, index, offset, length in place[0]:
                check(pack < len(self.packs) and index < len(self.packs[pack][2]) and length, "extent")
                room = [segment[1] for segment in self.packs[pack][2][index:]]
                check(offset < room[0] and offset + length <= sum(room), "extent outside its pack")
            yield ordinal, place

    def segment(self, pack, index):
        if (pack, index) not in self.streams:
            id_, _, segments = self.packs[pack]
            object_id, length, stored, digest = segments[index]
            names = ((path, "".join(path.relative_to(self.depot).parts)) for path in self.depot.rglob("*") if path.is_file())
            found = [path for path, name in names if name.endswith(object_id.hex())]
            check(found, f"object {object_id.hex()} is missing")
            file = open(found[0], "rb")
            check(file.seek(0, 2) == stored, "length of an object")
            context = b"segment", self.vault, id_, struct.pack(">I", index)
            self.streams = {(pack, index): Stream(file, 0, length, stored, digest, self.pack_keys[pack], self.suite, context)}
        return self.streams[pack, index]

    def data(self, place, start, end):
        """Bytes [start, end) of a file."""
        at = 0
        for pack, index, offset, length in place[0]:
            while length:
                part = min(length, self.packs[pack][2][index][1] - offset)
                low, high = max(start, at), min(end, at + part)
                if low < high:
                    yield from self.segment(pack, index).read(offset + low - at, high - low)
                at, length, index, offset = at + part, length - part, index + 1, 0

    def whole(self, entry, place):
        """A file's bytes, a group at a time, checked against its digest at the end."""
        leaves, held, size = [], b"", 0
        for part in self.data(place, 0, entry[3]):
            held, size = held + part, size + len(part)
            while len(held) >= GROUP:
                leaves.append(leaf(self.suite, held[:GROUP]))
                held = held[GROUP:]
            yield part
        if held:
            leaves.append(leaf(self.suite, held))
        check(size == entry[3] == sum(e[3] for e in place[0]) and root(self.suite, leaves) == place[1], "plaintext digest")


def extract(version, dest):
    """Folders and files first, links last; nothing is written through a link."""
    os.makedirs(dest)
    links, folders = [], []
    for (_, entry), (_, place) in zip(version.names(), version.places(), strict=True):
        target = os.path.join(os.fsencode(dest), entry[0])
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if entry[2] == 0:
            with open(target, "xb") as out:
                for part in version.whole(entry, place):
                    out.write(part)
            os.chmod(target, entry[1])
        elif entry[2] == 1:
            os.makedirs(target, exist_ok=True)
            folders.append((target, entry[1]))
        else:
            links.append((entry[3], target))
    for target, path in links:
        os.symlink(target, path)
    for path, mode in reversed(folders):
        os.chmod(path, mode)


def cat(version, path, span, out):
    found = [(o, e) for o, e in version.names(path) if e[0] == path]
    check(found and found[0][1][2] == 0, "no such file")
    ordinal, entry = found[0]
    place = dict(version.places(ordinal))[ordinal]
    if span is None:
        parts = list(version.whole(entry, place))
    else:
        first, last = (int(n) for n in span.split("-"))
        parts = list(version.data(place, first, min(last + 1, entry[3])))
    out.write(b"".join(parts))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depot", type=pathlib.Path, required=True)
    parser.add_argument("--object", required=True)
    parser.add_argument("--keys", required=True)
    parser.add_argument("--digest", type=bytes.fromhex)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("ls")
    verbs.add_parser("extract").add_argument("dest")
    one = verbs.add_parser("cat")
    one.add_argument("path", type=os.fsencode)
    one.add_argument("--bytes")
    args = parser.parse_args()
    try:
        with open(args.keys) as keys:
            version = Version(args.depot, args.object, json.load(keys), args.digest)
        if args.verb == "ls":
            for _, (path, mode, kind, x) in version.names():
                print(json.dumps([os.fsdecode(path), mode, kind, os.fsdecode(x) if kind == 2 else x]))
        elif args.verb == "extract":
            extract(version, args.dest)
        else:
            cat(version, args.path, args.bytes, sys.stdout.buffer)
    except (Corrupt, InvalidTag) as error:
        print(f"not what was sealed: {error or 'tag'}", file=sys.stderr)
        sys.exit(7)


if __name__ == "__main__":
    main()
