from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders import events, lifecycle
from orders.errors import IllegalTransition
from orders.lifecycle import TABLE, fold
from orders.vocabulary import FINAL, EventKind, OrderStatus
from tests.orders.samples import sample

OPENING = {EventKind.RECEIVED, EventKind.DENIED, EventKind.ADOPTED}
LATER = [kind for kind in EventKind if kind not in OPENING]
BLANK = [(status, kind) for status in OrderStatus for kind in LATER if (status, kind) not in TABLE]


def state_in(status, **changes):
    return lifecycle.OrderState(**{"status": OrderStatus(status), "quantity": Decimal(10)} | changes)


@pytest.mark.parametrize(("pair", "after"), TABLE.items(), ids=str)
def test_table(pair, after):
    status, kind = pair
    filled = Decimal({"PARTIALLY_FILLED": 4, "FILLED": 10}.get(status, 0))

    assert fold(state_in(status, filled_quantity=filled), sample(kind)).status is (
        OrderStatus.PARTIALLY_FILLED if after is OrderStatus.NEW and filled else after
    )


@pytest.mark.parametrize(("status", "kind"), BLANK)
def test_what_is_not_in_the_table_is_refused(status, kind):
    with pytest.raises(IllegalTransition):
        fold(state_in(status), sample(kind))


@pytest.mark.parametrize("kind", LATER)
def test_no_order_begins_with(kind):
    with pytest.raises(IllegalTransition):
        fold(None, sample(kind))


@pytest.mark.parametrize("kind", OPENING)
def test_no_order_begins_twice(kind):
    later = [pair for pair in TABLE if pair[1] is kind]

    # Denied is what an order can be from the first, and what may become of it while it waits to be sent.
    assert later == ([(OrderStatus.RECEIVED, kind)] if kind is EventKind.DENIED else [])


@pytest.mark.parametrize("status", OrderStatus)
@pytest.mark.parametrize("kind", [EventKind.PARTIAL_FILL, EventKind.FILL])
def test_a_fill_is_never_refused(status, kind):
    after = fold(state_in(status), sample(kind, quantity=Decimal(3)))

    assert after.filled_quantity == 3


def test_nothing_leads_back_to_received():
    assert OrderStatus.RECEIVED not in {after for (status, _), after in TABLE.items() if status != after}


@pytest.mark.parametrize("status", sorted(FINAL))
def test_final_statuses_are_left_only_by_the_brokers_word(status):
    left_by = {kind for (before, kind), after in TABLE.items() if before == status != after}

    assert left_by <= {
        EventKind.PARTIAL_FILL,
        EventKind.FILL,
        EventKind.FILLED_BY_CORRECTION,
        EventKind.OPENED_BY_CORRECTION,
        EventKind.ACCEPTED,
        EventKind.REJECTED,
        EventKind.CANCELED,
    }


def test_refused_cancel_of_a_partly_filled_order():
    state = state_in("PENDING_CANCEL", filled_quantity=Decimal(4))

    assert fold(state, sample("CANCEL_REJECTED")).status is OrderStatus.PARTIALLY_FILLED


def test_average_of_two_fills():
    state = state_in("NEW")

    state = fold(state, sample("PARTIAL_FILL", quantity=Decimal(4), price=Decimal("230.00")))
    state = fold(state, sample("FILL", quantity=Decimal(6), price=Decimal("230.10")))

    assert (state.status, state.filled_quantity, state.leaves_quantity) == ("FILLED", 10, 0)
    assert state.filled_notional == Decimal("2300.60")


def test_correction_replaces_what_was_counted():
    state = fold(state_in("NEW"), sample("PARTIAL_FILL", quantity=Decimal(4), price=Decimal("230.5")))

    state = fold(state, sample("TRADE_CORRECTED"))

    assert (state.filled_quantity, state.filled_notional) == (3, 693)


def test_undone_altogether_it_is_new_again():
    state = state_in("PARTIALLY_FILLED", filled_quantity=Decimal(4), filled_notional=Decimal(922))

    state = fold(state, sample("TRADE_CORRECTED", quantity=Decimal(0)))

    assert (state.status, state.filled_quantity, state.filled_notional) == ("NEW", 0, 0)


STREAM = st.lists(st.sampled_from(LATER), max_size=25)


@given(opening=st.sampled_from(sorted(OPENING)), kinds=STREAM)
def test_any_stream_of_events_keeps_the_rules(opening, kinds):
    state = fold(None, sample(opening))
    for kind in kinds:
        event = sample(kind)
        try:
            after = fold(state, event)
        except IllegalTransition:
            assert not isinstance(event, events.Trade)
            continue
        counted = after.filled_quantity - state.filled_quantity
        assert counted == (event.quantity if isinstance(event, events.Trade) else counted)
        assert isinstance(event, events.Trade | events.Correction) or counted == 0
        assert after.status is not OrderStatus.RECEIVED or state.status is OrderStatus.RECEIVED
        state = after
