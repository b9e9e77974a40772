"""The pacing limit of 50 messages a second.

A bucket of tokens and no sliding window: IB's own clients send up to 45 messages at once and 45 more a second later.
"""

RATE = 50  # messages a second
SECONDS_SAVED = 2  # what a client did not use of its rate it may use later
ROUNDING = 1e-6  # of a token: who waited as long as he was told must not be told again
STRIKES = 3  # a client that does not slow down is dropped; one strike a second at most


class Throttle:
    """One client's bucket; `now` is any clock that only goes forward, in seconds. A rate of 0 is none."""

    def __init__(self, now: float, rate: int = RATE) -> None:
        self.strikes = 0
        self.rate = rate
        self._tokens = float(rate * SECONDS_SAVED)
        self._filled_at = now
        self._struck_at = now - 1

    def wait(self, now: float) -> float:
        """The seconds until there is a token, 0 if there is one."""
        if not self.rate:
            return 0.0
        self._tokens = min(self.rate * SECONDS_SAVED, self._tokens + (now - self._filled_at) * self.rate)
        self._filled_at = now
        missing = 1 - self._tokens
        return missing / self.rate if missing > ROUNDING else 0.0

    def take(self, now: float) -> bool:
        """Take a token, if there is one."""
        if self.wait(now) > 0:
            return False
        self._tokens -= 1
        return True

    def strike(self, now: float) -> int:
        """Count a message too many; how often it came to that."""
        if now - self._struck_at >= 1:
            self._struck_at = now
            self.strikes += 1
        return self.strikes
