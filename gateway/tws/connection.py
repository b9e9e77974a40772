"""The gateway's end of one connection, without the socket.

Rules: bytes that came go into `receive_data`; messages come out of `next_message`, or NEED_DATA when the next one is
not complete; bytes that must go out are in `data_to_send`, after every call that may have made some. Nothing here
waits, reads a clock or opens anything. The order of events is fixed:

    AWAIT_PREFIX    `API` and a NUL
    AWAIT_VERSIONS  the client's offer, `v157..178` and perhaps options; the answer goes into `data_to_send`
    AWAIT_START     startApi, and nothing else; the gateway is silent too
    OPEN            every message
    FAILED          RemoteProtocolError was raised: write what `data_to_send` still holds, then close

UnreadableMessage and UnknownMessage leave an open connection open: answer 320 or 505 and go on.
"""

import re
from enum import Enum, auto
from typing import Final, Literal

from gateway.tws.codec import MAX_VERSION, MIN_VERSION, decode_request, encode
from gateway.tws.errors import RemoteProtocolError, UnknownMessage, UnreadableMessage
from gateway.tws.framing import FrameBuffer, pack_fields, split_fields
from gateway.tws.messages import ErrorMessage, Message, Response, StartApi

PREFIX: Final = b"API\0"
MAX_REQUEST: Final = 1 << 20  # far beyond any request; a client cannot make us hold more
UNSUPPORTED_VERSION: Final = 506

_OFFER = re.compile(rb"v([0-9]{1,5})(?:\.\.([0-9]{1,5}))?(?: ([\x20-\x7e]*))?")


class State(Enum):
    AWAIT_PREFIX = auto()
    AWAIT_VERSIONS = auto()
    AWAIT_START = auto()
    OPEN = auto()
    FAILED = auto()


class NeedData(Enum):
    """The type of NEED_DATA, so that a type checker can tell it from a message."""

    NEED_DATA = auto()


NEED_DATA: Final = NeedData.NEED_DATA


class ServerConnection:
    """One client's connection, seen from the gateway.

    `time_text` is what the handshake tells the client of the gateway's clock, `20260405 23:49:26 US/Eastern`.
    `version` is 0 until negotiated, then min(the client's highest, `max_version`); `connect_options` is the client's
    text after its offer (`+PACEAPI`).
    """

    def __init__(self, *, time_text: str, max_version: int = MAX_VERSION, max_frame: int = MAX_REQUEST) -> None:
        if not MIN_VERSION <= max_version <= MAX_VERSION:
            raise ValueError(f"max_version is from {MIN_VERSION} to {MAX_VERSION}")
        self.state = State.AWAIT_PREFIX
        self.version = 0
        self.connect_options = ""
        self._time_text = time_text
        self._max_version = max_version
        self._received = FrameBuffer(max_frame=max_frame)
        self._outgoing = bytearray()
        self._failure = ""

    def receive_data(self, data: bytes) -> None:
        """Take what came from the socket; after a failure it is of no interest any more."""
        if self.state is not State.FAILED:
            self._received.feed(data)

    def data_to_send(self) -> bytes:
        """Give out, once, the bytes that must be written now."""
        data = bytes(self._outgoing)
        self._outgoing.clear()
        return data

    def send(self, *messages: Response) -> None:
        """Put messages behind what is still to be sent. Only after startApi: clients drop what comes before it."""
        if self.state is not State.OPEN:
            raise RuntimeError(f"nothing may be sent in state {self.state.name}")
        for message in messages:
            self._outgoing += pack_fields(encode(message, self.version))

    def next_message(self) -> Message | Literal[NeedData.NEED_DATA]:
        """The next whole message, the first one being StartApi.

        Raises: UnreadableMessage, UnknownMessage (go on), RemoteProtocolError (the connection is FAILED).
        """
        if self.state is State.FAILED:
            raise RemoteProtocolError(self._failure)
        try:
            return self._next_message()
        except RemoteProtocolError as error:
            going_on = self.state is State.OPEN and isinstance(error, UnreadableMessage | UnknownMessage)
            if not going_on:
                self.state = State.FAILED
                self._failure = str(error)
            raise

    def _next_message(self) -> Message | Literal[NeedData.NEED_DATA]:
        if self.state is State.AWAIT_PREFIX:
            if not self._received.take_prefix(PREFIX):
                return NEED_DATA
            self.state = State.AWAIT_VERSIONS
        payload = self._received.take_payload()
        if payload is not None and self.state is State.AWAIT_VERSIONS:
            self._negotiate(payload)
            payload = self._received.take_payload()
        if payload is None:
            return NEED_DATA
        return self._read(payload)

    def _negotiate(self, offer: bytes) -> None:
        match = _OFFER.fullmatch(offer)
        if not match:
            raise RemoteProtocolError(f"{offer[:40]!r} is no version offer")
        lowest = int(match[1])
        highest = int(match[2] or match[1])
        version = min(highest, self._max_version)
        if version == 158:
            version = 157  # ib_insync and ib_async send `duration` at 158 but read it from 159 on
        if version < max(lowest, MIN_VERSION):
            self._refuse(f"Unsupported version: the client offers {lowest} to {highest}")
        self.version = version
        self.connect_options = (match[3] or b"").decode("ascii")
        self._outgoing += pack_fields((str(version), self._time_text))
        self.state = State.AWAIT_START

    def _refuse(self, reason: str) -> None:
        reason = f"{reason}, this gateway speaks {MIN_VERSION} to {self._max_version}"
        refusal = ErrorMessage(code=UNSUPPORTED_VERSION, text=reason)
        # In place of a handshake, in the oldest layout: the one thing that any client can show to its user.
        self._outgoing += pack_fields(encode(refusal, MIN_VERSION))
        raise RemoteProtocolError(reason)

    def _read(self, payload: bytes) -> Message:
        message = decode_request(split_fields(payload), self.version)
        starting = isinstance(message, StartApi)
        if starting and self.state is State.OPEN:
            raise RemoteProtocolError("startApi came a second time")
        if not starting and self.state is State.AWAIT_START:
            raise RemoteProtocolError(f"{type(message).__name__} came before startApi")
        self.state = State.OPEN
        return message
