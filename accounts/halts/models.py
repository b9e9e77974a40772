"""Halts, their ends, and what was done to the orders that worked when they began. All append-only.

A halt is on while it has no resumption. Written through `switch`.
"""

from django.db import models
from django.db.models import Q

from accounts.guards import APPEND_ONLY

ON = Q(resumption__isnull=True)


class Scope(models.TextChoices):
    ALL = "ALL", "Everything"
    ACCOUNT = "ACCOUNT", "Account"
    SYMBOL = "SYMBOL", "Symbol"
    KEY = "KEY", "API key"


class Halt(models.Model):
    """From its commit on nothing is sent within its scope, until it is resumed."""

    scope = models.CharField(max_length=8, choices=Scope)
    value = models.CharField(max_length=80, blank=True, help_text="which account, symbol or key; empty: everything")
    reason = models.TextField()
    halted_by = models.CharField(max_length=160)
    halted_at = models.DateTimeField()
    request_id = models.CharField(max_length=64, blank=True)

    class Meta:
        permissions = [("halt", "Can halt trading"), ("resume", "Can resume trading that was halted")]
        constraints = [
            models.CheckConstraint(condition=Q(scope="ALL") ^ ~Q(value=""), name="a_halt_names_what_it_halts"),
        ]
        indexes = [
            # Looked up in every claim, by the few scopes that an order is in.
            models.Index(fields=["scope", "value"], name="halts_by_scope"),
        ]
        triggers = APPEND_ONLY

    def __str__(self) -> str:
        return f"Halt #{self.pk}: {self.what}"

    @property
    def what(self) -> str:
        return "everything" if self.scope == Scope.ALL else f"{self.get_scope_display().lower()} {self.value}"

    @property
    def words(self) -> str:
        """For clients: why nothing is sent."""
        return f"trading is halted ({self.what}): {self.reason}"


class Resumption(models.Model):
    """The end of a halt."""

    halt = models.OneToOneField(Halt, on_delete=models.PROTECT, related_name="resumption")
    reason = models.TextField()
    resumed_by = models.CharField(max_length=160)
    resumed_at = models.DateTimeField()
    request_id = models.CharField(max_length=64, blank=True)

    class Meta:
        triggers = APPEND_ONLY

    def __str__(self) -> str:
        return f"End of {self.halt}"


class HaltedOrder(models.Model):
    """An order that was to be cancelled with a halt: whether that was asked for, or why not."""

    halt = models.ForeignKey(Halt, on_delete=models.PROTECT, related_name="orders")
    order = models.BigIntegerField("our order id")
    asked_at = models.DateTimeField()
    problem = models.TextField(blank=True, help_text="why its cancellation could not be asked for; empty: it was")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["halt", "order"], name="one_row_per_halted_order")]
        triggers = APPEND_ONLY

    def __str__(self) -> str:
        return f"order {self.order} with {self.halt}"
