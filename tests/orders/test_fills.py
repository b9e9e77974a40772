"""Each execution once, each trade by its last word, in whatever order they come and whoever tells of them."""

import threading
from dataclasses import replace
from decimal import Decimal
from itertools import permutations

import pytest
from django.db import connection, transaction
from django.db.models import Case, F, Sum, Value, When
from django.db.models.sql import Query
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from accounts.models import BrokerAccount
from gateway.reports import ContractFacts
from orders import families, fills, journal
from orders.fills import Outcome
from orders.models import Execution, Order
from orders.totals import ExecutedTotal
from orders.vocabulary import Actor, ExecutionSource
from tests.orders.assertions import assert_history
from tests.orders.builders import AAPL, ACCOUNT, NOW, completed_order, execution, open_order, order_status, session_row
from tests.orders.factories import order_in
from tests.orders.worker import tell

pytestmark = pytest.mark.django_db
ORIGIN = journal.Origin(actor=Actor.BROKER)
TRADE = "0000e0d5.67a1b2c3.01"
OPTION = ContractFacts(con_id=700001, symbol="AAPL", security_type="OPT", currency="USD")


@pytest.fixture(autouse=True)
def account(db):
    return session_row()


@pytest.fixture
def working():
    return order_in("NEW")


def word(order, revision, quantity, **changes):
    """One word on the trade: `.01` is its first."""
    return trade_of(order, exec_id=f"{TRADE}.{revision:02}", quantity=Decimal(quantity), **changes)


def trade_of(order, **changes):
    return execution(order, **({"perm_id": order.perm_id} if order else {}) | changes)


def record(fill, source=ExecutionSource.REQUESTED):
    return fills.record(fill, source=source, origin=ORIGIN)


def effective():
    return list(Execution.objects.effective().order_by("exec_id").values_list("exec_id", flat=True))


def total(symbol="AAPL", security_type="STK"):
    found = ExecutedTotal.objects.filter(account=ACCOUNT, symbol=symbol, security_type=security_type)
    return found.aggregate(total=Sum("quantity"))["total"]


def added_up():
    signed = Sum(Case(When(side="BUY", then=F("quantity")), default=-F("quantity")), default=Decimal(0))
    return Execution.objects.effective().aggregate(total=signed)["total"]


# --- Corrections, in any order -------------------------------------------------------------------------------------

QUANTITIES = {1: 4, 2: 10, 3: 6}  # of ten: filled by the second word, open again by the third
ANY_ORDER = [order for size in (1, 2, 3) for order in permutations(QUANTITIES, size)]


@pytest.mark.parametrize("revisions", ANY_ORDER, ids=str)
def test_the_highest_revision_counts(working, revisions):
    for revision in revisions:
        tell(word(working, revision, QUANTITIES[revision]))
    working.refresh_from_db()

    last = max(revisions)
    assert effective() == [f"{TRADE}.{last:02}"]
    assert working.filled_quantity == total() == QUANTITIES[last]
    assert working.status == ("FILLED" if last == 2 else "PARTIALLY_FILLED")
    assert Execution.objects.count() == len(revisions)


@pytest.mark.parametrize(
    ("revisions", "outcomes"),
    [
        ((1, 1), "TRADE KNOWN"),
        ((1, 2, 1, 2), "TRADE CORRECTION KNOWN KNOWN"),
        ((2, 1, 3), "TRADE OVERTAKEN CORRECTION"),
        ((1, 3, 2, 3), "TRADE CORRECTION OVERTAKEN KNOWN"),
        ((3, 2, 1), "TRADE OVERTAKEN OVERTAKEN"),
    ],
)
def test_outcomes(working, revisions, outcomes):
    said = [record(word(working, revision, QUANTITIES[revision])) for revision in revisions]

    assert said == [Outcome[name] for name in outcomes.split()]


def test_what_replaced_what(working):
    for revision in (2, 1, 4, 3, 5):
        record(word(working, revision, 5))

    replaced = Execution.objects.order_by("pk").values_list("exec_id", "replaces")
    assert [(name[-2:], other[-2:]) for name, other in replaced] == [
        ("02", ""),
        ("01", ""),
        ("04", "02"),
        ("03", ""),
        ("05", "04"),
    ]


def test_a_correction_that_leaves_nothing(working):
    tell(word(working, 1, 8))
    tell(word(working, 2, 10))

    assert_history(working, "received sent accepted partial_fill filled_by_correction")
    assert working.status == "FILLED"


def test_a_correction_that_opens_again(working):
    tell(word(working, 1, 10))
    tell(word(working, 2, 8))

    assert_history(working, "received sent accepted fill opened_by_correction")
    assert (working.status, working.state().leaves_quantity) == ("PARTIALLY_FILLED", 2)


def test_a_corrected_price(working):
    tell(word(working, 1, 10, price=Decimal("230")))
    tell(word(working, 2, 10, price=Decimal("229")))

    assert_history(working, "received sent accepted fill trade_corrected")
    assert (working.status, working.average_price) == ("FILLED", 229)


def test_one_of_two_trades_is_corrected(working):
    tell(trade_of(working, quantity=Decimal(6)))
    tell(word(working, 1, 4))
    tell(word(working, 2, 3))

    working.refresh_from_db()
    assert (working.status, working.filled_quantity, total()) == ("PARTIALLY_FILLED", 9, 9)


def test_filled_by_correction_while_a_cancel_is_pending():
    order = order_in("PENDING_CANCEL")
    tell(word(order, 1, 9))
    tell(word(order, 2, 10))

    order.refresh_from_db()
    assert order.status == "FILLED"


def test_what_had_been_cancelled_before_its_last_fill_does_not_work_again(working):
    tell(order_status(working.perm_id, "Cancelled"))
    tell(word(working, 1, 10))
    tell(word(working, 2, 7))

    assert_history(working, "received sent accepted canceled fill opened_by_correction canceled")
    assert (working.status, working.filled_quantity) == ("CANCELED", 7)


# --- Busts ----------------------------------------------------------------------------------------------------------


def test_a_bust_as_a_correction_to_nothing(working):
    tell(word(working, 1, 10))
    tell(word(working, 2, 0))

    assert_history(working, "received sent accepted fill opened_by_correction")
    assert (working.status, working.filled_quantity, working.average_price) == ("NEW", 0, None)
    assert (effective(), total(), Execution.objects.count()) == ([], 0, 2)


@pytest.mark.parametrize("bust_comes", ["after", "before"])
def test_a_bust_that_a_statement_tells_of(working, bust_comes):
    trade = word(working, 1, 10)
    bust = fills.Fill(
        exec_id=families.bust_of(trade.exec_id),
        account=ACCOUNT,
        perm_id=trade.perm_id,
        contract=AAPL,
        side="BUY",
        quantity=Decimal(0),
        price=trade.price,
        time_text="",
        executed_at=None,
        raw=["notes=Ca"],
    )
    for fill, source in sorted(
        [(trade, ExecutionSource.REQUESTED), (bust, ExecutionSource.FLEX)],
        key=lambda told: (told[0] is trade) is (bust_comes == "before"),
    ):
        record(fill, source)

    working.refresh_from_db()
    assert (effective(), total(), working.filled_quantity) == ([], 0, 0)
    assert set(Execution.objects.values_list("source", "client_id")) == {("reqExecutions", 17), ("flex", None)}


def test_a_correction_behind_a_bust_stands(working):
    tell(word(working, 1, 10))
    record(replace(word(working, 1, 0), exec_id=families.bust_of(f"{TRADE}.01")))
    tell(word(working, 2, 6))

    working.refresh_from_db()
    assert (effective(), total(), working.filled_quantity) == ([f"{TRADE}.02"], 6, 6)
    assert working.status == "PARTIALLY_FILLED"


# --- Families -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exec_id", "family", "revision"),
    [
        ("0000e0d5.67a1b2c3.01.01", "0000e0d5.67a1b2c3.01", 2),
        ("0000e0d5.67a1b2c3.01.02", "0000e0d5.67a1b2c3.01", 4),
        ("0000e0d5.67a1b2c3.01.10", "0000e0d5.67a1b2c3.01", 20),
        ("0000e0d5.67a1b2c3.01.01.Ca", "0000e0d5.67a1b2c3.01", 3),
        ("one", "one", 2),
        ("x.one", "x.one", 2),
        ("one.Ca", "one", 3),
        ("one.1x", "one.1x", 2),
        ("one.²", "one.²", 2),
        ("one.", "one.", 2),
        (".01", ".01", 2),
        (".7.Ca", ".7", 15),
        ("", "", 2),
        ("a.999999999", "a", 1_999_999_998),
        ("a.1000000000", "a.1000000000", 2),
        ("a\n.02", "a\n", 4),
    ],
)
def test_what_an_id_says(exec_id, family, revision):
    tell(execution(exec_id=exec_id))

    stored = Execution.objects.get()
    assert (stored.family, stored.revision) == (family, revision) == families.place_of(exec_id)


def test_ids_of_another_form_correct_nothing():
    for exec_id in ("one", "two", "x.one", "x.two"):
        tell(execution(exec_id=exec_id))

    assert len(effective()) == 4


def test_the_same_id_in_two_accounts(account):
    BrokerAccount.objects.create(pk="DU1000002", session=account)
    tell(word(None, 1, 10, perm_id=5))
    tell(word(None, 2, 10, perm_id=6, account="DU1000002"))

    assert len(effective()) == 2


def test_contracts_of_one_symbol_add_up_apart():
    tell(execution(perm_id=5))
    tell(execution(perm_id=6, contract=OPTION, side="SELL", quantity=Decimal(2)))

    assert (total(), total(security_type="OPT")) == (10, -2)


# --- Orders that are known late ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("listed", [open_order, completed_order])
def test_an_execution_comes_before_the_order_it_belongs_to(listed):
    tell(word(None, 1, 3, perm_id=77, client_id=0, order_id=0))
    tell(word(None, 2, 4, perm_id=77, client_id=0, order_id=0))
    tell(execution(perm_id=78))
    tell(listed(perm_id=77, order_ref="typed", status="Submitted"))
    tell(listed(perm_id=77, order_ref="typed", status="Submitted"))

    order = Order.objects.get(perm_id=77)
    assert_history(order, "adopted partial_fill")
    assert (order.status, order.filled_quantity) == ("PARTIALLY_FILLED", 4)
    assert Execution.objects.of(order).count() == 2


def test_and_is_corrected_after_it():
    tell(word(None, 1, 3, perm_id=77))
    tell(open_order(perm_id=77, order_ref="typed"))
    tell(word(None, 2, 5, perm_id=77))

    order = Order.objects.get(perm_id=77)
    assert_history(order, "adopted partial_fill trade_corrected")
    assert order.filled_quantity == total() == 5


def test_a_trade_that_was_never_counted_for_the_order_is_not_taken_back(working):
    tell(word(None, 1, 3, perm_id=9))  # nobody's yet
    tell(word(working, 2, 5))

    assert_history(working, "received sent accepted partial_fill")
    assert working.filled_quantity == 5


# --- Anything, in any order -------------------------------------------------------------------------------------------


class AnyStream(TestCase):
    """Hypothesis rolls back between examples only inside its own test case."""

    @settings(max_examples=60, deadline=None)
    @given(
        words=st.lists(
            st.tuples(
                st.integers(1, 2),  # the trade
                st.integers(1, 4),  # its revision
                st.booleans(),  # the bust of that revision
            ),
            max_size=12,
        )
    )
    def test_record_order_and_total_agree(self, words):
        session_row()
        order = order_in("NEW")
        for trade, revision, busted in words:
            exec_id = f"0000e0d5.67a1b2c{trade}.01.{revision:02}"
            quantity = Decimal(0 if busted else trade + revision)
            record(trade_of(order, exec_id=families.bust_of(exec_id) if busted else exec_id, quantity=quantity))
        order.refresh_from_db()

        last = {}
        for trade, revision, busted in sorted(words):
            last[trade] = 0 if busted else trade + revision
        assert order.filled_quantity == sum(last.values()) == added_up()
        assert (total() or 0) == added_up()
        assert journal.replay(order) == order.state()
        assert (order.status == "FILLED") == (order.filled_quantity >= 10)
        assert (order.status == "NEW") == (order.filled_quantity == 0)


def test_a_fill_of_another_source_is_the_same_execution(working):
    live = word(working, 1, 10)
    tell(live)
    again = fills.Fill(
        exec_id=live.exec_id,
        account=ACCOUNT,
        perm_id=live.perm_id,
        contract=AAPL,
        side="BUY",
        quantity=Decimal(10),
        price=live.price,
        time_text="2026-01-15;143025",
        executed_at=NOW,
        raw=["tradeID=1"],
    )

    assert record(again, ExecutionSource.FLEX) is Outcome.KNOWN
    assert Execution.objects.get().source == "trades()"


# --- Two at once ------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_two_who_tell_of_one_trade_at_once(account):
    """The live session and an import, say: the second comes while the first one's transaction is open."""
    order = order_in("NEW")
    outcomes, begun = [], threading.Event()

    def later():
        begun.set()
        try:
            outcomes.append(record(word(order, 1, 4), ExecutionSource.FLEX))
            outcomes.append(record(word(order, 2, 6), ExecutionSource.FLEX))
        finally:
            connection.close()

    second = threading.Thread(target=later)
    with transaction.atomic():
        assert record(word(order, 2, 6)) is Outcome.TRADE
        second.start()
        begun.wait(5)
        second.join(0.3)
        assert second.is_alive()  # it waits for the contract
    second.join(5)

    order.refresh_from_db()
    assert outcomes == [Outcome.OVERTAKEN, Outcome.KNOWN]
    assert order.filled_quantity == total() == 6
    assert effective() == [f"{TRADE}.02"]


@settings(deadline=None)
@given(st.text(alphabet="a.01Cx9\n²", max_size=14))
def test_an_id_says_the_same_in_sql_and_in_python(exec_id):
    expression = families.family_of(Value(exec_id)), families.revision_of(Value(exec_id))
    with connection.cursor() as cursor:
        compiled = [part.resolve_expression(Query(Execution)) for part in expression]
        sql = [part.as_sql(Query(Execution).get_compiler("default"), connection) for part in compiled]
        cursor.execute(f"SELECT {sql[0][0]}, {sql[1][0]}", [*sql[0][1], *sql[1][1]])
        assert cursor.fetchone() == families.place_of(exec_id)
