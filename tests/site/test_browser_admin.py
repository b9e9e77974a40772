"""The admin and the two pages of the API's documentation, in a real browser.

SCREENSHOTS=docs/images pytest tests/site/test_browser_admin.py     also writes the pictures of the documentation
"""

import os
import shutil
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from math import sin
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection, connections
from django.urls import reverse
from django.utils import timezone
from django_otp.oath import totp
from django_otp.plugins.otp_totp.models import TOTPDevice
from playwright.sync_api import Error, expect, sync_playwright

from accounts.access import credentials
from accounts.access import register as key_register
from accounts.access.models import ApiKey, ApiKeyUse, Scope
from accounts.halts.models import Halt
from accounts.models import GatewaySession
from accounts.snapshots.models import AccountSnapshot
from audit.models import Entry
from audit.note import Signer
from audit.signing import Notary
from orders import intake
from orders.breaks import register
from orders.breaks.books import Comparison, Point
from orders.breaks.models import PositionAnchor
from orders.breaks.vocabulary import BreakKind, Severity, Source
from orders.vocabulary import OrderType, Side
from tests.orders.builders import session_row
from tests.orders.factories import advance, asked, at, bracket, broker_account, execute, external_order, order_in, place

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PASSWORD = "correct horse battery"
VIOLATIONS = """document.addEventListener("securitypolicyviolation", event =>
    window.violated(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`))"""
PATIENCE_MS = 20_000  # a busy machine renders slowly


def launch(playwright, *more: str):
    """The system's Chromium, or Playwright's own."""
    installed = next(filter(None, map(shutil.which, BROWSERS)), None)
    try:
        return playwright.chromium.launch(executable_path=installed, args=[*QUIET, *more])
    except Error as problem:
        if os.environ.get("REQUIRE_BROWSER") == "1":
            raise
        names = ", ".join(BROWSERS)
        pytest.skip(f"no browser that starts: neither {names} nor Playwright's own ({str(problem).splitlines()[0]})")


@pytest.fixture(scope="module")
def chromium(django_db_setup):
    # Playwright keeps a loop in this thread. Inside it Django would not let tests write rows, and has connections of
    # its own: the test database is created before, and they are closed after.
    with sync_playwright() as playwright:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
            browser = launch(playwright)
            yield browser
            browser.close()
            connections.close_all()


@pytest.fixture
def page(chromium, live_server):
    """A page on which nothing may go wrong: no console error, no failed answer, no other host."""
    context = chromium.new_context(base_url=live_server.url, viewport={"width": 1600, "height": 900})
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    home, troubles = urlsplit(live_server.url).netloc, []

    def look_at_request(request):
        address = urlsplit(request.url)
        if address.scheme not in ("data", "blob") and address.netloc != home:
            troubles.append(f"asks another host: {request.url}")

    def look_at_response(response):
        if response.status >= 400:
            troubles.append(f"{response.status} {response.url}")

    # Chromium tells of most violations in the console; this tells of all.
    context.expose_function("violated", lambda what: troubles.append(f"violates the policy: {what}"))
    context.add_init_script(VIOLATIONS)
    context.on("request", look_at_request)
    context.on("response", look_at_response)
    page.on("console", lambda message: message.type == "error" and troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    yield page
    context.close()
    assert troubles == []


@pytest.fixture
def reviewer(page):
    User.objects.create_superuser("reviewer", password=PASSWORD)
    page.goto("/admin/")
    page.get_by_label("Username").fill("reviewer")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Broker session")).to_be_visible()
    return page


class Clock:
    """Makes things happen one after the other, in the past."""

    def __init__(self, start: datetime):
        self.now = start

    def after(self, seconds, action, *args, **kwargs):
        self.now += timedelta(seconds=seconds)
        with at(self.now):
            return action(*args, **kwargs)


def a_morning():
    """Orders of all sorts; returns the one with the longest story."""
    clock = Clock(timezone.now() - timedelta(minutes=18))
    clock.after(0, order_in, "FILLED", symbol="NVDA", quantity=50, limit_price=Decimal("187.35"), order_ref="open_nvda")
    legs = clock.after(90, bracket, symbol="QCOM", quantity=25, order_ref="swing_0042")
    for kind in ("SENT", "ACCEPTED"):
        legs = [clock.after(0.1, advance, leg, kind) for leg in legs]
    clock.after(12, advance, legs[0], "FILL")
    clock.after(
        200, order_in, "REJECTED", symbol="TSLA", quantity=9000, limit_price=Decimal("412.5"), order_ref="too_big"
    )
    clock.after(150, external_order, symbol="JNJ", quantity=40)
    clock.after(120, order_in, "CANCELED", symbol="AAPL", quantity=100, order_ref="my_trade_006", side=Side.SELL)
    clock.after(60, order_in, "IN_DOUBT", symbol="AMD", quantity=200, limit_price=Decimal("162.4"), order_ref="dip_amd")
    stop = {"order_type": OrderType.STOP, "stop_price": Decimal("68.5"), "side": Side.SELL}
    clock.after(60, order_in, "EXPIRED", symbol="KO", quantity=10, **stop)

    body = '{"symbol":"AAPL","action":"BUY","quantity":100,"limit_price":150.25,"order_ref":"my_trade_001"}'
    request = clock.after(300, place, symbol="AAPL", quantity=100, order_ref="my_trade_001", request=asked(body))
    order = clock.after(0.021, advance, request.orders.get(), "SENT")
    order = clock.after(0.048, advance, order, "ACCEPTED")
    answer = {"status": "✅ Limit order sent", "permId": order.perm_id}
    clock.after(0.012, intake.answer, request, status_code=200, body=answer)
    order = clock.after(2.3, execute, order, quantity=40, price="150.21", commission="0.40")
    order = clock.after(1.1, execute, order, quantity=35, price="150.25", commission="0.35")
    clock.after(30, order_in, "NEW", symbol="AAPL", quantity=10, order_ref="my_trade_002")
    GatewaySession.objects.update(heard_at=timezone.now() + timedelta(minutes=1))  # the worker is well, all the time
    return order


def shoot(page, name):
    """Write a picture for the documentation, when asked to."""
    directory = os.environ.get("SCREENSHOTS")
    if directory:
        page.screenshot(path=Path(directory) / f"{name}.png", animations="disabled")


def test_an_order_as_it_was_known(reviewer):
    """From an event to what was known then, and by a time that is typed in."""
    order = a_morning()
    accepted = order.events.get(kind="ACCEPTED")
    reviewer.goto(f"/admin/orders/order/{order.pk}/change/")

    reviewer.locator(f"#event-{accepted.sequence}").get_by_role("link", name="as known then").click()

    then = reviewer.locator("#then")
    expect(then.get_by_role("heading", name="As it was known at")).to_be_visible()
    expect(then.locator(".facts")).to_contain_text("New")
    expect(then.get_by_text("Came on record later")).to_be_visible()
    then.get_by_label("Time (UTC)").fill("2020-01-15T12:00:00.000")
    then.get_by_role("button", name="Show").click()
    expect(then.get_by_role("alert")).to_contain_text("was not on record at 2020-01-15T12:00:00")
    then.get_by_role("link", name="back to now").click()
    expect(then.get_by_role("heading", name="As it was known at an earlier time")).to_be_visible()


def test_review_of_an_order(reviewer, notary):
    order = a_morning()
    notary.sign()
    page = reviewer

    page.goto("/admin/")
    expect(page.locator(".alarm")).to_contain_text("AMD")
    page.set_viewport_size({"width": 1600, "height": 1500})  # the whole page: it scrolls within
    shoot(page, "admin-overview")
    page.set_viewport_size({"width": 1600, "height": 900})

    page.locator('a[href="/admin/orders/order/"]').first.click()
    rows = page.locator("#result_list tbody tr")
    expect(rows).to_have_count(11)
    expect(page.locator("#result_list .badge-in_doubt")).to_be_visible()
    shoot(page, "admin-orders")

    page.locator("#changelist a", has_text="Filters").click()
    page.get_by_label("Filled", exact=True).check()
    page.get_by_label("Partially filled").check()
    page.get_by_role("button", name="Apply filters").click()
    expect(rows).to_have_count(3)

    page.goto("/admin/orders/order/")
    page.get_by_role("textbox").first.fill(str(order.perm_id))
    page.keyboard.press("Enter")
    expect(rows).to_have_count(1)

    page.set_viewport_size({"width": 1320, "height": 1600})
    rows.get_by_role("link").first.click()
    expect(page.locator(".timeline > li")).to_have_count(5)
    raw = page.locator("#event-4 .raw-fields")
    expect(raw).to_be_hidden()
    page.locator("#event-4").get_by_text("The broker's message: execDetails (11)").click()
    expect(raw).to_be_visible()
    expect(raw).to_contain_text(order.executions.order_by("pk").first().exec_id)
    shoot(page, "admin-order")


def a_doubt():
    """An order whose connection died after it was sent."""
    clock = Clock(timezone.now() - timedelta(minutes=4))
    request = clock.after(0, place, symbol="AMD", quantity=200, limit_price=Decimal("162.4"), order_ref="dip_amd")
    known = {"digest": sha256(b"a ticket").hexdigest(), "trading_day": f"{clock.now:%Y-%m-%d}"}
    order = clock.after(0.02, advance, request.orders.get(), "SENT", **known)
    reason = "sent, and neither among the broker's open or completed orders nor its executions"
    order = clock.after(2.4, advance, order, "IN_DOUBT", reason=reason)
    asked_twice = "it was not asked for 2 times over 30 s of a quiet link yet"
    offered = f"the gateway offered order id {order.broker_order_id + 1}, as if it had seen {order.broker_order_id}"
    order = clock.after(
        1.3, advance, order, "STILL_IN_DOUBT", rounds=1, settled_seconds=1, doubts=[asked_twice, offered]
    )
    return clock.after(30.2, advance, order, "STILL_IN_DOUBT", rounds=4, settled_seconds=31, doubts=[offered])


def test_a_doubt_is_decided(reviewer):
    order = a_doubt()
    page = reviewer
    page.set_viewport_size({"width": 1320, "height": 1250})

    page.goto("/admin/")
    page.get_by_role("link", name="1 order in doubt: a person must decide").click()
    page.locator("#result_list tbody a").first.click()
    expect(page.get_by_role("alert")).to_contain_text("In doubt.")
    expect(page.locator(".since li")).to_have_count(3)
    placed = page.locator("form#placed")
    placed.get_by_label("permId").fill("1788680612")
    placed.get_by_label("Reason").fill("too short")
    placed.get_by_label("I saw it at the broker").check()
    placed.get_by_role("button", name="It was placed").click()
    expect(placed.locator(".alarm")).to_contain_text("Say in 10 to 500 characters")

    page.goto(page.url)  # what a reload without sending it again does
    placed.get_by_label("permId").fill("1788680612")
    placed.get_by_label("Reason").fill("TWS lists it as working, with our stamp, Order Ref column")
    placed.get_by_label("I saw it at the broker").check()
    shoot(page, "admin-in-doubt")
    placed.get_by_role("button", name="It was placed").click()

    expect(page.get_by_text("Recorded: It was placed. The order is New now.")).to_be_visible()
    expect(page.locator("form#placed")).to_have_count(0)
    expect(page.locator("#event-6")).to_contain_text("by user:reviewer")
    order.refresh_from_db()
    assert (order.status, order.perm_id) == ("NEW", 1788680612)


def some_breaks():
    """A morning with differences; the order that the broker lists no more."""
    clock = Clock(timezone.now() - timedelta(hours=26))
    lost = clock.after(0, order_in, "NEW", symbol="AMD", quantity=200, order_ref="dip_amd")
    part = clock.after(60, order_in, "PARTIALLY_FILLED", symbol="NVDA", quantity=50, order_ref="open_nvda")
    common = {"account": lost.account_id, "order_pk": None}
    missing = Point(
        **common | {"order_pk": lost.pk}, kind=BreakKind.MISSING_AT_BROKER, key=f"order {lost.pk}", symbol="AMD",
        subject=f"Order {lost.perm_id}", expected="New", actual="not listed", severity=Severity.WARNING,
    )  # fmt: skip
    filled = Point(
        **common | {"order_pk": part.pk}, kind=BreakKind.QUANTITY, key=f"order {part.pk} filled", symbol="NVDA",
        subject=f"Filled quantity of order {part.perm_id}", expected=Decimal(25), actual=Decimal(40),
    )  # fmt: skip
    held = Point(
        **common, kind=BreakKind.POSITION, key="DU1000001 contract 8314", symbol="IBM",
        subject="Position in IBM", expected=Decimal(100), actual=Decimal(140), con_id=8314, security_type="STK",
    )  # fmt: skip
    clock.after(0, PositionAnchor.objects.create, account=lost.account, taken_at=clock.now)
    clock.after(22 * 3600, register.keep, Comparison(differences=(missing,)), source=Source.BROKER)
    clock.after(3 * 3600, register.keep, Comparison(differences=(missing, filled)), source=Source.BROKER)
    clock.after(300, register.keep, Comparison(differences=(missing, filled, held)), source=Source.BROKER)
    GatewaySession.objects.update(heard_at=timezone.now() + timedelta(minutes=1))
    return lost


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_breaks_are_a_work_list(reviewer, scheme):
    lost = some_breaks()
    page = reviewer
    page.emulate_media(color_scheme=scheme)
    page.goto("/admin/")
    page.evaluate(f"localStorage.setItem('_x_adminTheme', '\"{scheme}\"')")
    page.reload()
    expect(page.get_by_role("heading", name="Breaks")).to_be_visible()
    page.get_by_role("link", name="3 open breaks: a person should look").click()

    rows = page.locator("#result_list tbody tr")
    expect(rows).to_have_count(3)
    # The gravest first, and of those the oldest.
    expect(rows.nth(0)).to_contain_text("Filled quantity of order")
    expect(rows.nth(1)).to_contain_text("Position in IBM")
    expect(rows.nth(2)).to_contain_text("not listed")
    shoot(page, f"admin-breaks{'-dark' * (scheme == 'dark')}")

    rows.nth(2).get_by_role("link").first.click()
    expect(page.get_by_role("heading", name="What to do")).to_be_visible()
    form = page.locator("form#expired")
    form.get_by_label("Reason").fill("too short")
    form.get_by_role("button", name="The order expired").click()
    expect(form.locator(".alarm")).to_contain_text("Say in 10 to 500 characters")
    form.get_by_label("Reason").fill("Statement of that day: day order, expired at the close")
    page.set_viewport_size({"width": 1320, "height": 1150})
    shoot(page, f"admin-break{'-dark' * (scheme == 'dark')}")
    form.get_by_role("button", name="The order expired").click()

    expect(page.get_by_text("Recorded: The order expired. The break is closed.")).to_be_visible()
    expect(page.locator("#event-2")).to_contain_text("by user:reviewer")
    expect(page.locator("form#expired")).to_have_count(0)
    lost.refresh_from_db()
    assert lost.status == "EXPIRED"

    page.goto("/admin/orders/break/")
    expect(rows).to_have_count(2)
    rows.nth(1).get_by_role("link").first.click()
    page.locator("form#explained").get_by_label("Reason").fill("40 shares came in by transfer")
    page.get_by_role("button", name="It is explained").click()
    expect(page.get_by_text("The break is closed.")).to_be_visible()
    page.goto("/admin/orders/break/")
    page.locator("#changelist a", has_text="Filters").click()
    page.get_by_label("Closed by a person, still different").check()
    page.get_by_role("button", name="Apply filters").click()
    expect(rows).to_have_count(2)


@pytest.mark.parametrize("path", ["orders/execution", "orders/orderrequest", "accounts/gatewaysession", "auth/user"])
def test_every_list_leads_to_pages(reviewer, path):
    order_in("FILLED")

    reviewer.goto(f"/admin/{path}/")
    reviewer.locator("#result_list tbody a").first.click()

    expect(reviewer.locator("#content-main")).to_be_visible()
    assert urlsplit(reviewer.url).path.endswith("/change/")


@pytest.fixture
def notary(tmp_path, settings):
    signer = Signer("test/orders", bytes(32))
    settings.AUDIT_PUBLIC_KEYS = tmp_path / "public_keys"
    settings.AUDIT_PUBLIC_KEYS.write_text(f"{signer.verifier}\n")
    return Notary(signer, [signer.verifier], [], memory=tmp_path / "last_signed")


def in_scheme(page, scheme, path):
    """The page in light or dark."""
    page.emulate_media(color_scheme=scheme)
    page.goto("/admin/")
    page.evaluate(f"localStorage.setItem('_x_adminTheme', '\"{scheme}\"')")
    page.goto(path)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_first_page_tells_of_today(reviewer, scheme):
    for status in ("FILLED", "FILLED", "CANCELED", "REJECTED", "NEW"):
        order_in(status)
    execute(order_in("NEW", side=Side.SELL), quantity=4)

    in_scheme(reviewer, scheme, "/admin/")

    orders, fills = reviewer.locator("#orders-today"), reviewer.locator("#fills-today")
    expect(orders.get_by_role("heading")).to_have_text("Orders today (UTC): 6")
    expect(orders.get_by_role("link", name="Filled 2")).to_be_visible()
    expect(orders.locator("rect")).to_have_count(4)
    expect(fills.get_by_role("heading")).to_have_text("Fills today (UTC): 3")
    expect(fills.get_by_role("link", name="sell 1")).to_be_visible()
    shoot(reviewer, f"first-page-{scheme}")
    orders.get_by_role("link", name="Filled 2").click()
    expect(reviewer.locator("#result_list tbody tr")).to_have_count(2)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_story_of_a_bracket_and_its_badge(reviewer, notary, scheme):
    entry, stop, target = bracket(order_ref="swing_0042")
    entry = advance(advance(entry, "SENT"), "ACCEPTED")
    entry = execute(entry, quantity=4)
    notary.sign()
    reviewer.set_viewport_size({"width": 1320, "height": 1400})
    path = f"/admin/orders/order/{entry.pk}/change/"

    in_scheme(reviewer, scheme, path)

    expect(reviewer.locator(".badge-verified")).to_contain_text("Verified up to entry")
    expect(reviewer.locator(".steps li")).to_have_count(4)
    expect(reviewer.locator(".steps li").nth(1)).to_contain_text("ms later")
    legs = reviewer.locator("section", has=reviewer.get_by_role("heading", name="All legs of the request"))
    expect(legs.locator("tbody tr")).to_have_count(3)
    expect(legs.locator("tr[aria-current]")).to_contain_text("(this one)")
    for leg in (stop, target):
        expect(legs.locator(f'a[href="/admin/orders/order/{leg.pk}/change/"]')).to_be_visible()
    shoot(reviewer, f"order-{scheme}")

    raw = reviewer.locator("#event-4 .raw-fields")
    expect(raw).to_be_hidden()
    reviewer.locator("#event-4 details.raw summary").focus()
    reviewer.keyboard.press("Enter")
    expect(raw).to_be_visible()

    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(
            "UPDATE orders_orderevent SET actor = 'mallory' WHERE order_id = %s AND sequence = 4", [entry.pk]
        )
        cursor.execute("SET session_replication_role = origin")
    reviewer.goto(path)
    expect(reviewer.locator(".badge-broken")).to_be_visible()
    expect(reviewer.get_by_role("alert")).to_contain_text("(order event): the record says something else now")
    shoot(reviewer, f"order-broken-{scheme}")


TURNING = "\N{RIGHT-TO-LEFT OVERRIDE}\N{HEBREW LETTER SHIN}\N{HEBREW LETTER LAMED}txt.exe"


def is_isolated(text):
    """Whether what it turns ends with it."""
    expect(text).to_be_visible()
    return text.evaluate("text => getComputedStyle(text).unicodeBidi") == "isolate"


def test_a_text_from_right_to_left_turns_nothing_but_itself(reviewer):
    order = advance(advance(order_in("RECEIVED", order_ref=TURNING), "SENT"), "REJECTED", reason=TURNING)

    reviewer.goto(f"/admin/orders/order/{order.pk}/change/")

    assert is_isolated(reviewer.locator(".facts dd", has_text=TURNING).first)
    assert is_isolated(reviewer.locator("#event-3 p", has_text=TURNING))
    expect(reviewer.locator("pre").first).to_contain_text(r'"order_ref": "\u202e')
    reviewer.set_viewport_size({"width": 1320, "height": 1400})
    shoot(reviewer, "order-right-to-left")


def test_what_came_later_turns_nothing_but_itself(reviewer):
    with at(timezone.now() - timedelta(minutes=5)):
        order = advance(order_in("RECEIVED"), "SENT")
    then = f"{order.received_at + timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}"
    advance(order, "REJECTED", reason=TURNING)

    reviewer.goto(f"/admin/orders/order/{order.pk}/change/?as_of={then}")

    assert is_isolated(reviewer.locator(".then .since li bdi", has_text=TURNING))
    shoot(reviewer.locator("#then"), "later-right-to-left")


def test_the_first_page_is_not_turned(reviewer):
    order = advance(order_in("RECEIVED", order_ref=TURNING, symbol="AMD"), "SENT")
    order = advance(order, "IN_DOUBT", reason=TURNING)
    differing = Point(
        account=order.account_id, order_pk=order.pk, kind=BreakKind.STATUS, key=f"order {order.pk}", symbol="AMD",
        subject=f"Order {TURNING}", expected=TURNING, actual=TURNING, severity=Severity.WARNING,
    )  # fmt: skip
    register.keep(Comparison(differences=(differing,)), source=Source.BROKER)
    register.keep(Comparison(differences=(differing,)), source=Source.BROKER)
    Halt.objects.create(
        scope="SYMBOL", value="IBM", reason=TURNING, halted_by=f"user:{TURNING}", halted_at=timezone.now()
    )

    reviewer.goto("/admin/")

    for panel, count in (("#halts", 2), ("#in-doubt", 1), ("#breaks", 3), ("#latest-orders", 1)):
        turning = reviewer.locator(f"{panel} bdi", has_text=TURNING)
        expect(turning).to_have_count(count)
        assert all(is_isolated(each) for each in turning.all())
    shoot(reviewer, "first-page-right-to-left")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1320, 390])
def test_the_steps_of_an_order_from_asked_to_answered(reviewer, scheme, width):
    order = a_morning()
    reviewer.set_viewport_size({"width": width, "height": 900})

    in_scheme(reviewer, scheme, f"/admin/orders/order/{order.pk}/change/")

    steps = reviewer.locator(".steps li")
    names = ["Asked", "Claimed and sent", "Acknowledged", "Answered", "First fill"]
    assert steps.get_by_role("link").all_inner_texts() == names
    expect(steps.nth(3)).to_contain_text("12 ms later")
    assert reviewer.evaluate(
        "document.querySelector('.steps').scrollWidth <= document.querySelector('.steps').clientWidth"
    )
    shoot(reviewer.locator("section", has=steps.first), f"steps-{scheme}-{width}")
    steps.nth(3).get_by_role("link").click()
    expect(reviewer.locator("#requests")).to_be_in_viewport()


def tab_to(page, element):
    """Press Tab until that has the focus, which must be seen."""
    expect(element).to_be_visible()
    for _ in range(200):
        page.keyboard.press("Tab")
        if element.evaluate("element => element === document.activeElement"):
            outline = element.evaluate("element => getComputedStyle(element).outlineStyle")
            assert outline == "solid", f"{element} is not seen to have the focus"
            return
    raise AssertionError(f"no Tab leads to {element}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_doubt_is_decided_without_a_mouse(reviewer, scheme):
    order = a_doubt()
    page = reviewer
    page.set_viewport_size({"width": 1320, "height": 1250})
    in_scheme(page, scheme, "/admin/")

    tab_to(page, page.get_by_role("link", name="1 order in doubt: a person must decide"))
    page.keyboard.press("Enter")
    tab_to(page, page.locator("#result_list tbody th a"))
    page.keyboard.press("Enter")
    form = page.locator("form#placed")
    tab_to(page, form.get_by_label("permId"))
    page.keyboard.type("1788680612")
    tab_to(page, form.get_by_label("Reason"))
    page.keyboard.type("TWS lists it as working, with our stamp")
    shoot(page, f"keyboard-{scheme}")
    tab_to(page, form.get_by_label("I saw it at the broker"))
    page.keyboard.press("Space")
    tab_to(page, form.get_by_role("button", name="It was placed"))
    page.keyboard.press("Enter")

    expect(page.get_by_text("Recorded: It was placed. The order is New now.")).to_be_visible()
    order.refresh_from_db()
    assert (order.status, order.perm_id) == ("NEW", 1788680612)


@pytest.mark.parametrize("auth", ["loopback", "keys"])
def test_an_export_is_a_file_and_stands_in_the_trail(reviewer, settings, auth):
    """With the login of the admin alone, however the API is guarded."""
    settings.API_AUTH = auth
    order_in("FILLED", order_ref="=cmd()", symbol="MSFT")
    order_in("NEW", order_ref="another")
    reviewer.goto("/admin/orders/order/?symbol=MSFT")
    expect(reviewer.get_by_text("Export these as")).to_be_visible()
    shoot(reviewer, "admin-export")

    with reviewer.expect_download() as download:
        reviewer.get_by_role("link", name="CSV").click()
    with reviewer.expect_download() as lines:
        reviewer.get_by_role("link", name="JSON lines").click()

    text = Path(download.value.path()).read_text()
    assert download.value.suggested_filename == "orders.csv"
    assert "'=cmd()" in text
    assert "another" not in text
    assert '"order_ref":"=cmd()"' in Path(lines.value.path()).read_text()
    assert lines.value.suggested_filename == "orders.jsonl"
    assert Entry.objects.filter(chain="site", kind="export").count() == 2


def test_events_of_an_order_are_reached_from_its_page(reviewer, settings, monkeypatch):
    settings.API_AUTH = "keys"
    monkeypatch.setattr("orders.admin.FIRST_EVENTS", 2)
    monkeypatch.setattr("orders.admin.LAST_EVENTS", 1)
    order = a_morning()
    reviewer.goto(f"/admin/orders/order/{order.pk}/change/")

    reviewer.get_by_role("link", name="All of them").click()

    expect(reviewer.locator("#result_list tbody tr")).to_have_count(5)
    shoot(reviewer, "admin-events")
    reviewer.locator("#result_list tbody th a").first.click()
    expect(reviewer.locator(".timeline > li")).to_have_count(1)
    shoot(reviewer, "admin-event")


def test_a_hostile_reference_stays_text(reviewer):
    reference = "<script>document.title = 'owned'</script><img src=x onerror=\"document.title = 'owned'\">"
    order = order_in("NEW", order_ref=reference)

    for path in ("", f"{order.pk}/change/"):
        reviewer.goto(f"/admin/orders/order/{path}")
        expect(reviewer.get_by_text(reference, exact=True).first).to_be_visible()
        assert "owned" not in reviewer.title()


LISTS = sorted(model._meta.label_lower.replace(".", "/") for model in admin.site._registry)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_of_the_admin_does_what_its_policy_forbids(reviewer, theme):
    """Every list and its filters, a row of each, the forms of users, groups, keys and limits."""
    a_morning()
    reviewer.emulate_media(color_scheme=theme)
    user = User.objects.get(username="reviewer").pk
    pages = [f"/admin/{name}/" for name in LISTS]
    pages += ["/admin/auth/user/add/", f"/admin/auth/user/{user}/password/", "/admin/auth/group/add/"]
    pages += [f"/admin/auth/user/{user}/delete/", "/admin/password_change/"]
    pages += ["/admin/accounts/apikey/create/", "/admin/accounts/limitversion/set/"]
    pages.append(reverse("admin:orders_fleximport_import_statement"))

    for path in pages:
        reviewer.goto(path)
        expect(reviewer.locator("html.dark")).to_have_count(1 if theme == "dark" else 0)
        filters = reviewer.locator("#changelist a", has_text="Filters")
        if filters.count():
            filters.first.click()
            expect(reviewer.locator("#changelist-filter")).to_be_visible()
        first = reviewer.locator("#result_list tbody th a")
        if first.count():
            reviewer.goto(first.first.get_attribute("href"))
            expect(reviewer.locator("#content-main")).to_be_visible()
    shoot(reviewer, f"admin-last-{theme}")


def test_a_script_that_gets_into_a_page_does_not_run(chromium, live_server):
    """What a browser does under the admin's policy, however the script came in."""
    context = chromium.new_context(base_url=live_server.url)
    page = context.new_page()
    policy = context.request.get("/admin/login/").headers["content-security-policy"]
    hostile = "<title>safe</title><script>document.title = 'owned'</script><p onclick=\"document.title = 'owned'\">me"

    def answer(headers):
        page.route("**/hostile", lambda route: route.fulfill(content_type="text/html", body=hostile, headers=headers))
        page.goto("/hostile")
        page.get_by_text("me").click()
        return page.title()

    assert answer({}) == "owned"
    assert answer({"Content-Security-Policy": policy}) == "safe"
    context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_second_factor_is_set_up_and_asked_for(reviewer, theme):
    reviewer.emulate_media(color_scheme=theme)
    reviewer.goto("/admin/second-factor/enrol/")
    expect(reviewer.locator(".qr-code svg")).to_be_visible()
    shoot(reviewer, f"admin-second-factor-{theme}")
    device = TOTPDevice.objects.get()
    reviewer.get_by_label("Code").fill(f"{totp(device.bin_key):06d}")
    reviewer.get_by_role("button", name="Use it from now on").click()
    codes = reviewer.locator(".codes code")
    expect(codes).to_have_count(10)
    recovery = codes.first.inner_text()
    shoot(reviewer, f"admin-recovery-codes-{theme}")

    reviewer.context.clear_cookies()
    reviewer.goto("/admin/")
    reviewer.get_by_label("Username").fill("reviewer")
    reviewer.get_by_label("Password").fill(PASSWORD)
    reviewer.get_by_role("button", name="Log in").click()
    reviewer.get_by_label("Code").fill(recovery)
    reviewer.get_by_role("button", name="Go on").click()

    expect(reviewer.get_by_role("heading", name="Broker session")).to_be_visible()


def test_swagger_ui(page):
    page.goto("/docs")

    expect(page.locator(".swagger-ui .info .title")).to_contain_text("IBKR Order Gateway")


def test_swagger_ui_sends_a_key(page, settings):
    settings.API_AUTH = "keys"
    session_row()
    key, credential = key_register.create(name="notebook", grants={Scope.READ: ["*"]}, actor="SYSTEM")
    page.goto("/docs")

    page.get_by_role("button", name="Authorize").first.click()
    page.get_by_label("auth-bearer-value").fill(credential.text)
    page.locator(".auth-btn-wrapper").get_by_role("button", name="Apply credentials").click()
    page.get_by_role("button", name="Close").click()
    page.locator("#operations-Orders_and_executions-executions, [id$='-executions']").first.click()
    page.get_by_role("button", name="Try it out").click()
    with page.expect_response("**/executions*") as heard:
        page.get_by_role("button", name="Execute").click()

    assert heard.value.status == 200
    assert heard.value.request.header_value("authorization") == f"Bearer {credential.text}"
    assert ApiKeyUse.objects.get().key == key


def test_a_key_is_made_and_shown_once(reviewer):
    reviewer.goto("/admin/accounts/apikey/")
    reviewer.get_by_role("link", name="Create a key").click()
    reviewer.get_by_label("Name").fill("notebook")
    reviewer.get_by_label("May read in").fill("*")
    reviewer.get_by_role("button", name="Create", exact=True).click()

    secret = reviewer.locator("#secret").inner_text()
    assert credentials.parse(secret).matches(ApiKey.objects.get().digest)
    reviewer.get_by_role("link", name="To the key").click()
    expect(reviewer.get_by_text("notebook").first).to_be_visible()
    assert secret not in reviewer.content()
    reviewer.get_by_role("link", name="Revoke").click()
    reviewer.get_by_role("button", name="Revoke").click()
    expect(reviewer.get_by_text("revoked", exact=True).first).to_be_visible()


def test_redoc(page):
    page.goto("/redoc")

    expect(page.get_by_role("heading", name="IBKR Order Gateway").first).to_be_visible()
    page.wait_for_load_state("networkidle")
    expect(page.get_by_alt_text("redocly logo")).to_have_count(0)  # an image of another host


def a_week():
    """Snapshots of a week, with a weekend in it, and a session that is away."""
    account, now = broker_account(), timezone.now()
    moments = [now - timedelta(minutes=15 * n) for n in range(7 * 96) if not 200 < n < 320]
    AccountSnapshot.objects.bulk_create(
        AccountSnapshot(
            account=account,
            due_at=moment,
            taken_at=moment,
            as_of=moment,
            epoch=1,
            connection=1,
            currency="USD",
            net_liquidation=Decimal(200_000) + 1500 * Decimal(sin(number / 60)).quantize(Decimal("0.01")) - number,
            position_count=1,
            position_value=Decimal(40_000) + 900 * Decimal(sin(number / 25)).quantize(Decimal("0.01")),
        )
        for number, moment in enumerate(moments)
    )
    apple = {"con_id": 265598, "symbol": "AAPL", "security_type": "STK", "currency": "USD"}
    latest = AccountSnapshot.objects.latest("taken_at")
    latest.positions.create(**apple, quantity=170, market_price=Decimal("231.3"), market_value=Decimal(39321))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_charts_of_an_account(reviewer, theme):
    a_week()
    page = reviewer
    page.emulate_media(color_scheme=theme)

    page.goto("/admin/accounts/accountsnapshot/")
    page.get_by_role("link", name="Charts over time").click()
    page.get_by_role("link", name="Week").click()

    chart = page.get_by_role("img", name="Net liquidation")
    expect(chart).to_be_visible()
    expect(chart.locator("polyline")).to_have_count(2)  # the weekend is a gap
    expect(page.get_by_role("img", name="Positions' market value")).to_be_visible()
    expect(page.get_by_role("cell", name="AAPL")).to_be_visible()
    line, ground = (
        page.evaluate("([of, what]) => getComputedStyle(document.querySelector(of))[what]", what)
        for what in (["svg .line", "stroke"], ["body", "backgroundColor"])
    )
    assert line not in ("none", ground)
    expect(page.locator("html.dark")).to_have_count(1 if theme == "dark" else 0)
    page.set_viewport_size({"width": 1320, "height": 1250})
    shoot(page, f"admin-snapshots-{theme}")


def test_a_session_that_is_away_says_what_to_do(reviewer):
    broker_account()
    since = timezone.now() - timedelta(minutes=9)
    away = {"state": "DISCONNECTED", "cause": "NOT_LISTENING", "reason": "nothing listens on 127.0.0.1:4002"}
    GatewaySession.objects.update(**away, away_since=since, owner_seen_at=timezone.now() + timedelta(minutes=1))
    page = reviewer

    page.goto("/admin/")

    alarm = page.get_by_role("alert")
    expect(alarm).to_contain_text("Critical. The gateway needs a login")
    expect(alarm).to_contain_text("Log in at the gateway's own window")
    shoot(page, "admin-away")


def test_limits_are_set(reviewer):
    page = reviewer
    broker_account()
    page.goto("/admin/accounts/limitversion/")
    page.get_by_role("link", name="DU1000001").first.click()
    page.get_by_label("Quantity per order").fill("100")
    page.get_by_label("Allowed symbols").fill("aapl, msft")
    page.get_by_label("Short selling").uncheck()
    page.get_by_label("Reason").fill("as agreed with the desk")
    page.get_by_role("button", name="Set these limits").click()

    expect(page.get_by_text("Recorded: version 1")).to_be_visible()
    expect(page.get_by_role("heading", name="In force: version 1")).to_be_visible()
    expect(page.get_by_label("Allowed symbols")).to_have_value("AAPL, MSFT")
    expect(page.get_by_label("Quantity per order")).to_have_value("100")
    expect(page.get_by_label("Short selling")).not_to_be_checked()
