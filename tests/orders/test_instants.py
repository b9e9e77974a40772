from datetime import UTC, datetime

import pytest

from orders import instants


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2026-01-15", datetime(2026, 1, 15, tzinfo=UTC)),
        ("2026-01-15T14:30:00Z", datetime(2026, 1, 15, 14, 30, tzinfo=UTC)),
        ("2026-01-15T14:30Z", datetime(2026, 1, 15, 14, 30, tzinfo=UTC)),
        ("2026-01-15T15:30:00.123456+01:00", datetime(2026, 1, 15, 14, 30, 0, 123456, tzinfo=UTC)),
        ("2026-01-15 09:30:00-05:00", datetime(2026, 1, 15, 14, 30, tzinfo=UTC)),
    ],
)
def test_an_instant(text, found):
    assert instants.parse(text) == found
    assert instants.parse(text).tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "1768487400",
        "2026-02-30",
        "2026-01-15T25:00Z",
        "2026-01-15T14:30:00",  # of which place?
        "2026-01-15T14:30:00 00:00",  # a + that an address lost
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
    ],
)
def test_what_is_none(text):
    with pytest.raises(ValueError, match="ISO 8601"):
        instants.parse(text)


def test_a_form_that_says_utc_needs_no_offset():
    assert instants.parse("2026-01-15T14:30", without_offset=True) == datetime(2026, 1, 15, 14, 30, tzinfo=UTC)
    with pytest.raises(ValueError, match="ISO 8601"):
        instants.parse("2026-01-15T14", without_offset=False)
