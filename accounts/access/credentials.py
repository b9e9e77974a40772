"""The text of an API key, `ibk_<id>_<secret>`: made, taken apart, compared. Pure.

The secret is 256 bits of randomness, so that its plain SHA-256 tells nothing of it: a slow hash makes guessing dear
where there is something to guess, and would cost every request its time here.
"""

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

ID_BYTES, SECRET_BYTES = 8, 32
WELL_FORMED = re.compile(r"ibk_([a-z2-7]{13})_([a-z2-7]{52})")


@dataclass(frozen=True, slots=True)
class Credential:
    """A public id, which may be shown and logged, and the secret, which may not."""

    key_id: str
    secret: str

    def __repr__(self) -> str:
        return f"Credential({self.key_id!r}, …)"  # tracebacks and logs show this

    @property
    def text(self) -> str:
        return f"ibk_{self.key_id}_{self.secret}"

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.secret.encode()).hexdigest()

    def matches(self, digest: str) -> bool:
        """Compared in constant time; an empty digest matches nothing."""
        return hmac.compare_digest(self.digest, digest)


def new(key_id: str = "") -> Credential:
    """A new secret, for a new id unless one is given."""
    return Credential(key_id or _random(ID_BYTES), _random(SECRET_BYTES))


def parse(text: str) -> Credential | None:
    """What a client sent; None where it cannot be one of ours."""
    found = WELL_FORMED.fullmatch(text)
    return Credential(*found.groups()) if found else None


def _random(size: int) -> str:
    """Base 32: one word to a double click, and nothing to escape anywhere."""
    return base64.b32encode(secrets.token_bytes(size)).decode().rstrip("=").lower()
