from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import times

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("case", "text", "moment"),
    [
        ("local, two spaces", "20230224  12:04:56", (2023, 2, 24, 11, 4, 56)),
        ("local, one space", "20230224 12:04:56", (2023, 2, 24, 11, 4, 56)),
        ("local in summer", "20230724  12:04:56", (2023, 7, 24, 10, 4, 56)),
        ("dash is UTC", "20231116-12:15:35", (2023, 11, 16, 12, 15, 35)),
        ("dash with its zone", "20231116-12:15:35 UTC", (2023, 11, 16, 12, 15, 35)),
        ("UTC by name", "20260413 15:27:04 UTC", (2026, 4, 13, 15, 27, 4)),
        ("legacy name", "20260413 15:27:04 US/Eastern", (2026, 4, 13, 19, 27, 4)),
        ("legacy name in winter", "20260113 15:27:04 US/Eastern", (2026, 1, 13, 20, 27, 4)),
        ("IANA name", "20260413 15:27:04 America/New_York", (2026, 4, 13, 19, 27, 4)),
        ("Windows name", "20260405 23:49:26 Central European Standard Time", (2026, 4, 5, 21, 49, 26)),
        ("Windows name, other half", "20260105 23:49:26 W. Europe Standard Time", (2026, 1, 5, 22, 49, 26)),
        ("Windows name with a stop", "20260413 15:27:04 Eastern Standard Time", (2026, 4, 13, 19, 27, 4)),
        ("abbreviation", "20260113 15:27:04 EST", (2026, 1, 13, 20, 27, 4)),
        ("leap day", "20240229-00:00:00", (2024, 2, 29, 0, 0, 0)),
    ],
)
def test_every_form_a_gateway_sends(case, text, moment):
    assert times.parse(text, local=BERLIN) == datetime(*moment, tzinfo=UTC), case
    assert times.parse(text, local=BERLIN).tzinfo is UTC


@pytest.mark.parametrize(
    ("case", "text"),
    [
        ("nothing", ""),
        ("a date alone", "20230224"),
        ("seconds since 1970", "1677236696"),
        ("unknown zone", "20260413 15:27:04 US/Nowhere"),
        ("an abbreviation of two zones", "20260413 15:27:04 CST"),
        ("a directory of zones", "20260413 15:27:04 America"),
        ("a way out of the zone files", "20260413 15:27:04 ../../etc/passwd"),
        ("three spaces", "20230224   12:04:56"),
        ("dash with another zone", "20231116-12:15:35 US/Eastern"),
        ("no such day", "20230230-12:04:56"),
        ("no such hour", "20230224-24:04:56"),
        ("digits of another script", "٢٠٢٣٠٢٢٤-12:04:56"),
        ("a tail", "20231116-12:15:35.250"),
        ("a space at the end", "20260413 15:27:04 "),
        ("shown twice in autumn", "20261025 02:30:00 Europe/Berlin"),
        ("never shown in spring", "20260329 02:30:00 Europe/Berlin"),
        ("shown twice, local", "20261025  02:30:00"),
        ("before the calendar once in UTC", "00010101 00:00:00 Asia/Tokyo"),
    ],
)
def test_what_is_not_one_moment_is_no_moment(case, text):
    assert times.parse(text, local=BERLIN) is None, case


def test_local_time_without_a_known_zone_is_no_moment():
    assert times.parse("20230224  12:04:56") is None


@given(st.text())
def test_no_text_raises(text):
    times.parse(text)
    times.parse(f"20260413 15:27:04 {text}")
    times.zone_of(text)


@given(st.datetimes(min_value=datetime(1980, 1, 1), max_value=datetime(2037, 1, 1)))
def test_utc_comes_back(moment):
    moment = moment.replace(microsecond=0, tzinfo=UTC)

    assert times.parse(f"{moment:%Y%m%d-%H:%M:%S}") == moment
    there = moment.astimezone(ZoneInfo("Asia/Tokyo"))  # no summer time: every wall clock time is one moment
    assert times.parse(f"{there:%Y%m%d %H:%M:%S} Tokyo Standard Time") == moment


@pytest.mark.parametrize("name", sorted(times._OTHER_NAMES))
def test_every_other_name_leads_to_a_zone(name):
    assert times.zone(name) is not None


def test_the_zone_of_a_handshake():
    assert times.zone_of("20260405 23:49:26 Central European Standard Time") == ZoneInfo("Europe/Warsaw")
    assert times.zone_of("20260405 23:49:26") is None
