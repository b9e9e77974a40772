"""The upload, who may do it, and the pages of what was imported."""

import html

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from orders.flex import uploads
from orders.flex.models import FlexImport, FlexTrade
from orders.models import Execution
from tests.orders.builders import session_row
from tests.orders.factories import execute, order_in
from tests.orders.flex.files import TRADE, flex_file, many_trades, of_trades, row, section, trade

pytestmark = pytest.mark.django_db
LIST = "/admin/orders/fleximport/"
UPLOAD = f"{LIST}import/"
PAGES = ["fleximport", "flextrade", "flexcash", "flexholding"]


def user(*permissions, **changes):
    person = User.objects.create(**{"username": "clerk", "is_staff": True} | changes)
    person.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return person


@pytest.fixture
def browser(client):
    session_row()
    client.force_login(user("view_fleximport", "import_flex"))
    return client


def upload(browser, data, *, name="statement.xml", content_type="text/xml", **options):
    file = SimpleUploadedFile(name, data, content_type=content_type)
    return browser.post(UPLOAD, {"statement": file}, follow=True, **options)


def text(response):
    assert response.status_code == 200
    return html.unescape(response.content.decode())


def test_a_statement(browser):
    response = upload(browser, of_trades(trade()))

    assert response.redirect_chain == [(f"{LIST}{FlexImport.objects.get().pk}/change/", 302)]
    page = text(response)
    assert "1 trades stored, 0 known already." in page
    assert "1 executions added to the record" in page
    assert "statement.xml" in page
    assert FlexImport.objects.get().imported_by == "user:clerk"
    assert Execution.objects.count() == 1


def test_again_changes_nothing(browser):
    upload(browser, of_trades(trade()))

    page = text(upload(browser, of_trades(trade()), name="copy.xml"))

    assert "This file was imported before" in page
    assert (FlexImport.objects.count(), FlexTrade.objects.count()) == (1, 1)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "line 1: is empty"),
        (b"\x89PNG\r\n\x1a\n", "line 1: is not UTF-8"),
        (b"a,b\n1,2\n", "line 1: is not a Flex statement"),
        (of_trades(trade(quantity="<script>alert(1)</script>")), "line 6: Trade: quantity='<script>alert(1)"),
        (of_trades(trade(), account="U1"), "is no account of this site"),
        (of_trades(trade())[:300], "ends in the middle"),
    ],
)
def test_a_refused_file_says_why_and_leaves_nothing(browser, data, said):
    response = upload(browser, data)

    assert "Refused, nothing was stored:" in text(response)
    assert said in text(response)
    assert b"<script>alert(1)" not in response.content
    assert not FlexImport.objects.exists()


@pytest.mark.parametrize("name", ["statement.exe", "../../etc/passwd", "s.xml" * 40, "x\u202egpj.xml"])
def test_the_name_of_a_file_does_not_matter(browser, name):
    upload(browser, of_trades(trade()), name=name, content_type="application/x-msdownload")

    assert FlexTrade.objects.count() == 1


def test_without_a_file(browser):
    assert "This field is required." in text(browser.post(UPLOAD, {}))
    assert "This field is required." in text(browser.post(UPLOAD, {"statement": "text"}))


def test_too_large_is_dropped_as_it_comes(browser, settings, monkeypatch):
    settings.FLEX_MAX_MEGABYTES = 1
    kept = []
    monkeypatch.setattr(uploads.LargestStatement, "receive_data_chunk", lambda _self, data, _start: kept.append(data))

    response = upload(browser, b" " * (2 * 1024 * 1024))

    assert "larger than FLEX_MAX_MEGABYTES allows" in text(response)
    assert kept == []
    assert not FlexImport.objects.exists()


@pytest.mark.parametrize(
    "permissions",
    [["view_fleximport"], ["import_flex"], ["view_flextrade", "add_fleximport", "change_fleximport"], []],
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_the_permission_is_its_own(client, permissions, method):
    session_row()
    client.force_login(user(*permissions))
    file = SimpleUploadedFile("s.xml", of_trades(trade()))

    assert getattr(client, method)(UPLOAD, {"statement": file} if method == "post" else {}).status_code == 403
    assert not FlexImport.objects.exists()


def test_nobody_without_a_login(client):
    assert client.post(UPLOAD).status_code == 302
    assert client.get(UPLOAD)["Location"].startswith("/admin/login/")


def test_not_from_another_site():
    session_row()
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user("view_fleximport", "import_flex"))

    assert upload(browser, of_trades(trade())).status_code == 403
    assert not FlexImport.objects.exists()

    browser.get(UPLOAD)
    token = browser.cookies["csrftoken"].value
    assert upload(browser, of_trades(trade()), headers={"X-CSRFToken": token}).status_code == 200
    assert FlexImport.objects.count() == 1


def test_the_way_to_the_form(browser):
    assert UPLOAD in text(browser.get(LIST))
    assert "multipart/form-data" in text(browser.get(UPLOAD))

    browser.force_login(user("view_fleximport", username="reader"))
    assert UPLOAD not in text(browser.get(LIST))


def test_the_page_of_an_import_shows_differences(browser):
    execute(order_in("NEW", quantity=10), quantity=10, price="229.95", exec_id=TRADE["ibExecID"])

    page = text(upload(browser, of_trades(trade(quantity="9"))))

    assert f"quantity: AAPL (265598) {TRADE['ibExecID']}: here 10, broker 9" in page


@pytest.fixture
def reviewer(client):
    client.force_login(user(username="reviewer", is_superuser=True))
    return client


@pytest.fixture
def stored(bring):
    return bring(
        flex_file(
            *section("Trades", many_trades(12)),
            *section("CashTransactions", [row("CashTransactions")]),
            *section("OpenPositions", [row("OpenPositions")]),
        )
    )


@pytest.mark.parametrize("page", PAGES)
def test_lists_and_pages(reviewer, stored, page):
    changelist = reviewer.get(f"/admin/orders/{page}/")
    rows = changelist.context["cl"].result_list
    assert rows

    assert reviewer.get(f"/admin/orders/{page}/{rows[0].pk}/change/").status_code == 200
    for filtered in ("?account=DU1000001", "?symbol=aapl", "?day=2026-01-15"):
        assert reviewer.get(f"/admin/orders/{page}/{filtered}").status_code in (200, 302)


@pytest.mark.parametrize("page", PAGES)
def test_pages_change_nothing(reviewer, stored, page):
    pk = reviewer.get(f"/admin/orders/{page}/").context["cl"].result_list[0].pk

    for address in (f"{page}/add/", f"{page}/{pk}/change/", f"{page}/{pk}/delete/"):
        assert reviewer.post(f"/admin/orders/{address}", {}).status_code == 403


def test_filters_find(reviewer, stored):
    def found(page, query):
        return len(reviewer.get(f"/admin/orders/{page}/{query}").context["cl"].result_list)

    assert found("flextrade", "?day=2026-01-15") == 12
    assert found("flextrade", "?day=2026-01-16") == 0
    assert found("flextrade", f"?q={FlexTrade.objects.first().exec_id}") == 1
    assert found("flexcash", "?day=2026-01-15") == 1
    assert found("flexholding", "?symbol=MSFT") == 0


def test_a_list_costs_the_same_however_long_it_is(reviewer, stored, bring):
    def cost():
        with CaptureQueriesContext(connection) as queries:
            reviewer.get("/admin/orders/flextrade/")
        return len(queries)

    cost()
    short = cost()
    bring(of_trades(*many_trades(40, first=100)))
    assert cost() == short


def test_the_first_page_leads_there(reviewer, stored):
    assert "/admin/orders/fleximport/" in text(reviewer.get("/admin/"))
