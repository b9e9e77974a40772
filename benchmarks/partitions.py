"""Whether events are better kept in partitions by month: `python -m benchmarks.partitions`. Not part of the product.

Two tables with the columns and the indexes of orders_orderevent, one plain and one partitioned by recorded_at, in an
embedded PostgreSQL of its own; the same rows in both, spread over two years. The partitioned one is made from a plain
one as a running installation would have to: the old table becomes the first partition, with a check that is validated
before, so that attaching reads nothing. Milliseconds are the best of several; look at the ratio.

    python -m benchmarks.partitions                 one million events
    python -m benchmarks.partitions 10000000        more
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psycopg

from ibkr_site import embedded
from ibkr_site.supervisor import Supervisor

COLUMNS = """
    id bigint NOT NULL, order_id bigint NOT NULL, sequence int NOT NULL, kind text NOT NULL,
    recorded_at timestamptz NOT NULL, payload jsonb NOT NULL
"""
ROWS = """
    SELECT n, n / 5, n %% 5, (ARRAY['RECEIVED', 'SENT', 'ACCEPTED', 'FILL', 'STATUS'])[n %% 5 + 1],
        timestamptz '2024-01-01' + n * interval '730 days' / %(rows)s, '{"quantity": "10", "price": "150.25"}'::jsonb
    FROM generate_series(%(first)s, %(last)s) AS n
"""
MONTHS = 36  # two years, and room for what is appended
ROUNDS = 7


def prepare(connection: psycopg.Connection, rows: int) -> None:
    connection.execute(f"CREATE TABLE plain ({COLUMNS})")
    connection.execute(f"INSERT INTO plain {ROWS}", {"rows": rows, "first": 0, "last": rows - 1})
    connection.execute(f"CREATE TABLE parted ({COLUMNS}) PARTITION BY RANGE (recorded_at)")
    for month in range(MONTHS):
        connection.execute(
            f"CREATE TABLE parted_{month} PARTITION OF parted FOR VALUES FROM"
            f" (date '2024-01-01' + interval '{month} months') TO (date '2024-01-01' + interval '{month + 1} months')"
            if month
            else f"CREATE TABLE parted_0 ({COLUMNS})"
        )
    migrate_first(connection)
    connection.execute("INSERT INTO parted SELECT * FROM plain WHERE recorded_at >= '2024-02-01'")
    for table in ("plain", "parted"):
        connection.execute(f"CREATE UNIQUE INDEX ON {table} (order_id, sequence, recorded_at)")
        connection.execute(f"CREATE INDEX ON {table} (recorded_at, id)")
    connection.execute("VACUUM ANALYZE")


def migrate_first(connection: psycopg.Connection) -> None:
    """The step a running installation takes: what is there becomes a partition without being copied or read."""
    connection.execute("INSERT INTO parted_0 SELECT * FROM plain WHERE recorded_at < '2024-02-01'")
    bounds = "recorded_at >= '2024-01-01' AND recorded_at < '2024-02-01'"
    connection.execute(f"ALTER TABLE parted_0 ADD CONSTRAINT bounds CHECK ({bounds}) NOT VALID")
    connection.execute("ALTER TABLE parted_0 VALIDATE CONSTRAINT bounds")  # reads it, and lets others write
    began = time.perf_counter()
    connection.execute("ALTER TABLE parted ATTACH PARTITION parted_0 FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')")
    print(f"attaching what was there: {(time.perf_counter() - began) * 1000:.1f} ms")


def best(act: Callable[[], object], rounds: int = ROUNDS) -> float:
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        act()
        took.append((time.perf_counter() - began) * 1000)
    return min(took)


def compare(connection: psycopg.Connection, rows: int) -> None:
    last = [rows]

    def append(table: str) -> None:
        first, last[0] = last[0], last[0] + 5000
        connection.execute(f"INSERT INTO {table} {ROWS}", {"rows": rows, "first": first, "last": last[0] - 1})

    some = rows // 10  # an order in the middle
    about = "SELECT * FROM {} WHERE order_id = %s ORDER BY sequence"
    tasks: dict[str, Callable[[str], object]] = {
        "append 5,000": append,
        "an order's events": lambda table: connection.execute(about.format(table), [some]).fetchall(),
        "the newest 100": lambda table: connection.execute(
            f"SELECT * FROM {table} ORDER BY recorded_at DESC, id DESC LIMIT 100"
        ).fetchall(),
        "a day": lambda table: connection.execute(
            f"SELECT count(*) FROM {table} WHERE recorded_at BETWEEN '2025-03-03' AND '2025-03-04'"
        ).fetchall(),
    }
    print(f"{'':<20} {'plain':>10} {'by month':>10} {'ratio':>6}")
    for name, act in tasks.items():
        plain, parted = (best(partial(act, table)) for table in ("plain", "parted"))
        print(f"{name:<20} {plain:>7.2f} ms {parted:>7.2f} ms {parted / plain:>6.2f}")
    deleted = best(lambda: connection.execute("DELETE FROM plain WHERE recorded_at < '2024-02-01'"), rounds=1)
    detached = best(lambda: connection.execute("ALTER TABLE parted DETACH PARTITION parted_0"), rounds=1)
    print(f"{'take a month out':<20} {deleted:>7.2f} ms {detached:>7.2f} ms {detached / deleted:>6.2f}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="?", type=int, default=1_000_000, help="events (%(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ibkr-benchmark-") as name:
        directory = Path(name)
        program, url = embedded.postgres(directory, shared=directory / "shared")
        servers = Supervisor(report=lambda _name, _line: None)
        servers.start(program)
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                prepare(connection, options.rows)
                compare(connection, options.rows)
        finally:
            servers.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
