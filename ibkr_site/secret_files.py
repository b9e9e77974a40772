"""Secrets kept as files in DATA_DIR, readable by their owner only."""

import os
import secrets
from pathlib import Path


def write_secret(path: Path, value: str) -> None:
    """Replace the file in one step, so that a reader sees the old text or the new and never half of one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(value + "\n")
    draft.replace(path)


def read_secret(path: Path, *, default: str) -> str:
    """The text of the file without its line end, or the default where there is no such file."""
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return default


def generated_secret(path: Path) -> str:
    """The secret of that file, made up on first use. Processes that start at once agree on one."""
    if not path.exists():
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        write_secret(draft, secrets.token_urlsafe(48))
        try:
            os.link(draft, path)  # fails where another process was first; its secret is the one
        except FileExistsError:
            pass
        draft.unlink()
    return path.read_text().strip()
