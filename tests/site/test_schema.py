"""The schema and its pages: complete, true of the code, and served from our own files alone."""

import contextlib
import re
from decimal import Decimal

import pytest
from django.core.management import call_command

from orders.api.guide import serializers

GETS = ["/account", "/positions", "/orders", "/executions"]
RECORD = ["orders", "requests", "events", "executions", "accounts", "snapshots", "breaks"]
LISTS = [f"/api/v1/{name}" for name in RECORD]
HALTS = "/api/v1/halts"
ROWS = [f"/api/v1/{name}/{{id}}" for name in RECORD]
POSTS = {
    "/order/limit": serializers.LimitOrderInput,
    "/order/market": serializers.MarketOrderInput,
    "/order/stop": serializers.StopOrderInput,
    "/order/bracket": serializers.BracketOrderInput,
    "/order/cancel": serializers.CancelInput,
}


@pytest.fixture
def schema(client):
    return client.get("/openapi.json").json()


def test_is_valid_and_without_warnings(tmp_path):
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yml"))


def test_names_every_endpoint_without_a_slash_at_the_end(schema):
    assert set(schema["paths"]) == {*GETS, *POSTS, *LISTS, *ROWS, HALTS, "/health/live", "/health/ready"}


@pytest.mark.parametrize("path", [*GETS, *POSTS, *LISTS, *ROWS])
def test_every_endpoint_shows_what_comes_and_what_may_go_wrong(schema, path):
    (operation,) = schema["paths"][path].values()

    assert operation["summary"]
    assert operation["description"]
    assert operation["tags"]
    done = operation["responses"]["200"]
    assert done["content"]["application/json"]["examples"]
    assert [name for name, header in done.get("headers", {}).items() if name.startswith("X-")]
    refusals = {status: answer for status, answer in operation["responses"].items() if status != "200"}
    assert refusals
    for answer in refusals.values():
        examples = answer["content"]["application/json"]["examples"].values()
        said = ["detail", "code"] if path.startswith("/api/v1/") else ["detail"]
        assert all(list(example["value"]) == said for example in examples)


def test_every_answer_carries_the_mode(schema):
    for path in schema["paths"].values():
        for operation in path.values():
            for answer in operation["responses"].values():
                assert answer["headers"]["X-Trading-Mode"] == {"$ref": "#/components/headers/X-Trading-Mode"}
    assert schema["components"]["headers"]["X-Trading-Mode"]["schema"]["enum"] == ["paper", "live"]


def test_halting_shows_one_row_and_its_refusals(schema):
    listing, halting = schema["paths"][HALTS]["get"], schema["paths"][HALTS]["post"]

    (example,) = listing["responses"]["200"]["content"]["application/json"]["examples"].values()
    assert [row["scope"] for row in example["value"]] == ["SYMBOL"]
    assert {"201", "400", "401", "403", "429", "503"} == set(halting["responses"])


@pytest.mark.parametrize("path", LISTS)
def test_lists_say_what_can_be_asked_and_in_which_formats(schema, path):
    operation = schema["paths"][path]["get"]

    parameters = {one["name"]: one for one in operation["parameters"] if one["in"] == "query"}
    assert {"sort", "limit", "cursor", "format"} < set(parameters)
    assert all(one.get("description") for one in parameters.values())
    assert parameters["limit"]["schema"]["maximum"] == 1000
    assert set(operation["responses"]["200"]["content"]) == {"application/json", "text/csv", "application/jsonl"}


def test_decimals_of_the_record_are_strings(schema):
    schemas = schema["components"]["schemas"]

    for name in ("quantity", "limit_price", "filled_quantity", "average_price"):
        assert schemas["OrderRecord"]["properties"][name]["type"] == "string"
    assert schemas["ExecutionRecord"]["properties"]["price"]["type"] == "string"


@pytest.mark.parametrize("path", LISTS)
def test_example_rows_are_like_real_ones(schema, path):
    def named(reference):
        return schema["components"]["schemas"][reference["$ref"].rpartition("/")[2]]

    page = schema["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
    (example,) = page["examples"].values()
    (row,) = example["value"]["results"]
    fields = named(named(page["schema"])["properties"]["results"]["items"])

    assert list(row) == list(fields["properties"])


@pytest.mark.parametrize("path", POSTS)
def test_example_requests_would_be_accepted(schema, path):
    content = schema["paths"][path]["post"]["requestBody"]["content"]

    assert list(content) == ["application/json"]
    (example,) = content["application/json"]["examples"].values()
    values = {name: Decimal(str(v)) if isinstance(v, float) else v for name, v in example["value"].items()}
    assert POSTS[path](data=values).is_valid()


def test_numbers_are_numbers(schema):
    schemas = schema["components"]["schemas"]

    assert schemas["AccountOutput"]["properties"]["balance"]["type"] == "number"
    assert schemas["PositionOutput"]["properties"]["market_value"]["type"] == "number"
    assert schemas["LimitOrderInputRequest"]["properties"]["limit_price"]["type"] == "number"


@pytest.mark.django_db  # closing a file's answer ends a request, which looks after the connections
@pytest.mark.parametrize("path", ["/docs", "/docs/", "/redoc", "/redoc/"])
def test_pages_load_our_own_files_only(client, path):
    response = client.get(path)

    page = response.content.decode()
    assert response.status_code == 200
    assert not re.findall(r"https?:|[\"'(]//", page)
    assets = re.findall(r'(?:src|href)="(/static/[^"]+)"', page)
    assert [asset for asset in assets if asset.endswith(".js")]
    for asset in assets:
        with contextlib.closing(client.get(asset)) as loaded:
            assert loaded.status_code == 200
