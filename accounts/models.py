"""The broker's accounts, what they hold now, and the session through which we know it.

Rows here are the latest word of the broker with the time it was said. What was before is kept in the orders' trail, in
accounts.history and in accounts.snapshots.

Times that are compared with the present (`heard_at`, `away_since`, `owner_seen_at`) are by the database's clock.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models


class GatewaySession(models.Model):
    """The one connection to a gateway, as its owner last described it. Written by the gateway worker alone.

    `epoch` grows each time a worker becomes the owner; a claim made under an older one is refused.
    """

    name = models.CharField(primary_key=True, max_length=40)
    client_id = models.IntegerField()
    endpoint = models.CharField(max_length=120, help_text="host:port of the gateway")
    state = models.CharField(max_length=16, default="DISCONNECTED")
    reason = models.TextField(blank=True, help_text="why the session is in this state")
    cause = models.CharField(max_length=20, blank=True, help_text="why it was not READY last, for machines")
    state_since = models.DateTimeField()
    away_since = models.DateTimeField(null=True, blank=True, help_text="since when it is not READY; empty while it is")
    owner_seen_at = models.DateTimeField(null=True, blank=True, help_text="last sign of life of the gateway worker")
    time_zone = models.CharField(max_length=60, blank=True, help_text="the gateway's own, in which its day ends")
    epoch = models.BigIntegerField(default=0)
    connection = models.IntegerField(default=0)
    accounts = ArrayField(models.CharField(max_length=20), default=list, blank=True)
    next_order_id = models.BigIntegerField(default=1, help_text="lowest order id not yet reserved; never goes down")
    heard_at = models.DateTimeField(null=True, blank=True, help_text="when the broker last said anything")
    positions_as_of = models.DateTimeField(null=True, blank=True, help_text="when all of them were last asked for")
    # Counted, not timed: whoever wants a list raises the first number and waits for the second to reach it, so that
    # the clocks of two machines need not agree.
    open_orders_wanted = models.BigIntegerField(default=0)
    open_orders_listed = models.BigIntegerField(default=0)
    open_orders_as_of = models.DateTimeField(null=True, blank=True)
    open_perm_ids = ArrayField(models.BigIntegerField(), default=list, blank=True)
    executions_as_of = models.DateTimeField(null=True, blank=True)
    executions_wanted = models.BigIntegerField(default=0)
    executions_synced = models.BigIntegerField(default=0)
    executions_tally = models.JSONField(default=dict, blank=True, help_text="what the last answer was made of")

    def __str__(self) -> str:
        return f"{self.name}: {self.state}"


# What the last answers of the broker held: it says nothing of the session, and is long where there are many orders.
LAST_ANSWERS = frozenset({"open_perm_ids", "executions_tally"})


class GatewayConnection(models.Model):
    """One accepted connection, and the order id the gateway offered on it before anything was sent.

    What it counts on from tells which orders it has seen, whatever it lists.
    """

    session = models.ForeignKey(GatewaySession, on_delete=models.PROTECT, related_name="connections")
    epoch = models.BigIntegerField()
    number = models.IntegerField(help_text="counts from 1 within its epoch")
    offered_order_id = models.BigIntegerField()
    opened_at = models.DateTimeField()

    class Meta:
        constraints = [
            # One row per connection, whatever states it goes through; the first one after a claim is looked up by it.
            models.UniqueConstraint(fields=["session", "epoch", "number"], name="one_row_per_connection"),
        ]

    def __str__(self) -> str:
        return f"{self.session_id} {self.epoch}/{self.number}"


class BrokerAccount(models.Model):
    """An account the session may act for."""

    id = models.CharField("account", primary_key=True, max_length=20)
    session = models.ForeignKey(GatewaySession, on_delete=models.PROTECT, related_name="broker_accounts")
    figures_as_of = models.DateTimeField(null=True, blank=True, help_text="when all figures were last asked for")
    first_seen_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.id


class AccountValue(models.Model):
    """One figure of an account, in IB's key (NetLiquidation, AvailableFunds, …) and the broker's own text."""

    account = models.ForeignKey(BrokerAccount, on_delete=models.PROTECT, related_name="values")
    key = models.CharField(max_length=60)
    currency = models.CharField(max_length=10, blank=True)
    value = models.TextField()
    as_of = models.DateTimeField()

    class Meta:
        constraints = [
            # One row per figure: what the live upsert conflicts on.
            models.UniqueConstraint(fields=["account", "key", "currency"], name="one_value_per_key"),
        ]

    def __str__(self) -> str:
        return f"{self.account_id} {self.key} {self.value} {self.currency}".strip()


class Position(models.Model):
    """A holding. `quantity` is signed: negative is short. Rows at 0 are closed positions, kept out of every list."""

    account = models.ForeignKey(BrokerAccount, on_delete=models.PROTECT, related_name="positions")
    con_id = models.BigIntegerField("contract id")
    symbol = models.CharField(max_length=40)
    security_type = models.CharField(max_length=10)
    currency = models.CharField(max_length=10)
    quantity = models.DecimalField(max_digits=24, decimal_places=8)
    average_cost = models.DecimalField(max_digits=24, decimal_places=8, null=True, blank=True)
    market_price = models.DecimalField(max_digits=24, decimal_places=8, null=True, blank=True)
    market_value = models.DecimalField(max_digits=24, decimal_places=8, null=True, blank=True)
    valued_at = models.DateTimeField(null=True, blank=True, help_text="empty until the worth of this quantity was told")
    as_of = models.DateTimeField()

    class Meta:
        constraints = [
            # One row per holding: what the live upsert conflicts on.
            models.UniqueConstraint(fields=["account", "con_id"], name="one_position_per_contract"),
        ]

    def __str__(self) -> str:
        return f"{self.account_id} {self.quantity.normalize():f} {self.symbol}"
