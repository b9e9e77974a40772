"""Signed checkpoints, in the text formats of C2SP: signed-note and tlog-checkpoint, with Ed25519. Pure.

A checkpoint says how long a chain is, its Merkle root and the hash of its last entry:

    <origin>/<chain>
    <size>
    <root, base64>
    head <hash of the last entry, hex>
    time <when it was signed>

    — <origin> <base64 of key id and signature>

Rules: what was signed is the text up to and with the line end before the empty line. A text that is not spelled exactly
so is refused. The name of a key is the origin of its checkpoints; its id is derived from name and key.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519 = b"\x01"  # the signature type of C2SP
DASH = "\N{EM DASH}"
NAME = re.compile(r"[A-Za-z0-9._/:-]+")
HASH = re.compile(r"[0-9a-f]{64}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
# In a file of checkpoints one follows the other, each with its signatures and an empty line.
ONE = re.compile(rf"(?:[^\n]+\n)+\n(?:{DASH} [^\n]+\n)+")


class BadNote(ValueError):
    """A text that is no checkpoint, or whose signature is not by the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a chain was: `size` entries, the last with hash `head`, all under the Merkle root `root`."""

    origin: str
    chain: str
    size: int
    root: bytes
    head: str
    time: str

    def text(self) -> str:
        return (
            "\n".join(
                (
                    f"{self.origin}/{self.chain}",
                    str(self.size),
                    _base64(self.root),
                    f"head {self.head}",
                    f"time {self.time}",
                )
            )
            + "\n"
        )


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key with its name."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{_base64(ED25519 + self.public)}"

    @classmethod
    def parse(cls, text: str) -> "Verifier":
        """The key of one line `name+id+base64`. Raises: BadNote."""
        key = cls(*_key_parts(text, text.split("+", 2)))
        if str(key) != text:
            raise BadNote(f"the id of this key is not its own: {text}")
        return key

    def verify(self, signed: str) -> Checkpoint:
        """The checkpoint of a note that this key signed. Raises: BadNote."""
        text, _, signatures = signed.partition("\n\n")
        *lines, end = signatures.split("\n")
        if end:
            raise BadNote("the last line has no end")
        for line in lines:
            if line.startswith(f"{DASH} {self.name} "):
                blob = _bytes(line.rpartition(" ")[2])
                if blob[:4] == self.key_id:
                    return self._checked(text + "\n", blob[4:])
        raise BadNote(f"not signed by {self.name}+{self.key_id.hex()}")

    def _checked(self, text: str, signature: bytes) -> Checkpoint:
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
        except InvalidSignature:
            raise BadNote("the signature does not fit the text") from None
        return _parsed(text, self.name)


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key with its name; its text form is that of Go's note package."""

    name: str
    seed: bytes

    @classmethod
    def generate(cls, name: str) -> "Signer":
        if not NAME.fullmatch(name):
            raise BadNote(f"{name!r} cannot name a key: letters, digits and ._/:- only")
        return cls(name, Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def parse(cls, text: str) -> "Signer":
        """The key of one line `PRIVATE+KEY+name+id+base64`. Raises: BadNote."""
        if not text.startswith("PRIVATE+KEY+"):
            raise BadNote("this is no private key of checkpoints")
        key = cls(*_key_parts("the private key", text.split("+", 4)[2:]))
        if str(key) != text:
            raise BadNote("the id of the private key is not its own")
        return key

    def __str__(self) -> str:
        return f"PRIVATE+KEY+{self.name}+{self.verifier.key_id.hex()}+{_base64(ED25519 + self.seed)}"

    def __repr__(self) -> str:
        return f"Signer({self.name!r})"  # a secret has no place in a traceback

    @property
    def verifier(self) -> Verifier:
        return Verifier(self.name, Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw())

    def sign(self, checkpoint: Checkpoint) -> str:
        """The note."""
        text = checkpoint.text()
        signature = Ed25519PrivateKey.from_private_bytes(self.seed).sign(text.encode())
        return f"{text}\n{DASH} {self.name} {_base64(self.verifier.key_id + signature)}\n"


def split(text: str) -> list[str]:
    """What looks like a note in a file of notes, in its order; one that was not written to its end may be left out."""
    return ONE.findall(text)


def _parsed(text: str, origin: str) -> Checkpoint:
    lines = text[:-1].split("\n")
    if len(lines) != 5 or not lines[0].startswith(f"{origin}/"):
        raise BadNote("the signed text is no checkpoint of ours")
    first, size, root, head, time = lines
    head, time = head.removeprefix("head "), time.removeprefix("time ")
    if not (size.isascii() and size.isdigit() and HASH.fullmatch(head) and TIME.fullmatch(time)):
        raise BadNote("the signed text is no checkpoint of ours")
    checkpoint = Checkpoint(
        origin=origin, chain=first.removeprefix(f"{origin}/"), size=int(size), root=_bytes(root), head=head, time=time
    )
    if checkpoint.text() != text:
        raise BadNote("the checkpoint is not spelled as it should be")
    return checkpoint


def _key_parts(what: str, parts: list[str]) -> tuple[str, bytes]:
    if len(parts) != 3 or not NAME.fullmatch(parts[0]):
        raise BadNote(f"this is no key: {what}")
    key = _bytes(parts[2])
    if len(key) != 33 or key[:1] != ED25519:
        raise BadNote(f"only Ed25519 keys are known: {what}")
    return parts[0], key[1:]


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _bytes(text: str) -> bytes:
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadNote(f"this is no base64: {text}") from None
    if _base64(value) != text:  # unused bits of the last character
        raise BadNote(f"this is no base64: {text}")
    return value
