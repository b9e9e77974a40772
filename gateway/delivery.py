"""One thread that hands reports to the sink, in order.

Rules: a report is never dropped; a sink that raises loses that one report (logged whole) and nothing behind it; an
answer is only called complete when every report since its question was put went through. What has piled up is offered
together first: where that fails, each is handed over alone, so a sink must not mind to see a report twice.
"""

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import NamedTuple

from gateway.errors import QueryFailed
from gateway.reports import Report

log = logging.getLogger(__name__)

MOST_TOGETHER = 200


class _Item(NamedTuple):
    report: Report
    applied: Future[None] | None = None
    failures_before: int = 0


class Delivery:
    """The queue between the session's loop and the sink, and the consumer thread behind it."""

    def __init__(
        self,
        sink: Callable[[Report], None],
        *,
        together: Callable[[Sequence[Report]], None] | None = None,
        name: str,
    ) -> None:
        self._sink = sink
        self._together = together
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
        over = False
        while not over:
            reports, end, over = self._take()
            self._hand_over_all(reports)
            if end is not None:
                self._conclude(end)

    def _take(self) -> tuple[list[Report], _Item | None, bool]:
        """What has piled up: reports, the end marker behind them if one came, and whether that was the last of all."""
        reports: list[Report] = []
        item = self._queue.get()
        while item is not None and item.applied is None:
            reports.append(item.report)
            if len(reports) == MOST_TOGETHER or self._queue.empty():
                return reports, None, False
            item = self._queue.get()
        return reports, item, item is None

    def _conclude(self, end: _Item) -> None:
        assert end.applied is not None
        if self._failures != end.failures_before:
            end.applied.set_exception(QueryFailed("a part of the answer could not be applied"))
        elif self._hand_over(end.report):
            end.applied.set_result(None)
        else:
            end.applied.set_exception(QueryFailed("the end of the answer could not be applied"))

    def _hand_over_all(self, reports: Sequence[Report]) -> None:
        if len(reports) > 1 and self._together is not None:
            try:
                self._together(reports)
            except Exception:
                log.exception("%s: %d reports could not be applied together; each is alone", self._name, len(reports))
            else:
                self._handled += len(reports)
                return
        for report in reports:
            self._hand_over(report)

    def _hand_over(self, report: Report) -> bool:
        self._handled += 1
        try:
            self._sink(report)
        except Exception:
            self._failures += 1
            log.exception("%s: a report could not be applied: %r", self._name, report)
            return False
        return True
