"""How a log line looks: `12:00:03.123 WARNING orders.dispatch: text`, times in UTC whatever the machine's zone."""

import logging
import time


class UtcFormatter(logging.Formatter):
    """One line per record; a traceback follows on lines of its own."""

    converter = time.gmtime
    default_time_format = "%Y-%m-%d %H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        # A line break inside a message would let a client's text pose as a log line.
        return super().formatMessage(record).replace("\r", "\\r").replace("\n", "\\n")


class WithTraceback(logging.Filter):
    """Passes the records of exceptions only."""

    def filter(self, record: logging.LogRecord) -> bool:
        return bool(record.exc_info)
