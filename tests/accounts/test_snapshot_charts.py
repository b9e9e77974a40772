"""The charts: a few hundred points whatever there is, and numbers that an SVG can draw."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.snapshots import drawing, series
from accounts.snapshots.drawing import Sample, draw
from accounts.snapshots.models import AccountSnapshot, SkippedSnapshot
from tests.orders.factories import ACCOUNT, GATEWAY, broker_account

NOW = datetime(2026, 1, 15, 14, 30, tzinfo=UTC)
PAGE = "/admin/accounts/accountsnapshot/charts/"


def snapshots(*ages, account=ACCOUNT, now=NOW, value=200_000):
    """One snapshot for each age, in seconds before now; its figure counts up."""
    broker_account(account)
    AccountSnapshot.objects.bulk_create(
        AccountSnapshot(
            account_id=account,
            due_at=now - timedelta(seconds=age),
            taken_at=now - timedelta(seconds=age),
            as_of=now,
            epoch=1,
            connection=1,
            currency="USD",
            net_liquidation=Decimal(value + number),
            position_count=0,
            position_value=None if number % 2 else Decimal(number),
        )
        for number, age in enumerate(ages)
    )


# Points


@pytest.mark.django_db
def test_of_each_piece_the_last_one():
    snapshots(599, 560, 541, 300, 0)

    found = series.read(ACCOUNT, over="all", now=NOW, pieces=10)

    assert [(point.piece, point.net_liquidation - 200_000) for point in found.points] == [(0, 2), (5, 3), (9, 4)]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("over", "seen"), [("day", [4, 3]), ("week", [4, 3, 2]), ("month", [4, 3, 2, 1]), ("all", [4, 2, 1, 0])]
)
def test_ranges(over, seen):
    day = 24 * 3600
    snapshots(400 * day, 30 * day, 6 * day, day - 1, 0)

    found = series.read(ACCOUNT, over=over, now=NOW)

    assert [point.net_liquidation - 200_000 for point in reversed(found.points)] == seen
    assert found.ends == NOW


@pytest.mark.django_db
def test_another_account_is_not_in_it():
    snapshots(10, account="DU1000002")
    snapshots(20)

    assert len(series.read(ACCOUNT, over="all", now=NOW).points) == 1
    assert series.read("DU9", over="all", now=NOW).points == ()


@pytest.mark.django_db
def test_each_point_is_one_jump_into_the_index():
    snapshots(*range(0, 30_000, 3))
    snapshots(*range(0, 30_000, 3), account="DU1000002")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE accounts_accountsnapshot")
        plan = {"account": ACCOUNT, "begins": NOW - timedelta(days=1), "width": timedelta(minutes=5), "pieces": 288}
        cursor.execute(f"EXPLAIN {series.SQL}", plan)
        steps = "\n".join(line for (line,) in cursor.fetchall())

    assert "Index Scan Backward using read_snapshots_by_account" in steps
    assert "Seq Scan" not in steps
    assert steps.count("Sort  (") == 1  # of the pieces


# Geometry


def samples(*values, step=timedelta(minutes=5)):
    return [
        Sample(piece, NOW + piece * step, None if value is None else Decimal(value))
        for piece, value in enumerate(values)
        if value != "gap"
    ]


def drawn(*values, bridge=2):
    return draw(samples(*values), begins=NOW, ends=NOW + timedelta(hours=1), bridge=bridge)


@pytest.mark.parametrize(
    ("case", "values", "lengths"),
    [
        ("nothing", [], []),
        ("nothing known", [None, None], []),
        ("one alone, drawn as a dot", ["1"], [2]),
        ("joined", ["1", "2", "3"], [3]),
        ("one that is missing is bridged", ["1", "gap", "3"], [2]),
        ("a gap", ["1", "2", "gap", "gap", "5", "6", "7"], [2, 3]),
        ("an unknown value is a gap too", ["1", "2", None, None, "5"], [2, 2]),
    ],
)
def test_lines_and_gaps(case, values, lengths):
    assert [len(line.split()) for line in drawn(*values).lines] == lengths


@pytest.mark.parametrize(
    ("case", "values", "labels"),
    [
        ("nothing", [], ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        ("thousands", ["199987", "200003"], ["199,985", "199,990", "199,995", "200,000", "200,005"]),
        ("level", ["100", "100"], ["99.0", "99.5", "100.0", "100.5", "101.0"]),
        ("below zero", ["-1000", "1000"], ["-1,000", "-500", "0", "500", "1,000"]),
        ("cents", ["0.01", "0.05"], ["0.01", "0.02", "0.03", "0.04", "0.05"]),
    ],
)
def test_labels_are_round_numbers_around_what_is_shown(case, values, labels):
    assert [tick.label for tick in drawn(*values).y_ticks] == labels


@pytest.mark.parametrize(
    ("span", "first", "second"),
    [
        (timedelta(minutes=10), "14:30", "14:40"),
        (timedelta(hours=1), "14:30", "14:40"),
        (timedelta(days=1), "15:00", "18:00"),
        (timedelta(days=7), "16 Jan", "17 Jan"),
        (timedelta(days=31), "22 Jan", "29 Jan"),
        (timedelta(days=366), "Mar 2026", "May 2026"),
    ],
)
def test_labels_of_time(span, first, second):
    labels = [tick.label for tick in draw([], begins=NOW, ends=NOW + span, bridge=2).x_ticks]

    assert labels[:2] == [first, second]
    assert len(labels) <= drawing.X_TICKS


@given(
    st.lists(st.decimals(-(10**15), 10**15, places=2, allow_nan=False), min_size=1, max_size=40),
    st.integers(1, 10**9),
)
def test_everything_is_inside_the_picture(values, seconds):
    span = timedelta(seconds=seconds)
    step = span / len(values)
    picture = draw(samples(*values, step=step), begins=NOW, ends=NOW + span, bridge=2)

    assert len(picture.dots) == len(values)
    assert all(drawing.LEFT <= dot.x <= picture.right for dot in picture.dots)
    assert all(drawing.TOP <= dot.y <= picture.bottom for dot in picture.dots)
    assert 2 <= len(picture.y_ticks) <= 8
    assert all(later.at < earlier.at for earlier, later in pairwise(picture.y_ticks))
    assert len(picture.x_ticks) <= drawing.X_TICKS


# The page


@pytest.fixture
def reviewer(client, db):
    client.force_login(User.objects.create_superuser("reviewer"))
    return client


def test_page_of_nothing(reviewer):
    for address in (PAGE, f"{PAGE}?over=all"):
        response = reviewer.get(address)
        assert response.status_code == 200
        assert b"There is no snapshot in this range" in response.content


def test_page(reviewer, django_assert_max_num_queries):
    snapshots(*range(0, 3600, 60), now=timezone.now())
    SkippedSnapshot.objects.create(session_id=GATEWAY, due_at=NOW, at=NOW, reason="the session is LINK_DOWN")

    with django_assert_max_num_queries(16):
        content = reviewer.get(f"{PAGE}?account={ACCOUNT}&over=day").content.decode()

    assert content.count('<polyline class="line"') >= 2
    assert "2026-01-15 14:30:00 UTC: the session is LINK_DOWN" in content
    assert "200,000.00" in content


@pytest.mark.parametrize("query", ["over=year", "account=DU9", "account=%00", "over=%27"])
def test_what_is_not_there(reviewer, query):
    broker_account()

    assert reviewer.get(f"{PAGE}?{query}").status_code == 404


def test_only_for_those_who_may_look(client, db):
    user = User.objects.create_user("clerk", is_staff=True)
    client.force_login(user)
    assert client.get(PAGE).status_code == 403

    user.user_permissions.add(Permission.objects.get(codename="view_accountsnapshot"))
    assert client.get(PAGE).status_code == 200


@pytest.mark.parametrize("model", ["accountsnapshot", "skippedsnapshot", "gatewaystatechange"])
def test_lists(reviewer, model):
    snapshots(0)

    assert reviewer.get(f"/admin/accounts/{model}/").status_code == 200


def test_one_with_its_positions(reviewer):
    snapshots(0)
    snapshot = AccountSnapshot.objects.get()
    snapshot.positions.create(con_id=1, symbol="AAPL", security_type="STK", currency="USD", quantity=10)

    content = reviewer.get(f"/admin/accounts/accountsnapshot/{snapshot.pk}/change/").content.decode()

    assert "AAPL" in content
    assert "200,000.00" in content
