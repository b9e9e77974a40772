"""Events per second into the record, with the audit trail and without it, in one run: python benchmarks/journal.py

An embedded PostgreSQL of its own, with fsync as in production. Writers are processes, each appending events to an order
of its own; all orders are of one account, so that all meet on one chain, which is the worst case. Then the trail is
verified. Read the ratio of the two columns: the figures themselves are of the machine.
"""

import argparse
import os
import resource
import shutil
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from multiprocessing import get_context
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def set_up() -> None:
    sys.path.insert(0, str(ROOT))
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "ibkr_site.settings"
    django.setup()


def new_order() -> tuple[Any, Any]:
    """An order, and where its events come from: a message about as long as an openOrder."""
    from accounts.models import BrokerAccount
    from orders import events, journal
    from orders.vocabulary import Actor

    adopted = events.Adopted(
        status="NEW",
        quantity=Decimal(10),
        limit_price=Decimal(150),
        perm_id=time.time_ns() >> 11,
        broker_status="Submitted",
    )
    terms = {"account": BrokerAccount.objects.get(), "symbol": "AAPL", "side": "BUY", "order_type": "LIMIT"}
    raw = ["5", *("0" * 12 for _ in range(60))]
    origin = journal.Origin(actor=Actor.BROKER, session="default 1/1", raw=raw)
    return journal.open_order({**terms, "time_in_force": "DAY"}, adopted, origin=origin), origin


def warning() -> Any:
    from orders import events

    return events.ErrorReported(code=399, text="a warning of the usual length")


def write(job: tuple[float, bool]) -> int:
    """Append events to a new order for so many seconds, a transaction each; how many it was."""
    from database import prepared
    from orders import journal, trail
    from orders.models import OrderEvent

    seconds, chained = job
    insert = trail.insert_events
    if not chained:
        trail.insert_events = prepared.Insertion(OrderEvent).write
    order, origin = new_order()
    count, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        journal.record(order.pk, warning(), origin=origin)
        count += 1
    trail.insert_events = insert
    return count


def write_in_batches(count: int) -> float:
    """Append so many events, a thousand to a transaction; how many a second."""
    from django.db import transaction

    from orders import journal

    order, origin = new_order()
    began = time.monotonic()
    for _ in range(count // 1000):
        with transaction.atomic():
            journal.record_all(((order, warning()) for _ in range(1000)), origin=origin)
    return count / (time.monotonic() - began)


def measure(seconds: float, batched: int) -> None:
    from django.core.management import call_command
    from django.utils import timezone

    from accounts.models import BrokerAccount, GatewaySession

    call_command("migrate", verbosity=0)
    session = GatewaySession.objects.create(name="default", client_id=17, endpoint="", state_since=timezone.now())
    BrokerAccount.objects.create(pk="DU1000001", session=session)
    print("| writers | events/s without the trail | with it | ratio |\n|---|---|---|---|")
    for writers in (1, 4, 16):
        with ProcessPoolExecutor(writers, get_context("spawn"), initializer=set_up) as pool:
            list(pool.map(write, [(0.2, True)] * writers))  # all are there and warm
            plain, chained = (
                sum(pool.map(write, [(seconds, with_trail)] * writers)) / seconds for with_trail in (False, True)
            )
        print(f"| {writers} | {plain:,.0f} | {chained:,.0f} | {chained / plain:.2f} |", flush=True)
    print(f"\nin batches of a thousand, with it, one writer: {write_in_batches(batched):,.0f} events/s")
    verify()


def verify() -> None:
    """All of it, as `manage.py verify_audit` does; what was written without the trail is found to be without.

    The batched events are all of one order: what is told of memory is of a giant.
    """
    from orders.verification import Scope, Verifier

    began = time.monotonic()
    report = Verifier(Scope()).run()
    seconds = time.monotonic() - began
    print(f"verification: {report.entries:,} entries in {seconds:.1f} s, {report.entries / seconds:,.0f} entries/s")
    print(f"most memory this process ever had: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=5.0, help="for each figure")
    options.add_argument("--batched", type=int, default=50_000, help="events written in batches, to be verified")
    given = options.parse_args()
    sys.path.insert(0, str(ROOT))
    directory = Path(tempfile.mkdtemp(prefix="ibkr-benchmark-"))
    os.environ |= {"ENV_FILE": "", "DATA_DIR": str(directory)}
    from ibkr_site import embedded
    from ibkr_site.supervisor import Supervisor

    servers = Supervisor(report=lambda _name, _line: None)
    try:
        program, os.environ["DATABASE_URL"] = embedded.postgres(directory, shared=directory / "shared")
        servers.start(program)
        set_up()
        measure(given.seconds, given.batched)
    finally:
        servers.stop()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
