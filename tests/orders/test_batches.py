"""What is told together is applied together, and comes to the same as one by one."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal as D

import pytest
from django.db import connection, transaction

from accounts.limits import changing
from orders import dispatch, events, intake, journal, reports
from orders.desk import Ready
from orders.models import Execution, Order, OrderEvent
from orders.sheet import Overtaken, Sheet
from orders.sweep import sweep
from tests.orders.builders import (
    BRACKET,
    CLIENT_ID,
    LIMIT,
    asked,
    execution,
    open_order,
    order_status,
    placed,
    placement,
    session_row,
)

pytestmark = pytest.mark.django_db
SESSION = "default/17/1/1"


def sent(desk, count):
    """Orders that were sent, in symbols of their own."""
    orders = [placed(LIMIT, symbol=f"S{number}")[0] for number in range(count)]
    for order in orders:
        dispatch.submit(order.request_id, desk=desk)
    return list(Order.objects.order_by("pk"))


def the_story_of(order, perm_id):
    """What a gateway says of an order that is filled at once."""
    named = {"perm_id": perm_id}
    yield open_order(order, **named)
    yield order_status(perm_id, "Submitted")
    yield execution(order, exec_id=f"e{perm_id}", quantity=order.quantity, **named)
    yield open_order(order, status="Filled", **named)
    yield order_status(perm_id, "Filled")
    yield order_status(perm_id, "Filled")


def history(order):
    return list(order.events.order_by("sequence").values_list("kind", "from_status", "to_status"))


def test_a_flood_comes_to_the_same_as_one_by_one(desk):
    orders = sent(desk, 4)
    stories = [list(the_story_of(order, 500 + number)) for number, order in enumerate(orders)]
    alone, *together = orders

    for report in stories[0]:
        reports.apply_report(report, session=SESSION, client_id=CLIENT_ID)
    flood = [report for told in zip(*stories[1:], strict=True) for report in told]
    reports.apply_told(flood, session=SESSION)

    assert history(alone)[-1][-1] == "FILLED"
    for order in together:
        assert history(order) == history(alone)
        order.refresh_from_db()
        assert (order.status, order.filled_quantity) == ("FILLED", order.quantity)
        assert journal.replay(order) == order.state()
    assert Execution.objects.count() == 4


def test_the_same_flood_again_changes_nothing(desk):
    orders = sent(desk, 2)
    flood = [report for number, order in enumerate(orders) for report in the_story_of(order, 500 + number)]
    reports.apply_told(flood, session=SESSION)
    before = OrderEvent.objects.count(), Execution.objects.count()

    reports.apply_told(flood, session=SESSION)

    assert (OrderEvent.objects.count(), Execution.objects.count()) == before


def test_an_order_adopted_in_the_middle_counts_what_came_before_it(desk):
    (ours,) = sent(desk, 1)
    theirs = {"perm_id": 900, "order_ref": "typed in TWS"}
    flood = [
        open_order(ours, perm_id=500),
        execution(exec_id="x1", quantity=D(4), **theirs),
        open_order(order_id=0, client_id=0, quantity=D(10), **theirs),
        execution(exec_id="x2", quantity=D(6), **theirs),
    ]

    reports.apply_told(flood, session=SESSION)

    adopted = Order.objects.get(perm_id=900)
    assert (adopted.filled_quantity, adopted.status) == (D(10), "FILLED")
    assert journal.replay(adopted) == adopted.state()


def test_no_news_takes_one_query(desk, django_assert_num_queries):
    orders = sent(desk, 5)
    listing = [report for n, order in enumerate(orders) for report in (open_order(order, perm_id=500 + n),)]
    reports.apply_told(listing, session=SESSION)

    with django_assert_num_queries(1):
        reports.apply_told(listing, session=SESSION)


def test_what_somebody_else_changed_meanwhile_is_decided_anew(desk):
    (order,) = sent(desk, 1)
    sheet = Sheet([(open_order(order).order_ref, 0)])
    mine = sheet.found.of(open_order(order).order_ref, 0, order.account_id)
    reports.apply_report(open_order(order, perm_id=500), session=SESSION, client_id=CLIENT_ID)
    before = history(order)

    sheet.note(mine, events.StatusReported(broker_status="PreSubmitted"), origin=journal.Origin(actor="BROKER"))
    with pytest.raises(Overtaken):
        sheet.write()

    assert history(order) == before


def test_requests_that_are_ready_together_are_claimed_in_one_transaction(desk, broker):
    orders = [placed(LIMIT, symbol=f"S{number}")[0] for number in range(3)]
    instrument = broker.qualify("S0", timeout=1)
    for order in reversed(orders[1:]):
        desk.ready.put(Ready(order.request_id, instrument, orders=1))

    dispatch.submit(orders[0].request_id, desk=desk)

    ids = list(Order.objects.order_by("pk").values_list("broker_order_id", flat=True))
    assert ids == sorted(ids)
    assert [ticket.order_id for ticket in broker.transmitted] == ids
    assert not desk.ready
    assert {order.status for order in Order.objects.all()} == {"PENDING_NEW"}


def test_what_has_no_room_waits_and_leaves_the_queue(desk, broker):
    broker.room_for = 0
    (order,) = placed(LIMIT)

    dispatch.submit(order.request_id, desk=desk)

    order.refresh_from_db()
    assert order.status == "RECEIVED"
    assert not broker.transmitted
    assert not desk.ready

    broker.room_for = 1
    (younger,) = placed(LIMIT)
    dispatch.submit(younger.request_id, desk=desk)
    sweep(desk)
    assert [ticket.order_id for ticket in broker.transmitted] == [1, 2]


def test_a_question_that_takes_the_room_of_a_claimed_order_delays_it(desk, broker, monkeypatch):
    """Longer than a look at halts lasts: it is taken anew, and the order is sent."""
    (order,) = placed(LIMIT)
    waits = [lambda: None, lambda: time.sleep(dispatch.LOOK_HOLDS_SECONDS)]
    monkeypatch.setattr(broker, "room", lambda messages, *, timeout: waits.pop(0)() or 46)

    dispatch.submit(order.request_id, desk=desk)

    assert not waits  # before the claim, and before the write
    assert len(broker.transmitted) == 1


def test_the_sweep_leaves_alone_what_a_thread_sees_to(desk, broker):
    (order,) = placed(LIMIT)
    desk.ready.put(Ready(order.request_id, broker.qualify("S0", timeout=1), orders=1))

    sweep(desk)

    assert not broker.transmitted


def test_more_than_there_is_room_for_is_claimed_in_several_turns(desk, broker):
    broker.room_for = 2
    waiting = [placed(LIMIT, symbol=f"S{number}")[0] for number in range(4)]
    instrument = broker.qualify("S3", timeout=1)
    for order in waiting[:-1]:
        desk.ready.put(Ready(order.request_id, instrument, orders=1))

    dispatch.submit(waiting[-1].request_id, desk=desk)

    assert [ticket.instrument.symbol for ticket in broker.transmitted] == ["S3"] * 4
    assert list(Order.objects.order_by("pk").values_list("broker_order_id", flat=True)) == [1, 2, 3, 4]
    assert broker.asked_room_for == [4, 1, 1, 2, 1, 1]  # for a group, and for each order before it is written


def test_the_walk_of_an_order_costs_so_many_queries(desk, django_assert_num_queries):
    """Each is a round trip to the database, two of them the beginning and the end of a transaction."""
    orders = sent(desk, 2)
    (waiting,) = placed(LIMIT, symbol="Z")
    with django_assert_num_queries(10):
        dispatch.submit(waiting.request_id, desk=desk)

    acknowledged = [open_order(orders[0], perm_id=500), order_status(500, "Submitted")]
    with django_assert_num_queries(6):
        reports.apply_told(acknowledged, session=SESSION)

    reports.apply_told(list(the_story_of(orders[0], 500)), session=SESSION)
    with django_assert_num_queries(9):
        reports.apply_told(list(the_story_of(orders[1], 501)), session=SESSION)


@pytest.mark.django_db(transaction=True)
def test_what_waited_for_a_row_is_not_recorded_before_what_it_waited_for(desk):
    order, other = sent(desk, 2)
    reports.apply_words([open_order(order, perm_id=500), open_order(other, perm_id=501)], session=SESSION)
    held = threading.Event()

    def ask_for_its_cancellation():
        try:
            with transaction.atomic():
                Order.objects.select_for_update().get(pk=order.pk)
                held.set()
                time.sleep(0.3)
                journal.record(order.pk, events.CancelRequested(), origin=journal.Origin(actor="api"))
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask_for_its_cancellation)
        held.wait()
        told = [execution(each, exec_id=f"e{n}", quantity=D(1), perm_id=n) for n, each in ((500, order), (501, other))]
        reports.apply_told(told, session=SESSION)
        asking.result()

    rows = list(order.events.order_by("sequence").values_list("kind", "recorded_at"))
    assert [kind for kind, _ in rows][-2:] == ["CANCEL_REQUESTED", "PARTIAL_FILL"]
    assert [at for _, at in rows] == sorted(at for _, at in rows)


def test_requests_of_a_batch_share_their_queries(desk, broker, django_assert_num_queries):
    """What is held against nothing of each other costs one look for each, and one writing for all."""
    orders = [placed(LIMIT, symbol=f"S{number}")[0] for number in range(3)]
    instrument = broker.qualify("S0", timeout=1)
    for order in orders[1:]:
        desk.ready.put(Ready(order.request_id, instrument, orders=1))

    with django_assert_num_queries(10 + 2):
        dispatch.submit(orders[0].request_id, desk=desk)


@pytest.mark.parametrize(
    ("limits", "symbols"),
    [
        ({"working_orders": 2}, ["A", "B", "C"]),
        ({"orders_per_minute": 2}, ["A", "B", "C"]),
        ({"position": D(20)}, ["A", "A", "A"]),
        ({"position": D(10)}, ["A", "B", "A"]),
    ],
)
def test_a_request_of_a_batch_is_held_against_those_before_it(desk, broker, limits, symbols):
    orders = [placed(LIMIT, symbol=symbol)[0] for symbol in symbols]
    changing.change("", limits, by="user:risk", reason="a limit for this test")
    for order in orders[1:]:
        desk.ready.put(Ready(order.request_id, broker.qualify(order.symbol, timeout=1), orders=1))

    dispatch.submit(orders[0].request_id, desk=desk)

    assert [status for (status,) in Order.objects.order_by("pk").values_list("status")] == [
        *["PENDING_NEW"] * 2,
        "DENIED",
    ]
    assert len(broker.transmitted) == 2


def test_a_request_costs_so_many_queries(django_assert_num_queries):
    session_row()
    with django_assert_num_queries(7):
        intake.place(asked(), placement(LIMIT))
    with django_assert_num_queries(7):
        intake.place(asked(), placement(*BRACKET, symbol="TSLA"))
