"""Whatever the schema allows, and what it forbids, is answered as the schema says, with a reason where it is a no."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

SAID = [content_type_conformance, response_schema_conformance, status_code_conformance]
ENTRY = ["/order/limit", "/order/market", "/order/stop", "/order/bracket", "/order/cancel"]
READ = ["/account", "/positions", "/orders", "/executions", "/health/live", "/health/ready"]
NAMES = ("orders", "requests", "events", "executions", "accounts", "snapshots", "breaks")
HALTS = "/api/v1/halts"
RECORD = [f"/api/v1/{name}{row}" for name in NAMES for row in ("", "/{id}")]


@pytest.mark.parametrize(
    ("path", "mode"),
    [(path, GenerationMode.POSITIVE) for path in ENTRY + READ + RECORD]
    + [(path, GenerationMode.NEGATIVE) for path in ENTRY + RECORD],
)
def test_answers_are_the_schemas(house, path, mode):
    (operation,) = operations(house, path)
    ask(operation, mode)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_halting_is_answered_as_the_schema_says(house, mode):
    try:
        for operation in operations(house, HALTS):
            if operation.method.upper() == "POST" or mode is GenerationMode.POSITIVE:
                ask(operation, mode)
    finally:
        for scope, value in house.rows(
            "SELECT scope, value FROM accounts_halt h"
            " WHERE NOT EXISTS (SELECT 1 FROM accounts_resumption r WHERE r.halt_id = h.id)"
        ):
            chosen = "--all" if scope == "ALL" else f"--{scope.lower()}={value}"
            house.manage("resume", chosen, "--reason", "a walk")


def operations(house, path):
    api = schemathesis.openapi.from_url(f"{house.base}/openapi.json")
    return [found.ok() for found in api.get_all_operations() if found.ok().path == path]


def ask(operation, mode):
    @seed(6)
    @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy(generation_mode=mode))
    def is_answered(case):
        response = case.call(timeout=30)
        case.validate_response(response, checks=SAID)
        if response.status_code >= 400:
            assert isinstance(response.json()["detail"], str)
            assert ("code" in response.json()) == operation.path.startswith("/api/v1/")
            assert "Internal server error" not in response.json()["detail"]

    is_answered()


def test_no_path_is_left_out(house):
    """What /openapi.json describes is asked for above."""
    assert set(house.get("/openapi.json").json()["paths"]) == {*ENTRY, *READ, *RECORD, HALTS}
