"""Breaks, accounts and single rows as they were known at an instant. Orders: tests/orders/test_knowledge.py."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from accounts.models import AccountValue, BrokerAccount, Position
from accounts.snapshots.models import PositionSnapshot
from orders import intake
from orders.breaks import closing, register
from orders.breaks.books import Comparison
from orders.breaks.models import Break
from orders.breaks.vocabulary import BreakKind, Severity, Source
from orders.models import Execution, OrderEvent
from tests.orders.api.samples import difference, snapshot, stamp
from tests.orders.factories import ACCOUNT, at, broker_account, charge, execute, order_in, place

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def minute(number):
    return stamp(NOON + number * MINUTE)


def looked_at(number, *, agreed=(), **changes):
    """One comparison with the broker, that many minutes after noon."""
    found = Comparison(agreed=frozenset(agreed)) if agreed else Comparison(differences=(difference(**changes),))
    with at(NOON + number * MINUTE):
        register.keep(found, source=Source.BROKER)


@pytest.fixture
def story(read):
    """Opened at noon, seen again, changed, closed by a person, and gone: a minute each."""
    looked_at(0)
    looked_at(1)
    looked_at(2, expected=Decimal(5), actual=Decimal(9), severity=Severity.WARNING)
    row = Break.objects.get()
    with at(NOON + 3 * MINUTE):
        closing.close(row.pk, reason="a correction of the exchange", actor="user:alice", request_id="one")
    looked_at(4, agreed=[(row.kind, row.key)])

    def then(number):
        return read(f"/breaks/{row.pk}?as_of={minute(number)}")

    then.pk = row.pk
    return then


@pytest.mark.parametrize(
    ("number", "figures", "events"),
    [
        (0, ("4", "6", "2"), 1),
        (1.5, ("4", "6", "2"), 1),
        (2, ("5", "9", "4"), 2),
        (3, ("5", "9", "4"), 3),
        (4, ("5", "9", "4"), 4),
    ],
)
def test_a_break_has_the_figures_and_the_history_of_then(story, number, figures, events):
    page = story(number)

    assert (page["expected"], page["actual"], page["gap"]) == figures
    assert [event["sequence"] for event in page["events"]] == list(range(1, events + 1))


def test_a_break_is_closed_by_whom_it_was_closed_then(story):
    closed = (minute(3), "user:alice", "a correction of the exchange")

    shown = [(page["closed_at"], page["closed_by"], page["close_reason"]) for page in map(story, (2.9, 3, 4))]

    assert shown == [(None, "", ""), closed, closed]
    assert [story(number)["gone_at"] for number in (3.9, 4)] == [None, minute(4)]


def test_what_was_not_kept_of_a_break_is_null(story):
    """How grave other figures were, and how often and when they were seen."""
    assert [story(number)["severity"] for number in (0, 1.9, 2, 4)] == [None, None, "WARNING", "WARNING"]
    assert [(page["last_seen_at"], page["times_seen"]) for page in map(story, (0, 1.9, 2))] == [
        (None, None),
        (None, None),
        (minute(2), 3),
    ]


def test_a_break_that_the_books_closed(read):
    looked_at(0)
    row = Break.objects.get()
    looked_at(1, agreed=[(row.kind, row.key)])

    before, after = (read(f"/breaks/{row.pk}?as_of={minute(number)}") for number in (0.5, 1))

    assert (before["closed_at"], before["gone_at"], before["severity"]) == (None, None, "CRITICAL")
    assert (after["closed_at"], after["gone_at"]) == (minute(1), minute(1))
    assert after["close_reason"] == register.BOOKS_AGREE


def test_a_break_of_words_has_no_gap_then_either(read):
    words = {"kind": BreakKind.STATUS, "expected": "working"}
    looked_at(0, actual="filled", **words)
    looked_at(1, actual="ended", **words)

    page = read(f"/breaks/{Break.objects.get().pk}?as_of={minute(0)}")

    assert (page["actual"], page["gap"]) == ("filled", None)


def test_the_page_of_now_and_as_of_now_are_the_same(story, read):
    assert read(f"/breaks/{story.pk}") == read(f"/breaks/{story.pk}?as_of={stamp(timezone.now())}")
    assert read("/breaks")["results"] == read(f"/breaks?as_of={stamp(timezone.now())}")["results"]


def test_breaks_as_of(story, read, ids):
    looked_at(5, key="another")
    (row,) = read(f"/breaks?as_of={minute(1)}")["results"]

    assert (row["id"], row["actual"], row["closed_at"]) == (story.pk, "6", None)
    assert ids(f"/breaks?as_of={minute(-1)}") == []
    assert len(ids(f"/breaks?as_of={minute(5)}")) == 2


@pytest.mark.parametrize(("number", "is_open"), [(0, True), (2.9, True), (3, False), (4, False)])
def test_open_means_open_then(story, ids, number, is_open):
    found = {word: ids(f"/breaks?open={word}&as_of={minute(number)}") for word in ("true", "false")}

    assert found == {"true": [story.pk] * is_open, "false": [story.pk] * (not is_open)}


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_an_export_of_breaks_as_of(story, client, form):
    answer = client.get(f"/api/v1/breaks?as_of={minute(1)}&format={form}")

    text = b"".join(answer.streaming_content).decode()

    assert "user:alice" not in text
    assert minute(4) not in text


# Accounts


@pytest.fixture
def account():
    """First seen at noon, with snapshots after five and ten minutes, and figures of now."""
    row = broker_account()
    BrokerAccount.objects.filter(pk=row.pk).update(first_seen_at=NOON)
    for number, worth in ((5, "100.50"), (10, "200")):
        moments = dict.fromkeys(("due_at", "taken_at", "as_of"), NOON + number * MINUTE)
        taken = snapshot(net_liquidation=Decimal(worth), total_cash=Decimal(7), **moments)
        PositionSnapshot.objects.create(
            snapshot=taken, con_id=1, symbol="AAPL", security_type="STK", currency="USD", quantity=Decimal(number)
        )
    now = timezone.now()
    AccountValue.objects.create(account=row, key="NetLiquidation", currency="USD", value="300", as_of=now)
    Position.objects.create(
        account=row, con_id=2, symbol="MSFT", security_type="STK", currency="USD", quantity=1, as_of=now
    )
    return row


@pytest.mark.parametrize(("number", "worth", "held"), [(5, "100.5", "5"), (9.9, "100.5", "5"), (10, "200", "10")])
def test_an_account_has_the_figures_of_the_last_snapshot_by_then(account, read, number, worth, held):
    page = read(f"/accounts/{ACCOUNT}?as_of={minute(number)}")

    taken = account.snapshots.filter(taken_at__lte=NOON + number * MINUTE).latest("taken_at")
    common = {"currency": "USD", "as_of": stamp(taken.taken_at)}
    assert page["snapshot"] == taken.pk
    assert page["values"] == [
        {"key": "NetLiquidation", "value": worth, **common},
        {"key": "TotalCashValue", "value": "7", **common},
    ]
    assert [(one["symbol"], one["quantity"], one["market_value"]) for one in page["positions"]] == [
        ("AAPL", held, None)
    ]


def test_before_its_first_snapshot_nothing_is_known_of_an_account(account, read):
    page = read(f"/accounts/{ACCOUNT}?as_of={minute(1)}")

    assert (page["id"], page["snapshot"], page["values"], page["positions"]) == (ACCOUNT, None, None, None)


def test_an_account_of_now_is_of_no_snapshot(account, read):
    page = read(f"/accounts/{ACCOUNT}")

    assert page["snapshot"] is None
    assert [one["value"] for one in page["values"]] == ["300"]
    assert [one["symbol"] for one in page["positions"]] == ["MSFT"]


def test_accounts_as_of(account, ids):
    assert ids(f"/accounts?as_of={minute(0)}") == [ACCOUNT]
    assert ids(f"/accounts?as_of={minute(-1)}") == []


# Single rows


@pytest.fixture
def rows():
    """A row of each kind, on record since noon; the address of each."""
    with at(NOON):
        order = execute(order_in("NEW"), quantity=4, exec_id="x.01", commission=None)
        place()
        looked_at(0)
        taken = snapshot(taken_at=NOON)
    account = broker_account()
    BrokerAccount.objects.update(first_seen_at=NOON)
    return {
        "request": f"/requests/{order.request_id}",
        "event": f"/events/{OrderEvent.objects.filter(order=order).latest('sequence').pk}",
        "execution": f"/executions/{Execution.objects.get().pk}",
        "account": f"/accounts/{account.pk}",
        "snapshot": f"/snapshots/{taken.pk}",
        "break": f"/breaks/{Break.objects.get().pk}",
    }


NOUNS = ["request", "event", "execution", "account", "snapshot", "break"]


@pytest.mark.parametrize("noun", NOUNS)
def test_a_row_that_was_on_record_then(rows, client, noun):
    response = client.get(f"/api/v1{rows[noun]}?as_of={minute(0)}")

    assert (response.status_code, response.headers["X-As-Of"]) == (200, "2026-01-15T12:00:00.000Z")
    assert str(response.json()["id"]) == rows[noun].rpartition("/")[2]


@pytest.mark.parametrize("noun", NOUNS)
def test_a_row_that_was_not_on_record_then(rows, refused, noun):
    name = rows[noun].rpartition("/")[2]

    assert refused(f"{rows[noun]}?as_of={minute(-1)}") == (
        404,
        "not_found",
        f"{noun.capitalize()} {name} was not on record at 2026-01-15T11:59:00+00:00: "
        "it is there since 2026-01-15T12:00:00+00:00.",
    )


def test_an_execution_as_of(rows, read):
    """Which counted, and what it was said to cost, by then."""
    with at(NOON + MINUTE):
        charge("x.01", "1.25")
        execute(Execution.objects.get().order, quantity=3, exec_id="x.02")

    then, now = read(f"{rows['execution']}?as_of={minute(0)}"), read(rows["execution"])

    assert (then["effective"], then["commission"]) == (True, None)
    assert (now["effective"], now["commission"]) == (False, "1.25")
    assert then["raw"] == now["raw"]


def test_a_request_has_the_answers_given_by_then(rows, read):
    request = Execution.objects.get().order.request
    with at(NOON + MINUTE):
        intake.answer(request, status_code=200, body={"status": "sent"}, settled=True)

    then, now = read(f"{rows['request']}?as_of={minute(0)}"), read(rows["request"])

    assert (then["answers"], [answer["status_code"] for answer in now["answers"]]) == ([], [200])
    assert then["orders"] == now["orders"] == [Execution.objects.get().order_id]
