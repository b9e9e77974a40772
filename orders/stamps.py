"""Our mark in IB's orderRef: `<the client's reference>~<stamp>`.

orderRef is the only text that comes back with open orders, completed orders and executions alike, so the stamp is how
we know our orders again after anything. 64 random bits in base32 (RFC 4648 alphabet): 13 characters.
"""

import base64
import secrets

MARK = "~"
LENGTH = 13
# IB publishes no limit for orderRef. 40 characters are in common use, so that is what we send; a longer reference is
# cut on the wire only, and read back from our own row.
WIRE_LENGTH = 40
# Separators in IB's own order presets and algo strings.
_SAFE_ON_THE_WIRE = str.maketrans({";": "_", "=": "_"})
_ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")


def new_stamp() -> str:
    return base64.b32encode(secrets.token_bytes(8)).decode().rstrip("=")


def stamped(reference: str, stamp: str) -> str:
    """The orderRef to send."""
    room = WIRE_LENGTH - len(MARK) - LENGTH
    return f"{reference[:room].translate(_SAFE_ON_THE_WIRE)}{MARK}{stamp}"


def split(order_ref: str) -> tuple[str, str | None]:
    """The client's reference and our stamp; no stamp when the text was not written by us."""
    reference, mark, stamp = order_ref.rpartition(MARK)
    if mark and len(stamp) == LENGTH and set(stamp) <= _ALPHABET:
        return reference, stamp
    return order_ref, None
