"""What `make run` shows: one line per event, the program's name before it, in colour where that can be seen."""

import os
import sys
import threading

COLOURS = (36, 33, 32, 35, 34, 96, 93, 92)
NAME_WIDTH = 8


class Console:
    """Writes whole lines from several threads. A terminal that went away is no reason to stop."""

    def __init__(self) -> None:
        self._coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._colour_of: dict[str, int] = {}
        self._lock = threading.Lock()

    def __call__(self, name: str, line: str) -> None:
        """Show a line of that program; the name "" is ours."""
        with self._lock:
            prefix = f"{name or 'stack':<{NAME_WIDTH}} | "
            if self._coloured:
                colour = self._colour_of.setdefault(name, COLOURS[len(self._colour_of) % len(COLOURS)])
                prefix = f"\033[{colour}m{prefix}\033[0m"
            try:
                sys.stdout.write(f"{prefix}{line}\n")
                sys.stdout.flush()
            except OSError:
                pass
