"""Writes vectors/escrow.json: shares, what a vault keeps of an escrow, and both together. `python spec/vectors/escrow.py`."""

import hashlib
import struct

from manifests_and_keys import VAULT, VERSION, flips, write_both
from recovery import ALPHABET, groups
from reference import Raw, cbor, chunked_seal, expand, kem_key, lp, other_suite, seeded, suite_bytes, under

SEED, ROOT, MADE = seeded("escrow seed", 32), seeded("escrow root", 16), 1_795_305_600_000


def times(a, b):
    """GF(256) with x^8 + x^4 + x^3 + x + 1."""
    out = 0
    while b:
        out ^= a if b & 1 else 0
        a, b = (a << 1) ^ (0x11B if a & 128 else 0), b >> 1
    return out


def split(seed, needed, count, name="escrow"):
    """f(1) .. f(count), each byte on a polynomial of its own."""
    coefficients = [seed, *(seeded(f"{name} coefficient {n}", 32) for n in range(1, needed))]

    def at(x):
        out = bytes(32)
        for coefficient in reversed(coefficients):
            out = bytes(times(value, x) ^ other for value, other in zip(out, coefficient))
        return out

    return [at(x) for x in range(1, count + 1)]


class Escrow:
    """One escrow of a vault, with its shares."""

    def __init__(self, needed, count, seed=SEED, vault=VAULT, root=ROOT, generation=2, made=MADE, name="escrow"):
        self.needed, self.count, self.seed, self.vault, self.root = needed, count, seed, vault, root
        self.generation, self.made, self.values = generation, made, split(seed, needed, count, name)

    def commitment(self, index, value=None):
        fields = struct.pack(">H", self.generation), self.made.to_bytes(6, "big"), bytes([self.needed, self.count, index])
        info = lp("escrow/share", suite_bytes(), self.vault, self.root, *fields)
        return expand(self.values[index - 1] if value is None else value, info, 32)

    def kept(self, form=1, fingerprint=None, commitments=None):
        mark = expand(self.seed, lp("fingerprint", suite_bytes(), self.vault, self.root), 16)
        commitments = [self.commitment(n) for n in range(1, self.count + 1)] if commitments is None else commitments
        return [form, self.generation, self.made, self.needed, mark if fingerprint is None else fingerprint, commitments]

    def share(self, number, value=None, **changed):
        """The bytes of a share, or of one that was altered and has the right checksum all the same."""
        of = dict(version=1, vault=self.vault, root=self.root, generation=self.generation, made=self.made, needed=self.needed,
                  count=self.count, index=number) | changed
        numbers = struct.pack(">H", of["generation"]) + of["made"].to_bytes(6, "big") + bytes([of["needed"], of["count"], of["index"]])
        value = self.values[number - 1] if value is None else value
        return summed(bytes([of["version"]]) + of["vault"] + of["root"] + numbers + value)


def summed(body):
    return body + hashlib.sha256(lp("escrow/checksum", body)).digest()[:4]


def text(share):
    parts = groups(share)
    return "\n".join("-".join(parts[at : at + 8]) for at in range(0, len(parts), 8)) + "\n"


def shares():
    escrow = Escrow(3, 5)
    base = {"do": "share", "vault": VAULT, "root": ROOT, "generation": 2, "made": MADE, "needed": 3, "count": 5, "index": 2}
    base["value"], right = escrow.values[1], escrow.share(2)
    case = lambda name, text, why=None, **more: {"name": f"share, {name}", **base, "text": text, **more,
                                                   **({"expect": "error", "why": why} if why else {"expect": "ok"})}
    parts = groups(right)
    line = "-".join(parts)
    yield case("as it is shown", "# a comment\n" + text(right))
    yield case("small letters, blanks and lines", " ".join(parts[:9]).lower() + "\r\n\r\n  " + "".join(parts[9:]))
    yield case("O for 0, l and i for 1", line.replace("0", "o").replace("1", "l", 1).replace("1", "i"))
    yield case("a comment that says something else", "# share 4 of 9\n" + text(right) + "  # of another vault")
    yield case("the most of everything", text(Escrow(16, 16, generation=65535, made=253402300799999).share(16)), generation=65535,
               made=253402300799999, needed=16, count=16, index=16, value=Escrow(16, 16).values[15])
    yield case("a comment behind the groups of its line", line + " # here", "form")
    yield case("empty", "", "form")
    yield case("a comment alone", "# share 2 of 5\n", "form")
    yield case("long", line + " " * 4096, "long")
    yield case("a group is missing", "-".join(parts[:-1]), "form")
    yield case("a group too many", line + "-" + parts[0], "form")
    yield case("a character too many", line + "0", "form")
    yield case("a letter that no share has", "U" + line[1:], "form")
    yield case("a recovery code", "-".join(groups(SEED)), "form")
    yield case("two groups that changed places", "-".join([parts[1], parts[0], *parts[2:]]), "slip")
    yield case("the first group and the last", "-".join([parts[-1], *parts[1:-1], parts[0]]), "slip")
    for place in (0, 15, 30, 31):
        for at in (0, 4):
            other = ALPHABET[(ALPHABET.index(parts[place][at]) + 9) % 32]
            changed = parts[place][:at] + other + parts[place][at + 1 :]
            yield case(f"character {at} of group {place} is another", "-".join([*parts[:place], changed, *parts[place + 1 :]]), "slip",
                       slip=place + 1)
    for name, flipped in flips(right, (1, 17, 33, 44, 60, 75, 76, 79)):
        yield case(f"{name}, with right groups", text(flipped), "checksum")
    yield case("of a newer form", text(escrow.share(2, version=2)), "version")
    yield case("of no form", text(escrow.share(2, version=0)), "version")
    for name, changed in {"one is enough": dict(needed=1), "none is enough": dict(needed=0), "more needed than there are": dict(needed=6),
                          "17 shares": dict(count=17), "no shares": dict(count=0), "number 0": dict(index=0), "number 6": dict(index=6),
                          "generation 0": dict(generation=0), "of the year 10000": dict(made=253402300800000),
                          "of the latest time there is": dict(made=2**48 - 1)}.items():
        yield case(name, text(escrow.share(2, **changed)), "form")


def kept():
    escrow = Escrow(3, 5)
    base = {"do": "kept", "vault": VAULT, "root": ROOT, "needed": 3, "count": 5, "generation": 2, "made": MADE}
    case = lambda name, value, **more: {"name": f"kept, {name}", **base, "bytes": value if isinstance(value, bytes) else cbor(value),
                                        "expect": "error", **more}
    right, whole = escrow.kept(), cbor(escrow.kept())
    change = lambda at, value: [*right[:at], value, *right[at + 1 :]]
    yield case("as it is", right, expect="ok")
    yield case("the most of everything", Escrow(16, 16, generation=65535, made=253402300799999).kept(), needed=16, count=16,
               generation=65535, made=253402300799999, expect="ok")
    yield case("of another form", change(0, 2))
    yield case("generation 0", change(1, 0))
    yield case("generation 65536", change(1, 65536))
    yield case("of the year 10000", change(2, 253402300800000))
    yield case("one is enough", change(3, 1))
    yield case("more needed than there are", change(3, 6))
    yield case("a fingerprint of 15 bytes", change(4, right[4][:-1]))
    yield case("a commitment of 31 bytes", change(5, [right[5][0][:-1], *right[5][1:]]))
    yield case("17 commitments", change(5, [bytes(32)] * 17))
    yield case("two commitments", change(5, right[5][:2]))
    yield case("no commitments", change(5, []))
    yield case("five fields", right[:5])
    yield case("seven fields", [*right, 0])
    yield case("a byte behind", whole + b"\0")
    yield case("cut", whole[:-1])
    yield case("empty", b"")
    yield case("a number that is longer than it need be", change(3, Raw(b"\x18\x03")))
    yield case("long", whole + bytes(600))
    dk, scalar, _ = kem_key(seeded("escrow pair", 32))
    context = lp("recovery/private", suite_bytes(), VAULT, ROOT)
    key = expand(SEED, lp("root/escrow", suite_bytes(), VAULT, ROOT), 32)
    sealed = chunked_seal(key, context, dk + scalar, seeded("escrow salt", 24))
    base = {"do": "params", "vault": VAULT, "root": ROOT, "sealed": sealed, "key": key}
    case = lambda name, value, **more: {"name": f"parameters, {name}", **base, "bytes": value if isinstance(value, bytes) else cbor(value),
                                        "expect": "error", **more}
    yield case("as they are", [right, sealed], expect="ok")
    yield case("without a private half", [right])
    yield case("with a short private half", [right, sealed[:-1]])
    yield case("with a long private half", [right, sealed + b"\0"])
    yield case("the private half first", [sealed, right])
    yield case("the escrow alone", right)
    yield case("a third field", [right, sealed, 0])
    yield case("a byte behind", cbor([right, sealed]) + b"\0")
    yield case("cut", cbor([right, sealed])[:-1])
    yield case("of another escrow", [Escrow(1, 5).kept(), sealed])
    yield case("empty", b"")


def keys():
    key = expand(SEED, lp("root/escrow", suite_bytes(), VAULT, ROOT), 32)
    base = {"do": "key", "seed": SEED, "vault": VAULT, "root": ROOT, "key": key}
    case = lambda name, **more: {"name": f"key, {name}", **base, "expect": "error", **more}
    yield case("of the seed", expect="ok")
    yield case("of another seed", seed=seeded("other", 32))
    yield case("of another vault", vault=VERSION)
    yield case("of another root", root=VERSION)
    yield case("of the other suite", suite=other_suite())
    yield case("of a recovery code", key=expand(SEED, lp("root/recovery", suite_bytes(), VAULT), 32))


def combined():
    escrow = Escrow(3, 5)
    earlier = Escrow(3, 5, seed=seeded("earlier seed", 32), root=seeded("earlier root", 16), generation=1, name="earlier")
    later = Escrow(3, 5, seed=seeded("later seed", 32), root=seeded("later root", 16), generation=3, name="later")
    twin = Escrow(3, 5, seed=seeded("twin seed", 32), root=seeded("twin root", 16), name="twin")
    foreign = Escrow(3, 5, seed=seeded("foreign seed", 32), vault=VERSION, name="foreign")
    right = [escrow.share(n) for n in range(1, 6)]
    base = {"do": "combine", "vault": VAULT, "root": ROOT, "kept": cbor(escrow.kept()), "seed": SEED}

    def case(name, shares, why=None, about=None, **more):
        expect = {"expect": "error", "why": why, "about": about} if why else {"expect": "ok"}
        return {"name": f"combined, {name}", **base, "shares": [text(share) for share in shares], **more, **expect}

    pick = lambda *numbers: [right[n - 1] for n in numbers]
    yield case("the first three", pick(1, 2, 3))
    yield case("in another order", pick(5, 1, 4))
    yield case("all five", pick(4, 2, 5, 1, 3))
    for needed, count in ((2, 2), (2, 16), (16, 16)):
        other = Escrow(needed, count)
        of = dict(kept=cbor(other.kept()))
        last = [other.share(n) for n in range(count - needed + 1, count + 1)]
        yield case(f"{needed} of {count}", last, **of)
        yield case(f"{needed} of {count}, one less", last[1:], "too-few", needed - 1, **of)
        yield case(f"{needed} of {count}, shares of three of five", pick(1, 2, 3), "altered", 1, **of)
    yield case("none", [], "too-few", 0)
    yield case("one", pick(3), "too-few", 1)
    yield case("two", pick(3, 1), "too-few", 2)
    yield case("two, and one of them again", pick(1, 2, 1), "duplicate", 1)
    yield case("enough, and one of them again", pick(1, 2, 3, 3), "duplicate", 3)
    yield case("one of an earlier escrow", [*pick(1, 2), earlier.share(3)], "outdated", 3)
    yield case("enough, and one of an earlier escrow", [*pick(1, 2, 3), earlier.share(4)], "outdated", 4)
    yield case("all of an earlier escrow", [earlier.share(n) for n in (1, 2, 3)], "outdated", 1)
    yield case("one of a later escrow", [*pick(1, 2), later.share(5)], "unknown", 5)
    yield case("one of an escrow of a copy of the vault", [*pick(1, 2), twin.share(5)], "unknown", 5)
    yield case("one of another vault", [*pick(1, 2), foreign.share(3)], "foreign", 3)
    yield case("enough, and one of another vault", [*pick(1, 2, 3), foreign.share(3)], "foreign", 3)
    yield case("too few, and one of another vault", [*pick(1), foreign.share(3)], "foreign", 3)
    for name, value in flips(escrow.values[1], (0, 16, 31)):
        yield case(f"{name} of a share", [*pick(1), escrow.share(2, value=value), *pick(3)], "altered", 2)
    yield case("a share of zeros", [*pick(1, 2), escrow.share(3, value=bytes(32))], "altered", 3)
    yield case("a share that says it is another", [*pick(1, 2), escrow.share(3, index=4)], "altered", 4)
    yield case("a share that says it is one that is there", [*pick(1, 2), escrow.share(3, index=1)], "altered", 1)
    for field, value in dict(generation=1, made=MADE + 1, needed=2, count=6).items():
        yield case(f"a share with another {field}", [escrow.share(1, **{field: value}), *pick(2, 3)], "altered", 1)
    yield case("a share of an earlier escrow as if of this one",
               [*pick(1, 2), earlier.share(3, root=ROOT, generation=2)], "altered", 3)
    yield case("a share of another vault as if of this one", [*pick(1, 2), foreign.share(3, vault=VAULT)], "altered", 3)
    yield case("a number beyond what the vault keeps", [*pick(1, 2), escrow.share(3, index=6, count=6)], "altered", 6)
    yield case("under another root", pick(1, 2, 3), "unknown", 1, root=VERSION)
    yield case("in another vault", pick(1, 2, 3), "foreign", 1, vault=VERSION)
    yield case("under the other suite", pick(1, 2, 3), "altered", 1, suite=other_suite())
    with under(other_suite()):
        unlike = cbor(escrow.kept())
    yield case("kept by the other suite", pick(1, 2, 3), "altered", 1, kept=unlike)
    yield case("another fingerprint is kept", pick(1, 2, 3), "seed", kept=cbor(escrow.kept(fingerprint=bytes(16))))
    marks = [escrow.commitment(n) for n in (2, 1, 3, 4, 5)]
    yield case("two commitments changed places", pick(1, 2, 3), "altered", 1, kept=cbor(escrow.kept(commitments=marks)))
    # Whoever may write what the vault keeps gets a share of theirs past the commitments, and no further.
    forged = bytes([1]) * 32
    marks = [escrow.commitment(1, forged), *(escrow.commitment(n) for n in (2, 3, 4, 5))]
    yield case("a share of somebody who wrote its commitment", [escrow.share(1, value=forged), *pick(2, 3)], "seed",
               kept=cbor(escrow.kept(commitments=marks)))


if __name__ == "__main__":
    comment = ("shares, what a vault keeps of an escrow, parameters in vault.json, keys of seeds, and shares put together; "
               "`why` a share or several are refused, `about` which share it is, or how many there are; error: refused, or not this")
    write_both("escrow", comment, lambda: [*shares(), *kept(), *keys(), *combined()])
