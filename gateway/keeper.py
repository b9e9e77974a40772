"""Keeps one link to the gateway: connects, has it recovered, watches it, connects again. Runs on the session's loop.

Rules: the state changes here only, and every change is a report, in order with all the others; READY means connected,
link up, and the recovery of this very connection done; two recoveries never overlap. Attempts that fail again and
again are repeated quietly: the state stays DISCONNECTED with the reason, reported once for each different reason.
"""

import asyncio
import logging
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.broker import SessionStatus
from gateway.delivery import Delivery
from gateway.errors import NotConnected, WrongAccount
from gateway.link import Endpoint, Link, LinkLost, Watcher
from gateway.pacing import Pacer
from gateway.reports import Cause, Heard, SessionChanged, SessionState

log = logging.getLogger(__name__)

GREETING = 2  # messages: the versions, and startApi


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds. The defaults suit a gateway on the same machine or network."""

    connect: float = 4.0  # for the socket, and again for the gateway's first words
    silence: float = 1.0  # after so long the time is asked, so that a healthy session was heard within two
    dead: float = 8.0  # after so long the connection is dropped: it may be half open
    answer: float = 30.0  # an answer that pauses for longer makes its connection one not to trust
    first_retry: float = 0.2
    last_retry: float = 10.0
    hop: float = 5.0  # for the loop to take up a write


class Keeper:
    """The state of the session and the link it stands for. Written on the loop only, read anywhere."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        account: str,
        name: str,
        timing: Timing,
        pacer: Pacer,
        delivery: Delivery,
        recover: Callable[[int], None],
    ) -> None:
        self._endpoint = endpoint
        self._account = account
        self._name = name
        self._timing = timing
        self._pacer = pacer
        self._delivery = delivery
        self._recover = recover
        self._standing = (SessionState.DISCONNECTED, "not started")
        self._link: Link | None = None
        self._connection = 0
        self._accounts: tuple[str, ...] = ()
        self._next_order_id = 1
        self._ready_since: float | None = None
        self._heard_at: float | None = None
        self._heard_reported = 0.0
        self._failed_attempts = 0
        self._announce = True
        self._outcome: Future[BaseException | None] | None = None
        self.recovery: threading.Thread | None = None

    def status(self) -> SessionStatus:
        state, reason = self._standing
        link, heard_at = self._link, self._heard_at
        return SessionStatus(
            state=state,
            reason=reason,
            connection=self._connection,
            heard_seconds_ago=None if heard_at is None else time.monotonic() - heard_at,
            next_order_id=max(self._next_order_id, link.next_order_id if link else 1),
            accounts=self._accounts,
            ready_since=self._ready_since,
            time_zone=(link.zone if link else None) or UTC,
        )

    def usable(self, connection: int | None, states: frozenset[SessionState]) -> Link:
        """The link, if it is that connection's and in one of the states. Raises: NotConnected."""
        state, reason = self._standing
        link = self._link
        if link is not None and link.lost.done():
            raise NotConnected(f"the connection is going down: {link.lost.result()}")
        if link is None or state not in states:
            raise NotConnected(f"the session is {state}" + (f": {reason}" if reason else ""))
        if connection is not None and connection != link.number:
            raise NotConnected(f"connection {connection} is gone, this is number {link.number}")
        return link

    async def keep(self) -> None:
        """Connect and reconnect until cancelled."""
        while True:
            loss = await self._one_connection()
            self._move(SessionState.DISCONNECTED, str(loss), loss.cause)
            pause = min(self._timing.last_retry, self._timing.first_retry * 2 ** min(self._failed_attempts, 16))
            self._failed_attempts += 1
            # Half of the pause is chance: sessions that lost the same gateway do not return in step.
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311

    def leave(self, reason: str) -> None:
        """Say why the keeping ended; nothing is connected any more."""
        self._failed_attempts = 0
        self._announce = True
        self._move(SessionState.DISCONNECTED, reason, Cause.STOPPED)

    async def _one_connection(self) -> LinkLost:
        """From the attempt to the loss, and why it was lost."""
        if self._announce:
            self._announce = False
            self._move(SessionState.CONNECTING, f"to {self._endpoint} as client {self._endpoint.client_id}")
        watcher = Watcher(
            heard=self._heard,
            report=self._delivery.put,
            broken=lambda words: self._move(SessionState.LINK_DOWN, words, Cause.LINK_DOWN),
            restored=lambda words: self._move(SessionState.RECOVERING, words),
        )
        link = Link(self._endpoint, self._connection + 1, watcher)
        # The library writes its greeting by itself, and the gateway counts it with what follows.
        await self._pacer.pace(GREETING)
        try:
            await link.open(self._timing.connect)
            self._accept(link)
            return await self._attend(link)
        except LinkLost as loss:
            return loss
        finally:
            self._next_order_id = max(self._next_order_id, link.next_order_id)
            self._link = None
            await link.close()

    def _accept(self, link: Link) -> None:
        if self._account and self._account not in link.accounts:
            served = ", ".join(link.accounts)
            raise LinkLost(f"account {self._account} is none of this login's ({served})", Cause.WRONG_ACCOUNT)
        self._accounts = link.accounts
        self._connection = link.number
        self._link = link
        self._announce = True
        self._heard(link.heard_at_utc)

    async def _attend(self, link: Link) -> LinkLost:
        chores = [asyncio.create_task(self._keep_ready(link)), asyncio.create_task(self._keep_heard(link))]
        for chore in chores:
            chore.add_done_callback(lambda ended: _report_failure(ended, link))
        try:
            return await link.lost
        finally:
            for chore in chores:
                chore.cancel()
            await asyncio.gather(*chores, return_exceptions=True)

    async def _keep_ready(self, link: Link) -> None:
        """Recover, be ready, and again after each time the gateway had lost the broker."""
        while True:
            await link.up.wait()
            link.disturbed.clear()
            self._move(SessionState.RECOVERING, link.disturbance or "asking the broker what happened meanwhile")
            problem = await self._recovered(link)
            if not link.disturbed.is_set():
                if problem is not None:
                    wrong = isinstance(problem, WrongAccount)
                    cause = Cause.WRONG_ACCOUNT if wrong else Cause.RECOVERY_FAILED
                    link.lose(f"recovery failed: {str(problem) or type(problem).__name__}", cause)
                    return
                self._failed_attempts = 0
                self._move(SessionState.READY, "")
            await link.disturbed.wait()

    async def _recovered(self, link: Link) -> BaseException | None:
        """Run the recovery in a thread of its own; what it failed of, or nothing."""
        if self._outcome is not None:
            # That of a connection lost meanwhile may still be at it; its questions fail, so it will end.
            await asyncio.wait([asyncio.wrap_future(self._outcome)])
        outcome: Future[BaseException | None] = Future()
        outcome.set_running_or_notify_cancel()

        def run() -> None:
            try:
                self._recover(link.number)
            except BaseException as problem:
                log.warning("%s: recovery of connection %d failed", self._name, link.number, exc_info=True)
                outcome.set_result(problem)
            else:
                outcome.set_result(None)

        self._outcome = outcome
        self.recovery = threading.Thread(target=run, name=f"{self._name}-recovery", daemon=True)
        self.recovery.start()
        return await asyncio.wrap_future(outcome)

    async def _keep_heard(self, link: Link) -> None:
        """Ask the time in silence, and give the connection up when not even that is answered."""
        asked_at: float | None = None
        while True:
            await asyncio.sleep(self._timing.silence / 4)
            now = time.monotonic()
            silence = now - link.heard_at
            if silence < self._timing.silence:
                asked_at = None
            elif asked_at is None:
                if not self._pacer.try_take(1):
                    link.client.reqCurrentTime()
                    asked_at = now
            elif now - asked_at >= self._timing.dead - self._timing.silence:
                # Counted from our question and not from their last word: we may have been the one that slept.
                link.lose(f"nothing was heard from the gateway for {silence:.0f} s")

    def _heard(self, at: datetime) -> None:
        if self._link is None:
            return  # an attempt that may yet be refused
        self._heard_at = now = time.monotonic()
        if now - self._heard_reported >= 1.0:
            self._heard_reported = now
            self._delivery.put(Heard(connection=self._connection, received_at=at))

    def _move(self, state: SessionState, reason: str, cause: Cause = Cause.NONE) -> None:
        if self._standing == (state, reason):
            return
        self._standing = (state, reason)
        self._ready_since = time.monotonic() if state is SessionState.READY else None
        log.info("%s: %s%s", self._name, state, f" ({reason})" if reason else "")
        link = self._link
        self._delivery.put(
            SessionChanged(
                connection=self._connection,
                received_at=datetime.now(UTC),
                state=state,
                reason=reason,
                cause=cause,
                server_version=link.server_version if link else 0,
                next_order_id=self.status().next_order_id,
                offered_order_id=link.first_offered_order_id if link else 0,
                accounts=self._accounts,
                time_zone=str(link.zone) if link and link.zone else "",
            )
        )


def _report_failure(chore: asyncio.Task[None], link: Link) -> None:
    """A chore ends only with its link; anything else is a defect, and must not leave a connection unattended."""
    if not chore.cancelled() and (problem := chore.exception()) is not None:
        log.error("a chore of the session failed", exc_info=problem)
        link.lose(f"an error of our own: {problem!r}")
