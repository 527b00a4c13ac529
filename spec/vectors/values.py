"""Writes vectors/sealed_value.json: small values sealed under versions of named keys. `python spec/vectors/values.py`."""

import base64
import struct

from manifests_and_keys import VAULT, VERSION, flips, write_both
from reference import CHUNK, chunked_seal, lp, other_suite, seeded, suite_bytes, under

KEY, SALT = seeded("value key", 32), seeded("value salt", 24)
PLACE = dict(vault=VAULT, named=seeded("named key", 16), key_id=seeded("value key id", 16), number=3, workspace="app", name="config.db")
PAIRS = {"table": "users", "column": "iban", "row": "17"}


def context(place, pairs, label="value"):
    fields = [suite_bytes(), place["vault"], place["named"], place["key_id"], struct.pack(">I", place["number"]),
              place["workspace"].encode(), place["name"].encode()]
    return lp(label, *fields, *(part.encode() for pair in sorted(pairs.items()) for part in pair))


def sealed(value, place=PLACE, pairs=PAIRS, key=KEY, **more):
    return chunked_seal(key, context(place, pairs, **more), value, SALT)


def text(body, place=PLACE):
    coded = base64.urlsafe_b64encode(body).decode().rstrip("=")
    return f"strongroom:1:{place['vault'].hex()}:{place['workspace']}/{place['name']}:v{place['number']}:{coded}"


def values():
    value = b"postgres://app:horse@db/main"
    good = sealed(value)
    token = text(good)
    base = {"key": KEY, "place": PLACE, "pairs": PAIRS, "token": token, "value": value}
    case = lambda name, expect="error", **more: {"name": name, **base, **more, "expect": expect}
    yield case("a value", "ok")
    yield case("no context", "ok", pairs={}, token=text(sealed(value, pairs={})))
    yield case("the empty value", "ok", value=b"", token=text(sealed(b"")))
    yield case("one chunk exactly", "ok", value=bytes(CHUNK), token=text(sealed(bytes(CHUNK))))
    # Context, place, key.
    yield case("without its context", pairs={})
    yield case("another value of a pair", pairs=dict(PAIRS, row="18"))
    yield case("another name of a pair", pairs={"table": "users", "column": "iban", "raw": "17"})
    yield case("one pair more", pairs=dict(PAIRS, x=""))
    yield case("one pair less", pairs={"table": "users", "column": "iban"})
    yield case("two values that changed places", pairs=dict(PAIRS, table="iban", column="users"))
    yield case("a byte moved from a value to its name", pairs={"table": "users", "column": "iban", "row1": "7"})
    yield case("another key", key=seeded("other", 32))
    for field, other in dict(vault=VERSION, named=VERSION, key_id=VERSION, number=4, workspace="ap", name="config.dc").items():
        place = dict(PLACE, **{field: other})
        yield case(f"another {field}", place=place)
        # The text renamed to fit.
        yield case(f"another {field}, and a token that says so", place=place, token=text(good, place))
    yield case("sealed under another label", token=text(sealed(value, label="field")))
    with under(other_suite()):
        unlike = sealed(value)
    yield case("sealed for the other suite", token=text(unlike))
    for name, flipped in flips(good, (0, 23, 24, 55, 56, len(good) - 17, len(good) - 16, len(good) - 1)):
        yield case(name, token=text(flipped))
    yield case("cut by a byte", token=text(good[:-1]))
    yield case("a byte more", token=text(good + b"\0"))
    yield case("a header alone", token=text(good[:56]))
    # The text.
    yield case("empty", token="")
    yield case("another version of the form", token=token.replace(":1:", ":2:", 1))
    yield case("another head", token=token.replace("strongroom", "vault", 1))
    yield case("capitals in the vault", token=token.replace(VAULT.hex(), VAULT.hex().upper()))
    yield case("a vault of 31 digits", token=token.replace(VAULT.hex(), VAULT.hex()[1:]))
    yield case("a zero before the version", token=token.replace(":v3:", ":v03:"))
    yield case("no v", token=token.replace(":v3:", ":3:"))
    yield case("version 0", token=token.replace(":v3:", ":v0:"))
    yield case("a version that no number holds", token=token.replace(":v3:", ":v4294967296:"))
    yield case("a plus before the version", token=token.replace(":v3:", ":v+3:"))
    yield case("no workspace", token=token.replace("app/", ""))
    yield case("an empty workspace", token=token.replace("app/", "/"))
    yield case("two slashes", token=token.replace("app/", "app/x/"))
    yield case("a blank in a name", token=token.replace("app/", "a p/"))
    yield case("padding", token=token + "=")
    yield case("a line end", token=token + "\n")
    yield case("the other alphabet", token=token.rsplit(":", 1)[0] + ":" + base64.b64encode(b"\xff" * 100).decode().rstrip("="))
    yield case("one part more", token=token + ":")
    yield case("one part less", token=token.rsplit(":", 1)[0])
    yield case("nothing sealed", token=token.rsplit(":", 1)[0] + ":")


if __name__ == "__main__":
    write_both("sealed_value", "a key, its place, a context and the token of a value; error: refused", lambda: list(values()))
