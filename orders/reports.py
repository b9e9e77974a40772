"""What the broker tells us: each report is matched to an order and becomes an event, or nothing when it is not news.

Rules
1. An order is acknowledged only by a message that carries its stamp and our (client id, order id).
2. Quantities come from executions, each stored once by exec_id; the word `Filled` alone fills nothing.
3. An error never cancels. The table in gateway.error_codes says what it does; most only leave a note.
4. Orders without our stamp are adopted: the trail is of the account, not only of this API.
5. Applying a report twice, or an old one late, changes nothing.
6. What is said of orders at work comes in floods, most of it no news: it is looked at in batches (`apply_words`).
"""

import logging
from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

from django.db import transaction

from accounts.models import BrokerAccount
from alarms.register import raise_alarm
from alarms.vocabulary import AlarmKind
from gateway import dialect
from gateway.error_codes import Effect, effect_of
from gateway.reports import (
    CommissionReport,
    CompletedOrderReport,
    ErrorReport,
    ExecutionReport,
    OpenOrderReport,
    OrderStatusReport,
    Report,
)
from orders import attribution, events, fills, journal, stamps, trail, wanted
from orders.models import Order
from orders.sheet import Overtaken, Sheet
from orders.vocabulary import FINAL, Actor, EventKind, OrderStatus

log = logging.getLogger(__name__)

Word = OpenOrderReport | OrderStatusReport
Told = Word | ExecutionReport
Batch = Sheet | fills.Page
MOST_ATTEMPTS = 10  # at deciding what others change at the same time
UNACKNOWLEDGED = frozenset({OrderStatus.PENDING_NEW, OrderStatus.IN_DOUBT})
# Errors after which the broker is asked what is true: a refusal is confirmed, a contradiction looked into.
ASKED = frozenset({Effect.REJECTS, Effect.REJECTED, Effect.CANCEL_REFUSED, Effect.RECOVER})
# Statuses that a listing among the working orders proves wrong.
DISPROVED_BY_LISTING = UNACKNOWLEDGED | {OrderStatus.NOT_PLACED, OrderStatus.REJECTED}


class Notes(Protocol):
    """Where the events go that reports lead to."""

    def note(self, order: Order, event: events.Event, *, origin: journal.Origin) -> None:
        """Take the event down; the order is from here on as it leaves it."""


class AtOnce:
    """Each event into the record as it comes."""

    def note(self, order: Order, event: events.Event, *, origin: journal.Origin) -> None:
        recorded = journal.record(order.pk, event, origin=origin)
        assert recorded is not None  # whatever its status was
        for column in Order._meta.concrete_fields:
            setattr(order, column.attname, getattr(recorded, column.attname))


AT_ONCE = AtOnce()


def apply_report(report: Report, *, session: str, client_id: int) -> None:
    """Record what a report says about an order; reports about other things are not for this module.

    `session` names the connection in the trail, `client_id` is ours: errors name an order by nothing but its id.
    """
    origin = journal.Origin(actor=Actor.BROKER, session=session, raw=report.raw)
    match report:
        case OpenOrderReport() | OrderStatusReport():
            apply_words([report], session=session)
        case CompletedOrderReport():
            apply_completed(report, order_of(report), session=session)
        case ExecutionReport():
            fills.record_all([fills.said(report, session=session)])
        case CommissionReport():
            fills.record_commissions([report])
        case ErrorReport():
            _error(report, origin, client_id)


def apply_words(words: Sequence[Word], *, session: str) -> None:
    """Record what open orders and statuses say, in their order; hardly more queries for many than for one."""
    for left in reversed(range(MOST_ATTEMPTS)):
        sheet = Sheet((_reference(word), word.perm_id) for word in words)
        for word in words:
            _apply_word(word, sheet, session=session)
        try:
            sheet.write()
        except Overtaken:
            if not left:
                raise
        else:
            break


def apply_told(told: Sequence[Told], *, session: str) -> None:
    """The same with executions among them, all in one transaction."""
    executions = [one for one in told if isinstance(one, ExecutionReport)]
    words = [one for one in told if not isinstance(one, ExecutionReport)]
    if not executions:
        return apply_words(words, session=session)
    with transaction.atomic():
        page = fills.Page(executions, [(_reference(word), word.perm_id) for word in words])
        for one in told:
            if isinstance(one, ExecutionReport):
                page.take(fills.said(one, session=session))
            else:
                _apply_word(one, page, session=session)
        page.write()
    return None


def _apply_word(word: Word, batch: Batch, *, session: str) -> None:
    origin = journal.Origin(actor=Actor.BROKER, session=session, raw=word.raw)
    if isinstance(word, OpenOrderReport):
        _open_order(word, origin, batch)
    else:
        _order_status(word, origin, batch)


def _reference(word: Word) -> str:
    return word.order_ref if isinstance(word, OpenOrderReport) else ""


def order_of(report: OpenOrderReport | CompletedOrderReport) -> Order | None:
    return attribution.find(report.order_ref, report.perm_id, report.account)


def _open_order(report: OpenOrderReport, origin: journal.Origin, sheet: Batch) -> None:
    order = sheet.found.of(report.order_ref, report.perm_id, report.account)
    if order is None:
        if isinstance(sheet, fills.Page):
            sheet.write()  # its executions may have come before it
        adopted = _adopt(report, origin, client_id=report.client_id, broker_order_id=report.order_id)
        if adopted is not None:
            sheet.found.add(adopted)
        return
    _restate(order, report, origin, sheet)
    if _is_other_claim(order, report):
        remark = events.ErrorReported(code=0, text="our stamp came back under another order id")
        if not sheet.has(order, remark):
            _note_once(order, remark, origin, sheet)
    elif report.perm_id > 0 and report.status in dialect.WORKING_STATUSES | {dialect.FILLED_STATUS}:
        _acknowledge(order, report.perm_id, report.status, origin, sheet)
    else:
        _status(order, report.status, origin, sheet, perm_id=report.perm_id)


def _order_status(report: OrderStatusReport, origin: journal.Origin, sheet: Batch) -> None:
    # No orderRef here: only a permanent id that we already know names an order beyond doubt.
    order = sheet.found.named(report.perm_id) if report.perm_id > 0 else None
    if order is not None:
        _status(order, report.status, origin, sheet, why_held=report.why_held)


def apply_completed(report: CompletedOrderReport, order: Order | None, *, session: str) -> Order | None:
    """Record what the order, which is not known yet if None, is said to have become; the order as this left it."""
    origin = journal.Origin(actor=Actor.BROKER, session=session, raw=report.raw)
    if order is None:
        return _adopt(report, origin, client_id=None, broker_order_id=None)
    if report.status == dialect.FILLED_STATUS:
        _acknowledge(order, report.perm_id, report.status, origin, AT_ONCE)
    else:
        _status(order, report.status, origin, AT_ONCE, perm_id=report.perm_id, reason=report.completed_status)
    return order


def _error(report: ErrorReport, origin: journal.Origin, client_id: int) -> None:
    if report.request_id < 0:
        return
    order = Order.objects.filter(client_id=client_id, broker_order_id=report.request_id).order_by("-pk").first()
    if order is None:
        return
    effect, status = effect_of(report.code), OrderStatus(order.status)
    if effect in ASKED:
        wanted.day(order.account.session_id)
    unanswered = status in UNACKNOWLEDGED and order.perm_id is None
    if (effect is Effect.REJECTS and unanswered) or (effect is Effect.REJECTED and _may_be_rejected(order)):
        AT_ONCE.note(order, events.Rejected(reason=report.text, code=report.code), origin=origin)
    elif effect is Effect.CANCEL_CONFIRMED and status is OrderStatus.IN_DOUBT and order.perm_id is None:
        # A leg that recovery cancelled unseen: its Cancelled status comes under a permId we never learnt.
        AT_ONCE.note(order, events.Canceled(broker_status="Cancelled", reason=report.text), origin=origin)
    elif (
        effect is Effect.CANCEL_REFUSED
        and status is OrderStatus.PENDING_CANCEL
        and "PendingCancel" not in (order.broker_status, report.text.rpartition("state: ")[2].rstrip("."))
    ):
        AT_ONCE.note(order, events.CancelRejected(reason=report.text, code=report.code), origin=origin)
    else:
        AT_ONCE.note(order, events.ErrorReported(code=report.code, text=report.text), origin=origin)


def _may_be_rejected(order: Order) -> bool:
    settled = FINAL - {OrderStatus.CANCELED}  # IB may say Cancelled first and the reason after it
    return order.filled_quantity == 0 and order.status not in settled


def _ended_by_a_person(order: Order) -> bool:
    """Its end was decided here and never told by the broker, whose last word is still that it works."""
    ended = order.status in (OrderStatus.CANCELED, OrderStatus.EXPIRED)
    return ended and order.broker_status in dialect.WORKING_STATUSES


def _is_other_claim(order: Order, report: OpenOrderReport) -> bool:
    ours = (order.client_id, order.broker_order_id)
    return order.stamp is not None and None not in ours and ours != (report.client_id, report.order_id)


def _acknowledge(order: Order, perm_id: int, broker_status: str, origin: journal.Origin, notes: Notes) -> None:
    fills_came_first = order.perm_id is None or not order.broker_status
    revived = broker_status in dialect.WORKING_STATUSES and _ended_by_a_person(order)
    disproved = order.status in DISPROVED_BY_LISTING or revived
    if disproved or (fills_came_first and order.status in (OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED)):
        if order.status not in UNACKNOWLEDGED and disproved:
            _alarm(AlarmKind.DISPROVED, order, f"{order} was held to be {order.status} and is at the broker")
        notes.note(order, events.Accepted(perm_id=perm_id, broker_status=broker_status), origin=origin)
    else:
        _status(order, broker_status, origin, notes, perm_id=perm_id)


def _status(
    order: Order,
    broker_status: str,
    origin: journal.Origin,
    notes: Notes,
    *,
    perm_id: int | None = None,
    why_held: str = "",
    reason: str = "",
) -> None:
    news = broker_status != order.broker_status or (order.perm_id is None and bool(perm_id))
    if not news:
        return
    over = FINAL - {OrderStatus.NOT_PLACED}  # what was cancelled there was there
    if broker_status in dialect.CANCELED_STATUSES and order.status not in over:
        event: events.Event = events.Canceled(broker_status=broker_status, perm_id=perm_id or None, reason=reason)
    elif order.status in FINAL and broker_status in dialect.WORKING_STATUSES:
        return  # a repeated or overtaken message about a life that is over
    else:
        event = events.StatusReported(broker_status=broker_status, perm_id=perm_id or None, why_held=why_held)
    notes.note(order, event, origin=origin)


def _restate(order: Order, report: OpenOrderReport, origin: journal.Origin, notes: Notes) -> None:
    """Note terms that the broker holds differently: changed by hand, or by the broker."""
    quantity, limit_price, stop_price = said = terms(report)
    listed = report.status in dialect.WORKING_STATUSES
    at_rest_or_unknown = order.status in FINAL | UNACKNOWLEDGED
    if not listed or at_rest_or_unknown or said == (order.quantity, order.limit_price, order.stop_price):
        return
    restated = events.Restated(quantity=quantity, limit_price=limit_price, stop_price=stop_price)
    notes.note(order, restated, origin=origin)


def terms(report: OpenOrderReport) -> tuple[Decimal, Decimal | None, Decimal | None]:
    """Quantity, limit and stop price of a listed order, as our rows have them."""
    # 0 is how a price comes back that the type of the order has no use for.
    return report.quantity, report.limit_price or None, _stop_price(report) or None


def _stop_price(report: OpenOrderReport | CompletedOrderReport) -> Decimal | None:
    if isinstance(report, OpenOrderReport) and report.order_type.startswith("TRAIL"):
        return report.trail_stop_price
    return report.aux_price if report.order_type in dialect.TRIGGERED_BY_AUX_PRICE else None


def _adopt(
    report: OpenOrderReport | CompletedOrderReport,
    origin: journal.Origin,
    *,
    client_id: int | None,
    broker_order_id: int | None,
) -> Order | None:
    if report.perm_id <= 0 or not BrokerAccount.objects.filter(pk=report.account).exists():
        return None
    reference, stamp = stamps.split(report.order_ref)
    if stamp is not None:
        _stamped_and_not_ours(report, origin, attribution.stamped(report.order_ref))
    fixed = {
        "account_id": report.account,
        "symbol": report.contract.symbol,
        "security_type": report.contract.security_type,
        "currency": report.contract.currency,
        "side": dialect.fix_side(report.side),
        "order_type": dialect.fix_order_type(report.order_type),
        "time_in_force": report.time_in_force,
        "order_ref": reference if stamp is None else report.order_ref,
    }
    adopted = events.Adopted(
        status=_adopted_status(report.status),
        quantity=report.quantity,
        limit_price=report.limit_price or None,
        stop_price=_stop_price(report) or None,
        client_id=client_id,
        broker_order_id=broker_order_id,
        perm_id=report.perm_id,
        broker_status=report.status,
    )
    with transaction.atomic():
        order = journal.open_order(fixed, adopted, origin=origin)
        fills.count_earlier(order, origin=origin)
    return order


def _stamped_and_not_ours(
    report: OpenOrderReport | CompletedOrderReport, origin: journal.Origin, ours: Order | None
) -> None:
    """Say aloud that the broker has an order with a stamp of ours that we did not place, or placed once already."""
    if ours is None:
        text = f"permId {report.perm_id} carries a stamp of ours that no row has: {report.order_ref}"
        facts = {"account": report.account, "perm_id": report.perm_id}
        raise_alarm(AlarmKind.ORPHAN, f"perm_id:{report.perm_id}", text=text, facts=facts)
        return
    text = f"the broker has a second order with this one's stamp, permId {report.perm_id}; it is kept beside this one"
    _alarm(AlarmKind.DUPLICATE, ours, f"{ours}: {text}")
    _note_once(ours, events.ErrorReported(code=0, text=text), origin, AT_ONCE)


def _alarm(kind: AlarmKind, order: Order, text: str) -> None:
    raise_alarm(kind, trail.subject(order.pk), text=text, facts={"account": order.account_id})


def _adopted_status(broker_status: str) -> OrderStatus:
    if broker_status in dialect.CANCELED_STATUSES:
        return OrderStatus.CANCELED
    if broker_status == dialect.FILLED_STATUS:
        return OrderStatus.FILLED
    return OrderStatus.NEW if broker_status in dialect.WORKING_STATUSES else OrderStatus.REJECTED


def _note_once(order: Order, remark: events.ErrorReported, origin: journal.Origin, notes: Notes) -> None:
    """Keep a remark of our own, which every list of orders would otherwise repeat."""
    if not order.events.filter(kind=EventKind.ERROR_REPORTED, payload__code=0, payload__text=remark.text).exists():
        notes.note(order, remark, origin=origin)
