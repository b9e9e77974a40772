"""Every filter and every search of the admin's lists is answered by an index, the filters in the order of the list."""

import pytest
from django.contrib.auth.models import User
from django.db import connection

from tests.orders.api.test_indexes import FORGET_STATISTICS, scans
from tests.orders.factories import ACCOUNT, execute, order_in

pytestmark = pytest.mark.django_db

DAY = "day=2026-01-12"
# What is read for each filter: the name of an index, or what its condition names.
FILTERS = {
    "order": {
        "": "read_orders ",
        "status__exact=NEW": "read_orders_by_status",
        f"account={ACCOUNT}": "read_orders_by_account",
        "symbol=AAPL": "read_orders_by_symbol",
        DAY: "received_at >=",
        "origin=external": "read_orders_external",
        # About half of the rows, or nearly all: read in the order of the list until a page is full.
        "side__exact=SELL": "read_orders ",
        "origin=ours": "read_orders ",
    },
    "orderevent": {
        "": "read_events ",
        "kind__exact=SENT": "read_events_by_kind",
        DAY: "recorded_at >=",
    },
    "execution": {
        "": "read_execs ",
        "symbol=AAPL": "read_execs_by_symbol",
        f"account={ACCOUNT}": "read_execs_by_account",
        DAY: "executed_at >=",
        f"symbol=AAPL&{DAY}": "read_execs_executed_symbol",
        "source__exact=flex": "read_execs_not_live",
        "side__exact=SELL": "read_execs ",
        "source__exact=trades()": "read_execs ",
    },
    "orderrequest": {"": "read_requests ", DAY: "received_at >="},
}
# Found by an index and then sorted: few.
FEW = {
    "order": {
        "q=mine": ["read_orders_by_ref", "stamp"],
        "q=17": ["read_orders_by_ref", "stamp", "orders_order_pkey", "orders_by_perm_id"],
    },
    "orderevent": {"order=17": ["(order_id = 17)"], "q=request-1": ["read_events_by_request_id"]},
    "execution": {
        "q=mine": ["read_execs_by_exec_id", "order_id"],
        "q=17": ["read_execs_by_exec_id", "executions_by_perm_id"],
    },
    "orderrequest": {
        "q=mine": ["read_requests_by_request_id", "read_requests_by_key"],
        "q=17": ["read_requests_by_request_id", "read_requests_by_key", "orders_orderrequest_pkey"],
    },
}


def cases(queries):
    return [(name, query, found) for name, each in queries.items() for query, found in each.items()]


@pytest.fixture
def plan(client):
    """How a list's page is read: the steps of the plan that read a table of ours, or sort."""
    client.force_login(User.objects.create(username="reviewer", is_staff=True, is_superuser=True))
    execute(order_in("NEW", order_ref="mine"), quantity=1)

    def explained(name, query, *, off):
        response = client.get(f"/admin/orders/{name}/?{query}")
        assert response.status_code == 200
        sql, parameters = response.context["cl"].queryset[:50].query.sql_with_params()
        with connection.cursor() as cursor:
            cursor.execute(FORGET_STATISTICS)
            for setting in off:
                cursor.execute(f"SET LOCAL enable_{setting} = off")
            cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", parameters)
            return scans(cursor.fetchone()[0][0]["Plan"])

    return explained


@pytest.mark.parametrize(("name", "query", "index"), cases(FILTERS))
def test_every_filter_has_an_index_in_the_order_of_the_list(plan, name, query, index):
    steps = plan(name, query, off=["seqscan", "bitmapscan", "sort", "incremental_sort"])

    read = " ".join(f"{step.get('Index Name')} {step.get('Index Cond')}" for step in steps)
    assert index in read
    assert not [step for step in steps if "Seq Scan" in step["Node Type"] or "Sort" in step["Node Type"]]


@pytest.mark.parametrize(("name", "query", "indexes"), cases(FEW))
def test_every_search_is_for_what_has_an_index(plan, name, query, indexes):
    steps = plan(name, query, off=["seqscan", "indexscan", "indexonlyscan"])

    read = " ".join(f"{step.get('Index Name')} {step.get('Index Cond')}" for step in steps)
    for index in indexes:
        assert index in read
    assert not [step for step in steps if "Seq Scan" in step["Node Type"]]
