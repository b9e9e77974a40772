import time
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from accounts.models import GatewayConnection, GatewaySession, Position
from alarms.models import Alarm
from gateway.errors import QueryTimedOut
from gateway.reports import Query
from orders import dispatch, reconcile
from orders.reports import apply_report
from orders.sweep import inquire, list_open_orders, sweep
from tests.orders.assertions import assert_history
from tests.orders.builders import (
    ACCOUNT,
    BRACKET,
    CLIENT_ID,
    GATEWAY,
    error,
    execution,
    open_order,
    placed,
    session_row,
)
from tests.orders.factories import external_order

pytestmark = pytest.mark.django_db


@pytest.fixture
def sent(desk):
    (order,) = placed()
    dispatch.submit(order.request_id, desk=desk)
    order.refresh_from_db()
    return order


def recover(broker):
    here = {"session": "default/17/1/2", "connection": broker.connection}
    reconcile.recover(broker, gateway=GATEWAY, client_id=CLIENT_ID, **here)


def test_everything_is_asked_orders_before_executions(broker, desk):
    recover(broker)

    assert set(broker.asked) == set(Query)
    assert broker.asked.index(Query.EXECUTIONS) > broker.asked.index(Query.COMPLETED_ORDERS)


def test_claim_that_the_broker_does_not_know_is_in_doubt(broker, sent):
    recover(broker)

    assert_history(sent, "received sent in_doubt")
    alarm = Alarm.objects.get()
    assert (alarm.kind, alarm.subject, alarm.facts) == ("IN_DOUBT", f"order:{sent.pk}", {"account": ACCOUNT})


def test_claim_that_the_broker_knows_is_adopted(broker, sent):
    apply_report(open_order(sent), session="", client_id=CLIENT_ID)

    recover(broker)

    assert_history(sent, "received sent accepted")


def test_a_failed_question_concludes_nothing(broker, sent):
    broker.failure = QueryTimedOut("no end marker")

    with pytest.raises(QueryTimedOut):
        recover(broker)

    assert_history(sent, "received sent")


def test_claims_of_another_client_id_are_not_ours_to_judge(broker, sent):
    reconcile.recover(broker, gateway=GATEWAY, client_id=99, session="", connection=1)

    assert_history(sent, "received sent")


def test_a_late_acknowledgement_resolves_the_doubt(broker, sent):
    recover(broker)

    apply_report(open_order(sent), session="", client_id=CLIENT_ID)

    assert_history(sent, "received sent in_doubt accepted")


# Settling what is overdue or in doubt


@pytest.fixture
def quick(monkeypatch):
    """No pauses: every settle is a round, every claim overdue."""
    monkeypatch.setattr(reconcile, "ACKNOWLEDGED_WITHIN", timedelta(0))
    monkeypatch.setattr(reconcile, "LONGEST_PAUSE_SECONDS", 0)


def test_a_young_claim_is_given_time(broker, desk, sent):
    reconcile.settle(desk)

    assert broker.asked == []
    assert_history(sent, "received sent")


def test_an_old_claim_is_looked_into(broker, desk, sent, quick):
    reconcile.settle(desk)

    assert broker.asked == [*reconcile.ORDER_QUERIES, Query.POSITIONS]
    assert_history(sent, "received sent in_doubt still_in_doubt")


def test_rounds_have_pauses_between_them(broker, desk, sent, monkeypatch):
    monkeypatch.setattr(reconcile, "ACKNOWLEDGED_WITHIN", timedelta(0))

    for _ in range(3):
        reconcile.settle(desk)

    assert broker.asked.count(Query.OPEN_ORDERS) == 1


def reconnected(broker, *, ready_for=31.0, offered=1):
    broker.connection += 1
    broker.ready_since = time.monotonic() - ready_for
    GatewayConnection.objects.create(
        session_id=GATEWAY, epoch=1, number=broker.connection, offered_order_id=offered, opened_at=timezone.now()
    )


def test_not_placed_once_no_doubt_is_left(broker, desk, sent, quick):
    reconnected(broker)
    recover(broker)

    reconcile.settle(desk)
    assert_history(sent, "received sent in_doubt still_in_doubt")

    reconcile.settle(desk)
    assert_history(sent, "received sent in_doubt still_in_doubt not_placed")
    assert "asked 2 times on connection 1/2, 31 s after" in sent.reason


@pytest.mark.parametrize(
    ("case", "changes", "told"),
    [
        ("same connection", {}, "still_in_doubt"),
        ("not settled", {"ready_for": 29.0}, "still_in_doubt"),
        ("the gateway counts on from it", {"offered": 2}, "still_in_doubt still_in_doubt"),
    ],
)
def test_doubt_remains(broker, desk, sent, quick, case, changes, told):
    if changes:
        reconnected(broker, **changes)
    recover(broker)

    for _ in range(5):
        reconcile.settle(desk)

    assert_history(sent, f"received sent in_doubt {told}")


def test_what_is_open_is_recorded_when_it_changes(broker, desk, sent, quick):
    reconnected(broker, offered=2)
    recover(broker)

    for _ in range(7):
        reconcile.settle(desk)

    rows = sent.events.filter(kind="STILL_IN_DOUBT").order_by("sequence")
    offered = "the gateway offered order id 2, as if it had seen 1"
    asked = "it was not asked for 2 times over 30 s of a quiet link yet"
    assert [row.payload for row in rows] == [
        {"rounds": 1, "settled_seconds": 31, "doubts": [asked, offered]},
        {"rounds": 2, "settled_seconds": 31, "doubts": [offered]},
    ]
    assert [(row.actor, row.session) for row in rows] == [("worker", "default/17/1/2")] * 2


def test_rounds_begin_anew_after_an_interruption(broker, desk, sent, quick):
    reconnected(broker)
    recover(broker)
    reconcile.settle(desk)

    broker.ready_since += 0.5  # the link was gone for a moment
    reconcile.settle(desk)

    assert_history(sent, "received sent in_doubt still_in_doubt")


def test_unexplained_position_is_a_doubt(broker, desk, sent, quick):
    reconnected(broker)
    recover(broker)
    values = {"con_id": 265598, "symbol": "AAPL", "security_type": "STK", "currency": "USD", "as_of": timezone.now()}
    Position.objects.create(account_id=ACCOUNT, quantity=10, **values)

    for _ in range(3):
        reconcile.settle(desk)
    assert_history(sent, "received sent in_doubt still_in_doubt still_in_doubt")

    apply_report(execution(perm_id=4242, order_ref="typed in TWS"), session="", client_id=CLIENT_ID)
    reconcile.settle(desk)
    assert_history(sent, "received sent in_doubt still_in_doubt still_in_doubt not_placed")


def test_the_first_offer_counts_whatever_later_ones_say(broker, desk, sent, quick):
    reconnected(broker, offered=1)
    recover(broker)
    later = placed()[0]
    dispatch.submit(later.request_id, desk=desk)
    later.refresh_from_db()
    apply_report(open_order(later), session="", client_id=CLIENT_ID)
    reconnected(broker, offered=later.broker_order_id + 1)
    recover(broker)

    for _ in range(2):
        reconcile.settle(desk)

    assert_history(sent, "received sent in_doubt still_in_doubt not_placed")


def test_a_later_order_that_arrived_on_the_same_connection_is_no_explanation(broker, desk, sent, quick):
    later = placed()[0]
    dispatch.submit(later.request_id, desk=desk)
    later.refresh_from_db()
    apply_report(open_order(later), session="", client_id=CLIENT_ID)
    reconnected(broker, offered=later.broker_order_id + 1)
    recover(broker)

    for _ in range(3):
        reconcile.settle(desk)

    assert_history(sent, "received sent in_doubt still_in_doubt still_in_doubt")


def test_a_correction_counts_once_in_the_position(broker, desk, sent, quick):
    reconnected(broker)
    recover(broker)
    values = {"con_id": 265598, "symbol": "AAPL", "security_type": "STK", "currency": "USD", "as_of": timezone.now()}
    Position.objects.create(account_id=ACCOUNT, quantity=3, **values)
    for exec_id, quantity in (("e7.01.01", 4), ("e7.01.02", 3)):
        report = execution(perm_id=4242, order_ref="typed", exec_id=exec_id, quantity=Decimal(quantity))
        apply_report(report, session="", client_id=CLIENT_ID)

    for _ in range(2):
        reconcile.settle(desk)

    assert_history(sent, "received sent in_doubt still_in_doubt not_placed")


@pytest.mark.parametrize(
    ("code", "session", "last"),
    [
        (10147, "default/17/1/2", "not_placed"),
        (10147, "default/17/1/1", "still_in_doubt"),
    ],
)
def test_disowned_counts_on_the_connection_of_now(broker, desk, sent, quick, code, session, last):
    reconnected(broker, offered=2)
    recover(broker)
    apply_report(error(sent.broker_order_id, code), session=session, client_id=CLIENT_ID)

    for _ in range(2):
        reconcile.settle(desk)

    assert_history(sent, f"received sent in_doubt error_reported still_in_doubt {last}")


def test_unlisted_legs_of_a_bracket_are_cancelled_and_disowned(broker, desk, quick):
    external_order()  # an order with a permId and without a request must not hide the legs
    orders = placed(*BRACKET)
    dispatch.submit(orders[0].request_id, desk=desk)
    reconnected(broker, offered=3)  # it holds two legs back, for want of the third

    broker.asked_room_for.clear()
    recover(broker)

    for order in orders:
        order.refresh_from_db()
        assert_history(order, "received sent in_doubt")
    assert broker.cancelled == [order.broker_order_id for order in orders]
    assert broker.asked_room_for == [1] * len(orders)  # as everything that is sent: many brackets may be lost at once
    for order in orders:
        apply_report(error(order.broker_order_id, 10147), session="default/17/1/2", client_id=CLIENT_ID)
    for _ in range(2):
        reconcile.settle(desk)
    for order in orders:
        assert_history(order, "received sent in_doubt error_reported still_in_doubt not_placed")


# The sweep: what lost doorbells leave behind


def test_sweep_submits_what_nobody_rang_for(desk, broker):
    first, second = placed()[0], placed()[0]

    sweep(desk)

    assert len(broker.transmitted) == 2
    for order in (first, second):
        assert_history(order, "received sent")


def test_sweep_closes_what_was_never_sent(desk, broker):
    (order,) = placed(valid_for=timedelta(seconds=-1))

    sweep(desk)

    assert_history(order, "received not_placed")
    assert broker.transmitted == []


@pytest.mark.parametrize(
    ("case", "wanted", "listed", "asks"),
    [
        ("never wanted", 0, 0, []),
        ("wanted since", 2, 1, [Query.ALL_OPEN_ORDERS]),
        ("listed since", 2, 2, []),
    ],
)
def test_sweep_lists_open_orders_when_wanted(desk, broker, case, wanted, listed, asks):
    session_row(open_orders_wanted=wanted, open_orders_listed=listed, executions_as_of=timezone.now())

    inquire(desk)
    inquire(desk)

    assert broker.asked == asks
    assert GatewaySession.objects.get(pk=GATEWAY).open_orders_listed == wanted


def test_a_list_that_failed_is_still_wanted(desk, broker):
    session_row(open_orders_wanted=1)
    broker.failure = QueryTimedOut("no end marker")

    with pytest.raises(QueryTimedOut):
        list_open_orders(desk)

    assert GatewaySession.objects.get().open_orders_listed == 0
