"""What the schema generator cannot see for itself."""

from collections.abc import Callable
from typing import Any

Endpoint = tuple[str, str, str, Callable[..., Any]]  # path, pattern, method, view


def without_final_slash(endpoints: list[Endpoint]) -> list[Endpoint]:
    """Both forms answer; the one without the slash is the guide's."""
    return [(path.rstrip("/"), pattern, method, view) for path, pattern, method, view in endpoints]
