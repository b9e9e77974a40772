from datetime import UTC, datetime, timedelta

import pytest

from orders import latencies
from tests.orders.factories import advance, at, execute, external_order, order_in, place

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 1, 12, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 ms"),
        (0.021, "21 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.0 s"),
        (2.34, "2.3 s"),
        (59.96, "1 min"),
        (250, "4 min 10 s"),
        (3600, "1 h"),
        (3 * 3600 + 300, "3 h 5 min"),
        (90_000, "1 d 1 h"),
        (-0.5, "-500 ms"),
    ],
)
def test_lengths_of_time_in_words(seconds, words):
    assert latencies.in_words(timedelta(seconds=seconds)) == words


@pytest.fixture
def filled():
    with at(NOON):
        order = place().orders.get()
    for seconds, kind in ((0.021, "SENT"), (0.069, "ACCEPTED")):
        with at(NOON + timedelta(seconds=seconds)):
            order = advance(order, kind)
    for seconds, quantity in ((2.069, 4), (65.069, 6)):
        with at(NOON + timedelta(seconds=seconds)):
            order = execute(order, quantity=quantity)
    return order


def test_the_steps_of_an_order_that_was_filled(filled):
    steps = latencies.steps(filled.events.order_by("sequence"))

    assert [(step.name, step.lapse) for step in steps] == [
        ("Received", ""),
        ("Sent", "21 ms"),
        ("Acknowledged", "48 ms"),
        ("First fill", "2.0 s"),
        ("Filled", "1 min 3 s"),
    ]
    assert steps[0].at == NOON


def test_what_is_left_out_has_no_lapse(filled):
    rows = list(filled.events.order_by("sequence"))

    assert latencies.lapses(rows) == ["", "21 ms", "48 ms", "2.0 s", "1 min 3 s"]
    assert latencies.lapses([rows[0], rows[3], rows[4]]) == ["", "", "1 min 3 s"]


def test_an_order_from_elsewhere_is_first_seen_and_one_denied_ends_at_once():
    names = [step.name for step in latencies.steps(external_order().events.order_by("sequence"))]
    assert names == ["First seen"]
    names = [step.name for step in latencies.steps(order_in("DENIED").events.order_by("sequence"))]
    assert names == ["Received", "Denied"]
