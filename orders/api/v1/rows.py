"""What the lists are read from, as it was known at an instant where one is given. A fixed number of queries each."""

from datetime import datetime
from typing import Any

from django.db.models import BooleanField, Exists, ExpressionWrapper, OuterRef, Prefetch, Q, QuerySet, Subquery

from orders.models import Commission, Execution, Order, OrderRequest, RequestAnswer, later_words


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
