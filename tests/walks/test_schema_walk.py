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
RECORD = [f"/api/v1/{name}{row}" for name in NAMES for row in ("", "/{id}")]


@pytest.mark.parametrize(
    ("path", "mode"),
    [(path, GenerationMode.POSITIVE) for path in ENTRY + READ + RECORD]
    + [(path, GenerationMode.NEGATIVE) for path in ENTRY + RECORD],
)
def test_answers_are_the_schemas(house, path, mode):
    api = schemathesis.openapi.from_url(f"{house.base}/openapi.json")
    (operation,) = [found.ok() for found in api.get_all_operations() if found.ok().path == path]

    @seed(6)
    @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy(generation_mode=mode))
    def is_answered(case):
        response = case.call(timeout=30)
        case.validate_response(response, checks=SAID)
        if response.status_code >= 400:
            assert isinstance(response.json()["detail"], str)
            assert ("code" in response.json()) == path.startswith("/api/v1/")
            assert "Internal server error" not in response.json()["detail"]

    is_answered()


def test_no_path_is_left_out(house):
    """What /openapi.json describes is asked for above."""
    assert set(house.get("/openapi.json").json()["paths"]) == {*ENTRY, *READ, *RECORD}
