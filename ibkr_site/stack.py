"""Everything in one command, in the foreground: `python -m ibkr_site.stack`, which is what `make run` calls.

Rules: what is ours is started and stopped by us; a server that a variable names is somebody else's and is only used.
One stack per DATA_DIR. Whatever goes wrong on the way is one line that names the variable to change.
"""

import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from audit import stop_signals
from ibkr_site import embedded, welcome
from ibkr_site.console import Console
from ibkr_site.first_start import admin_password_file
from ibkr_site.supervisor import Program, StartFailed, Supervisor

READY_SECONDS = 60.0


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ibkr_site.settings")
    console = Console()
    try:
        directory = Path(settings.DATA_DIR)  # the first look at the settings: a refused combination ends here
        os.chdir(settings.BASE_DIR)
        with sole_user_of(directory):
            refuse_taken_ports()
            return run(directory, console)
    except (ImproperlyConfigured, StartFailed, OSError) as error:
        console("", str(error))
        return 1


def run(directory: Path, console: Console) -> int:
    """Start everything, keep it running until a signal comes, and stop it."""
    supervisor = Supervisor(console)
    # Ctrl-C, a closed terminal, and whoever started us.
    stop_signals.heard_by(supervisor.stopping, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    began = time.monotonic()
    first_time = not admin_password_file().exists()
    try:
        start_servers(supervisor, directory, console)
        set_up(supervisor, directory)
        for program in (checkpoints(), *gateways(directory), worker(), beat(), web()):
            console("", f"starting {program.name}")
            supervisor.start(program)
        reasons = welcome.wait_until_ready(supervisor, seconds=READY_SECONDS)
        if not supervisor.stopping.is_set():
            for line in welcome.lines(reasons, first_time=first_time, seconds=time.monotonic() - began):
                console("", line)
        supervisor.watch()
    finally:
        console("", "stopping: the worker finishes what it began to tell the broker")
        supervisor.stop()
        console("", f"everything is stopped; the data is kept in {directory}")
    return 0


def start_servers(supervisor: Supervisor, directory: Path, console: Console) -> None:
    """Start the embedded servers that no variable replaces and tell the other processes where they are."""
    if settings.EMBEDDED_POSTGRES:
        console("", "starting postgres (embedded; set DATABASE_URL to use another)")
        program, os.environ["DATABASE_URL"] = embedded.postgres(
            directory, port=settings.EMBEDDED_POSTGRES_PORT, shared=settings.EMBEDDED_SHARED_DIR
        )
        supervisor.start(program)
    if settings.EMBEDDED_REDIS:
        console("", "starting valkey (embedded; set REDIS_URL to use another)")
        program, os.environ["REDIS_URL"] = embedded.valkey(directory, port=settings.EMBEDDED_REDIS_PORT)
        supervisor.start(program)


def set_up(supervisor: Supervisor, directory: Path) -> None:
    """Bring the database up to date as its owner; our own processes then come as a role with fewer rights."""
    if not settings.EMBEDDED_POSTGRES:
        supervisor.complete(first_start())
        return
    url = embedded.app_url(directory, os.environ["DATABASE_URL"])
    supervisor.complete(first_start(app_url=url))
    os.environ["DATABASE_URL"] = url


# --- Our processes; docs/operations.md shows how each is started alone --------------------------------------------


def first_start(*, app_url: str = "") -> Program:
    environment = {"DATABASE_APP_URL": app_url} if app_url else {}
    return Program(name="setup", argv=[sys.executable, "-m", "ibkr_site.first_start"], env=environment)


def checkpoints() -> Program:
    """Started before, and so stopped after, all that writes to the trail: its last checkpoint covers the last entry."""
    return Program(name="notary", argv=[sys.executable, "manage.py", "checkpoint", "--every", "--create-key"])


def gateways(directory: Path) -> list[Program]:
    """The paper gateway, or none where another one is named."""
    if not settings.PAPER_GATEWAY:
        return []
    files = directory / "paper"
    files.mkdir(exist_ok=True)
    return [
        Program(
            name="paper",
            argv=[
                *(sys.executable, "-m", "gateway.paper", "--host", "127.0.0.1", "--port", str(settings.PAPER_PORT)),
                *("--accounts", ",".join(settings.PAPER_ACCOUNTS), "--seed", str(settings.PAPER_SEED)),
                *("--ledger", str(files / "ledger.jsonl"), "--state", str(files)),
            ],
            ready=lambda: not embedded.port_is_free("127.0.0.1", settings.PAPER_PORT),
        )
    ]


def worker() -> Program:
    return Program(
        name="worker",
        argv=[
            # Pool, threads, prefetch and the gateway's queue are settings, so that this line is the same everywhere.
            *(sys.executable, "-m", "celery", "--quiet", "-A", "ibkr_site", "worker"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        ],
        env={"TZ": "UTC"},  # the broker's times without a zone are UTC, and ib_insync reads them as local
        stop_seconds=30,  # longer than the longest task: it is to finish what it began to tell the broker
    )


def beat() -> Program:
    return Program(
        name="beat", argv=[sys.executable, "-m", "celery", "--quiet", "-A", "ibkr_site", "beat", "--pidfile="]
    )


def web() -> Program:
    return Program(
        name="web",
        argv=[
            *(sys.executable, "-m", "granian", "--interface", "wsgi", "--no-ws"),
            # HTTP/2 without TLS is what nobody here speaks; and many connections must not hold much memory each.
            *("--http", "1", "--http1-buffer-size", "65536"),
            # It warns of more threads than cores; ours wait for the broker most of the time.
            *("--log-level", "error"),
            *("--host", settings.HOST, "--port", str(settings.PORT)),
            *("--workers", str(settings.WEB_WORKERS), "--blocking-threads", str(settings.WEB_THREADS)),
            "--respawn-failed-workers",  # or one that dies takes the others with it
            "ibkr_site.wsgi:application",
        ],
        stop_seconds=settings.PLACEMENT_WAIT_SECONDS + 5,  # requests that wait for the broker get their answer
    )


# --- One at a time -------------------------------------------------------------------------------------------------


@contextmanager
def sole_user_of(directory: Path) -> Iterator[None]:
    """Hold the lock of that directory; the kernel lets go of it however we end."""
    with (directory / "stack.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartFailed(
                f"already running on {directory} (process {_first_line(file)}): "
                "stop that one with Ctrl-C, or start this one with a DATA_DIR, PORT and PAPER_PORT of its own"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _first_line(file: TextIO) -> str:
    file.seek(0)
    return file.readline().strip()


def refuse_taken_ports() -> None:
    """Say so now, in one line, rather than let a program fail on it later."""
    wanted = [("PORT", settings.HOST, settings.PORT)]
    if settings.PAPER_GATEWAY:
        wanted.append(("PAPER_PORT", "127.0.0.1", settings.PAPER_PORT))
    for variable, host, port in wanted:
        if not embedded.port_is_free(host, port):
            raise StartFailed(
                f"port {port} of {host} is taken: stop what listens there, or choose another with {variable}={port + 1}"
            )


if __name__ == "__main__":
    sys.exit(main())
