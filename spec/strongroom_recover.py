"""Gets the keys of a version out of a vault with its recovery code, from spec/keys.md alone: with strongroom_open.py beside it nobody
needs our program to have their data back. Needs the Python packages `cryptography`, `blake3` and `kyber-py`.

    python strongroom_recover.py --vault DIR --code-file FILE ls
    python strongroom_recover.py --vault DIR --code-file FILE keys VERSION_ID > KEYS.json

`ls` prints id, `workspace/artifact@vN` and the version object of each version. Nothing is written. A failure exits with 7, a code that
does not open with 4.
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

from strongroom_open import CHUNK, HEADER, TAG, Corrupt, check, expand, hmac, lp

SUITES = {"default": 1, "nist": 2}
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CLASSES = ("public", "internal", "confidential", "restricted")
ENVIRONMENTS = ("dev", "staging", "prod")


class Refused(Exception):
    """The code does not open."""


def code_secret(text):
    """The 32 bytes of a code; every group of five has a check over GF(32)."""
    letters = text.upper().translate(str.maketrans({"O": "0", "I": "1", "L": "1", "-": None})).split()
    letters = "".join(letters)
    if len(letters) != 65 or set(letters) - set(ALPHABET):
        raise Refused("a recovery code has 13 groups of five letters and digits")
    bits = 0
    for place in range(13):
        *data, last = [ALPHABET.index(letter) for letter in letters[5 * place : 5 * place + 5]]
        found = 0
        for value in reversed(data):
            found = (found ^ value) << 1
            found = found ^ 0b100101 if found & 32 else found
        if found ^ (place + 1) != last:
            raise Refused(f"group {place + 1} of the code has a slip in it")
        for value in data:
            bits = bits << 5 | value
    if bits & 15:
        raise Refused("the code is none")
    return (bits >> 4).to_bytes(32, "big")


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
    """A vault's folder, and the private half of its recovery key."""

    def __init__(self, folder, text):
        file = json.loads((folder / "vault.json").read_text())
        self.vault = bytes.fromhex(file["vault"])
        self.database = sqlite3.connect(f"file:{folder / 'keeper.db'}?mode=ro", uri=True)
        self.suite = file["suite"]
        key = expand(code_secret(text), lp(b"root/recovery", number_of(self.suite), self.vault), 32)
        for entry in (root for root in file["roots"] if root["kind"] == "recovery"):
            try:
                self.root = entry["id"]
                context = lp(b"recovery/private", number_of(self.suite), self.vault, bytes.fromhex(self.root))
                self.private = opened(key, context, bytes.fromhex(entry["params"]))
                return
            except (Corrupt, InvalidTag):
                continue
        raise Refused("the code is of another vault, or was used already, or there is none")

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
        info = wrap_context(b"wrap/recovery", self.vault, 1, outer)
        domain = hpke_open(self.suite, self.private, info, bytes.fromhex(outer["sealed"]))
        key = opened(domain, wrap_context(b"wrap/domain", self.vault, 2, wrap), bytes.fromhex(wrap["sealed"]))
        derive = lambda label: expand(key, lp(label, number_of(version["suite"]), self.vault, bytes.fromhex(version_id)), 32).hex()
        return {"list_key": derive(b"list-key"), "map_key": derive(b"map-key")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vault", type=pathlib.Path, required=True)
    parser.add_argument("--code-file", type=pathlib.Path, required=True)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("ls")
    verbs.add_parser("keys").add_argument("version")
    args = parser.parse_args()
    try:
        vault = Vault(args.vault, args.code_file.read_text())
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
