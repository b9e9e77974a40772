"""What the executions on record add up to, contract by contract, so that nobody adds up the whole ledger.

Rules: a total changes in the transaction that inserts the execution; it is the sum over `effective()` executions, in
whatever order a trade's corrections come. No part of the trail: it can be added up again.
"""

from decimal import Decimal

from django.db import models
from django.db.models import F

from gateway.reports import ContractFacts


class ExecutedTotal(models.Model):
    """What was bought less what was sold of a contract in an account."""

    account = models.CharField(max_length=20)
    con_id = models.BigIntegerField()
    symbol = models.CharField(max_length=40)
    security_type = models.CharField(max_length=10)
    quantity = models.DecimalField(max_digits=24, decimal_places=8)

    class Meta:
        constraints = [
            # One row per contract: what is locked and added to with every execution.
            models.UniqueConstraint(
                fields=["account", "con_id", "symbol", "security_type"], name="one_total_per_contract"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account} {self.quantity.normalize():f} {self.symbol}"


def lock(account: str, contract: ContractFacts) -> ExecutedTotal:
    """The total of a contract, locked until the transaction ends: who records its executions comes one at a time."""
    key = {
        "account": account,
        "con_id": contract.con_id,
        "symbol": contract.symbol,
        "security_type": contract.security_type,
    }
    found = ExecutedTotal.objects.select_for_update().filter(**key).first()
    if found is None:
        ExecutedTotal.objects.bulk_create([ExecutedTotal(**key, quantity=Decimal(0))], ignore_conflicts=True)
        found = ExecutedTotal.objects.select_for_update().get(**key)
    return found


def add(total: ExecutedTotal, quantity: Decimal) -> None:
    """Add to a total that is locked; `quantity` is signed."""
    if quantity:
        ExecutedTotal.objects.filter(pk=total.pk).update(quantity=F("quantity") + quantity)
