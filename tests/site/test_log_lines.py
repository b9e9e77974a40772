"""No text of a client starts a line of the log or forges a field of it."""

import json
import logging
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_site.log_lines import ConsoleFormatter, JsonFormatter

FORGED = "2026-01-01 00:00:00.000Z CRITICAL orders.dispatch: forged"
HOSTILE = {
    "line feed": f"a\n{FORGED}",
    "carriage return": f"a\r{FORGED}",
    "both": f"a\r\n{FORGED}",
    "next line": f"a\x85{FORGED}",
    "line separator": f"a\u2028{FORGED}",
    "paragraph separator": f"a\u2029{FORGED}",
    "vertical tab and form feed": f"a\x0b\x0c{FORGED}",
    "file and record separators": f"a\x1c\x1d\x1e{FORGED}",
    "escape sequence": "a\x1b[2K\x1b[1A" + FORGED,
    "one-byte escape": "a\x9b2K",
    "backspace": "a\b\b\b",
    "bell and null": "a\x07\0",
    "turned around": "a\u202eevil\u2066",
    "zero width": "a\u200bb\ufeff",
    "lone surrogate": "a\ud800b",
    "quote and brace": '", "level": "CRITICAL", "message": "forged"}',
}
LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z WARNING paper orders\.api: ")


def record(message, *arguments, exc_info=None):
    return logging.LogRecord("orders.api", logging.WARNING, "", 0, message, arguments, exc_info)


def failed_with(text):
    try:
        raise ValueError(text)
    except ValueError:
        return sys.exc_info()


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_text_stays_in_its_line(text):
    line = ConsoleFormatter().format(record("symbol %s", text))

    assert len(line.splitlines()) == 1
    assert LINE.match(line)
    assert line.isprintable()
    line.encode()


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_text_in_an_exception_starts_no_line(text):
    lines = ConsoleFormatter().format(record("it failed", exc_info=failed_with(text))).splitlines()

    assert LINE.match(lines[0])
    assert len(lines) > 1
    assert all(line.startswith("    | ") for line in lines[1:])
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_text_is_one_field_of_one_object(text):
    line = JsonFormatter().format(record("symbol %s", text, exc_info=failed_with(text)))

    assert len(line.splitlines()) == 1
    assert line.isascii()
    fields = json.loads(line)
    assert set(fields) == {"time", "level", "mode", "logger", "message", "traceback"}
    assert (fields["level"], fields["mode"]) == ("WARNING", "paper")
    assert (fields["logger"], fields["message"]) == ("orders.api", f"symbol {text}")


@given(st.text())
def test_no_text_at_all_makes_a_second_line(text):
    for formatter in (ConsoleFormatter(), JsonFormatter()):
        line = formatter.format(record("%s", text))
        assert len(line.splitlines()) == 1
        assert line.isprintable()


@pytest.mark.parametrize("text", ["%0A", "%0D%0A", "%1B[2J", "%E2%80%AE", "%E2%80%A8"])
@pytest.mark.parametrize("where", ["path", "query", "header"])
@pytest.mark.django_db
def test_a_request_cannot_write_the_log(client, text, where):
    lines = []
    handler = logging.Handler()
    handler.emit = lambda entry: lines.append(ConsoleFormatter().format(entry))
    root = logging.getLogger("ibkr_site")
    root.addHandler(handler)
    try:
        if where == "path":
            client.get(f"/nowhere/{text}{FORGED}")
        elif where == "query":
            client.get(f"/executions?symbol={text}{FORGED}")
        else:
            client.get("/nowhere", headers={"X-Request-Id": f"a\n{FORGED}", "User-Agent": f"a\n{FORGED}"})
    finally:
        root.removeHandler(handler)

    assert lines
    assert all(len(line.splitlines()) == 1 and line.isprintable() for line in lines)
