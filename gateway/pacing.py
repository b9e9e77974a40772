"""Never more than `limit` wire messages in any `window` of time; IB cuts off who sends more than 50 a second.

A sliding window and not a bucket: a bucket of 40 that refills at 45 a second lets 85 messages through in one second.
The window is longer than a second because messages that were written so far apart may be received closer together,
which a smaller number in a window of one second would not help against: it can leave in two bursts, at its end and at
the beginning of the next. Thread-safe; nobody sleeps under the lock.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable

LIMIT = 48
WINDOW = 1.02  # seconds
# Seconds from when room is looked for to the write, for a claim and its commit. Begun only when there is room, they
# would leave each place empty for so long: two or three of 47 a second.
AHEAD = 0.1


class Pacer:
    """Hands out tokens, one per message."""

    def __init__(
        self, *, limit: int = LIMIT, window: float = WINDOW, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = limit
        self._window = window
        self._clock = clock
        self._taken: deque[float] = deque()
        self._lock = threading.Lock()

    def try_take(self, messages: int) -> float:
        """Take the tokens and answer 0, or take none and answer the seconds until they could be there."""
        with self._lock:
            wait = self._until(messages)
            if not wait:
                self._taken.extend([self._clock()] * messages)
            return wait

    def take(self, messages: int, *, timeout: float) -> bool:
        """Wait for the tokens, False when they would come too late; then none were taken."""
        deadline = self._clock() + timeout
        while wait := self.try_take(messages):
            if self._clock() + wait > deadline:
                return False
            time.sleep(wait)
        return True

    async def pace(self, messages: int) -> None:
        """Wait for the tokens, on an event loop and however long it takes."""
        while True:
            wait = self.try_take(messages)
            if not wait:
                return
            await asyncio.sleep(wait)

    def wait_for(self, messages: int, *, timeout: float, ahead: float = 0.0) -> int:
        """Wait until so many tokens are there, or will be `ahead` seconds later, and take none: how many that are, 0
        when they would come too late."""
        deadline = self._clock() + timeout
        while True:
            with self._lock:
                wait = self._until(messages) - ahead
                if wait <= 0:
                    return self._free(self._clock() + ahead)
            if self._clock() + wait > deadline:
                return 0
            time.sleep(wait)

    def _until(self, messages: int) -> float:
        """The seconds until so many tokens could be there, 0 when they are. Called under the lock."""
        if not 0 <= messages <= self._limit:
            raise ValueError(f"{messages} messages never fit into a window of {self._limit}")
        now = self._clock()
        while self._taken and now - self._taken[0] >= self._window:
            self._taken.popleft()
        free = self._limit - len(self._taken)
        if messages <= free:
            return 0.0
        # Positive even where adding and subtracting the window rounds to nothing.
        return max(self._taken[messages - free - 1] + self._window - now, 0.001)

    def _free(self, moment: float) -> int:
        """How many tokens are there at that moment. Called under the lock."""
        return self._limit - sum(moment - taken < self._window for taken in self._taken)
