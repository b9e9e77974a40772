"""The key that signs checkpoints: one line in a file that its owner alone may read, and a list of public keys.

Rules: the private key is never overwritten by accident, never logged, and refused when others may read its file. The
public keys of all times stay in their list, the present one last: old checkpoints are verified with old keys.
"""

import os
import stat
from pathlib import Path

from audit.note import BadNote, Signer, Verifier


class KeyRefused(Exception):
    """The key is missing, exists already, or its file is not safe; the text says what to do."""


def create(path: Path, public: Path, *, name: str) -> Signer:
    """Make a key where there is none. Raises: KeyRefused, BadNote."""
    if path.exists():
        raise KeyRefused(f"{path} exists; manage.py audit_key rotate puts a new key in its place")
    signer = Signer.generate(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, signer)
    _publish(public, signer.verifier)
    return signer


def rotate(path: Path, public: Path) -> tuple[Verifier, Signer]:
    """Put a new key of the same name in place of the old one, which is gone then. Raises: KeyRefused."""
    old = load(path)
    signer = Signer.generate(old.name)
    _publish(public, signer.verifier)  # first: what a key signs can be verified from the first note on
    _write(path, signer)
    return old.verifier, signer


def load(path: Path) -> Signer:
    """Raises: KeyRefused."""
    try:
        others = stat.S_IMODE(path.stat().st_mode) & 0o077
        if others:
            raise KeyRefused(f"others may read or write {path}: chmod 600 {path}, and rotate the key")
        return Signer.parse(path.read_text().strip())
    except FileNotFoundError:
        raise KeyRefused(f"there is no key in {path}: manage.py audit_key create") from None
    except BadNote as error:
        raise KeyRefused(f"{path}: {error}") from None


def published(public: Path) -> list[Verifier]:
    """The public keys of a list, oldest first. Raises: KeyRefused."""
    try:
        return [Verifier.parse(line) for line in public.read_text().splitlines() if line]
    except FileNotFoundError:
        raise KeyRefused(f"there are no public keys in {public}: manage.py audit_key create") from None
    except BadNote as error:
        raise KeyRefused(f"{public}: {error}") from None


def _write(path: Path, signer: Signer) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{signer}\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _publish(public: Path, verifier: Verifier) -> None:
    public.parent.mkdir(parents=True, exist_ok=True)
    with public.open("a") as file:
        file.write(f"{verifier}\n")
        file.flush()
        os.fsync(file.fileno())
