"""A placement from the request to its answer: persist, ring, wait for what the broker says, put it into words.

Rules
1. Once the request is committed every way out is an answer that is true of its orders, whatever fails here: an
   exception could be taken for "not placed".
2. When the time is up an order that nobody claimed is withdrawn; one that was claimed is left, and said to be unknown.
"""

import logging
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings

from accounts.access.callers import Caller, account_for
from accounts.access.models import Scope
from accounts.freshness import Standing, standing
from gateway.times import zone
from orders import intake, kill_points, outcomes, tasks, waiting
from orders.api.guide import answers
from orders.api.guide.answers import Answer
from orders.doorbell import ring
from orders.errors import Paused
from orders.intake import Asked, Leg, Placement
from orders.models import OrderRequest
from orders.outcomes import CONNECTION_FAILED, Outcome, Verdict
from orders.schedule import last_midnight
from orders.vocabulary import OrderStatus, OrderType, Role, Side, TimeInForce
from orders.withdrawal import withdraw

log = logging.getLogger(__name__)

# How long a request waits for a session that is away: it may be on its way back.
AWAY_SECONDS = 1.5


def place(asked: Asked, kind: str, terms: Mapping[str, Any], *, caller: Caller) -> Answer:
    """Place what `terms`, the checked fields of a request, ask for. `kind`: limit, market, stop, bracket.

    Raises, with nothing persisted: Paused, NoAccount, NotGranted, KeyReused, KeyInProgress, Replay.
    """
    session = standing(settings.GATEWAY_NAME)
    refuse_while_paused(session.at)
    placement = Placement(
        account=account_for(caller, Scope.TRADE, session=session.session, configured=settings.IB_ACCOUNT),
        symbol=terms["symbol"],
        quantity=terms["quantity"],
        order_ref=terms.get("order_ref") or "",
        legs=legs(kind, terms),
        valid_for=timedelta(seconds=settings.ORDER_VALID_SECONDS),
        day_began=_day_began(session),
    )
    kill_points.reached("web.before_insert")
    orders = intake.place(asked, placement)
    request = orders[0].request
    assert request is not None  # that of `asked`
    try:
        kill_points.reached("web.committed")
        seconds = (
            settings.PLACEMENT_WAIT_SECONDS if session.fresh else min(AWAY_SECONDS, settings.PLACEMENT_WAIT_SECONDS)
        )
        denied = any(order.status == OrderStatus.DENIED for order in orders)
        seen = outcomes.of_placement(request.pk) if denied else _submit_and_wait(request, seconds=seconds)
        kill_points.reached("web.acknowledged")
        outcome = conclude(request, seen)
        return answers.keep(answers.to_placement(outcome, kind=kind), request, about=orders[0], at=outcome.at)
    except Exception:
        log.exception("what became of request %s could not be read", request.pk)
        return answers.unknown(orders)


def _day_began(session: Standing) -> datetime:
    known = zone(session.session.time_zone) if session.session is not None else None
    return last_midnight(session.at, known or UTC)


def refuse_while_paused(now: datetime) -> None:
    """Raises: Paused, while the gateway is away by plan: no order is valid for long enough to wait for its return."""
    pause = settings.GATEWAY_CALENDAR.pause(now)
    if pause is not None:
        raise Paused(pause.reason, retry_after=math.ceil((pause.ends - now).total_seconds()))


def conclude(request: OrderRequest, seen: Outcome | None = None) -> Outcome:
    """The outcome of a placement that is waited for no longer: what nobody claimed by now is withdrawn.

    `seen`: the outcome where it has just been looked at.
    """
    outcome = seen or outcomes.of_placement(request.pk)
    if outcome.verdict is Verdict.PENDING:
        withdraw(request.pk, reason=CONNECTION_FAILED, actor=request.actor)
        return outcomes.of_placement(request.pk)  # withdrawn; or claimed, or closed, in this very moment
    return outcome


def legs(kind: str, terms: Mapping[str, Any]) -> list[Leg]:
    """The orders of a request; a bracket's are entry, stop-loss, take-profit."""
    side = terms["action"]
    match kind:
        case "limit":
            return [Leg(side=side, order_type=OrderType.LIMIT, limit_price=terms["limit_price"])]
        case "market":
            return [Leg(side=side, order_type=OrderType.MARKET)]
        case "stop":
            return [Leg(side=side, order_type=OrderType.STOP, stop_price=terms["stop_price"])]
        case _:
            return _bracket(side, terms)


def _bracket(side: Side, terms: Mapping[str, Any]) -> list[Leg]:
    away = Side.SELL if side is Side.BUY else Side.BUY
    exits = TimeInForce(settings.BRACKET_EXIT_TIME_IN_FORCE)
    entry = Leg(role=Role.ENTRY, side=side, order_type=OrderType.LIMIT, limit_price=terms["entry_price"])
    stop_loss = Leg(
        role=Role.STOP_LOSS,
        side=away,
        order_type=OrderType.STOP,
        stop_price=terms["stop_loss"],
        time_in_force=exits,
    )
    take_profit = Leg(
        role=Role.TAKE_PROFIT,
        side=away,
        order_type=OrderType.LIMIT,
        limit_price=terms["take_profit"],
        time_in_force=exits,
    )
    return [entry, stop_loss, take_profit]


def _submit_and_wait(request: OrderRequest, *, seconds: float) -> Outcome:
    return waiting.until(
        lambda: outcomes.of_placement(request.pk),
        key=f"request {request.pk}",
        done=lambda seen: seen.verdict is not Verdict.PENDING,
        seconds=seconds,
        begin=lambda: ring(tasks.submit_order, request.pk),
    )
