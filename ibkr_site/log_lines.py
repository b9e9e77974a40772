"""How a log line looks: `2026-03-02 14:30:03.123Z WARNING paper orders.dispatch: text`, in UTC whatever the zone.

Rules: each says whether it is about paper money or real money (live); what is logged for a request carries its id:
`… orders.api.guide.placing: [id] text`. With LOG_FORMAT=json each record is one JSON object on one line. No text of a
client starts a line, moves a cursor or turns the reading direction: such characters are written as escapes, and the
lines of a traceback are set in. No secret of ours is in it.
"""

import json
import logging
import time
from typing import Any

from django.conf import settings

from ibkr_site.redaction import hide
from ibkr_site.request_context import current_request_id

MARGIN = "    | "


def visible(text: str) -> str:
    """The text with what cannot be seen written as an escape: \\n, \\x1b, \\u202e."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


class ConsoleFormatter(logging.Formatter):
    """One line per record; a traceback follows on lines that are set in."""

    default_time_format = "%Y-%m-%d %H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(mode)s %(name)s: %(request)s%(message)s")

    @staticmethod
    def converter(timestamp: float | None) -> time.struct_time:
        return time.gmtime(timestamp)

    def format(self, record: logging.LogRecord) -> str:
        return hide(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:
        request_id = current_request_id()
        record.request = f"[{request_id}] " if request_id else ""
        record.mode = settings.TRADING_MODE
        return visible(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:
        return _set_in(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:
        return _set_in(stack_info)


class JsonFormatter(ConsoleFormatter):
    """One JSON object per record: time, level, mode, logger, message; request_id and traceback where there are any."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": self.formatTime(record).replace(" ", "T"),
            "level": record.levelname,
            "mode": settings.TRADING_MODE,
            "logger": record.name,
            "request_id": current_request_id(),
            "message": hide(record.getMessage()),
            "traceback": hide(logging.Formatter.formatException(self, record.exc_info)) if record.exc_info else "",
        }
        return json.dumps({name: value for name, value in fields.items() if value})  # in ASCII, so on one line


class WithTraceback(logging.Filter):
    """Passes the records of exceptions only."""

    def filter(self, record: logging.LogRecord) -> bool:
        return bool(record.exc_info)


def _set_in(text: str) -> str:
    # Only at \n: what else ends a line somewhere is escaped, so that it does not.
    return "\n".join(MARGIN + visible(line) for line in text.split("\n"))
