"""What is read, as it was known at an instant where one is given. A fixed number of queries each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import BooleanField, Exists, ExpressionWrapper, OuterRef, Prefetch, Q, QuerySet, Subquery

from accounts.models import AccountValue, BrokerAccount, Position
from accounts.snapshots.models import AccountSnapshot
from accounts.snapshots.taking import FIGURES, NET_LIQUIDATION
from orders.breaks.models import Break, BreakEvent
from orders.breaks.vocabulary import BreakEventKind
from orders.models import Commission, Execution, Order, OrderRequest, RequestAnswer, later_words


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountKnown:
    """An account with its figures and positions: those of now, or of `snapshot`. None is not known."""

    id: str
    session_id: str
    first_seen_at: datetime
    snapshot: int | None
    values: Sequence[AccountValue] | None
    positions: Sequence[Position] | None


def executions(instant: datetime | None) -> QuerySet[Any]:
    """Each with whether it counts, and what it cost."""
    then = Q(recorded_at__lte=instant) if instant is not None else Q()
    counts = ~Exists(later_words().filter(then)) & Q(quantity__gt=0)
    charges = Commission.objects.filter(then, exec_id=OuterRef("exec_id")).order_by("-pk")
    return Execution.objects.annotate(
        effective=ExpressionWrapper(counts, BooleanField()),
        commission=Subquery(charges.values("amount")[:1]),
        commission_currency=Subquery(charges.values("currency")[:1]),
        realized_pnl=Subquery(charges.values("realized_pnl")[:1]),
    )


def requests(instant: datetime | None) -> QuerySet[OrderRequest]:
    """Each with its answers and the ids of its orders."""
    answers = RequestAnswer.objects.order_by("pk")
    if instant is not None:
        answers = answers.filter(answered_at__lte=instant)
    orders = Order.objects.order_by("pk").only("pk", "request_id")
    return OrderRequest.objects.prefetch_related(Prefetch("answers", answers), Prefetch("orders", orders))


def requests_within(accounts: frozenset[str] | None, *, actor: str) -> Q:
    """Those of an actor, and those about orders in the accounts, whoever made them; all where the accounts are None."""
    if accounts is None:
        return Q()
    placed = Order.objects.filter(request=OuterRef("pk"), account__in=sorted(accounts))
    return Q(actor=actor) | Exists(placed) | Q(cancels__account__in=sorted(accounts))


def account(row: BrokerAccount, instant: datetime | None) -> AccountKnown:
    """Figures and positions change in place, so that of the past no more is known than the last snapshot says."""
    snapshot, values, positions = None, None, None
    if instant is None:
        values = list(row.values.order_by("key", "currency"))
        positions = list(row.positions.exclude(quantity=0).order_by("symbol", "con_id"))
    else:
        taken = AccountSnapshot.objects.filter(account=row, taken_at__lte=instant)
        snapshot = taken.order_by("-taken_at", "-pk").first()
    if snapshot is not None:
        values, positions = _values(snapshot), _positions(snapshot)
    return AccountKnown(
        id=row.pk,
        session_id=row.session_id,
        first_seen_at=row.first_seen_at,
        snapshot=None if snapshot is None else snapshot.pk,
        values=values,
        positions=positions,
    )


def _values(snapshot: AccountSnapshot) -> list[AccountValue]:
    amounts = {key: getattr(snapshot, column) for column, key in FIGURES.items()}
    amounts[NET_LIQUIDATION] = snapshot.net_liquidation
    return [
        AccountValue(key=key, currency=snapshot.currency, value=f"{amount.normalize():f}", as_of=snapshot.taken_at)
        for key, amount in sorted(amounts.items())
        if amount is not None
    ]


def _positions(snapshot: AccountSnapshot) -> list[Position]:
    copied = (
        "con_id",
        "symbol",
        "security_type",
        "currency",
        "quantity",
        "average_cost",
        "market_price",
        "market_value",
    )
    return [
        Position(**{name: getattr(held, name) for name in copied}, as_of=snapshot.taken_at)
        for held in snapshot.positions.order_by("symbol", "con_id")
    ]


def breaks(instant: datetime | None) -> QuerySet[Any]:
    """Each with its events, and with those that changed its figures after the instant."""
    events = BreakEvent.objects.order_by("sequence")
    if instant is None:
        return Break.objects.prefetch_related(Prefetch("events", events))
    known = Prefetch("events", events.filter(recorded_at__lte=instant))
    # Read apart: asked for with the page, the database may look all events through for it.
    later = events.filter(recorded_at__gt=instant, kind=BreakEventKind.CHANGED)
    return Break.objects.prefetch_related(known, Prefetch("events", later, to_attr="changed_later"))
