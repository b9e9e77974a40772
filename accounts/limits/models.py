"""Limits on record. Append-only: a change is a row with the next version, and the latest row of an account counts."""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from accounts.guards import APPEND_ONLY
from accounts.limits import values


def _decimal() -> "models.DecimalField[Any, Any]":
    return models.DecimalField(max_digits=24, decimal_places=8, null=True, blank=True)


def _count() -> "models.PositiveIntegerField[Any, Any]":
    return models.PositiveIntegerField(null=True, blank=True)


def _words() -> "ArrayField[Any, Any]":
    return ArrayField(models.CharField(max_length=40), null=True, blank=True)


class LimitVersion(models.Model):
    """All limits of an account, from `set_at` until its next version. NULL is no limit."""

    account = models.CharField(max_length=20, blank=True, help_text="empty: every account without limits of its own")
    version = models.PositiveIntegerField(help_text="counts from 1 for each account")
    set_at = models.DateTimeField(help_text="by the database's clock")
    set_by = models.CharField(max_length=160)
    reason = models.TextField()
    order_quantity = _decimal()
    order_value = _decimal()
    price_collar = _decimal()
    position = _decimal()
    daily_loss = _decimal()
    working_orders = _count()
    orders_per_second = _count()
    orders_per_minute = _count()
    orders_per_day = _count()
    duplicate_seconds = _count()
    allowed_symbols = _words()
    refused_symbols = _words()
    allowed_types = _words()
    short_selling = models.BooleanField()
    refuse_unknown = models.BooleanField()

    class Meta:
        verbose_name = "limits"
        verbose_name_plural = "limits"
        permissions = [("change_limits", "Can set the limits of accounts")]
        constraints = [
            # Two who change the same version: one of them looks again. The latest is looked up for every order.
            models.UniqueConstraint(fields=["account", "version"], name="one_row_per_limit_version"),
            models.CheckConstraint(
                condition=Q(version__gt=0)
                & ~Q(reason="")
                & ~Q(order_quantity__lt=0)
                & ~Q(order_value__lt=0)
                & ~Q(price_collar__lt=0)
                & ~Q(position__lt=0)
                & ~Q(daily_loss__lt=0),
                name="limits_are_sound",
            ),
        ]
        triggers = APPEND_ONLY

    def __str__(self) -> str:
        return f"{self.account or 'every other account'}, version {self.version}"

    def values(self) -> values.Limits:
        """The row as a plain value."""
        return values.from_row(vars(self))
