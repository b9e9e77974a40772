"""The house's record seen with the product's own eyes: its verifier of the audit trail, and a person's decisions.

Rules
1. Everything here comes to the database as the role of the application, as the house's own processes do.
2. What was verified in an earlier test is taken for granted, until the house is closed: then all of it is verified.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import environ
from django.db import Error, connections

from accounts.access import register
from accounts.access.models import Scope as Right
from accounts.halts import switch
from audit import keys
from audit.models import Chain, CheckpointRun
from audit.note import Checkpoint
from audit.signing import read_notes
from audit.verification import Report
from database.clock import database_now
from orders import resolution
from orders.errors import NotInDoubt
from orders.models import Order
from orders.stamps import split
from orders.verification import Scope, Verifier
from orders.vocabulary import OrderStatus

# A test may set the database's clock back by half a minute.
OVERLAP = timedelta(minutes=1)
PERSON, LOOKED = "user:harness", "Looked at the gateway's own ledger."
WRITERS = ("web", "worker-a", "worker-b", "beat")


@contextmanager
def opened(house) -> Iterator[None]:
    """Django's connection of this thread is to the house's database meanwhile."""
    ours = connections["default"]
    theirs = ours.copy()
    theirs.settings_dict |= environ.Env.db_url_config(house.database_url)
    connections["default"] = theirs
    try:
        yield
    finally:
        theirs.close()
        connections["default"] = ours


def wrong_since_last_time(house) -> list[str]:
    """What is wrong with the trail, the checkpoints and the record, of all that came since this was last asked."""
    with opened(house):
        now = database_now()
        since = house.verified_until and house.verified_until - OVERLAP
        report = Verifier(Scope(since=since), checkpoints(house)).run()
        refused = CheckpointRun.objects.exclude(problem="").values_list("problem", flat=True)
        house.verified_until = now
        return [*_words(report), *refused]


def close(house) -> None:
    """Stop those who write, then the notary: its last checkpoint covers the last entry, and everything is verified."""
    house.heal()
    for name in (*WRITERS, "notary"):
        house.parts[name].kill(signal.SIGTERM)
    with opened(house):
        report = Verifier(Scope(), checkpoints(house)).run()
        sizes = dict(Chain.objects.values_list("name", "size"))
    assert not _words(report), f"I17: {_words(report)}"
    assert {name: signed.size for name, signed in report.covered.items()} == sizes, "I17: the end is not signed"
    assert report.entries == sum(sizes.values())


def checkpoints(house) -> list[Checkpoint]:
    """What the notary signed so far; each signature is verified once."""
    verifiers = keys.published(house.directory / "audit" / "public_keys")
    for path in (house.directory / "signed").glob("*/[0-9]*"):
        if path not in house.signed:
            (house.signed[path],) = [signed.checkpoint for signed in read_notes(path, verifiers)]
    return list(house.signed.values())


def resume(house) -> None:
    """End all halts, as a person does who has looked at everything."""
    with suppress(Error), opened(house):  # the database may be away still
        for halt in switch.active():
            switch.resume(halt.pk, reason=LOOKED, actor=PERSON)


def make_key(house, **grants: list[str]) -> str:
    """An API key that may do these things in those accounts."""
    with opened(house):
        _, credential = register.create(
            name="of a test", grants={Right(right): accounts for right, accounts in grants.items()}, actor=PERSON
        )
    house.api_keys.append(credential.text)
    return credential.text


def decide_doubts(house) -> None:
    """Do what a person would about each order in doubt: look at the broker, and say what is there."""
    placements = [line for line in house.ledger() if line["kind"] == "placement" and line["accepted"]]
    there = {split(line["orderRef"])[1]: line["permId"] for line in placements}
    who = {"reason": LOOKED, "actor": PERSON, "request_id": ""}
    with opened(house):
        for order in Order.objects.filter(status=OrderStatus.IN_DOUBT):
            with suppress(NotInDoubt):  # the worker was faster
                if order.stamp in there:
                    resolution.resolve_placed(order.pk, perm_id=there[order.stamp], **who)
                else:
                    resolution.resolve_not_placed(order.pk, **who)


def _words(report: Report) -> list[str]:
    more = [f"and {report.left_out} more"] if report.left_out else []
    return [f"{finding.verdict.name}: {finding.words}" for finding in report.findings] + more
