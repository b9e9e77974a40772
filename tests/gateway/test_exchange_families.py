"""Brackets, held orders and one-cancels-all groups."""

import pytest

from gateway.paper.book import Side
from gateway.paper.orders import Opened, Status
from tests.gateway.trading import Floor


@pytest.fixture
def floor() -> Floor:
    return Floor()


def bracket(floor: Floor, *, entry: str = "230", client: int = 1, **terms: object) -> None:
    """Entry 1, take profit 2, stop loss 3, transmitted with the last."""
    floor.place(1, "BUY", 10, "LMT", limit=entry, transmit=False, client=client, **terms)  # type: ignore[arg-type]
    floor.place(2, "SELL", 10, "LMT", limit="240", transmit=False, parent_id=1, client=client)
    floor.place(3, "SELL", 10, "STP", stop="225", parent_id=1, client=client)


def status(floor: Floor, order_id: int) -> Status:
    return floor.order(order_id).status


def test_nothing_is_told_before_the_last_leg(floor: Floor) -> None:
    held = floor.place(1, "BUY", 10, "LMT", limit="230", transmit=False)
    floor.place(2, "SELL", 10, "LMT", limit="240", transmit=False, parent_id=1)

    assert held.held
    assert floor.history() == []
    assert not floor.exchange.register.working

    floor.place(3, "SELL", 10, "STP", stop="225", parent_id=1)

    assert floor.history() == [
        *("oO Submitted", "Submitted 0/10"),
        *("oO PreSubmitted", "PreSubmitted 0/10"),
        *("oO PreSubmitted", "PreSubmitted 0/10"),
    ]
    assert floor.order(1).perm_id == held.perm_id


def test_the_same_id_transmits_a_held_order(floor: Floor) -> None:
    held = floor.place(1, "BUY", 10, "LMT", limit="230", transmit=False)
    floor.place(1, "BUY", 20, "LMT", limit="229")

    assert floor.history() == ["oO Submitted", "Submitted 0/20"]
    assert floor.order(1).perm_id == held.perm_id


def test_a_held_order_uses_up_its_id(floor: Floor) -> None:
    floor.place(5, "BUY", 10, transmit=False)

    assert floor.exchange.register.next_valid_id(1) == 6
    assert floor.place(4, "BUY", 10).code == 103


def test_a_held_order_can_be_cancelled_and_its_children_go_too(floor: Floor) -> None:
    floor.place(1, "BUY", 10, "LMT", limit="230", transmit=False)
    floor.place(2, "SELL", 10, "LMT", limit="240", transmit=False, parent_id=1)

    floor.cancel(1)

    assert floor.history() == ["Cancelled 0/10", "error 202"] * 2
    assert floor.cancel(1).code == 10147


def test_children_start_when_the_parent_is_filled(floor: Floor) -> None:
    bracket(floor)
    floor.history()

    floor.fair("229.80")

    assert floor.history(1)[-1] == "commission"
    assert floor.history(2) == ["oO Submitted", "Submitted 0/10"]
    assert floor.history(3) == ["oO PreSubmitted", "PreSubmitted trigger 0/10"] * 2


def test_a_bracket_whose_entry_fills_at_once(floor: Floor) -> None:
    bracket(floor, entry="235")

    assert [status(floor, order_id) for order_id in (1, 2, 3)] == [
        Status.FILLED,
        Status.SUBMITTED,
        Status.PRE_SUBMITTED,
    ]


@pytest.mark.parametrize(("fair", "filled", "cancelled"), [("240.50", 2, 3), ("224.50", 3, 2)])
def test_exits_cancel_each_other(floor: Floor, fair: str, filled: int, cancelled: int) -> None:
    bracket(floor, entry="235")
    floor.history()

    floor.fair(fair)

    assert status(floor, filled) is Status.FILLED
    assert floor.history(cancelled) == ["Cancelled 0/10", "error 202"]
    assert not list(floor.exchange.accounts["DU1000001"].holdings())


def test_children_wait_for_a_partly_filled_parent() -> None:
    floor = Floor()
    best = floor.market().book.levels(Side.SELL)[0]
    floor.place(1, "BUY", best.quantity + 10, "LMT", limit=best.price, transmit=False)
    floor.place(2, "SELL", best.quantity + 10, "LMT", limit="240", parent_id=1)

    assert floor.order(1).filled == best.quantity
    assert status(floor, 2) is Status.PRE_SUBMITTED


def test_children_leave_with_their_parent(floor: Floor) -> None:
    bracket(floor)
    floor.history()

    floor.cancel(1)

    assert floor.history() == [
        *("PendingCancel 0/10", "Cancelled 0/10", "error 202"),
        *("Cancelled 0/10", "error 202"),
        *("Cancelled 0/10", "error 202"),
    ]


def test_children_of_a_parent_without_funds_are_refused(floor: Floor) -> None:
    floor.place(1, "BUY", 100_000, "LMT", limit="230", transmit=False)
    floor.place(2, "SELL", 100_000, "LMT", limit="240", parent_id=1)

    assert floor.history(1) == ["oO Inactive", "Inactive 0/100000", "error 201"]
    assert floor.history(2) == ["oO Inactive", "Inactive 0/100000", "error 201"]


@pytest.mark.parametrize(("case", "entry", "code"), [("cancelled", "230", 135), ("filled", "240", 0)])
def test_a_child_of_a_parent_that_is_done(floor: Floor, case: str, entry: str, code: int) -> None:
    floor.place(1, "BUY", 10, "LMT", limit=entry)
    floor.cancel(1)

    assert floor.place(2, "SELL", 10, "LMT", limit="240", parent_id=1).code == code


def test_a_leg_refused_at_validation_is_not_part_of_the_family(floor: Floor) -> None:
    floor.place(1, "BUY", 10, "LMT", limit="230", transmit=False)

    assert floor.place(2, "SELL", 10, "LMT", limit="240.001", transmit=False, parent_id=1).code == 110
    assert list(floor.exchange.register.held) == [(1, 1)]


def test_families_of_two_clients_do_not_mix(floor: Floor) -> None:
    floor.place(1, "BUY", 10, "LMT", limit="230", transmit=False, client=2)
    bracket(floor, client=1)

    assert list(floor.exchange.register.held) == [(2, 1)]


def test_a_childs_price_can_be_changed_while_it_waits(floor: Floor) -> None:
    bracket(floor)
    floor.history()

    floor.place(3, "SELL", 10, "STP", stop="226", parent_id=1)

    assert floor.history() == ["oO PreSubmitted", "PreSubmitted 0/10"]
    floor.fair("229.90")
    floor.fair("225.90")
    assert status(floor, 3) is Status.FILLED


def test_children_are_shown_as_a_group_of_type_3(floor: Floor) -> None:
    bracket(floor)

    shown = [event.order for event in floor.told if isinstance(event, Opened)]
    parent, *children = shown
    assert parent.oca_group == ""
    assert {(child.oca_group, child.oca_type) for child in children} == {(str(parent.perm_id), 3)}


# One cancels all


def group(floor: Floor, oca_type: int, *quantities: int) -> None:
    """Sell limits of one group, all inside the spread's upper edge; the first is the cheapest."""
    price = floor.best(Side.SELL) - floor.market().listing.tick
    for order_id, quantity in enumerate(quantities, start=1):
        floor.place(
            order_id,
            "SELL",
            quantity,
            "LMT",
            limit=price if order_id == 1 else price + order_id,
            oca_group="g",
            oca_type=oca_type,
        )
    floor.history()


@pytest.mark.parametrize("oca_type", [1, 2, 3])
def test_a_fill_cancels_the_others(floor: Floor, oca_type: int) -> None:
    group(floor, oca_type, 10, 10, 10)

    floor.place(1, "BUY", 10, client=2)

    assert floor.order(1).status is Status.FILLED
    assert [status(floor, order_id) for order_id in (2, 3)] == [Status.CANCELLED] * 2


def test_type_1_cancels_at_a_partial_fill(floor: Floor) -> None:
    group(floor, 1, 10, 10)

    floor.place(1, "BUY", 4, client=2)

    assert (status(floor, 1), status(floor, 2)) == (Status.SUBMITTED, Status.CANCELLED)


@pytest.mark.parametrize("oca_type", [2, 3])
def test_types_2_and_3_reduce_at_a_partial_fill(floor: Floor, oca_type: int) -> None:
    group(floor, oca_type, 10, 10)

    floor.place(1, "BUY", 4, client=2)

    assert floor.order(2).quantity == 6
    assert [words for words in floor.history(2) if "/6" in words] == ["Submitted 0/6"]


def test_groups_belong_to_an_account() -> None:
    floor = Floor(accounts=("DU1", "DU2"))
    for order_id, account in enumerate(("DU1", "DU2"), start=1):
        floor.place(order_id, "BUY", 10, "LMT", limit="230", oca_group="g", oca_type=1, account=account)

    floor.place(3, "BUY", 10, "MKT", oca_group="g", oca_type=1, account="DU1")

    assert status(floor, 1) is Status.CANCELLED
    assert status(floor, 2) is Status.SUBMITTED


def test_cancelling_a_member_leaves_the_others(floor: Floor) -> None:
    group(floor, 1, 10, 10)

    floor.cancel(1)

    assert status(floor, 2) is Status.SUBMITTED
