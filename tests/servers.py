"""A pytest plugin: PostgreSQL and a Redis-protocol server for the whole run, before Django reads its settings.

Servers named by DATABASE_URL or REDIS_URL are used as they are; else embedded ones are started on free ports in a
temporary directory, so that two runs can share a machine. Workers of xdist inherit the addresses. For anything else
that wants such servers: `python -m tests.servers COMMAND …`.
"""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from ibkr_site import embedded
from ibkr_site.supervisor import Supervisor


@pytest.hookimpl(wrapper=True)  # a wrapper runs before pytest-django's hook, which loads the settings
def pytest_load_initial_conftests() -> Generator[None, None, None]:
    os.environ["ENV_FILE"] = ""  # one's own .env is no part of a test
    os.environ["REDIS_KEY_PREFIX"] = f"test.{os.environ.get('PYTEST_XDIST_WORKER', 'main')}."
    if "PYTEST_XDIST_WORKER" not in os.environ:
        start_servers()
    return (yield)


def start_servers() -> None:
    directory = Path(tempfile.mkdtemp(prefix="ibkr-tests-"))
    servers = Supervisor(report=lambda _name, _line: None)

    def clean_up() -> None:
        servers.stop()
        shutil.rmtree(directory, ignore_errors=True)

    atexit.register(clean_up)
    os.environ["DATA_DIR"] = str(directory)
    os.environ["EMBEDDED_SHARED_DIR"] = str(directory / "shared")
    if not os.environ.get("DATABASE_URL"):
        program, os.environ["DATABASE_URL"] = embedded.postgres(directory, durable=False, shared=directory / "shared")
        servers.start(program)
    if not os.environ.get("REDIS_URL"):
        program, os.environ["REDIS_URL"] = embedded.valkey(directory)
        servers.start(program)


if __name__ == "__main__":
    os.environ["ENV_FILE"] = ""
    start_servers()
    sys.exit(subprocess.run(sys.argv[1:], check=False).returncode)
