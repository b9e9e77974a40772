import threading

import pytest
from django.db import connection

from orders import intake, journal
from orders.errors import KeyInProgress, KeyReused, NotOurs, OrderNotFound, Unresolved
from orders.models import Order, OrderRequest, RequestAnswer
from orders.reports import apply_report
from orders.vocabulary import Actor, OrderStatus
from orders.withdrawal import withdraw
from tests.orders.assertions import assert_history
from tests.orders.builders import BRACKET, CLIENT_ID, asked, open_order, placed, placement, session_row
from tests.orders.samples import sample

pytestmark = pytest.mark.django_db


def test_request_and_order_are_stored_together():
    (order,) = placed()

    assert order.request.endpoint == "/order/limit"
    assert (order.status, order.symbol, order.quantity, order.limit_price) == ("RECEIVED", "AAPL", 10, 230)
    assert order.valid_until > order.received_at
    assert len(order.stamp) == 13
    assert_history(order, "received")
    assert order.events.get().request_id == order.request.request_id


def test_bracket_is_three_orders_of_one_request():
    orders = placed(*BRACKET)

    assert [order.role for order in orders] == ["ENTRY", "STOP_LOSS", "TAKE_PROFIT"]
    assert len({order.stamp for order in orders}) == 3
    assert len({order.request_id for order in orders}) == 1


def test_two_requests_without_a_key_are_two_orders():
    placed()
    placed()

    assert Order.objects.count() == 2


def test_refusal_is_stored_with_its_answer():
    request = intake.refuse(asked(idempotency_key="k"), reason="quantity: must be positive", status_code=400)

    assert request.refusal == "quantity: must be positive"
    assert RequestAnswer.objects.get().body == {"detail": "quantity: must be positive"}
    assert not Order.objects.exists()


# Keys


def test_key_of_a_refused_request_is_free():
    session_row()
    intake.refuse(asked(idempotency_key="k"), reason="no", status_code=400)

    intake.place(asked(idempotency_key="k"), placement())

    assert Order.objects.count() == 1


def test_key_again_while_running():
    session_row()
    intake.place(asked(idempotency_key="k"), placement())

    for act in (lambda: intake.check_key(asked(idempotency_key="k")), lambda: again("k")):
        with pytest.raises(KeyInProgress):
            act()
    assert Order.objects.count() == 1


def again(key, **changes):
    intake.place(asked(idempotency_key=key, **changes), placement())


def test_key_again_after_the_answer():
    session_row()
    request = intake.place(asked(idempotency_key="k"), placement())[0].request
    intake.answer(request, status_code=200, body={"permId": 1})

    with pytest.raises(intake.Replay) as replay:
        again("k")

    assert (replay.value.request, replay.value.answer.body) == (request, {"permId": 1})
    assert Order.objects.count() == 1


@pytest.mark.parametrize("changes", [{"body_digest": "1" * 64}, {"endpoint": "/order/market"}])
def test_key_again_with_another_request(changes):
    session_row()
    intake.place(asked(idempotency_key="k"), placement())

    with pytest.raises(KeyReused):
        again("k", **changes)
    assert Order.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_one_key_twenty_times_at_once():
    session_row()
    start, ends = threading.Barrier(20), []

    def post():
        start.wait()
        try:
            intake.place(asked(idempotency_key="k"), placement())
            ends.append("placed")
        except (KeyInProgress, intake.Replay) as refusal:
            ends.append(type(refusal).__name__)
        finally:
            connection.close()

    threads = [threading.Thread(target=post) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(ends) == ["KeyInProgress"] * 19 + ["placed"]
    assert (OrderRequest.objects.count(), Order.objects.count()) == (1, 1)


# Withdrawing


def test_withdraw_before_the_claim():
    orders = placed(*BRACKET)

    assert withdraw(orders[0].request_id, reason="Failed to connect to IB Gateway", actor=Actor.API)

    for order in orders:
        assert_history(order, "received not_placed")
        assert order.reason == "Failed to connect to IB Gateway"


def test_withdraw_loses_to_the_claim():
    (order,) = placed()
    journal.record(order.pk, sample("SENT"), origin=journal.Origin(actor=Actor.WORKER))

    assert not withdraw(order.request_id, reason="too late", actor=Actor.API)
    assert_history(order, "received sent")


# Cancels


@pytest.fixture
def working():
    (order,) = placed()
    order = journal.record(order.pk, sample("SENT"), origin=journal.Origin(actor=Actor.WORKER))
    apply_report(open_order(order), session="", client_id=CLIENT_ID)
    order.refresh_from_db()
    return order


def test_cancel_names_its_order(working):
    request = intake.request_cancel(asked(), perm_id=working.perm_id, client_id=CLIENT_ID)

    assert request.cancels == working
    assert_history(working, "received sent accepted cancel_requested")
    assert working.status == "PENDING_CANCEL"


def test_cancel_of_nothing_known():
    with pytest.raises(OrderNotFound):
        intake.request_cancel(asked(), perm_id=4711, client_id=CLIENT_ID)


def test_cancel_of_a_cancelled_order(working):
    apply_report(open_order(working, status="Cancelled"), session="", client_id=CLIENT_ID)

    with pytest.raises(OrderNotFound, match="Order not found or already filled"):
        intake.request_cancel(asked(), perm_id=working.perm_id, client_id=CLIENT_ID)
    assert_history(working, "received sent accepted canceled")


def test_cancel_of_another_clients_order(working):
    with pytest.raises(NotOurs, match="belongs to API client 17"):
        intake.request_cancel(asked(), perm_id=working.perm_id, client_id=18)
    assert_history(working, "received sent accepted")


def test_cancel_of_an_order_in_doubt(working):
    (order,) = placed()
    for event in (sample("SENT", broker_order_id=6), sample("STATUS_REPORTED", perm_id=99), sample("IN_DOUBT")):
        journal.record(order.pk, event, origin=journal.Origin(actor=Actor.WORKER))

    with pytest.raises(Unresolved, match="Whether the broker has order 99 is not known yet"):
        intake.request_cancel(asked(), perm_id=99, client_id=CLIENT_ID)
    assert_history(order, "received sent status_reported in_doubt")


def test_unsent_cancel_is_taken_back(working):
    intake.request_cancel(asked(), perm_id=working.perm_id, client_id=CLIENT_ID)

    assert intake.withdraw_cancel(working.pk, actor="api")

    assert_history(working, "received sent accepted cancel_requested cancel_rejected")
    assert working.status == OrderStatus.NEW


def test_sent_cancel_is_not_taken_back(working):
    intake.request_cancel(asked(), perm_id=working.perm_id, client_id=CLIENT_ID)
    journal.record(working.pk, sample("CANCEL_SENT"), origin=journal.Origin(actor=Actor.WORKER))

    assert not intake.withdraw_cancel(working.pk, actor="api")


def test_cancel_that_another_client_had_sent_is_not_taken_back(working):
    for _ in range(2):
        intake.request_cancel(asked(), perm_id=working.perm_id, client_id=CLIENT_ID)
        if working.events.count() == 4:
            journal.record(working.pk, sample("CANCEL_SENT"), origin=journal.Origin(actor=Actor.WORKER))

    assert not intake.withdraw_cancel(working.pk, actor="api")
    assert_history(working, "received sent accepted cancel_requested cancel_sent cancel_requested")
