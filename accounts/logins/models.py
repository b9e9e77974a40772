"""What is kept of logins."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now


class LoginAttempt(models.Model):
    """A try that did not succeed, or has not yet; forgotten when its name comes in from that address."""

    name = models.CharField(max_length=150, db_comment="as it was typed, shortened")
    address = models.CharField(max_length=45, db_comment="from where")
    at = models.DateTimeField(db_default=Now(), db_index=True)

    class Meta:
        app_label = "accounts"
        indexes: ClassVar = [
            models.Index(fields=["name", "at"], name="login_attempt_by_name"),
            models.Index(fields=["address", "at"], name="login_attempt_by_address"),
        ]

    def __str__(self) -> str:
        return f"{self.name} from {self.address} at {self.at}"
