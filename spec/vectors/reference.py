"""A second implementation of the sealed format, written from spec/ alone: it makes the vectors and shares no code with the crates.

Needs the Python packages `cryptography` and `blake3`, and `kyber-py` for the vectors of the KEMs.

What differs between the suites is done for the one that `under` chose last.
"""

import contextlib
import hashlib
import hmac
import struct

from blake3 import blake3
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

LEAF, NODE = "strongroom/v1/tree-leaf", "strongroom/v1/tree-node"

CHUNK, TAG, HEADER, GROUP_CHUNKS = 16384, 16, 56, 4
SUITES = (1, 2)
_suite = 1


def suite():
    """The number of the suite in use."""
    return _suite


def suite_bytes():
    return struct.pack(">H", _suite)


def other_suite():
    return 3 - _suite


@contextlib.contextmanager
def under(number):
    global _suite
    before, _suite = _suite, number
    try:
        yield
    finally:
        _suite = before


def seeded(name, length):
    """Bytes that are always the same, so that the vectors are."""
    return hashlib.shake_256(b"strongroom vectors " + name.encode()).digest(length)


def cbor(value):
    def head(major, n):
        for info, limit, fmt in ((24, 1 << 8, ">B"), (25, 1 << 16, ">H"), (26, 1 << 32, ">I"), (27, 1 << 64, ">Q")):
            if n < 24:
                return bytes([major << 5 | n])
            if n < limit:
                return bytes([major << 5 | info]) + struct.pack(fmt, n)
        raise ValueError(n)

    if value is None:
        return b"\xf6"
    if isinstance(value, int):
        return head(0, value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, Raw):
        return value.bytes
    return head(4, len(value)) + b"".join(map(cbor, value))


class Raw:
    """Bytes that are CBOR already, or are meant to be wrong."""

    def __init__(self, encoded):
        self.bytes = encoded


def lp(label, *fields):
    return b"".join(struct.pack(">H", len(f)) + f for f in (b"strongroom/v1/" + label.encode(), *fields))


def expand(key, info, length):
    out, block, i = b"", b"", 1
    while len(out) < length:
        block = hmac.new(key, block + info + bytes([i]), hashlib.sha256).digest()
        out, i = out + block, i + 1
    return out[:length]


def chunked_seal(key, context, plaintext, salt):
    okm = expand(key, b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0" + salt + context, 32 + 12 + 32)
    aead, base, commitment = AESGCM(okm[:32]), int.from_bytes(okm[32:44], "big"), okm[44:]
    out = salt + commitment
    for index in range(len(plaintext) // CHUNK + 1):
        chunk = plaintext[index * CHUNK : (index + 1) * CHUNK]
        out += aead.encrypt((base ^ index).to_bytes(12, "big"), chunk, None)
    return out


def leaf(group):
    return blake3(group, derive_key_context=LEAF).digest() if _suite == 1 else hashlib.sha256(b"\0" + group).digest()


def node(left, right):
    both = left + right
    return blake3(both, derive_key_context=NODE).digest() if _suite == 1 else hashlib.sha256(b"\1" + both).digest()


def root(digests):
    if not digests:
        return (blake3 if _suite == 1 else hashlib.sha256)(b"").digest()
    if len(digests) == 1:
        return digests[0]
    split = 1
    while split * 2 < len(digests):
        split *= 2
    return node(root(digests[:split]), root(digests[split:]))


def groups(message):
    """Four chunks each; the header belongs to the first."""
    step = GROUP_CHUNKS * (CHUNK + TAG)
    cuts = [0, *range(HEADER + step, len(message), step), len(message)]
    return [message[a:b] for a, b in zip(cuts, cuts[1:])]


def stream_seal(key, context, plaintext, salt):
    """A segment, list or map: message || tops || leaves, and its digest."""
    message = chunked_seal(key, context, plaintext, salt)
    leaves = [leaf(group) for group in groups(message)]
    tops = [root(leaves[i : i + 256]) for i in range(0, len(leaves), 256)]
    return message + b"".join(tops) + b"".join(leaves), root(tops)


def tree_digest(data):
    return root([leaf(data[i : i + 65536]) for i in range(0, len(data), 65536)])


def padme(length):
    if length < 2:
        return length
    e = length.bit_length() - 1
    s = e.bit_length()
    mask = (1 << max(e - s, 0)) - 1
    return (length + mask) & ~mask


def blocks(items, per_block, fanout):
    """Blocks and index over (key, encoded item); answers content, (entries, root offset, root length, depth)."""
    content, level = b"", []
    cut = [items[i : i + per_block] for i in range(0, len(items), per_block)] or [[]]
    ordinal = 0
    for block in cut:
        encoded = cbor([Raw(item) for _, item in block])
        level.append((block[0][0] if block else b"", ordinal, len(content), len(encoded)))
        content, ordinal = content + encoded, ordinal + len(block)
    depth = 0
    while len(level) > 1:
        above = []
        for i in range(0, len(level), fanout):
            children = level[i : i + fanout]
            encoded = cbor([list(child) for child in children])
            above.append((children[0][0], children[0][1], len(content), len(encoded)))
            content += encoded
        level, depth = above, depth + 1
    return content, (len(items), level[0][2], level[0][3], depth)


def footer(magic, tree, total, packs=(0, 0)):
    entries, offset, length, depth = tree
    fields = struct.pack(">8sQQQQIIB", magic, entries, offset, total, packs[0], length, packs[1], depth)
    return fields.ljust(64, b"\0")


def manifest(content, foot, pad):
    length = len(content) + 64
    return content + b"\0" * ((padme(length) if pad else length) - length) + foot


def stored_len(plaintext_len):
    n = plaintext_len // 65536 + 1
    return HEADER + plaintext_len + (plaintext_len // CHUNK + 1) * TAG + 32 * (n + (n + 255) // 256)


def sign(seed, message):
    return Ed25519PrivateKey.from_private_bytes(seed).sign(message)


def public(seed):
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class X25519:
    """The group of X-Wing. A scalar is its seed."""

    kem, label, seed_len = 0x647A, b"\\.//^\\", 32

    @staticmethod
    def scalar(seed):
        return seed

    @staticmethod
    def public(scalar):
        return X25519PrivateKey.from_private_bytes(scalar).public_key().public_bytes_raw()

    @staticmethod
    def exchange(scalar, point):
        return X25519PrivateKey.from_private_bytes(scalar).exchange(X25519PublicKey.from_public_bytes(point))


class P256:
    """The group of MLKEM768-P256: points uncompressed, the shared secret is an x coordinate."""

    kem, label, seed_len = 0x0050, b"MLKEM768-P256", 128

    @staticmethod
    def scalar(seed):
        parts = [seed[i : i + 32] for i in range(0, len(seed), 32)]
        return next(part for part in parts if 0 < int.from_bytes(part, "big") < P256_ORDER)

    @staticmethod
    def private(scalar):
        return ec.derive_private_key(int.from_bytes(scalar, "big"), ec.SECP256R1())

    @staticmethod
    def public(scalar):
        numbers = P256.private(scalar).public_key().public_numbers()
        return b"\4" + numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")

    @staticmethod
    def exchange(scalar, point):
        return P256.private(scalar).exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point))


def group():
    return X25519 if _suite == 1 else P256


def kem_key(seed):
    """Expanded key pair of the suite's KEM: ML-KEM secret, scalar of the group, public key."""
    from kyber_py.ml_kem import ML_KEM_768

    expanded = hashlib.shake_256(seed).digest(64 + group().seed_len)
    ek, dk = ML_KEM_768.key_derive(expanded[:64])
    scalar = group().scalar(expanded[64:])
    return dk, scalar, ek + group().public(scalar)


def kem_combine(ss_m, ss_t, ct_t, pk_t):
    return hashlib.sha3_256(ss_m + ss_t + ct_t + pk_t + group().label).digest()


def kem_encapsulate(pk, eseed):
    from kyber_py.ml_kem import ML_KEM_768

    ss_m, ct_m = ML_KEM_768._encaps_internal(pk[:1184], eseed[:32])
    scalar = group().scalar(eseed[32:])
    ct_t = group().public(scalar)
    return kem_combine(ss_m, group().exchange(scalar, pk[1184:]), ct_t, pk[1184:]), ct_m + ct_t


def hpke_seal(pk, eseed, info, aad, plaintext):
    ss, enc = kem_encapsulate(pk, eseed)
    suite = b"HPKE" + struct.pack(">HHH", group().kem, 1, 2)

    def extract(salt, label, ikm):
        return hmac.new(salt or b"\0" * 32, b"HPKE-v1" + suite + label + ikm, hashlib.sha256).digest()

    def labeled(prk, label, context, length):
        return expand(prk, struct.pack(">H", length) + b"HPKE-v1" + suite + label + context, length)

    context = b"\0" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", info)
    secret = extract(ss, b"secret", b"")
    key, nonce = labeled(secret, b"key", context, 32), labeled(secret, b"base_nonce", context, 12)
    return enc, AESGCM(key).encrypt(nonce, plaintext, aad)
