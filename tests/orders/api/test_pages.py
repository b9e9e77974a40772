"""Pages: every row once, whatever comes meanwhile, at the same cost."""

from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.utils import timezone

from tests.orders.api.samples import LISTS, MONDAY, TIMES, each_list, some_of_each, stamp
from tests.orders.factories import (
    at,
    order_in,
)

pytestmark = pytest.mark.django_db


def walk(client, path):
    """All ids, page by page, by the addresses that the answers give."""
    found, pages = [], 0
    address = f"/api/v1{path}"
    while address is not None:
        body = client.get(address).json()
        found += [row["id"] for row in body["results"]]
        pages += 1
        address = body["next"] and f"{urlsplit(body['next']).path}?{urlsplit(body['next']).query}"
    return found, pages


@each_list
@pytest.mark.parametrize("sign", ["", "-"])
def test_pages_have_every_row_once(client, path, sign):
    some_of_each(3)
    sort = f"{sign}{TIMES[path]}"
    whole, _ = walk(client, f"{path}?sort={sort}")

    found, pages = walk(client, f"{path}?sort={sort}&limit=2")

    assert found == whole
    assert pages == -(-len(whole) // 2)


def test_rows_of_one_moment_are_told_apart(client):
    with at(MONDAY):
        orders = [order_in("RECEIVED").pk for _ in range(5)]

    assert walk(client, "/orders?limit=2") == (orders[::-1], 3)
    assert walk(client, "/orders?limit=2&sort=received_at") == (orders, 3)


def test_what_comes_meanwhile_moves_nothing(client, read):
    orders = [order_in("RECEIVED").pk for _ in range(3)]
    first = read("/orders?limit=2")
    order_in("RECEIVED")

    rest = client.get(first["next"]).json()

    assert [row["id"] for row in rest["results"]] == [orders[0]]
    assert rest["next"] is None


def test_filters_go_along_to_the_next_page(client):
    wanted = [order_in("RECEIVED", symbol="MSFT").pk for _ in range(3)]
    order_in("RECEIVED")

    assert walk(client, "/orders?limit=1&symbol=MSFT") == (wanted[::-1], 3)


def test_a_full_last_page_has_no_next(read):
    some_of_each(2)

    assert read("/orders?limit=2")["next"] is None


def test_answers_say_of_which_moment_they_are(client):
    before = timezone.now() - timedelta(seconds=1)

    response = client.get("/api/v1/orders")

    assert response.headers["X-As-Of"] >= f"{before.isoformat(timespec='milliseconds')[:23]}Z"


@pytest.mark.parametrize(
    ("path", "queries"),
    # A savepoint, the time, the page, the savepoint's end; requests have their answers and orders, accounts no more.
    [*((path, 4) for path in LISTS if path != "/requests"), ("/requests", 6)],
)
@pytest.mark.parametrize("count", [1, 6])
def test_a_page_costs_the_same_number_of_queries(client, django_assert_num_queries, path, queries, count):
    some_of_each(count)

    with django_assert_num_queries(queries):
        assert client.get(f"/api/v1{path}").status_code == 200


@pytest.mark.parametrize(
    ("path", "queries"),
    # What became of orders and breaks is read from their events, and what came later apart from what was known.
    [*((path, 4) for path in LISTS if path not in ("/orders", "/requests", "/breaks")), ("/requests", 6)]
    + [("/orders", 5), ("/breaks", 6)],
)
@pytest.mark.parametrize("count", [1, 6])
def test_a_page_as_of_costs_the_same_number_of_queries(client, django_assert_num_queries, path, queries, count):
    some_of_each(count)

    with django_assert_num_queries(queries):
        body = client.get(f"/api/v1{path}?as_of={stamp(timezone.now())}").json()
    assert body["results"]
