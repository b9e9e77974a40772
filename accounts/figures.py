"""What an account is worth and holds now, as the broker last said. Only while that can be trusted: see freshness."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation

from accounts.freshness import NotConnected
from accounts.models import AccountValue, GatewaySession, Position

EQUITY = "NetLiquidation"
CASH = ("AvailableFunds", "TotalCashValue")  # the first one known


@dataclass(frozen=True, slots=True, kw_only=True)
class Funds:
    """In the account's base currency, as of the older of the two."""

    balance: Decimal
    cash: Decimal
    as_of: datetime


def funds(account: str) -> Funds:
    """What an account is worth and what it can spend. Raises: NotConnected while the broker has not said."""
    # IB gives these in the base currency alone; were that changed, the newest row is the one that counts.
    rows = AccountValue.objects.filter(account=account, key__in=(EQUITY, *CASH)).order_by("as_of")
    known = {row.key: row for row in rows}
    equity = known.get(EQUITY)
    cash = next((known[key] for key in CASH if key in known), None)
    if equity is None or cash is None:
        raise NotConnected("the account's figures have not arrived yet")
    return Funds(balance=_amount(equity), cash=_amount(cash), as_of=min(equity.as_of, cash.as_of))


def holdings(account: str) -> list[Position]:
    """The positions that are open, of all security types."""
    return list(Position.objects.filter(account=account).exclude(quantity=0).order_by("symbol", "con_id"))


def kept_in_step_until(session: GatewaySession) -> datetime:
    """Positions are reported when they change, so what we hold is true up to when the broker was last heard."""
    return session.heard_at or session.state_since


def _amount(row: AccountValue) -> Decimal:
    try:
        amount = Decimal(row.value)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite():
        raise NotConnected(f"the broker gave {row.key} as {row.value!r}")
    return amount
