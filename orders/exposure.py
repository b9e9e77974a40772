"""What an order is held against before it is placed: halts, limits, and what is at stake already, in one statement.

Rules
1. One look costs one query, whatever limits there are; what is counted is counted no further than its limit. What only
   some limits ask for is left out where the last look knew of none that does, and looked up with all the rest in a
   second query where that was wrong: limits seldom change, and the parts of a query cost time unused.
2. When an order is asked for, those that wait to be sent count as well. In the claim they do not: claims come one at a
   time, so each sees what was claimed before it, and the first to wait is the first to be sent.
3. An order of which the broker, asked twice, has nothing left (a live break says so) takes none of its room there: an
   order that expired over night would otherwise keep new ones out for ever.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings

from accounts.halts import switch
from accounts.limits import values
from accounts.limits.losses import difference
from accounts.limits.values import Limits
from database import prepared
from orders.breaks.vocabulary import NOT_WORKING_THERE, Source
from orders.risk.values import Exposure, Ticket

OLDEST_PRICE = timedelta(days=4)  # from one trading day to the next, over a long weekend

# The status is compared as in the partial indexes' own condition.
ALWAYS = """
WITH limits AS MATERIALIZED (
    SELECT * FROM accounts_limitversion
    WHERE account IN (%(account)s, '') ORDER BY account DESC, version DESC LIMIT 1
), prices AS (
    (SELECT market_price AS price, valued_at AS priced_at FROM accounts_position
    WHERE account_id = %(account)s AND symbol = %(symbol)s AND security_type = 'STK' AND currency = 'USD'
        AND market_price > 0 AND valued_at IS NOT NULL
    ORDER BY valued_at DESC LIMIT 1)
    UNION ALL
    (SELECT price, executed_at FROM orders_execution
    WHERE symbol = %(symbol)s AND executed_at IS NOT NULL AND security_type = 'STK' AND currency = 'USD'
        AND price > 0 AND quantity > 0
    ORDER BY executed_at DESC LIMIT 1)
)SPANS
SELECT jsonb_build_object(
    'halt', (FIRST_HALT_ON),
    'backlog', (SELECT count(*) FROM orders_order o
        WHERE %(waiting)s AND o.status = 'RECEIVED' AND o.valid_until > clock_timestamp()),
    'unexplained', (SELECT sum(quantity) FROM orders_unexplainedholding
        WHERE account_id = %(account)s AND symbol = %(symbol)s AND security_type = 'STK'),
    'limits', (SELECT to_jsonb(limits) FROM limits),
    'at_stake', (SELECT jsonb_agg(jsonb_build_array(
            o.side, o.request_id, greatest(o.quantity - o.filled_quantity, 0),
            CASE WHEN o.role IN ('STOP_LOSS', 'TAKE_PROFIT') AND o.request_id IS NOT NULL THEN greatest((
                SELECT sum(CASE WHEN leg.role = 'ENTRY' THEN leg.filled_quantity ELSE -leg.filled_quantity END)
                FROM orders_order leg WHERE leg.request_id = o.request_id
            ), 0) END))
        FROM orders_order o
        WHERE o.account_id = %(account)s AND o.symbol = %(symbol)s
            AND NOT (o.status IN ('FILLED', 'CANCELED', 'REJECTED', 'EXPIRED', 'NOT_PLACED', 'DENIED'))
            AND (%(waiting)s OR o.status <> 'RECEIVED')
            AND NOT EXISTS (
                SELECT 1 FROM orders_break b
                WHERE b.order_id = o.id AND b.gone_at IS NULL AND b.source = %(source)s AND b.kind = ANY(%(gone)s)
            )),
    'held', (SELECT sum(quantity) FROM accounts_position
        WHERE account_id = %(account)s AND symbol = %(symbol)s AND security_type = 'STK'),
    'executed', (SELECT sum(quantity) FROM orders_executedtotal
        WHERE account = %(account)s AND symbol = %(symbol)s AND security_type = 'STK'),
    'price', (SELECT to_jsonb(prices) FROM prices
        WHERE priced_at > clock_timestamp() - %(oldest_price)s ORDER BY priced_at DESC LIMIT 1)FIGURES
)::text
"""
# What limits on working orders, rates, repeats and losses are held against.
SPANS = """, spans AS (
    SELECT 'second' AS span, orders_per_second AS allowed, clock_timestamp() - interval '1 second' AS since FROM limits
    UNION ALL
    SELECT 'minute', orders_per_minute, clock_timestamp() - interval '1 minute' FROM limits
    UNION ALL
    SELECT 'day', orders_per_day, coalesce(%(day_began)s, clock_timestamp() - interval '1 day') FROM limits
)"""
FIGURES = """,
    'working_in_account', (SELECT CASE WHEN working_orders IS NOT NULL THEN (
        SELECT count(*) FROM (
            SELECT 1 FROM orders_order o
            WHERE o.account_id = %(account)s
                AND NOT (o.status IN ('FILLED', 'CANCELED', 'REJECTED', 'EXPIRED', 'NOT_PLACED', 'DENIED'))
                AND (%(waiting)s OR o.status <> 'RECEIVED')
                AND NOT EXISTS (
                    SELECT 1 FROM orders_break b WHERE b.order_id = o.id AND b.gone_at IS NULL
                        AND b.source = %(source)s AND b.kind = ANY(%(gone)s)
                )
            LIMIT limits.working_orders::bigint + 1) AS counted) END FROM limits),
    'sent', (SELECT jsonb_object_agg(span, (
        SELECT count(*) FROM (
            (SELECT 1 FROM orders_orderevent v JOIN orders_order o ON o.id = v.order_id
            WHERE v.kind = 'SENT' AND v.recorded_at > spans.since AND o.account_id = %(account)s
            LIMIT spans.allowed::bigint + 1)
            UNION ALL
            (SELECT 1 FROM orders_order o
            WHERE %(waiting)s AND o.account_id = %(account)s AND o.status = 'RECEIVED'
                AND o.valid_until > clock_timestamp()
            LIMIT spans.allowed::bigint + 1)) AS counted))
        FROM spans WHERE allowed IS NOT NULL),
    'repeats', (SELECT CASE WHEN duplicate_seconds IS NOT NULL THEN (
        SELECT o.id FROM orders_order o
        WHERE o.account_id = %(account)s AND o.symbol = %(symbol)s AND o.request_id IS NOT NULL
            AND o.received_at > coalesce(%(received_at)s, clock_timestamp())
                - make_interval(secs => limits.duplicate_seconds)
            AND o.status NOT IN ('REJECTED', 'NOT_PLACED', 'DENIED') AND (%(waiting)s OR o.status <> 'RECEIVED')
            AND o.role IN ('SINGLE', 'ENTRY') AND o.side = %(side)s AND o.order_type = %(order_type)s
            AND o.quantity = %(quantity)s AND o.limit_price IS NOT DISTINCT FROM %(limit_price)s
            AND o.stop_price IS NOT DISTINCT FROM %(stop_price)s
        ORDER BY o.id DESC LIMIT 1) END FROM limits),
    'equity', (SELECT CASE WHEN daily_loss IS NOT NULL THEN (
        SELECT value FROM accounts_accountvalue
        WHERE account_id = %(account)s AND key = 'NetLiquidation' ORDER BY as_of DESC LIMIT 1) END FROM limits),
    'equity_before', (SELECT CASE WHEN daily_loss IS NOT NULL THEN coalesce(
        (SELECT net_liquidation FROM accounts_accountsnapshot
        WHERE account_id = %(account)s AND taken_at <= spans.since ORDER BY taken_at DESC LIMIT 1),
        (SELECT net_liquidation FROM accounts_accountsnapshot
        WHERE account_id = %(account)s AND taken_at > spans.since ORDER BY taken_at LIMIT 1)) END
        FROM limits, spans WHERE span = 'day')"""
ASK_FOR_MORE = (
    "working_orders",
    "orders_per_second",
    "orders_per_minute",
    "orders_per_day",
    "duplicate_seconds",
    "daily_loss",
)


def _composed(spans: str, figures: str) -> str:
    return ALWAYS.replace("SPANS", spans).replace("FIGURES", figures).replace("FIRST_HALT_ON", switch.FIRST_ON)


SHORT, FULL = _composed("", ""), _composed(SPANS, FIGURES)
_statement = SHORT


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """`halted`: why nothing may be sent, in words for the client, or empty. `backlog`: how many orders of all accounts
    wait to be sent and still may be, if those that wait were to count. `unexplained`: what the account holds of the
    symbol beyond its executions on record, signed. `beyond_symbol`: whether limits ask for more than the account's
    orders and holdings in that symbol."""

    halted: str
    limits: Limits
    exposure: Exposure
    backlog: int
    unexplained: Decimal
    beyond_symbol: bool


def look(
    ticket: Ticket, *, actor: str, waiting: bool, day_began: datetime | None, received_at: datetime | None = None
) -> Seen:
    """`actor`: who asks for it. `waiting`: whether orders that wait to be sent count. `day_began`: the gateway's
    midnight; None: 24 hours ago. `received_at`: when the order itself was asked for, None: it is being asked for.
    """
    leg = ticket.opening
    asked: dict[str, Any] = {
        "account": ticket.account,
        "key": switch.key_of(actor),
        "symbol": ticket.symbol,
        "side": leg.side,
        "order_type": leg.order_type,
        "quantity": ticket.quantity,
        "limit_price": leg.limit_price,
        "stop_price": leg.stop_price,
        "waiting": waiting,
        "day_began": day_began,
        "received_at": received_at,
        "source": Source.BROKER.value,
        "gone": [kind.value for kind in NOT_WORKING_THERE],
        "oldest_price": OLDEST_PRICE,
    }
    seen = _seen(asked)
    row = seen["limits"]
    limits = values.from_row(row) if row else values.DEFAULTS[settings.TRADING_MODE]
    return Seen(
        halted=switch.reason(seen["halt"]),
        limits=limits,
        exposure=_exposure(seen),
        backlog=seen["backlog"],
        unexplained=Decimal(seen["unexplained"] or 0),
        beyond_symbol=_ask_for_more(row),
    )


def _seen(asked: Mapping[str, Any]) -> Mapping[str, Any]:
    global _statement  # noqa: PLW0603 - what limits asked for last, to guess what they ask for now
    guess = _statement
    seen = _asked(guess, asked)
    _statement = FULL if (more := _ask_for_more(seen["limits"])) else SHORT
    return _asked(FULL, asked) if more and guess is SHORT else seen


def _ask_for_more(limits: Mapping[str, Any] | None) -> bool:
    return limits is not None and any(limits[name] is not None for name in ASK_FOR_MORE)


def _asked(statement: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
    (found,) = prepared.one(statement, asked)
    seen: Mapping[str, Any] = json.loads(found, parse_float=Decimal)
    return seen


def _exposure(seen: Mapping[str, Any]) -> Exposure:
    price = seen["price"] or {}
    equity, before = seen.get("equity"), seen.get("equity_before")
    working, leaves = _at_stake(seen["at_stake"] or [])
    return Exposure(
        working=working,
        leaves=leaves,
        held=Decimal(seen["held"] or 0),
        executed=Decimal(seen["executed"] or 0) + Decimal(seen["unexplained"] or 0),
        price=Decimal(price["price"]) if price else None,
        priced_at=datetime.fromisoformat(price["priced_at"]) if price else None,
        working_in_account=seen.get("working_in_account"),
        sent=seen.get("sent") or {},
        repeats=seen.get("repeats"),
        day_result=difference(equity, Decimal(before)) if equity is not None and before is not None else None,
    )


def _at_stake(orders: Iterable[Sequence[Any]]) -> tuple[dict[str, int], dict[str, Decimal]]:
    """By side, how many orders work and what they may still buy or sell."""
    working: dict[str, int] = {}
    leaves: dict[str, Decimal] = {}
    brackets = set()
    for side, request_pk, left, to_close in orders:
        working[side] = working.get(side, 0) + 1
        if to_close is not None:
            # A bracket's exits may sell what its entry has bought and they have not sold, one of them and not both.
            left = 0 if (request_pk, side) in brackets else to_close
            brackets.add((request_pk, side))
        leaves[side] = leaves.get(side, Decimal(0)) + Decimal(left)
    return working, leaves
