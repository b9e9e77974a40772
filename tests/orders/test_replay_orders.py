import weakref
from io import StringIO

import pytest
from django.core.management import CommandError, call_command, get_commands, load_command_class
from django.db import connection, transaction

from orders import refold
from orders.management.commands import replay_orders
from orders.models import Order
from orders.vocabulary import OrderStatus
from tests.orders.factories import advance, bracket, execute, external_order, order_in

pytestmark = pytest.mark.django_db


def replayed(*order_pks, **options):
    """What the command prints; raises as it does."""
    out = StringIO()
    call_command("replay_orders", *order_pks, stdout=out, no_color=True, **options)
    return out.getvalue()


def broken_lines(*order_pks):
    out = StringIO()
    with pytest.raises(CommandError) as refusal:
        call_command("replay_orders", *order_pks, stdout=out, no_color=True)
    assert refusal.value.returncode == 1
    return out.getvalue().splitlines(), str(refusal.value)


@pytest.fixture
def tamper():
    """Runs SQL as nobody may, past every trigger; undone at the end, for the record has to add up after a test."""
    with transaction.atomic(), connection.cursor() as cursor:

        def run(statement, *values):
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute(statement, values)
            assert cursor.rowcount == 1
            cursor.execute("SET LOCAL session_replication_role = origin")

        yield run
        transaction.set_rollback(True)


def test_real_flows_are_clean():
    for status in OrderStatus:
        order_in(status)
    bracket()
    external_order()
    late = execute(order_in("CANCELED"), quantity=4)
    corrected = execute(order_in("NEW"), quantity=4, exec_id="f.1.01.01")
    execute(corrected, quantity=3, exec_id="f.1.01.02")
    advance(late, "CANCELED")

    count = Order.objects.count()
    assert replayed().splitlines()[-1].startswith(f"{count} orders, ")
    assert replayed().endswith("no difference\n")


def test_an_empty_record_is_clean():
    assert replayed() == "0 orders, 0 events replayed: no difference\n"


@pytest.mark.parametrize(
    ("statement", "line"),
    [
        (
            "UPDATE orders_order SET filled_quantity = 7 WHERE id = %s",
            "filled_quantity is 7.00000000, its events say 0",
        ),
        ("UPDATE orders_order SET status = 'FILLED' WHERE id = %s", "status is FILLED, its events say NEW"),
        ("UPDATE orders_order SET last_sequence = 9 WHERE id = %s", "last_sequence is 9, its events say 3"),
        ("UPDATE orders_order SET limit_price = 1 WHERE id = %s", "limit_price is 1.00000000, its events say 150.25"),
        (
            "UPDATE orders_orderevent SET to_status = 'REJECTED' WHERE order_id = %s AND sequence = 3",
            "event 3 says PENDING_NEW to REJECTED, replay says PENDING_NEW to NEW",
        ),
        (
            "UPDATE orders_orderevent SET kind = 'CANCEL_SENT' WHERE order_id = %s AND sequence = 2",
            "event 2 (CANCEL_SENT) cannot be replayed: ",
        ),
        (
            "UPDATE orders_orderevent SET payload = '[]' WHERE order_id = %s AND sequence = 2",
            "event 2 (SENT) cannot be replayed: ",
        ),
        (
            "DELETE FROM orders_orderevent WHERE order_id = %s AND sequence = 2",
            "event 2 is missing: 3 follows 1",
        ),
        (
            "DELETE FROM orders_orderevent WHERE order_id = %s AND sequence = 3",
            "status is NEW, its events say PENDING_NEW",
        ),
    ],
)
def test_finds(tamper, statement, line):
    order_in("FILLED")
    order = order_in("NEW")
    tamper(statement, order.pk)

    lines, summary = broken_lines()

    assert lines[0].startswith(f"order {order.pk}: {line}")
    assert summary.startswith("2 orders, ")
    assert summary.endswith(": 1 orders differ")


def test_finds_an_order_without_events(tamper):
    order = order_in("RECEIVED")
    tamper("DELETE FROM orders_orderevent WHERE order_id = %s", order.pk)

    lines, _ = broken_lines()

    assert lines == [f"order {order.pk}: there are no events"]


def test_named_orders_only(tamper):
    fine, broken = order_in("NEW"), order_in("NEW")
    tamper("UPDATE orders_order SET reason = 'none' WHERE id = %s", broken.pk)

    assert replayed(fine.pk).startswith("1 orders, 3 events replayed: no difference")
    assert broken_lines(broken.pk)[0] == [f"order {broken.pk}: reason is none, its events say "]


def test_an_order_that_is_not_there_is_no_success():
    order = order_in("NEW")

    assert broken_lines(order.pk, order.pk + 1)[1] == "1 of the orders named are not in the record"


def test_long_work_says_how_far_it_is(monkeypatch):
    monkeypatch.setattr(replay_orders, "ORDERS_PER_REPORT", 2)
    orders = [order_in("RECEIVED") for _ in range(3)]

    assert replayed().splitlines()[0] == f"2 orders so far, up to {orders[1].pk} ..."
    assert len(replayed(verbosity=0).splitlines()) == 1


def test_help():
    command = load_command_class(get_commands()["replay_orders"], "replay_orders")

    assert "compare" in command.create_parser("manage.py", "replay_orders").format_help()


def test_a_long_story_is_read_as_a_stream(monkeypatch):
    monkeypatch.setattr(refold, "EVENTS_AT_A_TIME", 10)
    order = order_in("NEW")
    for number in range(40):
        order = advance(order, "STATUS_REPORTED", broker_status=f"word {number}")
    alive, count = weakref.WeakSet(), 0

    for _, rows in refold.stories(Order.objects.all()):
        for row in rows:
            alive.add(row)
            count += 1

    assert count == order.last_sequence
    assert len(alive) <= 2 * refold.EVENTS_AT_A_TIME
