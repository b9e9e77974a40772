"""A run from the questions to the register, over real rows; the broker is the fake of conftest."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import pytest
from django.utils import timezone

from accounts.models import GatewayConnection
from audit.models import Draft
from gateway.errors import QueryTimedOut
from gateway.reports import ContractFacts, Query, SessionState
from orders import exposure, reports
from orders.breaks import closing, ours, reconciliation, statements
from orders.breaks.hearing import QUERIES
from orders.breaks.models import AnchoredHolding, Break, PositionAnchor, ReconciliationRun
from orders.models import Execution, Order
from orders.risk.values import Ticket
from tests.orders.assertions import assert_history
from tests.orders.breaks.conftest import position
from tests.orders.builders import (
    AAPL,
    ACCOUNT,
    CLIENT_ID,
    LIMIT,
    completed_order,
    execution,
    open_order,
    order_status,
)
from tests.orders.factories import at, broker_account, order_in

pytestmark = pytest.mark.django_db

REASON = "looked at the statement of the day"
PERSON = {"reason": REASON, "actor": "user:ada", "request_id": "ada-1"}


def open_breaks():
    return {(row.kind, row.expected, row.actual) for row in Break.objects.filter(closed_at=None)}


def listed(order, **changes):
    return open_order(order, perm_id=order.perm_id, **changes)


def today(**changes):
    """An execution of this moment."""
    return execution(**{"executed_at": timezone.now(), "perm_id": 4242, "client_id": 0} | changes)


@pytest.fixture
def order(desk):
    return order_in("NEW")


def test_books_that_agree(reconcile, broker, order):
    broker.list(open_orders=[listed(order)], positions=[position(D(25))])

    run = reconcile()

    assert (run.outcome, run.reason, run.opened, run.closed, run.open_breaks) == ("COMPLETE", "", {}, {}, 0)
    assert run.compared == {"orders": 1, "executions": 0, "positions": 1}
    assert broker.asked == list(QUERIES)  # nothing new: once is enough
    assert run.started_at <= run.finished_at


def test_a_working_order_that_the_broker_lists_no_more(reconcile, order):
    run = reconcile()

    assert run.opened == {"MISSING_AT_BROKER": 1}
    row = Break.objects.get()
    assert (row.order, row.expected, row.actual, row.severity) == (order, "New", "not listed", 1)
    assert row.events.get().run == run


def test_it_closes_by_itself_when_it_is_listed_again(reconcile, broker, order):
    reconcile()
    broker.list(open_orders=[listed(order)])

    run = reconcile()

    assert (run.closed, run.open_breaks) == ({"MISSING_AT_BROKER": 1}, 0)
    assert_history(order, "received sent accepted")


@pytest.mark.parametrize(("days", "severity"), [(0, 1), (1, 2)])
def test_a_day_order_of_an_earlier_day_has_an_ordinary_explanation(reconcile, desk, days, severity):
    with at(timezone.now() - timedelta(days=days)):
        order_in("NEW")

    reconcile()

    assert Break.objects.get().severity == severity


@pytest.mark.parametrize("status", ["PENDING_NEW", "IN_DOUBT", "FILLED", "CANCELED", "NOT_PLACED", "RECEIVED"])
def test_orders_that_do_not_work_are_not_missing(reconcile, desk, status):
    order = order_in(status)

    reconcile()

    assert not Break.objects.filter(order=order).exists()


def test_a_defect_about_statements_keeps_nobody_from_asking_the_broker(reconcile, desk, monkeypatch, caplog):
    def defect():
        raise RuntimeError("a defect")

    monkeypatch.setattr(statements, "look", defect)
    order_in("NEW")

    reconcile()

    assert Break.objects.exists()
    assert "could not be held against the record" in caplog.text


@pytest.mark.parametrize(
    "failure",
    [QueryTimedOut("no end marker"), RuntimeError("a defect")],
    ids=["a question without its end", "an error of our own"],
)
def test_a_failed_run_opens_and_closes_nothing(reconcile, broker, order, failure):
    reconcile()
    order_in("NEW", symbol="MSFT")
    broker.list(open_orders=[listed(order)])
    broker.failure = failure

    if isinstance(failure, RuntimeError):
        with pytest.raises(RuntimeError):
            reconcile()
        run = ReconciliationRun.objects.order_by("-pk").first()
    else:
        run = reconcile()

    assert run.outcome == "FAILED"
    assert str(failure) in run.reason
    assert run.finished_at is not None
    assert Break.objects.count() == 1
    assert Break.objects.get().events.count() == 1
    assert Break.objects.get().times_seen == 1


@pytest.mark.parametrize("query", QUERIES)
def test_a_link_lost_in_between_fails_the_run(reconcile, broker, order, query):
    def breaks():
        broker.ready_since += 1

    broker.after = {query: breaks}

    run = reconcile()

    assert (run.outcome, run.reason) == ("FAILED", "the link to the broker was lost in between")
    assert not Break.objects.exists()


def test_the_second_look_may_fail_too(reconcile, broker, order):
    def breaks():
        broker.failure = QueryTimedOut("no end marker")

    broker.after = {Query.POSITIONS: breaks}

    assert reconcile().outcome == "FAILED"
    assert not Break.objects.exists()
    assert not PositionAnchor.objects.exists()


def test_no_session_no_run(reconcile, broker):
    broker.state = SessionState.LINK_DOWN

    run = reconcile()

    assert (run.outcome, run.reason) == ("FAILED", "the session is LINK_DOWN")
    assert broker.asked == []


def test_what_was_on_its_way_opens_nothing(reconcile, broker, order):
    """Not listed the first time, listed the second."""
    broker.after = {Query.POSITIONS: lambda: broker.list(open_orders=[listed(order)])}

    run = reconcile()

    assert (run.outcome, run.opened) == ("COMPLETE", {})
    assert broker.asked == [*QUERIES, *QUERIES]


# Kinds, from real reports


def test_filled_at_the_broker_without_executions(reconcile, broker, order):
    """The order that GET /executions leaves out for want of a price opens a break."""
    broker.list(completed=[completed_order(order, perm_id=order.perm_id, status="Filled", filled=D(10))])

    reconcile()

    assert open_breaks() == {("STATUS", "working", "filled")}


def test_an_adopted_order_filled_before_we_looked(reconcile, broker, desk):
    broker.list(completed=[completed_order(perm_id=99, status="Filled", filled=D(10))])

    reconcile()

    assert open_breaks() == {("QUANTITY", "0", "10")}
    assert Break.objects.get().severity == 2


def test_its_executions_close_it_on_another_day(reconcile, broker, desk):
    broker.list(completed=[completed_order(perm_id=99, status="Filled", filled=D(10))])
    reconcile()
    broker.list()
    reconcile()
    assert len(open_breaks()) == 1  # not listed any more is not agreed

    broker.tell(execution(perm_id=99, client_id=0, quantity=D(10)))
    reconcile()

    assert Break.objects.filter(kind="QUANTITY").get().close_reason == "the books agree again"


def test_a_fill_of_our_stamp_without_an_order(reconcile, broker, desk):
    broker.list(executions=[today(order_ref="my_trade~ABCDEFGHIJKLM")])

    reconcile()

    assert open_breaks() == {("ORPHAN_FILL", "no record", "10 at 229.95")}
    assert Break.objects.get().execution == Execution.objects.get()


@pytest.mark.parametrize(
    ("changes", "orphans"),
    [({"client_id": CLIENT_ID}, 1), ({"client_id": 0}, 0), ({"order_ref": "mine~"}, 0), ({"order_ref": "a~B"}, 0)],
)
def test_whose_fill_it_is(reconcile, broker, desk, changes, orphans):
    broker.list(executions=[today(**changes)])

    reconcile()

    assert Break.objects.filter(kind="ORPHAN_FILL").count() == orphans


def test_an_orphan_whose_order_is_found(reconcile, broker, desk):
    broker.list(executions=[today(client_id=CLIENT_ID)])
    reconcile()
    broker.list(completed=[completed_order(perm_id=4242, status="Filled", filled=D(10))], executions=[today()])

    reconcile()

    assert Break.objects.get(kind="ORPHAN_FILL").close_reason == "the books agree again"


def test_an_execution_told_live_and_not_listed(reconcile, broker, desk):
    told = today()
    broker.list(executions=[told])
    reconcile()
    broker.list()

    reconcile()

    assert ("MISSING_AT_BROKER", "10 at 229.95", "not listed") in open_breaks()


@pytest.mark.parametrize(
    ("case", "told", "recorded"),
    [
        ("of yesterday", timedelta(days=-1), timedelta(0)),
        ("told on an earlier connection", timedelta(0), timedelta(hours=-1)),
        ("of a time that cannot be read", None, timedelta(0)),
    ],
)
def test_executions_that_need_not_be_listed(reconcile, broker, desk, case, told, recorded):
    now = timezone.now()
    with at(now + recorded):
        broker.tell(today(executed_at=None if told is None else now + told))

    reconcile()

    assert Break.objects.filter(kind="MISSING_AT_BROKER").count() == 0


def test_around_midnight_the_list_of_the_day_proves_nothing(desk, broker):
    scopes = {}
    for hour, minute in ((0, 3), (12, 0), (23, 58)):
        with at(datetime(2026, 1, 15, hour, minute, tzinfo=UTC)):
            scopes[hour] = reconciliation._scope(desk, broker.status())

    assert [scope.listed_since for scope in scopes.values()] == [None, None, None]  # no connection on record
    assert scopes[12].day_began == datetime(2026, 1, 15, tzinfo=UTC)


@pytest.mark.parametrize(("hour", "minute", "known"), [(0, 3, False), (12, 0, True), (23, 58, False)])
def test_the_days_list_is_trusted_away_from_midnight(reconcile, desk, broker, hour, minute, known):
    with at(datetime(2026, 1, 15, hour, minute, tzinfo=UTC)):
        scope = reconciliation._scope(desk, broker.status())

    assert (scope.listed_since is not None) is known


def test_one_stamp_on_two_orders(reconcile, broker, order):
    twin = listed(order, order_id=77)
    broker.list(open_orders=[listed(order), replace(twin, perm_id=99)])

    reconcile()

    (row,) = Break.objects.all()
    assert (row.kind, row.actual, row.order) == ("DUPLICATE_PERM_ID", "permId 99 as well", order)


def test_more_filled_than_ordered(reconcile, broker, order):
    fill = execution(order, perm_id=order.perm_id, quantity=D(12), executed_at=timezone.now())
    done = completed_order(order, perm_id=order.perm_id, status="Filled", filled=D(12))
    broker.list(completed=[done], executions=[fill], positions=[position(D(12))])

    reconcile()

    assert open_breaks() == {("OVERFILL", "10", "12")}


def test_working_there_and_over_here(reconcile, broker, desk):
    order = order_in("CANCELED")
    broker.list(open_orders=[listed(order)])

    reconcile()

    assert open_breaks() == {("STATUS", "ended", "working")}
    assert Break.objects.get().severity == 1


# Positions


def test_what_was_held_before_is_the_anchor(reconcile, broker, desk):
    broker.list(positions=[position(D(25)), position(D(0), contract=replace(AAPL, con_id=1))])

    reconcile()

    held = AnchoredHolding.objects.get()
    assert (held.quantity, held.symbol, held.con_id, held.because) == (25, "AAPL", AAPL.con_id, None)
    assert open_breaks() == set()


def test_an_executed_change_is_explained(reconcile, broker, desk):
    broker.list(positions=[position(D(25))])
    reconcile()
    broker.list(executions=[today(side="SELL", quantity=D(5))], positions=[position(D(20))])

    assert reconcile().opened == {}


@pytest.mark.parametrize(("now", "expected", "actual"), [(D(30), "25", "30"), (D(0), "25", "0"), (D(-5), "25", "-5")])
def test_an_unexplained_change_is_a_break(reconcile, broker, desk, now, expected, actual):
    broker.list(positions=[position(D(25))])
    reconcile()
    broker.list(positions=[position(now)])

    reconcile()

    assert open_breaks() == {("POSITION", expected, actual)}
    assert Break.objects.get().symbol == "AAPL"


def test_an_execution_that_comes_on_record_closes_it(reconcile, broker, desk):
    broker.list(positions=[position(D(25))])
    reconcile()
    broker.list(positions=[position(D(30))])
    reconcile()
    broker.list(executions=[today(quantity=D(5))], positions=[position(D(30))])

    reconcile()

    assert open_breaks() == set()


def test_an_execution_of_the_anchors_own_second_came_after_it(reconcile, broker, desk):
    broker.list(positions=[position(D(25))])
    reconcile()
    second = PositionAnchor.objects.get().taken_at.replace(microsecond=0)
    broker.list(executions=[today(quantity=D(5), executed_at=second)], positions=[position(D(30))])

    assert reconcile().opened == {}


def test_executions_of_before_the_anchor_change_nothing(reconcile, broker, desk):
    """A statement may bring those of last month: what they did is in the anchor."""
    broker.list(positions=[position(D(25))])
    reconcile()
    broker.tell(today(quantity=D(7), executed_at=timezone.now() - timedelta(days=30)))

    assert reconcile().opened == {}


@pytest.mark.parametrize(
    ("became", "held", "breaks"), [(D(6), D(24), 0), (D(6), D(25), 1), (D(0), D(18), 0), (D(0), D(25), 1)]
)
def test_a_correction_or_bust_of_what_the_anchor_holds(reconcile, broker, desk, became, held, breaks):
    executed = timezone.now()
    broker.tell(today(exec_id="a.b.01.01", quantity=D(7), executed_at=executed))
    broker.list(positions=[position(D(25))])
    reconcile()
    broker.tell(today(exec_id="a.b.01.02", quantity=became, executed_at=executed))
    broker.list(executions=[today(exec_id="a.b.01.02", quantity=became)], positions=[position(held)])

    reconcile()

    assert Break.objects.filter(kind="POSITION").count() == breaks


def test_closing_a_position_counts_the_difference_in(reconcile, broker, desk):
    broker.list(positions=[position(D(25))])
    reconcile()
    broker.list(positions=[position(D(30))])
    reconcile()
    row = closing.close(Break.objects.get().pk, **PERSON)

    assert reconcile().open_breaks == 0

    added = AnchoredHolding.objects.get(because=row)
    assert (added.quantity, added.security_type) == (5, "STK")
    assert decisions_in_the_trail() == [{"break": row.pk, "kind": "POSITION", "reason": REASON}]
    row.refresh_from_db()
    assert row.gone_at is not None
    broker.list(positions=[position(D(31))])
    reconcile()
    assert open_breaks() == {("POSITION", "30", "31")}


def test_another_contract_of_the_same_name_is_another_position(reconcile, broker, desk):
    option = ContractFacts(con_id=7, symbol="AAPL", security_type="OPT", currency="USD")
    broker.list(positions=[position(D(25)), position(D(2), contract=option)])
    reconcile()
    broker.list(positions=[position(D(26)), position(D(1), contract=option)])

    reconcile()

    assert open_breaks() == {("POSITION", "25", "26"), ("POSITION", "2", "1")}


def decisions_in_the_trail():
    """What the site's chain is about to hold of decisions of one person."""
    told = [json.loads(draft.facts) for draft in Draft.objects.filter(chain="site", kind="decision")]
    assert {facts["actor"] for facts in told} == {"user:ada"}
    return [facts["details"] for facts in told]


# A person says how an order ended


@pytest.fixture
def missing(reconcile, order):
    reconcile()
    return Break.objects.get()


@pytest.mark.parametrize(
    ("ending", "status", "kind"),
    [
        (closing.events.ResolvedExpired, "EXPIRED", "resolved_expired"),
        (closing.events.ResolvedCanceled, "CANCELED", "resolved_canceled"),
    ],
)
def test_an_ending_is_an_event_of_the_order(reconcile, missing, order, ending, status, kind):
    closing.end_order(missing.pk, ending, **PERSON)

    order.refresh_from_db()
    assert (order.status, order.reason) == (status, f"decided by a person: {REASON}")
    assert_history(order, f"received sent accepted {kind}")
    event = order.events.order_by("-sequence").first()
    assert (event.actor, event.request_id) == ("user:ada", "ada-1")
    assert decisions_in_the_trail() == [{"break": missing.pk, "kind": "MISSING_AT_BROKER", "reason": REASON}]
    missing.refresh_from_db()
    assert not missing.is_open
    assert reconcile().open_breaks == 0
    missing.refresh_from_db()
    assert missing.gone_at is not None


def test_the_broker_keeps_the_last_word(reconcile, broker, missing, order):
    closing.end_order(missing.pk, closing.events.ResolvedExpired, **PERSON)
    broker.list(open_orders=[listed(order)])

    reconcile()

    order.refresh_from_db()
    assert order.status == "NEW"
    assert_history(order, "received sent accepted resolved_expired accepted")
    assert open_breaks() == set()


def test_an_ended_order_that_was_filled_there(reconcile, broker, missing, order):
    closing.end_order(missing.pk, closing.events.ResolvedExpired, **PERSON)
    broker.list(
        completed=[completed_order(order, perm_id=order.perm_id, status="Filled", filled=D(10))],
        executions=[execution(order, perm_id=order.perm_id, executed_at=timezone.now())],
        positions=[position(D(10))],
    )

    reconcile()

    order.refresh_from_db()
    assert (order.status, order.filled_quantity) == ("FILLED", 10)
    assert open_breaks() == set()


def test_an_order_that_still_counts_is_not_closed_over(missing):
    with pytest.raises(closing.InvalidDecision, match="Say how the order ended"):
        closing.close(missing.pk, **PERSON)


def test_the_broker_may_be_faster(reconcile, broker, missing, order):
    broker.tell(completed_order(order, perm_id=order.perm_id))

    with pytest.raises(closing.InvalidDecision, match="over already"):
        closing.end_order(missing.pk, closing.events.ResolvedExpired, **PERSON)

    assert_history(order, "received sent accepted canceled")
    assert closing.close(missing.pk, **PERSON).close_reason == REASON


@pytest.mark.parametrize("reason", ["", "too short", "   padded     ", "a line\nand another", "x" * 501])
def test_a_decision_needs_a_reason(missing, order, reason):
    for decide in (
        lambda given: closing.close(missing.pk, **given),
        lambda given: closing.end_order(missing.pk, closing.events.ResolvedExpired, **given),
    ):
        with pytest.raises(closing.InvalidDecision):
            decide(PERSON | {"reason": reason})
    assert_history(order, "received sent accepted")
    missing.refresh_from_db()
    assert missing.is_open


def test_a_break_is_closed_once(missing):
    closing.end_order(missing.pk, closing.events.ResolvedExpired, **PERSON)

    with pytest.raises(closing.BreakNotOpen):
        closing.close(missing.pk, **PERSON)
    with pytest.raises(closing.BreakNotOpen):
        closing.end_order(missing.pk, closing.events.ResolvedCanceled, **PERSON)
    assert missing.events.count() == 2


# What counts as working


def working():
    ticket = Ticket(account=ACCOUNT, symbol="AAPL", quantity=D(1), legs=[LIMIT])
    return exposure.look(ticket, actor="api", waiting=True, day_began=None).exposure.working


def test_what_the_broker_does_not_have_takes_no_room_there(reconcile, broker, order):
    assert working() == {"BUY": 1}

    reconcile()
    assert working() == {}

    broker.list(open_orders=[listed(order)])
    reconcile()
    assert working() == {"BUY": 1}


def test_other_breaks_change_nothing_about_the_room(reconcile, broker, order):
    twin = replace(listed(order, order_id=77), perm_id=99)
    broker.list(open_orders=[listed(order), twin])

    reconcile()

    assert working() == {"BUY": 2}


# What is over, and compared while it is told


def completed(order, **changes):
    return completed_order(order, perm_id=order.perm_id, **changes)


def test_an_order_that_is_over_and_of_which_nobody_can_say_how(reconcile, broker, desk):
    """It works here, another difference is on the list, and the broker says a word that is neither yes nor no."""
    order = order_in("NEW")
    broker.list(open_orders=[listed(order), order_status(order.perm_id, "Submitted", filled=D(4))])
    assert reconcile().opened == {"QUANTITY": 1}
    broker.list(completed=[completed(order, status="Inactive", filled=None)])

    runs_ = [reconcile() for _ in range(3)]

    assert [(run.opened, run.closed) for run in runs_] == [({}, {})] * 3


def test_an_execution_of_the_same_id_in_another_account(reconcile, broker, desk, monkeypatch):
    broker_account("DU2")
    status = replace(broker.status(), accounts=(ACCOUNT, "DU2"))
    monkeypatch.setattr(broker, "status", lambda: status)
    told = [today(exec_id="e1", account=account) for account in (ACCOUNT, "DU2")]
    for report in told:
        reports.apply_report(report, session="default/17/1/1", client_id=CLIENT_ID)
    GatewayConnection.objects.update(opened_at=timezone.now() - timedelta(minutes=5))
    broker.list(executions=told[:1])

    assert reconcile().opened == {"MISSING_AT_BROKER": 1}


def test_queries_do_not_grow_with_the_books(reconcile, broker, desk, django_assert_max_num_queries):
    orders = [order_in("NEW") for _ in range(20)]
    broker.list(open_orders=[listed(order) for order in orders], executions=[today() for _ in range(20)])
    reconcile()
    scope = reconciliation._scope(desk, broker.status())
    theirs = broker.hearing
    reader = ours.Reader(scope)
    theirs.begin(connection=1, since=datetime.now(UTC), reader=reader)
    for query in QUERIES:
        broker.ask(query, timeout=1)
    book, _ = theirs.end()

    with django_assert_max_num_queries(13):
        assert len(reader.whole(book).orders) == 20
    assert Order.objects.count() == 20
