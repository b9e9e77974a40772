"""Ringing for the worker. A bell that is not heard does no harm: the worker looks at the rows by itself a little later.

So whoever rings never waits for Redis: a thread of its own does, and rests for a while when Redis is away.
"""

import logging
import threading
import time
from queue import SimpleQueue
from typing import Any

from celery import Task
from django.conf import settings
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

REST_SECONDS = 2.0


class Doorbell:
    """Rings in the order it was asked to; while Redis is away, not at all."""

    def __init__(self) -> None:
        self._bells: SimpleQueue[tuple[Task[..., Any], tuple[Any, ...]]] = SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._resting_until = 0.0

    def ring(self, task: "Task[..., Any]", *args: Any) -> None:
        """Ask the worker to run `task` soon. Call after the commit of what it is to look at."""
        self._bells.put((task, args))
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._ring_on, name="doorbell", daemon=True)
                self._thread.start()

    def _ring_on(self) -> None:
        while True:
            task, args = self._bells.get()
            if time.monotonic() >= self._resting_until:
                self._ring(task, args)

    def _ring(self, task: "Task[..., Any]", args: tuple[Any, ...]) -> None:
        try:
            task.apply_async(args, queue=settings.GATEWAY_QUEUE, retry=False)
        except (OperationalError, RedisError, OSError) as error:
            log.warning("Redis is away, so %s is left to the worker's sweep: %s", task.name, error)
            self._resting_until = time.monotonic() + REST_SECONDS
        except Exception:
            log.exception("%s could not be rung for", task.name)  # the thread must outlive any one bell


doorbell = Doorbell()
ring = doorbell.ring
