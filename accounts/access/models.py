"""API keys, what each may do, and from where each was used. Keys are never deleted: the record names them."""

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.db import models

from accounts.guards import APPEND_ONLY, NO_TRUNCATE

ALL = "*"  # in the place of an account: every one, those to come too


class Scope(models.TextChoices):
    READ = "read", "Read"
    TRADE = "trade", "Trade"
    CANCEL = "cancel", "Cancel"


class ApiKey(models.Model):
    """A key, without its secret. Written through accounts.access.register alone; times are the database's."""

    id = models.CharField(primary_key=True, max_length=13, help_text="public: stands in the key and in the record")
    name = models.CharField(max_length=80, help_text="whose key it is, or what for")
    digest = models.CharField(max_length=64, help_text="SHA-256 of the secret")
    old_digest = models.CharField(max_length=64, blank=True, help_text="of the secret before; valid until then")
    old_until = models.DateTimeField(null=True, blank=True)
    networks = ArrayField(
        models.CharField(max_length=43),
        default=list,
        blank=True,
        help_text="from where it may be used; empty: anywhere",
    )
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=160)
    rotated_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "API key"
        permissions = [("manage_apikeys", "Can create, rotate and revoke API keys")]
        triggers = [pgtrigger.Protect(name="no_delete", operation=pgtrigger.Delete), NO_TRUNCATE]

    def __str__(self) -> str:
        return f"{self.id} ({self.name})"


class ApiKeyGrant(models.Model):
    """A key may do this in that account. Fixed when the key is made."""

    key = models.ForeignKey(ApiKey, on_delete=models.PROTECT, related_name="grants", db_index=False)
    scope = models.CharField(max_length=8, choices=Scope)
    account = models.CharField(max_length=20, help_text="the broker's account, or * for every one")

    class Meta:
        verbose_name = "API key grant"
        constraints = [
            # Read for every request, by its first column.
            models.UniqueConstraint(fields=["key", "scope", "account"], name="one_row_per_grant"),
            models.CheckConstraint(condition=models.Q(scope__in=Scope.values), name="scope_is_known"),
        ]
        triggers = APPEND_ONLY

    def __str__(self) -> str:
        return f"{self.scope} {self.account}"


class ApiKeyUse(models.Model):
    """How often a key was used from an address, and when last. Up to a minute behind: see accounts.access.tally."""

    key = models.ForeignKey(ApiKey, on_delete=models.PROTECT, related_name="uses", db_index=False)
    address = models.CharField(max_length=64, blank=True, help_text="empty: addresses too many to tell apart")
    times = models.BigIntegerField()
    first_used_at = models.DateTimeField()
    last_used_at = models.DateTimeField()

    class Meta:
        verbose_name = "API key use"
        constraints = [
            # What the counting upsert conflicts on; a key's page reads it by the first column.
            models.UniqueConstraint(fields=["key", "address"], name="one_row_per_key_and_address"),
        ]

    def __str__(self) -> str:
        return f"{self.key_id} from {self.address}"
