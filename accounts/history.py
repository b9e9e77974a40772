"""What the session went through: one row per change of state, with its reason. Append-only.

Written where the state itself is written, in the same transaction (accounts.live).
"""

from django.db import models

from accounts.guards import APPEND_ONLY
from accounts.models import GatewaySession


class GatewayStateChange(models.Model):
    """The session moved to another state, or says another reason for the same."""

    session = models.ForeignKey(GatewaySession, on_delete=models.PROTECT, related_name="changes")
    epoch = models.BigIntegerField(help_text="which owner said so; they count up")
    connection = models.IntegerField()
    state = models.CharField(max_length=16)
    cause = models.CharField(max_length=20, blank=True)
    reason = models.TextField(blank=True)
    at = models.DateTimeField(help_text="by the worker's clock")

    class Meta:
        verbose_name = "session change"
        constraints = [
            # A change whose commit could not be told is written again.
            models.UniqueConstraint(fields=["session", "epoch", "at", "state", "cause"], name="one_row_per_change"),
        ]
        indexes = [
            # The newest first: the list, and of the few sessions there are the dashboard's.
            models.Index(fields=["at"], name="session_changes_by_time"),
        ]
        triggers = APPEND_ONLY

    def __str__(self) -> str:
        return f"{self.session_id} {self.state} at {self.at:%Y-%m-%d %H:%M:%S}"
