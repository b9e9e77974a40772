"""Events per second into the record, with the audit trail and without it, in one run: python benchmarks/journal.py

An embedded PostgreSQL of its own, with fsync as in production. Writers are processes, each appending events to an order
of its own; all orders are of one account, so that all meet on one chain, which is the worst case. Then the trail is
verified. Read the ratio of the two columns: the figures themselves are of the machine.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).parents[1]


def set_up() -> None:
    sys.path.insert(0, str(ROOT))
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "ibkr_site.settings"
    django.setup()


def write(job: tuple[float, bool]) -> int:
    """Append events to a new order for so many seconds; how many it was."""
    seconds, chained = job
    from accounts.models import BrokerAccount
    from orders import events, journal, trail
    from orders.vocabulary import Actor

    append = trail.append_event
    if not chained:
        trail.append_event = lambda row, order: None
    adopted = events.Adopted(
        status="NEW",
        quantity=Decimal(10),
        limit_price=Decimal(150),
        perm_id=time.time_ns() >> 11,
        broker_status="Submitted",
    )
    terms = {"account": BrokerAccount.objects.get(), "symbol": "AAPL", "side": "BUY", "order_type": "LIMIT"}
    raw = ["5", *("0" * 12 for _ in range(60))]  # about what an openOrder is
    origin = journal.Origin(actor=Actor.BROKER, session="default 1/1", raw=raw)
    order = journal.open_order({**terms, "time_in_force": "DAY"}, adopted, origin=origin)
    count, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        journal.record(order.pk, events.ErrorReported(code=399, text="a warning of the usual length"), origin=origin)
        count += 1
    trail.append_event = append
    return count


def measure(seconds: float) -> None:
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
    verify()


def verify() -> None:
    """What was written without the trail is left out of this, as the record of before a trail would be."""
    from audit.models import Entry
    from orders.verification import Scope, Verifier

    began = time.monotonic()
    report = Verifier(Scope()).run()
    seconds = time.monotonic() - began
    print(
        f"\nverified {report.entries:,} of {Entry.objects.count():,} entries: {report.entries / seconds:,.0f} entries/s"
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=5.0, help="for each figure")
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
        measure(given.seconds)
    finally:
        servers.stop()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
