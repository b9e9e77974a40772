"""What an account holds, as the broker last said."""

from decimal import Decimal

from django.db.models import Sum

from accounts.models import Position


def held(account: str, *, symbol: str, security_type: str) -> Decimal:
    """The signed quantity held; 0 when there is none."""
    rows = Position.objects.filter(account_id=account, symbol=symbol, security_type=security_type)
    return rows.aggregate(held=Sum("quantity"))["held"] or Decimal(0)
