"""Alarms, their history, and what is still to be told to people.

Rules the database keeps: of one condition there is one open alarm; an alarm changes only together with its next event,
except for when it was last seen; events are append-only. Written through `register`, `delivery`.
"""

import pgtrigger
from django.db import models
from django.db.models import Q

from alarms.vocabulary import AlarmEventKind, AlarmKind, Channel, Severity

OPEN = Q(cleared_at__isnull=True)
UNACKNOWLEDGED = Q(acknowledged_at__isnull=True)
NO_TRUNCATE = pgtrigger.Trigger(
    name="no_truncate",
    operation=pgtrigger.Truncate,
    when=pgtrigger.Before,
    level=pgtrigger.Statement,
    func="RAISE EXCEPTION 'alarms cannot be truncated';",
)


class Alarm(models.Model):
    """A condition, from when it was noticed until it is over. A person may acknowledge it meanwhile, or after."""

    kind = models.CharField(max_length=20, choices=AlarmKind)
    subject = models.CharField(max_length=120, help_text="what it is about, as order:12 or session:default")
    severity = models.SmallIntegerField(choices=Severity)
    text = models.TextField()
    what_to_do = models.TextField()
    facts = models.JSONField(default=dict, help_text="for programs; JSON without floats")
    opened_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    times = models.IntegerField(default=1)
    cleared_at = models.DateTimeField(null=True, blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.CharField(max_length=160, blank=True)
    note = models.TextField(blank=True)
    last_sequence = models.IntegerField(default=1)

    class Meta:
        permissions = [("acknowledge_alarm", "Can acknowledge an alarm")]
        constraints = [
            models.UniqueConstraint(fields=["kind", "subject"], condition=OPEN, name="one_open_alarm"),
        ]
        indexes = [
            # The work list: the gravest and oldest first; what health counts.
            models.Index(fields=["severity", "opened_at"], condition=OPEN, name="open_alarms"),
            models.Index(fields=["opened_at", "id"], name="alarms_by_time"),
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
                    IF to_jsonb(NEW) - '{last_seen_at,times}'::text[]
                        = to_jsonb(OLD) - '{last_seen_at,times}'::text[] THEN
                        RETURN NEW;
                    END IF;
                    IF NEW.last_sequence <> OLD.last_sequence + 1 OR NOT EXISTS (
                        SELECT 1 FROM alarms_alarmevent
                        WHERE alarm_id = NEW.id AND sequence = NEW.last_sequence
                    ) THEN
                        RAISE EXCEPTION 'alarm % changes only together with its next event', OLD.id;
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.subject}"

    @property
    def is_open(self) -> bool:
        return self.cleared_at is None


class AlarmEvent(models.Model):
    """One change of an alarm, in the words of that moment."""

    alarm = models.ForeignKey(Alarm, on_delete=models.PROTECT, related_name="events")
    sequence = models.IntegerField(help_text="gapless within its alarm, from 1")
    kind = models.CharField(max_length=14, choices=AlarmEventKind)
    actor = models.CharField(max_length=160)
    recorded_at = models.DateTimeField()
    text = models.TextField()
    note = models.TextField(blank=True)
    request_id = models.CharField(max_length=64, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["alarm", "sequence"], name="alarm_event_sequence_is_gapless"),
        ]
        triggers = [
            pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete),
            NO_TRUNCATE,
        ]

    def __str__(self) -> str:
        return f"{self.sequence}. {self.get_kind_display()}"


class AlarmMessage(models.Model):
    """One message about an event that is to reach people; written with the event, sent later by `delivery`."""

    event = models.ForeignKey(AlarmEvent, on_delete=models.PROTECT, related_name="messages")
    channel = models.CharField(max_length=10, choices=Channel)
    due_at = models.DateTimeField()
    attempts = models.IntegerField(default=0)
    delivered_at = models.DateTimeField(null=True, blank=True)
    given_up_at = models.DateTimeField(null=True, blank=True)
    problem = models.TextField(blank=True, help_text="why the last attempt failed")

    class Meta:
        indexes = [
            # What is to be sent: few at any time.
            models.Index(
                fields=["due_at"],
                condition=Q(delivered_at__isnull=True, given_up_at__isnull=True),
                name="messages_to_be_sent",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_channel_display()} about {self.event}"
