"""Writes vectors/recovery.json: codes, private halves and keys sealed for recovery. `python spec/vectors/recovery.py`."""

from manifests_and_keys import CONTEXT, VAULT, VERSION, flips, wrap_context, write_both
from reference import chunked_seal, expand, group, hpke_seal, kem_key, lp, other_suite, seeded, suite, suite_bytes, under

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
SECRET, ROOT = seeded("recovery secret", 32), seeded("recovery root", 16)


def times(a, b):
    """GF(32) with x^5 + x^2 + 1."""
    out = 0
    while b:
        out ^= a if b & 1 else 0
        a, b = (a << 1) ^ (0b100101 if a & 16 else 0), b >> 1
    return out


def check(place, data):
    out, power = (place + 1) % 32, 1
    for value in data:
        power = times(power, 2)
        out ^= times(power, value)
    return out


def groups(data, spare=0):
    count = -(-8 * len(data) // 20)
    bits = int.from_bytes(data, "big") << (20 * count - 8 * len(data)) | spare
    values = [bits >> (20 * count - 5 - 5 * n) & 31 for n in range(4 * count)]
    parts = [values[4 * place : 4 * place + 4] for place in range(count)]
    return ["".join(ALPHABET[v] for v in [*part, check(place, part)]) for place, part in enumerate(parts)]


def code_key():
    return expand(SECRET, lp("root/recovery", suite_bytes(), VAULT), 32)


def codes():
    key = code_key()
    parts = groups(SECRET)
    text = "-".join(parts)
    base = {"do": "code", "vault": VAULT, "key": key}
    case = lambda name, code, expect="error", **more: {"name": name, **base, "text": code, **more, "expect": expect}
    yield case("a code", text, "ok")
    yield case("small letters, blanks and lines", " ".join(parts[:6]).lower() + "\n" + "".join(parts[6:]) + "\n", "ok")
    yield case("O for 0, l and i for 1", text.replace("0", "o").replace("1", "l", 1).replace("1", "i"), "ok")
    yield case("of another vault", text, vault=VERSION)
    yield case("of the other suite", text, suite=other_suite())
    yield case("of another secret", "-".join(groups(seeded("other", 32))))
    yield case("a group is missing", "-".join(parts[:-1]))
    yield case("a group too many", text + "-" + parts[0])
    yield case("a character too many", text + "0")
    yield case("a letter that no code has", "U" + text[1:])
    yield case("two groups that changed places", "-".join([parts[1], parts[0], *parts[2:]]))
    yield case("the spare bits are not zero", "-".join(groups(SECRET, spare=1)))
    yield case("empty", "")
    yield case("long", text + " " * 300)
    for place in (0, 6, 12):
        for at in range(5):
            other = ALPHABET[(ALPHABET.index(parts[place][at]) + 9) % 32]
            changed = parts[place][:at] + other + parts[place][at + 1 :]
            yield case(f"character {at} of group {place} is another", "-".join([*parts[:place], changed, *parts[place + 1 :]]))
    swapped = next(n for n, part in enumerate(parts) if part[0] != part[1])
    changed = parts[swapped][1] + parts[swapped][0] + parts[swapped][2:]
    yield case("two characters that changed places", "-".join([*parts[:swapped], changed, *parts[swapped + 1 :]]))


def sealed():
    key = code_key()
    dk, scalar, public = kem_key(seeded("recovery pair", 32))
    private, salt = dk + scalar, seeded("private salt", 24)
    make = lambda plain=private, label="recovery/private", vault=VAULT, root=ROOT: chunked_seal(
        key, lp(label, suite_bytes(), vault, root), plain, salt)
    base = {"do": "private", "key": key, "vault": VAULT, "root": ROOT, "sealed": make(), "public": public}
    case = lambda name, **more: {"name": f"private half, {name}", **base, "expect": "error", **more}
    yield case("as it is", expect="ok")
    yield case("another key", key=seeded("other", 32))
    yield case("another vault", vault=VERSION)
    yield case("another root", root=VERSION)
    yield case("another label", sealed=make(label="segment"))
    yield case("cut", sealed=make()[:-1])
    yield case("of 2431 bytes", sealed=make(private[:-1]))
    if suite() == 2:
        yield case("a scalar of zero", sealed=make(dk + bytes(32)))
        yield case("a scalar beyond the order", sealed=make(dk + b"\xff" * 32))
    with under(other_suite()):
        unlike = make()
    yield case("of the other suite", sealed=unlike)
    for name, flipped in flips(make(), (0, 24, 56, 2000, len(make()) - 1)):
        yield case(name, sealed=flipped)
    bare = dict(CONTEXT, kind=1, artifact=None, version=None)
    row = dict(CONTEXT, kind=7, workspace=None, environment=None, **{"class": None}, artifact=None, version=None)
    secret = seeded("recovered", 32)

    def wrap(context, plain=secret, label="wrap/recovery", aad=b""):
        enc, ct = hpke_seal(public, seeded("encapsulation", 32 + group().seed_len), wrap_context(label, context), aad, plain)
        return enc + ct

    def unlike():
        """A key of the other suite, sealed to this one's recovery key."""
        with under(other_suite()):
            info = wrap_context("wrap/recovery", bare)
        enc, ct = hpke_seal(public, seeded("encapsulation", 32 + group().seed_len), info, b"", secret)
        return enc + ct

    base = {"do": "wrap", "private": private, "context": bare, "sealed": wrap(bare), "secret": secret}
    case = lambda name, **more: {"name": f"sealed key, {name}", **base, "expect": "error", **more}
    yield case("of a domain", expect="ok")
    yield case("of the other suite", sealed=unlike(), wrapped=other_suite(), expect="ok")
    yield case("of the other suite, opened as this one's", sealed=unlike())
    yield case("opened as the other suite's", wrapped=other_suite())
    yield case("of row MACs", context=row, sealed=wrap(row), expect="ok")
    for field, value in dict(vault=VERSION, workspace=VERSION, environment=1, key_id=VERSION, wrapping_key_id=VERSION,
                             wrapping_key_version=9, **{"class": 1}).items():
        yield case(f"another {field}", context=dict(bare, **{field: value}))
    yield case("as if under a root", sealed=wrap(bare, label="wrap/root"))
    yield case("with associated data", sealed=wrap(bare, aad=b"x"))
    yield case("of 31 bytes", sealed=wrap(bare, secret[:31]))
    yield case("cut", sealed=wrap(bare)[:-1])
    yield case("empty", sealed=b"")
    enc_len = 1088 + len(public) - 1184
    for name, flipped in flips(wrap(bare), (0, 1087, 1088, enc_len - 1, enc_len, enc_len + 47)):
        yield case(name, sealed=flipped)


if __name__ == "__main__":
    comment = "codes, private halves and keys sealed for recovery; `wrapped` is the suite of the sealed key; error: refused, or not this"
    write_both("recovery", comment, lambda: [*codes(), *sealed()])
