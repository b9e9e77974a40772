"""Breaks and their history, the anchors that positions are counted from, and each run of the reconciliation.

Rules the database keeps: a break changes only together with its next event, except for when it was last seen; events
and anchors are append-only; of one difference there is one live break. Written through `register`, `runs`, `closing`.
"""

import pgtrigger
from django.db import models
from django.db.models import Q

from accounts.models import BrokerAccount, GatewaySession
from orders.breaks.vocabulary import BreakEventKind, BreakKind, RunOutcome, Severity, Source
from orders.models import APPEND_ONLY, NO_TRUNCATE, Execution, Order

LIVE = Q(gone_at__isnull=True)
OPEN = Q(closed_at__isnull=True)


class ReconciliationRun(models.Model):
    """One comparison of our books with the broker's: asked for as a row, taken up by the gateway's worker."""

    gateway = models.ForeignKey(GatewaySession, on_delete=models.PROTECT, related_name="reconciliation_runs")
    requested_by = models.CharField(max_length=160)
    requested_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=10, choices=RunOutcome, blank=True, help_text="empty: not finished")
    reason = models.TextField(blank=True, help_text="why it failed")
    compared = models.JSONField(default=dict, help_text="how many orders, executions and positions were compared")
    opened = models.JSONField(default=dict, help_text="how many breaks it opened, by kind")
    closed = models.JSONField(default=dict, help_text="how many breaks it closed, by kind")
    open_breaks = models.IntegerField(null=True, blank=True, help_text="how many were open when it ended")

    class Meta:
        constraints = [
            # Who asks while one waits shares it.
            models.UniqueConstraint(
                fields=["gateway"], condition=Q(started_at__isnull=True), name="one_run_waits_per_gateway"
            ),
            models.CheckConstraint(
                condition=Q(finished_at__isnull=True, outcome="")
                | Q(finished_at__isnull=False, outcome__in=RunOutcome.values),
                name="a_finished_run_has_its_outcome",
            ),
        ]
        indexes = [
            # What the worker looks for several times a second.
            models.Index(fields=["gateway"], condition=Q(finished_at__isnull=True), name="runs_to_be_finished"),
        ]

    def __str__(self) -> str:
        return f"Reconciliation #{self.pk}"


class StatementLook(models.Model):
    """When an imported statement was last held against the record, and how much differed."""

    statement = models.OneToOneField("orders.FlexStatement", on_delete=models.PROTECT, related_name="look")
    looked_at = models.DateTimeField()
    differences = models.IntegerField()

    def __str__(self) -> str:
        return f"{self.statement_id}: {self.differences} differences"


class Break(models.Model):
    """A difference between our books and another's: from when it was confirmed until it is gone.

    It is open until the books agree again, or a person closes it. What a person closed stays *live* while the
    difference is still there, so that it is not opened again and again: `gone_at` is when it no longer was.
    """

    source = models.CharField(max_length=10, choices=Source)
    kind = models.CharField(max_length=20, choices=BreakKind)
    key = models.CharField(max_length=200, help_text="what differs; one live break for each")
    account = models.CharField(max_length=20)
    symbol = models.CharField(max_length=40, blank=True)
    subject = models.CharField(max_length=200)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, null=True, blank=True, related_name="breaks")
    execution = models.ForeignKey(Execution, on_delete=models.PROTECT, null=True, blank=True, related_name="breaks")
    con_id = models.BigIntegerField(null=True, blank=True)
    security_type = models.CharField(max_length=10, blank=True)
    expected = models.TextField(help_text="by our books")
    actual = models.TextField(help_text="by theirs")
    gap = models.DecimalField(max_digits=24, decimal_places=8, null=True, blank=True, help_text="theirs less ours")
    severity = models.SmallIntegerField(choices=Severity)
    opened_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    times_seen = models.IntegerField(default=1)
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.CharField(max_length=160, blank=True)
    close_reason = models.TextField(blank=True)
    gone_at = models.DateTimeField(null=True, blank=True)
    last_sequence = models.IntegerField(default=1)

    class Meta:
        permissions = [("close_break", "Can close a break and decide what it means")]
        constraints = [
            models.UniqueConstraint(fields=["source", "kind", "key"], condition=LIVE, name="one_live_break"),
            models.CheckConstraint(condition=LIVE | ~OPEN, name="what_is_gone_is_closed"),
        ]
        indexes = [
            # The work list: the gravest and oldest first.
            models.Index(fields=["severity", "opened_at"], condition=OPEN, name="open_breaks"),
            # Each filter of GET /api/v1/breaks, in the list's order.
            models.Index(fields=["opened_at", "id"], name="read_breaks"),
            models.Index(fields=["account", "opened_at", "id"], name="read_breaks_by_account"),
            models.Index(fields=["kind", "opened_at", "id"], name="read_breaks_by_kind"),
            models.Index(fields=["opened_at", "id"], condition=OPEN, name="read_open_breaks"),
            # Which working orders the broker does not have: looked at in every claim.
            models.Index(fields=["order", "kind"], condition=LIVE, name="live_breaks_of_orders"),
        ]
        triggers = [
            pgtrigger.Protect(name="no_delete", operation=pgtrigger.Delete),
            NO_TRUNCATE,
            # To be seen again is no change; anything else comes with its next event.
            pgtrigger.Trigger(
                name="changes_with_its_event",
                operation=pgtrigger.Update,
                when=pgtrigger.Before,
                func="""
                    IF to_jsonb(NEW) - '{last_seen_at,times_seen}'::text[]
                        = to_jsonb(OLD) - '{last_seen_at,times_seen}'::text[] THEN
                        RETURN NEW;
                    END IF;
                    IF NEW.last_sequence <> OLD.last_sequence + 1 OR NOT EXISTS (
                        SELECT 1 FROM orders_breakevent
                        WHERE break_id = NEW.id AND sequence = NEW.last_sequence
                    ) THEN
                        RAISE EXCEPTION 'break % changes only together with its next event', OLD.id;
                    END IF;
                    RETURN NEW;
                """,
            ),
            pgtrigger.Trigger(
                name="begins_with_an_event",
                operation=pgtrigger.Insert,
                when=pgtrigger.After,
                timing=pgtrigger.Deferred,
                func="""
                    IF NOT EXISTS (SELECT 1 FROM orders_breakevent WHERE break_id = NEW.id AND sequence = 1) THEN
                        RAISE EXCEPTION 'break % has no first event', NEW.id;
                    END IF;
                    RETURN NULL;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.subject}"

    @property
    def is_open(self) -> bool:
        return self.closed_at is None

    @property
    def words(self) -> str:
        """What differs, in one line."""
        return f"{self}, account {self.account}: expected {self.expected}, actual {self.actual}"


class BreakEvent(models.Model):
    """One change of a break. What was expected and found stands in each, as it was then."""

    of = models.ForeignKey(Break, on_delete=models.PROTECT, related_name="events", db_column="break_id")
    sequence = models.IntegerField(help_text="gapless within its break, from 1")
    kind = models.CharField(max_length=10, choices=BreakEventKind)
    actor = models.CharField(max_length=160)
    recorded_at = models.DateTimeField()
    expected = models.TextField()
    actual = models.TextField()
    reason = models.TextField(blank=True)
    run = models.ForeignKey(ReconciliationRun, on_delete=models.PROTECT, null=True, blank=True, related_name="events")
    request_id = models.CharField(max_length=64, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["of", "sequence"], name="break_event_sequence_is_gapless"),
        ]
        triggers = APPEND_ONLY

    def __str__(self) -> str:
        return f"{self.sequence}. {self.get_kind_display()}"


class PositionAnchor(models.Model):
    """When the positions of an account were first looked at: what it held then is no break, what changes since is."""

    account = models.OneToOneField(BrokerAccount, on_delete=models.PROTECT, related_name="position_anchor")
    taken_at = models.DateTimeField()

    class Meta:
        triggers = APPEND_ONLY

    def __str__(self) -> str:
        return f"{self.account_id} since {self.taken_at:%Y-%m-%d %H:%M:%S}"


class AnchoredHolding(models.Model):
    """A holding of the anchor, or what a person added to it when closing a break. The sum of a contract's counts."""

    anchor = models.ForeignKey(PositionAnchor, on_delete=models.PROTECT, related_name="holdings")
    con_id = models.BigIntegerField()
    symbol = models.CharField(max_length=40)
    security_type = models.CharField(max_length=10)
    quantity = models.DecimalField(max_digits=24, decimal_places=8)
    because = models.ForeignKey(
        Break,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="adjustments",
        help_text="empty: it was held at the anchor's moment",
    )

    class Meta:
        triggers = APPEND_ONLY

    def __str__(self) -> str:
        return f"{self.quantity.normalize():f} {self.symbol}"
