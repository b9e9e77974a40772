from dataclasses import replace
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.breaks.books import Comparison, Point, Standing, Terms
from orders.breaks.comparison import agree, compare, confirmed, news
from orders.breaks.vocabulary import BreakKind, Severity
from orders.families import bust_of
from tests.orders.breaks.books import ACCOUNT, CON_ID, EXECUTION, HOLDING, LISTED, ORDER, STAMP, TERMS, books

W, F, E, N = Standing.WORKING, Standing.FILLED, Standing.ENDED, Standing.NEVER_PLACED
OVER = {"standing": E, "terms": None}
CRITICAL, WARNING = Severity.CRITICAL, Severity.WARNING


def found(**changes):
    ours, theirs = books(**changes)
    return [
        (str(point.kind), point.expected, point.actual, point.severity) for point in compare(ours, theirs).differences
    ]


def test_books_that_agree():
    assert found() == []


@pytest.mark.parametrize(
    ("case", "changes", "kind", "expected", "actual", "severity"),
    [
        ("order gone at the broker", {"listed": None}, "MISSING_AT_BROKER", "New", "not listed", CRITICAL),
        (
            "day order that ran out",
            {"listed": None, "order": {"lapses": True}},
            "MISSING_AT_BROKER",
            "New",
            "not listed",
            WARNING,
        ),
        (
            "execution gone at the broker",
            {"listed_execution": None},
            "MISSING_AT_BROKER",
            "4 at 150.2",
            "not listed",
            CRITICAL,
        ),
        ("order without a row", {"order": None}, "MISSING_HERE", "no record", "permId 1788680597", CRITICAL),
        ("execution without a row", {"execution": None}, "MISSING_HERE", "no record", "4 at 150.2", CRITICAL),
        (
            "stamp of ours without a row",
            {"order": {"stamp": None}},
            "MISSING_HERE",
            "no record",
            "permId 1788680597",
            CRITICAL,
        ),
        ("fills missing here", {"listed": {"filled": D(6)}}, "QUANTITY", D(4), D(6), CRITICAL),
        (
            "fills of an order placed elsewhere",
            {"order": {"stamp": None}, "listed": {"stamp": None, "filled": D(6)}},
            "QUANTITY",
            D(4),
            D(6),
            WARNING,
        ),
        (
            "quantity changed elsewhere",
            {"listed": {"terms": replace(TERMS, quantity=D(8))}},
            "QUANTITY",
            D(10),
            D(8),
            WARNING,
        ),
        (
            "limit changed elsewhere",
            {"listed": {"terms": replace(TERMS, limit_price=D(149))}},
            "PRICE",
            D("150.25"),
            D(149),
            WARNING,
        ),
        (
            "limit taken away",
            {"listed": {"terms": replace(TERMS, limit_price=None)}},
            "PRICE",
            D("150.25"),
            "no price",
            WARNING,
        ),
        ("stop added", {"listed": {"terms": replace(TERMS, stop_price=D(140))}}, "PRICE", "no price", D(140), WARNING),
        ("executed quantity", {"listed_execution": {"quantity": D(3)}}, "QUANTITY", D(4), D(3), CRITICAL),
        ("executed side", {"listed_execution": {"quantity": D(-4)}}, "QUANTITY", D(4), D(-4), CRITICAL),
        ("executed price", {"listed_execution": {"price": D("150.3")}}, "PRICE", D("150.20"), D("150.3"), CRITICAL),
        ("works there, over here", {"order": {"standing": E}}, "STATUS", E, W, CRITICAL),
        ("works there, filled here", {"order": {"standing": F}}, "STATUS", F, W, CRITICAL),
        ("works there, never placed here", {"order": {"standing": N}}, "STATUS", N, W, CRITICAL),
        ("over there, works here", {"listed": OVER}, "STATUS", W, E, WARNING),
        (
            "filled there, works here",
            {"listed": {"standing": F, "filled": D(10), "terms": None}},
            "STATUS",
            W,
            F,
            WARNING,
        ),
        ("more held than explained", {"held": {"quantity": D(9)}}, "POSITION", D(4), D(9), CRITICAL),
        ("closed without an execution", {"held": None}, "POSITION", D(4), D(0), CRITICAL),
        ("held without an execution", {"holding": None}, "POSITION", D(0), D(4), CRITICAL),
        ("fill without an order", {"orphans": (EXECUTION,)}, "ORPHAN_FILL", "no record", "4 at 150.2", CRITICAL),
        (
            "filled beyond the quantity",
            {"order": {"filled": D(12), "standing": F}, "listed": {"filled": D(12), "standing": F, "terms": None}},
            "OVERFILL",
            D(10),
            D(12),
            CRITICAL,
        ),
        (
            "two rows of one permId",
            {"orders": (ORDER, replace(ORDER, pk=6, stamp=None))},
            "DUPLICATE_PERM_ID",
            "2 orders",
            "1 order",
            CRITICAL,
        ),
    ],
)
def test_one_difference(case, changes, kind, expected, actual, severity):
    differences = found(**changes)

    assert differences == [(kind, expected, actual, severity)]


@pytest.mark.parametrize(
    ("case", "changes", "agrees"),
    [
        ("nothing differs", {}, True),
        ("a figure differs", {"listed": {"filled": D(6)}}, False),
        ("nobody here knows how it stands", {"order": {"standing": None}}, False),
        ("nobody there says how it stands", {"listed": {"standing": None}}, False),
        ("an order that is not on record", {"order": None}, False),
        ("an execution that is not on record", {"execution": None}, False),
        ("a break about it is watched", {"watched": {("QUANTITY", "order 5 filled quantity"): "6"}}, False),
        ("a break about another is watched", {"watched": {("QUANTITY", "order 6 filled quantity"): "6"}}, True),
        ("what is held is not looked at", {"held": {"quantity": D(9)}}, True),
    ],
)
def test_what_agrees_as_it_is_told(case, changes, agrees):
    ours, theirs = books(**changes)

    assert agree(ours, theirs) is agrees


def test_what_was_found_to_agree_is_listed():
    ours, theirs = books(order={"standing": W}, listed=None, execution=None, listed_execution=None)
    assert [str(point.kind) for point in compare(ours, theirs).differences] == ["MISSING_AT_BROKER"]

    assert compare(ours, replace(theirs, agreed_orders=frozenset({ORDER.pk}))).differences == ()


def test_a_break_of_an_order_that_is_listed_does_not_close_as_if_it_were_not():
    watched = {("STATUS", f"order {ORDER.pk} status"): str(E)}
    over = {"order": {"standing": E}, "listed": None, "execution": None, "listed_execution": None}
    ours, theirs = books(**over, watched=watched)
    assert compare(ours, theirs).agreed == watched.keys()

    assert compare(ours, replace(theirs, agreed_orders=frozenset({ORDER.pk}))).agreed == frozenset()


def test_a_bust_of_what_the_broker_lists_is_not_missing_there():
    bust = replace(EXECUTION, pk=8, exec_id=bust_of(EXECUTION.exec_id), quantity=D(0))
    ours, theirs = books()
    ours = replace(ours, executions={**ours.executions, (ACCOUNT, bust.exec_id): bust})

    assert compare(ours, theirs).differences == ()


def test_one_stamp_on_two_orders():
    ours, theirs = books(orders=(ORDER, replace(ORDER, pk=6, perm_id=99, stamp=None)))
    theirs = replace(theirs, orders={**theirs.orders, (ACCOUNT, 99): replace(LISTED, perm_id=99)})

    (point,) = compare(ours, theirs).differences

    assert (point.kind, point.expected, point.actual) == ("DUPLICATE_PERM_ID", "permId 1788680597", "permId 99 as well")
    assert point.order_pk == ORDER.pk


@pytest.mark.parametrize(
    ("case", "changes"),
    [
        ("claimed or in doubt here", {"order": {"standing": None}}),
        ("claimed and not listed yet", {"order": {"standing": None}, "listed": None}),
        ("a word that decides nothing", {"listed": {"standing": None, "terms": None}}),
        ("over on both sides, with other terms", {"order": {"standing": E}, "listed": OVER}),
        ("the broker does not say what was filled", {"listed": {"filled": None}}),
        ("over here and no longer listed", {"order": {"standing": E}, "listed": None}),
        ("told on an earlier connection", {"execution": {"listed_today": False}, "listed_execution": None}),
        ("an account not looked at before", {"anchored": frozenset(), "held": {"quantity": D(9)}}),
        ("currencies are no positions", {"holding": {"security_type": "CASH"}, "held": None}),
        ("combinations are no positions", {"holding": {"security_type": "BAG"}, "held": None}),
        ("found by its stamp, not acknowledged", {"order": {"perm_id": None, "standing": None}}),
    ],
)
def test_no_difference(case, changes):
    assert found(**changes) == []


def test_a_correction_stands_for_what_it_corrects():
    ours, theirs = books(
        executions={
            (ACCOUNT, "a.b.01.01"): replace(EXECUTION, exec_id="a.b.01.01"),
            (ACCOUNT, "a.b.01.02"): replace(EXECUTION, exec_id="a.b.01.02", quantity=D(3)),
        },
        listed_execution={"exec_id": "a.b.01.02", "quantity": D(3)},
    )

    assert compare(ours, theirs).differences == ()


def test_a_status_that_differs_hides_what_follows_from_it():
    listed = {"standing": F, "filled": D(10), "terms": None}

    assert [kind for kind, *_ in found(listed=listed)] == ["STATUS"]


# What closes a break by itself


def agreed(watched, **changes):
    ours, theirs = books(**changes)
    differences = {point.id for point in compare(replace(ours, watched=watched), theirs).differences}
    seen = compare(replace(ours, watched=watched), theirs).agreed
    assert not seen & differences
    return seen


def the_break(**changes):
    """The identity of the one difference these changes make, with what the broker said."""
    (point,) = compare(*books(**changes)).differences
    return {point.id: str(point.actual)}


@pytest.mark.parametrize(
    ("case", "changes"),
    [
        ("listed again", {"listed": None}),
        ("its execution listed again", {"listed_execution": None}),
        ("on record now", {"order": None}),
        ("its execution on record now", {"execution": None}),
        ("its fills on record now", {"listed": {"filled": D(6)}}),
        ("terms as they should be", {"listed": {"terms": replace(TERMS, limit_price=D(149))}}),
        ("the same status", {"listed": OVER}),
        ("position explained", {"held": {"quantity": D(9)}}),
        ("fill with an order", {"orphans": (EXECUTION,)}),
        ("price corrected", {"listed_execution": {"price": D("150.3")}}),
        ("overfill corrected", {"order": {"filled": D(12)}, "listed": {"filled": D(12)}}),
    ],
)
def test_agreement_closes(case, changes):
    watched = the_break(**changes)

    assert agreed(watched) == watched.keys()
    assert agreed(watched, **changes) == set()


@pytest.mark.parametrize(
    ("case", "changes", "later"),
    [
        ("ended order", {"order": {"standing": E}, "listed": OVER | {"filled": D(6)}}, {"order": {"standing": E}}),
        ("other status", {"order": {"standing": E}}, {"order": {"standing": E}}),
        (
            "execution of an earlier day",
            {"listed_execution": None},
            {"execution": {"listed_today": False}, "listed_execution": None},
        ),
    ],
)
def test_what_is_listed_no_longer_closes_nothing(case, changes, later):
    watched = the_break(**changes)

    assert agreed(watched, **{"listed": None} | later) == set()


def test_our_book_may_come_to_say_what_the_broker_said_last():
    watched = the_break(order={"standing": E}, listed=OVER | {"filled": D(6)})

    assert agreed(watched, order={"standing": E, "filled": D(5)}, listed=None) == set()
    assert agreed(watched, order={"standing": E, "filled": D(6)}, listed=None) == watched.keys()


def test_an_order_that_ended_is_missing_no_longer():
    watched = the_break(listed=None)

    assert agreed(watched, order={"standing": E}, listed=None) == watched.keys()


def test_terms_of_an_order_that_ended_bind_nobody():
    watched = the_break(listed={"terms": replace(TERMS, limit_price=D(149))})

    assert agreed(watched, order={"standing": E}, listed=OVER) == watched.keys()
    assert agreed(watched, order={"standing": E}, listed=None) == watched.keys()


def test_a_position_that_is_nowhere_any_more_agrees():
    watched = the_break(holding=None)

    assert agreed(watched, holding=None, held=None) == watched.keys()


@pytest.mark.parametrize("changes", [{"orphans": (EXECUTION,)}, {"holding": None}])
def test_accounts_the_broker_did_not_answer_for_are_left_alone(changes):
    watched = the_break(**changes)
    elsewhere = {"accounts": frozenset({"U2"}), "anchored": frozenset({"U2"}), "holding": None, "held": None}

    assert agreed(watched, **elsewhere) == set()


def test_a_second_order_with_one_stamp_is_closed_by_a_person_alone():
    orders = (ORDER, replace(ORDER, pk=6, perm_id=99, stamp=None))
    ours, theirs = books(orders=orders)
    twice = replace(theirs, orders={**theirs.orders, (ACCOUNT, 99): replace(LISTED, perm_id=99)})
    (point,) = compare(ours, twice).differences

    assert agreed({point.id: str(point.actual)}, orders=orders) == set()


# The second look


def point(**changes):
    values = {"kind": BreakKind.QUANTITY, "key": "order 5 filled quantity", "account": ACCOUNT, "symbol": "AAPL"}
    return Point(**values | {"subject": "Filled", "expected": D(4), "actual": D(6)} | changes)


@pytest.mark.parametrize(
    ("case", "first", "second", "kept"),
    [
        ("seen twice", [point()], [point()], 1),
        ("only before", [point()], [], 0),
        ("only now", [], [point()], 0),
        ("both sides moved together", [point()], [point(expected=D(5), actual=D(7))], 1),
        ("on its way", [point()], [point(expected=D(5))], 0),
        ("another thing", [point()], [point(key="order 6 filled quantity")], 0),
        ("words that changed", [point(expected="a", actual="b")], [point(expected="a", actual="c")], 0),
        ("a figure where a word was", [point(actual="none")], [point()], 0),
    ],
)
def test_a_second_look(case, first, second, kept):
    ours, _ = books()
    looks = [Comparison(differences=tuple(points)) for points in (first, second)]

    assert len(confirmed(*looks, ours).differences) == kept


def test_what_is_watched_needs_no_second_look():
    ours, _ = books(watched={point().id: "6"})
    now = Comparison(differences=(point(),), agreed=frozenset({("STATUS", "x")}))

    assert not news(now, ours)
    assert confirmed(Comparison(), now, ours) == now
    assert news(Comparison(differences=(point(key="new"),)), ours)


# Whatever the books say

quantities = st.decimals(min_value=0, max_value=20, places=0)
standings = st.sampled_from([*Standing, None])
terms = st.builds(Terms, quantity=quantities, limit_price=st.none() | quantities, stop_price=st.none() | quantities)


@given(
    order=st.none() | st.fixed_dictionaries({"standing": standings, "filled": quantities, "terms": terms}),
    listed=st.none()
    | st.fixed_dictionaries({"standing": standings, "filled": st.none() | quantities, "terms": st.none() | terms}),
    held=st.none() | st.fixed_dictionaries({"quantity": quantities}),
)
def test_each_difference_is_named_once_and_closes_when_repaired(order, listed, held):
    ours, theirs = books(order=order, listed=listed, held=held)
    looked = compare(ours, theirs)
    identities = [difference.id for difference in looked.differences]

    assert len(set(identities)) == len(identities)
    watched = {difference.id: str(difference.actual) for difference in looked.differences}
    again = compare(replace(ours, watched=watched), theirs)
    assert [difference.id for difference in again.differences] == identities
    assert again.agreed == frozenset()


def test_the_helpers_know_every_kind():
    """Each kind has its row above: one that is added without a test fails here."""
    (table,) = [mark for mark in test_one_difference.pytestmark if mark.name == "parametrize"]

    of_statements_alone = {BreakKind.COMMISSION, BreakKind.SIDE, BreakKind.CONTRACT}
    assert {row[2] for row in table.args[1]} == set(BreakKind.values) - of_statements_alone
    assert (HOLDING.quantity, CON_ID, STAMP) == (D(4), 265598, ORDER.stamp)
