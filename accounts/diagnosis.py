"""What is wrong with the session and what a person should do: one table, for health, pages and docs alike.

Rules
1. The row says what its owner last knew; an owner that died could not say so, so its signs of life are looked at first.
2. A planned pause is no fault, whatever the session looks like meanwhile.
3. Being away for longer than CRITICAL_AFTER without a plan is critical: people are trading on it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from accounts.calendar import Calendar, Kind, Pause
from accounts.freshness import Standing
from accounts.models import GatewaySession
from gateway.reports import Cause, SessionState

CRITICAL_AFTER = timedelta(seconds=60)
LOGIN_AFTER = timedelta(minutes=5)  # a restart takes a minute or two; a gateway that waits for a person takes longer
OWNER_SEEN_WITHIN = timedelta(seconds=10)


class Finding(StrEnum):
    """What `/health/ready` names as the problem."""

    IN_ORDER = "IN_ORDER"
    NO_WORKER = "NO_WORKER"
    CONNECTING = "CONNECTING"
    RECOVERING = "RECOVERING"
    GATEWAY_AWAY = "GATEWAY_AWAY"
    NOT_ANSWERING = "NOT_ANSWERING"
    NEEDS_LOGIN = "NEEDS_LOGIN"
    CLIENT_ID_TAKEN = "CLIENT_ID_TAKEN"
    READ_ONLY = "READ_ONLY"
    WRONG_ACCOUNT = "WRONG_ACCOUNT"
    LINK_DOWN = "LINK_DOWN"
    SILENT = "SILENT"
    RECOVERY_FAILED = "RECOVERY_FAILED"
    CONNECTION_LOST = "CONNECTION_LOST"
    STOPPED = "STOPPED"
    RESTART = "RESTART"
    LOGIN = "LOGIN"
    WEEKEND = "WEEKEND"


class Advice(NamedTuple):
    words: str
    what_to_do: str


_WAITS = "Nothing, unless it lasts: the worker goes on by itself."
ADVICE = {
    Finding.IN_ORDER: Advice("In order", "Nothing."),
    Finding.NO_WORKER: Advice(
        "Nobody owns the session: no worker running",
        "Start the gateway worker (make run starts one), and look at the end of its log for why it ended.",
    ),
    Finding.CONNECTING: Advice("Connecting to the gateway", _WAITS),
    Finding.RECOVERING: Advice("Asking the broker what happened meanwhile", _WAITS),
    Finding.GATEWAY_AWAY: Advice(
        "The gateway cannot be reached",
        "Is IB Gateway or TWS running, on the address in IB_HOST and IB_PORT, with its API enabled?",
    ),
    Finding.NOT_ANSWERING: Advice(
        "The gateway takes connections and does not answer",
        "Look at the gateway's screen: a dialog may be waiting, or the worker's address is none of its trusted IPs.",
    ),
    Finding.NEEDS_LOGIN: Advice(
        "The gateway needs a login",
        "Log in at the gateway's own window: it has been away for longer than a restart takes. "
        "It asks for a login once a week, and after every logout.",
    ),
    Finding.CLIENT_ID_TAKEN: Advice(
        "Client id taken by another session",
        "Find the other program that uses our IB_CLIENT_ID, perhaps a worker of another installation, and stop it. "
        "Do not change the id: orders can only be asked about under the one that placed them.",
    ),
    Finding.READ_ONLY: Advice(
        "The gateway's API is read-only",
        "Switch off Read-Only API in the gateway: Configure, Settings, API, Settings.",
    ),
    Finding.WRONG_ACCOUNT: Advice(
        "The gateway is logged in to another account",
        "Log in to the account that IB_ACCOUNT and TRADING_MODE name, or change them; paper accounts begin with D.",
    ),
    Finding.LINK_DOWN: Advice(
        "The gateway has lost its link to Interactive Brokers",
        "Wait: nothing is sent until the link is back, and what happened meanwhile is asked for then. "
        "If it lasts, check the gateway's own network.",
    ),
    Finding.SILENT: Advice("The broker was not heard for some seconds", _WAITS),
    Finding.RECOVERY_FAILED: Advice(
        "Connected, but what happened meanwhile cannot be asked",
        "The worker tries again by itself. If it goes on, restart the gateway; the reason and the log say more.",
    ),
    Finding.CONNECTION_LOST: Advice("The connection was lost", _WAITS),
    Finding.STOPPED: Advice(
        "The worker was stopped", "Start the gateway worker again, unless somebody stopped it on purpose."
    ),
    Finding.RESTART: Advice("The gateway's nightly restart", "Nothing: orders are taken again when it is over."),
    Finding.LOGIN: Advice("The gateway's weekly login", "Log in at the gateway's own window."),
    Finding.WEEKEND: Advice("The gateway's weekend", "Nothing: orders are taken again when it is over."),
}

PAUSED = {Kind.RESTART: Finding.RESTART, Kind.LOGIN: Finding.LOGIN, Kind.WEEKEND: Finding.WEEKEND}
CAUSED = {
    Cause.STOPPED: Finding.STOPPED,
    Cause.NOT_LISTENING: Finding.GATEWAY_AWAY,
    Cause.UNREACHABLE: Finding.GATEWAY_AWAY,
    Cause.NOT_ANSWERING: Finding.NOT_ANSWERING,
    Cause.CLIENT_ID_TAKEN: Finding.CLIENT_ID_TAKEN,
    Cause.READ_ONLY: Finding.READ_ONLY,
    Cause.WRONG_ACCOUNT: Finding.WRONG_ACCOUNT,
    Cause.LINK_DOWN: Finding.LINK_DOWN,
    Cause.RECOVERY_FAILED: Finding.RECOVERY_FAILED,
    Cause.CONNECTION_LOST: Finding.CONNECTION_LOST,
}
# What a gateway that waits for a login looks like from outside.
LIKE_LOGIN = frozenset({Cause.NOT_LISTENING, Cause.NOT_ANSWERING})
# What may be over once the next connection is tried. The others come back until somebody does something.
PASSING = frozenset({Cause.NONE, Cause.STOPPED, Cause.LINK_DOWN, Cause.CONNECTION_LOST})
UNDER_WAY = {SessionState.CONNECTING: Finding.CONNECTING, SessionState.RECOVERING: Finding.RECOVERING}


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """`reason`: the case at hand. `since`: from when on no order could be sent; None where that is not known."""

    finding: Finding
    reason: str
    since: datetime | None
    critical: bool
    pause: Pause | None

    @property
    def words(self) -> str:
        return ADVICE[self.finding].words

    @property
    def what_to_do(self) -> str:
        return ADVICE[self.finding].what_to_do


def diagnose(standing: Standing, *, calendar: Calendar, critical_after: timedelta = CRITICAL_AFTER) -> Diagnosis:
    """What the standing of a session means for a person."""
    pause = calendar.pause(standing.at)
    since = _away_since(standing)
    finding = _finding(standing, calendar=calendar)
    if pause is not None and finding is not Finding.NO_WORKER:
        finding = PAUSED[pause.kind]
    planned = finding in PAUSED.values()
    away = not standing.fresh and (since is None or standing.at - since > critical_after)
    return Diagnosis(
        finding=finding,
        reason=pause.reason if pause is not None and planned else standing.reason,
        since=since,
        critical=away and not planned,
        pause=pause,
    )


def _finding(standing: Standing, *, calendar: Calendar) -> Finding:
    session = standing.session
    if standing.fresh:
        return Finding.IN_ORDER
    if session is None or not _owned(session, at=standing.at):
        return Finding.NO_WORKER
    state, cause = SessionState(session.state), Cause(session.cause)
    if state is SessionState.READY:
        return Finding.SILENT
    if cause in LIKE_LOGIN and _waits_for_login(session, at=standing.at, calendar=calendar):
        return Finding.NEEDS_LOGIN
    if state in UNDER_WAY and cause in PASSING:
        return UNDER_WAY[state]
    if state is SessionState.LINK_DOWN:
        return Finding.LINK_DOWN
    return CAUSED.get(cause, Finding.CONNECTION_LOST)


def _waits_for_login(session: GatewaySession, *, at: datetime, calendar: Calendar) -> bool:
    if session.away_since is None:
        return False
    last = calendar.last(at)
    went_for_it = last is not None and last.kind is Kind.LOGIN and session.away_since >= last.begins
    return went_for_it or at - session.away_since > LOGIN_AFTER


def _owned(session: GatewaySession, *, at: datetime) -> bool:
    seen = _last_sign(session)
    return seen is not None and at - seen <= OWNER_SEEN_WITHIN


def _last_sign(session: GatewaySession) -> datetime | None:
    signs = [sign for sign in (session.owner_seen_at, session.heard_at) if sign is not None]
    return max(signs, default=None)


def _away_since(standing: Standing) -> datetime | None:
    session = standing.session
    if session is None or standing.fresh:
        return None
    return session.away_since or session.heard_at
