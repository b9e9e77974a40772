"""Run a program that cannot outlive the process that started it: `python tether.py SIGNAL PARENT_PID USER PROGRAM …`.

Rules: standard library only, no import of the project: it is started once per child and is gone after `exec`. The
kernel sends SIGNAL to the program when its parent dies, even by kill -9 (Linux; elsewhere there is no such help).
The switch to USER (a name, or `-` for none) comes first, because changing the user forgets the signal.
"""

import ctypes
import os
import pwd
import signal
import sys

PR_SET_PDEATHSIG = 1


def become(name: str) -> None:
    """Give up root for that account, with none of root's groups."""
    account = pwd.getpwnam(name)
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)


def tie_to(parent: int, death_signal: int) -> None:
    """Ask for the signal on the parent's death, and end now where it died before we could ask."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)


if __name__ == "__main__":
    _, signal_name, parent_pid, user, *program = sys.argv
    if user != "-":
        become(user)
    tie_to(int(parent_pid), signal.Signals[signal_name])
    os.execvp(program[0], program)  # noqa: S606  # no shell is wanted
