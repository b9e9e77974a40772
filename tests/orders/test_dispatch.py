import time
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection, transaction

from accounts.calendar import Calendar, Kind, Window
from accounts.models import BrokerAccount, GatewaySession
from database import clock
from gateway.errors import NotConnected, NothingSent, SendUncertain
from gateway.reports import SessionState
from orders import dispatch, intake, journal, stamps, withdrawal
from orders.models import Order
from orders.reports import apply_report
from orders.vocabulary import Actor
from tests.orders.assertions import assert_history
from tests.orders.builders import BRACKET, CLIENT_ID, asked, error, open_order, placed
from tests.orders.factories import execute
from tests.orders.samples import sample

pytestmark = pytest.mark.django_db


def test_claim_is_committed_before_the_write(desk, broker):
    (order,) = placed()
    seen = []
    broker.before_transmit = lambda: seen.append((Order.objects.get(pk=order.pk).status, len(connection.savepoint_ids)))
    depth = len(connection.savepoint_ids)

    dispatch.submit(order.request_id, desk=desk)

    assert seen == [("PENDING_NEW", depth)]
    assert_history(order, "received sent")


def test_ticket_says_what_was_asked(desk, broker):
    (order,) = placed()

    dispatch.submit(order.request_id, desk=desk)

    (ticket,) = broker.transmitted
    order.refresh_from_db()
    assert (ticket.side, ticket.order_type, ticket.quantity, ticket.limit_price) == ("BUY", "LIMIT", 10, 230)
    assert (ticket.time_in_force, ticket.transmit, ticket.parent_id, ticket.account) == ("DAY", True, 0, "DU1000001")
    assert ticket.order_ref == stamps.stamped("my_trade_001", order.stamp)
    assert ticket.order_id == order.broker_order_id


@pytest.mark.parametrize("times", [2, 10])
def test_ringing_again_sends_nothing_more(desk, broker, times):
    (order,) = placed()

    for _ in range(times):
        dispatch.submit(order.request_id, desk=desk)

    assert len(broker.transmitted) == 1
    assert_history(order, "received sent")


def test_a_bracket_is_claimed_whole_or_not_at_all(desk, broker):
    orders = placed(*BRACKET)
    journal.record(orders[0].pk, sample("NOT_PLACED"), origin=journal.Origin(actor=Actor.SYSTEM))

    dispatch.submit(orders[0].request_id, desk=desk)

    assert broker.transmitted == []
    for order in orders[1:]:
        assert_history(order, "received")


def test_legs_of_a_bracket_lose_their_validity_together(desk):
    orders = placed(*BRACKET, valid_for=timedelta(seconds=-1))
    assert len({order.valid_until for order in orders}) == 1

    withdrawal.expire_unsent()

    for order in orders:
        assert_history(order, "received not_placed")


def test_bracket_leaves_as_one_group(desk, broker):
    orders = placed(*BRACKET)

    dispatch.submit(orders[0].request_id, desk=desk)

    entry, stop_loss, take_profit = broker.transmitted
    assert [t.transmit for t in broker.transmitted] == [False, False, True]
    assert (entry.parent_id, stop_loss.parent_id, take_profit.parent_id) == (0, entry.order_id, entry.order_id)
    assert (stop_loss.order_type, stop_loss.stop_price, stop_loss.side) == ("STOP", 225, "SELL")
    assert (take_profit.order_type, take_profit.limit_price) == ("LIMIT", 240)
    assert [t.order_id for t in broker.transmitted] == list(range(entry.order_id, entry.order_id + 3))


@pytest.mark.parametrize(("floor", "offered", "used"), [(1, 1, 1), (7, 3, 7), (3, 7, 7)])
def test_order_ids_never_go_back(desk, broker, floor, offered, used):
    GatewaySession.objects.update(next_order_id=floor)
    broker.next_order_id = offered
    (order,) = placed()

    dispatch.submit(order.request_id, desk=desk)

    order.refresh_from_db()
    assert order.broker_order_id == used
    assert GatewaySession.objects.get().next_order_id == used + 1


@pytest.mark.parametrize("state", [s for s in SessionState if s is not SessionState.READY])
def test_nothing_is_claimed_unless_ready(desk, broker, state):
    broker.state = state
    (order,) = placed()

    dispatch.submit(order.request_id, desk=desk)

    assert_history(order, "received")
    assert broker.transmitted == []


@pytest.mark.parametrize("heard", [None, 4.1])
def test_nothing_is_claimed_in_silence(desk, broker, heard):
    broker.heard_seconds_ago = heard
    (order,) = placed()

    dispatch.submit(order.request_id, desk=desk)

    assert_history(order, "received")


def test_nothing_is_claimed_after_its_time(desk, broker):
    (order,) = placed(valid_for=timedelta(seconds=-1))

    dispatch.submit(order.request_id, desk=desk)
    assert_history(order, "received")

    withdrawal.expire_unsent()
    assert_history(order, "received not_placed")
    assert broker.transmitted == []


def test_a_deposed_owner_claims_nothing(desk, broker):
    (order,) = placed()
    GatewaySession.objects.update(epoch=2)

    dispatch.submit(order.request_id, desk=desk)

    assert_history(order, "received")
    assert broker.transmitted == []


def test_unknown_symbol(desk, broker):
    (order,) = placed(symbol="INVALID")

    dispatch.submit(order.request_id, desk=desk)

    assert_history(order, "received not_placed")
    assert order.reason == "Could not qualify contract for symbol: INVALID"
    assert broker.transmitted == []


def test_refused_write_is_not_placed(desk, broker):
    orders = placed(*BRACKET)
    broker.failure = NotConnected("the connection is gone")

    dispatch.submit(orders[0].request_id, desk=desk)

    for order in orders:
        assert_history(order, "received sent not_placed")
        assert order.reason == "Failed to connect to IB Gateway"


def test_refused_write_is_not_placed_even_if_it_was_doubted_meanwhile(desk, broker):
    (order,) = placed()
    broker.failure = NotConnected("the connection is gone")
    broker.before_transmit = lambda: journal.record(
        order.pk, sample("IN_DOUBT"), origin=journal.Origin(actor=Actor.WORKER)
    )

    dispatch.submit(order.request_id, desk=desk)

    assert_history(order, "received sent in_doubt not_placed")


def test_uncertain_write_stays_pending(desk, broker):
    (order,) = placed()
    broker.failure = SendUncertain("timed out")

    dispatch.submit(order.request_id, desk=desk)
    broker.failure = None
    dispatch.submit(order.request_id, desk=desk)

    assert_history(order, "received sent")
    assert broker.transmitted == []


def test_failed_claim_sends_nothing(desk, broker):
    (order,) = placed()
    other = placed()[0]
    # The id that the claim will reserve is in use: the database refuses, after the event was written.
    sent = sample("SENT", broker_order_id=GatewaySession.objects.get().next_order_id, stamp=other.stamp)
    journal.record(other.pk, sent, origin=journal.Origin(actor=Actor.WORKER))

    dispatch.submit(order.request_id, desk=desk)

    assert_history(order, "received")
    assert broker.transmitted == []


def test_claim_that_failed_and_was_committed_all_the_same_is_closed(desk, broker):
    (order,) = placed()
    journal.record(order.pk, sample("SENT"), origin=journal.Origin(actor=Actor.WORKER))
    desk.uncommitted.add(order.request_id)

    dispatch.close_uncommitted(desk=desk)

    assert_history(order, "received sent not_placed")
    assert desk.uncommitted == set()


def test_another_owners_claim_is_not_closed(desk, broker):
    (order,) = placed()
    journal.record(order.pk, sample("SENT", epoch=2), origin=journal.Origin(actor=Actor.WORKER))
    desk.uncommitted.add(order.request_id)

    dispatch.close_uncommitted(desk=desk)

    assert_history(order, "received sent")


def test_no_such_contract_closes_only_what_nobody_claimed(desk, broker):
    (order,) = placed(symbol="INVALID")
    qualify = broker.qualify

    def qualify_late(symbol, *, timeout):
        journal.record(order.pk, sample("SENT"), origin=journal.Origin(actor=Actor.WORKER))
        return qualify(symbol, timeout=timeout)

    broker.qualify = qualify_late

    dispatch.submit(order.request_id, desk=desk)

    assert_history(order, "received sent")


def test_a_claim_that_comes_too_late_to_the_wire_is_not_sent(desk, broker):
    (order,) = placed(valid_for=timedelta(seconds=0.3))
    broker.before_transmit = lambda: time.sleep(0.35)  # as if the process had been paused

    dispatch.submit(order.request_id, desk=desk)

    assert_history(order, "received sent not_placed")
    assert broker.transmitted == []


def test_a_new_claim_is_not_taken_for_the_one_that_failed(desk, broker):
    (order,) = placed()
    desk.uncommitted.add(order.request_id)

    dispatch.submit(order.request_id, desk=desk)
    dispatch.close_uncommitted(desk=desk)

    assert_history(order, "received sent")
    assert len(broker.transmitted) == 1


# Cancels


@pytest.fixture
def working(desk):
    (order,) = placed()
    dispatch.submit(order.request_id, desk=desk)
    order.refresh_from_db()
    apply_report(open_order(order), session="", client_id=CLIENT_ID)
    order.refresh_from_db()
    return order


def test_cancel_is_marked_then_sent(desk, broker, working):
    intake.request_cancel(asked(), perm_id=working.perm_id, client_id=CLIENT_ID)
    assert dispatch.unsent_cancels(desk=desk) == [working.pk]

    dispatch.cancel(working.pk, desk=desk)

    assert broker.cancelled == [working.broker_order_id]
    assert_history(working, "received sent accepted cancel_requested cancel_sent")
    assert dispatch.unsent_cancels(desk=desk) == []


def test_doorbell_and_sweep_send_one_cancel(desk, broker, working):
    intake.request_cancel(asked(), perm_id=working.perm_id, client_id=CLIENT_ID)

    for _ in range(3):
        dispatch.cancel(working.pk, desk=desk)

    assert broker.cancelled == [working.broker_order_id]


def test_another_gateways_orders_are_left_alone(desk, broker):
    (order,) = placed()
    other = GatewaySession.objects.create(pk="other", client_id=CLIENT_ID, endpoint="", state_since=order.received_at)
    BrokerAccount.objects.filter(pk=order.account_id).update(session=other)

    assert dispatch.waiting_requests(desk=desk) == []
    dispatch.submit(order.request_id, desk=desk)

    assert_history(order, "received")
    assert broker.transmitted == []


def test_cancel_is_sent_again_on_the_next_connection(desk, broker, working):
    intake.request_cancel(asked(), perm_id=working.perm_id, client_id=CLIENT_ID)
    dispatch.cancel(working.pk, desk=desk)

    broker.connection = 2

    assert dispatch.unsent_cancels(desk=desk) == [working.pk]


def test_cancel_that_the_session_refused_is_sent_again(desk, broker, working):
    intake.request_cancel(asked(), perm_id=working.perm_id, client_id=CLIENT_ID)
    broker.failure = NothingSent("the gateway does not read what was sent before")
    dispatch.cancel(working.pk, desk=desk)
    broker.failure = None

    assert dispatch.unsent_cancels(desk=desk) == [working.pk]
    dispatch.cancel(working.pk, desk=desk)

    assert broker.cancelled == [working.broker_order_id]
    assert dispatch.unsent_cancels(desk=desk) == []
    assert_history(working, "received sent accepted cancel_requested cancel_sent cancel_requested cancel_sent")


def test_cancel_asked_for_after_a_refusal_is_sent_anew(desk, broker, working):
    intake.request_cancel(asked(), perm_id=working.perm_id, client_id=CLIENT_ID)
    dispatch.cancel(working.pk, desk=desk)
    apply_report(error(working.broker_order_id, 161), session="", client_id=CLIENT_ID)
    assert dispatch.unsent_cancels(desk=desk) == []

    intake.request_cancel(asked(), perm_id=working.perm_id, client_id=CLIENT_ID)

    assert dispatch.unsent_cancels(desk=desk) == [working.pk]


def test_cancel_nobody_asked_for_is_not_sent(desk, broker, working):
    dispatch.cancel(working.pk, desk=desk)

    assert broker.cancelled == []
    assert_history(working, "received sent accepted")


def test_cancel_of_another_clients_order_is_not_ours_to_send(desk, working):
    desk.client_id = 99
    intake.request_cancel(asked(), perm_id=working.perm_id, client_id=CLIENT_ID)

    assert dispatch.unsent_cancels(desk=desk) == []


# Brackets that lost a leg


def bracket_with(desk, *, refused, filled=None):
    orders = placed(*BRACKET)
    dispatch.submit(orders[0].request_id, desk=desk)
    for number, order in enumerate(orders):
        order.refresh_from_db()
        accepted = open_order(order, perm_id=500 + number)
        report = error(order.broker_order_id, 110) if order.role == refused else accepted
        with transaction.atomic():
            apply_report(report, session="", client_id=CLIENT_ID)
    if filled:
        execute(Order.objects.get(pk=orders[0].pk), quantity=filled)
    return orders


@pytest.mark.parametrize("refused", ["ENTRY", "STOP_LOSS", "TAKE_PROFIT"])
def test_all_or_nothing(desk, refused):
    orders = bracket_with(desk, refused=refused)

    withdrawal.withdraw_broken_brackets()
    withdrawal.withdraw_broken_brackets()

    for order in orders:
        last = "rejected" if order.role == refused else "accepted cancel_requested"
        assert_history(order, f"received sent {last}")


def test_a_leg_that_cannot_be_cancelled_is_asked_for_once(desk):
    orders = bracket_with(desk, refused="STOP_LOSS")
    withdrawal.withdraw_broken_brackets()
    apply_report(error(orders[0].broker_order_id, 161), session="", client_id=CLIENT_ID)

    for _ in range(3):
        withdrawal.withdraw_broken_brackets()

    assert_history(orders[0], "received sent accepted cancel_requested cancel_rejected")


def test_a_position_keeps_its_other_exit(desk):
    orders = bracket_with(desk, refused="STOP_LOSS", filled=4)

    withdrawal.withdraw_broken_brackets()

    assert_history(orders[2], "received sent accepted")


def test_whole_bracket_is_left_alone(desk):
    orders = bracket_with(desk, refused=None)

    withdrawal.withdraw_broken_brackets()

    for order in orders:
        assert_history(order, "received sent accepted")


# Planned pauses


def planned(settings, *, begins_in, lasts=timedelta(minutes=5)):
    """A nightly restart so long after now, by the database's clock; without a guard."""
    at = clock.database_now() + begins_in
    window = Window(kind=Kind.RESTART, zone=ZoneInfo("UTC"), at=at.time(), lasts=lasts)
    settings.GATEWAY_CALENDAR = Calendar(windows=(window,))


def test_nothing_is_claimed_during_a_planned_pause(desk, broker, settings):
    (order,) = placed()
    planned(settings, begins_in=timedelta(seconds=-1))

    dispatch.submit(order.request_id, desk=desk)

    assert not broker.transmitted
    assert_history(order, "received not_placed")
    order.refresh_from_db()
    assert "the gateway's nightly restart, until" in order.reason


def test_an_order_waits_for_the_end_of_a_pause_while_it_is_valid(desk, broker, settings):
    (order,) = placed()
    planned(settings, begins_in=timedelta(minutes=-5), lasts=timedelta(minutes=5, seconds=3))

    dispatch.submit(order.request_id, desk=desk)

    assert not broker.transmitted
    assert_history(order, "received")

    settings.GATEWAY_CALENDAR = Calendar()
    dispatch.submit(order.request_id, desk=desk)

    assert len(broker.transmitted) == 1


def test_what_is_claimed_just_before_a_pause_is_not_sent_into_it(desk, broker, settings):
    (order,) = placed()
    planned(settings, begins_in=timedelta(seconds=2))
    limits = []
    broker.transmit = lambda tickets, *, connection, before: limits.append(before - time.monotonic())

    dispatch.submit(order.request_id, desk=desk)

    (limit,) = limits
    assert limit < 2


def test_a_cancel_is_sent_during_a_planned_pause(desk, broker, settings):
    (order,) = placed()
    dispatch.submit(order.request_id, desk=desk)
    apply_report(open_order(Order.objects.get(pk=order.pk)), session="default/17/1/1", client_id=CLIENT_ID)
    order.refresh_from_db()
    intake.request_cancel(asked(endpoint="/order/cancel"), perm_id=order.perm_id, client_id=CLIENT_ID)
    planned(settings, begins_in=timedelta(seconds=-1))

    dispatch.cancel(order.pk, desk=desk)

    assert broker.cancelled == [order.broker_order_id]
