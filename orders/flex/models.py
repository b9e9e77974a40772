"""Statements as the broker made them: what was imported, and each row with the first statement that said it.

Rules the database keeps: append-only, like the trail. What a later statement repeats is not stored again; what it says
differently is a row of its own, and of one account and reference the row with the highest id is the broker's last word.
"""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from orders.families import family_of
from orders.models import APPEND_ONLY
from orders.vocabulary import Side


class FlexImport(models.Model):
    """A file that was imported. Written last: where it is, all of the file is."""

    sha256 = models.CharField("SHA-256", primary_key=True, max_length=64)
    name = models.CharField(max_length=255, help_text="of the file, as it was brought")
    size = models.BigIntegerField(help_text="bytes")
    imported_at = models.DateTimeField()
    imported_by = models.CharField(max_length=160)
    counts = models.JSONField(help_text="what of it was new, and what was known")

    class Meta:
        permissions = [("import_flex", "Can import Flex statements")]
        indexes = [models.Index(fields=["imported_at"], name="flex_imports_by_time")]  # the admin's order
        triggers = APPEND_ONLY

    def __str__(self) -> str:
        return self.name


class FlexStatement(models.Model):
    """One account's part of a file: which days it speaks of, and in which sections."""

    # Known before the row is written: rows come before their statement, whose end is read last.
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    file = models.ForeignKey(FlexImport, on_delete=models.PROTECT, related_name="statements")
    account = models.CharField(max_length=20)
    kind = models.CharField(max_length=3, choices=[("AF", "Activity"), ("TCF", "Trade confirmation")])
    query_name = models.CharField(max_length=255, blank=True)
    period_from = models.DateField()
    period_to = models.DateField()
    generated_at = models.DateTimeField(null=True, blank=True)
    generated_text = models.CharField(max_length=60, help_text="the broker's own text")
    sections = ArrayField(models.CharField(max_length=80), help_text="what of it was read")
    unread = ArrayField(models.CharField(max_length=80), blank=True, help_text="sections that are of no use here")

    class Meta:
        indexes = [
            # The latest statement of an account: what reconciliation holds our record against.
            models.Index(fields=["account", "period_to"], name="flex_statements_by_day"),
        ]
        triggers = APPEND_ONLY

    def __str__(self) -> str:
        return f"{self.account} {self.period_from} to {self.period_to}"


class FlexRow(models.Model):
    """What all rows have. `digest` covers all that a row says, its account and reference included."""

    statement = models.ForeignKey(FlexStatement, on_delete=models.PROTECT, help_text="the first that said so")
    line = models.IntegerField(help_text="in that statement's file")
    account = models.CharField(max_length=20)
    reference = models.CharField(max_length=200, help_text="what the broker calls it")
    digest = models.CharField(max_length=64, unique=True)
    raw = models.JSONField(help_text="the attributes as written")

    class Meta:
        abstract = True


class FlexTrade(FlexRow):
    """One execution on a statement, or the taking back of one (`cancels`). Quantities are positive."""

    exec_id = models.CharField(max_length=80, blank=True, help_text="empty: booked by the broker, not executed")
    family = models.GeneratedField(
        expression=family_of(F("exec_id")), output_field=models.CharField(max_length=80), db_persist=True
    )
    trade_id = models.CharField(max_length=80, blank=True)
    transaction_id = models.CharField(max_length=80, blank=True)
    cancels = models.BooleanField()
    cancelled_id = models.CharField(max_length=80, blank=True, help_text="trade or transaction id that is taken back")
    broker_order_id = models.BigIntegerField(null=True, blank=True)
    order_ref = models.CharField(max_length=255, blank=True)
    symbol = models.CharField(max_length=40)
    underlying = models.CharField(max_length=40, blank=True)
    con_id = models.BigIntegerField()
    security_type = models.CharField(max_length=10)
    currency = models.CharField(max_length=10)
    side = models.CharField(max_length=8, choices=Side)
    quantity = models.DecimalField(max_digits=34, decimal_places=18)
    price = models.DecimalField(max_digits=34, decimal_places=18)
    commission = models.DecimalField(max_digits=34, decimal_places=18, null=True, blank=True, help_text="what was paid")
    commission_currency = models.CharField(max_length=10, blank=True)
    trade_date = models.DateField(help_text="the broker's trading day")
    executed_at = models.DateTimeField(null=True, blank=True)
    time_text = models.CharField(max_length=60, help_text="the broker's own text")
    exchange = models.CharField(max_length=20, blank=True)
    notes = models.CharField(max_length=255, blank=True, help_text="IB's codes")

    class Meta:
        indexes = [
            models.Index(fields=["account", "exec_id"], name="flex_trades_by_exec_id"),  # what was told anew
            models.Index(fields=["account", "family"], name="flex_trades_by_family"),  # our executions, compared
            models.Index(fields=["account", "trade_date"], name="flex_trades_by_day"),  # the days of a statement
            # What was taken back: few among many.
            models.Index(fields=["account", "cancelled_id"], condition=Q(cancels=True), name="flex_trades_cancelled"),
        ]
        triggers = APPEND_ONLY

    def __str__(self) -> str:
        return f"{self.side} {self.quantity.normalize():f} {self.symbol} @ {self.price.normalize():f}"


class FlexCash(FlexRow):
    """One movement of cash. `amount` is signed: what was paid is negative."""

    transaction_id = models.CharField(max_length=80)
    type = models.CharField(max_length=80)
    currency = models.CharField(max_length=10)
    amount = models.DecimalField(max_digits=34, decimal_places=18)
    report_date = models.DateField()
    time_text = models.CharField(max_length=60)
    symbol = models.CharField(max_length=40, blank=True)
    con_id = models.BigIntegerField(null=True, blank=True)
    description = models.CharField(max_length=1000, blank=True)

    class Meta:
        verbose_name_plural = "flex cash"
        indexes = [models.Index(fields=["account", "report_date"], name="flex_cash_by_day")]  # the admin's day filter
        triggers = APPEND_ONLY

    def __str__(self) -> str:
        return f"{self.amount.normalize():f} {self.currency} {self.type}"


class FlexHolding(FlexRow):
    """What was held of a contract at the end of a day. `quantity` is signed: negative is short."""

    report_date = models.DateField()
    con_id = models.BigIntegerField()
    model = models.CharField(max_length=80, blank=True, help_text="IB's model portfolio")
    symbol = models.CharField(max_length=40)
    security_type = models.CharField(max_length=10)
    currency = models.CharField(max_length=10)
    quantity = models.DecimalField(max_digits=34, decimal_places=18)
    mark_price = models.DecimalField(max_digits=34, decimal_places=18, null=True, blank=True)
    cost_price = models.DecimalField(max_digits=34, decimal_places=18, null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["account", "report_date"], name="flex_holdings_by_day")]  # a day's comparison
        triggers = APPEND_ONLY

    def __str__(self) -> str:
        return f"{self.account} {self.quantity.normalize():f} {self.symbol}"
