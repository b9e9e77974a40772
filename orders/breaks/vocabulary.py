"""The words of reconciliation."""

from django.db.models import IntegerChoices, TextChoices


class Source(TextChoices):
    """Whose book ours is held against. Each source opens and closes breaks of its own."""

    BROKER = "BROKER", "Broker"
    STATEMENT = "STATEMENT", "Statement"


class BreakKind(TextChoices):
    MISSING_AT_BROKER = "MISSING_AT_BROKER", "Missing at broker"
    MISSING_HERE = "MISSING_HERE", "Missing here"
    QUANTITY = "QUANTITY", "Quantity"
    PRICE = "PRICE", "Price"
    COMMISSION = "COMMISSION", "Commission"
    SIDE = "SIDE", "Side"
    CONTRACT = "CONTRACT", "Contract"
    STATUS = "STATUS", "Status"
    POSITION = "POSITION", "Position"
    ORPHAN_FILL = "ORPHAN_FILL", "Orphan fill"  # an execution that should have an order here and has none
    OVERFILL = "OVERFILL", "Overfill"
    DUPLICATE_PERM_ID = "DUPLICATE_PERM_ID", "Duplicate permId"


# A working order of ours with one of these is not at the broker, whatever its status says.
NOT_WORKING_THERE = (BreakKind.MISSING_AT_BROKER, BreakKind.STATUS)


class Severity(IntegerChoices):
    """The lower the graver, so that lists sort by it."""

    CRITICAL = 1, "Critical"  # money or an order may be elsewhere than we think
    WARNING = 2, "Warning"  # has an ordinary explanation more often than not


class BreakEventKind(TextChoices):
    OPENED = "OPENED", "Opened"
    CHANGED = "CHANGED", "Changed"  # still different, with other figures
    AGREED = "AGREED", "Books agree again"
    CLOSED = "CLOSED", "Closed by a person"
    GONE = "GONE", "No longer seen"  # after a person closed it, the difference itself went or changed


class RunOutcome(TextChoices):
    COMPLETE = "COMPLETE", "Complete"
    FAILED = "FAILED", "Failed"
