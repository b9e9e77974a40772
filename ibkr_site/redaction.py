"""What is secret is not shown: not in log lines, not in tracebacks, not on an error page, not by `diffsettings`.

Rules: secrets are known by where they stand, a setting whose name says so or the password in an address, and are
replaced wherever their text turns up. It is the second line: nothing is meant to print them in the first place.
"""

import re
from functools import cache
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from django.conf import settings

HIDDEN = "…hidden…"
TELLING = re.compile(r"SECRET|PASS|TOKEN|SIGNATURE|API_KEY|_KEY$", re.I)
SHORTEST = 6  # shorter ones would be found in innocent words


def hide(text: str) -> str:
    """The text without our secrets."""
    for secret in _secrets():
        text = text.replace(secret, HIDDEN)
    return text


def password_of(address: str) -> str:
    """The password in an address, as it is written there; empty where there is none."""
    try:
        return urlsplit(address).password or ""
    except ValueError:
        return ""


@cache
def _secrets() -> tuple[str, ...]:
    found: set[str] = set()
    for name in dir(settings):
        if name.isupper():
            found.update(_in(getattr(settings, name), telling=bool(TELLING.search(name))))
    spelled = {form for secret in found for form in (secret, unquote(secret), quote(secret, safe=""))}
    return tuple(sorted((secret for secret in spelled if len(secret) >= SHORTEST), key=len, reverse=True))


def _in(value: Any, *, telling: bool) -> set[str]:
    if isinstance(value, dict):
        return {secret for key, inner in value.items() for secret in _in(inner, telling=bool(TELLING.search(str(key))))}
    if isinstance(value, list | tuple):
        return {secret for inner in value for secret in _in(inner, telling=telling)}
    if not isinstance(value, str):
        return set()
    return {value} if telling and not _is_dotted(value) else {password_of(value)}


def _is_dotted(value: str) -> bool:
    """A name in our code: PASSWORD_HASHERS and the like are no secrets."""
    return bool(re.fullmatch(r"[a-z_]+(\.\w+)+|[a-z_]{1,20}", value))
