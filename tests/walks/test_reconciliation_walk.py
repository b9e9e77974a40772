"""Breaks as they really come to be: between the house and its gateway stands a proxy that hides, changes and invents
what the broker says, and the command that a person types compares. Nothing is written into our database.
"""

import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.faults import proxy as wire
from tests.gateway.paper_process import RawClient
from tests.walks.conftest import Counterparty, clear
from tests.walks.house import ROOT, THEIRS, Gateway, House, until

REST = {"symbol": "AAPL", "action": "BUY", "quantity": 10, "limit_price": 100.0, "order_ref": "rests"}
# Where fields stand in openOrder (5), orderStatus (3) and execDetails (11).
ORDER_ID, ACCOUNT, ORDER_REF, PERM_ID = 1, 20, 23, 25
EXEC_ID, PRICE = 14, 20


@pytest.fixture(scope="module")
def proxied(tmp_path_factory):
    directory = tmp_path_factory.mktemp("breaks")
    gateway = Gateway(directory / "gateway")
    proxy = wire.Proxy(gateway.port)
    never = {"RECONCILE_SECONDS": "86400", "EXECUTION_SYNC_SECONDS": "86400"}  # nobody asks but the test
    house = House(directory, gateway, IB_PORT=str(proxy.port), **never)
    try:
        gateway.start()
        house.start()
        house.wait_ready()
        code, said, _ = reconcile(house)  # the first one: what is held now is where counting begins
        assert code == 0, said
        yield house, proxy
    finally:
        house.stop()
        gateway.stop()
        proxy.close()


@pytest.fixture
def house(proxied):
    """The house with a whole wire, no order, no position and books that agree."""
    house, proxy = proxied
    proxy.clear()
    clear(house)
    left = house.rows("SELECT kind, subject FROM orders_break WHERE closed_at IS NULL")
    assert not left, "a test before this one left a break"
    return house


@pytest.fixture
def proxy(proxied):
    return proxied[1]


def reconcile(house, *options):
    """The command, as a person types it: exit code, what it said, and the kinds of the open breaks."""
    environment = {
        **os.environ,
        "ENV_FILE": "",
        "DATA_DIR": str(house.directory),
        "DATABASE_URL": (house.directory / "database_url").read_text().strip(),
    }
    argv = [sys.executable, "manage.py", "reconcile", *options]
    done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    kinds = house.rows("SELECT kind FROM orders_break WHERE closed_at IS NULL")
    return done.returncode, done.stdout + done.stderr, Counter(kind for (kind,) in kinds)


def agreed_after(house, count):
    """How many breaks there have been, all closed by themselves."""
    code, said, kinds = reconcile(house)
    assert (code, kinds) == (0, {}), said
    assert "The books agree." in said
    closed = house.rows(
        "SELECT closed_by, close_reason FROM orders_break WHERE closed_by <> '' ORDER BY id DESC LIMIT %s", count
    )
    assert closed == [("worker", "the books agree again")] * count


def rest(house):
    return house.post("/order/limit", REST).json()["permId"]


def market(house, action="BUY", quantity=5, symbol="MSFT"):
    return house.post("/order/market", {"symbol": symbol, "action": action, "quantity": quantity}).json()["permId"]


def filled(house, perm_id):
    until(lambda: house.status(perm_id) == "FILLED", why=f"{perm_id} was not filled")


def hide(proxy, *kinds, **options):
    rule = wire.drop(wire.TO_CLIENT, *kinds, **options)
    proxy.rules.append(rule)
    return rule


def hide_new_fills(house, proxy):
    """Of executions the broker tells those alone that are on record already."""
    known = {exec_id for (exec_id,) in house.rows("SELECT exec_id FROM orders_execution")}
    proxy.rules.append(
        wire.on(wire.TO_CLIENT, wire.EXECUTION, only=lambda passed: passed.fields[EXEC_ID] not in known)(lambda _: ())
    )


def change_after(proxy, kind, **fields):
    """Behind each such message say another one, with other fields."""
    proxy.rules.append(wire.after(wire.TO_CLIENT, kind, lambda passed: [passed.changed(**fields)], times=None))


def invent_a_fill(proxy, **fields):
    """Behind the next fill that is told as it happens, tell another one."""
    live = wire.on(wire.TO_CLIENT, wire.EXECUTION, times=1, only=lambda passed: passed.fields[1] == "-1")
    proxy.rules.append(live(lambda passed: (passed.data, passed.changed(**fields))))


def test_books_agree_after_a_busy_morning(house):
    rest(house)
    for action in ("BUY", "SELL", "BUY"):
        filled(house, market(house, action))

    code, said, kinds = reconcile(house)

    assert (code, kinds) == (0, {}), said
    assert "Compared " in said
    assert house.get("/health/ready").json()["breaks"] == 0


def test_trades_of_other_clients_are_explained(house):
    Counterparty(house.gateway.port).trade("BUY", 7, "IBM")
    code, said, kinds = reconcile(house)

    assert (code, kinds) == (0, {}), said
    accounts = house.rows("SELECT DISTINCT account FROM orders_execution WHERE symbol = 'IBM'")
    assert accounts == [(THEIRS,)]


def test_an_order_the_broker_lists_no_more(house, proxy):
    perm_id = rest(house)
    hide(proxy, wire.OPEN_ORDER, wire.ORDER_STATUS)

    code, said, kinds = reconcile(house)

    assert (code, kinds) == (1, {"MISSING_AT_BROKER": 1}), said
    assert "Critical: break" in said
    assert f"Order {perm_id}, account DU1000001: expected New, actual not listed" in said
    assert house.get("/health/ready").json()["breaks"] == 1
    proxy.clear()
    agreed_after(house, 1)


def test_fills_that_nobody_told_us_of(house, proxy):
    hide_new_fills(house, proxy)
    perm_id = market(house)
    until(lambda: "STATUS_REPORTED" in house.history(perm_id) or house.status(perm_id) == "NEW")

    code, said, kinds = reconcile(house)

    assert (code, kinds) == (1, {"STATUS": 1, "POSITION": 1}), said
    assert "expected 0, actual 5" in said
    proxy.clear()
    agreed_after(house, 2)
    assert house.status(perm_id) == "FILLED"


def test_a_partial_fill_that_nobody_told_us_of(house, proxy):
    # Better than the market maker's, so that who sells meets our order first.
    best = Counterparty(house.gateway.port).quote("AAPL")[0] + Decimal("0.01")
    perm_id = house.post("/order/limit", REST | {"limit_price": float(best)}).json()["permId"]
    hide_new_fills(house, proxy)
    Counterparty(house.gateway.port).trade("SELL", 4, "AAPL", best)
    code, said, kinds = reconcile(house)

    assert (code, kinds) == (1, {"QUANTITY": 2, "POSITION": 2}), said  # the other side's fill is hidden as well
    proxy.clear()
    agreed_after(house, 4)
    assert house.status(perm_id) == "PARTIALLY_FILLED"


def test_an_execution_that_the_broker_lists_no_more(house, proxy):
    filled(house, market(house))
    hide(proxy, wire.EXECUTION, wire.COMMISSION)

    code, said, kinds = reconcile(house)

    assert code == 1
    assert set(kinds) == {"MISSING_AT_BROKER"}, said
    count = kinds["MISSING_AT_BROKER"]
    proxy.clear()
    agreed_after(house, count)


def test_an_execution_at_another_price(house, proxy):
    filled(house, market(house))
    ((exec_id,),) = house.rows("SELECT exec_id FROM orders_execution ORDER BY id DESC LIMIT 1")
    proxy.rules.append(
        wire.on(wire.TO_CLIENT, wire.EXECUTION, only=lambda passed: passed.fields[EXEC_ID] == exec_id)(
            lambda passed: (passed.changed(**{f"_{PRICE}": "1.25"}),)
        )
    )

    code, said, kinds = reconcile(house)

    assert (code, kinds) == (1, {"PRICE": 1}), said
    assert "actual 1.25" in said
    proxy.clear()
    agreed_after(house, 1)


def test_over_here_and_working_there(house, proxy):
    perm_id = rest(house)
    ((order_id,),) = house.rows("SELECT broker_order_id FROM orders_order WHERE perm_id = %s", perm_id)
    proxy.say(wire.frame(3, order_id, "Cancelled", 0, 10, 0, perm_id, 0, 0, 17, "", 0))
    until(lambda: house.status(perm_id) == "CANCELED")

    code, said, kinds = reconcile(house)

    assert (code, kinds) == (1, {"STATUS": 1}), said
    assert "expected ended, actual working" in said
    with RawClient.started(house.gateway.port, 98) as client:
        client.send(58, 1)  # cancel everything
        client.send(49, 1)
        client.read_until(49)
    agreed_after(house, 1)


def test_an_order_that_cannot_be_recorded(house, proxy):
    """Of an account that nobody has heard of."""
    perm_id = rest(house)
    change_after(proxy, wire.OPEN_ORDER, **{f"_{ACCOUNT}": "DU9999999", f"_{PERM_ID}": "4711", f"_{ORDER_REF}": "else"})

    code, said, kinds = reconcile(house)

    assert (code, kinds) == (1, {"MISSING_HERE": 1}), said
    assert "Order 4711, account DU9999999: expected no record, actual permId 4711" in said
    proxy.clear()
    assert house.post("/order/cancel", {"perm_id": perm_id}).status_code == 200
    code, said, kinds = reconcile(house)
    assert kinds == {"MISSING_HERE": 1}, "not listed any more is not agreed"
    close_by_hand(house)


def test_a_failed_question_opens_and_closes_nothing(house, proxy):
    rest(house)
    hide(proxy, wire.OPEN_ORDER, wire.ORDER_STATUS)
    assert reconcile(house)[0] == 1
    proxy.clear()
    proxy.rules.append(wire.cut_instead(wire.TO_CLIENT, wire.POSITION_END))  # the sync asks the other questions too

    code, said, kinds = reconcile(house)

    assert (code, kinds) == (2, {"MISSING_AT_BROKER": 1}), said
    assert "failed, nothing was opened or closed" in said
    house.wait_ready()
    agreed_after(house, 1)


def test_no_gateway_no_answer(house):
    house.gateway.stop()
    try:
        until(lambda: house.get("/health/ready").status_code == 503)
        code, said, kinds = reconcile(house)
    finally:
        house.gateway.start()
        house.wait_ready()

    assert (code, kinds) == (2, {}), said
    assert "the session is " in said


def test_a_second_order_with_our_stamp_and_a_fill_without_an_order(house, proxy):
    perm_id = rest(house)
    hide(proxy, wire.COMPLETED_ORDER)
    change_after(proxy, wire.OPEN_ORDER, **{f"_{PERM_ID}": "4712", f"_{ORDER_ID}": "99999"})

    code, said, kinds = reconcile(house)

    assert (code, kinds) == (1, {"DUPLICATE_PERM_ID": 1}), said
    assert f"expected permId {perm_id}, actual permId 4712 as well" in said
    proxy.clear()
    code, said, kinds = reconcile(house)
    assert kinds == {"DUPLICATE_PERM_ID": 1, "MISSING_AT_BROKER": 1}, said
    close_by_hand(house)


def test_a_fill_reported_twice_under_two_ids(house, proxy):
    """More filled than ordered, and more executed than held."""
    invent_a_fill(proxy, **{f"_{EXEC_ID}": "ffff.0001.01.01"})
    perm_id = market(house)
    filled(house, perm_id)
    until(lambda: house.rows("SELECT 1 FROM orders_execution WHERE exec_id = 'ffff.0001.01.01'"))

    code, said, kinds = reconcile(house)

    assert code == 1
    # Filled beyond its quantity, unlike the broker says, by an execution it does not list, and not held.
    assert kinds == {"OVERFILL": 1, "QUANTITY": 1, "MISSING_AT_BROKER": 1, "POSITION": 1}, said
    assert "expected 5, actual 10" in said
    close_by_hand(house)


def test_a_fill_with_our_stamp_and_no_order(house, proxy):
    """Another program sends with a stamp that we never made; its listing is hidden, its fill is not."""
    fields = {"_21": "4713", "_22": "61", "_26": "theirs~ABCDEFGHIJKLM", f"_{EXEC_ID}": "ffff.0002.01.01", "_2": "4"}
    invent_a_fill(proxy, **fields)
    filled(house, market(house))
    until(lambda: house.rows("SELECT 1 FROM orders_execution WHERE exec_id = 'ffff.0002.01.01'"))

    code, said, kinds = reconcile(house)

    assert code == 1
    assert kinds == {"ORPHAN_FILL": 1, "MISSING_AT_BROKER": 1, "POSITION": 1}, said
    close_by_hand(house)


def test_a_worker_that_was_away_over_night(house, proxy):
    """The order ran out while nobody listened, and the next day's lists do not name it: it would be NEW for ever."""
    perm_id = rest(house)
    code, said, kinds = reconcile(house)
    assert code == 0, said
    house.stop()
    house.gateway.stop()
    # Tomorrow somewhere is today here: the gateway moves there, and its midnight passes.
    house.gateway.options = ["--time-zone", another_day(), "--tick", "0.2"]
    house.gateway.start()
    until(lambda: not listed(house, perm_id), why="the order did not expire")
    house.gateway.stop()
    house.gateway.options = house.gateway.options[:2]
    house.gateway.start()
    house.start()
    house.wait_ready()

    code, said, kinds = reconcile(house)

    assert (code, kinds["MISSING_AT_BROKER"]) == (1, 1), said
    assert house.status(perm_id) == "NEW"
    # IB's limit of 20 working orders does not count it: 20 more are taken, the next is refused.
    answers = [house.post("/order/limit", REST | {"limit_price": 90.0 + n / 10}).status_code for n in range(21)]
    assert answers[:20] == [200] * 20
    assert answers[20] == 403
    close_by_hand(house)
    assert house.status(perm_id) == "EXPIRED"
    assert house.history(perm_id)[-1] == "RESOLVED_EXPIRED"


def listed(house, perm_id):
    with RawClient.started(house.gateway.port, 97) as client:
        client.send(16, 1)
        orders = client.read_until(53)
        client.send(99, 0)
        orders += client.read_until(102)
    return any(str(perm_id) in message for message in orders)


def another_day():
    return "Pacific/Kiritimati" if datetime.now(UTC).hour >= 10 else "Etc/GMT+12"


def close_by_hand(house):
    """A person closes what is open, in the admin's words."""
    script = (
        "from orders.breaks import closing; from orders.breaks.models import *; from orders import events\n"
        "given = dict(reason='seen in this walk', actor='user:walker', request_id='walk')\n"
        "for row in Break.objects.filter(OPEN).select_related('order'):\n"
        "    if closing.needs_an_ending(row): closing.end_order(row.pk, events.ResolvedExpired, **given)\n"
        "    else: closing.close(row.pk, **given)\n"
    )
    environment = {
        **os.environ,
        "ENV_FILE": "",
        "DATA_DIR": str(house.directory),
        "DATABASE_URL": (house.directory / "database_url").read_text().strip(),
    }
    argv = [sys.executable, "manage.py", "shell", "-c", script]
    subprocess.run(argv, cwd=ROOT, env=environment, check=True, capture_output=True, timeout=60)
    assert house.rows("SELECT count(*) FROM orders_break WHERE closed_at IS NULL") == [(0,)]
    code, said, kinds = reconcile(house)
    assert (code, kinds) == (0, {}), said
