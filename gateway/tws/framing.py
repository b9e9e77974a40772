"""Frames: a length of four bytes, most significant first, then as many bytes of text.

Rules: a frame's fields are each ended by NUL, the last one too; only the client's version offer has none. Clients send
UTF-8, gateways ASCII with \\uXXXX for the rest, which clients turn back in long names only, so reading leaves those
escapes alone. What breaks these rules raises RemoteProtocolError: after it nothing that follows can be trusted.
"""

import struct
from collections.abc import Sequence
from typing import Final

from gateway.tws.errors import RemoteProtocolError

LENGTH: Final = struct.Struct(">I")
MAX_FRAME: Final = 0xFFFFFF  # IB's own clients give up (507) beyond it


class FrameBuffer:
    """Collects bytes as they come and gives out whole payloads. Refuses a long frame by its length alone."""

    def __init__(self, *, max_frame: int = MAX_FRAME) -> None:
        self.max_frame = max_frame
        self._bytes = bytearray()

    def feed(self, data: bytes) -> None:
        self._bytes += data

    def __len__(self) -> int:
        return len(self._bytes)

    def take_prefix(self, prefix: bytes) -> bool:
        """Take these bytes from the front; False while they have not all come.

        Raises: RemoteProtocolError as soon as something else came.
        """
        begun = self._bytes[: len(prefix)]
        if begun != prefix[: len(begun)]:
            raise RemoteProtocolError(f"expected {prefix!r}, got {bytes(begun)!r}")
        if len(begun) < len(prefix):
            return False
        del self._bytes[: len(prefix)]
        return True

    def take_payload(self) -> bytes | None:
        """The next frame without its length, or None while it is incomplete."""
        if len(self._bytes) < LENGTH.size:
            return None
        (length,) = LENGTH.unpack_from(self._bytes)
        if not 0 < length <= self.max_frame:
            raise RemoteProtocolError(f"frame of {length} bytes, allowed are 1 to {self.max_frame}")
        end = LENGTH.size + length
        if len(self._bytes) < end:
            return None
        payload = bytes(self._bytes[LENGTH.size : end])
        del self._bytes[:end]
        return payload


def split_fields(payload: bytes) -> tuple[str, ...]:
    """The fields of a payload, without the empty rest after the last NUL."""
    if not payload.endswith(b"\0"):
        raise RemoteProtocolError("the frame does not end with NUL")
    try:
        text = payload.decode()
    except UnicodeDecodeError as error:
        raise RemoteProtocolError(f"the frame is not UTF-8: {error.reason} at byte {error.start}") from None
    return tuple(text[:-1].split("\0"))


def pack_fields(fields: Sequence[str]) -> bytes:
    """One frame of these fields. A NUL inside a field is our own mistake and raises ValueError."""
    text = "\0".join(fields) + "\0"
    if not fields or text.count("\0") != len(fields):
        raise ValueError("a frame has at least one field, and no field holds a NUL")
    return pack_payload(escape(text).encode("ascii"))


def pack_payload(payload: bytes) -> bytes:
    return LENGTH.pack(len(payload)) + payload


def escape(text: str) -> str:
    """ASCII with \\uXXXX, and a pair of them beyond the basic plane, as Java counts characters."""
    if text.isascii():
        return text
    units = text.encode("utf-16-be", "surrogatepass")
    codes = (units[i] << 8 | units[i + 1] for i in range(0, len(units), 2))
    return "".join(chr(code) if code < 128 else f"\\u{code:04x}" for code in codes)
