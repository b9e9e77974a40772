"""Places where a fault test may end, stop or delay this process. No-ops everywhere else; refused in live mode.

`settings.KILL_POINTS` names a directory. A point is armed while a file of its name lies there; the process that
reaches it first removes the file and does what it says: `kill` (SIGKILL), `stop` (SIGSTOP), `raise`, or `sleep N`.
"""

import os
import signal
import threading
import time
from pathlib import Path

from django.conf import settings

NAMES = frozenset(
    {
        "web.before_insert",
        "web.in_transaction",  # everything written, not committed
        "web.committed",  # before the bell
        "web.acknowledged",  # the outcome is known, the answer is not on its way
        "worker.before_claim",
        "worker.claim_uncommitted",  # everything written, not committed
        "worker.claimed",  # committed, not a byte sent
        "worker.written",
        "worker.report",  # a report of the broker is about to be applied
        "worker.asked",  # one question of a recovery was answered
        "worker.cancel_marked",  # the cancel is on record, not sent
    }
)


class KillPointReached(Exception):
    """What the instruction `raise` raises."""


def reached(name: str) -> None:
    """Do what a test asked for at this place, once."""
    if not settings.KILL_POINTS:
        return
    assert name in NAMES
    armed = Path(settings.KILL_POINTS, name)
    try:
        taken = armed.rename(armed.with_suffix(f".taken-by-{os.getpid()}"))
    except FileNotFoundError:
        return
    instruction, _, argument = taken.read_text().strip().partition(" ")
    match instruction:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stop":
            # To this very thread: one to the process may be taken by another, and this one run on for a while.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
        case "sleep":
            time.sleep(float(argument))
        case "raise":
            raise KillPointReached(name)
        case _:
            raise ValueError(f"{name}: {instruction!r} is none of kill, stop, raise, sleep N")
