"""The broker's book as it is heard: the last word counts, and only what was said to its end."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D

import pytest

from gateway.errors import QueryFailed
from gateway.reports import AnswerComplete, PositionReport, Query
from orders.breaks.books import OurBook, OurExecution, OurOrder, Standing, Terms
from orders.breaks.hearing import QUERIES, Hearing
from tests.orders.breaks.books import TERMS
from tests.orders.builders import AAPL, ACCOUNT, NOW, completed_order, execution, open_order, order_status

PERM_ID = 1788680597
KEY = (ACCOUNT, PERM_ID)


def answered(query, **changes):
    return AnswerComplete(connection=1, received_at=NOW, query=query, started_at=NOW, **changes)


def position(quantity, **changes):
    values = {"account": ACCOUNT, "contract": AAPL, "quantity": D(quantity), "average_cost": None}
    return PositionReport(connection=1, received_at=NOW, **values | changes)


class Records:
    """Our book: of `known` permIds and execution ids it says what the broker says, the numbers being their keys."""

    def __init__(self, known=(), *, failing=""):
        self.known = dict(known)
        self.failing = failing
        self.looked_at = []  # what was asked for page by page, by the last part of its key
        self.read = []  # what was left of the broker's book at the end

    def named(self, theirs):
        self._fail_in("named")
        self.looked_at.append([key for _, key in (*theirs.orders, *theirs.executions)])
        return OurBook(
            read_at=NOW,
            orders=tuple(self._order(row) for row in theirs.orders.values() if row.perm_id in self.known),
            executions={k: self._execution(row) for k, row in theirs.executions.items() if row.exec_id in self.known},
        )

    def whole(self, theirs):
        self.read.append([key for _, key in (*theirs.orders, *theirs.executions)])
        self._fail_in("whole")
        return OurBook(read_at=NOW)

    def _fail_in(self, step):
        if step == self.failing:
            raise ValueError("a row of nonsense")

    def _order(self, row):
        values = {name: getattr(row, name) for name in ("account", "perm_id", "symbol", "stamp", "standing")}
        terms = row.terms or TERMS
        return OurOrder(pk=self.known[row.perm_id], status="", terms=terms, filled=row.filled or D(0), **values)

    def _execution(self, row):
        values = {name: getattr(row, name) for name in ("account", "exec_id", "symbol", "quantity", "price")}
        return OurExecution(pk=self.known[row.exec_id], **values)


def hear(*reports, records=None, queries=QUERIES, page=100):
    hearing = Hearing(page=page)
    hearing.begin(connection=1, since=NOW, reader=records or Records())
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
    records = Records()

    hearing = hear(execution(exec_id="e1"), records=records)
    hearing.apply(execution(exec_id="e2"))
    hearing.apply(answered(Query.POSITIONS))

    theirs, _ = hearing.end()
    assert records.read == [["e1"]]
    assert [exec_id for _, exec_id in theirs.executions] == ["e1"]


def completed(perm_id, **changes):
    return completed_order(**{"perm_id": perm_id, "status": "Filled", "filled": D(10), "order_ref": ""} | changes)


def test_what_is_over_and_agrees_is_kept_as_our_key_alone():
    records = Records({1: 51, 2: 52, "e1": 61})

    theirs, _ = hear(completed(1), execution(exec_id="e1"), completed(2), records=records, page=2).end()

    assert (theirs.orders, theirs.executions) == ({}, {})
    assert (theirs.agreed_orders, theirs.agreed_executions) == ({51, 52}, {61})
    assert records.looked_at == [[1, "e1"], [2]]


def test_a_page_with_a_difference_is_looked_at_again_when_its_answer_ends_and_stays():
    records = Records({1: 51, 3: 53})

    theirs, _ = hear(completed(1), completed(2), completed(3), records=records, page=2, queries=QUERIES).end()

    assert [perm_id for _, perm_id in theirs.orders] == [1, 2]
    assert theirs.agreed_orders == {53}
    assert records.looked_at[:3] == [[1, 2], [1, 2], [3]]


def test_what_was_not_on_record_when_its_page_was_looked_at():
    records = Records()
    hearing = hear(completed(1), records=records, page=1, queries=())

    records.known[1] = 51
    for query in QUERIES:
        hearing.apply(answered(query))

    theirs, _ = hearing.end()
    assert (theirs.orders, theirs.agreed_orders) == ({}, {51})


@pytest.mark.parametrize(
    ("case", "reports", "left", "agreed"),
    [
        ("open, then completed", [open_order(perm_id=1, order_ref=""), completed(1)], [], {51}),
        ("completed, then open again", [completed(1), open_order(perm_id=1, order_ref="")], [1], {51}),
        ("completed and told once more", [completed(1), completed(1)], [], {51}),
        ("a status behind it", [completed(1), order_status(1, "Submitted", filled=D(2))], [], {51}),
        ("an open order is not over", [open_order(perm_id=1, order_ref="")], [1], set()),
        ("of no account of ours", [completed(9)], [9], set()),
    ],
)
def test_the_last_word_on_an_order_that_was_looked_at(case, reports, left, agreed):
    theirs, _ = hear(*reports, records=Records({1: 51}), page=1).end()

    assert [perm_id for _, perm_id in theirs.orders] == left
    assert theirs.agreed_orders == agreed


def test_an_execution_that_is_told_otherwise_after_its_page():
    records = Records({"e1": 61})
    hearing = hear(execution(exec_id="e1"), records=records, page=1, queries=())

    del records.known["e1"]
    hearing.apply(execution(exec_id="e1", quantity=D(3)))
    for query in QUERIES:
        hearing.apply(answered(query))

    theirs, _ = hearing.end()
    assert theirs.executions[ACCOUNT, "e1"].quantity == 3


def test_memory_does_not_grow_with_what_agrees():
    records = Records()
    hearing = hear(records=records, queries=())

    for number in range(1, 1001):
        records.known |= {number: number, f"e{number}": number}
        hearing.apply(completed(number))
        hearing.apply(execution(exec_id=f"e{number}"))
        notes = hearing._notes
        assert max(len(notes.orders), len(notes.executions), len(notes.accounts_of), len(notes.fresh)) <= 100


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


@pytest.mark.parametrize("step", ["named", "whole"])
def test_what_fails_to_be_read_is_no_book_and_no_failure_of_the_report(step, caplog):
    hearing = hear(execution(exec_id="e1"), records=Records(failing=step))

    with pytest.raises(QueryFailed, match="could not be read, see the worker's log: .*nonsense"):
        hearing.end()
    assert "Traceback" in caplog.text


def test_a_hearing_that_was_stopped():
    hearing = hear()
    hearing.stop()

    with pytest.raises(QueryFailed):
        hearing.end()
