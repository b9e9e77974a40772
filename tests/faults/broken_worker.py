"""A worker with one rule of the protocol taken out: `python -m tests.faults.broken_worker VARIANT worker …`.

Each variant is what somebody might write in good faith. The checker must find out; nothing here is ever loaded by the
project itself.
"""

import dataclasses
import os
import sys
import threading
import time
from collections.abc import Callable

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ibkr_site.settings")

ANOTHER_ACCOUNT = "DU1000002"
FAR = 1e12  # a moment that never comes


def no_write_ahead() -> None:
    """The claim is committed together with what came of the write, not before it."""
    from django.db import transaction

    from orders import dispatch

    claim_and_send = dispatch._claim_and_send

    def all_in_one(*args, **kwargs):
        with transaction.atomic():
            return claim_and_send(*args, **kwargs)

    dispatch._claim_and_send = all_in_one


def auto_retry() -> None:
    """What was not acknowledged within half a second is sent again, under a new id as the old one is taken."""

    def again(session, tickets, connection) -> None:
        time.sleep(0.5)
        if _unacknowledged(tickets):
            _send_again(session, tickets)

    _after_transmit(again)


def resend_when_not_listed() -> None:
    """What the broker does not list after a reconnect is taken for lost, and sent again."""

    def again(session, tickets, connection) -> None:
        _until(lambda: session.status().connection > connection and session.status().state.value == "READY")
        if _unacknowledged(tickets):
            _send_again(session, tickets)

    _after_transmit(again)


def recovery_on_another_client_id() -> None:
    """Client ids by chance: each worker takes one of its own, so nobody is in its way."""
    from django.conf import settings

    settings.IB_CLIENT_ID = 1000 + os.getpid()


def no_settle_time() -> None:
    """What is not listed at the first look was not placed."""
    from orders import evidence, reconcile

    reconcile.evidence.doubts = lambda *_args, **_kwargs: []
    assert evidence is reconcile.evidence


def old_claim_after_reconnect() -> None:
    """A claim whose connection is gone is sent on the next one."""
    from gateway.errors import NotConnected
    from gateway.session import BrokerSession

    transmit = BrokerSession.transmit

    def patient(session, tickets, *, connection, before):
        try:
            transmit(session, tickets, connection=connection, before=before)
        except NotConnected:
            _until(lambda: session.status().state.value == "READY")
            transmit(session, tickets, connection=session.status().connection, before=FAR)

    BrokerSession.transmit = patient


def deaf_to_halts() -> None:
    """What waits is sent, whatever was halted meanwhile."""
    from accounts.halts import switch

    switch.reason = lambda _first: ""


def one_account_for_all() -> None:
    """Every order goes to the same account, whoever asked for it."""
    from orders import claims

    ticket = claims.ticket_of
    claims.ticket_of = lambda *args, **kwargs: dataclasses.replace(ticket(*args, **kwargs), account=ANOTHER_ACCOUNT)


VARIANTS: dict[str, Callable[[], None]] = {
    variant.__name__.replace("_", "-"): variant
    for variant in (
        no_write_ahead,
        auto_retry,
        resend_when_not_listed,
        recovery_on_another_client_id,
        no_settle_time,
        old_claim_after_reconnect,
        deaf_to_halts,
        one_account_for_all,
    )
}


def _after_transmit(follow) -> None:
    """Call `follow` in a thread of its own after each write."""
    from gateway.session import BrokerSession

    transmit = BrokerSession.transmit

    def sent(session, tickets, *, connection, before):
        transmit(session, tickets, connection=connection, before=before)
        threading.Thread(target=follow, args=(session, tickets, connection), daemon=True).start()

    BrokerSession.transmit = sent
    sent.original = transmit


def _send_again(session, tickets) -> None:
    from gateway.session import BrokerSession

    first = session.status().next_order_id + 100
    fresh = [dataclasses.replace(ticket, order_id=first + n) for n, ticket in enumerate(tickets)]
    BrokerSession.transmit.original(session, fresh, connection=session.status().connection, before=FAR)


def _unacknowledged(tickets) -> bool:
    from django.db import connection

    from orders.models import Order
    from orders.stamps import split

    stamps = [split(ticket.order_ref)[1] for ticket in tickets]
    try:
        return Order.objects.filter(stamp__in=stamps, perm_id__isnull=True).exists()
    finally:
        connection.close()


def _until(look) -> None:
    while not look():
        time.sleep(0.02)


def main(variant: str, *arguments: str) -> None:
    import django

    django.setup()
    VARIANTS[variant]()
    from celery.__main__ import main as celery

    sys.argv = ["celery", "-A", "ibkr_site", *arguments]
    celery()


if __name__ == "__main__":
    main(*sys.argv[1:])
