"""Ringing for the worker. A bell that is not heard does no harm: the worker looks at the rows by itself a little later.

So whoever rings never waits for Redis: a thread of its own does, and rests for a while when Redis is away. What was
asked for while it was at it goes as one message: each costs a millisecond here and there.
"""

import contextlib
import logging
import threading
import time
from queue import Empty, SimpleQueue
from typing import Any

from celery import Task
from django.conf import settings
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

REST_SECONDS = 2.0
AT_ONCE = 20  # rows that one message is for, at most


class Doorbell:
    """Rings as soon as it is asked to; while Redis is away, not at all."""

    def __init__(self) -> None:
        self._bells: SimpleQueue[tuple[Task[..., Any], tuple[int, ...]]] = SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._resting_until = 0.0

    def ring(self, task: "Task[..., Any]", *keys: int) -> None:
        """Ask the worker to run `task` soon, for these rows and perhaps for others. Call after their commit."""
        self._bells.put((task, keys))
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._ring_on, name="doorbell", daemon=True)
                self._thread.start()

    def _ring_on(self) -> None:
        while True:
            rung = self._next()
            if time.monotonic() >= self._resting_until:
                for task, keys in rung.items():
                    self._ring(task, keys)

    def _next(self) -> "dict[Task[..., Any], list[int]]":
        """What is to be rung for, and for which rows; waits for the first."""
        task, keys = self._bells.get()
        rung = {task: [*keys]}
        with contextlib.suppress(Empty):
            while sum(map(len, rung.values())) < AT_ONCE:
                task, keys = self._bells.get_nowait()
                rung.setdefault(task, []).extend(keys)
        return rung

    def _ring(self, task: "Task[..., Any]", keys: list[int]) -> None:
        try:
            task.apply_async(tuple(keys), queue=settings.GATEWAY_QUEUE, retry=False)
        except (OperationalError, RedisError, OSError) as error:
            log.warning("Redis is away, so %s is left to the worker's sweep: %s", task.name, error)
            self._resting_until = time.monotonic() + REST_SECONDS
        except Exception:
            log.exception("%s could not be rung for", task.name)  # the thread must outlive any one bell


doorbell = Doorbell()
ring = doorbell.ring
