"""The gateway restarts, forgets, lists late, contradicts itself, or loses the broker."""

import signal
import threading
import time
from datetime import UTC, datetime

from tests.faults import proxy as wire
from tests.faults.house import CLIENT_ID, Run
from tests.faults.table import NOT_PLACED, PLACED, UNKNOWN, Fault, each, endure
from tests.faults.test_wire import for_seconds, rule, rules
from tests.walks.house import until

CONTRADICTIONS = (103, 105, 10349, 161, 399, 100)


def gateway_dies(direction: str, kind: str, *, passes: bool):
    """The gateway is killed as such a message is on its way, which still arrives or does not; then it starts again."""

    def arm(run: Run) -> None:
        def happens(passed: wire.Frame):
            if passes:
                yield passed.data
            run.house.parts["gateway"].kill()
            yield wire.Cut()

        run.house.proxy.rules.append(wire.on(direction, kind, times=1)(happens))

    return arm


def gateway_restarts_quickly(run: Run) -> None:
    """Down for a second while an order waits."""
    run.house.parts["gateway"].kill(signal.SIGTERM)
    threading.Timer(1.0, run.house.parts["gateway"].start).start()


def error_about(code: int):
    return rule(
        lambda: wire.after(wire.TO_CLIENT, wire.OPEN_ORDER, lambda passed: [wire.error(code, passed.fields[1])])
    )


def after_link_broken(run: Run) -> None:
    """1100; the fills of that time are never told by themselves; then 1102."""
    run.client.limit()
    run.house.proxy.say(wire.error(1100, text="Connectivity between IB and TWS has been lost."))
    time.sleep(0.3)
    run.client.market(patience=8)
    run.house.proxy.rules.append(wire.drop(wire.TO_CLIENT, wire.EXECUTION, wire.COMMISSION, times=2))
    run.house.proxy.say(wire.error(1102, text="Connectivity between IB and TWS has been restored."))
    time.sleep(1)
    run.client.market()


def link_breaks_after_write(code: int):
    """The link to the broker breaks as an order was written; what follows is not told; then it is back."""

    def load(run: Run) -> None:
        proxy = run.house.proxy
        proxy.rules.append(wire.on(wire.TO_CLIENT, wire.OPEN_ORDER, times=1)(lambda _passed: (wire.error(1100),)))
        proxy.rules.append(wire.drop(wire.TO_CLIENT, wire.ORDER_STATUS, wire.EXECUTION, wire.COMMISSION, seconds=0.8))
        threading.Timer(1.0, proxy.say, [wire.error(code)]).start()
        run.client.market()

    return load


def ghost(run: Run) -> None:
    """Somebody sits on our client id while our connection is lost."""
    proxy = run.house.proxy
    proxy.refuses = True
    proxy.cut()
    until(lambda: _client_is_gone(run))
    with run.house.other_client(CLIENT_ID):
        proxy.refuses = False
        run.client.limit()
        time.sleep(4)
    run.house.wait_ready()
    run.client.limit()


def _client_is_gone(run: Run) -> bool:
    lines = [line for line in run.house.ledger() if line.get("clientId") == CLIENT_ID]
    return lines[-1]["kind"] == "session_close"


def another_day(run: Run) -> None:
    """The gateway's next greeting names a zone where it is another day."""
    zone = "Pacific/Kiritimati" if datetime.now(UTC).hour >= 10 else "Etc/GMT+12"

    def greeting(passed: wire.Frame) -> bool:
        return passed.kind.isdigit() and len(passed.fields) == 2 and passed.fields[1].endswith(" UTC")

    run.house.proxy.rules.append(
        wire.on(wire.TO_CLIENT, only=greeting)(
            lambda passed: (wire.frame(passed.fields[0], passed.fields[1].replace("UTC", zone)),)
        )
    )
    run.arm("worker.claimed", "kill")


def listed_late(run: Run) -> None:
    """The order is received, and shown to nobody for ten seconds."""
    proxy = run.house.proxy
    hidden = (wire.OPEN_ORDER, wire.ORDER_STATUS, wire.COMPLETED_ORDER)
    proxy.rules.append(wire.drop(wire.TO_CLIENT, *hidden, seconds=10))
    run.client.limit()
    proxy.cut()
    time.sleep(7)


def completed_orders_never_end(run: Run) -> None:
    proxy = run.house.proxy
    proxy.rules.append(wire.drop(wire.TO_CLIENT, wire.COMPLETED_END))
    proxy.cut()
    run.client.limit()
    time.sleep(3)
    proxy.clear()
    proxy.cut()


def corrected(run: Run) -> None:
    """The execution comes a second time with a higher revision."""

    def correction(passed: wire.Frame) -> list[bytes]:
        at = next(n for n, text in enumerate(passed.fields) if text.startswith("0000e0d5."))
        return [passed.changed(**{f"_{at}": passed.fields[at][:-2] + "02"})]

    run.house.proxy.rules.append(wire.after(wire.TO_CLIENT, wire.EXECUTION, correction, only=wire.is_live))


def correction_is_stored(run: Run, found) -> None:
    (line,) = found.executions
    query = "SELECT replaces FROM orders_execution WHERE exec_id LIKE %s ORDER BY exec_id"

    def replaced() -> list[str]:
        return [row["replaces"] for row in run.house.rows(query, line["execId"][:-2] + "%")]

    # An order is at rest with its first execution; nothing but the record says that a correction is still on its way.
    until(lambda: len(replaced()) == 2, why="there is no correction")
    assert replaced() == ["", line["execId"]]


def halted_for_second_order(run: Run, _found) -> None:
    assert run.house.logged_line("CRITICAL", "1999999999")
    halts = run.house.rows("SELECT reason FROM accounts_halt WHERE halted_by = 'SYSTEM'")
    assert any("1999999999" in halt["reason"] for halt in halts), halts


def noted(code: int):
    def then(_run: Run, found) -> None:
        codes = [event["payload"].get("code") for event in found.events if event["kind"] == "ERROR_REPORTED"]
        assert code in codes

    return then


def too_dear(run: Run) -> None:
    run.client.limit(quantity=10_000_000)


FAULTS = [
    Fault(
        name="gateway restarts before acceptance",
        promise=3,
        happens="in doubt, then not placed: the same gateway, asked later, never saw it",
        arm=gateway_dies(wire.TO_GATEWAY, wire.PLACE_ORDER, passes=False),
        said={UNKNOWN, NOT_PLACED},
        ends={"NOT_PLACED"},
    ),
    Fault(
        name="gateway restarts during acceptance",
        promise=3,
        happens="placed or not placed, as the gateway says afterwards",
        arm=gateway_dies(wire.TO_GATEWAY, wire.PLACE_ORDER, passes=True),
        said={UNKNOWN, NOT_PLACED, PLACED},
        ends={"NOT_PLACED", "NEW"},
    ),
    Fault(
        name="gateway restarts after acceptance",
        promise=3,
        happens="found by its stamp",
        arm=gateway_dies(wire.TO_CLIENT, wire.OPEN_ORDER, passes=False),
        said={UNKNOWN, PLACED},
    ),
    Fault(
        name="gateway restarts while an order waits",
        promise=1,
        happens="sent when the gateway is back, or not at all",
        arm=gateway_restarts_quickly,
        said={PLACED, NOT_PLACED},
        ends={"NEW", "NOT_PLACED"},
    ),
    Fault(
        name="gateway is away",
        promise=3,
        happens="not placed: no byte left",
        arm=lambda run: run.house.parts["gateway"].kill(),
        said={NOT_PLACED},
        ends={"NOT_PLACED"},
    ),
    Fault(
        name="nextValidId rolled back to 1",
        promise=2,
        happens="our own count goes on; no id is used again",
        arm=rules(
            lambda: wire.change(wire.TO_CLIENT, wire.NEXT_VALID_ID, _2="1"),
            lambda: wire.cut_instead(wire.TO_CLIENT, wire.OPEN_ORDER),
        ),
        load=lambda run: [run.client.limit(), run.client.limit()],
        said={UNKNOWN, PLACED},
    ),
    Fault(
        name="an order is listed 10 s late",
        promise=3,
        happens="in doubt as long as anything speaks for it, then found",
        load=listed_late,
        said={UNKNOWN},
    ),
    Fault(
        name="completed orders never end",
        promise=3,
        happens="nothing is concluded and nothing claimed until the question was answered",
        load=completed_orders_never_end,
        said={NOT_PLACED, PLACED},
        ends={"NOT_PLACED", "NEW"},
    ),
    *(
        Fault(
            name=f"error {code} on a live order",
            promise=3,
            happens="a note: an error never cancels",
            arm=error_about(code),
            then=noted(code),
        )
        for code in CONTRADICTIONS
    ),
    Fault(
        name="error 201: the broker refuses",
        promise=3,
        happens="rejected, with the broker's words",
        load=too_dear,
        said={NOT_PLACED},
        ends={"REJECTED"},
    ),
    Fault(
        name="1100, fills untold, 1102",
        promise=4,
        happens="nothing is claimed meanwhile; the fills are asked for afterwards",
        load=after_link_broken,
        said={PLACED, NOT_PLACED},
        ends={"NEW", "FILLED", "NOT_PLACED"},
    ),
    *(
        Fault(
            name=f"1100 in place of the acknowledgement, then {code}",
            promise=3,
            happens="recovery on the same connection finds the order and its fill",
            load=link_breaks_after_write(code),
            said={PLACED, UNKNOWN},
            ends={"FILLED"},
        )
        for code in (1101, 1102)
    ),
    Fault(
        name="326 from a ghost on our client id",
        promise=2,
        happens="not the owner: nothing is sent until the ghost has left",
        load=ghost,
        said={NOT_PLACED, PLACED},
        ends={"NOT_PLACED", "NEW"},
    ),
    Fault(
        name="midnight between claim and recovery",
        promise=3,
        happens="stays in doubt: yesterday's orders are no longer listed",
        arm=another_day,
        mend=for_seconds(5),
        said={UNKNOWN},
        ends={"IN_DOUBT"},
        doubt=True,
        then=lambda run, _found: run.house.proxy.cut(),  # the next connection is greeted in the right zone again
    ),
    Fault(
        name="an execution is corrected",
        promise=4,
        happens="the correction is a row of its own that names what it replaces",
        arm=corrected,
        load=lambda run: run.client.market(),
        ends={"FILLED"},
        then=correction_is_stored,
    ),
    Fault(
        name="permId 0 in the first openOrder",
        promise=3,
        happens="not acknowledged until the broker gave it its id",
        arm=rule(lambda: wire.change(wire.TO_CLIENT, wire.OPEN_ORDER, times=1, _25="0")),
        said={PLACED, UNKNOWN},
    ),
    Fault(
        name="two permIds on one stamp",
        promise=2,
        happens="critical alarm, and trading is halted",
        arm=rule(
            lambda: wire.after(
                wire.TO_CLIENT, wire.OPEN_ORDER, lambda passed: [passed.changed(_1="999999", _25="1999999999")]
            )
        ),
        then=halted_for_second_order,
    ),
    Fault(
        name="a live account on a paper port",
        promise=3,
        happens="the session is refused; nothing is sent",
        arm=lambda run: [
            run.house.proxy.rules.append(wire.change(wire.TO_CLIENT, wire.MANAGED_ACCOUNTS, _2="U7654321")),
            run.house.proxy.cut(),
            time.sleep(0.5),
        ],
        said={NOT_PLACED},
        ends={"NOT_PLACED"},
    ),
]


@each(FAULTS)
def test_gateway(fault, house):
    endure(fault, house)
