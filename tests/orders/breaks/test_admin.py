"""Breaks in the admin: the work list, the page of each, and the forms that close it."""

import html

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from orders.breaks import forms, register, runs
from orders.breaks.books import Comparison
from orders.breaks.models import AnchoredHolding, Break, PositionAnchor
from orders.breaks.vocabulary import BreakKind, Severity, Source
from tests.orders.assertions import assert_history
from tests.orders.breaks.test_register import POINT, REASON, differ
from tests.orders.builders import ACCOUNT, GATEWAY
from tests.orders.factories import broker_account, order_in

pytestmark = pytest.mark.django_db

LIST = "/admin/orders/break/"


def staff(name, *permissions):
    user = User.objects.create(username=name, is_staff=True)  # without a password: to hash one takes long
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


@pytest.fixture
def closer(client):
    client.force_login(staff("ada", "view_break", "close_break", "view_order", "view_reconciliationrun"))
    return client


@pytest.fixture
def reviewer(client):
    client.force_login(staff("bob", "view_break", "change_break"))
    return client


def a_break(**changes):
    """An open break like the register's, of another thing each time."""
    values = {name: getattr(POINT, name) for name in POINT.__dataclass_fields__}
    point = type(POINT)(**values | {"key": f"thing {Break.objects.count()}"} | changes)
    differ(point)
    return Break.objects.latest("pk")


def missing():
    order = order_in("NEW", symbol="AMD")
    kind = {"kind": BreakKind.MISSING_AT_BROKER, "expected": "New", "actual": "not listed"}
    return a_break(**kind, order_pk=order.pk, symbol="AMD")


def page(browser, row):
    response = browser.get(f"{LIST}{row.pk}/change/")
    assert response.status_code == 200
    return html.unescape(response.content.decode())


def rows(browser, query=""):
    """The ids of the breaks on the list, in its order."""
    response = browser.get(f"{LIST}?{query}")
    assert response.status_code == 200
    return [row.pk for row in response.context["cl"].result_list]


def close(browser, row, way, reason=REASON, **kwargs):
    return browser.post(f"{LIST}{row.pk}/close/{way}/", {"reason": reason}, **kwargs)


# The list


def test_open_ones_the_gravest_and_oldest_first(closer):
    warning = a_break(severity=Severity.WARNING)
    old, young = a_break(), a_break()
    closed = a_break()
    close(closer, closed, "close")

    assert rows(closer) == [old.pk, young.pk, warning.pk]
    assert rows(closer, "standing=closed") == [closed.pk]
    assert rows(closer, "standing=there") == [closed.pk]
    assert rows(closer, "standing=all") == [old.pk, young.pk, closed.pk, warning.pk]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("kind__exact=PRICE", True),
        ("kind__exact=STATUS", False),
        ("severity__exact=1", True),
        ("severity__exact=2", False),
        ("account=DU1000001", True),
        ("account=DU2", False),
        ("symbol=aapl", True),
        ("symbol=MSFT", False),
        ("source__exact=BROKER", True),
        ("source__exact=STATEMENT", False),
        ("q=17", True),
        ("q=18", False),
        ("q=order+5", True),
    ],
)
def test_filters_and_search(closer, query, found):
    broker_account()
    row = a_break(kind=BreakKind.PRICE, key="order 5 limit price")

    assert rows(closer, query) == ([row.pk] if found else [])


def test_what_a_row_says(closer):
    row = missing()

    text = html.unescape(closer.get(LIST).content.decode()).replace("\N{NO-BREAK SPACE}", " ")

    for words in ("Missing at broker", "AMD", "New", "not listed", "Critical", "0 minutes", "once", f"#{row.order_id}"):
        assert words in text


def test_queries_do_not_grow_with_the_list(closer):
    def count():
        with CaptureQueriesContext(connection) as queries:
            rows(closer)
        return len(queries)

    missing()
    rows(closer)
    before = count()
    for _ in range(5):
        missing()

    assert count() == before <= 13


# The page


@pytest.mark.parametrize("kind", BreakKind)
def test_each_kind_says_what_to_do(closer, kind):
    assert forms.ADVICE[kind] in page(closer, a_break(kind=kind))


def test_its_story(closer):
    row = a_break()
    differ(type(POINT)(**{n: getattr(POINT, n) for n in POINT.__dataclass_fields__} | {"key": row.key, "actual": 9}))
    run = runs.request(GATEWAY, by="test") if broker_account() else None
    register.keep(Comparison(agreed=frozenset({("QUANTITY", row.key)})), source=Source.BROKER, run=run)

    text = page(closer, row)

    for words in ("Opened", "Changed", "Books agree again", "by <bdi>worker</bdi>", f"Reconciliation #{run.pk}"):
        assert words in text
    assert "/close/" not in text


@pytest.mark.parametrize(
    ("make", "ways"),
    [(a_break, ["close"]), (missing, ["expired", "canceled"]), (lambda: a_break(kind="POSITION"), ["explained"])],
)
def test_the_ways_to_close(closer, make, ways):
    row = make()

    text = page(closer, row)

    assert [way for way in forms.FORMS if f'action="{LIST}{row.pk}/close/{way}/"' in text] == sorted(
        ways, key=list(forms.FORMS).index
    )


def test_others_see_it_and_no_form(reviewer):
    text = page(reviewer, a_break())

    assert "/close/" not in text
    assert "needs the permission “Can close a break and decide what it means”" in text


# Closing


def test_closed_with_a_reason(closer):
    row = a_break()

    response = close(closer, row, "close", headers={"X-Request-Id": "ada-1"}, follow=True)

    assert response.redirect_chain == [(f"{LIST}{row.pk}/change/", 302)]
    assert "Recorded: Close it. The break is closed." in response.content.decode()
    event = row.events.get(kind="CLOSED")
    assert (event.actor, event.reason, event.request_id) == ("user:ada", REASON, "ada-1")


@pytest.mark.parametrize(("way", "status"), [("expired", "EXPIRED"), ("canceled", "CANCELED")])
def test_an_order_ended(closer, way, status):
    row = missing()

    close(closer, row, way)

    row.order.refresh_from_db()
    assert row.order.status == status
    assert row.order.events.latest("sequence").actor == "user:ada"
    assert "a person decided that it" in page_of_order(closer, row.order)


def page_of_order(browser, order):
    return html.unescape(browser.get(f"/admin/orders/order/{order.pk}/change/").content.decode())


def test_a_position_is_explained(closer):
    PositionAnchor.objects.create(account=broker_account(), taken_at=timezone.now())
    row = a_break(kind=BreakKind.POSITION, con_id=265598, security_type="STK")

    close(closer, row, "explained")

    assert AnchoredHolding.objects.get(because=row).quantity == 2


@pytest.mark.parametrize("reason", ["", "short", "two\nlines of text"])
def test_a_reason_is_needed(closer, reason):
    row = a_break()

    response = close(closer, row, "close", reason)

    assert response.status_code == 200
    assert 'class="alarm"' in response.content.decode()
    row.refresh_from_db()
    assert row.is_open
    assert row.events.count() == 1


def test_what_was_typed_is_shown_again(closer):
    assert 'value="short"' in close(closer, a_break(), "close", "short").content.decode()


def test_closed_already(closer):
    row = a_break()
    close(closer, row, "close")

    response = close(closer, row, "close", follow=True)

    assert f"Break {row.pk} is closed already. Nothing was changed." in response.content.decode()
    assert row.events.count() == 2


def test_an_order_is_not_closed_over_by_another_form(closer):
    row = missing()

    response = close(closer, row, "close", follow=True)

    assert "Nothing was changed: what this break needs is another decision" in response.content.decode()
    assert row.events.count() == 1
    assert_history(row.order, "received sent accepted")


def test_looking_at_the_address_of_a_form_closes_nothing(closer):
    row = a_break()

    response = closer.get(f"{LIST}{row.pk}/close/close/")

    assert response.url == f"{LIST}{row.pk}/change/"
    assert row.events.count() == 1


@pytest.mark.parametrize(("path", "status"), [("1234/close/close/", 404), ("{pk}/close/nonsense/", 404)])
def test_addresses_that_lead_nowhere(closer, path, status):
    assert closer.post(LIST + path.format(pk=a_break().pk), {"reason": REASON}).status_code == status


@pytest.mark.parametrize("permissions", [["view_break"], ["view_break", "change_break"], ["close_break"], []])
def test_the_permission_closes_and_no_other(client, permissions):
    client.force_login(staff("eve", *permissions))
    row = missing()

    assert close(client, row, "expired").status_code == 403

    assert row.events.count() == 1
    assert_history(row.order, "received sent accepted")


def test_strangers_are_sent_to_the_login(client):
    row = a_break()

    assert "/admin/login/" in close(client, row, "close").url
    assert row.events.count() == 1


@pytest.mark.parametrize("path", ["add/", "{pk}/delete/"])
def test_nothing_is_added_or_deleted(client, path):
    client.force_login(User.objects.create(username="root", is_staff=True, is_superuser=True))

    assert client.post(LIST + path.format(pk=a_break().pk)).status_code == 403


def test_nothing_else_can_be_edited(client):
    client.force_login(User.objects.create(username="root", is_staff=True, is_superuser=True))
    row = a_break()

    response = client.post(f"{LIST}{row.pk}/change/", {"actual": "nothing", "closed_by": "nobody"})

    assert response.status_code == 403
    row.refresh_from_db()
    assert (row.actual, row.closed_by) == ("6", "")


# The first page and the runs


def test_the_first_page_counts_them(closer):
    text = closer.get("/admin/").content.decode()
    assert "None: the books agree" in text

    first, second = a_break(), a_break(severity=Severity.WARNING)
    text = closer.get("/admin/").content.decode()

    assert "2 open breaks: a person should look" in text
    for row in (first, second):
        assert f"{LIST}{row.pk}/change/" in text


def test_the_first_page_shows_them_to_those_who_may_look(client):
    client.force_login(staff("eve", "view_order"))
    a_break()

    assert "open break" not in client.get("/admin/").content.decode()


def test_runs(closer):
    broker_account()
    waiting = runs.request(GATEWAY, by="schedule")
    text = closer.get("/admin/orders/reconciliationrun/").content.decode()
    assert "waiting" in text

    run = runs.take_up(GATEWAY)
    assert run == waiting
    assert "running" in closer.get("/admin/orders/reconciliationrun/").content.decode()
    kept = register.Kept()
    kept.opened["MISSING_AT_BROKER"] += 2
    runs.complete(run, kept, compared={"orders": 1200, "executions": 0})
    text = closer.get("/admin/orders/reconciliationrun/").content.decode()

    assert "2 Missing at broker" in text
    assert "1,200 orders" in text
    assert "Complete" in text
    assert closer.get(f"/admin/orders/reconciliationrun/{run.pk}/change/").status_code == 200


def test_accounts_of_breaks_need_not_be_known(closer):
    """A broker may list an order of an account that nobody has heard of."""
    assert ACCOUNT in page(closer, a_break())
