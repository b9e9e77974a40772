"""What an account holds beyond what the executions on record add up to, contract by contract.

Taken when the broker has listed all positions and that list is applied: everything it told before is on record then,
so the two belong to one moment and no clock is asked. The figure stays the same while every execution is known; when
it changes, something was executed that nobody told us of.
"""

from decimal import Decimal

from django.db import transaction
from django.db.models import Sum

from accounts.models import BrokerAccount, Position
from gateway.reports import AnswerComplete, Query, Report
from orders.models import UnexplainedHolding
from orders.totals import ExecutedTotal

Contract = tuple[str, str, str]  # account, symbol, security type


def apply_report(report: Report, *, gateway: str) -> None:
    """Take the figures when a list of positions is complete; other reports are not for this module."""
    if isinstance(report, AnswerComplete) and report.query is Query.POSITIONS:
        take(gateway=gateway)


def take(*, gateway: str) -> None:
    """Write the figures of all accounts of a gateway anew."""
    accounts = list(BrokerAccount.objects.filter(session_id=gateway).values_list("pk", flat=True))
    held = Position.objects.filter(account__in=accounts).exclude(quantity=0)
    figures: dict[Contract, Decimal] = {}
    for *contract, quantity in held.values_list("account_id", "symbol", "security_type", "quantity"):
        key: Contract = (contract[0], contract[1], contract[2])
        figures[key] = figures.get(key, Decimal(0)) + quantity
    for key, quantity in _executed(accounts).items():
        figures[key] = figures.get(key, Decimal(0)) - quantity
    with transaction.atomic():
        UnexplainedHolding.objects.filter(account__in=accounts).delete()
        UnexplainedHolding.objects.bulk_create(
            UnexplainedHolding(account_id=account, symbol=symbol, security_type=security_type, quantity=quantity)
            for (account, symbol, security_type), quantity in figures.items()
            if quantity
        )


def unexplained(account: str, *, symbol: str, security_type: str) -> Decimal:
    """The figure of one contract as it was last taken; 0 when all was explained."""
    rows = UnexplainedHolding.objects.filter(account_id=account, symbol=symbol, security_type=security_type)
    return rows.values_list("quantity", flat=True).first() or Decimal(0)


def _executed(accounts: list[str]) -> dict[Contract, Decimal]:
    """What executions add up to, signed; a corrected one counts as corrected."""
    rows = ExecutedTotal.objects.filter(account__in=accounts).values_list("account", "symbol", "security_type")
    totals = rows.annotate(total=Sum("quantity")).order_by()
    return {(account, symbol, security_type): total for account, symbol, security_type, total in totals}
