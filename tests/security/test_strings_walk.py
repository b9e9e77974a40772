"""Strings through the running house: what the paper gateway noted of an order is what the client wrote, or nothing is.

The rules for what may pass are not repeated: what was taken is compared, and what was refused is not there.
"""

import json

from hypothesis import HealthCheck, example, given, seed, settings

from orders import stamps
from tests.security.hostile import LIMIT, posted
from tests.security.raw_http import send
from tests.security.test_wire_strings import ACTIONS, REFERENCES, STRINGS

COMPARED = ("symbol", "side", "type", "quantity", "limitPrice", "stopPrice", "account", "tif", "parentId", "ocaGroup")


def placements(house):
    return [entry for entry in house.gateway.ledger() if entry["kind"] == "placement"]


@seed(6)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(action=ACTIONS, order_ref=REFERENCES, key=STRINGS)
@example(action="sell", order_ref="a~ABCDEFGHIJKLM", key="~")
@example(action="BUY", order_ref='"}, {"quantity": 9}', key="a b")
@example(action="BUY", order_ref="x\x00DU1000002", key="k")
def test_strings_walk(target, action, order_ref, key):
    before = len(placements(target))
    body = LIMIT | {"action": action, "order_ref": order_ref, "limit_price": 999 if action.upper() == "SELL" else 1.5}
    sent = posted("/order/limit", body, b"Idempotency-Key: " + key.encode("utf-8", "surrogatepass"))
    if sent.count(b"\r\n\r\n") > 1 or sent.count(b"\n") != sent.count(b"\r\n"):
        return  # a key that ends its own header is another request: see `hostile.framing`

    reply = send(target.port, [sent])

    new = placements(target)[before:]
    if reply is None or reply.status != 200:
        assert new == []
        return
    perm_id = json.loads(reply.body)["permId"]
    if "idempotent-replayed" in reply.headers:
        assert new == []
        return
    (told,) = new
    reference, stamp = stamps.split(told["orderRef"])
    ((stored, symbol, stored_key),) = target.rows(
        "SELECT o.order_ref, o.symbol, r.idempotency_key FROM orders_order o"
        " JOIN orders_orderrequest r ON r.id = o.request_id WHERE o.stamp = %s AND o.perm_id = %s",
        stamp,
        perm_id,
    )
    assert (stored, symbol, stored_key) == (order_ref, "AAPL", key.strip())
    assert stamps.stamped(order_ref, stamp) == told["orderRef"]
    assert [told[name] for name in COMPARED] == [
        "AAPL",
        action.upper(),
        "LMT",
        "1",
        "999" if action.upper() == "SELL" else "1.5",
        None,
        "DU1000001",
        "DAY",
        0,
        "",
    ]
    assert target.post("/order/cancel", {"perm_id": perm_id}).status_code == 200
