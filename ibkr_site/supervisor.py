"""Keep a handful of programs running in the foreground, and leave nothing behind.

Rules: programs start in the order given, each once its predecessor is ready, and stop in the reverse order. A program
that ends by itself is started again, at once and then with growing pauses. Every program is tethered to this process
(see `tether`) and leads a process group of its own: Ctrl-C in the terminal reaches us alone, and what a program
leaves behind can be found and ended. Programs are started from the main thread only, because the tether is to the
thread that starts them.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

TETHER = Path(__file__).with_name("tether.py")
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
# Who ran this long is healthy again: its next end is a first one.
STEADY_SECONDS = 60.0

Report = Callable[[str, str], None]  # (program name or "", one line of text)


class StartFailed(Exception):
    """A program ended, or was not ready in time, while it was first started; the text says what to look at."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """What to run. `prepare` is called before every start, `ready` until it answers true."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    config: bytes | None = None  # given on standard input, where no process list shows it
    log: Path | None = None  # where its output goes instead of ours
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0
    start_seconds: float = 60.0
    prepare: Callable[[], None] = lambda: None
    ready: Callable[[], bool] = lambda: True


def tethered(*, user: str | None = None, death_signal: signal.Signals = signal.SIGTERM) -> list[str]:
    """The words to put before a command so that it runs as `user` and ends with this process."""
    return [sys.executable, "-IS", str(TETHER), death_signal.name, str(os.getpid()), user or "-"]


class Child:
    """One program and the process that is running it, if any."""

    def __init__(self, program: Program, report: Report) -> None:
        self.program = program
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self.failures = 0
        self.restart_at: float | None = None
        self._report = report

    def start(self) -> None:
        program = self.program
        program.prepare()
        output = program.log.open("ab") if program.log else subprocess.PIPE
        self.process = subprocess.Popen(  # noqa: S603  # running programs is what we are for
            [*tethered(user=program.user, death_signal=program.stop_signal), *program.argv],
            env={**os.environ, **program.env},
            stdin=subprocess.PIPE if program.config else subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.started_at = time.monotonic()
        self.restart_at = None
        if program.config and self.process.stdin:
            self.process.stdin.write(program.config)
            self.process.stdin.close()
        if self.process.stdout:
            threading.Thread(target=self._pass_on_output, args=(self.process,), daemon=True).start()
        elif not isinstance(output, int):
            output.close()

    def wait_until_ready(self, stopping: threading.Event) -> None:
        """Return once the program is ready, or we are told to stop. Raises: StartFailed."""
        deadline = time.monotonic() + self.program.start_seconds
        pause = 0.01
        while not stopping.is_set() and not self.program.ready():
            if self.exit_code is not None:
                raise StartFailed(f"{self.program.name} {self.describe_exit()} while starting{self._last_words()}")
            if time.monotonic() > deadline:
                seconds = self.program.start_seconds
                raise StartFailed(f"{self.program.name} was not ready after {seconds:g} s{self._last_words()}")
            stopping.wait(pause)
            pause = min(pause * 1.5, 0.25)

    @property
    def exit_code(self) -> int | None:
        return self.process.poll() if self.process else None

    def describe_exit(self) -> str:
        code = self.exit_code or 0
        if code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"

    def plan_restart(self) -> float:
        """Count the failure and return the pause before the next start, in seconds."""
        now = time.monotonic()
        if now - self.started_at > STEADY_SECONDS:
            self.failures = 0
        pause = min(FIRST_PAUSE_SECONDS * 2**self.failures, LONGEST_PAUSE_SECONDS)
        self.failures += 1
        self.restart_at = now + pause
        return pause

    def stop(self) -> None:
        """Ask to end, insist when the time is over, and end whatever the program started and left."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(self.program.stop_signal)
            try:
                self.process.wait(self.program.stop_seconds)
            except subprocess.TimeoutExpired:
                self._report("", f"{self.program.name} did not stop in {self.program.stop_seconds:g} s: killed")
        self.end_group()
        self.process.wait()

    def end_group(self) -> None:
        if self.process is not None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # the usual case: nothing is left

    def _pass_on_output(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self._report(self.program.name, line.decode(errors="replace").rstrip())

    def _last_words(self) -> str:
        if self.program.log is None:
            return ""
        lines = self.program.log.read_text(errors="replace").splitlines()[-5:]
        return "\n".join([f"; the end of {self.program.log}:", *lines])


class Supervisor:
    """Starts programs, restarts what ends, stops all."""

    def __init__(self, report: Report) -> None:
        self.stopping = threading.Event()
        self.children: list[Child] = []
        self._report = report

    def start(self, program: Program) -> None:
        """Start one more program and wait until it is ready. Raises: StartFailed."""
        child = Child(program, self._report)
        self.children.append(child)
        child.start()
        child.wait_until_ready(self.stopping)

    def complete(self, program: Program) -> None:
        """Run a program that ends by itself, to its end. Raises: StartFailed."""
        child = Child(program, self._report)
        self.children.append(child)
        child.start()
        while child.exit_code is None and not self.stopping.wait(0.02):
            pass
        self.children.remove(child)
        child.stop()
        if child.exit_code != 0 and not self.stopping.is_set():
            raise StartFailed(f"{program.name} {child.describe_exit()}: see its lines above")

    def watch(self) -> None:
        """Restart what ends, until `stopping` is set."""
        while not self.stopping.wait(0.2):
            self.look_after_all()

    def look_after_all(self) -> None:
        """Start again what has ended, when its pause is over."""
        for child in self.children:
            self._look_after(child)

    def stop(self) -> None:
        """Stop everything, last started first."""
        self.stopping.set()
        while self.children:
            self.children.pop().stop()

    def _look_after(self, child: Child) -> None:
        if child.restart_at is None:
            if child.exit_code is None:
                return
            child.end_group()  # a leftover of its own would hold its port or its files
            what = child.describe_exit()
            pause = child.plan_restart()
            self._report("", f"{child.program.name} {what}: starting it again in {pause:g} s")
        elif time.monotonic() >= child.restart_at:
            child.start()
