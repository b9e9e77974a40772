"""How long the first and the second sync of a day take, and what they cost: `python -m benchmarks.executions`.

Everything is real: a paper gateway as a process with a full day in it, its wire over TCP, the worker's own session with
ib_insync, its consumer, and a durable PostgreSQL. Each size runs in a process and a database of its own. The first sync
is the recovery of a worker that knows nothing; the second is what the schedule does every 30 s after it.

    python -m benchmarks.executions                      1,000, 10,000 and 100,000 executions; a few minutes
    python -m benchmarks.executions 500 5000             other sizes
    python -m benchmarks.executions --json result.json   the figures for machines as well
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.prepared import ACCOUNT, serving, write_state
from ibkr_site import embedded
from ibkr_site.supervisor import Supervisor

SIZES = (1_000, 10_000, 100_000)
PATIENCE_SECONDS = 3600.0
CHORES = ("MainThread", "sweep_and_flush", "inquire", "sign_of_life")


# --- One size, in a process of its own ------------------------------------------------------------------------------


class Queries:
    """Counts what every connection of this process is asked."""

    def __init__(self) -> None:
        self.count = 0  # but for the owner's regular chores

    def watch(self, *, connection: Any, **_: Any) -> None:
        connection.execute_wrappers.append(self._counted)

    def _counted(self, execute: Callable[..., Any], *arguments: Any) -> Any:
        self.count += threading.current_thread().name not in CHORES
        return execute(*arguments)


def measure() -> dict[str, Any]:
    """Sync twice. The environment names the gateway and the database."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.db.backends.signals import connection_created

    call_command("migrate", verbosity=0)
    queries = Queries()
    connection_created.connect(queries.watch)

    from accounts.models import GatewaySession
    from ibkr_site.broker_session import Owner
    from orders import wanted
    from orders.models import Commission, Execution, Order

    def session() -> GatewaySession | None:
        return GatewaySession.objects.first()

    before = peak_megabytes()
    owner = Owner()
    begun, cpu = time.monotonic(), time.process_time()
    owner.start()
    until(lambda: (row := session()) is not None and row.state == "READY")
    first = {
        "seconds": time.monotonic() - begun,
        "cpu_seconds": time.process_time() - cpu,
        "queries": queries.count,
        "peak_mb": peak_megabytes() - before,
    }
    stored = (Execution.objects.count(), Commission.objects.count(), Order.objects.count())
    begun, asked = time.monotonic(), queries.count
    number = wanted.day(os.environ["GATEWAY_NAME"])
    until(lambda: GatewaySession.objects.values_list("executions_synced", flat=True).get() >= number)
    seconds = time.monotonic() - begun
    second = {"seconds": seconds, "queries": queries.count - asked, "peak_mb": peak_megabytes() - before}
    row = session()
    owner.stop()
    assert row is not None
    return {"first": first, "second": second, "stored": stored, "tally": row.executions_tally}


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError("the sync did not end")
        time.sleep(0.2)


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# --- All sizes --------------------------------------------------------------------------------------------------------


def run(size: int, *, directory: Path, url: str) -> dict[str, Any]:
    """Fill a day, serve it, and measure in a child."""
    state = directory / f"gateway-{size}"
    write_state(state, executions=size)
    database = f"bench_{size}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{database}"')  # type: ignore[arg-type]
    with serving(state) as port:
        environment = os.environ | {
            "ENV_FILE": "",
            "DATA_DIR": str(directory / f"data-{size}"),
            "DJANGO_SETTINGS_MODULE": "ibkr_site.settings",
            "DATABASE_URL": url.rpartition("/")[0] + f"/{database}",
            "REDIS_URL": "redis://127.0.0.1:1/0",  # nobody rings
            "IB_PORT": str(port),
            "IB_ACCOUNT": ACCOUNT,
            "GATEWAY_NAME": "bench",
            "LOG_LEVEL": "WARNING",
        }
        child = subprocess.run(
            [sys.executable, "-m", "benchmarks.executions", "--measure"],
            env=environment,
            stdout=subprocess.PIPE,
            check=True,
        )
    result: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
    if result["stored"][:2] != [size, size] or result["tally"].get("known") != size:
        raise RuntimeError(f"{size} executions were to be stored and told again: {result}")
    return {"size": size, **result}


def table(results: list[dict[str, Any]]) -> str:
    """Lines for people. Growth: processor time per execution against the smallest size; 1.0 is linear."""
    head = (
        f"{'executions':>10}  {'first sync':>10} {'CPU each':>9} {'growth':>6} {'queries each':>12} {'memory':>7}"
        f"  {'second sync':>11} {'queries':>7}"
    )
    lines = [head, "-" * len(head)]
    base = results[0]["first"]["cpu_seconds"] / results[0]["size"]
    for result in results:
        size, first, second = result["size"], result["first"], result["second"]
        each = first["cpu_seconds"] / size
        lines.append(
            f"{size:>10,}  {first['seconds']:>8.1f} s {1000 * each:>6.2f} ms {each / base:>6.2f}"
            f" {first['queries'] / size:>12.2f} {second['peak_mb']:>4.0f} MB"
            f"  {second['seconds']:>9.1f} s {second['queries']:>7,}"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", type=int, default=SIZES, metavar="SIZE", help="how many executions")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE too")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure()))
        return 0
    results = []
    with tempfile.TemporaryDirectory(prefix="ibkr-benchmark-") as name:
        directory = Path(name)
        program, url = embedded.postgres(directory, shared=directory / "shared")
        servers = Supervisor(report=lambda _name, _line: None)
        servers.start(program)
        try:
            for size in options.sizes:
                print(f"{size:,} executions ...", file=sys.stderr, flush=True)
                results.append(run(size, directory=directory, url=url))
        finally:
            servers.stop()
    print(table(results))
    if options.json:
        machine = {"python": platform.python_version(), "cores": os.cpu_count(), "results": results}
        options.json.write_text(json.dumps(machine, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
