"""Snapshots of accounts. Append-only; an account's figures and its positions are one transaction, or are not there.

`due_at` names the moment a snapshot is for, and there is one for each: ringing twice takes one.
"""

from typing import Any

from django.db import models

from accounts.guards import APPEND_ONLY
from accounts.models import BrokerAccount, GatewaySession


def _figure(name: str | None = None, *, help_text: str = "") -> "models.DecimalField[Any, Any]":
    return models.DecimalField(name, max_digits=24, decimal_places=8, null=True, blank=True, help_text=help_text)


class AccountSnapshot(models.Model):
    """An account at one moment, in its base currency. NULL is what the broker did not say, and never 0."""

    account = models.ForeignKey(BrokerAccount, on_delete=models.PROTECT, related_name="snapshots")
    due_at = models.DateTimeField(help_text="the moment of the schedule it was taken for")
    taken_at = models.DateTimeField(help_text="by the database's clock")
    as_of = models.DateTimeField(help_text="when the broker last said anything about the figures")
    epoch = models.BigIntegerField(help_text="which owner of the session had heard it")
    connection = models.IntegerField()
    currency = models.CharField(max_length=10)
    net_liquidation = models.DecimalField(max_digits=24, decimal_places=8)
    total_cash = _figure()
    available_funds = _figure()
    buying_power = _figure()
    excess_liquidity = _figure()
    initial_margin = _figure()
    maintenance_margin = _figure()
    gross_position_value = _figure()
    realized_pnl = _figure("realized P&L")
    unrealized_pnl = _figure("unrealized P&L")
    position_count = models.IntegerField()
    position_value = _figure(
        help_text="of all positions, signed; empty where one has no price or is in another currency"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "due_at"], name="one_snapshot_per_moment"),
        ]
        indexes = [
            # The charts jump from point to point, and the latest is asked for; also GET /api/v1/snapshots?account=.
            models.Index(fields=["account", "taken_at", "id"], name="read_snapshots_by_account"),
            # The lists, of all accounts.
            models.Index(fields=["taken_at", "id"], name="read_snapshots"),
        ]
        triggers = APPEND_ONLY

    def __str__(self) -> str:
        return f"{self.account_id} at {self.taken_at:%Y-%m-%d %H:%M:%S}"


class PositionSnapshot(models.Model):
    """A holding at the moment of its snapshot, in the contract's own currency."""

    snapshot = models.ForeignKey(AccountSnapshot, on_delete=models.PROTECT, related_name="positions")
    con_id = models.BigIntegerField("contract id")
    symbol = models.CharField(max_length=40)
    security_type = models.CharField(max_length=10)
    currency = models.CharField(max_length=10)
    quantity = models.DecimalField(max_digits=24, decimal_places=8)
    average_cost = _figure()
    market_price = _figure()
    market_value = _figure()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["snapshot", "con_id"], name="one_holding_per_snapshot"),
        ]
        triggers = APPEND_ONLY

    def __str__(self) -> str:
        return f"{self.quantity.normalize():f} {self.symbol}"


class SkippedSnapshot(models.Model):
    """A snapshot that could not be taken when it was due, and why. It may have been taken a little later."""

    session = models.ForeignKey(GatewaySession, on_delete=models.PROTECT, related_name="skipped_snapshots")
    due_at = models.DateTimeField()
    at = models.DateTimeField(help_text="of the first attempt, by the database's clock")
    reason = models.TextField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["session", "due_at"], name="one_skip_per_moment"),
        ]
        triggers = APPEND_ONLY

    def __str__(self) -> str:
        return f"{self.session_id} due at {self.due_at:%Y-%m-%d %H:%M:%S}"
