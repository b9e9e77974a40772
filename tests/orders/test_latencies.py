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
        ("Claimed and sent", "21 ms"),
        ("Acknowledged", "48 ms"),
        ("First fill", "2.0 s"),
        ("Filled", "1 min 3 s"),
    ]
    assert steps[0].at == NOON


def test_the_story_begins_where_it_was_asked_for_and_has_what_the_client_was_told(filled):
    rows = filled.events.order_by("sequence")
    told = {"asked": filled.request.received_at, "answered": NOON + timedelta(seconds=0.1)}

    steps = latencies.steps(rows, **told)

    assert [(step.name, step.anchor, step.lapse) for step in steps] == [
        ("Asked", "requests", ""),  # and persisted at the same moment
        ("Claimed and sent", "event-2", "21 ms"),
        ("Acknowledged", "event-3", "48 ms"),
        ("Answered", "requests", "31 ms"),
        ("First fill", "event-4", "2.0 s"),
        ("Filled", "event-5", "1 min 3 s"),
    ]


def test_what_was_persisted_later_than_asked_for_is_a_step_of_its_own(filled):
    steps = latencies.steps(filled.events.order_by("sequence"), asked=NOON - timedelta(seconds=1))

    assert [(step.name, step.lapse) for step in steps[:2]] == [("Asked", ""), ("Received", "1.0 s")]


def test_an_answer_may_come_last_and_none_may_come():
    with at(NOON):
        order = order_in("FILLED")
    rows = list(order.events.order_by("sequence"))

    names = [step.name for step in latencies.steps(rows, asked=NOON, answered=NOON + timedelta(seconds=1))]
    assert names == ["Asked", "Claimed and sent", "Acknowledged", "Filled", "Answered"]  # one fill: the first and last
    names = [step.name for step in latencies.steps(rows, asked=NOON)]
    assert names == ["Asked", "Claimed and sent", "Acknowledged", "Filled"]


def test_nothing_has_no_steps():
    assert latencies.steps([]) == []


def test_what_is_left_out_has_no_lapse(filled):
    rows = list(filled.events.order_by("sequence"))

    assert latencies.lapses(rows) == ["", "21 ms", "48 ms", "2.0 s", "1 min 3 s"]
    assert latencies.lapses([rows[0], rows[3], rows[4]]) == ["", "", "1 min 3 s"]


def test_an_order_from_elsewhere_is_first_seen_and_one_denied_ends_at_once():
    names = [step.name for step in latencies.steps(external_order().events.order_by("sequence"))]
    assert names == ["First seen"]
    names = [step.name for step in latencies.steps(order_in("DENIED").events.order_by("sequence"))]
    assert names == ["Denied"]
    denied = order_in("DENIED")
    asked = denied.request.received_at
    steps = latencies.steps(denied.events.order_by("sequence"), asked=asked, answered=asked + timedelta(seconds=60))
    assert [step.name for step in steps] == ["Asked", "Denied", "Answered"]
