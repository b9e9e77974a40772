"""The whole house as real processes: `make run`'s own stack, a paper gateway beside it, and what they leave behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import psycopg
import requests

ROOT = Path(__file__).resolve().parents[2]
OURS, THEIRS = "DU1000001", "DU1000002"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(look, *, seconds=15, why="it did not happen"):
    """What `look` returns, once it is true."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        assert time.monotonic() < deadline, why
        time.sleep(0.05)


class Gateway:
    """A paper gateway whose market stands still unless somebody trades: what happens is what a test did."""

    def __init__(self, directory: Path) -> None:
        self.options: list[str] = []  # beyond, or in the place of, those below
        self.port = free_port()
        self.directory = directory
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        assert self.process is None
        self.directory.mkdir(exist_ok=True)
        argv = [sys.executable, "-m", "gateway.paper", "--port", str(self.port), "--tick", "0", "--seed", "7"]
        argv += ["--accounts", f"{OURS},{THEIRS}", "--cash", "1000000", "--state", str(self.directory)]
        argv += ["--ledger", str(self.directory / "ledger.jsonl"), *self.options]
        with (self.directory / "paper.log").open("ab") as log:
            self.process = subprocess.Popen(argv, cwd=ROOT, stdout=log, stderr=log)
        until(self._listens, why="the paper gateway does not listen")

    def stop(self, how=signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(timeout=15)
            self.process = None

    def ledger(self) -> list[dict]:
        """What it wrote down; a line that is being written just now is none yet."""
        return [json.loads(line) for line in (self.directory / "ledger.jsonl").read_text().split("\n")[:-1]]

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class House:
    """The stack's processes, asked over HTTP and looked at in its database."""

    def __init__(self, directory: Path, gateway: Gateway, **environment: str) -> None:
        self.directory = directory
        self.gateway = gateway
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.environment = environment
        self.process: subprocess.Popen | None = None
        self.http = requests.Session()

    def start(self) -> None:
        # The servers of the test run are not for this house: it starts its own, as a user's does.
        inherited = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL", "REDIS_KEY_PREFIX")}
        own = {
            "ENV_FILE": "",
            "DATA_DIR": str(self.directory),
            "PORT": str(self.port),
            "IB_PORT": str(self.gateway.port),
            "IB_ACCOUNT": OURS,
            "AUTO_HALT": "none",  # what one walk breaks must not stop the next
            "EXECUTION_SYNC_SECONDS": "2",
            "EXECUTION_SYNC_REST_SECONDS": "2",
        }
        environment = {**inherited, **own, **self.environment}
        argv = [sys.executable, "-m", "ibkr_site.stack"]
        with (self.directory / "house.log").open("ab") as log:
            self.process = subprocess.Popen(
                argv, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        until(self._answers, seconds=60, why=f"the web process does not answer; see {self.directory / 'house.log'}")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            assert self.process.wait(timeout=60) == 0
            self.process = None

    def wait_ready(self) -> None:
        until(lambda: self.get("/health/ready").status_code == 200, seconds=40, why=self.log_tail())

    def get(self, path: str, **kwargs) -> requests.Response:
        return self.http.get(self.base + path, timeout=30, **kwargs)

    def post(self, path: str, body: dict, **headers: str) -> requests.Response:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.post(self.base + path, json=body, headers=names, timeout=30)

    def manage(self, *words: str) -> str:
        """What a command of manage.py prints, run as an operator runs it beside the house."""
        environment = {**os.environ, "ENV_FILE": "", "DATA_DIR": str(self.directory)}
        for name in ("DATABASE_URL", "REDIS_URL", "REDIS_KEY_PREFIX"):
            environment.pop(name, None)
        argv = [sys.executable, "manage.py", *words]
        done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def rows(self, query: str, *arguments) -> list[tuple]:
        url = (self.directory / "database_url").read_text().strip()
        with psycopg.connect(url) as connection:
            return connection.execute(query, arguments).fetchall()

    def history(self, perm_id: int) -> list[str]:
        return [
            kind
            for (kind,) in self.rows(
                "SELECT e.kind FROM orders_orderevent e JOIN orders_order o ON o.id = e.order_id "
                "WHERE o.perm_id = %s ORDER BY e.sequence",
                perm_id,
            )
        ]

    def status(self, perm_id: int) -> str:
        ((status,),) = self.rows("SELECT status FROM orders_order WHERE perm_id = %s", perm_id)
        return status

    def log_tail(self) -> str:
        return "\n".join((self.directory / "house.log").read_text(errors="replace").splitlines()[-25:])

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log_tail()
        try:
            return self.get("/health/live").status_code == 200
        except requests.ConnectionError:
            return False


@contextmanager
def running(directory: Path, **environment: str):
    """A house and its gateway, ready; both stopped afterwards."""
    gateway = Gateway(directory / "gateway")
    house = House(directory, gateway, **environment)
    try:
        gateway.start()
        house.start()
        house.wait_ready()
        yield house
    finally:
        house.stop()
        gateway.stop()
