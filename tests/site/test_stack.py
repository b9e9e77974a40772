import io
import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from ibkr_site import embedded, reset, stack, welcome
from ibkr_site.console import Console
from ibkr_site.supervisor import StartFailed
from tests.orders.builders import session_row

ROOT = Path(__file__).parents[2]


class Terminal:
    """A stack as a person has it: a process and the lines it shows."""

    def __init__(self, directory, **variables):
        environment = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
        self.port = embedded.free_port()
        environment |= {"DATA_DIR": str(directory), "ENV_FILE": "", "PORT": str(self.port)}
        environment |= {"PAPER_PORT": str(embedded.free_port())} | variables
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ibkr_site.stack"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
        )
        self.lines = []
        self._unread = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self._unread.put(line.rstrip())

    def shows(self, pattern, seconds=60):
        """Wait for a line like that and return it."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.lines.append(self._unread.get(timeout=max(deadline - time.monotonic(), 0)))
            except queue.Empty:
                pytest.fail(f"{pattern!r} was not shown; what was:\n" + "\n".join(self.lines))
            if re.search(pattern, self.lines[-1]):
                return self.lines[-1]

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as response:
            return response.status, response.read()

    def process_ids(self):
        """Of everything that was started, directly or not."""
        found, new = set(), {self.process.pid}
        while new:
            found |= new
            listing = {int(entry.name): parent_of(entry) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
            new = {pid for pid, parent in listing.items() if parent in found} - found
        return found


def parent_of(entry):
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def alive(process_ids):
    return {
        pid
        for pid in process_ids
        if (status := Path(f"/proc/{pid}/status")).exists() and "State:\tZ" not in status.read_text()
    }


def wait_until_gone(process_ids, seconds):
    deadline = time.monotonic() + seconds
    while left := alive(process_ids):
        assert time.monotonic() < deadline, [Path(f"/proc/{pid}/cmdline").read_text() for pid in left]
        time.sleep(0.05)


@contextmanager
def running(directory, **variables):
    terminal = Terminal(directory, **variables)
    try:
        yield terminal
    finally:
        terminal.process.kill()
        terminal.process.wait()
        terminal.process.stdout.close()


@pytest.mark.walk
@pytest.mark.skipif(sys.platform != "linux", reason="looks processes up in /proc")
def test_the_stack_starts_mends_itself_stops_and_comes_back(tmp_path):
    with running(tmp_path) as terminal:
        terminal.shows("READY after")
        assert "password" in terminal.shows("Admin")
        started = terminal.process_ids()
        status, body = terminal.get("/health/ready")
        assert (status, json.loads(body)["status"]) == (200, "ready")

        worker = next(pid for pid in started if "worker" in Path(f"/proc/{pid}/cmdline").read_text().split("\0"))
        os.kill(worker, signal.SIGKILL)
        terminal.shows(r"stack +\| worker was ended by SIGKILL: starting it again in 0.5 s")
        terminal.shows(r"worker +\| .*READY")

        started |= terminal.process_ids()
        assert len(alive(started)) >= 8
        terminal.process.send_signal(signal.SIGINT)
        terminal.shows("everything is stopped")
        assert terminal.process.wait(10) == 0
        wait_until_gone(started, seconds=1)

    with running(tmp_path) as terminal:
        terminal.shows("READY after", seconds=15)
        assert f"password in {tmp_path}/admin_password" in terminal.shows("Admin")
        started = terminal.process_ids()

        terminal.process.kill()

        wait_until_gone(started, seconds=20)


@pytest.mark.walk
def test_a_gateway_that_is_not_there_is_named(tmp_path):
    port = embedded.free_port()
    with running(tmp_path, IB_PORT=str(port)) as terminal:
        assert f"nothing listens on 127.0.0.1:{port}" in terminal.shows(r"worker .*DISCONNECTED")
        terminal.process.send_signal(signal.SIGTERM)
        terminal.shows("everything is stopped")
        assert terminal.process.wait(10) == 0
        assert not any(re.match(r"\S* *paper +\|", line) for line in terminal.lines)


def test_a_second_stack_on_the_same_data_is_refused(tmp_path):
    with stack.sole_user_of(tmp_path):
        with pytest.raises(StartFailed, match=rf"already running on {tmp_path} \(process {os.getpid()}\): stop that"):
            with stack.sole_user_of(tmp_path):
                pass

    with stack.sole_user_of(tmp_path):  # free again
        pass


@pytest.mark.parametrize("variable", ["PORT", "PAPER_PORT"])
def test_a_taken_port_is_named_with_its_variable(settings, variable):
    settings.HOST, settings.PAPER_GATEWAY = "127.0.0.1", True
    settings.PORT, settings.PAPER_PORT = embedded.free_port(), embedded.free_port()
    stack.refuse_taken_ports()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", getattr(settings, variable)))
        taken.listen()
        with pytest.raises(StartFailed, match=rf"^port \d+ of 127.0.0.1 is taken: .* with {variable}=\d+$"):
            stack.refuse_taken_ports()


def test_the_port_of_a_gateway_that_is_not_ours_may_be_taken(settings):
    settings.HOST, settings.PORT, settings.PAPER_GATEWAY = "127.0.0.1", embedded.free_port(), False

    stack.refuse_taken_ports()
    assert stack.gateways(Path("unused")) == []


def test_a_refused_combination_is_one_line(tmp_path):
    environment = {"PATH": os.environ["PATH"], "ENV_FILE": "", "DATA_DIR": str(tmp_path), "TRADING_MODE": "live"}

    result = subprocess.run(
        [sys.executable, "-m", "ibkr_site.stack"], cwd=ROOT, env=environment, capture_output=True, text=True
    )

    assert result.returncode == 1
    assert result.stderr == ""
    assert result.stdout.splitlines() == [
        "stack    | TRADING_MODE=live needs IB_PORT (IB Gateway: 4001, TWS: 7496): set it."
    ]


def test_what_is_not_up_is_said(settings):
    settings.HOST, settings.PORT = "127.0.0.1", embedded.free_port()

    reasons = welcome.reasons_not_ready()

    assert reasons[0].startswith(f"web: nothing answers on 127.0.0.1:{settings.PORT} (")
    assert welcome.lines(reasons, first_time=False, seconds=60) == [f"NOT READY after 60 s; still trying. {reasons[0]}"]


@pytest.mark.django_db(transaction=True)
def test_what_is_not_ready_is_told_with_what_to_do(settings, live_server):
    settings.PORT = int(live_server.url.rpartition(":")[2])
    session_row(state="DISCONNECTED", cause="READ_ONLY", reason="the gateway's API is read-only")

    assert welcome.reasons_not_ready() == [
        "broker session: the gateway's API is read-only. "
        "Switch off Read-Only API in the gateway: Configure, Settings, API, Settings."
    ]


def test_the_password_is_shown_on_the_first_start_only(settings, tmp_path):
    settings.DATA_DIR = tmp_path
    (tmp_path / "admin_password").write_text("correct horse\n")

    assert any("password correct horse" in line for line in welcome.lines([], first_time=True, seconds=1))
    later = welcome.lines([], first_time=False, seconds=1)
    assert not any("correct horse" in line for line in later)
    assert any(f"password in {tmp_path}/admin_password" in line for line in later)


def test_a_live_gateway_is_named_as_such(settings):
    settings.PAPER_GATEWAY, settings.TRADING_MODE = False, "live"
    settings.IB_HOST, settings.IB_PORT = "10.0.0.9", 4001

    assert "live trading through the gateway at 10.0.0.9:4001" in welcome.lines([], first_time=False, seconds=1)[1]


def test_lines_have_their_programs_name_and_no_colour_in_a_file(capsys):
    Console()("worker", "text")
    Console()("", "text")

    assert capsys.readouterr().out == "worker   | text\nstack    | text\n"


def test_reset_without_a_yes_deletes_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    (tmp_path / "database_url").touch()

    assert reset.reset(tmp_path, Console()) == 1

    assert (tmp_path / "database_url").exists()
    assert "nothing was deleted" in capsys.readouterr().out


def test_reset_deletes_what_is_ours_and_nothing_else(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("yes\n"))
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    for made in (data / "paper", data / "valkey", elsewhere):
        made.mkdir(parents=True)
        (made / "file").touch()
    (data / "postgres").symlink_to(elsewhere)
    for name in ("database_url", "postgres.log", "thesis.txt"):
        (data / name).touch()

    assert reset.reset(data, Console()) == 0

    assert [path.name for path in data.iterdir()] == ["thesis.txt"]
    assert not elsewhere.exists()
    assert f"deleting every order, the whole trail and the admin login: 5 entries of {data}" in capsys.readouterr().out
