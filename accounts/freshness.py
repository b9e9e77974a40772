"""May what we know be shown as what is? Only while the session is ready and the broker was heard within seconds."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from accounts.models import LAST_ANSWERS, GatewaySession
from database import clock, prepared
from gateway.reports import SessionState

HEARD_WITHIN = timedelta(seconds=6)  # a silent broker is asked the time, and what it says is noted once a second
SESSION = prepared.Selection(GatewaySession, "name = %(gateway)s", without=LAST_ANSWERS)


class NotConnected(Exception):
    """The broker cannot be asked now; the text says why."""


class NoAccount(Exception):
    """No account is known, or several are and none was chosen; the text says what to do."""


class NoAccountYet(NoAccount):
    """The gateway worker has never been connected, so it could not learn which accounts there are."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The session's row together with whether it can be trusted at that time."""

    session: GatewaySession | None
    fresh: bool
    reason: str
    at: datetime


def standing(gateway: str) -> Standing:
    """How the session stands now, by the database's clock; never raises."""
    found = SESSION.read(gateway=gateway)
    session, now = found[0] if found else (None, clock.database_now())
    return standing_of(session, now=now)


def standing_of(session: GatewaySession | None, *, now: datetime) -> Standing:
    """The same for a row at hand. `now` is by the database's clock, as `heard_at` is."""
    if session is None:
        return Standing(None, False, "no gateway worker has reported yet: start one", now)
    if session.state != SessionState.READY:
        return Standing(session, False, session.reason or f"the session is {session.state}", now)
    if session.heard_at is None or now - session.heard_at > HEARD_WITHIN:
        return Standing(session, False, "the gateway worker has not reported for some seconds", now)
    return Standing(session, True, session.reason, now)


def require_fresh(gateway: str) -> GatewaySession:
    """The session's row. Raises: NotConnected."""
    found = standing(gateway)
    if found.session is None or not found.fresh:
        raise NotConnected(found.reason)
    return found.session


def served_accounts(session: GatewaySession | None) -> frozenset[str]:
    """Those of the last connection: what an earlier login served is history. Raises: NoAccountYet."""
    if session is None or not session.accounts:
        raise NoAccountYet("No account is known yet: the gateway worker has not connected")
    return frozenset(session.accounts)


def chosen_account(session: GatewaySession | None, *, configured: str) -> str:
    """The configured account, else the only one. Raises: NoAccount, NoAccountYet."""
    known = sorted(served_accounts(session))
    served = ", ".join(known)
    if configured:
        if configured not in known:
            raise NoAccount(f"IB_ACCOUNT is {configured}, which this gateway does not serve (it serves: {served})")
        return configured
    if len(known) > 1:
        raise NoAccount(f"The gateway serves several accounts ({served}): set IB_ACCOUNT to one of them")
    return known[0]
