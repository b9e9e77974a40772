"""Django's list of what is set, without what is secret."""

from typing import Any

from django.core.management.commands import diffsettings

from ibkr_site.redaction import hide


class Command(diffsettings.Command):
    def handle(self, **options: Any) -> str:
        return hide(super().handle(**options) or "")
