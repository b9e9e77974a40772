"""The file that halts everything while it is there: it needs no database, no web process and no login.

Rules: to look costs one system call; a place that cannot be looked at counts as halted, for nobody knows what is there.
"""

import os

from django.conf import settings

LONGEST_REASON = 200


def found() -> str:
    """For clients: why nothing is sent; empty while there is no such file."""
    try:
        os.stat(settings.HALT_FILE)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        return f"trading is halted (everything): HALT_FILE cannot be looked at: {error.strerror}"
    return f"trading is halted (everything): {_reason() or 'the file ' + settings.HALT_FILE.name + ' is there'}"


def _reason() -> str:
    """The first line of the file, as far as it can be shown."""
    try:
        with settings.HALT_FILE.open(encoding="utf-8", errors="replace") as file:
            line = file.readline(LONGEST_REASON).strip()
    except OSError:
        return ""
    return "".join(character for character in line if character.isprintable())
