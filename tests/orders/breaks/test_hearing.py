"""The broker's book as it is heard: the last word counts, and only what was said to its end."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D

import pytest

from gateway.errors import QueryFailed
from gateway.reports import AnswerComplete, PositionReport, Query
from orders.breaks.books import OurBook, Standing, Terms
from orders.breaks.hearing import QUERIES, Hearing
from tests.orders.builders import AAPL, ACCOUNT, NOW, completed_order, execution, open_order, order_status

PERM_ID = 1788680597
KEY = (ACCOUNT, PERM_ID)


def answered(query, **changes):
    return AnswerComplete(connection=1, received_at=NOW, query=query, started_at=NOW, **changes)


def position(quantity, **changes):
    values = {"account": ACCOUNT, "contract": AAPL, "quantity": D(quantity), "average_cost": None}
    return PositionReport(connection=1, received_at=NOW, **values | changes)


def book(theirs):
    return OurBook(read_at=NOW)


def hear(*reports, read=book, queries=QUERIES):
    hearing = Hearing()
    hearing.begin(connection=1, since=NOW, read=read)
    for report in (*reports, *map(answered, queries)):
        hearing.apply(report)
    return hearing


def heard(*reports):
    theirs, _ = hear(*reports).end()
    return theirs


def test_an_order_a_fill_and_a_position():
    theirs = heard(open_order(status="Submitted"), execution(side="SELL", exec_id="e1"), position(-10))

    listed = theirs.orders[KEY]
    assert (listed.standing, listed.filled, listed.terms) == (
        Standing.WORKING,
        None,
        Terms(quantity=D(10), limit_price=D(230), stop_price=None),
    )
    assert theirs.executions[ACCOUNT, "e1"].quantity == -10
    assert theirs.holdings[ACCOUNT, AAPL.con_id].quantity == -10


@pytest.mark.parametrize(
    ("case", "reports", "standing", "filled", "works"),
    [
        ("partly filled", [open_order(), order_status(PERM_ID, "Submitted", filled=D(4))], "working", D(4), True),
        (
            "filled while we asked",
            [open_order(), order_status(PERM_ID, "Filled", filled=D(10))],
            "filled",
            D(10),
            False,
        ),
        (
            "completed while we asked",
            [open_order(), completed_order(status="Cancelled", filled=D(3))],
            "ended",
            D(3),
            False,
        ),
        ("listed again after it was told", [order_status(PERM_ID, "Filled"), open_order()], "working", None, True),
        (
            "filled, and it is not said how much",
            [completed_order(status="Filled", filled=None)],
            "filled",
            D(10),
            False,
        ),
        ("cancelled, and it is not said", [completed_order(filled=None)], "ended", None, False),
        ("neither a yes nor a no", [open_order(status="Inactive")], None, None, False),
        (
            "filled keeps what was told",
            [order_status(PERM_ID, "x"), open_order(), order_status(PERM_ID, "Submitted", filled=D(2)), open_order()],
            "working",
            D(2),
            True,
        ),
    ],
)
def test_the_last_word_on_an_order(case, reports, standing, filled, works):
    listed = heard(*reports).orders[KEY]

    assert (listed.standing, listed.filled, listed.terms is not None) == (standing, filled, works)


def test_orders_without_a_permanent_id_are_not_noted():
    assert heard(open_order(perm_id=0), order_status(0, "Submitted"), order_status(4, "Filled")).orders == {}


def test_a_position_that_was_closed():
    assert heard(position(5), position(0)).holdings[ACCOUNT, AAPL.con_id].quantity == 0


def test_our_book_is_read_once_at_the_last_marker_and_nothing_is_heard_after():
    seen = []

    def read(theirs):
        seen.append(dict(theirs.executions))
        return book(theirs)

    hearing = hear(execution(exec_id="e1"), read=read)
    hearing.apply(execution(exec_id="e2"))
    hearing.apply(answered(Query.POSITIONS))

    theirs, _ = hearing.end()
    assert len(seen) == 1
    assert [exec_id for _, exec_id in theirs.executions] == ["e1"]


@pytest.mark.parametrize("silent", QUERIES)
def test_a_question_without_its_end_is_no_book(silent):
    hearing = hear(queries=[query for query in QUERIES if query is not silent])

    with pytest.raises(QueryFailed):
        hearing.end()


@pytest.mark.parametrize(
    "changes",
    [{"connection": 2}, {"started_at": NOW - timedelta(seconds=1)}, {"query": Query.OPEN_ORDERS}],
    ids=["another connection", "asked before", "another question"],
)
def test_markers_of_other_answers_do_not_count(changes):
    hearing = hear(queries=QUERIES[:-1])
    hearing.apply(replace(answered(QUERIES[-1]), **changes))

    with pytest.raises(QueryFailed):
        hearing.end()


def test_reports_of_another_connection_are_not_heard():
    assert heard(replace(open_order(), connection=2)).orders == {}


def test_nobody_asks():
    hearing = Hearing()

    hearing.apply(open_order())

    with pytest.raises(QueryFailed):
        hearing.end()


def test_what_fails_to_be_read_is_no_book():
    def read(theirs):
        raise ValueError("a row of nonsense")

    with pytest.raises(ValueError, match="nonsense"):
        hear(read=read)


def test_a_hearing_that_was_stopped():
    hearing = hear()
    hearing.stop()

    with pytest.raises(QueryFailed):
        hearing.end()
