"""Taking a snapshot: from the rows that the worker keeps in step, whole or not at all.

Rules
1. Only while the book is fresh (accounts.freshness), and only when positions and figures were both listed to their end
   marker on this very connection. Else it is skipped, with the reason, and nothing is stored.
2. All accounts with their figures and positions are written in one transaction.
3. One snapshot per account and moment: the rows decide, not the caller, so ringing twice does no harm.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction

from accounts.freshness import standing
from accounts.models import AccountValue, BrokerAccount, GatewayConnection, GatewaySession, Position
from accounts.snapshots import moments
from accounts.snapshots.models import AccountSnapshot, PositionSnapshot, SkippedSnapshot
from database import clock
from gateway.broker import Broker
from gateway.errors import GatewayError
from gateway.reports import Query

log = logging.getLogger(__name__)

QUESTION_SECONDS = 20.0
UNSET = Decimal("1E+308")  # IB's 1.797…E308 says that there is no value
LARGEST = Decimal("1E+16")  # what a column holds
NET_LIQUIDATION = "NetLiquidation"  # without which there is no snapshot; its currency is the account's
FIGURES = {
    "total_cash": "TotalCashValue",
    "available_funds": "AvailableFunds",
    "buying_power": "BuyingPower",
    "excess_liquidity": "ExcessLiquidity",
    "initial_margin": "InitMarginReq",
    "maintenance_margin": "MaintMarginReq",
    "gross_position_value": "GrossPositionValue",
    "realized_pnl": "RealizedPnL",
    "unrealized_pnl": "UnrealizedPnL",
}
ALL_CURRENCIES = "BASE"  # what IB gives per currency it also gives for all of them, in the account's


class Skipped(Exception):
    """No snapshot was taken; the text says why, in words for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What one call did: `snapshots` are new, `already` counts those that were there for that moment."""

    due_at: datetime
    snapshots: tuple[AccountSnapshot, ...]
    already: int


def take_due(broker: Broker, *, gateway: str) -> Taken | None:
    """Ask for positions and figures and keep them, if that is due; None if it is not, or if it was skipped."""
    session = GatewaySession.objects.filter(pk=gateway).first()
    if session is None or not (accounts := accounts_of(session)):
        return None  # never connected: there is no account yet that could be missed
    due_at = latest_moment(session)
    if AccountSnapshot.objects.filter(account__in=accounts, due_at=due_at).count() == len(accounts):
        return None
    try:
        # Asked anew: by itself the broker tells figures every few minutes only, and those of one account alone.
        for query in (Query.POSITIONS, Query.ACCOUNT):
            broker.ask(query, timeout=QUESTION_SECONDS)
        taken = take(gateway, due_at=due_at)
    except (GatewayError, Skipped) as problem:
        skip(gateway, due_at=due_at, reason=str(problem))
        return None
    log.debug("%d snapshot(s) taken for %s", len(taken.snapshots), due_at)
    return taken


def accounts_of(session: GatewaySession) -> list[str]:
    """Those whose figures the session asks for."""
    return [account for account in session.accounts if settings.IB_ACCOUNT in ("", account)]


def latest_moment(session: GatewaySession) -> datetime:
    """The moment of the schedule that came last."""
    return moments.latest(
        clock.database_now(),
        every=timedelta(seconds=settings.SNAPSHOT_SECONDS),
        zone=_zone(session.time_zone),
        calendar=settings.GATEWAY_CALENDAR,
    )


def take(gateway: str, *, due_at: datetime) -> Taken:
    """Keep what every account of the gateway is worth and holds now. Raises: Skipped, with nothing stored."""
    found = standing(gateway)
    if found.session is None or not found.fresh:
        raise Skipped(found.reason)
    session = found.session
    with transaction.atomic():
        # Two at once would both find none; references to the account are not held up.
        accounts = BrokerAccount.objects.filter(pk__in=accounts_of(session)).order_by("pk")
        locked = list(accounts.select_for_update(no_key=True))
        there = AccountSnapshot.objects.filter(account__in=locked, due_at=due_at)
        already = set(there.values_list("account_id", flat=True))
        wanted = [account for account in locked if account.pk not in already]
        _require_listed(session, wanted)
        snapshots = tuple(_store(account, session, due_at=due_at, now=found.at) for account in wanted)
    return Taken(due_at=due_at, snapshots=snapshots, already=len(already))


def skip(gateway: str, *, due_at: datetime, reason: str) -> None:
    """Note, once for each moment, that there was none."""
    before = SkippedSnapshot.objects.filter(session_id=gateway).order_by("-due_at").first()
    _, new = SkippedSnapshot.objects.get_or_create(
        session_id=gateway, due_at=due_at, defaults={"at": clock.database_now(), "reason": reason}
    )
    if new and (before is None or before.reason != reason):  # a gateway that is away all weekend is said once
        log.warning("no snapshot for %s: %s", due_at, reason)


def _require_listed(session: GatewaySession, accounts: Sequence[BrokerAccount]) -> None:
    here = GatewayConnection.objects.filter(session=session, epoch=session.epoch, number=session.connection)
    opened_at = here.values_list("opened_at", flat=True).first()
    if opened_at is None or session.positions_as_of is None or session.positions_as_of < opened_at:
        raise Skipped("the positions were not listed on this connection yet")
    for account in accounts:
        if account.figures_as_of is None or account.figures_as_of < opened_at:
            raise Skipped(f"the figures of {account.pk} were not listed on this connection yet")


def _store(account: BrokerAccount, session: GatewaySession, *, due_at: datetime, now: datetime) -> AccountSnapshot:
    figures = AccountValue.objects.filter(account=account)
    said = {(row.key, row.currency): row.value for row in figures.order_by("as_of")}
    assert account.figures_as_of is not None  # required above
    held = list(Position.objects.filter(account=account).exclude(quantity=0).order_by("symbol", "con_id"))
    currency, columns = _columns(said)
    snapshot = AccountSnapshot.objects.create(
        account=account,
        due_at=due_at,
        taken_at=now,
        as_of=max([account.figures_as_of, *(row.as_of for row in figures)]),
        epoch=session.epoch,
        connection=session.connection,
        currency=currency,
        position_count=len(held),
        position_value=_worth(held, currency),
        **columns,
    )
    copied = ("con_id", "symbol", "security_type", "currency", "quantity", "average_cost", "market_price")
    PositionSnapshot.objects.bulk_create(
        PositionSnapshot(
            snapshot=snapshot,
            market_value=position.market_value,
            **{name: getattr(position, name) for name in copied},
        )
        for position in held
    )
    return snapshot


def _columns(said: Mapping[tuple[str, str], str]) -> tuple[str, dict[str, Decimal | None]]:
    """The account's currency, and its figures by column. Raises: Skipped."""
    currencies = [of for key, of in said if key == NET_LIQUIDATION and of != ALL_CURRENCIES]
    currency = currencies[-1] if currencies else None  # the newest, should it have changed
    if currency is None:
        raise Skipped(f"the broker has not given {NET_LIQUIDATION} yet")
    net_liquidation = _amount(NET_LIQUIDATION, said[NET_LIQUIDATION, currency])
    if net_liquidation is None:
        raise Skipped(f"the broker gives no {NET_LIQUIDATION}")
    columns: dict[str, Decimal | None] = {"net_liquidation": net_liquidation}
    for column, key in FIGURES.items():
        text = said.get((key, ALL_CURRENCIES), said.get((key, currency), ""))
        columns[column] = _amount(key, text)
    return currency, columns


def _amount(key: str, text: str) -> Decimal | None:
    """None for what the broker left unset. Raises: Skipped."""
    if not text:
        return None
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if amount.is_finite() and abs(amount) >= UNSET:
        return None
    if not amount.is_finite() or abs(amount) >= LARGEST:
        raise Skipped(f"the broker gave {key} as {text!r}")
    return amount


def _worth(held: Sequence[Position], currency: str) -> Decimal | None:
    """Of all positions together, in the account's currency; None where that cannot be told. Raises: Skipped."""
    values = []
    for position in held:
        if position.valued_at is None:
            raise Skipped(f"what the position in {position.symbol} is worth was not told yet")
        values.append(position.market_value if position.currency == currency else None)
    known = [value for value in values if value is not None]
    return sum(known, Decimal(0)) if len(known) == len(values) else None


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # none yet, or a zone without a name
        return UTC
