"""The loss of a day: what an account is worth now less what it was worth when the gateway's day began.

What orders are held against is read by orders.exposure, in its one statement, and means the same.
"""

from datetime import datetime
from decimal import Decimal, InvalidOperation

from accounts.figures import EQUITY
from accounts.limits import changing
from accounts.limits.values import plain
from accounts.models import AccountValue, BrokerAccount
from accounts.snapshots.models import AccountSnapshot


def reached(day_began: datetime) -> dict[str, str]:
    """Accounts whose limit is reached, in words that stay the same while it is."""
    found = {}
    for account in BrokerAccount.objects.order_by("pk").values_list("pk", flat=True):
        allowed = changing.in_force(account).daily_loss
        result = day_result(account, day_began) if allowed is not None else None
        if allowed is not None and result is not None and result < 0 and -result >= allowed:
            words = f"{account} has lost the {plain(allowed)} that a day may cost"
            found[f"account:{account}"] = f"{words}: only orders that reduce a position are sent"
    return found


def day_result(account: str, day_began: datetime) -> Decimal | None:
    """What the day has brought so far; None where it cannot be told."""
    values = AccountValue.objects.filter(account=account, key=EQUITY).order_by("-as_of").values_list("value", flat=True)
    kept = AccountSnapshot.objects.filter(account=account)
    before = kept.filter(taken_at__lte=day_began).order_by("-taken_at").first()
    before = before or kept.filter(taken_at__gt=day_began).order_by("taken_at").first()
    now = values.first()
    return None if now is None or before is None else difference(now, before.net_liquidation)


def difference(now: str, before: Decimal) -> Decimal | None:
    """By the broker's own text; None where that is no amount."""
    try:
        result = Decimal(now) - before
    except InvalidOperation:
        return None
    return result if result.is_finite() else None
