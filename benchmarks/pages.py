"""How long pages of the read API and of the admin take at ten thousand events and at ten million: `python -m
benchmarks.pages`.

Each size is a durable PostgreSQL of its own, filled past the triggers by its superuser (record.sql: an order, a request
and an execution to every five events), and a process that answers requests through the whole of Django, without a
network. A page is asked for cold once and then many times; p50 and p99 are of those, in milliseconds. On a machine that
does other things as well, look at `blocks`: how many of the database's 8 KiB blocks the statement of the page touched.

    python -m benchmarks.pages                       10,000, 1,000,000 and 10,000,000 events; half an hour, 15 GB
    python -m benchmarks.pages 10000 1000000         other sizes
    python -m benchmarks.pages --json result.json    the figures for machines as well
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg

from ibkr_site import embedded
from ibkr_site.supervisor import Supervisor

SIZES = (10_000, 1_000_000, 10_000_000)
EVENTS_PER_ORDER = 5
LEDGER_AT_MOST = 200_000  # executions: GET /executions answers with all of them
LEDGER_ROUNDS = 5
ACCOUNTS = ["DU1000001", "DU1000002"]
FILL = Path(__file__).with_name("record.sql")


# --- Filling ----------------------------------------------------------------------------------------------------------


def fill(url: str, *, orders: int) -> None:
    """Write the record, its secondary indexes last, as they are quicker made than kept."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("SET maintenance_work_mem = '512MB'")
        indexes = connection.execute(
            """
            SELECT indexname, indexdef FROM pg_indexes JOIN pg_class ON relname = indexname
            WHERE tablename LIKE 'orders\\_%'
              AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = pg_class.oid)
            """
        ).fetchall()
        for name, _ in indexes:
            connection.execute(f'DROP INDEX "{name}"')  # type: ignore[arg-type]
        for statement in FILL.read_text(encoding="utf-8").split(";\n"):
            if statement.strip():
                connection.execute(statement, {"orders": orders})  # type: ignore[arg-type]
        for _, definition in indexes:
            connection.execute(definition)
        connection.execute("VACUUM ANALYZE")


# --- Measuring, in a process of its own -------------------------------------------------------------------------------


def pages(orders: int) -> dict[str, str]:
    """What is asked for, by a name for people; `middle` is a cursor deep in the list."""
    from orders.api.v1.pages import Sort
    from orders.models import Execution, Order, OrderEvent, OrderRequest

    def middle(model: Any, column: str) -> str:
        return Sort(column, True).cursor(model.objects.get(pk=model.objects.latest("pk").pk // 2))

    some = orders // 2 + 1
    return {
        "orders": "/api/v1/orders",
        "orders, middle": f"/api/v1/orders?cursor={middle(Order, 'received_at')}",
        "orders, busy symbol": "/api/v1/orders?symbol=AAPL",
        "orders, quiet symbol": "/api/v1/orders?symbol=S7",
        "orders, symbol and status": "/api/v1/orders?symbol=AAPL&status=CANCELED",
        "orders, symbol that is not": "/api/v1/orders?symbol=NONE",
        "orders, by permId": f"/api/v1/orders?perm_id={1_700_000_000 + some}",
        "orders, a day": "/api/v1/orders?received_from=2023-01-04&received_to=2023-01-05",
        "orders, as of 2022": "/api/v1/orders?as_of=2022-01-04",
        "order": f"/api/v1/orders/{some}",
        "order, as of": f"/api/v1/orders/{some}?as_of=2026-01-01",
        "events": "/api/v1/events",
        "events, middle": f"/api/v1/events?cursor={middle(OrderEvent, 'recorded_at')}",
        "events of a kind": "/api/v1/events?kind=FILL",
        "events of an order": f"/api/v1/events?order={some}",
        "executions": "/api/v1/executions",
        "executions, middle": f"/api/v1/executions?cursor={middle(Execution, 'recorded_at')}",
        "executions, days of a symbol": "/api/v1/executions?symbol=S7&executed_from=2023-01-04&executed_to=2023-02-05",
        "requests": "/api/v1/requests",
        "requests, middle": f"/api/v1/requests?cursor={middle(OrderRequest, 'received_at')}",
        "requests refused": "/api/v1/requests?refused=true",
        "admin: orders": "/admin/orders/order/",
        "admin: one order": f"/admin/orders/order/{some}/change/",
        "admin: one order, as of": f"/admin/orders/order/{some}/change/?as_of=2026-01-01",
    }


def measure(orders: int, *, rounds: int) -> dict[str, Any]:
    """Milliseconds of each page. The environment names the database."""
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client
    from django.utils import timezone

    from accounts.models import BrokerAccount, GatewaySession

    call_command("migrate", verbosity=0)
    session = GatewaySession.objects.create(
        pk="default",
        client_id=17,
        endpoint="127.0.0.1:4002",
        state="READY",
        state_since=timezone.now(),
        heard_at=timezone.now(),
        accounts=ACCOUNTS,
    )
    BrokerAccount.objects.bulk_create(BrokerAccount(pk=account, session=session) for account in ACCOUNTS)
    began = time.monotonic()
    fill(os.environ["DATABASE_URL"], orders=orders)
    filled = time.monotonic() - began
    reader = Client(headers={"Host": "localhost"})
    reader.force_login(User.objects.create(username="reviewer", is_staff=True, is_superuser=True))
    connection.close()
    found = {name: timed(reader, path, rounds=rounds) for name, path in pages(orders).items()}
    if orders <= LEDGER_AT_MOST:
        found["guide: GET /executions"] = timed(reader, "/executions", rounds=LEDGER_ROUNDS)
        found["guide: GET /executions?symbol"] = timed(reader, "/executions?symbol=S7", rounds=rounds)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        (size,) = cursor.fetchone()
    return {"pages": found, "filled_seconds": filled, "database_mb": size / 2**20}


def blocks(reader: Any, path: str) -> int | None:
    """How many blocks the statement that reads a list's page touches; None for what is no list."""
    from django.db import connection

    seen: list[tuple[str, Any]] = []

    def look(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "LIMIT" in sql and "ORDER BY" in sql:
            seen.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(look):
        reader.get(path)
    if not path.startswith("/api/v1/") or not seen:
        return None
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {seen[0][0]}", seen[0][1])
        plan = cursor.fetchone()[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def timed(reader: Any, path: str, *, rounds: int) -> dict[str, Any]:
    """`cold` is the first answer."""
    took = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        response = reader.get(path)
        length = sum(map(len, response.streaming_content)) if response.streaming else len(response.content)
        took.append((time.perf_counter() - began) * 1000)
        if response.status_code != 200:
            raise RuntimeError(f"{path}: {response.status_code}, {response.content[:200]!r}")
    cold, *warm = took
    warm.sort()
    return {
        "cold": cold,
        "p50": warm[len(warm) // 2],
        "p99": warm[min(len(warm) - 1, len(warm) * 99 // 100)],
        "bytes": length,
        "blocks": blocks(reader, path),
    }


# --- All sizes --------------------------------------------------------------------------------------------------------


def run(events: int, *, directory: Path, rounds: int) -> dict[str, Any]:
    """A server of its own for each size: what one leaves in memory is not the other's."""
    program, url = embedded.postgres(directory, shared=directory / "shared")
    servers = Supervisor(report=lambda _name, _line: None)
    servers.start(program)
    environment = os.environ | {
        "ENV_FILE": "",
        "DATA_DIR": str(directory),
        "DJANGO_SETTINGS_MODULE": "ibkr_site.settings",
        "DATABASE_URL": url,
        "REDIS_URL": "redis://127.0.0.1:1/0",  # nobody rings
        "IB_ACCOUNT": ACCOUNTS[0],
        "LOG_LEVEL": "WARNING",
    }
    orders = events // EVENTS_PER_ORDER
    argv = [sys.executable, "-m", "benchmarks.pages", "--measure", str(orders), "--rounds", str(rounds)]
    try:
        child = subprocess.run(argv, env=environment, stdout=subprocess.PIPE, check=True)
    finally:
        servers.stop()
    return {"events": events, **json.loads(child.stdout.splitlines()[-1])}


def table(results: list[dict[str, Any]]) -> str:
    """Lines for people: p50 and p99 in milliseconds at each size, and how p50 grew from the first to the last."""
    sizes = "".join(f"{result['events']:>21,} events" for result in results)
    head = f"{'page':<30}{sizes}   growth"
    lines = [head, f"{'':<30}" + f"{'p50      p99  blocks':>28}" * len(results)]
    lines.append("-" * len(head))
    for name in results[0]["pages"]:
        cells = [result["pages"].get(name) for result in results]
        numbers = "".join(map(_cell, cells))
        known = [cell for cell in cells if cell]
        lines.append(f"{name:<30}{numbers}{known[-1]['p50'] / known[0]['p50']:>9.2f}")
    for result in results:
        lines.append(
            f"{result['events']:,} events: {result['database_mb']:,.0f} MB, filled in {result['filled_seconds']:,.0f} s"
        )
    return "\n".join(lines)


def _cell(cell: dict[str, Any] | None) -> str:
    if cell is None:
        return " " * 28
    touched = "" if cell["blocks"] is None else f"{cell['blocks']:,}"
    return f"{cell['p50']:>11.1f}{cell['p99']:>9.1f}{touched:>8}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", type=int, default=SIZES, metavar="EVENTS", help="how many events")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE too")
    parser.add_argument("--measure", type=int, metavar="ORDERS", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=100, help="how often each page is asked for (100)")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure, rounds=options.rounds)))
        return 0
    results = []
    for events in options.sizes:
        print(f"{events:,} events ...", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="ibkr-benchmark-") as name:
            results.append(run(events, directory=Path(name), rounds=options.rounds))
    print(table(results))
    if options.json:
        machine = {"python": platform.python_version(), "cores": os.cpu_count(), "results": results}
        options.json.write_text(json.dumps(machine, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
