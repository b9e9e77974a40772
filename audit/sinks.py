"""Where checkpoints are kept, outside of the database: a file, a directory, an HTTP endpoint, a git work tree.

Rules: a sink only ever adds, and says so when it could not. What it was given is on the disk, or taken by the other
side, when `keep` returns. A sink is named by one text: `file:PATH`, `directory:PATH`, `git:PATH` or `https://…`.
What is not there reads as no notes; what is there and cannot be read is said.
"""

import os
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from audit.note import Checkpoint, split

SECONDS = 10.0
CHECKPOINTS = "checkpoints.txt"  # in a git work tree
NOTE = re.compile(r"\d{12}-")  # begins the names of a directory's notes


class SinkFailed(Exception):
    """The checkpoints were not kept there, or cannot be read there."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint and its note."""

    checkpoint: Checkpoint
    note: str


class Sink(Protocol):
    def keep(self, signed: Sequence[Signed]) -> None:
        """Raises: SinkFailed."""

    def read(self) -> list[str]:
        """All notes that are there, whoever signed them. Raises: SinkFailed."""


def parse(text: str) -> Sink:
    """The sink of that name. Raises: ValueError."""
    kind, _, rest = text.partition(":")
    match kind:
        case "file" if rest:
            return FileSink(Path(rest))
        case "directory" if rest:
            return DirectorySink(Path(rest))
        case "git" if rest:
            return GitSink(Path(rest))
        case "http" | "https":
            return HttpSink(text)
    raise ValueError(f"{text!r} is no place for checkpoints: file:PATH, directory:PATH, git:PATH or https://…")


def at(path: Path) -> Sink:
    """The sink that somebody means who names a path alone. Raises: OSError."""
    if (path / CHECKPOINTS).is_file():
        return GitSink(path)
    return DirectorySink(path) if path.is_dir() else FileSink(path)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What the system refuses is a sink that failed."""
    try:
        yield
    except OSError as error:
        raise SinkFailed(f"{path}: {error.strerror}") from error


@dataclass(frozen=True)
class FileSink:
    """All notes one after the other, an empty line between them."""

    path: Path

    def keep(self, signed: Sequence[Signed]) -> None:
        with _told(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write("".join(f"{each.note}\n" for each in signed))
                file.flush()
                os.fsync(file.fileno())

    def read(self) -> list[str]:
        with _told(self.path):
            return split(self.path.read_text(encoding="utf-8", errors="replace")) if self.path.exists() else []


@dataclass(frozen=True)
class DirectorySink:
    """A file per note, `<chain>/<size>-<time>`; made beside and renamed, so that none is ever half written."""

    path: Path

    def keep(self, signed: Sequence[Signed]) -> None:
        with _told(self.path):
            for each in signed:
                self._keep(each)

    def read(self) -> list[str]:
        with _told(self.path):
            # Not by glob, which passes over a directory that it may not read.
            chains = [path for path in sorted(self.path.iterdir()) if path.is_dir()] if self.path.exists() else []
            paths = [path for chain in chains for path in sorted(chain.iterdir()) if NOTE.match(path.name)]
            return [note for path in paths for note in FileSink(path).read()]

    def _keep(self, each: Signed) -> None:
        directory = self.path / each.checkpoint.chain.replace("/", "_")
        directory.mkdir(parents=True, exist_ok=True)
        name = f"{each.checkpoint.size:012}-{each.checkpoint.time.replace(':', '')}"
        draft = directory / f".{name}"
        with draft.open("w", encoding="utf-8") as file:
            file.write(each.note)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(directory / name)


@dataclass(frozen=True)
class HttpSink:
    """One POST per round, text/plain, as a file would have it; any answer of 2xx is a yes."""

    url: str

    def keep(self, signed: Sequence[Signed]) -> None:
        body = "".join(f"{each.note}\n" for each in signed).encode()
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        request = urllib.request.Request(self.url, data=body, headers=headers, method="POST")  # noqa: S310  # see parse
        try:
            with urllib.request.urlopen(request, timeout=SECONDS):  # noqa: S310
                pass
        except (urllib.error.URLError, OSError) as error:
            raise SinkFailed(f"{self.url}: {error}") from error

    def read(self) -> list[str]:
        return []  # it takes, and is not asked


@dataclass(frozen=True)
class GitSink:
    """A commit per round in a work tree that exists; pushed where its branch has an upstream."""

    path: Path

    def keep(self, signed: Sequence[Signed]) -> None:
        FileSink(self.path / CHECKPOINTS).keep(signed)
        self._git("add", CHECKPOINTS)
        self._git("commit", "--quiet", "-m", f"Checkpoints of {signed[-1].checkpoint.time}", "--", CHECKPOINTS)
        if self._git("for-each-ref", "--format=%(upstream)", self._git("symbolic-ref", "HEAD")):
            self._git("push", "--quiet")

    def read(self) -> list[str]:
        return FileSink(self.path / CHECKPOINTS).read()

    def _git(self, *words: str) -> str:
        try:
            done = subprocess.run(  # noqa: S603  # our own words
                ["git", "-C", str(self.path), *words],  # noqa: S607  # whichever git is installed
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=True,
                env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},
            )
        except subprocess.CalledProcessError as error:
            raise SinkFailed(f"git {words[0]} in {self.path}: {(error.stderr or error.stdout).strip()}") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SinkFailed(f"git {words[0]} in {self.path}: {error}") from error
        return done.stdout.strip()
