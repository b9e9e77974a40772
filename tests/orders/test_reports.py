from dataclasses import replace
from decimal import Decimal

import pytest

from accounts.models import GatewaySession
from alarms.models import Alarm
from gateway.error_codes import ERROR_CODES, Effect
from gateway.reports import CommissionReport
from orders import journal
from orders.models import Commission, Execution, Order
from orders.reports import apply_report
from orders.vocabulary import Actor
from tests.orders.assertions import assert_history
from tests.orders.builders import (
    BRACKET,
    CLIENT_ID,
    NOW,
    completed_order,
    error,
    execution,
    open_order,
    order_status,
    placed,
)
from tests.orders.samples import sample

pytestmark = pytest.mark.django_db
PERM_ID = 1788680597


def apply(*reports):
    for report in reports:
        apply_report(report, session="default/17/1/1", client_id=CLIENT_ID)


@pytest.fixture
def sent():
    (order,) = placed()
    return journal.record(order.pk, sample("SENT"), origin=journal.Origin(actor=Actor.WORKER))


@pytest.fixture
def working(sent):
    apply(open_order(sent))
    sent.refresh_from_db()
    return sent


@pytest.mark.parametrize("status", ["ApiPending", "PendingSubmit", "PreSubmitted", "Submitted"])
def test_open_order_with_our_stamp_acknowledges(sent, status):
    apply(open_order(sent, status=status))

    assert_history(sent, "received sent accepted")
    assert (sent.status, sent.perm_id, sent.broker_status) == ("NEW", PERM_ID, status)


def test_repeated_acknowledgement_is_no_news(working):
    apply(open_order(working), order_status(PERM_ID, "Submitted"), open_order(working))

    assert_history(working, "received sent accepted")


def test_order_status_alone_does_not_acknowledge(sent):
    apply(order_status(PERM_ID, "Submitted"))

    assert_history(sent, "received sent")


def test_stamp_under_another_order_id_does_not_acknowledge(sent):
    apply(*[open_order(sent, order_id=6)] * 3)

    assert_history(sent, "received sent error_reported")
    assert sent.status == "PENDING_NEW"


def test_open_order_without_a_permanent_id_does_not_acknowledge(sent):
    apply(open_order(sent, perm_id=0, status="PendingSubmit"))

    assert_history(sent, "received sent status_reported")
    assert sent.status == "PENDING_NEW"

    apply(open_order(sent))
    assert_history(sent, "received sent status_reported accepted")


def test_inactive_is_neither_yes_nor_no(sent):
    apply(open_order(sent, status="Inactive"))

    assert_history(sent, "received sent status_reported")
    assert (sent.status, sent.perm_id) == ("PENDING_NEW", PERM_ID)


@pytest.mark.parametrize("first", ["Inactive", "Cancelled"])
def test_refused_by_the_broker_after_a_status_word(sent, first):
    apply(open_order(sent, status=first), error(5, 201, "Order rejected - reason:no funds"))

    sent.refresh_from_db()
    assert (sent.status, sent.reason) == ("REJECTED", "Order rejected - reason:no funds")


def test_fill_before_acknowledgement(sent):
    apply(execution(sent, quantity=Decimal(4)), open_order(sent, status="Submitted"))

    assert_history(sent, "received sent partial_fill accepted")
    assert (sent.status, sent.filled_quantity, sent.perm_id) == ("PARTIALLY_FILLED", 4, PERM_ID)


def test_every_fill_once(working):
    half = execution(working, quantity=Decimal(4), price=Decimal("230"))
    rest = execution(working, quantity=Decimal(6), price=Decimal("229"))

    apply(half, half, replace(half, live=False), rest, half, rest)

    assert_history(working, "received sent accepted partial_fill fill")
    assert (working.status, working.filled_quantity, working.average_price) == ("FILLED", 10, Decimal("229.4"))
    assert Execution.objects.count() == 2
    assert set(Execution.objects.values_list("source", flat=True)) == {"trades()"}


def test_the_word_filled_fills_nothing(working):
    apply(order_status(PERM_ID, "Filled", filled=Decimal(10)))

    assert_history(working, "received sent accepted status_reported")
    assert (working.status, working.broker_status) == ("NEW", "Filled")


def test_filled_before_its_execution(working):
    apply(order_status(PERM_ID, "Filled"), execution(working))

    assert_history(working, "received sent accepted status_reported fill")
    assert working.status == "FILLED"


def test_correction_is_a_row_of_its_own(working):
    first = execution(working, exec_id="e0.01.01.01", quantity=Decimal(4), price=Decimal("230"))
    corrected = replace(first, exec_id="e0.01.01.02", quantity=Decimal(3))

    apply(first, corrected, first, corrected)

    assert_history(working, "received sent accepted partial_fill trade_corrected")
    assert working.filled_quantity == 3
    assert list(Execution.objects.order_by("pk").values_list("exec_id", "replaces")) == [
        ("e0.01.01.01", ""),
        ("e0.01.01.02", "e0.01.01.01"),
    ]


def test_a_second_fill_of_one_order_is_no_correction(working):
    apply(
        execution(working, exec_id="e0.01.01.01", quantity=Decimal(4)),
        execution(working, exec_id="e0.01.02.01", quantity=Decimal(6)),
    )

    assert working.executions.filter(replaces="").count() == 2


@pytest.mark.parametrize("word", ["Cancelled", "ApiCancelled"])
def test_cancelled_by_hand(working, word):
    apply(order_status(PERM_ID, word), open_order(working, status=word))

    assert_history(working, "received sent accepted canceled")


def test_late_fill_of_a_cancelled_order_counts(working):
    apply(order_status(PERM_ID, "Cancelled"), execution(working, quantity=Decimal(3)))

    assert_history(working, "received sent accepted canceled partial_fill")
    assert (working.status, working.filled_quantity) == ("CANCELED", 3)


def test_an_overtaken_status_does_not_revive(working):
    apply(order_status(PERM_ID, "Cancelled"), order_status(PERM_ID, "Submitted"), open_order(working))

    assert_history(working, "received sent accepted canceled")


def test_terms_changed_by_hand(working):
    apply(open_order(working, quantity=Decimal(20), limit_price=Decimal("228.5")))

    assert_history(working, "received sent accepted restated")
    assert (working.quantity, working.limit_price) == (20, Decimal("228.5"))


def test_completed_order_resolves_a_doubt(sent):
    journal.record(sent.pk, sample("IN_DOUBT"), origin=journal.Origin(actor=Actor.WORKER))

    apply(completed_order(sent))

    assert_history(sent, "received sent in_doubt canceled")
    assert (sent.perm_id, sent.reason) == (PERM_ID, "Cancelled by Trader")


def test_completed_and_filled_waits_for_its_executions(sent):
    apply(completed_order(sent, status="Filled"), execution(sent))

    assert_history(sent, "received sent accepted fill")


def raised():
    """All but the halts that some of them call for."""
    return list(Alarm.objects.exclude(kind="HALTED").values_list("kind", "subject", "times"))


def test_listed_though_held_to_be_not_placed(sent, caplog):
    journal.record(sent.pk, sample("NOT_PLACED"), origin=journal.Origin(actor=Actor.WORKER))

    apply(open_order(sent))

    assert_history(sent, "received sent not_placed accepted")
    assert "held to be NOT_PLACED and is at the broker" in caplog.text
    assert raised() == [("DISPROVED", f"order:{sent.pk}", 1)]


# Errors


@pytest.mark.parametrize(("code", "known"), ERROR_CODES.items())
def test_error_on_a_live_order_cancels_nothing(working, code, known):
    apply(error(5, code))

    working.refresh_from_db()
    assert working.status == ("REJECTED" if known.effect is Effect.REJECTED else "NEW")


@pytest.mark.parametrize(("code", "known"), ERROR_CODES.items())
def test_error_before_any_acknowledgement(sent, code, known):
    apply(error(5, code))

    sent.refresh_from_db()
    assert sent.status == ("REJECTED" if known.effect in (Effect.REJECTS, Effect.REJECTED) else "PENDING_NEW")


@pytest.mark.parametrize("code", [c for c, known in ERROR_CODES.items() if known.effect is Effect.CANCEL_REFUSED])
def test_refused_cancel_leaves_the_order_working(working, code):
    journal.record(working.pk, sample("CANCEL_REQUESTED"), origin=journal.Origin(actor=Actor.API))

    apply(error(5, code))

    assert_history(working, "received sent accepted cancel_requested cancel_rejected")
    assert working.status == "NEW"


@pytest.mark.parametrize(("code", "known"), ERROR_CODES.items())
def test_the_broker_is_asked_after_an_error_that_may_change_something(working, code, known):
    apply(error(5, code))

    answered_by_itself = {Effect.NONE, Effect.WARNING, Effect.CANCEL_CONFIRMED}
    session = GatewaySession.objects.get(pk=working.account.session_id)
    assert session.executions_wanted == (0 if known.effect in answered_by_itself else 1)


def test_confirmed_cancel_of_an_order_in_doubt_is_news_of_it(sent):
    journal.record(sent.pk, sample("IN_DOUBT"), origin=journal.Origin(actor=Actor.WORKER))

    apply(error(5, 202, "Order Canceled - reason:"))

    assert_history(sent, "received sent in_doubt canceled")


def test_a_cancel_that_is_already_pending_is_not_refused(working):
    journal.record(working.pk, sample("CANCEL_REQUESTED"), origin=journal.Origin(actor=Actor.API))

    apply(error(5, 10148, "OrderId 5 that needs to be cancelled can not be cancelled, state: PendingCancel."))

    assert_history(working, "received sent accepted cancel_requested error_reported")
    assert working.status == "PENDING_CANCEL"


def test_unknown_error_is_stored_and_changes_nothing(working):
    apply(error(5, 99999, "something new"))

    assert_history(working, "received sent accepted error_reported")
    assert working.events.get(sequence=4).payload == {"code": 99999, "text": "something new"}


@pytest.mark.parametrize("request_id", [-1, 4711])
def test_error_about_something_else(working, request_id):
    apply(error(request_id, 201))

    assert_history(working, "received sent accepted")


def test_rejected_after_a_fill_is_unexpected(working):
    apply(execution(working, quantity=Decimal(4)), error(5, 201))

    assert_history(working, "received sent accepted partial_fill error_reported")


# Orders of others


def test_order_from_tws_is_adopted_once():
    placed()
    report = open_order(client_id=0, order_id=-3, perm_id=99, order_ref="by hand", order_type="TRAIL")
    report = replace(report, trail_stop_price=Decimal("221.5"), limit_price=Decimal(0))

    apply(report, report, order_status(99, "Submitted"))

    order = Order.objects.get(perm_id=99)
    assert_history(order, "adopted")
    assert (order.request_id, order.client_id, order.broker_order_id) == (None, 0, -3)
    assert (order.order_type, order.limit_price, order.stop_price) == ("TRAIL", None, Decimal("221.5"))
    assert order.order_ref == "by hand"


def test_execution_of_an_adopted_order():
    placed()
    apply(open_order(client_id=0, perm_id=99), execution(perm_id=99, client_id=0))

    assert_history(Order.objects.get(perm_id=99), "adopted fill")


def test_execution_of_an_unknown_order_is_stored():
    placed()
    apply(execution(perm_id=4242, client_id=0, order_ref="typed"))

    stored = Execution.objects.get(perm_id=4242)
    assert (stored.order, stored.order_ref) == (None, "typed")


def test_stamp_of_ours_without_a_row_is_an_alarm(caplog):
    placed()
    apply(open_order(order_ref="ref~" + "Z" * 13, perm_id=98))

    assert "carries a stamp of ours that no row has" in caplog.text
    assert raised() == [("ORPHAN", "perm_id:98", 1)]
    assert Order.objects.get(perm_id=98).order_ref == "ref~" + "Z" * 13


def test_order_of_an_unknown_account_is_left_alone():
    placed()
    apply(open_order(account="DU999", perm_id=97, client_id=0))

    assert not Order.objects.filter(perm_id=97).exists()


def test_second_order_with_one_stamp_is_kept_beside_the_first(working, caplog):
    second = open_order(working, perm_id=99, order_id=6)

    apply(second, second, order_status(99, "Cancelled"), execution(working, perm_id=99, quantity=Decimal(2)))

    assert_history(working, "received sent accepted error_reported")
    assert "has a second order with this one's stamp, permId 99" in caplog.text
    assert raised() == [("DUPLICATE", f"order:{working.pk}", 1)]
    other = Order.objects.get(perm_id=99)
    assert_history(other, "adopted canceled partial_fill")
    assert other.request_id is None


# Commissions


def test_commission_once_before_or_after_its_execution(working):
    report = CommissionReport(
        connection=1,
        received_at=NOW,
        exec_id="e1.01",
        commission=Decimal("1.00"),
        currency="USD",
        realized_pnl=None,
    )

    apply(report, execution(working, exec_id="e1.01"), report)

    assert list(Commission.objects.values_list("exec_id", "amount", "realized_pnl")) == [("e1.01", 1, None)]

    apply(replace(report, realized_pnl=Decimal("12.5")))
    assert Commission.objects.count() == 2


def test_bracket_legs_are_acknowledged_each_by_its_stamp():
    legs = placed(*BRACKET)
    for number, leg in enumerate(legs):
        event = sample("SENT", broker_order_id=5 + number, stamp=leg.stamp)
        journal.record(leg.pk, event, origin=journal.Origin(actor=Actor.WORKER))
        leg.refresh_from_db()

    for number, leg in enumerate(legs):
        apply(open_order(leg, perm_id=PERM_ID + number, status="PreSubmitted" if number else "Submitted"))

    assert [(leg.role, leg.status, leg.perm_id) for leg in Order.objects.order_by("pk")] == [
        ("ENTRY", "NEW", PERM_ID),
        ("STOP_LOSS", "NEW", PERM_ID + 1),
        ("TAKE_PROFIT", "NEW", PERM_ID + 2),
    ]
