"""What an order is held against before it is placed: halts, limits, and what is at stake already, in one statement.

Rules
1. One look costs one query, whatever limits there are; what no limit asks for is not looked up, and what is counted is
   counted no further than its limit.
2. When an order is asked for, those that wait to be sent count as well. In the claim they do not: claims come one at a
   time, so each sees what was claimed before it, and the first to wait is the first to be sent.
3. An order of which the broker, asked twice, has nothing left (a live break says so) takes none of its room there: an
   order that expired over night would otherwise keep new ones out for ever.
"""

import json
from collections.abc import Mapping
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

# A bracket's exits may sell what its entry has bought and they have not sold, one of them and not both. The status is
# compared as in the partial indexes' own condition.
LOOK = """
WITH limits AS MATERIALIZED (
    SELECT * FROM accounts_limitversion
    WHERE account IN (%(account)s, '') ORDER BY account DESC, version DESC LIMIT 1
), at_stake AS MATERIALIZED (
    SELECT o.side, o.request_id, o.role IN ('STOP_LOSS', 'TAKE_PROFIT') AS exits,
        greatest(o.quantity - o.filled_quantity, 0) AS leaves
    FROM orders_order o
    WHERE o.account_id = %(account)s AND o.symbol = %(symbol)s
        AND NOT (o.status IN ('FILLED', 'CANCELED', 'REJECTED', 'EXPIRED', 'NOT_PLACED', 'DENIED'))
        AND (%(waiting)s OR o.status <> 'RECEIVED')
        AND NOT EXISTS (
            SELECT 1 FROM orders_break b
            WHERE b.order_id = o.id AND b.gone_at IS NULL AND b.source = %(source)s AND b.kind = ANY(%(gone)s)
        )
), leaves AS (
    SELECT side, leaves FROM at_stake WHERE NOT exits OR request_id IS NULL
    UNION ALL
    SELECT e.side, greatest((
        SELECT sum(CASE WHEN o.role = 'ENTRY' THEN o.filled_quantity ELSE -o.filled_quantity END)
        FROM orders_order o WHERE o.request_id = e.request_id
    ), 0)
    FROM (SELECT DISTINCT request_id, side FROM at_stake WHERE exits AND request_id IS NOT NULL) AS e
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
), spans AS (
    SELECT 'second' AS span, orders_per_second AS allowed, clock_timestamp() - interval '1 second' AS since FROM limits
    UNION ALL
    SELECT 'minute', orders_per_minute, clock_timestamp() - interval '1 minute' FROM limits
    UNION ALL
    SELECT 'day', orders_per_day, coalesce(%(day_began)s, clock_timestamp() - interval '1 day') FROM limits
)
SELECT jsonb_build_object(
    'halt', (FIRST_HALT_ON),
    'backlog', (SELECT count(*) FROM orders_order o
        WHERE %(waiting)s AND o.status = 'RECEIVED' AND o.valid_until > clock_timestamp()),
    'unexplained', (SELECT sum(quantity) FROM orders_unexplainedholding
        WHERE account_id = %(account)s AND symbol = %(symbol)s AND security_type = 'STK'),
    'limits', (SELECT to_jsonb(limits) FROM limits),
    'working', (SELECT jsonb_object_agg(side, orders) FROM (
        SELECT side, count(*) AS orders FROM at_stake GROUP BY side) AS of_side),
    'leaves', (SELECT jsonb_object_agg(side, quantity) FROM (
        SELECT side, sum(leaves) AS quantity FROM leaves GROUP BY side) AS of_side),
    'held', (SELECT sum(quantity) FROM accounts_position
        WHERE account_id = %(account)s AND symbol = %(symbol)s AND security_type = 'STK'),
    'executed', (SELECT sum(quantity) FROM (
        SELECT quantity FROM orders_executedtotal
        WHERE account = %(account)s AND symbol = %(symbol)s AND security_type = 'STK'
        UNION ALL
        SELECT quantity FROM orders_unexplainedholding
        WHERE account_id = %(account)s AND symbol = %(symbol)s AND security_type = 'STK') AS both_parts),
    'price', (SELECT to_jsonb(prices) FROM prices
        WHERE priced_at > clock_timestamp() - %(oldest_price)s ORDER BY priced_at DESC LIMIT 1),
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
        FROM limits, spans WHERE span = 'day')
)::text
""".replace("FIRST_HALT_ON", switch.FIRST_ON)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """`halted`: why nothing may be sent, in words for the client, or empty. `backlog`: how many orders of all accounts
    wait to be sent and still may be, if those that wait were to count. `unexplained`: what the account holds of the
    symbol beyond its executions on record, signed."""

    halted: str
    limits: Limits
    exposure: Exposure
    backlog: int
    unexplained: Decimal


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
    (found,) = prepared.one(LOOK, asked)
    seen = json.loads(found, parse_float=Decimal)
    row = seen["limits"]
    limits = values.from_row(row) if row else values.DEFAULTS[settings.TRADING_MODE]
    return Seen(
        halted=switch.reason(seen["halt"]),
        limits=limits,
        exposure=_exposure(seen),
        backlog=seen["backlog"],
        unexplained=Decimal(seen["unexplained"] or 0),
    )


def _exposure(seen: Mapping[str, Any]) -> Exposure:
    price = seen["price"] or {}
    equity, before = seen["equity"], seen["equity_before"]
    return Exposure(
        working=seen["working"] or {},
        leaves={side: Decimal(quantity) for side, quantity in (seen["leaves"] or {}).items()},
        held=Decimal(seen["held"] or 0),
        executed=Decimal(seen["executed"] or 0),
        price=Decimal(price["price"]) if price else None,
        priced_at=datetime.fromisoformat(price["priced_at"]) if price else None,
        working_in_account=seen["working_in_account"],
        sent=seen["sent"] or {},
        repeats=seen["repeats"],
        day_result=difference(equity, Decimal(before)) if equity is not None and before is not None else None,
    )
