"""A TCP proxy between the worker and the gateway that knows frames, and does to them what a test asks for.

Rules
1. Without a rule every byte passes as it came. A rule sees one frame at a time and answers what happens instead of
   passing it on, or None: then the next rule is asked.
2. Two threads per connection, one for each direction; a direction that waits holds up nobody else.
3. Cutting is sudden: both sockets are reset, and what was not yet written never arrives.
"""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

TO_GATEWAY, TO_CLIENT = "to gateway", "to client"
# Message ids: what the client says, and what the gateway does.
PLACE_ORDER, CANCEL_ORDER, START_API = "3", "4", "71"
ORDER_STATUS, ERROR, OPEN_ORDER, NEXT_VALID_ID, EXECUTION = "3", "4", "5", "9", "11"
OPEN_ORDER_END, EXECUTION_END, COMMISSION, COMPLETED_ORDER, COMPLETED_END = "53", "55", "59", "101", "102"
POSITION_END, ACCOUNT_END, MANAGED_ACCOUNTS, POSITION = "62", "54", "15", "61"


@dataclass(frozen=True, slots=True)
class Frame:
    """One message, length and all. `talk` counts the connections from 1."""

    direction: str
    data: bytes
    talk: int

    @property
    def fields(self) -> list[str]:
        return self.data[4:].decode(errors="replace").split("\0")[:-1]

    @property
    def kind(self) -> str:
        return self.data[4:].split(b"\0", 1)[0].decode(errors="replace")

    def changed(self, **by_position: str) -> bytes:
        """The frame with other fields: changed(_25="0")."""
        fields = self.fields
        for name, value in by_position.items():
            fields[int(name[1:])] = value
        return frame(*fields)


class Cut(Exception):
    """End both sides of the connection now."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Keep this direction waiting: for so many seconds, or until the event is set."""

    seconds: float = 0.0
    until: threading.Event | None = None


Step = bytes | Pause | Cut
Rule = Callable[[Frame], Iterable[Step] | None]


def frame(*fields: object) -> bytes:
    text = "".join(f"{field}\0" for field in fields).encode()
    return struct.pack(">I", len(text)) + text


@dataclass
class Proxy:
    """Listens on `port`; connects to the gateway's port for every client. `rules` may be changed at any time."""

    gateway_port: int
    rules: list[Rule] = field(default_factory=list)
    one_byte_at_a_time: bool = False
    refuses: bool = False
    frames: list[tuple[float, str, int]] = field(default_factory=list)  # (when, direction, connection): what passed
    complaints: list[tuple[float, str]] = field(default_factory=list)  # (when, text): the gateway found us too fast
    applied: set[int] = field(default_factory=set)  # ids of the rules that had something to do
    _talks: list["Talk"] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.port = self._listener.getsockname()[1]
        self._count = 0
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def clear(self) -> None:
        """Pass everything again."""
        self.rules.clear()
        self.applied.clear()
        self.one_byte_at_a_time = self.refuses = False
        for talk in self._talks:
            talk.thaw.set()

    def idle_rules(self) -> int:
        """How many rules never had anything to do."""
        return sum(id(rule) not in self.applied for rule in self.rules)

    def cut(self) -> None:
        """Reset every connection there is."""
        for talk in list(self._talks):
            talk.cut()

    def say(self, data: bytes, *, direction: str = TO_CLIENT) -> None:
        """Put bytes of our own among those of the newest connection."""
        self._talks[-1].write(direction, data)

    def client_ports(self) -> list[int]:
        """The local ports of the clients that are connected."""
        return [talk.client_port for talk in self._talks if not talk.over]

    def close(self) -> None:
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.refuses:
                _reset(client)
                continue
            try:
                gateway = socket.create_connection(("127.0.0.1", self.gateway_port), timeout=5)
            except OSError:
                _reset(client)
                continue
            gateway.settimeout(None)
            self._count += 1
            self._talks = [talk for talk in self._talks if not talk.over]
            self._talks.append(Talk(self, client, gateway, self._count))
            self._talks[-1].start()


class Talk:
    """One proxied connection."""

    def __init__(self, proxy: Proxy, client: socket.socket, gateway: socket.socket, number: int) -> None:
        self._proxy = proxy
        self._sockets = {TO_GATEWAY: gateway, TO_CLIENT: client}
        self._writing = {TO_GATEWAY: threading.Lock(), TO_CLIENT: threading.Lock()}
        self.number = number
        self.client_port = client.getpeername()[1]
        self.over = False
        self.thaw = threading.Event()
        for side in (client, gateway):
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def start(self) -> None:
        for direction in (TO_GATEWAY, TO_CLIENT):
            threading.Thread(target=self._pump, args=(direction,), name=f"proxy {direction}", daemon=True).start()

    def cut(self) -> None:
        self.over = True
        self.thaw.set()
        for side in self._sockets.values():
            _reset(side)

    def write(self, direction: str, data: bytes) -> None:
        with self._writing[direction]:
            if self._proxy.one_byte_at_a_time:
                for position in range(len(data)):
                    self._sockets[direction].sendall(data[position : position + 1])
            else:
                self._sockets[direction].sendall(data)

    def _pump(self, direction: str) -> None:
        source = self._sockets[TO_CLIENT if direction == TO_GATEWAY else TO_GATEWAY]
        try:
            for data in _frames(source, hello=direction == TO_GATEWAY):
                passed = Frame(direction, data, self.number)
                if direction == TO_CLIENT and b"Max rate of messages" in data:
                    self._proxy.complaints.append((time.monotonic(), passed.fields[-1]))
                for step in self._steps(passed):
                    self._do(direction, step)
                self._proxy.frames.append((time.monotonic(), direction, self.number))
        except (Cut, OSError):
            pass
        self.cut()

    def _steps(self, passed: Frame) -> Iterable[Step]:
        for rule in tuple(self._proxy.rules):
            steps = rule(passed)
            if steps is not None:
                self._proxy.applied.add(id(rule))
                return steps
        return (passed.data,)

    def _do(self, direction: str, step: Step) -> None:
        match step:
            case bytes():
                self.write(direction, step)
            case Pause(until=None):
                self.thaw.wait(step.seconds)
            case Pause():
                while not (step.until.wait(0.05) or self.thaw.is_set()):
                    pass
            case Cut():
                raise step


def _frames(source: socket.socket, *, hello: bool) -> Iterator[bytes]:
    """What arrives, frame by frame; the client's greeting is joined to its first frame."""
    buffer = b""
    prefix = 4 if hello else 0
    while chunk := source.recv(65536):
        buffer += chunk
        while len(buffer) >= prefix + 4:
            end = prefix + 4 + struct.unpack_from(">I", buffer, prefix)[0]
            if len(buffer) < end:
                break
            yield buffer[:end]
            buffer, prefix = buffer[end:], 0


def _reset(side: socket.socket) -> None:
    try:
        side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        side.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it is gone already
    side.close()


# --- Rules ---------------------------------------------------------------------------------------------------------


def on(direction: str, *kinds: str, times: int | None = None, only: Callable[[Frame], bool] = lambda _: True):
    """Decorate what is to happen to such frames, the first `times` of them."""

    def decorate(happens: Callable[[Frame], Iterable[Step]]) -> Rule:
        left = [times]

        def rule(passed: Frame) -> Iterable[Step] | None:
            if passed.direction != direction or left[0] == 0 or (kinds and passed.kind not in kinds):
                return None
            if not only(passed):
                return None
            if left[0] is not None:
                left[0] -= 1
            return happens(passed)

        return rule

    return decorate


def cut_after(direction: str, kind: str, count: int) -> Rule:
    """Let `count` bytes of such frames through, over all of them, and cut there."""
    left = [count]

    def happens(passed: Frame) -> Iterator[Step]:
        part = passed.data[: left[0]]
        left[0] -= len(part)
        yield part
        if len(part) < len(passed.data):
            yield Pause(0.02)  # what went before the cut is to arrive
            yield Cut()

    return on(direction, kind)(happens)


def drop(direction: str, *kinds: str, times: int | None = None, seconds: float | None = None) -> Rule:
    """Swallow such frames: the first so many, or for so long."""
    deadline = None if seconds is None else time.monotonic() + seconds
    return on(direction, *kinds, times=times, only=lambda _: deadline is None or time.monotonic() < deadline)(
        lambda _: ()
    )


def cut_instead(direction: str, kind: str) -> Rule:
    """Swallow the first such frame and cut."""
    return on(direction, kind, times=1)(lambda _: (Cut(),))


def freeze(direction: str, *kinds: str) -> Rule:
    """From the first such frame on nothing moves in this direction, and nobody hangs up."""
    return on(direction, *kinds, times=1)(lambda passed: (Pause(until=threading.Event()), passed.data))


def duplicate(direction: str, *kinds: str, copies: int = 2) -> Rule:
    return on(direction, *kinds)(lambda passed: [passed.data] * copies)


def delay(direction: str, seconds: float, *kinds: str, times: int | None = None) -> Rule:
    return on(direction, *kinds, times=times)(lambda passed: (Pause(seconds), passed.data))


def swap(direction: str, first: str, second: str) -> Rule:
    """Hold every `first` back until the next `second` has passed."""
    held: list[bytes] = []

    def rule(passed: Frame) -> Iterable[Step] | None:
        if passed.direction != direction or passed.kind not in (first, second):
            return None
        if passed.kind == first:
            held.append(passed.data)
            return ()
        late = tuple(held)
        held.clear()
        return (passed.data, *late)

    return rule


def before(direction: str, kind: str, *data: bytes, times: int = 1) -> Rule:
    """Put bytes of our own before such frames."""
    return on(direction, kind, times=times)(lambda passed: (*data, passed.data))


def after(
    direction: str,
    kind: str,
    say: Callable[[Frame], Iterable[bytes]],
    times: int = 1,
    only: Callable[[Frame], bool] = lambda _: True,
) -> Rule:
    """Put bytes of our own after such frames."""
    return on(direction, kind, times=times, only=only)(lambda passed: (passed.data, *say(passed)))


def is_live(execution: Frame) -> bool:
    """Whether it comes by itself: those of orders before it may be told at any moment, by a sync."""
    return execution.fields[1] == "-1"


def change(direction: str, kind: str, times: int | None = None, **by_position: str) -> Rule:
    """Rewrite fields of such frames by their position: change(TO_CLIENT, OPEN_ORDER, _25="0")."""
    return on(direction, kind, times=times)(lambda passed: (passed.changed(**by_position),))


def error(code: int, about: object = -1, text: str = "said by the test") -> bytes:
    """An error message of the gateway (4)."""
    return frame(4, 2, about, code, text, "")
