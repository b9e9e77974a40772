"""The chains and their entries, and when they were last looked at.

Rules
1. Who has something for the trail inserts a `Draft` in the transaction of the change; nothing else is written by us.
2. At the commit, as the last thing in the transaction, the database turns drafts into entries: it locks the chains in
   the order of their names, numbers, links and hashes (function audit_append_drafts, migration 0001). So no lock is
   held while code runs, and transactions that meet on a chain cannot wait for each other in a circle.
3. Entries and chains are never changed; the database's role for the application may only read them.
"""

from typing import ClassVar

import pgtrigger
from django.db import models
from django.db.models import Q

from audit.chain import NOTHING_BEFORE

NO_TRUNCATE = pgtrigger.Trigger(
    name="no_truncate",
    operation=pgtrigger.Truncate,
    when=pgtrigger.Before,
    level=pgtrigger.Statement,
    func="RAISE EXCEPTION 'the trail cannot be truncated';",
)
APPEND_ONLY = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete), NO_TRUNCATE]
# Of what the notary writes again each round, and nobody has to take away.
NO_DELETE = [pgtrigger.Protect(name="no_delete", operation=pgtrigger.Delete), NO_TRUNCATE]
OPENING = "opening"  # the kind of the entries that hold a digest of what is older than the trail
# What stands in an entry without quotes of its own must not need any.
PLAIN = r"^[A-Za-z0-9 ._:/-]*$"


class Draft(models.Model):
    """What a transaction wants to add. Seen by that transaction alone: at its commit it becomes an entry."""

    chain = models.CharField(max_length=60)
    kind = models.CharField(max_length=40)
    subject = models.CharField(max_length=60, blank=True)
    record = models.BigIntegerField(null=True)
    facts = models.TextField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(chain__regex=PLAIN, kind__regex=PLAIN, subject__regex=PLAIN), name="draft_words_are_plain"
            ),
        ]
        triggers: ClassVar = [
            pgtrigger.Trigger(
                name="becomes_an_entry",
                operation=pgtrigger.Insert,
                when=pgtrigger.After,
                timing=pgtrigger.Deferred,
                func="PERFORM audit_append_drafts(NEW.id); RETURN NULL;",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} for {self.chain}"


class Chain(models.Model):
    """How long a chain is and what it ends with."""

    name = models.CharField(max_length=60, primary_key=True)
    size = models.BigIntegerField(default=0)
    head = models.CharField(max_length=64, default=NOTHING_BEFORE)

    class Meta:
        triggers: ClassVar = [
            *NO_DELETE,
            pgtrigger.Trigger(
                name="grows_with_its_entry",
                operation=pgtrigger.Update,
                when=pgtrigger.Before,
                func="""
                    IF NEW.name <> OLD.name OR NEW.size <> OLD.size + 1 OR NOT EXISTS (
                        SELECT 1 FROM audit_entry WHERE chain = NEW.name AND seq = NEW.size AND hash = NEW.head
                    ) THEN
                        RAISE EXCEPTION 'chain % grows only with its next entry', OLD.name;
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name}, {self.size} entries"


class Entry(models.Model):
    """One entry; `body` is the text that was hashed, and the other columns repeat what it says to be looked up."""

    chain = models.CharField(max_length=60)
    seq = models.BigIntegerField()
    prev = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)
    kind = models.CharField(max_length=40)
    subject = models.CharField(max_length=60, blank=True, help_text="order:<id> for all that is about an order")
    record = models.BigIntegerField(null=True, help_text="key of the row it tells of")
    recorded_at = models.DateTimeField()
    body = models.TextField()

    class Meta:
        verbose_name_plural = "entries"
        constraints = [
            # Reading a chain in its order; no number twice.
            models.UniqueConstraint(fields=["chain", "seq"], name="entry_seq_is_used_once"),
        ]
        indexes = [
            models.Index(fields=["subject", "id"], condition=~Q(subject=""), name="entries_by_subject"),
            models.Index(fields=["chain", "recorded_at"], name="entries_by_time"),  # verify_audit --since
            # Looked up at each start: one or two among all.
            models.Index(fields=["kind"], condition=Q(kind="opening"), name="entries_that_open"),
        ]
        triggers: ClassVar = [
            *APPEND_ONLY,
            pgtrigger.Trigger(
                name="continues_its_chain",
                operation=pgtrigger.Insert,
                when=pgtrigger.Before,
                func="""
                    IF NEW.hash <> encode(sha256(convert_to(NEW.body, 'UTF8')), 'hex') OR NOT EXISTS (
                        SELECT 1 FROM audit_chain WHERE name = NEW.chain AND size = NEW.seq - 1 AND head = NEW.prev
                    ) THEN
                        RAISE EXCEPTION 'entry % of % does not continue the chain', NEW.seq, NEW.chain;
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.chain} {self.seq}: {self.kind}"


class Verification(models.Model):
    """One run of verify_audit, for those who look whether there was one. No part of the trail."""

    began_at = models.DateTimeField()
    ended_at = models.DateTimeField(db_index=True)  # the latest is shown
    scope = models.CharField(max_length=200, blank=True, help_text="what was looked at; empty: everything")
    entries = models.BigIntegerField()
    verdict = models.CharField(max_length=20)
    findings = models.JSONField(default=list, help_text="the first things that are wrong, in words")

    class Meta:
        triggers: ClassVar = APPEND_ONLY

    def __str__(self) -> str:
        return f"{self.verdict} at {self.ended_at:%Y-%m-%d %H:%M}"

    @property
    def words(self) -> str:
        """The verdict and the first thing that is wrong."""
        return ": ".join([self.verdict, *self.findings[:1]])


class SignedChain(models.Model):
    """The last checkpoint of each chain, to be shown beside an order. No part of the trail: the note is signed."""

    chain = models.CharField(max_length=60, primary_key=True)
    note = models.TextField()

    class Meta:
        triggers: ClassVar = NO_DELETE

    def __str__(self) -> str:
        return self.chain


class CheckpointRun(models.Model):
    """When checkpoints were last signed and how that went. One row; no part of the trail."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    at = models.DateTimeField()
    chains = models.IntegerField()
    entries = models.BigIntegerField()
    problem = models.TextField(blank=True, help_text="why nothing was signed, or where it could not be kept")

    class Meta:
        triggers: ClassVar = NO_DELETE

    def __str__(self) -> str:
        return self.problem or f"{self.chains} chains at {self.at:%Y-%m-%d %H:%M}"
