from decimal import Decimal

import pytest

from orders import journal
from orders.models import Execution
from orders.vocabulary import EventKind, OrderStatus
from tests.orders import factories

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("status", OrderStatus)
def test_every_status_can_be_reached(status):
    order = factories.order_in(status)

    assert order.status == status
    assert journal.replay(order) == order.state()


@pytest.mark.parametrize(
    ("status", "kinds"),
    [
        ("RECEIVED", []),
        ("IN_DOUBT", ["SENT", "IN_DOUBT"]),
        ("REJECTED", ["SENT", "REJECTED"]),
        ("FILLED", ["SENT", "ACCEPTED", "FILL"]),
        ("PENDING_CANCEL", ["SENT", "ACCEPTED", "CANCEL_REQUESTED"]),
        ("CANCELED", ["SENT", "ACCEPTED", "CANCELED"]),
    ],
)
def test_the_way_is_an_ordinary_one(status, kinds):
    assert factories.path_to(OrderStatus(status)) == [EventKind(kind) for kind in kinds]


def test_fills_have_their_executions():
    order = factories.execute(factories.order_in("NEW", quantity=10), quantity=4, price="150")
    order = factories.execute(order, quantity=6, price="151")

    assert order.status == "FILLED"
    assert sum(row.quantity for row in Execution.objects.filter(order=order)) == order.filled_quantity == 10
    assert order.average_price == Decimal("150.6")
