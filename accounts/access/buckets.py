"""Token buckets: so many requests a second, and some saved up for a burst. Pure but for the lock; nothing outside.

Each process has its own, for a part of the whole: no server needs to be asked, so none can be away. The memory is
bounded: the one that was not heard of for longest is forgotten first, and starts full when it comes back.
"""

import threading
from collections import OrderedDict


class Buckets:
    def __init__(self, *, most: int = 10_000) -> None:
        self._most = most
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, and when there were so many
        self._lock = threading.Lock()

    def take(self, name: str, *, rate: float, burst: float, now: float) -> float:
        """Seconds until there is a token; 0 when one was taken. `rate`: tokens a second, `burst`: at most at once."""
        with self._lock:
            tokens, since = self._buckets.get(name, (burst, now))
            tokens = min(burst, tokens + (now - since) * rate)
            wait = 0.0 if tokens >= 1 else (1 - tokens) / rate
            self._buckets[name] = (tokens if wait else tokens - 1, now)
            self._buckets.move_to_end(name)
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
        return wait

    def clear(self) -> None:
        with self._lock:
            self._buckets.clear()

    def __len__(self) -> int:
        return len(self._buckets)
