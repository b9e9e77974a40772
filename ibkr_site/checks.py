"""Combinations of settings that are refused at start-up.

Rules: each function looks at plain values and raises ImproperlyConfigured with one line that names the variable and
says what to do. Called from settings, so that no process, not even a shell, starts on an unsafe combination.
"""

import ipaddress
from collections.abc import Callable, Sequence
from datetime import timedelta
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from accounts import calendar
from accounts.access.networks import Network, network
from accounts.calendar import Calendar, Kind, Window
from gateway.times import zone

# IB Gateway and TWS as installed, and the forwarded ports of the container image in docker-compose.yml.
LIVE_PORTS = frozenset({4001, 7496, 4003})
PAPER_PORTS = frozenset({4002, 7497, 4004})
LEAST_MESSAGES_PER_SECOND = 10

# What stands in examples and is tried first.
KNOWN_SECRETS = frozenset(
    {"admin", "changeit", "changeme", "default", "ibkr", "password", "postgres", "redis", "secret"}
)
SHORTEST_SECRET = 32


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def refuse_open_network(*, host: str, api_auth: str, trust_network: bool, https: bool, trading_mode: str) -> None:
    """Without keys whoever reaches the port can trade; with keys, who listens on the way can, where nothing is
    encrypted. A network can be trusted not to do either, but not with real money and no keys."""
    refuse_unknown_choice("API_AUTH", api_auth, choices=("loopback", "keys"))
    if is_loopback(host):
        return
    if api_auth == "loopback" and trading_mode == "live":
        raise ImproperlyConfigured(
            f"HOST={host} would let others on the network trade real money without a key: set API_AUTH=keys, or use "
            "HOST=127.0.0.1."
        )
    if api_auth == "loopback" and not trust_network:
        raise ImproperlyConfigured(
            f"HOST={host} would let anyone who reaches this machine place orders without a key: set API_AUTH=keys, or "
            "use HOST=127.0.0.1. TRUST_NETWORK=on is for the inner network of containers."
        )
    if api_auth == "keys" and not https and not trust_network:
        raise ImproperlyConfigured(
            f"HOST={host} would have API keys sent in the clear: put a proxy with TLS in front and set HTTPS=on, or "
            "TRUST_NETWORK=on where nobody else is on the network."
        )


def networks(name: str, texts: Sequence[str]) -> tuple[Network, ...]:
    """Addresses and ranges that a variable lists."""
    try:
        return tuple(network(text) for text in texts)
    except ValueError as problem:
        raise ImproperlyConfigured(f"{name}: {problem}: use an address or a range like 10.0.0.0/8.") from problem


def refuse_wrong_throttles(*, per_address: float, per_key: float, burst_seconds: float) -> None:
    """A number that lets nobody in would look like an outage."""
    for name, value in (("THROTTLE_PER_ADDRESS", per_address), ("THROTTLE_PER_KEY", per_key)):
        if not (value == 0 or 1 <= value <= 100_000):
            raise ImproperlyConfigured(f"{name}={value:g} must be 0, for no limit, or 1 to 100000 requests a second.")
    if not 1 <= burst_seconds <= 3600:
        raise ImproperlyConfigured(f"THROTTLE_BURST_SECONDS={burst_seconds:g} must lie between 1 and 3600.")


def refuse_mode_mismatch(*, trading_mode: str, ib_port: int | None, account: str) -> None:
    """Mode, port and account prefix must say the same: paper, or real money."""
    refuse_unknown_choice("TRADING_MODE", trading_mode, choices=("paper", "live"))
    paper_account = is_paper(account)
    if trading_mode == "paper":
        if ib_port in LIVE_PORTS:
            raise ImproperlyConfigured(
                f"IB_PORT={ib_port} is a live trading port but TRADING_MODE is paper: "
                "use IB_PORT=4002, or set TRADING_MODE=live to trade real money."
            )
        if account and not paper_account:
            raise ImproperlyConfigured(
                f"IB_ACCOUNT={account} is not a paper account (DU…) but TRADING_MODE is paper: "
                "name a paper account, or set TRADING_MODE=live to trade real money."
            )
        return
    if ib_port is None:
        raise ImproperlyConfigured("TRADING_MODE=live needs IB_PORT (IB Gateway: 4001, TWS: 7496): set it.")
    if ib_port in PAPER_PORTS:
        raise ImproperlyConfigured(
            f"IB_PORT={ib_port} is a paper trading port but TRADING_MODE is live: use 4001, or TRADING_MODE=paper."
        )
    if not account:
        raise ImproperlyConfigured("TRADING_MODE=live needs IB_ACCOUNT, the account that may be traded: set it.")
    if paper_account:
        raise ImproperlyConfigured(
            f"IB_ACCOUNT={account} is a paper account but TRADING_MODE is live: "
            "name the live account, or set TRADING_MODE=paper."
        )


def refuse_wrong_waits(*, placement_wait: float, order_valid: float) -> None:
    """A client must hear what became of its order no later than the order could still be sent."""
    if not 0 < placement_wait < order_valid:
        raise ImproperlyConfigured(
            f"PLACEMENT_WAIT_SECONDS={placement_wait:g} must lie between 0 and ORDER_VALID_SECONDS={order_valid:g}."
        )


def refuse_unknown_choice(name: str, value: str, *, choices: Sequence[str]) -> None:
    """A word that is none of those we know must not be taken for the default."""
    if value not in choices:
        raise ImproperlyConfigured(f"{name}={value} is unknown: use {' or '.join(choices)}.")


def refuse_faults_with_real_money(*, trading_mode: str, kill_points: str, settle_seconds: float) -> None:
    """What makes fault tests possible, or quick, has no place where money can be lost."""
    if trading_mode != "live":
        return
    if kill_points:
        raise ImproperlyConfigured("KILL_POINTS is for fault tests: unset it, it is refused with TRADING_MODE=live.")
    if settle_seconds < 30:
        raise ImproperlyConfigured(f"SETTLE_SECONDS={settle_seconds:g} is too short for TRADING_MODE=live: 30 or more.")


def refuse_impossible_ports(**ports: int) -> None:
    """What nobody can connect to, by the names of the settings."""
    for name, port in ports.items():
        if not 0 < port < 65536:
            raise ImproperlyConfigured(f"{name}={port} is no port to connect to: choose one from 1 to 65535.")


def refuse_paper_gateway_that_looks_live(*, port: int, accounts: Sequence[str]) -> None:
    """Our own paper gateway must not stand where, or be called what, real money is."""
    if port in LIVE_PORTS:
        raise ImproperlyConfigured(f"PAPER_PORT={port} is a live trading port: use 4002, or another free one.")
    for account in accounts:
        if not is_paper(account):
            raise ImproperlyConfigured(f"PAPER_ACCOUNTS={account} is not a paper account: begin it with DU.")


def is_paper(account: str) -> bool:
    """IB's paper accounts begin with D (DU, DF), live ones never do."""
    return account.upper().startswith("D")


def refuse_wrong_accounts(*, trading_mode: str, served: Sequence[str]) -> None:
    """What the gateway serves must be what the mode says: a live login on a paper port is somebody's mistake.

    All of it, also where one account is chosen: a login that serves both kinds is none that we know.
    """
    for account in served:
        if is_paper(account) is not (trading_mode == "paper"):
            raise ImproperlyConfigured(
                f"TRADING_MODE is {trading_mode} and the gateway serves account {account}: log in to the other "
                "account there, or change TRADING_MODE here."
            )


def gateway_calendar(
    *, restart: str, restart_minutes: int, login: str, login_minutes: int, weekend: str, guard_seconds: int
) -> Calendar:
    """The pauses that three variables describe; an empty one describes none."""
    for name, minutes in (("GATEWAY_RESTART_MINUTES", restart_minutes), ("GATEWAY_LOGIN_MINUTES", login_minutes)):
        if not 1 <= minutes <= 12 * 60:
            raise ImproperlyConfigured(f"{name}={minutes} must lie between 1 and 720.")
    if not 0 <= guard_seconds <= 3600:
        raise ImproperlyConfigured(f"GATEWAY_GUARD_SECONDS={guard_seconds} must lie between 0 and 3600.")
    wanted: tuple[tuple[str, str, Callable[[str], Window]], ...] = (
        ("GATEWAY_RESTART", restart, lambda text: calendar.daily(Kind.RESTART, text, lasts=_minutes(restart_minutes))),
        ("GATEWAY_LOGIN", login, lambda text: calendar.weekly(Kind.LOGIN, text, lasts=_minutes(login_minutes))),
        ("GATEWAY_WEEKEND", weekend, lambda text: calendar.span(Kind.WEEKEND, text)),
    )
    windows = []
    for name, text, read in wanted:
        try:
            windows += [read(text)] if text else []
        except ValueError as problem:
            raise ImproperlyConfigured(f"{name}: {problem}.") from problem
    return Calendar(windows=tuple(windows), guard=timedelta(seconds=guard_seconds))


def refuse_too_short(name: str, seconds: float, *, least: float) -> None:
    """What is asked for more often than that is a load on the gateway and tells nothing new."""
    if seconds < least:
        raise ImproperlyConfigured(f"{name}={seconds:g} is too short: {least:g} or more.")


def refuse_unreachable_alarms(*, webhook: str, email_to: Sequence[str], email_url: str) -> None:
    """Alarms say what is at stake: over the network they go encrypted, and to somewhere."""
    if webhook:
        address = urlsplit(webhook)
        loopback = address.scheme == "http" and is_loopback(address.hostname or "")
        if not address.hostname or not (address.scheme == "https" or loopback):
            raise ImproperlyConfigured(
                "ALARM_WEBHOOK_URL must be an https:// address, or http:// on this machine: alarms tell of orders."
            )
    if email_to and not email_url:
        raise ImproperlyConfigured(
            "ALARM_EMAIL_TO needs EMAIL_URL, the server that takes the mail: smtp+tls://user:password@mail.example:587."
        )


def refuse_unworkable_pace(messages_per_second: int) -> None:
    """Below this the session's own questions would leave no room for orders, and a bracket is three messages."""
    if messages_per_second < LEAST_MESSAGES_PER_SECOND:
        raise ImproperlyConfigured(
            f"IB_MESSAGES_PER_SECOND={messages_per_second} is too few: {LEAST_MESSAGES_PER_SECOND} or more, and no "
            "more than IB allows you (50, unless you pay for more market data lines)."
        )


def _minutes(count: int) -> timedelta:
    return timedelta(minutes=count)


def refuse_unreadable_statements(*, time_zone: str, megabytes: int) -> None:
    """The times of Flex statements are in this zone, and there must be room for a statement."""
    if zone(time_zone) is None:
        raise ImproperlyConfigured(f"FLEX_TIME_ZONE={time_zone} is no time zone: use a name like America/New_York.")
    if megabytes < 1:
        raise ImproperlyConfigured(f"FLEX_MAX_MEGABYTES={megabytes} lets no statement pass: use 1 or more.")


def refuse_weak_logins(*, trading_mode: str, second_factor: str) -> None:
    """Real money is behind more than a password."""
    refuse_unknown_choice("ADMIN_SECOND_FACTOR", second_factor, choices=("optional", "required"))
    if trading_mode == "live" and second_factor != "required":
        raise ImproperlyConfigured(
            "ADMIN_SECOND_FACTOR=optional is refused with TRADING_MODE=live: unset it, and set up a second factor at "
            "the first login or with manage.py second_factor enrol USER."
        )


def refuse_endless_sessions(*, idle: int, lifetime: int) -> None:
    """Whoever leaves the admin open is logged out, sooner or later."""
    if not 60 <= idle <= lifetime <= 7 * 24 * 3600:
        raise ImproperlyConfigured(
            f"ADMIN_IDLE_SECONDS={idle} and ADMIN_SESSION_SECONDS={lifetime}: the first is 60 or more and not above "
            "the second, which is at most a week (604800)."
        )


def refuse_weak_secret(name: str, value: str, *, embedded: bool) -> None:
    """What signs sessions is nothing that stands in an example; the embedded mode, on one's own machine, may."""
    if not value or embedded:
        return
    known = any(word in value.lower() for word in ("django-insecure", "changeme", "change-me"))
    if known or len(value) < SHORTEST_SECRET or len(set(value)) < 10:
        raise ImproperlyConfigured(
            f"{name} is too weak: unset it, and one is made up and kept in DATA_DIR, or give {SHORTEST_SECRET} "
            "random characters or more (openssl rand -base64 48)."
        )


def refuse_unreadable_address(name: str, address: str) -> None:
    """A password with a / or # in it splits an address in the wrong place; what is said does not repeat any of it."""
    try:
        parts = urlsplit(address)
        _ = parts.port, parts.hostname
    except ValueError:
        raise ImproperlyConfigured(
            f"{name} cannot be read as an address: percent-encode what is no letter or digit in its password."
        ) from None


def refuse_known_password(name: str, address: str) -> None:
    """A server that others can reach has a password that they do not try first."""
    parts = urlsplit(address)
    if is_loopback(parts.hostname or "localhost") or unquote(parts.password or "") == "":
        return
    if unquote(parts.password or "").lower() in KNOWN_SECRETS:
        raise ImproperlyConfigured(f"{name} has a password that stands in every example: give that server another one.")


def refuse_debug_in_the_open(*, debug: bool, trading_mode: str, host: str) -> None:
    """Error pages with code and settings are for one's own machine and play money."""
    if debug and trading_mode == "live":
        raise ImproperlyConfigured("DEBUG=on is refused with TRADING_MODE=live: unset it.")
    if debug and not is_loopback(host):
        raise ImproperlyConfigured(f"DEBUG=on is refused with HOST={host}: unset it, or use HOST=127.0.0.1.")
