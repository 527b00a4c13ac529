"""Writes xwing, mlkem768p256, mlkem, padme, record, list, map, wrap, request, envelope,
derive and passphrase vectors: `python spec/vectors/manifests_and_keys.py`."""

import hashlib
import json
import pathlib
import struct

from reference import (SUITES, Raw, blocks, cbor, chunked_seal, expand, footer, group, hpke_seal, kem_encapsulate,
                       kem_key, lp, manifest, other_suite, padme, public, seeded, sign, stored_len, stream_seal, suite,
                       suite_bytes, tree_digest, under)

HERE = pathlib.Path(__file__).parents[2] / "vectors"
VAULT, ARTIFACT, VERSION, OBJECT = (seeded(n, 16) for n in ("vault", "artifact", "version", "object"))
LIST_KEY, MAP_KEY = seeded("list key", 32), seeded("map key", 32)


def hexed(value):
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (list, tuple)):
        return [hexed(v) for v in value]
    if isinstance(value, dict):
        return {k: hexed(v) for k, v in value.items()}
    return value


def write(name, comment, cases):
    bad = sum(case["expect"] == "error" for case in cases)
    assert bad * 4 >= len(cases) * 3, (name, bad, len(cases))
    assert len({case["name"] for case in cases}) == len(cases)
    text = json.dumps({"comment": comment, "cases": [hexed(case) for case in cases]}, indent=1)
    (HERE / f"{name}.json").write_text(text + "\n")
    print(f"{name}: {len(cases)} cases, {bad} negative")


def write_both(name, comment, make):
    """The cases of both suites, each under its number."""
    cases = []
    for number in SUITES:
        with under(number):
            for case in make():
                cases.append({**case, "name": case["name"] if number == 1 else f"nist: {case['name']}", "suite": case.get("suite", number)})
    write(name, comment, cases)


def flips(data, places):
    for at in places:
        yield f"byte {at} flipped", data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


# KEMs --------------------------------------------------------------------------------------------------------------------

# Seeds of draft-connolly-cfrg-xwing-kem, appendix C.
XWING = [
    ("7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26",
     "3cb1eea988004b93103cfb0aeefd2a686e01fa4a58e8a3639ca8a1e3f9ae57e235b8cc873c23dc62b8d260169afa2f75ab916a58d974918835d25e6a435085b2"),
    ("badfd6dfaac359a5efbb7bcc4b59d538df9a04302e10c8bc1cbf1a0b3a5120ea",
     "17cda7cfad765f5623474d368ccca8af0007cd9f5e4c849f167a580b14aabdefaee7eef47cb0fca9767be1fda69419dfb927e9df07348b196691abaeb580b32d"),
    ("ef58538b8d23f87732ea63b02b4fa0f4873360e2841928cd60dd4cee8cc0d4c9",
     "22a96188d032675c8ac850933c7aff1533b94c834adbb69c6115bad4692d8619f90b0cdf8a7b9c264029ac185b70b83f2801f2f4b3f70c593ea3aeeb613a7f1b"),
]


# Seeds of draft-ietf-hpke-pq-04, appendix A.4 and A.11: skRm, ikmE, and the shared secret and SHA-256 of pkRm and enc as printed there.
MLKEM768_P256 = [
    ("724eed44c3843d1f260f79b142ce633d602f7989a53ffc9fd4a68690c8e7baa5",
     "0ec0fee6a71457a9dac898a1c161bf1068e68de093f07754155bb8b8b378c17ed09ead96300cc402a6371b58928592dd93565834a19839e7dda048d8e04ff65c"
     "7b645f36738c370fbb2d684f59e16ea08aea04444762fdf3a70a114ecf0ba435c9a1e869578142b445398f49093bcca618f0ae5e810163b1503faf3eeaff0bdc",
     "26c25e807a24354387a7385bc374953539001fcb7eb99eb8d63ec7fdb8441f46",
     "f1e1000a59e126ef85a7b85720c2d24bc10c2412db23e2120ef44cfae64abec2",
     "6959c57471177c588d3ef3558c83602c9769a40fdce9e51dd70435458aebfcf7"),
    ("fd4cdf57f4026868a90103ae657fcbe866e08267f8cfda0e6be6b9b111b9e3c1",
     "0244aa79fe4ea903b915a291c90fc30c43ae27794cbf4edb4c7285500273ee7483841d6dca12848d453853486ce317889443efbcfb44a0a91fbaecb22e25a2f8"
     "f61a81224a3ca716e57e85c59426773095e357d0abb11048863d900517eed2ddbec062a420d0e6deee4642f61c1a02ab709defcf4871b153fad642f5384d87e1",
     "4b87ac4d2e1d4b111ab7f69875a112d4734fe02938fa0d25976e002828a8bd3b",
     "e541fb7c43078b8356dec958f3a93e7fde8c74ebf557338bbd8d3ac5858f056c",
     "9500a4dfce594fa15b737f633365bef149267054ecb87974664395b54d521c4c"),
]


def kem_cases(seeds):
    for n, (seed, eseed, *printed) in enumerate(seeds, 1):
        dk, scalar, pk = kem_key(bytes.fromhex(seed))
        ss, ct = kem_encapsulate(pk, bytes.fromhex(eseed))
        assert printed in ([], [ss.hex(), hashlib.sha256(pk).hexdigest(), hashlib.sha256(ct).hexdigest()])
        base = {"seed": seed, "ml_kem_secret": dk, "group_secret": scalar, "pk": pk, "ct": ct, "ss": ss}
        yield {"name": f"draft {n}", **base, "expect": "ok"}
        for name, flipped in flips(ct, (0, 1087, 1088)):
            yield {"name": f"draft {n}, ct {name}", **base, "ct": flipped, "expect": "error"}
        yield from ({"name": f"draft {n}, {name}", **base, "ct": ct[:1088] + point, "expect": "error"} for name, point in bad_points(ct[1088:]))


def bad_points(point):
    if suite() == 1:
        return [("x25519 of small order", bytes(32))]
    sign_ = bytes([2 + (point[64] & 1)])
    return [("point off the curve", point[:64] + bytes([point[64] ^ 1])), ("compressed point", sign_ + point[1:33]),
            ("hybrid point", bytes([6 + (point[64] & 1)]) + point[1:]), ("point at infinity", b"\0"), ("point of zeros", bytes(65)),
            ("coordinates outside the field", b"\4" + b"\xff" * 64), ("point cut", point[:64]), ("point extended", point + b"\0")]


def kems():
    write("xwing", "draft-connolly-cfrg-xwing-kem, appendix C, with the secrets expanded; error: not this shared secret",
          list(kem_cases(XWING)))
    with under(2):
        write("mlkem768p256", "MLKEM768-P256 of draft-ietf-hpke-pq-04, appendix A, with the secrets expanded; error: not this shared secret",
              list(kem_cases(MLKEM768_P256)))


# ML-KEM-768 -------------------------------------------------------------------------------------------------------------


def mlkem():
    """FIPS 203 by `kyber-py`: decapsulation, with what it gives for a wrong ciphertext, and keys that are refused."""
    from kyber_py.ml_kem import ML_KEM_768

    cases = []
    for n in (1, 2):
        ek, dk = ML_KEM_768.key_derive(seeded(f"ml-kem seed {n}", 64))
        ss, ct = ML_KEM_768._encaps_internal(ek, seeded(f"ml-kem message {n}", 32))
        assert ML_KEM_768.decaps(dk, ct) == ss
        base = {"ek": ek, "dk": dk, "ct": ct, "ss": ss}

        def case(name, expect="error", **changes):
            cases.append({"name": f"key {n}, {name}", **base, **changes, "expect": expect})

        case("decapsulates", "ok")
        # A wrong ciphertext of the right length gives a secret that nobody else has: `rejected`, never an error.
        wrong = [*flips(ct, (0, 959, 960, 1087)), ("all zeros", bytes(1088)), ("all ones", b"\xff" * 1088)]
        for name, other in wrong if n == 1 else wrong[1:2]:
            case(f"ct {name}", ct=other, rejected=ML_KEM_768.decaps(dk, other))
        if n == 2:
            case("ct cut", ct=ct[:-1])
            case("ct extended", ct=ct + b"\0")
            case("ct empty", ct=b"")
            case("dk cut", dk=dk[:-1])
            case("dk extended", dk=dk + b"\0")
            case("ek cut", ek=ek[:-1])
            case("ek extended", ek=ek + b"\0")
            # Coefficients are below 3329 (FIPS 203, section 7.2): the first and the last of the key, at and far above it.
            for name, value in (("3329", 3329), ("4095", 4095)):
                case(f"ek first coefficient {name}", ek=bytes([value & 255, ek[1] & 0xF0 | value >> 8]) + ek[2:])
                last = bytes([ek[1150] & 0x0F | (value & 15) << 4, value >> 4])
                case(f"ek last coefficient {name}", ek=ek[:1150] + last + ek[1152:])
    write("mlkem", "ML-KEM-768; error: refused, or a secret that is not `ss` but `rejected`", cases)


# Padme ------------------------------------------------------------------------------------------------------------------


def padmes():
    lengths = [0, 1, 2, 3, 7, 8, 9, 10, 63, 64, 65, 100, 1000, 1023, 1024, 1025, 65535, 65536, 65537, 10**6, 2**30 - 1, 2**30 + 1,
               2**40 - 3, 2**40, 10**15]
    cases = [{"name": str(n), "length": n, "padded": padme(n), "expect": "ok"} for n in lengths]
    for n in lengths:
        # Not this length's: one off, and the padding of another rule (none, the next power of two, the next KiB).
        other = {"one more": padme(n) + 1, "one less": padme(n) - 1, "unpadded": n, "a power of two": 1 << (n - 1).bit_length() if n else 1,
                 "a multiple of 1024": -(-n // 1024) * 1024, "the next one": padme(padme(n) + 1)}
        wrong = [(what, padded) for what, padded in other.items() if padded >= 0 and padded != padme(n)]
        cases += [{"name": f"{n}, {what}", "length": n, "padded": padded, "expect": "error"} for what, padded in wrong[:4]]
    write("padme", "length and padded length; with `error`, a length that is not the padded one", cases)


# Record -----------------------------------------------------------------------------------------------------------------


def segment(name, length, stored=None):
    return [seeded(name, 16), length, stored_len(length) if stored is None else stored, seeded(name + " digest", 32)]


def ranged(offset, length, stored=None, digest=None):
    return [offset, length, stored_len(length) if stored is None else stored, digest or seeded("digest", 32)]


def record_fields(**changes):
    fields = dict(format=1, suite=suite(), features=0, vault=VAULT, artifact=ARTIFACT, version=VERSION, previous=None, klass=2,
                  environment=0, packs=[[seeded("pack", 16), VERSION, [segment("segment", 100_000)]]], object=OBJECT,
                  list=ranged(0, 1024), map=ranged(stored_len(1024), 2048))
    assert changes.keys() <= fields.keys()
    return list({**fields, **changes}.values())


def records():
    good = cbor(record_fields())
    two = [[seeded("p1", 16), seeded("v0", 16), [segment("a", 1 << 30), segment("b", 1)]],
           [seeded("p2", 16), VERSION, [segment("c", 65536)]]]
    cases = [
        {"name": "one pack", "record": good, "expect": "ok"},
        {"name": "two packs, previous, no environment", "expect": "ok",
         "record": cbor(record_fields(packs=two, previous=seeded("v0", 16), environment=None, klass=3))},
        {"name": "no pack", "record": cbor(record_fields(packs=[])), "expect": "ok"},
    ]
    for case in cases:
        case["digest"] = hashlib.sha256(case["record"]).digest()
    pack = record_fields()[9][0]
    bad = {
        "empty": b"",
        "trailing byte": good + b"\0",
        "cut by one byte": good[:-1],
        "indefinite array": b"\x9f" + good[1:] + b"\xff",
        "array of 12": cbor(record_fields()[:-1]),
        "array of 14": cbor(record_fields() + [0]),
        "long integer": good.replace(cbor([1, suite(), 0])[1:], bytes([24, 1, suite(), 0]), 1),
        "format 2": cbor(record_fields(format=2)),
        "suite 0": cbor(record_fields(suite=0)),
        "suite 3": cbor(record_fields(suite=3)),
        "suite 65,537": cbor(record_fields(suite=65_537)),
        "unknown critical feature": cbor(record_fields(features=1)),
        "short vault id": cbor(record_fields(vault=VAULT[:15])),
        "long version id": cbor(record_fields(version=VERSION + b"\0")),
        "text for an id": cbor(record_fields(artifact="0123456789abcdef")),
        "class 4": cbor(record_fields(klass=4)),
        "environment 3": cbor(record_fields(environment=3)),
        "its own previous version": cbor(record_fields(previous=VERSION)),
        "pack without segments": cbor(record_fields(packs=[[*pack[:2], []]])),
        "the same pack twice": cbor(record_fields(packs=[pack, pack])),
        "the same object twice": cbor(record_fields(packs=[[*pack[:2], [segment("s", 5), segment("s", 5)]]])),
        "a segment in the version object": cbor(record_fields(packs=[[*pack[:2], [[OBJECT, *segment("s", 5)[1:]]]]])),
        "empty segment": cbor(record_fields(packs=[[*pack[:2], [segment("s", 0)]]])),
        "segment over 1 GiB": cbor(record_fields(packs=[[*pack[:2], [segment("s", (1 << 30) + 1)]]])),
        "wrong stored length": cbor(record_fields(packs=[[*pack[:2], [segment("s", 5, stored_len(5) + 1)]]])),
        "short digest": cbor(record_fields(packs=[[*pack[:2], [[*segment("s", 5)[:3], b"\0" * 31]]]])),
        "4,097 packs announced": cbor(record_fields(packs=Raw(b"\x99\x10\x01"))),
        "2^64 packs announced": cbor(record_fields(packs=Raw(b"\x9b" + b"\xff" * 8))),
        "list not at 0": cbor(record_fields(list=ranged(1, 1024))),
        "map overlaps list": cbor(record_fields(map=ranged(stored_len(1024) - 1, 2048))),
        "wrong stored length of the list": cbor(record_fields(list=ranged(0, 1024, stored_len(1024) - 1))),
        "empty list stream": cbor(record_fields(list=ranged(0, 0), map=ranged(stored_len(0), 2048))),
        "list over 1 TiB": cbor(record_fields(list=ranged(0, (1 << 40) + 1), map=ranged(stored_len((1 << 40) + 1), 2048))),
        "negative class": cbor(record_fields(klass=Raw(b"\x20"))),
    }
    cases += [{"name": name, "record": record, "expect": "error"} for name, record in bad.items()]
    flipped = cbor(record_fields(suite=other_suite()))
    cases.append({"name": "the suite flipped under the version digest", "record": flipped, "digest": cases[0]["digest"], "expect": "error"})
    return cases


# List and map -----------------------------------------------------------------------------------------------------------


def entry(path, mode=0o644, kind=0, value=0):
    return path, cbor([path, mode, kind, value])


def list_stream(items, per_block=2, fanout=2, pad=False, magic=b"SRLIST\0\1", total=None, tree=None, content=None, packs=(0, 0),
                tail=b""):
    body, found = blocks(items, per_block, fanout)
    foot = footer(magic, tree or found, total or 0, packs)
    return manifest(body if content is None else content, foot[: len(foot) - len(tail)] + tail, pad)


def version_object(list_plain, map_plain, list_key=LIST_KEY, list_label="list", version=VERSION, packs=None, map_key=MAP_KEY, told=None):
    """`told`: the suite that the record names, if it is another than the one that sealed."""
    context = lambda label: lp(label, suite_bytes(), VAULT, version)
    sealed_list, list_digest = stream_seal(list_key, context(list_label), list_plain, seeded("list salt", 24))
    sealed_map, map_digest = stream_seal(map_key, context("map"), map_plain, seeded("map salt", 24))
    record = cbor(record_fields(
        suite=told or suite(),
        packs=record_fields()[9] if packs is None else packs,
        list=ranged(0, len(list_plain), digest=list_digest),
        map=ranged(len(sealed_list), len(map_plain), digest=map_digest)))
    return {"list_key": LIST_KEY, "map_key": MAP_KEY, "record": record,
            "object": sealed_list + sealed_map + record + b"SRV1" + struct.pack(">I", len(record))}


NAMES = [entry(b"a", 0o755, 1, None), entry(b"a/b", 0o600, 0, 5), entry(b"a/c\xff", 0o644, 0, 0),
         entry(b"l", 0o777, 2, b"../a"), entry("z\u00fc".encode(), 0o4755, 0, 7)]
ROOT, PLAIN_ROOT = entry(b"", 0o700, 1, None), [b"", 0o700, 1, None]
PLAIN_NAMES = [[p, m, k, v] for p, m, k, v in ((b"a", 0o755, 1, None), (b"a/b", 0o600, 0, 5), (b"a/c\xff", 0o644, 0, 0),
                                               (b"l", 0o777, 2, b"../a"), ("z\u00fc".encode(), 0o4755, 0, 7))]
PACKS = [[seeded("pack", 16), seeded("pack key", 32)]]


def map_stream(items, packs=PACKS, per_block=2, fanout=2, magic=b"SRMAP\0\0\1", pad=False, raw_packs=None):
    body, tree = blocks([(b"", item) for item in items], per_block, fanout)
    table = cbor(packs) if raw_packs is None else raw_packs
    return manifest(body + table, footer(magic, tree, 0, (len(body), len(table))), pad)


def hello():
    return tree_digest(b"hello")


def places():
    return [cbor([[], None]), cbor([[[0, 0, 0, 5]], hello()]), cbor([[], tree_digest(b"")]), cbor([[], None]),
            cbor([[[0, 0, 5, 3], [0, 0, 99_996, 4]], hello()])]


def lists():
    maps = map_stream(places())
    good = version_object(list_stream(NAMES), maps)
    cases = [
        {"name": "two levels of index", **good, "entries": PLAIN_NAMES, "expect": "ok"},
        {"name": "padded", **version_object(list_stream(NAMES, pad=True), maps), "entries": PLAIN_NAMES, "expect": "ok"},
        {"name": "empty", **version_object(list_stream([]), maps), "entries": [], "expect": "ok"},
        {"name": "root folder", **version_object(list_stream([ROOT, *NAMES]), maps), "entries": [PLAIN_ROOT, *PLAIN_NAMES], "expect": "ok"},
    ]
    plain = list_stream(NAMES)
    content, tree = blocks(NAMES, 2, 2)
    one = lambda *item: list_stream([entry(*item)])
    twice = [NAMES[0], NAMES[0]]
    up, down = [NAMES[0], NAMES[1]], [NAMES[1], NAMES[0]]
    bad_plain = {
        "out of order": list_stream(down),
        "out of order across blocks": list_stream(down, per_block=1),
        "the same path twice": list_stream(twice),
        "a file with the empty path": one(b""),
        "a link with the empty path": one(b"", 0o777, 2, b"a"),
        "two root folders": list_stream([ROOT, ROOT]),
        "two root folders, each in a block": list_stream([ROOT, ROOT], per_block=1),
        "root folder at the end": list_stream([NAMES[0], ROOT]),
        "absolute path": one(b"/etc/passwd"),
        "parent component": one(b"a/../b"),
        "dot component": one(b"./a"),
        "empty component": one(b"a//b"),
        "trailing slash": one(b"a/"),
        "nul in path": one(b"a\0b"),
        "path of 4,097 bytes": one(b"p" * 4097),
        "mode of 13 bits": one(b"a", 0o10000),
        "unknown kind": one(b"a", 0o644, 3, 0),
        "folder with a size": one(b"a", 0o755, 1, 5),
        "link without target": one(b"a", 0o777, 2, b""),
        "file over 2^46 bytes": one(b"a", 0o644, 0, (1 << 46) + 1),
        "entry of five items": list_stream([(b"a", cbor([b"a", 0o644, 0, 0, 0]))]),
        "long integer in an entry": list_stream([(b"a", b"\x84\x41a\x19\x01\xa4\x18\x00\x00")]),
        "one entry more than the footer says": list_stream(NAMES, tree=(4, *tree[1:])),
        "one entry less than the footer says": list_stream(NAMES, tree=(6, *tree[1:])),
        "2^30 + 1 entries": list_stream(NAMES, tree=((1 << 30) + 1, *tree[1:])),
        "depth 9": list_stream(NAMES, tree=(*tree[:3], 9)),
        "wrong depth": list_stream(NAMES, tree=(*tree[:3], tree[3] - 1)),
        "root outside": list_stream(NAMES, tree=(5, 1 << 50, tree[2], tree[3])),
        "root too long": list_stream(NAMES, tree=(5, 0, 65_537, 0)),
        "root cut": list_stream(NAMES, tree=(5, tree[1], tree[2] - 1, tree[3])),
        "index that points at itself": list_stream(
            [], content=cbor([[b"a", 0, 0, 9]]), tree=(1, 0, len(cbor([[b"a", 0, 0, 9]])), 1)),
        "index with another first path": list_stream(
            [], content=cbor([Raw(NAMES[0][1])]) + cbor([[b"b", 0, 0, 1 + len(NAMES[0][1])]]),
            tree=(1, 1 + len(NAMES[0][1]), len(cbor([[b"b", 0, 0, 1 + len(NAMES[0][1])]])), 1)),
        "magic of a map": list_stream(NAMES, magic=b"SRMAP\0\0\1"),
        "a pack table": list_stream(NAMES, packs=(0, 1)),
        "reserved byte set": list_stream(NAMES, tail=b"\1"),
        "shorter than a footer": b"\0" * 63,
    }
    for name, stream in bad_plain.items():
        cases.append({"name": f"by a holder of the key: {name}", **version_object(stream, maps), "expect": "error"})
    cases.append({"name": "another key", **version_object(plain, maps, list_key=seeded("other", 32)), "expect": "error"})
    cases.append({"name": "sealed as a map", **version_object(plain, maps, list_label="map"), "expect": "error"})
    cases.append({"name": "of another version", **version_object(plain, maps, version=seeded("v2", 16)), "expect": "error"})
    at = (0, 23, 24, 55, 56, 60, len(plain) + 56 + 15, len(plain) + 72, stored_len(len(plain)) - 1)
    for name, flipped in flips(good["object"], at):
        cases.append({"name": f"object {name}", **good, "object": flipped, "expect": "error"})
    told = version_object(plain, maps, told=other_suite())
    cases.append({"name": "read as the other suite", **told, "expect": "error", "suite": other_suite()})
    with under(other_suite()):
        sealed = version_object(plain, maps, told=other_suite())
    cases.append({"name": "sealed for the other suite", **sealed, "expect": "error"})
    cases.append({"name": "object cut", **good, "object": good["object"][: stored_len(len(plain)) - 1], "expect": "error"})
    return cases


def maps():
    names = list_stream(NAMES)
    good = version_object(names, map_stream(places()))
    extents = [[[], None], [[[0, 0, 0, 5]], hello()], [[], tree_digest(b"")], [[], None], [[[0, 0, 5, 3], [0, 0, 99_996, 4]], hello()]]
    two = [[seeded("pack", 16), VERSION, [segment("segment", 10), segment("second", 10)]]]
    across = version_object(names, map_stream([cbor([[[0, 0, 5, 15]], hello()])]), packs=two)
    cases = [
        {"name": "five entries", **good, "entries": extents, "pack_keys": [PACKS[0][1]], "expect": "ok"},
        {"name": "an extent across segments", **across, "entries": [[[[0, 0, 5, 15]], hello()]], "pack_keys": [PACKS[0][1]], "expect": "ok"},
        {"name": "empty, no packs", **version_object(names, map_stream([], packs=[]), packs=[]), "entries": [], "pack_keys": [],
         "expect": "ok"},
    ]
    one = lambda *extent: map_stream([cbor([[list(extent)], hello()])])
    bad = {
        "extent in an unknown pack": one(1, 0, 0, 1),
        "extent in an unknown segment": one(0, 1, 0, 1),
        "extent behind its pack": one(0, 0, 99_999, 2),
        "offset behind the segment": one(0, 0, 100_000, 1),
        "empty extent": one(0, 0, 0, 0),
        "huge extent": one(0, 0, 0, (1 << 64) - 1),
        "extents that overflow together": map_stream([cbor([[[0, 0, 0, (1 << 64) - 1], [0, 0, 0, 5]], hello()])]),
        "bytes without digest": map_stream([cbor([[[0, 0, 0, 1]], None])]),
        "short digest": map_stream([cbor([[[0, 0, 0, 1]], hello()[:31]])]),
        "1,025 extents": map_stream([cbor([[[0, 0, 0, 1]] * 1025, hello()])], per_block=1),
        "entry of one item": map_stream([cbor([[]])]),
        "pack table of another pack": map_stream(places(), packs=[[seeded("other", 16), PACKS[0][1]]]),
        "pack table too short": map_stream(places(), packs=[]),
        "pack table too long": map_stream(places(), packs=PACKS * 2),
        "short pack key": map_stream(places(), packs=[[PACKS[0][0], PACKS[0][1][:31]]]),
        "trailing byte in the pack table": map_stream(places(), raw_packs=cbor(PACKS) + b"\0"),
        "magic of a list": map_stream(places(), magic=b"SRLIST\0\1"),
    }
    for name, stream in bad.items():
        cases.append({"name": f"by a holder of the key: {name}", **version_object(names, stream), "expect": "error"})
    other = version_object(names, map_stream(places()), map_key=seeded("other", 32))
    cases.append({"name": "another key", **other, "expect": "error"})
    start, end = stored_len(len(names)), stored_len(len(names)) + stored_len(len(map_stream(places())))
    for name, flipped in flips(good["object"], (start, start + 24, start + 56, end - 1)):
        cases.append({"name": f"object {name}", **good, "object": flipped, "expect": "error"})
    told = version_object(names, map_stream(places()), told=other_suite())
    cases.append({"name": "read as the other suite", **told, "expect": "error", "suite": other_suite()})
    with under(other_suite()):
        sealed = version_object(names, map_stream(places()), told=other_suite())
    cases.append({"name": "sealed for the other suite", **sealed, "expect": "error"})
    swapped = good["object"][start:end] + good["object"][:start] + good["object"][end:]
    cases.append({"name": "list and map swapped", **good, "object": swapped, "expect": "error"})
    return cases


# Wrap -------------------------------------------------------------------------------------------------------------------

CONTEXT = dict(vault=VAULT, kind=2, workspace=seeded("workspace", 16), environment=0, **{"class": 2}, artifact=ARTIFACT,
               version=VERSION, key_id=seeded("key id", 16), wrapping_key_id=seeded("wrapping id", 16), wrapping_key_version=3)


def wrap_context(label, c):
    number = lambda v: b"" if v is None else bytes([v])
    return lp(label, suite_bytes(), c["vault"], bytes([c["kind"]]), c["workspace"] or b"", number(c["environment"]), number(c["class"]),
              c["artifact"] or b"", c["version"] or b"", c["key_id"], c["wrapping_key_id"],
              struct.pack(">I", c["wrapping_key_version"]))


def wraps():
    key, secret, salt = seeded("wrapping key", 32), seeded("wrapped", 32), seeded("wrap salt", 24)
    make = lambda by, context, plain=secret: chunked_seal(key, wrap_context(f"wrap/{by}", context), plain, salt)
    base = {"by": "domain", "wrapping_key": key, "context": CONTEXT, "wrapped": make("domain", CONTEXT), "secret": secret}
    bare = dict(CONTEXT, kind=1, artifact=None, version=None)
    shelf = dict(bare, kind=10)
    vault = dict(CONTEXT, kind=5, workspace=None, environment=None, **{"class": None}, artifact=None, version=None)
    cases = [
        {"name": "version key under a domain key", **base, "expect": "ok"},
        {"name": "domain key under a root", **base, "by": "root", "context": bare, "wrapped": make("root", bare), "expect": "ok"},
        {"name": "version key under an archive key", **base, "by": "archive", "wrapped": make("archive", CONTEXT), "expect": "ok"},
        {"name": "archive key under a root", **base, "by": "root", "context": shelf, "wrapped": make("root", shelf), "expect": "ok"},
        {"name": "release seed under a root", **base, "by": "root", "context": vault, "wrapped": make("root", vault), "expect": "ok"},
    ]
    for field, value in dict(vault=seeded("v", 16), workspace=seeded("w", 16), environment=1, artifact=seeded("a", 16),
                             version=seeded("x", 16), key_id=seeded("k", 16), wrapping_key_id=seeded("i", 16),
                             wrapping_key_version=4, **{"class": 1}).items():
        cases.append({"name": f"another {field}", **base, "context": dict(CONTEXT, **{field: value}), "expect": "error"})
    for field in ("workspace", "environment", "class", "artifact", "version"):
        cases.append({"name": f"no {field}", **base, "context": dict(CONTEXT, **{field: None}), "expect": "error"})
    with under(other_suite()):
        other = make("domain", CONTEXT), make("root", bare)
    cases += [
        {"name": "read as the other suite", **base, "suite": other_suite(), "expect": "error"},
        {"name": "made for the other suite", **base, "wrapped": other[0], "expect": "error"},
        {"name": "domain key, made for the other suite", **base, "by": "root", "context": bare, "wrapped": other[1], "expect": "error"},
    ]
    cases += [
        {"name": "another key", **base, "wrapping_key": seeded("other", 32), "expect": "error"},
        {"name": "under an archive key, read as under a domain key", **base, "wrapped": make("archive", CONTEXT), "expect": "error"},
        {"name": "under a domain key, read as under an archive key", **base, "by": "archive", "expect": "error"},
        {"name": "archive key, read as a domain key", **base, "by": "root", "context": bare, "wrapped": make("root", shelf), "expect": "error"},
        {"name": "domain key, read as an archive key", **base, "by": "root", "context": shelf, "wrapped": make("root", bare), "expect": "error"},
        {"name": "made under a root", **base, "wrapped": make("root", CONTEXT), "expect": "error"},
        {"name": "a secret of 31 bytes", **base, "wrapped": make("domain", CONTEXT, secret[:31]), "expect": "error"},
        {"name": "a secret of 33 bytes", **base, "wrapped": make("domain", CONTEXT, secret + b"\0"), "expect": "error"},
        {"name": "cut", **base, "wrapped": base["wrapped"][:-1], "expect": "error"},
        {"name": "longer", **base, "wrapped": base["wrapped"] + b"\0", "expect": "error"},
        {"name": "empty", **base, "wrapped": b"", "expect": "error"},
    ]
    for name, flipped in flips(base["wrapped"], (0, 23, 24, 55, 56, 87, 88, 103)):
        cases.append({"name": name, **base, "wrapped": flipped, "expect": "error"})
    return [{**case, "context": {"suite": case.get("suite", suite()), **case["context"]}} for case in cases]


# Request and envelope ---------------------------------------------------------------------------------------------------

SESSION, RELEASE = seeded("session seed", 32), seeded("release seed", 32)
ONE_TIME = {}
for number in SUITES:
    with under(number):
        ONE_TIME[number] = kem_key(seeded("one-time seed", 32))


def one_time():
    """ML-KEM secret, scalar of the group, public key."""
    return ONE_TIME[suite()]


def request_body(**changes):
    fields = dict(label="strongroom/v1/request", vault=VAULT, principal=seeded("principal", 16), session=seeded("session", 16),
                  action=1, versions=[VERSION], command=bytes(32), suite=suite(), key=hashlib.sha256(one_time()[2]).digest(),
                  nonce=seeded("nonce", 16), time=1_795_000_000_000)
    assert changes.keys() <= fields.keys()
    return cbor(list({**fields, **changes}.values()))


def signed_request(body, key=None, seed=SESSION, signature=None):
    return cbor([Raw(body), key or one_time()[2], signature or sign(seed, body)])


def requests():
    good = signed_request(request_body())
    case = lambda name, request, expect="error": {"name": name, "request": request, "session_key": public(SESSION), "expect": expect}
    many = [seeded(f"v{n}", 16) for n in range(65)]
    cases = [case("one version", good, "ok"), case("64 versions", signed_request(request_body(versions=many[:64])), "ok")]
    for c in cases:
        body = request_body() if c["name"] == "one version" else request_body(versions=many[:64])
        c["hash"] = hashlib.sha256(body).digest()
    _, _, other = kem_key(seeded("other one-time seed", 32))
    mine, foreign = one_time()[2], ONE_TIME[other_suite()][2]
    bad = {
        "another one-time key": signed_request(request_body(), key=other),
        "another one-time key with its hash, not signed again": signed_request(
            request_body(key=hashlib.sha256(other).digest()), key=other, signature=sign(SESSION, request_body())),
        "signed by another session": signed_request(request_body(), seed=RELEASE),
        "signature of zeros": signed_request(request_body(), signature=bytes(64)),
        "signature of 63 bytes": signed_request(request_body(), signature=sign(SESSION, request_body())[:63]),
        "no version": signed_request(request_body(versions=[])),
        "65 versions": signed_request(request_body(versions=many)),
        "the same version twice": signed_request(request_body(versions=[VERSION, VERSION])),
        "action 256": signed_request(request_body(action=256)),
        "suite 0": signed_request(request_body(suite=0)),
        "suite 3": signed_request(request_body(suite=3)),
        "the number of a KEM for a suite": signed_request(request_body(suite=group().kem)),
        "the suite flipped, not signed again": signed_request(request_body(suite=other_suite()), signature=sign(SESSION, request_body())),
        "the suite flipped, signed again": signed_request(request_body(suite=other_suite())),
        "a one-time key of the other suite": signed_request(request_body(key=hashlib.sha256(foreign).digest()), key=foreign),
        "label of an envelope": signed_request(request_body(label="strongroom/v1/envelope")),
        "short nonce": signed_request(request_body(nonce=bytes(15))),
        "long time": signed_request(request_body(time=Raw(b"\x1b" + bytes(8)))),
        "short key": signed_request(request_body(key=hashlib.sha256(mine[:-1]).digest()), key=mine[:-1]),
        "trailing byte": good + b"\0",
        "cut": good[:-1],
        "empty": b"",
        "4,097 bytes": good + bytes(4097 - len(good)),
    }
    cases += [case(name, request) for name, request in bad.items()]
    cases += [case(name, flipped) for name, flipped in flips(good, (0, 1, 2, 30, 60, 100, 200, 230, 300, len(good) - 1))]
    return cases


def envelopes():
    body = request_body(versions=[VERSION, seeded("second", 16)])
    request = signed_request(body)
    digest = hashlib.sha256(body).digest()
    keys = [[VERSION, 1, LIST_KEY], [VERSION, 2, MAP_KEY]]
    named = [[VERSION, seeded("version digest", 32)]]

    def make(payload=keys, versions=named, answer=digest, seed=RELEASE, pk=None, label="envelope/info", aad=None, expiry=5, ct=None,
             told=None, bound=None):
        header = cbor([seeded("release id", 16), versions, expiry])
        payload = payload if isinstance(payload, bytes) else cbor(payload)
        eseed = seeded("encapsulation", 32 + group().seed_len)
        info = lp(label, struct.pack(">H", bound or suite()), answer)
        enc, sealed = hpke_seal(pk or one_time()[2], eseed, info, header if aad is None else aad, payload)
        sealed = ct or sealed
        signature = sign(seed, cbor(["strongroom/v1/envelope", told or suite(), answer, Raw(header), enc, sealed]))
        return cbor([told or suite(), Raw(header), enc, sealed, signature])

    good = make()
    base = {"request": request, "ml_kem_secret": one_time()[0], "group_secret": one_time()[1], "release_key": public(RELEASE)}
    uncommitted = make(versions=[[VERSION, None]])
    cases = [
        {"name": "list and map key", **base, "envelope": good, "keys": keys, "expect": "ok"},
        {"name": "version not committed yet", **base, "envelope": uncommitted, "keys": keys, "expect": "ok"},
    ]
    _, _, other = kem_key(seeded("other one-time seed", 32))
    with under(other_suite()):
        answered = make()
    stranger = seeded("stranger", 16)
    bad = {
        "answer to another request": make(answer=seeded("other request", 32)),
        "signed by another key": make(seed=SESSION),
        "sealed to another one-time key": make(pk=other),
        "another HPKE info": make(label="envelope"),
        "another associated data": make(aad=b""),
        "a version that was not asked for": make(versions=[[stranger, None]], payload=[[stranger, 1, LIST_KEY]]),
        "a key of a version it does not name": make(payload=[[seeded("second", 16), 1, LIST_KEY]]),
        "the same version named twice": make(versions=named * 2),
        "the same key twice": make(payload=[keys[0], keys[0]]),
        "no keys": make(payload=[]),
        "no version": make(versions=[], payload=[]),
        "role 0": make(payload=[[VERSION, 0, LIST_KEY]]),
        "role 3": make(payload=[[VERSION, 3, LIST_KEY]]),
        "a key of 31 bytes": make(payload=[[VERSION, 1, LIST_KEY[:31]]]),
        "payload with a trailing byte": make(payload=cbor(keys) + b"\0"),
        "payload not deterministic": make(payload=b"\x98\x02" + cbor(keys)[1:]),
        "ciphertext too long": make(ct=bytes(8_192 + 17)),
        "ciphertext empty": make(ct=b"\0"),
        "the suite flipped, not signed again": good[:1] + bytes([other_suite()]) + good[2:],
        "the suite flipped, signed again": make(told=other_suite()),
        "HPKE info of the other suite": make(bound=other_suite()),
        "sealed and signed under the other suite": answered,
        "sealed and signed under the other suite, called this one": answered[:1] + bytes([suite()]) + answered[2:],
        "suite 0": make(told=3)[:1] + b"\0" + good[2:],
        "suite 3": make(told=3),
        "without a suite": b"\x84" + good[2:],
        "unsigned": good[:-66] + cbor(b""),
        "trailing byte": good + b"\0",
        "cut": good[:-1],
        "empty": b"",
    }
    cases += [{"name": name, **base, "envelope": envelope, "expect": "error"} for name, envelope in bad.items()]
    at = (0, 1, 3, 20, 25, 40, 80, 200, 1200, 1250, len(good) - 1)
    cases += [{"name": name, **base, "envelope": flipped, "expect": "error"} for name, flipped in flips(good, at)]
    return cases


def derivations():
    key, id_ = seeded("version key", 32), VERSION
    made = {name: expand(key, lp(name, suite_bytes(), VAULT, id_), length) for name, length in
            (("list-key", 32), ("map-key", 32), ("fingerprint", 16))}
    base = {"key": key, "vault": VAULT, "id": id_}
    cases = []
    for name, out in made.items():
        cases.append({"name": name, "label": name, **base, "out": out, "expect": "ok"})
        cases.append({"name": f"{name}, another key", "label": name, **base, "key": seeded("o", 32), "out": out, "expect": "error"})
        cases.append({"name": f"{name}, another vault", "label": name, **base, "vault": id_, "out": out, "expect": "error"})
        cases.append({"name": f"{name}, another id", "label": name, **base, "id": VAULT, "out": out, "expect": "error"})
        cases.append({"name": f"{name}, no suite", "label": name, **base, "expect": "error",
                      "out": expand(key, lp(name, VAULT, id_), len(out))})
        cases.append({"name": f"{name}, the other suite", "label": name, **base, "out": out, "suite": other_suite(), "expect": "error"})
    return cases


def passphrases():
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    common = {"passphrase": b"correct horse", "salt": seeded("salt", 16), "vault": VAULT}

    def root(case):
        if suite() == 1:
            argon = Argon2id(salt=case["salt"], length=32, iterations=case["passes"], lanes=case["lanes"], memory_cost=case["memory"])
            stretched = argon.derive(case["passphrase"])
        else:
            stretched = hashlib.pbkdf2_hmac("sha256", case["passphrase"], case["salt"], case["iterations"], 32)
        return expand(stretched, lp("root/passphrase", suite_bytes(), case["vault"]), 32)

    other = {"passphrase": b"correct horsf", "salt": bytes(16), "vault": VERSION}

    if suite() == 1:
        good = {**common, "memory": 8192, "passes": 1, "lanes": 1}
        named = (("least memory", good), ("recommended", {**good, "memory": 65536, "passes": 3, "lanes": 4}))
        changes = {"memory": 8193, "passes": 2, "lanes": 2}
    else:
        good = {**common, "iterations": 600_000}
        named = (("recommended, which is the least", good),)
        changes = {"iterations": 600_001}
    cases = [{"name": name, **base, "root": root(base), "expect": "ok"} for name, base in named]
    cases += [{"name": f"another {field}", **good, field: value, "root": root(good), "expect": "error"}
              for field, value in {**changes, **other}.items()]
    # HMAC pads short keys with zeros, so that PBKDF2 does not tell a zero byte at the end of a passphrase from its absence.
    padded = {"name": "a zero byte at the end", **good, "passphrase": good["passphrase"] + b"\0", "root": root(good)}
    cases.append({**padded, "expect": "ok" if suite() == 2 else "error"})
    if suite() == 2:
        # What is out of bounds gives no root, also the one that it would be.
        for name, iterations in (("one iteration", 1), ("SP 800-132's least", 1_000), ("one too few", 599_999)):
            weak = {**good, "iterations": iterations}
            cases.append({"name": name, **weak, "root": root(weak), "expect": "error"})
        cases.append({"name": "one too many", **good, "iterations": 10_000_001, "root": bytes(32), "expect": "error"})
    stretched = root(good)
    with under(other_suite()):
        unlike = expand(stretched, lp("root/passphrase", suite_bytes(), VAULT), 32)
    cases.append({"name": "derived for the other suite", **good, "root": unlike, "expect": "error"})
    return cases


BOTH = (
    ("record", "a record's bytes and its version digest; error: not that, or no record", records),
    ("list", "a version object, its record and list key; entries are [path, mode, kind, size | null | target]", lists),
    ("map", "a version object, its record and map key; entries are [[[pack, segment, offset, length]..], digest]", maps),
    ("wrap", "a key wrapped under a domain key, an archive key or a root", wraps),
    ("request", "a signed release request and the session's public key", requests),
    ("envelope", "a request, the expanded one-time secrets, the release key and an envelope; keys are [version, role, key]", envelopes),
    ("derive", "HKDF-Expand of a key; error: not this output", derivations),
    ("passphrase", "A root from a passphrase; error: not this root", passphrases),
)

if __name__ == "__main__":
    for step in (kems, mlkem, padmes):
        step()
    for name, comment, make in BOTH:
        write_both(name, comment, make)
