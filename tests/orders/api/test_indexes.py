"""Every filter is answered by an index, in the order of the list."""

import base64
import json

import pytest
from django.db import connection

from orders.api.v1.pages import Sort
from tests.orders.api.samples import TIMES

pytestmark = pytest.mark.django_db


BY_TIME = {"received_from": "2026-01-01", "received_to": "2026-12-31"}
RECORDED = {"recorded_from": "2026-01-01", "recorded_to": "2026-12-31"}
FILTERS = {
    "/orders": [
        *({name: value} for name, value in {"account": "A", "symbol": "A", "status": "NEW", "order_ref": "A"}.items()),
        {"perm_id": "1"},
        {"request": "1"},
        BY_TIME,
        {"as_of": "2026-01-01"},
        {"symbol": "A", "status": "NEW", "account": "A", **BY_TIME},
    ],
    "/requests": [
        {"endpoint": "A"},
        {"request_id": "A"},
        {"idempotency_key": "A"},
        {"refused": "true"},
        {"refused": "false"},
        BY_TIME,
        {"as_of": "2026-01-01"},
    ],
    "/events": [{"order": "1"}, {"kind": "SENT"}, {"request_id": "A"}, RECORDED, {"as_of": "2026-01-01"}],
    "/executions": [
        {"account": "A"},
        {"symbol": "A"},
        {"order": "1"},
        {"perm_id": "1"},
        {"exec_id": "A"},
        RECORDED,
        {"executed_from": "2026-01-01", "symbol": "A"},
        {"executed_from": "2026-01-01", "account": "A"},
        {"executed_from": "2026-01-01"},
        {"as_of": "2026-01-01"},
    ],
    "/snapshots": [{"account": "A"}, {"taken_from": "2026-01-01", "taken_to": "2026-12-31"}, {"as_of": "2026-01-01"}],
    "/breaks": [
        {"account": "A"},
        {"kind": "PRICE"},
        {"order": "1"},
        {"open": "true"},
        {"open": "false"},
        {"opened_from": "2026-01-01", "opened_to": "2026-12-31"},
        {"as_of": "2026-01-01"},
        {"open": "true", "as_of": "2026-01-01"},
        {"open": "false", "as_of": "2026-01-01"},
        {"account": "A", "as_of": "2026-01-01"},
    ],
}
# What the condition of the index must name, where the parameter is not called like its column.
COLUMNS = {
    "request": "request_id",
    "order": "order_id",
    "as_of": "_at",
    "executed_from": "executed_at",
    "refused": "read_refused_requests",
}
FEW = {"perm_id", "request", "request_id", "idempotency_key", "order", "exec_id"}  # found by an index, then sorted
CASES = [(path, query) for path, queries in FILTERS.items() for query in [{}, *queries]]


# What other tests left to the planner: an empty table makes every index as good as any other.
FORGET_STATISTICS = """
    DELETE FROM pg_statistic WHERE starelid IN (SELECT oid FROM pg_class WHERE relname ~ '^(orders|accounts)_');
    SELECT pg_clear_relation_stats('public', relname) FROM pg_class
    WHERE relname ~ '^(orders|accounts)_' AND relkind = 'r'
"""


def scans(plan):
    """The steps of a plan that read a table of ours, or sort."""
    here = [plan] if "Scan" in plan["Node Type"] or "Sort" in plan["Node Type"] else []
    return here + [found for part in plan.get("Plans", []) for found in scans(part)]


@pytest.mark.parametrize(
    ("path", "query"), CASES, ids=lambda value: value if isinstance(value, str) else "+".join(value)
)
@pytest.mark.parametrize("sign", ["", "-"])
def test_every_filter_has_an_index_in_the_order_of_the_list(client, django_capture_page, path, query, sign):
    """Without a table's scan and without a sort, as far as an index can do without them, for first and later pages."""
    column = "executed_at" if "executed_from" in query else TIMES[path]
    sort = Sort(column, sign == "-")
    at_some_row = base64.urlsafe_b64encode(json.dumps([str(sort), "2026-01-15T00:00:00+00:00", 7]).encode()).decode()
    for more in ({}, {"cursor": at_some_row}):
        (sql, parameters) = django_capture_page(f"/api/v1{path}", {**query, "sort": str(sort), **more})
        with connection.cursor() as cursor:
            cursor.execute(FORGET_STATISTICS)
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute("SET LOCAL enable_bitmapscan = off")
            if not FEW & query.keys():
                cursor.execute("SET LOCAL enable_sort = off")
                cursor.execute("SET LOCAL enable_incremental_sort = off")
            cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", parameters)
            plan = cursor.fetchone()[0][0]["Plan"]
        steps = scans(plan)
        ours = [step for step in steps if step.get("Alias") == step.get("Relation Name")]  # not the subqueries'
        looked_up = " ".join(f"{step.get('Index Name')} {step.get('Index Cond')}" for step in ours)
        for name in query if len(query) == 1 and "false" not in query.values() else ():
            assert COLUMNS.get(name, name) in looked_up
        kinds = [step["Node Type"] for step in steps]
        assert not [kind for kind in kinds if "Seq Scan" in kind]
        if not FEW & query.keys():
            assert not [kind for kind in kinds if "Sort" in kind]


@pytest.fixture
def django_capture_page(client):
    """The statement that reads a page."""

    def capture(path, query):
        seen = []

        def look(execute, sql, params, many, context):
            if "LIMIT" in sql and sql.startswith("SELECT"):
                seen.append((sql, params))
            return execute(sql, params, many, context)

        with connection.execute_wrapper(look):
            response = client.get(path, query)
        assert response.status_code == 200, response.content
        return seen[0]

    return capture
