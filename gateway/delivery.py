"""One thread that hands reports to the sink, in order, one at a time.

Rules: a report is never dropped; a sink that raises loses that one report (logged whole) and nothing behind it; an
answer is only called complete when every report since its question was put went through.
"""

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import NamedTuple

from gateway.errors import QueryFailed
from gateway.reports import Report

log = logging.getLogger(__name__)


class _Item(NamedTuple):
    report: Report
    applied: Future[None] | None = None
    failures_before: int = 0


class Delivery:
    """The queue between the session's loop and the sink, and the consumer thread behind it."""

    def __init__(self, sink: Callable[[Report], None], *, name: str) -> None:
        self._sink = sink
        self._name = name
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._failures = 0
        self._handled = 0

    @property
    def failures(self) -> int:
        """How many reports the sink did not take, ever."""
        return self._failures

    @property
    def handled(self) -> int:
        """How many reports the sink was done with, ever."""
        return self._handled

    def start(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._consume, name=self._name, daemon=True)
            self._thread.start()

    def put(self, report: Report) -> None:
        self._queue.put(_Item(report))

    def put_answer(self, report: Report, *, failures_before: int) -> Future[None]:
        """Pass an end marker on. The future ends when the sink has it, or fails when a part was not taken."""
        applied: Future[None] = Future()
        self._queue.put(_Item(report, applied, failures_before))
        return applied

    def is_consumer(self) -> bool:
        return threading.current_thread() is self._thread

    def stop(self, *, timeout: float) -> bool:
        """Hand over what is queued, then end. False when the sink did not finish in time."""
        thread = self._thread
        if thread is None:
            return True
        self._queue.put(None)
        thread.join(timeout)
        if thread.is_alive():
            log.error("%s: about %d reports were still queued at the end", self._name, self._queue.qsize())
            return False
        self._thread = None
        return True

    def _consume(self) -> None:
        while (item := self._queue.get()) is not None:
            if item.applied is None:
                self._hand_over(item.report)
            elif self._failures != item.failures_before:
                item.applied.set_exception(QueryFailed("a part of the answer could not be applied"))
            elif self._hand_over(item.report):
                item.applied.set_result(None)
            else:
                item.applied.set_exception(QueryFailed("the end of the answer could not be applied"))

    def _hand_over(self, report: Report) -> bool:
        self._handled += 1
        try:
            self._sink(report)
        except Exception:
            self._failures += 1
            log.exception("%s: a report could not be applied: %r", self._name, report)
            return False
        return True
