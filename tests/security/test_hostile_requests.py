"""Every row of `hostile.ROWS`, over a bare socket to the running house: refused in a sentence, nothing is done."""

import pytest

from tests.security.hostile import LIMIT, NOT_HTTP, ROWS, posted
from tests.security.raw_http import send


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_a_hostile_request(target, seen, row):
    with seen.unchanged():
        reply = send(target.port, row.pieces, pause=row.pause)

        assert row.fits(reply), reply
        assert reply is None or reply.rest == b"", "one request was taken for two"


def test_there_are_many_and_each_is_another():
    assert len({row.pieces for row in ROWS}) == len(ROWS) >= 150
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert sum(row.status == NOT_HTTP for row in ROWS) < 50, "most of them are refused by us, and not before us"


def test_refusals_are_kept_with_what_was_told(target):
    reply = send(target.port, [posted("/order/limit", LIMIT | {"quantity": 0}, "X-Request-Id: hostile-1")])

    query = (
        "SELECT r.refusal, a.status_code, a.body FROM orders_orderrequest r"
        " JOIN orders_requestanswer a ON a.request_id = r.id WHERE r.request_id = 'hostile-1'"
    )
    assert target.rows(query) == [(reply.detail, 400, {"detail": reply.detail})]


def test_the_same_order_is_taken_when_nothing_is_wrong_with_it(target):
    """So that no row was refused for what all of them share."""
    reply = send(target.port, [posted("/order/limit", LIMIT)])

    assert reply.status == 200, reply
    (order,) = target.get("/orders").json()["orders"]
    assert target.post("/order/cancel", {"perm_id": order["permId"]}).status_code == 200
