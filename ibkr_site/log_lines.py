"""How a log line looks: `2026-03-02 14:30:03.123Z WARNING paper orders.dispatch: text`, in UTC whatever the zone.

Each says whether it is about paper money or real money (live). What is logged for a request carries its id:
`… orders.api.guide.placing: [id] text`.
"""

import logging
import time

from django.conf import settings

from ibkr_site.request_context import current_request_id


class UtcFormatter(logging.Formatter):
    """One line per record; a traceback follows on lines of its own."""

    default_time_format = "%Y-%m-%d %H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(mode)s %(name)s: %(request)s%(message)s")

    @staticmethod
    def converter(timestamp: float | None) -> time.struct_time:
        return time.gmtime(timestamp)

    def formatMessage(self, record: logging.LogRecord) -> str:
        request_id = current_request_id()
        record.request = f"[{request_id}] " if request_id else ""
        record.mode = settings.TRADING_MODE
        # A line break inside a message would let a client's text pose as a log line.
        return super().formatMessage(record).replace("\r", "\\r").replace("\n", "\\n")


class WithTraceback(logging.Filter):
    """Passes the records of exceptions only."""

    def filter(self, record: logging.LogRecord) -> bool:
        return bool(record.exc_info)
