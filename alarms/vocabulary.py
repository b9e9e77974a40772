"""The kinds of alarms: what each is called, how grave it is, what a person does about it, and when it is over.

One table, for the admin, for the messages, and for docs/alarms.md.
"""

from typing import NamedTuple

from django.db.models import IntegerChoices, TextChoices


class Severity(IntegerChoices):
    """The lower the graver, so that lists sort by it."""

    CRITICAL = 1, "Critical"  # money or an order may be elsewhere than we think
    WARNING = 2, "Warning"  # nothing is wrong, and somebody must know


class AlarmKind(TextChoices):
    IN_DOUBT = "IN_DOUBT", "Order in doubt"
    ORPHAN = "ORPHAN", "Orphan at the broker"
    DUPLICATE = "DUPLICATE", "Two orders for one"
    DISPROVED = "DISPROVED", "At the broker after all"
    BREAK = "BREAK", "Break"
    TRAIL = "TRAIL", "Audit trail not intact"
    VERIFICATION = "VERIFICATION", "Audit trail not verified"
    CHECKPOINTS = "CHECKPOINTS", "Checkpoints fail"
    DISCONNECTED = "DISCONNECTED", "No orders can be sent"
    DAILY_LOSS = "DAILY_LOSS", "Daily loss limit"
    HALTED = "HALTED", "Trading is halted"
    AUTO_HALT = "AUTO_HALT", "Automatic halt failed"


class AlarmEventKind(TextChoices):
    RAISED = "RAISED", "Raised"
    CHANGED = "CHANGED", "Changed"  # the same condition, in other words
    ACKNOWLEDGED = "ACKNOWLEDGED", "Acknowledged"
    CLEARED = "CLEARED", "Over"


class Channel(TextChoices):
    WEBHOOK = "WEBHOOK", "Webhook"
    EMAIL = "EMAIL", "E-mail"


class Meaning(NamedTuple):
    """`lasting`: it is over when the condition is. One that is not lasting has happened: acknowledging ends it."""

    severity: Severity
    lasting: bool
    what_to_do: str


MEANINGS = {
    AlarmKind.IN_DOUBT: Meaning(
        Severity.CRITICAL,
        True,
        "Look for the order's stamp in TWS, and decide on the order's page whether it was placed.",
    ),
    AlarmKind.ORPHAN: Meaning(
        Severity.CRITICAL,
        False,
        "An order at the broker carries a stamp of ours and none here has it: another program uses our client id, or "
        "the database was set back. Find out which before anything else is sent.",
    ),
    AlarmKind.DUPLICATE: Meaning(
        Severity.CRITICAL,
        False,
        "Look at both orders at the broker, cancel the one too many, and find out who sent it.",
    ),
    AlarmKind.DISPROVED: Meaning(
        Severity.CRITICAL,
        False,
        "The order was held to be over and works at the broker. Clients may have sent it again: look at both.",
    ),
    AlarmKind.BREAK: Meaning(
        Severity.CRITICAL, True, "Open the break's page: it says what differs and what to do about it."
    ),
    AlarmKind.TRAIL: Meaning(
        Severity.CRITICAL,
        True,
        "Keep a copy of the database as it is, and of the checkpoints. Then read docs/audit-trail.md on each verdict.",
    ),
    AlarmKind.VERIFICATION: Meaning(
        Severity.WARNING, True, "Run manage.py verify_audit by hand: it says why it could not look."
    ),
    AlarmKind.CHECKPOINTS: Meaning(
        Severity.CRITICAL,
        True,
        "Is the notary running (manage.py checkpoint --every), and can it reach AUDIT_SINKS? Its log says more.",
    ),
    AlarmKind.DISCONNECTED: Meaning(Severity.CRITICAL, True, "GET /health/ready says what is wrong and what to do."),
    AlarmKind.DAILY_LOSS: Meaning(
        Severity.CRITICAL, True, "Look at the account's positions and orders before the limit is changed."
    ),
    AlarmKind.HALTED: Meaning(
        Severity.WARNING,
        True,
        "Nothing is sent there until somebody resumes it: in the admin, or with manage.py resume.",
    ),
    AlarmKind.AUTO_HALT: Meaning(
        Severity.CRITICAL, False, "An alarm should have halted trading and did not: press halt in the admin."
    ),
}
