"""Orders of others at the same gateway, as the record shows them: the real session, the real paper gateway, and another
client of it, which places, changes and cancels as somebody in TWS would."""

import json
import subprocess
import sys
from decimal import Decimal

import pytest
from django.db import connection

from accounts.live import LiveBook
from gateway.reports import Query, SessionChanged, SessionState
from orders import reports
from orders.day import Day
from orders.models import Execution, Order
from orders.totals import ExecutedTotal
from tests.gateway.paper_process import PaperGateway
from tests.gateway.sessions import ready, session_with
from tests.orders.assertions import assert_history
from tests.orders.builders import ACCOUNT, GATEWAY, session_row

pytestmark = pytest.mark.django_db(transaction=True)
SYNC = (Query.ALL_OPEN_ORDERS, Query.COMPLETED_ORDERS, Query.EXECUTIONS)

# Told on standard input what to do, a line of JSON each; answers with the permId.
SOMEBODY = """
import json, sys
import ib_async
ib = ib_async.IB()
ib.connect("127.0.0.1", int(sys.argv[1]), clientId=int(sys.argv[2]))
(contract,) = ib.qualifyContracts(ib_async.Stock("AAPL", "SMART", "USD"))
order = None
for line in sys.stdin:
    verb, quantity, price = json.loads(line)
    if verb == "place":
        order = ib_async.LimitOrder("BUY", quantity, price, account="DU1000001", tif="DAY", orderRef="by hand")
        trade = ib.placeOrder(contract, order)
    elif verb == "change":
        order.totalQuantity, order.lmtPrice = quantity, price
        trade = ib.placeOrder(contract, order)
    elif verb == "cancel":
        ib.cancelOrder(order)
    elif verb == "cancel everything":
        ib.reqGlobalCancel()
    ib.sleep(0.3)
    print(trade.order.permId, flush=True)
ib.disconnect()
"""


class Somebody:
    def __init__(self, port, client_id):
        argv = [sys.executable, "-c", SOMEBODY, str(port), str(client_id)]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def does(self, verb, quantity=0, price=0.0):
        self._process.stdin.write(json.dumps([verb, quantity, price]) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def leave(self):
        self._process.communicate(timeout=10)


@pytest.fixture(params=[91, 0], ids=["another client", "client 0, as TWS"])
def world(request, transactional_db):
    """The gateway, somebody at it, and a function that syncs our record."""
    session_row(epoch=1)
    book, day = LiveBook(gateway=GATEWAY, epoch=1), Day(gateway=GATEWAY, epoch=1)

    def apply(report):
        if not day.gather(report, session="default/17/1/1"):
            book.apply(report)
            reports.apply_report(report, session="default/17/1/1", client_id=17)
        if isinstance(report, SessionChanged) and report.state is SessionState.DISCONNECTED:
            connection.close()

    with PaperGateway("--accounts", ACCOUNT) as gateway, session_with(gateway.port, apply, client_id=17) as session:
        ready(session)
        somebody = Somebody(gateway.port, request.param)

        def sync():
            for query in SYNC:
                session.ask(query, timeout=5)

        yield somebody, sync
        somebody.leave()


def test_placed_changed_and_cancelled_by_hand(world):
    somebody, sync = world
    perm_id = somebody.does("place", 10, 1.5)
    sync()
    order = Order.objects.get(perm_id=perm_id)
    assert_history(order, "adopted")
    assert (order.request_id, order.order_ref, order.status) == (None, "by hand", "NEW")

    somebody.does("change", 25, 2.25)
    sync()
    sync()
    assert_history(order, "adopted restated")
    assert (order.quantity, order.limit_price) == (25, Decimal("2.25"))

    somebody.does("cancel")
    sync()
    sync()
    assert_history(order, "adopted restated canceled")
    assert order.status == "CANCELED"


def test_filled_by_hand(world):
    somebody, sync = world
    perm_id = somebody.does("place", 10, 10_000.0)
    sync()
    sync()

    order = Order.objects.get(perm_id=perm_id)
    assert (order.status, order.filled_quantity, order.broker_status) == ("FILLED", 10, "Filled")
    assert {row.order_id for row in Execution.objects.all()} == {order.pk}
    assert ExecutedTotal.objects.get().quantity == 10


def test_cancelled_with_everything_else(world):
    somebody, sync = world
    perm_id = somebody.does("place", 10, 1.5)
    sync()
    somebody.does("cancel everything")
    sync()

    assert_history(Order.objects.get(perm_id=perm_id), "adopted canceled")
