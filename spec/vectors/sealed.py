#!/usr/bin/env python3
"""Writes vectors/chunked.json, tree.json and segment.json from spec/format.md alone. No code is shared with the Rust crates.

Usage: python3 spec/vectors/sealed.py vectors    (needs spec/requirements.txt; the same bytes on every run)
"""

import hashlib
import json
import pathlib
import sys

from blake3 import blake3
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

LEAF, NODE = "strongroom/v1/tree-leaf", "strongroom/v1/tree-node"

CHUNK, TAG, HEADER, GROUP, BLOCK = 16_384, 16, 56, 65_536, 256
SEALED_CHUNK, SEALED_GROUP = CHUNK + TAG, 4 * (CHUNK + TAG)


def pattern(length, seed):
    """The plaintexts of all vectors: byte i is (seed + 7 i + i div 251) mod 256."""
    return bytes((seed + 7 * i + i // 251) % 256 for i in range(length))


def fixed(length, name):
    """Keys, salts and ids of the vectors."""
    return hashlib.shake_256(f"strongroom vector {name}".encode()).digest(length)


def lp(*fields):
    return b"".join(len(field).to_bytes(2, "big") + field for field in fields)


def derive(key, context, salt):
    info = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0" + salt + context
    okm = HKDFExpand(algorithm=hashes.SHA256(), length=76, info=info).derive(key)
    return okm[:32], int.from_bytes(okm[32:44], "big"), okm[44:]


def seal_chunk(key, nonce, index, plaintext):
    return AESGCM(key).encrypt((nonce ^ index).to_bytes(12, "big"), plaintext, None)


def seal(key, context, salt, plaintext, last_may_be_full=False):
    message_key, nonce, commitment = derive(key, context, salt)
    count = len(plaintext) // CHUNK + (0 if last_may_be_full else 1)
    chunks = [plaintext[i * CHUNK : (i + 1) * CHUNK] for i in range(count)]
    return salt + commitment + b"".join(seal_chunk(message_key, nonce, i, c) for i, c in enumerate(chunks))


def plain(suite, data):
    return blake3(data).digest() if suite == 1 else hashlib.sha256(data).digest()


def leaf(suite, group):
    return blake3(group, derive_key_context=LEAF).digest() if suite == 1 else plain(2, b"\0" + group)


def node(suite, left, right):
    return blake3(left + right, derive_key_context=NODE).digest() if suite == 1 else plain(2, b"\1" + left + right)


def root(suite, digests):
    """RFC 6962, section 2.1, by its recursive definition."""
    if len(digests) < 2:
        return digests[0] if digests else plain(suite, b"")
    k = 1
    while 2 * k < len(digests):
        k *= 2
    return node(suite, root(suite, digests[:k]), root(suite, digests[k:]))


def groups(message):
    starts = [0] + list(range(HEADER + SEALED_GROUP, len(message), SEALED_GROUP))
    return [message[a:b] for a, b in zip(starts, starts[1:] + [len(message)])]


def tail(suite, leaves):
    tops = [root(suite, leaves[i : i + BLOCK]) for i in range(0, len(leaves), BLOCK)]
    return b"".join(tops) + b"".join(leaves), root(suite, tops)


def splice(at, remove=0, insert=b""):
    return {"at": at, "remove": remove, "insert": insert.hex()}


def flip(data, at, mask=1):
    return splice(at, 1, bytes([data[at] ^ mask]))


def chunked():
    key, context = fixed(32, "chunked key"), b"a context"
    messages, cases = [], []
    for length in (0, 1, 16_383, 16_384, 16_385, 40_000):
        salt, seed = fixed(24, f"chunked salt {length}"), length % 256
        sealed = seal(key, context, salt, pattern(length, seed))
        messages.append({"key": key.hex(), "context": context.hex(), "salt": salt.hex(),
                         "plaintext": {"len": length, "seed": seed}, "sealed": sealed.hex()})

    def case(name, message, splices=(), **other):
        cases.append({"name": name, "message": message, "splices": list(splices), **other})

    sealed = [bytes.fromhex(m["sealed"]) for m in messages]
    for at, name in ((0, "salt"), (23, "salt end"), (24, "commitment"), (55, "commitment end"), (56, "first byte"),
                     (16_455, "first tag end"), (16_456, "second chunk"), (40_000, "third chunk"), (-1, "last tag end")):
        at %= len(sealed[5])
        case(f"flipped bit in the {name}", 5, [flip(sealed[5], at)])
    case("flipped bit in the tag of an empty message", 0, [flip(sealed[0], 60, 128)])
    for m, length in ((0, 71), (0, 56), (0, 55), (0, 0), (1, 72), (3, 56 + 16_400), (3, 56 + 16_400 + 15),
                      (4, 56 + 16_400), (4, 72 + 16_400), (5, 56 + 2 * 16_400), (5, len(sealed[5]) - 1)):
        case(f"message {m} cut to {length} bytes", m, [splice(length, len(sealed[m]) - length)])
    case("one byte appended", 1, [splice(len(sealed[1]), 0, b"\0")])
    case("a tag's worth appended", 2, [splice(len(sealed[2]), 0, bytes(16))])
    case("an empty chunk appended", 3, [splice(len(sealed[3]), 0, sealed[3][-16:])])
    first, second = sealed[5][56:16_456], sealed[5][16_456:32_856]
    case("first two chunks swapped", 5, [splice(56, 32_800, second + first)])
    case("first chunk repeated", 5, [splice(16_456, 16_400, first)])
    case("second chunk dropped", 5, [splice(16_456, 16_400)])
    case("header of another message under the same key", 5, [splice(0, 56, sealed[4][:56])])
    case("body of another message under the same key", 1, [splice(56, 17, sealed[0][56:])])
    case("another key", 1, key=fixed(32, "another key").hex())
    case("another context", 1, context=b"b context".hex())
    case("an empty context", 1, context="")
    case("a longer context", 1, context=b"a context\0".hex())
    full = seal(key, context, fixed(24, "full"), pattern(16_384, 0), last_may_be_full=True)
    case("a full last chunk, made with the key", 0, [splice(0, 72, full)])
    mk, nonce, _ = derive(key, context, fixed(24, "chunked salt 1"))
    long = seal_chunk(mk, nonce, 0, pattern(16_385, 0))
    case("a chunk of 16,385 bytes, made with the key", 1, [splice(56, 17, long)])
    return {"messages": messages, "rejected": cases}


def tree(suite):
    def leaf_(group):
        return leaf(suite, group)

    def root_(digests):
        return root(suite, digests)

    def of(n, **case):
        return {"suite": suite, **case, "root": n.hex()}

    def as_node(data):
        """What a node over these bytes would be, or what a leaf would be of them."""
        return blake3(data, derive_key_context=NODE).digest() if suite == 1 else plain(2, b"\1" + data)

    streams = []
    for n in (0, 1, 65_535, 65_536, 65_537, 131_072, 200_000):
        data = pattern(n, n % 7)
        digest = root_([leaf_(data[i : i + GROUP]) for i in range(0, n, GROUP)])
        streams.append({"suite": suite, "len": n, "seed": n % 7, "digest": digest.hex()})
    numbered = lambda n: [hashlib.sha256(i.to_bytes(4, "big")).digest() for i in range(n)]
    counts = []
    for n in (1, 2, 3, 4, 5, 7, 8, 9, 255, 256, 257, 511, 512, 513, 769):
        end = hashlib.sha256(tail(suite, numbered(n))[0]).hexdigest()
        counts.append({"suite": suite, "leaves": n, "root": root_(numbered(n)).hex(), "tail_sha256": end})
    wrong = []
    for n in (2, 3, 5, 7, 257, 513):
        leaves = numbered(n)
        flat = b"".join(leaves)
        for name, digest in (("two leaves swapped", root_([leaves[1], leaves[0]] + leaves[2:])),
                             ("the last leaf twice", root_(leaves + leaves[-1:])),
                             ("one leaf less", root_(leaves[:-1])),
                             ("leaves hashed flat", as_node(flat + flat)),
                             ("an empty leaf more", root_(leaves + [leaf_(b"")])),
                             ("node in plain mode", plain(suite, root_(leaves[:1]) + root_(leaves[1:]))),
                             ("node hashed as a leaf", leaf_(root_(leaves[:1]) + root_(leaves[1:]))),
                             ("root of the other suite", root(3 - suite, leaves))):
            wrong.append(of(digest, name=name, leaves=n))
    for n in (1, 65_536, 65_537, 200_000):
        data = pattern(n, n % 7)
        whole = [data[i : i + GROUP] for i in range(0, n, GROUP)]
        small = [leaf_(data[i : i + 32_768]) for i in range(0, n, 32_768)] if n > 32_768 else []
        for name, digest in (("leaf in plain mode", root_([plain(suite, g) for g in whole])),
                             ("the hash of the whole", plain(suite, data)),
                             ("leaf hashed as a node", root_([as_node(g) for g in whole])),
                             ("groups of 32 KiB", root_(small)),
                             ("empty group at the end", root_([leaf_(g) for g in whole] + [leaf_(b"")])),
                             ("digest of the other suite", root(3 - suite, [leaf(3 - suite, g) for g in whole])),
                             ("leaves of the other suite", root_([leaf(3 - suite, g) for g in whole]))):
            wrong.append(of(digest, name=name, len=n, seed=n % 7))
    for bit in range(0, 256, 16):
        flipped = (int(counts[4]["root"], 16) ^ (1 << bit)).to_bytes(32, "big")
        wrong.append(of(flipped, name=f"bit {bit} of the root flipped", leaves=5))
    return {"streams": streams, "roots": counts, "rejected": wrong}


def segment(suite):
    key, vault, pack, segments = fixed(32, "pack key"), fixed(16, "vault"), fixed(16, "pack"), []
    first = 0 if suite == 1 else 4

    def leaf_(group):
        return leaf(suite, group)

    def context(index, suite=suite, label=b"strongroom/v1/segment"):
        return lp(label, suite.to_bytes(2, "big"), vault, pack, index.to_bytes(4, "big"))

    for index, length in enumerate((0, 1, 65_536, 140_000)):
        salt, seed = fixed(24, f"segment salt {index}"), 3 + index
        message = seal(key, context(index), salt, pattern(length, seed))
        end, digest = tail(suite, [leaf_(g) for g in groups(message)])
        segments.append({"suite": suite, "key": key.hex(), "vault": vault.hex(), "pack": pack.hex(), "index": index, "salt": salt.hex(),
                         "plaintext": {"len": length, "seed": seed}, "stored_len": len(message + end), "digest": digest.hex(),
                         "stored": (message + end).hex()})
    stored = [bytes.fromhex(s["stored"]) for s in segments]
    opens, rejected = [], []

    def reject(name, number, splices=(), offset=None, **other):
        rejected.append({"name": name, "segment": first + number, "splices": list(splices), "offset": offset, **other})

    big, sealed_len = stored[3], 56 + 140_000 + 9 * 16
    group1, group2, tops, leaves = 56 + SEALED_GROUP, 56 + 2 * SEALED_GROUP, sealed_len, sealed_len + 32
    for rng in ([0, 4_096], [16_383, 16_385], [65_535, 65_537], [131_072, 140_000], [139_999, 140_000], [70_000, 70_000]):
        opens.append({"name": f"range {rng}", "segment": first + 3, "splices": [], "range": rng})
    opens.append({"name": "damage in a group that the range does not need", "segment": first + 3, "splices": [flip(big, group2)], "range": [0, 65_536]})
    for at, offset in ((0, 0), (30, 0), (56, 0), (group1 - 1, 0), (group1, group1), (100_000, group1), (group2, group2),
                       (sealed_len - 1, group2), (tops, tops), (tops + 31, tops), (leaves, leaves), (len(big) - 1, leaves)):
        reject(f"flipped bit at {at}", 3, [flip(big, at)], offset)
    for number, length in ((0, 0), (0, 71), (0, 100), (1, 17), (2, 65_536), (3, sealed_len), (3, len(big) - 1), (3, len(big) - 32)):
        reject(f"segment {number} cut to {length} bytes", number, [splice(length, len(stored[number]) - length)])
    reject("a byte appended", 3, [splice(len(big), 0, b"\0")])
    reject("groups 0 and 1 swapped", 3, [splice(56, 2 * SEALED_GROUP, big[group1:group2] + big[56:group1])], 0)
    reject("another segment of the pack, whole", 1, [splice(0, len(stored[1]), stored[0])])
    reject("leaves of another segment", 1, [splice(len(stored[1]) - 32, 32, stored[0][-32:])], 56 + 17 + 32)
    for name, value in (("vault", fixed(16, "other").hex()), ("pack", fixed(16, "other").hex()), ("index", 2), ("key", fixed(32, "other").hex())):
        reject(f"another {name}", 3, [], 0, **{name: value})
    reject("digest of another segment", 3, [], tops, digest=segments[1]["digest"])
    reject("stored length one too long", 3, [], stored_len=len(big) + 1)
    reject("stored length one too short", 3, [], stored_len=len(big) - 1)
    reject("plaintext length one too long", 3, [], plaintext_len=140_001)
    reject("plaintext length one too short", 3, [], plaintext_len=139_999)
    reject("plaintext length over 1 GiB", 3, [], plaintext_len=2**30 + 1)
    reject("plaintext length near 2^64", 3, [], plaintext_len=2**64 - 1)
    mk, nonce, _ = derive(key, context(3), fixed(24, "segment salt 3"))
    forged = seal_chunk(mk, nonce, 5, bytes(CHUNK))
    at = 56 + 5 * SEALED_CHUNK
    reject("a chunk forged by somebody who holds the key", 3, [splice(at, SEALED_CHUNK, forged)], group1)
    message = big[:at] + forged + big[at + SEALED_CHUNK : sealed_len]
    end, _ = tail(suite, [leaf_(g) for g in groups(message)])
    reject("the same with the outboard made anew", 3, [splice(at, SEALED_CHUNK, forged), splice(sealed_len, len(end), end)], tops)
    other = seal(key, context(1), fixed(24, "segment salt again"), pattern(1, 9))
    reject("sealed again with the same key and place", 1, [splice(0, len(stored[1]), other + tail(suite, [leaf_(other)])[0])], 56 + 17)
    other = seal(key, context(3), fixed(24, "segment salt again"), b"")
    reject("another header of the same key and place", 3, [splice(0, 56, other[:56])], 0)
    # The root over one digest is that digest in both suites: one group fails at the header, several below their top.
    for number, at in ((0, 0), (1, 0), (3, leaves)):
        reject(f"segment {number} read as the other suite", number, [], at, suite=3 - suite)
    message = big[:sealed_len]
    end, digest = tail(3 - suite, [leaf(3 - suite, g) for g in groups(message)])
    remade = [splice(sealed_len, len(end), end)]
    reject("the other suite's tree around it", 3, remade, leaves, digest=digest.hex())
    reject("the other suite's tree around it, read as that", 3, remade, 0, digest=digest.hex(), suite=3 - suite)
    message = seal(key, context(3, 3 - suite), fixed(24, "segment salt 3"), pattern(140_000, 6))
    end, digest = tail(suite, [leaf_(g) for g in groups(message)])
    reject("sealed for the other suite under this one's tree", 3, [splice(0, len(big), message + end)], 0, digest=digest.hex())
    return {"segments": segments, "opens": opens, "rejected": rejected}


def main():
    out = pathlib.Path(sys.argv[1])
    both = lambda make: {key: value + make(2)[key] for key, value in make(1).items()}
    for name, make in (("chunked", chunked), ("tree", lambda: both(tree)), ("segment", lambda: both(segment))):
        vectors = make()
        good = sum(len(v) for k, v in vectors.items() if k != "rejected")
        bad = len(vectors["rejected"])
        assert bad >= 3 * good, f"{name}: {bad} of {good + bad} are negative, that is under three quarters"
        (out / f"{name}.json").write_text(json.dumps(vectors, indent=1) + "\n")


if __name__ == "__main__":
    main()
