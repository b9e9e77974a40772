"""Delete what the embedded servers and the paper gateway keep: `make reset`.

Rules: says first what goes, asks where there is somebody to ask, never runs beside a running stack, and deletes by
name what we made, so that a DATA_DIR that points somewhere precious costs nothing else.
"""

import shutil
import sys
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from ibkr_site.console import Console
from ibkr_site.stack import sole_user_of
from ibkr_site.supervisor import StartFailed

OURS = (
    "postgres",
    "valkey",
    "paper",
    "audit",
    "database_url",
    "redis_url",
    "postgres_password",
    "postgres_app_password",
    "valkey_password",
    "admin_password",
    "secret_key",
    "*.log",
    "celerybeat-schedule*",
)


def main() -> int:
    console = Console()
    try:
        directory = Path(settings.DATA_DIR)
        with sole_user_of(directory):
            return reset(directory, console)
    except (ImproperlyConfigured, StartFailed, OSError) as error:
        console("", str(error))
        return 1


def reset(directory: Path, console: Console) -> int:
    """Delete what is ours in that directory, after saying so."""
    found = sorted(path for pattern in OURS for path in directory.glob(pattern))
    console("", f"deleting every order, the whole trail and the admin login: {len(found)} entries of {directory}")
    # Without a terminal the answer has to come by a pipe: echo yes | make reset
    answer = input("Type yes to go on: ") if sys.stdin.isatty() else sys.stdin.readline()
    if answer.strip() != "yes":
        console("", "nothing was deleted")
        return 1
    for path in found:
        delete(path)
    console("", "done: the next start begins from nothing")
    return 0


def delete(path: Path) -> None:
    """Remove a file or a tree; behind a link, what it points to as well (see `embedded`)."""
    target = path.resolve()
    if path.is_symlink():
        path.unlink()
    if target.is_dir():
        shutil.rmtree(target)
    else:
        target.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
