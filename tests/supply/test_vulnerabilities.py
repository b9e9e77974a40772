"""`make audit` as a process, against a server that answers as OSV does."""

import json
import subprocess
import sys
import threading
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from supply import vulnerabilities, waivers
from supply.pins import Pin, production_pins

PINS = production_pins()
DJANGO = next(pin for pin in PINS if pin.name == "django")
FEW = [pin for pin in PINS if pin.name in ("celery", "django", "numpy")]
FLAW = {
    "id": "PYSEC-2031-7", "aliases": ["CVE-2031-0007"], "summary": "bad", "published": "2031-01-01T00:00:00Z",
    "affected": [
        {"package": {"name": "django", "ecosystem": "PyPI"},
         "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "9.9"}]}]}
    ],
}  # fmt: skip


class Service:
    """Answers about flaws, or with a status; remembers what it was asked."""

    def __init__(self):
        service = self
        self.flaws, self.status, self.asked = {}, 200, set()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                pin = Pin(query["package"]["name"], query["version"])
                service.asked.add(pin)
                found = service.flaws.get(pin.name)
                self.send_response(service.status)
                self.end_headers()
                self.wfile.write(json.dumps({"vulns": [found]} if found else {}).encode())

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1/query"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def service():
    service = Service()
    yield service
    service.stop()


@pytest.fixture
def audit(tmp_path, capsys, service):
    """Runs it with these waivers on that day; what it ends with and says."""

    def run(text="", today=date(2031, 6, 1), pins=FEW):
        file = tmp_path / "waivers.toml"
        file.write_text(text)
        code = vulnerabilities.main(["--osv-url", service.url, "--waivers", str(file)], today, pins)
        return code, capsys.readouterr().out

    return run


def waiver(name="PYSEC-2031-7", package="Django", until="2031-06-01"):
    return f'[[waiver]]\nid = "{name}"\npackage = "{package}"\nreason = "we do not use it"\nuntil = {until}\n'


def test_every_pin_of_every_python_is_looked_up(audit, service):
    code, said = audit(pins=PINS)

    assert code == 0
    assert service.asked == set(PINS)
    assert len([pin for pin in service.asked if pin.name == "numpy"]) == 2
    assert f"{len(PINS)} packages looked up, 0 known vulnerabilities, 0 not waived" in said
    assert "WARNING" not in said


def test_a_known_vulnerability_fails_and_says_what_helps(audit, service):
    service.flaws["django"] = FLAW

    code, said = audit()

    assert code == 1
    assert f"FAILED: django {DJANGO.version}: PYSEC-2031-7 = CVE-2031-0007, fixed in 9.9" in said


@pytest.mark.parametrize("name", ["PYSEC-2031-7", "CVE-2031-0007"])
def test_a_waiver_counts_to_its_last_day_by_any_name(audit, service, name):
    service.flaws["django"] = FLAW

    code, said = audit(waiver(name))

    assert code == 0
    assert "waived until 2031-06-01: django" in said
    assert "we do not use it" in said


def test_a_waiver_that_is_over_fails_and_covers_nothing(audit, service):
    service.flaws["django"] = FLAW

    code, said = audit(waiver(), today=date(2031, 6, 2))

    assert code == 1
    assert "FAILED: the waiver of PYSEC-2031-7 for django ended 2031-06-01" in said
    assert f"FAILED: django {DJANGO.version}" in said


@pytest.mark.parametrize("other", [waiver("PYSEC-2031-8"), waiver(package="celery")])
def test_a_waiver_of_something_else_covers_nothing_and_is_said(audit, service, other):
    service.flaws["django"] = FLAW

    code, said = audit(other)

    assert code == 1
    assert "matches nothing: delete it" in said


def test_a_waiver_that_matches_nothing_fails_nothing(audit):
    code, said = audit(waiver())

    assert code == 0
    assert "WARNING: the waiver of PYSEC-2031-7 for django matches nothing" in said


@pytest.mark.parametrize("status", [404, 500, 503])
def test_a_service_that_answers_no_question_is_said_loudly_and_fails_nothing(audit, service, status):
    service.status = status

    code, said = audit()

    assert code == 0
    assert said.count("\n") == 1
    assert f"WARNING: NOTHING WAS LOOKED UP, {len(FEW)} packages are unchecked" in said


def test_a_service_that_is_not_there_still_leaves_waivers_to_be_over(audit, service):
    service.stop()
    assert audit(waiver())[0] == 0

    code, said = audit(waiver(until="2031-05-31"))

    assert code == 1
    assert "NOTHING WAS LOOKED UP" in said
    assert "ended 2031-05-31" in said


def test_a_pip_audit_that_is_broken_is_no_absent_network(service):
    with pytest.raises(vulnerabilities.BrokenError, match="duplicate requirements"):
        vulnerabilities._ask([Pin("django", "1"), Pin("django", "2")], service.url)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[[waiver", "waivers.toml: "),
        ("[[waivers]]", "only [[waiver]] may stand there"),
        (waiver().replace("2031-06-01", '"2031-06-01"'), "waiver 1 needs until, a date"),
        (waiver(until="2031-06-01T10:00:00Z"), "waiver 1 needs until, a date"),
        (waiver().replace("we do not use it", ""), "waiver 1 needs reason, a text"),
        (waiver() + "note = 1\n", "waiver 1 has what nobody reads: note"),
    ],
)
def test_a_waiver_that_says_too_little_is_refused_before_anybody_is_asked(audit, service, text, reason):
    code, said = audit(text)

    assert code == 1
    assert reason in said
    assert not service.asked


def test_the_waivers_of_the_project_can_be_read():
    waivers.read()


def test_what_is_looked_up_is_what_the_image_and_make_run_install():
    root = Path(__file__).parents[2]
    installed = (root / "Dockerfile").read_text(), (root / "Makefile").read_text()

    assert "COPY requirements/base.txt" in installed[0]
    assert "run: $(VENV)/base.stamp ##" in installed[1]
    ran = subprocess.run([sys.executable, "-m", "supply.vulnerabilities", "--help"], cwd=root, capture_output=True)
    assert ran.returncode == 0
