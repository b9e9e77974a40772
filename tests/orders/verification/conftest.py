"""A record to be verified."""

import pytest

from audit.record import record_site
from orders import intake
from tests.orders.factories import CLIENT_ID, asked, bracket, execute, external_order, order_in


@pytest.fixture
def house(commit, notary):
    """Some orders in their lives, signed twice on the way."""
    bracket()
    execute(order_in("NEW"), quantity=4)
    commit()
    notary.sign()
    order = execute(external_order(symbol="IBM"), quantity=2)
    order_in("IN_DOUBT")
    record_site("login", "user:alice", {})
    intake.answer(bracket()[0].request, status_code=500, body={"detail": "unknown"}, settled=False, about=order)
    intake.request_cancel(asked(endpoint="/order/cancel"), perm_id=order_in("NEW").perm_id, client_id=CLIENT_ID)
    intake.refuse(asked(), reason="quantity: must be positive", status_code=400)
    commit()
    notary.sign()
    return order
