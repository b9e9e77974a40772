from datetime import timedelta

import pytest
from django.utils import timezone

from gateway.errors import QueryTimedOut
from gateway.reports import Query
from orders import dispatch, reconcile
from orders.reports import apply_report
from orders.sweep import sweep
from tests.orders.assertions import assert_history
from tests.orders.builders import CLIENT_ID, GATEWAY, open_order, placed, session_row

pytestmark = pytest.mark.django_db


@pytest.fixture
def sent(desk):
    (order,) = placed()
    dispatch.submit(order.request_id, desk=desk)
    order.refresh_from_db()
    return order


def recover(broker):
    reconcile.recover(broker, client_id=CLIENT_ID, session="default/17/1/2")


def test_everything_is_asked_orders_before_executions(broker, desk):
    recover(broker)

    assert set(broker.asked) == set(Query)
    assert broker.asked.index(Query.EXECUTIONS) > broker.asked.index(Query.COMPLETED_ORDERS)


def test_claim_that_the_broker_does_not_know_is_in_doubt(broker, sent):
    recover(broker)

    assert_history(sent, "received sent in_doubt")


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
    reconcile.recover(broker, client_id=99, session="")

    assert_history(sent, "received sent")


def test_a_late_acknowledgement_resolves_the_doubt(broker, sent):
    recover(broker)

    apply_report(open_order(sent), session="", client_id=CLIENT_ID)

    assert_history(sent, "received sent in_doubt accepted")


def settle(broker):
    reconcile.settle(broker, client_id=CLIENT_ID, session="")


def test_a_young_claim_is_given_time(broker, sent):
    settle(broker)

    assert broker.asked == []
    assert_history(sent, "received sent")


def test_an_old_claim_is_looked_into(broker, sent, monkeypatch):
    monkeypatch.setattr(reconcile, "ACKNOWLEDGED_WITHIN", timedelta(0))

    settle(broker)

    assert broker.asked == list(reconcile.ORDER_QUERIES)
    assert_history(sent, "received sent in_doubt")


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
    ("case", "wanted", "as_of", "asks"),
    [
        ("never wanted", None, None, []),
        ("wanted, never answered", 1, None, [Query.ALL_OPEN_ORDERS]),
        ("wanted after the answer", 2, 1, [Query.ALL_OPEN_ORDERS]),
        ("answered since", 1, 2, []),
    ],
)
def test_sweep_lists_open_orders_when_wanted(desk, broker, case, wanted, as_of, asks):
    now = timezone.now()
    moments = {1: now - timedelta(seconds=2), 2: now - timedelta(seconds=1)}
    session_row(open_orders_wanted_at=moments.get(wanted), open_orders_as_of=moments.get(as_of))

    sweep(desk)

    assert broker.asked == asks
    assert desk.gateway == GATEWAY
