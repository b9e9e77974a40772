from datetime import UTC, datetime
from decimal import Decimal

import pytest

from orders import events
from orders.vocabulary import EventKind
from tests.orders.samples import sample


@pytest.mark.parametrize("kind", EventKind)
def test_every_kind_has_one_event_class(kind):
    assert events.BY_KIND[kind].kind is kind


@pytest.mark.parametrize("kind", EventKind)
def test_payload_round_trip(kind):
    event = sample(kind, occurred_at=datetime(2026, 1, 15, 14, 30, tzinfo=UTC))

    payload = event.payload()

    assert "occurred_at" not in payload
    assert events.from_payload(kind, payload, occurred_at=event.occurred_at) == event


def test_an_empty_text_is_a_text():
    event = sample(EventKind.ERROR_REPORTED, text="")

    assert events.from_payload(event.kind, event.payload()) == event


def test_decimals_travel_as_text():
    payload = sample(EventKind.FILL, price=Decimal("230.10")).payload()

    assert payload["price"] == "230.10"
    assert payload["perm_id"] == 1788680597


@pytest.mark.parametrize(("quantity", "kind"), [("9.9999", "PARTIAL_FILL"), ("10", "FILL"), ("11", "FILL")])
def test_trade_is_a_fill_when_nothing_is_left(quantity, kind):
    trade = events.trade(
        exec_id="x.1.01",
        quantity=Decimal(quantity),
        price=Decimal(1),
        perm_id=1,
        leaves=Decimal(10),
        occurred_at=None,
    )

    assert trade.kind == kind


def test_events_cannot_be_changed():
    with pytest.raises(AttributeError):
        sample(EventKind.FILL).quantity = Decimal(1)
