"""Gets the keys of a version out of a vault with its recovery code, or with shares of its escrow, from spec/keys.md alone: with
strongroom_open.py beside it nobody needs our program to have their data back. Needs the Python packages `cryptography`, `blake3` and
`kyber-py`.

    python strongroom_recover.py --vault DIR --code-file FILE ls
    python strongroom_recover.py --vault DIR --code-file FILE keys VERSION_ID > KEYS.json
    python strongroom_recover.py --vault DIR --share-file FILE --share-file FILE ... ls

`ls` prints id, `workspace/artifact@vN` and the version object of each version. Nothing is written. A failure exits with 7, a code or
shares that do not open with 4.
"""

import argparse
import hashlib
import json
import pathlib
import sqlite3
import struct
import sys

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from kyber_py.ml_kem import ML_KEM_768

from strongroom_open import CHUNK, HEADER, TAG, Corrupt, check, decode, expand, hmac, lp

SUITES = {"default": 1, "nist": 2}
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CLASSES = ("public", "internal", "confidential", "restricted")
ENVIRONMENTS = ("dev", "staging", "prod")
# A sealed private half; the last millisecond of the year 9999.
SEALED, LATEST = HEADER + 2432 + TAG, 253_402_300_799_999


class Refused(Exception):
    """The code or the shares do not open; `why` in one word, and `about` which share, or how many there are."""

    def __init__(self, message, why="form", about=None):
        super().__init__(message)
        self.why, self.about = why, about


def typed(text, length, what):
    """So many bytes from groups of five letters and digits; every group has a check over GF(32)."""
    letters = "".join(text.upper().translate(str.maketrans({"O": "0", "I": "1", "L": "1", "-": None})).split())
    count = -(-8 * length // 20)
    if len(letters) != 5 * count or set(letters) - set(ALPHABET):
        raise Refused(f"a {what} has {count} groups of five letters and digits")
    bits = 0
    for place in range(count):
        *data, last = [ALPHABET.index(letter) for letter in letters[5 * place : 5 * place + 5]]
        found = 0
        for value in reversed(data):
            found = (found ^ value) << 1
            found = found ^ 0b100101 if found & 32 else found
        if found ^ (place + 1) % 32 != last:
            raise Refused(f"group {place + 1} of the {what} has a slip in it", "slip", place + 1)
        for value in data:
            bits = bits << 5 | value
    spare = 20 * count - 8 * length
    if bits & ((1 << spare) - 1):
        raise Refused(f"the {what} is none")
    return (bits >> spare).to_bytes(length, "big")


def code_secret(text):
    """The 32 bytes of a code."""
    return typed(text, 32, "recovery code")


class Share:
    """One share of an escrow's seed, and what it says it is of."""

    def __init__(self, text):
        if len(text.encode()) > 4096:
            raise Refused("the text of a share has at most 4096 bytes", "long")
        data = typed("\n".join(line for line in text.split("\n") if not line.strip().startswith("#")), 80, "share")
        if data[0] != 1:
            raise Refused(f"the share is of form {data[0]}", "version")
        if hashlib.sha256(lp(b"escrow/checksum", data[:76])).digest()[:4] != data[76:]:
            raise Refused("the checksum of the share does not hold", "checksum")
        self.vault, self.root, self.terms, self.value = data[1:17], data[17:33], data[33:43], data[44:76]
        self.generation, made, needed, count, self.index = struct.unpack(">H6sBBB", data[33:44])
        self.made, self.needed, self.count = int.from_bytes(made, "big"), needed, count
        if not (2 <= needed <= count <= 16 and 1 <= self.index <= count and self.generation and self.made <= LATEST):
            raise Refused("no share has such numbers")

    def commitment(self, suite):
        info = lp(b"escrow/share", number_of(suite), self.vault, self.root, self.terms[:2], self.terms[2:8], self.terms[8:] + bytes([self.index]))
        return expand(self.value, info, 32)


class Escrow:
    """What a vault keeps of an escrow, from the first of its parameters."""

    def __init__(self, suite, vault, root, kept):
        self.suite, self.vault, self.root = suite, vault, root
        check(isinstance(kept, list) and len(kept) == 6 and kept[0] == 1, "escrow")
        _, self.generation, self.made, self.needed, self.fingerprint, self.commitments = kept
        numbers, marks = (self.generation, self.made, self.needed), self.commitments
        check(all(isinstance(n, int) for n in numbers) and isinstance(marks, list), "escrow")
        check(all(isinstance(mark, bytes) and len(mark) == 32 for mark in marks), "commitments")
        check(isinstance(self.fingerprint, bytes) and len(self.fingerprint) == 16, "fingerprint")
        check(2 <= self.needed <= len(marks) <= 16 and 1 <= self.generation < 65536 and self.made <= LATEST, "numbers of an escrow")

    def admit(self, share):
        """Refuses a share that is not one of this escrow's as it was made."""
        refuse = lambda why: Refused(f"share {share.index}: {why}", why, share.index)
        if share.vault != self.vault:
            raise refuse("foreign")
        if share.root != self.root:
            raise refuse("outdated" if share.generation < self.generation else "unknown")
        terms = struct.pack(">H6sBB", self.generation, self.made.to_bytes(6, "big"), self.needed, len(self.commitments))
        if share.terms != terms or not hmac.compare_digest(share.commitment(self.suite), self.commitments[share.index - 1]):
            raise refuse("altered")

    def seed(self, shares):
        """From shares in any order."""
        for share in shares:
            self.admit(share)
        held = {}
        for share in shares:
            if share.index in held:
                raise Refused(f"share {share.index} is there twice", "duplicate", share.index)
            held[share.index] = share.value
        if len(held) < self.needed:
            raise Refused(f"{len(held)} of the {self.needed} shares that are needed", "too-few", len(held))
        seed = interpolated(dict(list(held.items())[: self.needed]))
        mark = expand(seed, lp(b"fingerprint", number_of(self.suite), self.vault, self.root), 16)
        if not hmac.compare_digest(mark, self.fingerprint):
            raise Refused("what the vault keeps of the escrow was altered", "seed")
        return seed


def times(a, b):
    """GF(256) with x^8 + x^4 + x^3 + x + 1."""
    out = 0
    while b:
        out ^= a if b & 1 else 0
        a, b = (a << 1) ^ (0x11B if a & 128 else 0), b >> 1
    return out


def interpolated(points):
    """f(0), byte by byte."""
    out = bytes(32)
    for x, value in points.items():
        factor = 1
        for other in points.keys() - {x}:
            inverse = next(n for n in range(1, 256) if times(n, other ^ x) == 1)
            factor = times(factor, times(other, inverse))
        out = bytes(a ^ times(factor, b) for a, b in zip(out, value))
    return out


def escrow_key(suite, vault, root, seed):
    return expand(seed, lp(b"root/escrow", number_of(suite), vault, root), 32)


def escrow_params(suite, vault, root, params):
    """The escrow and the sealed private half."""
    parts = decode(params)
    check(isinstance(parts, list) and len(parts) == 2 and isinstance(parts[1], bytes) and len(parts[1]) == SEALED, "parameters")
    return Escrow(suite, vault, root, parts[0]), parts[1]


def opened(key, context, message):
    """One message of format.md#chunked-encryption."""
    okm = expand(key, b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0" + message[:24] + context, 76)
    check(len(message) >= HEADER + TAG and hmac.compare_digest(okm[44:], message[24:HEADER]), "key commitment")
    nonce, body = int.from_bytes(okm[32:44], "big"), message[HEADER:]
    parts = [body[at : at + CHUNK + TAG] for at in range(0, len(body), CHUNK + TAG)]
    return b"".join(AESGCM(okm[:32]).decrypt((nonce ^ n).to_bytes(12, "big"), part, None) for n, part in enumerate(parts))


def x25519(scalar, point):
    """The shared secret and the own public key."""
    private = X25519PrivateKey.from_private_bytes(scalar)
    return private.exchange(X25519PublicKey.from_public_bytes(point)), private.public_key().public_bytes_raw()


def p256(scalar, point):
    """The same on P-256, whose points are uncompressed."""
    check(point[:1] == b"\4", "point")
    private = ec.derive_private_key(int.from_bytes(scalar, "big"), ec.SECP256R1())
    own = private.public_key().public_numbers()
    shared = private.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point))
    return shared, b"\4" + own.x.to_bytes(32, "big") + own.y.to_bytes(32, "big")


# KEM in HPKE's registry, its group, the length of a point, its label.
KEMS = {"default": (0x647A, x25519, 32, b"\\.//^\\"), "nist": (0x0050, p256, 65, b"MLKEM768-P256")}


def hpke_open(suite, private, info, sealed):
    """RFC 9180, mode base, single shot, the suite's KEM, with no associated data."""
    kem, group, length, label = KEMS[suite]
    ml_kem_ct, point, ct = sealed[:1088], sealed[1088 : 1088 + length], sealed[1088 + length :]
    shared, public = group(private[2400:], point)
    secret = hashlib.sha3_256(ML_KEM_768.decaps(private[:2400], ml_kem_ct) + shared + point + public + label).digest()
    suite = b"HPKE" + struct.pack(">HHH", kem, 1, 2)
    extract = lambda salt, label, ikm: hmac.new(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, hashlib.sha256).digest()
    labeled = lambda prk, label, context, n: expand(prk, struct.pack(">H", n) + b"HPKE-v1" + suite + label + context, n)
    context = b"\0" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", info)
    prk = extract(secret, b"secret", b"")
    return AESGCM(labeled(prk, b"key", context, 32)).decrypt(labeled(prk, b"base_nonce", context, 12), ct, b"")


def number_of(suite):
    return struct.pack(">H", SUITES[suite])


def wrap_context(label, vault, kind, wrap):
    domain = wrap["domain"] or {}
    raw = lambda name, of=wrap: bytes.fromhex(of.get(name) or "")
    number = lambda words, word: bytes([words.index(word)]) if word else b""
    return lp(label, number_of(wrap["suite"]), vault, bytes([kind]), raw("workspace", domain), number(ENVIRONMENTS, domain.get("environment")),
              number(CLASSES, domain.get("class")), raw("artifact"), raw("version"), raw("key"), raw("under"),
              struct.pack(">I", wrap["under_version"]))


class Vault:
    """A vault's folder, and the private half of its recovery key or of its escrow."""

    def __init__(self, folder, code=None, shares=()):
        file = json.loads((folder / "vault.json").read_text())
        self.vault = bytes.fromhex(file["vault"])
        self.database = sqlite3.connect(f"file:{folder / 'keeper.db'}?mode=ro", uri=True)
        self.suite = file["suite"]
        for self.root, key, sealed in self.escrowed(file, shares) if code is None else self.coded(file, code):
            try:
                context = lp(b"recovery/private", number_of(self.suite), self.vault, bytes.fromhex(self.root))
                self.private = opened(key, context, sealed)
                return
            except (Corrupt, InvalidTag):
                continue
        raise Refused("the code is of another vault, or was used already, or there is none" if code else "vault.json was altered")

    def coded(self, file, code):
        key = expand(code_secret(code), lp(b"root/recovery", number_of(self.suite), self.vault), 32)
        for entry in (root for root in file["roots"] if root["kind"] == "recovery"):
            yield entry["id"], key, bytes.fromhex(entry["params"])

    def escrowed(self, file, texts):
        """Of the escrow that the shares name; if there is none, another says what is wrong with them."""
        shares = [Share(text) for text in texts]
        entries = [root for root in file["roots"] if root["kind"] == "escrow"]
        if not entries:
            raise Refused("the vault has no escrow")
        named = [entry for entry in entries if any(share.root.hex() == entry["id"] for share in shares)]
        entry = (named or entries)[0]
        place = self.suite, self.vault, bytes.fromhex(entry["id"])
        escrow, sealed = escrow_params(*place, bytes.fromhex(entry["params"]))
        yield entry["id"], escrow_key(*place, escrow.seed(shares)), sealed

    def rows(self, table, tail="", *values):
        return [json.loads(body) for (body,) in self.database.execute(f"SELECT body FROM {table} {tail}", values)]

    def row(self, table, id_):
        found = self.rows(table, "WHERE id = ?", bytes.fromhex(id_))
        check(len(found) == 1, f"a row of {table}")
        return found[0]

    def versions(self):
        for version in self.rows("version", "ORDER BY id"):
            names = self.row("workspace", version["workspace"])["name"], self.row("artifact", version["artifact"])["name"]
            yield version["id"], f"{'/'.join(names)}@v{version['number']}", version["object"]

    def keys(self, version_id):
        """The list key and the map key of a version, each wrap opened where the version's row says that it stands."""
        version = self.row("version", version_id)
        (wrap,) = self.rows("wrap", "WHERE wrapped = ?", bytes.fromhex(version["key"]))
        place = {name: version[name] for name in ("workspace", "environment", "class")}
        belongs = [place, version_id, version["artifact"], version["suite"]]
        check([wrap[name] for name in ("domain", "version", "artifact", "suite")] == belongs, "wrap")
        wraps = self.rows("wrap", "WHERE wrapped = ?", bytes.fromhex(wrap["under"]))
        (outer,) = [other for other in wraps if other["under"] == self.root]
        # What is archived lies under the archive key of its domain.
        purpose, kind, label = ("archive", 10, b"wrap/archive") if version.get("archived") else ("domain", 1, b"wrap/domain")
        check(outer["purpose"] == purpose, "wrap")
        info = wrap_context(b"wrap/recovery", self.vault, kind, outer)
        above = hpke_open(self.suite, self.private, info, bytes.fromhex(outer["sealed"]))
        key = opened(above, wrap_context(label, self.vault, 2, wrap), bytes.fromhex(wrap["sealed"]))
        derive = lambda label: expand(key, lp(label, number_of(version["suite"]), self.vault, bytes.fromhex(version_id)), 32).hex()
        return {"list_key": derive(b"list-key"), "map_key": derive(b"map-key")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vault", type=pathlib.Path, required=True)
    secret = parser.add_mutually_exclusive_group(required=True)
    secret.add_argument("--code-file", type=pathlib.Path)
    secret.add_argument("--share-file", type=pathlib.Path, action="append", help="once for each share")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("ls")
    verbs.add_parser("keys").add_argument("version")
    args = parser.parse_args()
    try:
        if args.code_file:
            vault = Vault(args.vault, code=args.code_file.read_text())
        else:
            vault = Vault(args.vault, shares=[path.read_text() for path in args.share_file])
        if args.verb == "ls":
            for line in vault.versions():
                print(*line)
        else:
            print(json.dumps(vault.keys(args.version)))
    except Refused as error:
        print(f"refused: {error}", file=sys.stderr)
        sys.exit(4)
    except (Corrupt, InvalidTag, KeyError, ValueError) as error:
        print(f"not what was sealed: {error or 'tag'}", file=sys.stderr)
        sys.exit(7)


if __name__ == "__main__":
    main()
