"""The house under test: every process on its own, so that each can be killed, stopped and started by itself.

PostgreSQL, Redis, the notary, a web process, two workers for the same client id (whoever was first is the owner, the
other one stands by), beat, a paper gateway whose market stands still, and the proxy between it and the workers. Our own
processes come to the database as the role of the application; the harness breaks things as its owner, and never touches
the record. One house serves many tests: `Run` marks where one begins, and only what came after it is looked at.
"""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import redis
from psycopg.rows import dict_row

from audit.note import Checkpoint
from ibkr_site import embedded, stack
from ibkr_site.supervisor import Program, tethered
from tests.faults import record
from tests.faults.client import Client
from tests.faults.proxy import Proxy
from tests.gateway.paper_process import RawClient
from tests.walks.house import free_port, until

ROOT = Path(__file__).resolve().parents[2]
OURS, THEIRS = "DU1000001", "DU1000002"
CLIENT_ID = 17
NAMES = ("postgres", "redis", "notary", "gateway", "web", "worker-a", "worker-b", "beat")
WORKERS = ("worker-a", "worker-b")
SOUND_WORKER = [sys.executable, "-m", "celery", "-A", "ibkr_site"]

# Everything that only takes time is short; what is promised stays in proportion.
ENVIRONMENT = {
    "ENV_FILE": "",
    "IB_ACCOUNT": OURS,
    "IB_CLIENT_ID": str(CLIENT_ID),
    "SETTLE_SECONDS": "2",
    "EXECUTION_SYNC_SECONDS": "2",
    "EXECUTION_SYNC_REST_SECONDS": "2",
    "SWEEP_SECONDS": "2",
    "AUDIT_SECONDS": "1",
    "PLACEMENT_WAIT_SECONDS": "6",
    "ORDER_VALID_SECONDS": "8",
    "CANCEL_WAIT_SECONDS": "4",
    "WORKER_THREADS": "8",
    "WEB_WORKERS": "2",
    "WEB_THREADS": "64",  # the two processes may share them out unevenly
    "TZ": "UTC",
}


class Part:
    """One program and its process."""

    def __init__(self, program: Program, environment: dict[str, str], log: Path) -> None:
        self.program = program
        self._environment = environment
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None
        self.frozen = False
        self._changing = threading.Lock()  # a test and its background threads may all want to end or start it

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start it, unless it runs. Returns before it is ready."""
        with self._changing:
            self.thaw()
            if not self.alive:
                self._start()

    def _start(self) -> None:
        self.program.prepare()
        with self.log.open("ab") as log:
            # What has children of its own is not tethered by a wrapper here: the wrapper `exec`s, so the pid is its.
            self.process = subprocess.Popen(
                [*tethered(user=self.program.user, death_signal=self.program.stop_signal), *self.program.argv],
                cwd=ROOT,
                env={**os.environ, **self._environment, **self.program.env},
                stdin=subprocess.PIPE if self.program.config else subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if self.program.config and self.process.stdin:
            self.process.stdin.write(self.program.config)
            self.process.stdin.close()

    def resident_megabytes(self) -> float:
        """What this process alone holds in memory."""
        (line,) = [text for text in Path(f"/proc/{self.pid}/status").read_text().splitlines() if "VmRSS" in text]
        return int(line.split()[1]) / 1024

    def wait_ready(self) -> None:
        until(lambda: self.program.ready() or not self.alive, seconds=60, why=f"{self.program.name} is not ready")
        assert self.alive, f"{self.program.name} ended: {self.log_tail()}"

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it and all that it started, and see it gone."""
        with self._changing:
            if self.alive:
                assert self.process is not None
                if how is signal.SIGKILL:
                    os.killpg(self.pid, how)
                else:
                    self.process.send_signal(how)
                if how is signal.SIGQUIT:
                    self._insist(how)
                self.process.wait(timeout=30)
            self.frozen = False

    def _insist(self, how: signal.Signals) -> None:
        """PostgreSQL, asked for it in the moment in which it starts, may not have heard."""
        assert self.process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=10)
            return
        self.process.send_signal(how)

    def freeze(self) -> None:
        """SIGSTOP to it and all that it started, if it lives."""
        if self.alive:
            os.killpg(self.pid, signal.SIGSTOP)
            self.frozen = True

    def thaw(self) -> None:
        if self.alive:
            os.killpg(self.pid, signal.SIGCONT)
        self.frozen = False

    def log_text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def log_tail(self, lines: int = 30) -> str:
        return "\n".join(self.log_text().splitlines()[-lines:])


class House:
    """All parts, and the ways to look at what they did."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.kill_points = directory / "kill_points"
        self.kill_points.mkdir()
        (directory / "paper").mkdir()
        self.gateway_port, self.web_port = free_port(), free_port()
        self.proxy = Proxy(self.gateway_port)
        self.verified_until: datetime | None = None  # by the database's clock
        self.api_keys: list[str] = []
        self.signed: dict[Path, Checkpoint] = {}  # what the notary left, as far as it was read
        self.database_ahead = timedelta()  # of the gateway's clock, while a test moves it
        self.base = f"http://127.0.0.1:{self.web_port}"
        self.ledger_path = directory / "paper" / "ledger.jsonl"
        shared = Path(os.environ["EMBEDDED_SHARED_DIR"])
        postgres, self.owner_url = embedded.postgres(directory, shared=shared)
        self.database_url = embedded.app_url(directory, self.owner_url)
        # A killed server loses nothing that it handed to the kernel; a power cut is no part of these tests.
        argv = [*postgres.argv, "-c", "fsync=off", "-c", "full_page_writes=off"]
        valkey, self.redis_url = embedded.valkey(directory)
        self.environment = {
            **ENVIRONMENT,
            "DATA_DIR": str(directory),
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "REDIS_KEY_PREFIX": "",
            "IB_PORT": str(self.proxy.port),
            "KILL_POINTS": str(self.kill_points),
            "AUDIT_SINKS": f"directory:{directory / 'signed'}",
        }
        self.parts = {
            name: Part(program, self.environment, directory / f"{name}.log")
            for name, program in {
                "postgres": dataclasses.replace(postgres, argv=argv),
                "redis": valkey,
                "notary": stack.checkpoints(),
                "gateway": self._gateway(),
                "web": self._web(),
                "worker-a": _worker("worker-a", SOUND_WORKER),
                "worker-b": _worker("worker-b", SOUND_WORKER),
                "beat": _beat(),
            }.items()
        }

    def start(self) -> None:
        """Start everything; returns once an order could be placed."""
        for name in ("postgres", "redis", "gateway"):
            self.parts[name].start()
        for name in ("postgres", "redis", "gateway"):
            self.parts[name].wait_ready()
        owner = {"DATABASE_URL": self.owner_url, "DATABASE_APP_URL": self.database_url}
        environment = {**os.environ, **self.environment, **owner}
        subprocess.run(
            [sys.executable, "-m", "ibkr_site.first_start"], cwd=ROOT, env=environment, check=True, timeout=60
        )
        self.heal()

    def heal(self) -> None:
        """Whatever was done to the house is over: all parts run, the wire is whole, and nothing is halted."""
        self.proxy.clear()
        for armed in self.kill_points.iterdir():
            armed.unlink(missing_ok=True)
        deadline = time.monotonic() + 60
        # Again and again: what was killed a moment ago may still look alive.
        while not self._started():
            record.resume(self)
            assert time.monotonic() < deadline, f"not ready: {self._last_words()}"
            time.sleep(0.05)

    def _started(self) -> bool:
        for part in self.parts.values():
            part.start()
        served = all(part.program.ready() for part in self.parts.values()) and self._ready() and self._owned()
        return served and all(part.alive for part in self.parts.values())

    def _owned(self) -> bool:
        """Whether a worker that lives is connected: what the site says may be the last word of a dead one."""
        try:
            return self.owner().alive
        except (AssertionError, OSError):
            return False

    def wait_ready(self) -> None:
        until(self._ready, seconds=60, why="no order could be placed")

    def stop(self) -> None:
        for name in reversed(NAMES):
            part = self.parts[name]
            part.thaw()
            part.kill(signal.SIGINT if name == "postgres" else signal.SIGKILL)
        self.proxy.close()

    def employ(self, worker_argv: list[str]) -> None:
        """Replace the workers by ones that are started in another way."""
        for name in WORKERS:
            self.parts[name].kill()
            self.parts[name].program = _worker(name, worker_argv)
        until(lambda: not self._ready(), seconds=60, why="the dead owner's last word still counts")
        self.heal()

    @contextmanager
    def altered(self, names: tuple[str, ...], **environment: str) -> Iterator[None]:
        """Those parts, started anew with other variables; as they were again afterwards."""
        before = {name: self.parts[name].program for name in names}
        try:
            for name, program in before.items():
                self._restart(name, dataclasses.replace(program, env={**program.env, **environment}))
            yield
        finally:
            for name, program in before.items():
                self._restart(name, program)

    def _restart(self, name: str, program: Program) -> None:
        part = self.parts[name]
        part.kill(signal.SIGINT if name == "postgres" else signal.SIGKILL)
        part.program = program
        part.start()
        part.wait_ready()

    def arm(self, name: str, instruction: str) -> None:
        """The process that next reaches that point does so: kill, stop, raise, sleep N."""
        draft = self.directory / "armed"
        draft.write_text(instruction)
        draft.rename(self.kill_points / name)

    def taken(self, name: str) -> bool:
        """Whether the armed point was reached."""
        return not (self.kill_points / name).exists()

    def owner(self) -> Part:
        """The worker that is connected to the gateway."""
        ports = set(self.proxy.client_ports())
        for name in WORKERS:
            part = self.parts[name]
            if part.alive and ports & _local_ports(part.pid):
                return part
        raise AssertionError("no worker is connected")

    def logged_line(self, *texts: str) -> bool:
        """Whether a worker wrote a line with all of these into its log, ever."""
        lines = [line for name in WORKERS for line in self.parts[name].log_text().splitlines()]
        return any(all(text in line for text in texts) for line in lines)

    # What is on record

    def rows(self, query: str, *arguments) -> list[dict]:
        with self._connected() as connection:
            return connection.execute(query, arguments).fetchall()

    def at_one_moment(self, *queries: str, after: int) -> list[list[dict]]:
        """What each of these gives for that number, all of one snapshot: fills may still come."""
        with self._connected() as connection, connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            return [connection.execute(query, (after,)).fetchall() for query in queries]

    def execute(self, statement: str) -> None:
        """Do something to the server, as its owner."""
        with self._connected() as connection:
            connection.execute(statement)

    def _connected(self) -> psycopg.Connection[dict]:
        """A connection of our own; a server that starts just now is waited for."""
        deadline = time.monotonic() + 10
        while True:
            try:
                return psycopg.connect(self.owner_url, autocommit=True, row_factory=dict_row, connect_timeout=5)
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def redis(self) -> redis.Redis:
        return redis.Redis.from_url(self.redis_url, socket_timeout=5)

    def ledger(self) -> list[dict]:
        """All that the gateway wrote down; a line that is being written just now is none yet."""
        return [json.loads(line) for line in self.ledger_path.read_text().split("\n")[:-1]]

    # Somebody else at the gateway, past the proxy

    @contextmanager
    def other_client(self, client_id: int):
        with RawClient.started(self.gateway_port, client_id) as client:
            yield client

    def cancel_everything(self) -> None:
        """Leave no order working at the gateway."""
        with self.other_client(98) as client:
            client.send(58, 1)
            client.send(49, 1)
            client.read_until(49)

    def _ready(self) -> bool:
        """Whether any order would be sent: a halt of one account makes the whole not unready."""
        try:
            answer = Client(self).get("/health/ready")
            return answer.status_code == 200 and not answer.json()["halts"]
        except OSError:
            return False

    def _last_words(self) -> str:
        return "\n".join(f"== {name}\n{self.parts[name].log_tail(12)}" for name in ("web", *WORKERS))

    def _gateway(self) -> Program:
        argv = [sys.executable, "-m", "gateway.paper", "--port", str(self.gateway_port), "--tick", "0", "--seed", "7"]
        argv += ["--accounts", f"{OURS},{THEIRS}", "--cash", "100000000", "--state", str(self.directory / "paper")]
        argv += ["--ledger", str(self.ledger_path)]
        port = self.gateway_port
        return Program(name="gateway", argv=argv, ready=lambda: not embedded.port_is_free("127.0.0.1", port))

    def _web(self) -> Program:
        settings = self.environment
        argv = [sys.executable, "-m", "granian", "--interface", "wsgi", "--no-ws", "--log-level", "error"]
        argv += ["--host", "127.0.0.1", "--port", str(self.web_port), "--workers", settings["WEB_WORKERS"]]
        argv += ["--blocking-threads", settings["WEB_THREADS"], "--respawn-failed-workers", "--respawn-interval", "0.1"]
        return Program(name="web", argv=[*argv, "ibkr_site.wsgi:application"], ready=self._web_answers)

    def _web_answers(self) -> bool:
        try:
            return Client(self).get("/health/live").status_code == 200
        except OSError:
            return False


def _worker(name: str, argv: list[str]) -> Program:
    """`argv` is how Celery is called."""
    options = ["worker", "--without-gossip", "--without-mingle", "--without-heartbeat", "-n", f"{name}@house"]
    return Program(name=name, argv=[*argv, *options])


def _beat() -> Program:
    return Program(name="beat", argv=[sys.executable, "-m", "celery", "-A", "ibkr_site", "beat", "--pidfile="])


def _local_ports(pid: int) -> set[int]:
    """The local ports of that process's TCP connections."""
    inodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(entry)
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    lines = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    return {int(words[1].rpartition(":")[2], 16) for words in lines if words[9] in inodes}


@contextmanager
def running(directory: Path):
    house = House(directory)
    try:
        house.start()
        yield house
    finally:
        house.stop()


class Run:
    """One test's stretch of a house's life: what was asked and answered in it, and where its record begins."""

    def __init__(self, house: House, name: str) -> None:
        house.cancel_everything()
        record.decide_doubts(house)  # of an earlier test: they would be asked about for ever
        self.house = house
        self.armed: list[str] = []
        self.megabytes: list[float] = []  # of the owner, where the load took them
        self.keyed: list[Client] = []
        self.background: list[threading.Thread] = []
        self._keys = f"{name} {time.time_ns()}"
        self.client = Client(house, prefix="".join(word[0] for word in name.replace("-", " ").split()) or "r")
        self.ledger_from = len(house.ledger())
        ((first,),) = [tuple(row.values()) for row in house.rows("SELECT coalesce(max(id), 0) FROM orders_order")]
        self.orders_from = first
        self.began = time.monotonic()

    def key(self, name: str) -> str:
        """An Idempotency-Key of this run alone."""
        return f"{self._keys} {name}"

    def arm(self, name: str, instruction: str) -> None:
        """Arm a kill point that must be reached in this run."""
        self.armed.append(name)
        self.house.arm(name, instruction)

    def meanwhile(self, act) -> None:
        """Do something beside the load; it is waited for before the house is healed."""
        self.background.append(threading.Thread(target=act, daemon=True))
        self.background[-1].start()

    def together(self, count: int, post) -> list:
        """`post(n)` for n below count, all at once."""
        with ThreadPoolExecutor(max_workers=min(count, 64)) as pool:
            return list(pool.map(post, range(count)))
