"""What the schema generator cannot see for itself."""

from collections.abc import Callable
from typing import Any

from accounts import headers
from ibkr_site import request_context

Endpoint = tuple[str, str, str, Callable[..., Any]]  # path, pattern, method, view


def without_final_slash(endpoints: list[Endpoint]) -> list[Endpoint]:
    """Both forms answer; the one without the slash is the guide's."""
    return [(path.rstrip("/"), pattern, method, view) for path, pattern, method, view in endpoints]


# What the site puts on every answer, whichever view gives it.
HEADERS = {
    headers.TRADING_MODE: ("Whether orders are placed with play money or real money", ["paper", "live"]),
    request_context.HEADER: ("The request's id: its own, where it had a proper one", None),
}


def with_headers_of_every_answer(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Name the headers that middlewares add."""
    described = {
        name: {"description": text, "schema": {"type": "string"} | ({"enum": values} if values else {})}
        for name, (text, values) in HEADERS.items()
    }
    result.setdefault("components", {})["headers"] = described
    references = {name: {"$ref": f"#/components/headers/{name}"} for name in HEADERS}
    for path in result["paths"].values():
        for operation in path.values():
            for answer in operation["responses"].values():
                answer["headers"] = answer.get("headers", {}) | references
    return result
