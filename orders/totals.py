"""What the executions on record add up to, contract by contract, so that nobody adds up the whole ledger.

Rules: a total changes in the transaction that inserts the execution; it is the sum over `effective()` executions, in
whatever order a trade's corrections come. No part of the trail: it can be added up again.
"""

from collections.abc import Iterable
from decimal import Decimal

from django.db import models

from database import prepared
from gateway.reports import ContractFacts

Contract = tuple[str, int, str, str]
COLUMNS = ("account", "con_id", "symbol", "security_type")


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

    @property
    def key(self) -> Contract:
        return self.account, self.con_id, self.symbol, self.security_type


OF_CONTRACTS = prepared.Selection(ExecutedTotal, "con_id = ANY(%(con_ids)s) ORDER BY id FOR UPDATE")
QUANTITIES = prepared.Change(ExecutedTotal, ["quantity"])


def lock(contracts: Iterable[tuple[str, ContractFacts]]) -> dict[Contract, ExecutedTotal]:
    """The totals of contracts (by account), locked until the transaction ends, in one order for everybody.

    Who records executions of a contract comes one at a time.
    """
    keys = sorted({key_of(account, contract) for account, contract in contracts})
    con_ids = [key[1] for key in keys]
    found = {total.key: total for total, _ in OF_CONTRACTS.read(con_ids=con_ids)}
    if missing := [key for key in keys if key not in found]:
        fresh = [ExecutedTotal(**dict(zip(COLUMNS, key, strict=True)), quantity=Decimal(0)) for key in missing]
        ExecutedTotal.objects.bulk_create(fresh, ignore_conflicts=True)
        found = {total.key: total for total, _ in OF_CONTRACTS.read(con_ids=con_ids)}
    return found


def write(totals: Iterable[ExecutedTotal]) -> None:
    """Write totals that are locked."""
    QUANTITIES.write(list(totals))


def key_of(account: str, contract: ContractFacts) -> Contract:
    return account, contract.con_id, contract.symbol, contract.security_type
