"""The world of the model: the database, the workers, the gateway and the wires between them, as one frozen value.

Time is a count of ticks that only matters as an age, and ages are capped: that keeps the number of worlds finite. Two
ticks are the settle time. What can go wrong is a budget, spent by the steps that are faults.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from tests.model import lives

SETTLE_TICKS = 2
TICK_SECONDS = 15
FOREVER = 99
NOBODY = -1


class Phase(IntEnum):
    """Where a worker stands; READY is the only one that sends."""

    DEAD = 0
    STANDBY = 1
    DISCONNECTED = 2
    RECOVERING = 3
    LINK_DOWN = 4
    READY = 5


class Place(NamedTuple):
    """placeOrder on the wire. `root` is the order id of the bracket's entry; `epoch` and `connection` its writer's."""

    row: int
    order_id: int
    root: int
    transmit: bool
    epoch: int
    connection: int


class Cancel(NamedTuple):
    """cancelOrder on the wire."""

    order_id: int


class Told(NamedTuple):
    """What the gateway says of an order: `code` 0 is openOrder, anything else the error of that number."""

    code: int
    row: int
    order_id: int
    perm_id: int = 0


class Row(NamedTuple):
    """An order in the database: its life, its claim, and what is noted about it."""

    request: int
    life: int = lives.RECEIVED
    order_id: int = 0
    epoch: int = 0
    connection: int = 0
    day: int = 0
    position: int = 0  # held at the claim
    executed: int = 0  # all executions on record at the claim
    overdue: bool = False
    offer: int | None = None  # the order id the gateway offered first on a connection after the claim's
    disowned: tuple[int, int] | None = None  # the connection on which it was said
    cancel_sent: tuple[int, int] | None = None  # on which connection
    ever_not_placed: bool = False


class Claim(NamedTuple):
    """A committed claim whose write is still to come, in the memory of a worker."""

    request: int
    epoch: int
    connection: int


class Round(NamedTuple):
    """Rounds of questions on one stretch of READY: complete ones, when the last was asked, and the one under way."""

    complete: int = 0
    settled: int = 0
    asking: bool = False
    began: int = 0
    deciding: bool = False  # only where a variant lets other things happen between asking and deciding


class Worker(NamedTuple):
    """A worker process; all of it is gone with the process."""

    phase: Phase = Phase.DEAD
    epoch: int = 0
    connection: int = 0
    offered: int = 0
    next_id: int = 1
    asked: int = 0  # answered questions of the recovery under way
    age: int = 0  # ticks since READY
    claim: Claim | None = None
    failed: int = NOBODY  # a request whose claim failed in a way that may have committed
    rounds: Round = Round()


class Session(NamedTuple):
    """A connection as the gateway sees it. `closing`: its worker is gone, and not all of its bytes are read."""

    worker: int
    epoch: int
    connection: int
    client: int
    closing: bool = False
    inbound: tuple[Place | Cancel, ...] = ()
    outbound: tuple[Told, ...] = ()


class Stand(IntEnum):
    """Where an order stands at the broker."""

    HELD = 0  # transmit=False: the gateway's alone
    WORKING = 1
    FILLED = 2
    GONE = 3  # cancelled or expired
    LOST = 4  # the gateway had accepted it and lost it before anybody heard of it


AT_BROKER = frozenset({Stand.WORKING, Stand.FILLED, Stand.GONE})


class Placed(NamedTuple):
    """An order that the gateway took. `hidden` is for how many ticks no list shows it."""

    row: int
    order_id: int
    perm_id: int
    root: int
    client: int
    stand: Stand
    hidden: int = 0
    listed: bool = True  # finished orders are forgotten at midnight
    acknowledged: bool = False


class Gateway(NamedTuple):
    """The gateway and the broker behind it. `received` is the ledger's: the highest order id that ever came in."""

    sessions: tuple[Session, ...] = ()
    orders: tuple[Placed, ...] = ()
    offers: tuple[int, ...] = (1, 1)  # nextValidId by client id
    received: tuple[int, ...] = (0, 0)
    linked: bool = True
    day: int = 0
    position: int = 0


class Budget(NamedTuple):
    """How many of each fault may still happen."""

    cuts: int = 0
    kills: int = 0
    restarts: int = 0  # of the gateway
    link_losses: int = 0  # 1100
    midnights: int = 0
    late: int = 0  # acceptances that no list shows for a while
    refusals: int = 0
    fills: int = 0
    failed_commits: int = 0
    lost_locks: int = 0
    cancels: int = 0  # asked for by people; what follows must be true all the same


class World(NamedTuple):
    rows: tuple[Row, ...]
    workers: tuple[Worker, ...]
    budget: Budget
    gateway: Gateway = Gateway()
    epoch: int = 0
    next_id: int = 1
    lock: int = NOBODY
    position: int = 0  # as the positions table has it
    executed: int = 0  # sum of the executions on record
    breach: str = ""  # what a step itself found broken


@dataclass(frozen=True, kw_only=True)
class Scope:
    """How much of the world is explored: legs per request, processes, faults, and how the gateway misbehaves.

    `late` is for how many ticks a late order is hidden. `rolls_back` lets a restart of the gateway name lower order
    ids; with `forgets_fills` it may also forget what was filled.

    The protocol promises to survive the two together only while `late` is shorter than the settle time: nothing is
    left to tell by once the gateway shows no order, names no id, and takes for ever.
    """

    requests: tuple[int, ...] = (1,)
    workers: int = 1
    faults: Budget = Budget()
    late: int = SETTLE_TICKS - 1
    rolls_back: bool = False
    forgets_fills: bool = False

    def beginning(self) -> World:
        rows = tuple(Row(request=number) for number, legs in enumerate(self.requests) for _ in range(legs))
        return World(rows=rows, workers=(Worker(phase=Phase.STANDBY),) * self.workers, budget=self.faults)
