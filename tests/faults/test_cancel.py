"""Cancels around a death, against a fill, and again and again."""

import threading
import time

from tests.faults import proxy as wire
from tests.faults.house import Run
from tests.faults.table import CANCELLED, GONE, PLACED, UNKNOWN, Fault, each, endure


def armed_before_cancel(arm):
    def load(run: Run) -> None:
        placed = run.client.limit()
        arm(run)
        run.client.cancel(placed.perm_ids[0])

    return load


def at(point: str, instruction: str = "kill"):
    return armed_before_cancel(lambda run: run.arm(point, instruction))


def on_the_wire(made):
    return armed_before_cancel(lambda run: run.house.proxy.rules.append(made()))


def ten_at_once(run: Run) -> None:
    placed = run.client.limit()
    run.together(10, lambda _: run.client.cancel(placed.perm_ids[0]))


def against_a_fill(run: Run) -> None:
    """Sold into as it is cancelled: whichever comes first, the answer is true."""
    for number in range(6):
        placed = run.client.limit(price=231.5, symbol="AAPL", quantity=5)  # within the spread: the best bid
        if not placed.perm_ids:
            continue
        seller = threading.Thread(target=lambda: run.client.market(symbol="AAPL", action="SELL", quantity=5))
        seller.start()
        time.sleep(0.005 * number)
        run.client.cancel(placed.perm_ids[0])
        seller.join()


def bracket_cancelled(run: Run) -> None:
    placed = run.client.bracket()
    run.house.proxy.rules.append(wire.cut_instead(wire.TO_GATEWAY, wire.CANCEL_ORDER))
    run.client.cancel(placed.perm_ids[0])


OVER = {"CANCELED"}

FAULTS = [
    Fault(
        name="worker kill -9 after the cancel was marked, before it was sent",
        promise=1,
        happens="the next owner sends it on its own connection",
        load=at("worker.cancel_marked"),
        said={PLACED, CANCELLED, UNKNOWN},
        ends=OVER,
    ),
    Fault(
        name="cut before the cancel",
        promise=1,
        happens="sent again: cancelling twice does no harm",
        load=on_the_wire(lambda: wire.cut_instead(wire.TO_GATEWAY, wire.CANCEL_ORDER)),
        said={PLACED, CANCELLED, UNKNOWN},
        ends=OVER,
    ),
    *(
        Fault(
            name=f"cut after {count} bytes of the cancel",
            promise=1,
            happens="sent again: cancelling twice does no harm",
            load=on_the_wire(lambda count=count: wire.cut_after(wire.TO_GATEWAY, wire.CANCEL_ORDER, count)),
            said={PLACED, CANCELLED, UNKNOWN},
            ends=OVER,
        )
        for count in (3, 9)
    ),
    Fault(
        name="cut before the cancel is confirmed",
        promise=3,
        happens="recovery finds the order among the completed ones",
        load=on_the_wire(lambda: wire.cut_instead(wire.TO_CLIENT, wire.ORDER_STATUS)),
        said={PLACED, CANCELLED, UNKNOWN},
        ends=OVER,
    ),
    Fault(
        name="ten cancels at once",
        promise=3,
        happens="one cancelled order; each is told so",
        load=ten_at_once,
        said={PLACED, CANCELLED, GONE},
        ends=OVER,
    ),
    Fault(
        name="cancel races fill",
        promise=3,
        happens="cancelled or filled, as the broker says",
        load=against_a_fill,
        said={PLACED, CANCELLED, GONE, UNKNOWN},
        ends={"CANCELED", "FILLED"},
    ),
    Fault(
        name="cancel of a bracket's entry, cut",
        promise=3,
        happens="all three legs leave together",
        load=bracket_cancelled,
        said={PLACED, CANCELLED, UNKNOWN},
        ends=OVER,
    ),
]


@each(FAULTS)
def test_cancel(fault, house):
    endure(fault, house)
