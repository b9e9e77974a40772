"""A page of another origin in a real browser, in which somebody is logged in to the admin: nothing gets in or out.

Three ways to be elsewhere: another port of this machine (the same site, so that cookies go with it), another name, and
another name that was pointed at us after the page was loaded (DNS rebinding; the browser takes us for the page's own).

SECURITY_SCREENSHOTS=directory pytest tests/security/test_page_elsewhere.py     also takes pictures of what they saw
"""

import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tests.site.test_browser_admin import PATIENCE_MS, launch

pytestmark = pytest.mark.browser

PAGE = Path(__file__).parent / "elsewhere.html"
EVIL, REBOUND = "evil.example", "rebound.example"
# What a page may see of an answer that is not its own: that there was one, or that there was none.
LEARNED_NOTHING = {"opaque", "TypeError", "SecurityError", "error", "nothing", "loaded", "closed", "0", "True"}
NOT_UNDERSTOOD = '400 {"detail": "This request is not understood'


class Elsewhere(BaseHTTPRequestHandler):
    """The web server of that page. Under the name that was rebound, the page's own requests come to the house."""

    house_port = 0  # of the house, where the name points by then

    def do_GET(self):
        if not self.path.startswith("/elsewhere.html"):
            return self.relay()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        return self.wfile.write(PAGE.read_bytes())

    def relay(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        lines = [self.requestline, *(f"{k}: {v}" for k, v in self.headers.items() if k != "Connection")]
        sent = "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + body
        with socket.create_connection(("127.0.0.1", self.house_port)) as house:
            house.sendall(sent)
            while piece := house.recv(65536):
                self.wfile.write(piece)

    do_POST = do_PUT = do_OPTIONS = relay

    def log_message(self, *_arguments):
        """Nobody reads it."""


@pytest.fixture(scope="module")
def elsewhere(target):
    """The port of that server."""
    handler = type("Rebound", (Elsewhere,), {"house_port": target.port})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture(scope="module")
def victim(target):
    """A browser in which somebody is logged in to the admin, and for which those names are this machine."""
    with sync_playwright() as playwright:
        browser = launch(playwright, f"--host-resolver-rules=MAP {EVIL} 127.0.0.1, MAP {REBOUND} 127.0.0.1")
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"{target.base}/admin/login/?next=/admin/")
        page.fill("[name=username]", "admin")
        page.fill("[name=password]", (target.directory / "admin_password").read_text().strip())
        page.click("button[type=submit]")
        page.wait_for_url(f"{target.base}/admin/")
        yield context
        browser.close()


def visit(victim, address: str, name: str) -> dict[str, str]:
    """What the page learned; {what it tried: what it saw}."""
    page = victim.new_page()
    page.goto(address)
    page.wait_for_function("document.title === 'done'", timeout=3 * PATIENCE_MS)
    if directory := os.environ.get("SECURITY_SCREENSHOTS"):
        page.screenshot(path=f"{directory}/{name}.png", full_page=True)
    seen = page.evaluate("seen")
    page.close()
    return {tried: str(what) for tried, what in seen.items()}


def refused_requests(target) -> int:
    return target.rows("SELECT count(*) FROM orders_orderrequest WHERE refusal <> ''")[0][0]


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", EVIL])
def test_a_page_elsewhere(target, seen, victim, elsewhere, name):
    refused = refused_requests(target)

    with seen.unchanged():
        learned = visit(victim, f"http://{name}:{elsewhere}/elsewhere.html?target={target.base}", name)

    assert len(learned) > 50
    assert {tried: what for tried, what in learned.items() if what not in LEARNED_NOTHING} == {}
    assert refused_requests(target) >= refused + 8, "what it posted without asking did come here, and was refused"


def test_a_name_that_was_pointed_at_us(seen, victim, elsewhere):
    here = f"http://{REBOUND}:{elsewhere}"

    with seen.unchanged():
        learned = visit(victim, f"{here}/elsewhere.html?target={here}", REBOUND)

    told = {what for tried, what in learned.items() if tried.startswith(("get", "post", "put"))}
    assert {what[: len(NOT_UNDERSTOOD)] for what in told} == {NOT_UNDERSTOOD}
    private = ("balance", "cash", "positions", "orders", "executions", "results", "csrf")
    assert not [what for what in learned.values() if any(f'"{word}"' in what for word in private)]
    assert learned["websocket"] == "error"


def test_the_admins_own_page_reads_what_they_could_not(target, victim):
    """So that the silence above is not that of a browser that cannot reach the house."""
    page = victim.new_page()
    page.goto(f"{target.base}/docs")

    assert page.evaluate("fetch('/account').then(answer => answer.status)") == 200
    page.close()
