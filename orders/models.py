"""The record: requests, orders, events, executions. Columns, constraints and the triggers that guard them.

Rules the database keeps, whatever the code forgets: requests, answers, events, executions and commissions are
append-only; an order's row changes only together with its next event, and begins with its first.
Written through `orders.journal` alone.
"""

from decimal import Decimal

import pgtrigger
from django.db import models
from django.db.models import Exists, F, OuterRef, Q

from accounts.guards import APPEND_ONLY as APPEND_ONLY
from accounts.guards import NO_TRUNCATE as NO_TRUNCATE
from accounts.models import BrokerAccount
from orders.families import FIRST_REVISION, family_of, revision_of
from orders.lifecycle import OrderState
from orders.vocabulary import EventKind, ExecutionSource, OrderStatus, OrderType, Role, Side, TimeInForce

# As text, so that the planner sees that a query's condition is the partial indexes'.
NOT_AT_REST = ~Q(status__in=["FILLED", "CANCELED", "REJECTED", "EXPIRED", "NOT_PLACED", "DENIED"])
NOT_LIVE = ~Q(source="trades()")
# Filled by the broker's word, and not one execution counted.
UNSEEN_FILLS = Q(broker_status="Filled", filled_quantity=0)


class OrderRequest(models.Model):
    """What a client asked, as it came: refused ones too."""

    id = models.BigAutoField(primary_key=True)
    received_at = models.DateTimeField()
    endpoint = models.CharField(max_length=40)
    body = models.TextField(help_text="as received; undecodable bytes escaped")
    body_digest = models.CharField(max_length=64, help_text="SHA-256 of the body, JSON in canonical form")
    actor = models.CharField(max_length=80)
    remote_address = models.CharField(max_length=64, blank=True)
    request_id = models.CharField(max_length=64, help_text="joins with the access log and every event it led to")
    idempotency_key = models.CharField(max_length=255, null=True, blank=True)
    refusal = models.TextField(blank=True, help_text="why it was refused before anything was done; empty otherwise")
    cancels = models.ForeignKey(
        "Order",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="cancel_requests",
        help_text="the order that this request asked to cancel",
    )

    class Meta:
        constraints = [
            # One key of a client, one order: a refused request does not use its key up.
            models.UniqueConstraint(
                fields=["actor", "idempotency_key"],
                condition=Q(idempotency_key__isnull=False, refusal=""),
                name="one_request_per_key",
            ),
        ]
        indexes = [
            # Each filter of GET /api/v1/requests, in the list's order; the first serves the admin's day filter too.
            models.Index(fields=["received_at", "id"], name="read_requests"),
            models.Index(fields=["endpoint", "received_at", "id"], name="read_requests_by_endpoint"),
            models.Index(fields=["received_at", "id"], condition=~Q(refusal=""), name="read_refused_requests"),
            models.Index(fields=["request_id"], name="read_requests_by_request_id"),  # the admin's search too
            models.Index(
                fields=["idempotency_key"], condition=Q(idempotency_key__isnull=False), name="read_requests_by_key"
            ),
        ]
        triggers = APPEND_ONLY

    def __str__(self) -> str:
        return f"{self.endpoint} #{self.pk}"


class RequestAnswer(models.Model):
    """What the client was told. `settled` is false while the outcome was unknown: a replay of the key then looks
    again, and what it learned is a row of its own."""

    request = models.ForeignKey(OrderRequest, on_delete=models.PROTECT, related_name="answers")
    answered_at = models.DateTimeField()
    status_code = models.PositiveSmallIntegerField()
    body = models.JSONField()
    settled = models.BooleanField(default=True)

    class Meta:
        triggers = APPEND_ONLY

    def __str__(self) -> str:
        return f"{self.status_code} to request {self.request_id}"


class Order(models.Model):
    """One order, ours or adopted: its fixed terms, and the state its events add up to."""

    id = models.BigAutoField(primary_key=True)
    request = models.ForeignKey(
        OrderRequest,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="orders",
        help_text="empty: adopted, not asked for through this API",
    )
    role = models.CharField(max_length=12, choices=Role, default=Role.SINGLE)
    account = models.ForeignKey(
        BrokerAccount,
        on_delete=models.PROTECT,
        related_name="orders",
        db_index=False,  # read_orders_by_account begins with it
    )
    symbol = models.CharField(max_length=40)
    security_type = models.CharField(max_length=10, default="STK")
    currency = models.CharField(max_length=10, default="USD")
    side = models.CharField(max_length=8, choices=Side)
    order_type = models.CharField(max_length=24, choices=OrderType)
    time_in_force = models.CharField(max_length=8, choices=TimeInForce)
    order_ref = models.CharField(max_length=255, blank=True, help_text="the client's own reference")
    stamp = models.CharField(max_length=13, null=True, blank=True, unique=True, help_text="our mark in IB's orderRef")
    received_at = models.DateTimeField()
    valid_until = models.DateTimeField(null=True, blank=True, help_text="nothing is sent after this moment")

    # What follows is the fold of the events (lifecycle.OrderState), kept here to be queried.
    status = models.CharField(max_length=16, choices=OrderStatus)
    quantity = models.DecimalField(max_digits=24, decimal_places=8)
    limit_price = models.DecimalField(max_digits=24, decimal_places=8, null=True, blank=True)
    stop_price = models.DecimalField(max_digits=24, decimal_places=8, null=True, blank=True)
    filled_quantity = models.DecimalField(max_digits=24, decimal_places=8, default=0)
    filled_notional = models.DecimalField(max_digits=32, decimal_places=16, default=0)
    client_id = models.IntegerField(null=True, blank=True)
    broker_order_id = models.BigIntegerField(
        null=True, blank=True, help_text="at the gateway; changes hands on restart"
    )
    perm_id = models.BigIntegerField(null=True, blank=True, help_text="IB's permanent id")
    broker_status = models.CharField(max_length=20, blank=True, help_text="IB's last word")
    reason = models.TextField(blank=True)
    last_sequence = models.IntegerField(default=1)

    class Meta:
        permissions = [("resolve_in_doubt", "Can decide what became of an order in doubt")]
        indexes = [
            # The worker's sweep and recovery: the few rows that are not at rest.
            models.Index(
                fields=["status", "received_at"],
                condition=NOT_AT_REST,
                name="orders_not_at_rest",
            ),
            # The limit on working orders per contract, side and account.
            models.Index(fields=["account", "symbol", "side"], condition=NOT_AT_REST, name="orders_working_by_side"),
            models.Index(fields=["perm_id"], name="orders_by_perm_id"),  # cancel, reports, the admin's search
            models.Index(
                fields=["client_id", "broker_order_id"], name="orders_by_broker_order_id"
            ),  # errors name no more
            # What GET /executions has besides executions: few at any time.
            models.Index(fields=["account"], condition=UNSEEN_FILLS, name="orders_filled_unseen"),
            # Each filter of GET /api/v1/orders, in the list's order; they serve the admin's filters and search too.
            models.Index(fields=["received_at", "id"], name="read_orders"),
            models.Index(fields=["account", "received_at", "id"], name="read_orders_by_account"),
            models.Index(fields=["symbol", "received_at", "id"], name="read_orders_by_symbol"),
            models.Index(fields=["status", "received_at", "id"], name="read_orders_by_status"),
            models.Index(fields=["order_ref", "received_at", "id"], name="read_orders_by_ref"),
            # The admin's filter: few among many.
            models.Index(fields=["received_at", "id"], condition=Q(request__isnull=True), name="read_orders_external"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(status__in=OrderStatus.values), name="order_status_is_known"),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="order_quantity_is_positive"),
            models.CheckConstraint(
                condition=Q(request__isnull=True) | Q(stamp__isnull=False), name="orders_of_ours_are_stamped"
            ),
            # A reserved id is never used for a second order of ours.
            models.UniqueConstraint(
                fields=["client_id", "broker_order_id"],
                condition=Q(stamp__isnull=False, broker_order_id__isnull=False),
                name="order_id_is_used_once",
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="no_delete", operation=pgtrigger.Delete),
            NO_TRUNCATE,
            # The next events come first, and lead without a gap from the status before to the one after.
            pgtrigger.Trigger(
                name="changes_with_its_event",
                operation=pgtrigger.Update,
                when=pgtrigger.Before,
                func="""
                    IF NEW.last_sequence = OLD.last_sequence + 1 AND EXISTS (  -- mostly so, and found by one key
                        SELECT 1 FROM orders_orderevent
                        WHERE order_id = NEW.id AND sequence = NEW.last_sequence
                            AND from_status = OLD.status AND to_status = NEW.status
                    ) THEN
                        RETURN NEW;
                    END IF;
                    IF NEW.last_sequence <= OLD.last_sequence OR NOT (
                        SELECT count(*) = NEW.last_sequence - OLD.last_sequence
                            AND bool_and(from_status = led_to)
                            AND (array_agg(to_status ORDER BY sequence DESC))[1] = NEW.status
                        FROM (
                            SELECT sequence, from_status, to_status,
                                lag(to_status, 1, OLD.status) OVER (ORDER BY sequence) AS led_to
                            FROM orders_orderevent
                            WHERE order_id = NEW.id
                                AND sequence > OLD.last_sequence AND sequence <= NEW.last_sequence
                        ) AS next_events
                    ) THEN
                        RAISE EXCEPTION 'order % changes only together with its next events', OLD.id;
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
                    IF NOT EXISTS (SELECT 1 FROM orders_orderevent WHERE order_id = NEW.id AND sequence = 1) THEN
                        RAISE EXCEPTION 'order % has no first event', NEW.id;
                    END IF;
                    RETURN NULL;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.pk} {self.side} {self.quantity.normalize():f} {self.symbol} {self.get_order_type_display()}"

    @property
    def average_price(self) -> Decimal | None:
        """Mean price of what was filled (FIX 6), or None."""
        return self.filled_notional / self.filled_quantity if self.filled_quantity else None

    def state(self) -> OrderState:
        """The row as the value that `lifecycle.fold` works on."""
        return OrderState(
            **{name: getattr(self, name) for name in STATE_COLUMNS} | {"status": OrderStatus(self.status)}
        )


STATE_COLUMNS = tuple(OrderState.__dataclass_fields__)


class OrderEvent(models.Model):
    """One thing that happened to an order. The trail."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="events")
    sequence = models.IntegerField(help_text="gapless within its order, from 1")
    kind = models.CharField(max_length=20, choices=EventKind)
    from_status = models.CharField(max_length=16, choices=OrderStatus, null=True, blank=True)
    to_status = models.CharField(max_length=16, choices=OrderStatus)
    actor = models.CharField(max_length=160)  # "user:" and a name of up to 150 characters fits
    occurred_at = models.DateTimeField(null=True, blank=True, help_text="by the broker's clock, where it said")
    recorded_at = models.DateTimeField()
    payload = models.JSONField()
    raw = models.JSONField(null=True, blank=True, help_text="the broker's message, field by field, as received")
    session = models.CharField(max_length=60, blank=True, help_text="gateway name, epoch and connection")
    request_id = models.CharField(max_length=64, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["order", "sequence"], name="event_sequence_is_gapless"),
        ]
        indexes = [
            # Each filter of GET /api/v1/events, in the list's order; by order, the constraint above finds them.
            models.Index(fields=["recorded_at", "id"], name="read_events"),
            models.Index(fields=["kind", "recorded_at", "id"], name="read_events_by_kind"),
            models.Index(fields=["request_id"], condition=~Q(request_id=""), name="read_events_by_request_id"),
        ]
        triggers = APPEND_ONLY

    def __str__(self) -> str:
        return f"{self.sequence}. {self.get_kind_display()}"


class ExecutionQuerySet(models.QuerySet["Execution"]):
    def effective(self) -> "ExecutionQuerySet":
        """What counts: the last word on each trade, and of that what was not busted."""
        return self.filter(~Exists(later_words()), quantity__gt=0)

    def of(self, order: Order) -> "ExecutionQuerySet":
        """Those of an order, also where they were on record before it was adopted."""
        known_before = Q(order=None, account=order.account_id, perm_id=order.perm_id or None)
        return self.filter(Q(order=order) | known_before)


class Execution(models.Model):
    """One execution as the broker reported it; corrections and busts are rows of their own (orders.families)."""

    account = models.CharField(max_length=20)
    exec_id = models.CharField(max_length=80)
    family = models.GeneratedField(
        expression=family_of(F("exec_id")), output_field=models.CharField(max_length=80), db_persist=True
    )
    revision = models.GeneratedField(
        expression=revision_of(F("exec_id")), output_field=models.IntegerField(), db_persist=True
    )
    replaces = models.CharField(
        max_length=80, blank=True, help_text="exec_id that counted until this one came; empty when it came too late"
    )
    order = models.ForeignKey(Order, on_delete=models.PROTECT, null=True, blank=True, related_name="executions")
    perm_id = models.BigIntegerField()
    client_id = models.IntegerField(null=True, blank=True, help_text="empty: the source does not say")
    broker_order_id = models.BigIntegerField(null=True, blank=True)
    symbol = models.CharField(max_length=40)
    con_id = models.BigIntegerField()
    security_type = models.CharField(max_length=10)
    currency = models.CharField(max_length=10)
    side = models.CharField(max_length=8, choices=Side)
    quantity = models.DecimalField(max_digits=24, decimal_places=8)
    price = models.DecimalField(max_digits=24, decimal_places=8)
    exchange = models.CharField(max_length=20, blank=True)
    order_ref = models.CharField(max_length=255, blank=True)
    executed_at = models.DateTimeField(null=True, blank=True)
    time_text = models.CharField(max_length=60, help_text="the broker's own text")
    source = models.CharField(max_length=20, choices=ExecutionSource)
    raw = models.JSONField()
    recorded_at = models.DateTimeField()

    objects = ExecutionQuerySet.as_manager()

    class Meta:
        constraints = [
            # Every fill once.
            models.UniqueConstraint(fields=["account", "exec_id"], name="execution_is_stored_once"),
        ]
        indexes = [
            # Each filter of GET /api/v1/executions, in both orders of the list; they serve GET /executions?symbol= and
            # the admin's day filter too.
            models.Index(fields=["recorded_at", "id"], name="read_execs"),
            models.Index(fields=["account", "recorded_at", "id"], name="read_execs_by_account"),
            models.Index(fields=["symbol", "recorded_at", "id"], name="read_execs_by_symbol"),
            models.Index(fields=["executed_at", "id"], name="read_execs_executed"),
            models.Index(fields=["account", "executed_at", "id"], name="read_execs_executed_account"),
            models.Index(fields=["symbol", "executed_at", "id"], name="read_execs_executed_symbol"),
            models.Index(fields=["exec_id"], name="read_execs_by_exec_id"),
            # The admin's filter. Most executions come live, and cost nothing here.
            models.Index(fields=["source", "recorded_at", "id"], condition=NOT_LIVE, name="read_execs_not_live"),
            # What was said of a trade before: looked up for each new execution.
            models.Index(fields=["account", "family", "revision"], name="executions_by_family"),
            # Which executions are not the last word: few among many.
            models.Index(
                fields=["account", "family", "revision"],
                condition=Q(revision__gt=FIRST_REVISION),
                name="executions_corrected",
            ),
            models.Index(fields=["perm_id"], name="executions_by_perm_id"),
        ]
        triggers = APPEND_ONLY

    def __str__(self) -> str:
        return f"{self.side} {self.quantity.normalize():f} {self.symbol} @ {self.price.normalize():f}"


def later_words() -> models.QuerySet[Execution]:
    """The executions that take the place of the one a query is at."""
    family = Execution.objects.filter(account=OuterRef("account"), family=OuterRef("family"))
    # The second condition follows from the first but for ids without a first word; with it, the index is a short list.
    return family.filter(revision__gt=OuterRef("revision")).filter(revision__gt=FIRST_REVISION)


class Commission(models.Model):
    """What an execution cost, joined by exec_id alone: it may come before its execution, late or twice."""

    exec_id = models.CharField(max_length=80)
    amount = models.DecimalField(max_digits=24, decimal_places=8)
    currency = models.CharField(max_length=10)
    realized_pnl = models.DecimalField(max_digits=24, decimal_places=8, null=True, blank=True)
    raw = models.JSONField()
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [
            # The broker repeats itself with each question; the same words are stored once.
            models.UniqueConstraint(
                fields=["exec_id", "amount", "currency", "realized_pnl"],
                name="commission_is_stored_once",
                nulls_distinct=False,
            ),
        ]
        triggers = APPEND_ONLY

    def __str__(self) -> str:
        return f"{self.amount.normalize():f} {self.currency} for {self.exec_id}"


class UnexplainedHolding(models.Model):
    """What an account holds of a contract beyond its executions on record (orders.holdings). No part of the trail."""

    account = models.ForeignKey(BrokerAccount, on_delete=models.PROTECT, related_name="unexplained_holdings")
    symbol = models.CharField(max_length=40)
    security_type = models.CharField(max_length=10)
    quantity = models.DecimalField(max_digits=24, decimal_places=8)

    class Meta:
        constraints = [
            # Looked up in every claim.
            models.UniqueConstraint(fields=["account", "symbol", "security_type"], name="one_figure_per_contract"),
        ]

    def __str__(self) -> str:
        return f"{self.account_id} {self.quantity.normalize():f} {self.symbol}"
