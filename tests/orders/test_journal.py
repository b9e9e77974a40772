from datetime import UTC, datetime

import pytest
from django.db import Error, connection, transaction

from orders import events, journal
from orders.errors import IllegalTransition
from orders.models import Commission, Execution, Order, OrderEvent, OrderRequest, RequestAnswer
from orders.reports import apply_report
from orders.vocabulary import Actor, OrderStatus
from tests.orders.assertions import assert_history
from tests.orders.builders import CLIENT_ID, execution, placed
from tests.orders.samples import sample

pytestmark = pytest.mark.django_db
WORKER = journal.Origin(actor=Actor.WORKER)
BROKER = journal.Origin(actor=Actor.BROKER, raw=("5", "x"), session="default/17/1/1")


def test_event_and_row_change_together():
    (order,) = placed()

    after = journal.record(order.pk, sample("SENT"), origin=WORKER)

    assert (after.status, after.client_id, after.broker_order_id) == ("PENDING_NEW", 17, 5)
    assert_history(order, "received sent")
    sent = order.events.get(sequence=2)
    assert (sent.from_status, sent.to_status, sent.actor) == ("RECEIVED", "PENDING_NEW", "worker")


def test_what_the_broker_said_is_kept_with_its_time():
    (order,) = placed()
    journal.record(order.pk, sample("SENT"), origin=WORKER)

    journal.record(order.pk, sample("FILL", occurred_at=datetime(2026, 1, 15, tzinfo=UTC)), origin=BROKER)

    fill = order.events.get(sequence=3)
    assert fill.raw == ["5", "x"]
    assert fill.occurred_at == datetime(2026, 1, 15, tzinfo=UTC)
    assert fill.session == "default/17/1/1"


def test_our_own_illegal_event_raises_and_leaves_no_trace():
    (order,) = placed()

    with pytest.raises(IllegalTransition, match="RECEIVED cannot take the event CANCELED"):
        journal.record(order.pk, sample("CANCELED"), origin=WORKER)

    assert_history(order, "received")


def test_the_brokers_illegal_report_is_kept_and_changes_nothing():
    (order,) = placed()

    journal.record(order.pk, sample("CANCELED"), origin=BROKER)

    assert_history(order, "received unexpected")
    kept = order.events.get(sequence=2)
    assert kept.payload == {
        "refused": "CANCELED",
        "status": "RECEIVED",
        "details": {"broker_status": "Cancelled", "reason": ""},
    }
    assert order.status == "RECEIVED"


def test_compare_and_set_that_loses_records_nothing():
    (order,) = placed()

    lost = journal.record(order.pk, sample("IN_DOUBT"), origin=WORKER, only_from=frozenset({OrderStatus.PENDING_NEW}))

    assert lost is None
    assert_history(order, "received")


def test_an_order_cannot_begin_in_the_middle():
    (order,) = placed()

    with pytest.raises(IllegalTransition):
        journal.open_order({"account_id": order.account_id}, sample("SENT"), origin=WORKER)


# What the database refuses, whoever asks


def filled_record():
    (order,) = placed()
    journal.record(order.pk, sample("SENT"), origin=WORKER)
    apply_report(execution(order), session="", client_id=CLIENT_ID)
    Commission.objects.create(exec_id="x", amount=1, currency="USD", raw=[], recorded_at=datetime.now(UTC))
    RequestAnswer.objects.create(request=order.request, answered_at=datetime.now(UTC), status_code=200, body={})
    return order


APPEND_ONLY = [OrderEvent, OrderRequest, RequestAnswer, Execution, Commission]


@pytest.mark.parametrize("model", APPEND_ONLY)
def test_append_only_tables_refuse_update(model):
    filled_record()
    column = {"OrderEvent": "actor", "RequestAnswer": "status_code", "OrderRequest": "actor"}.get(model.__name__, "raw")

    with pytest.raises(Error, match="append_only"), transaction.atomic():
        model.objects.update(**{column: 500 if column == "status_code" else "x"})


@pytest.mark.parametrize("model", [*APPEND_ONLY, Order])
def test_delete_is_refused(model):
    filled_record()

    with pytest.raises(Error, match="annot .*delete"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {model._meta.db_table}")


@pytest.mark.parametrize("model", [*APPEND_ONLY, Order])
def test_truncate_is_refused(model):
    with pytest.raises(Error, match="cannot be truncated"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {model._meta.db_table} CASCADE")


@pytest.mark.parametrize(
    "changes", [{"status": "FILLED"}, {"quantity": 11}, {"status": "NEW", "last_sequence": 2}, {"last_sequence": 2}]
)
def test_a_row_cannot_change_without_its_event(changes):
    (order,) = placed()

    with pytest.raises(Error, match="changes only together with its next event"), transaction.atomic():
        Order.objects.filter(pk=order.pk).update(**changes)


def test_a_row_cannot_begin_without_an_event():
    (order,) = placed()
    order.pk, order.stamp = None, "B" * 13

    with transaction.atomic():
        order.save(force_insert=True)
        with pytest.raises(Error, match="has no first event"), connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        transaction.set_rollback(True)


def test_one_order_id_is_never_used_twice():
    first, second = placed()[0], placed()[0]
    journal.record(first.pk, sample("SENT"), origin=WORKER)

    with pytest.raises(Error, match="order_id_is_used_once"), transaction.atomic():
        journal.record(second.pk, sample("SENT"), origin=WORKER)

    assert_history(second, "received")


def test_replay_of_a_whole_life():
    (order,) = placed()
    for kind in ("SENT", "STATUS_REPORTED", "ACCEPTED", "PARTIAL_FILL", "CANCEL_REQUESTED", "CANCEL_REJECTED"):
        order = journal.record(order.pk, sample(kind), origin=WORKER)

    assert journal.replay(order) == order.state()
    assert order.state().status == "PARTIALLY_FILLED"
    assert isinstance(events.from_payload("SENT", order.events.get(sequence=2).payload), events.Sent)
