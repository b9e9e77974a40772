"""Pre-trade checks. Pure: what speaks against an order, looked at when it is asked for and again in the claim.

Rules
1. All that speaks against an order is said at once.
2. What works already counts as if it were filled, each side for itself: the worst case decides. The exits of a bracket
   reduce what its entry opened and are never taken for new risk.
3. A figure that a limit needs and nobody knows is said to be unknown; `refuse_unknown` says what that means.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal

from accounts.limits.values import Limits, plain
from orders.risk.values import IB_WORKING_ORDERS, Breach, Decision, Exposure, Ticket
from orders.vocabulary import OrderType, Side

# IB refuses more working orders per contract, side and account.
MOST_WORKING_ORDERS = 20
WITHIN = {"second": "within a second", "minute": "within a minute", "day": "today"}


def decide(ticket: Ticket, limits: Limits, exposure: Exposure) -> Decision:
    """Everything that speaks against placing this ticket now."""
    checks = (_set_at_all,) if limits.unset else CHECKS
    found = [breach for check in checks for breach in check(ticket, limits, exposure)]
    return Decision(limits=limits, exposure=exposure, breaches=found)


def _set_at_all(ticket: Ticket, limits: Limits, exposure: Exposure) -> Iterator[Breach]:
    yield Breach(
        limit="unset",
        reason=f"live trading begins with limits of zero, and nobody has set any for {ticket.account}",
    )


def _broker_takes_as_many(ticket: Ticket, limits: Limits, exposure: Exposure) -> Iterator[Breach]:
    sides = [leg.side for leg in ticket.legs]
    for side in sorted(set(sides)):
        already = exposure.working.get(side, 0)
        if already + sides.count(side) > MOST_WORKING_ORDERS:
            yield Breach(
                limit=IB_WORKING_ORDERS,
                reason=f"{already} {side} orders of {ticket.symbol} are working already, and IB allows "
                f"{MOST_WORKING_ORDERS} per contract, side and account: cancel some first",
                allowed=str(MOST_WORKING_ORDERS),
                found=str(already),
            )


def _quantity(ticket: Ticket, limits: Limits, exposure: Exposure) -> Iterator[Breach]:
    if limits.order_quantity is not None and ticket.quantity > limits.order_quantity:
        yield _above("order_quantity", "a quantity of", found=ticket.quantity, allowed=limits.order_quantity)


def _value(ticket: Ticket, limits: Limits, exposure: Exposure) -> Iterator[Breach]:
    if limits.order_value is None:
        return
    leg, own, last = ticket.opening, ticket.price, exposure.price
    bounded = leg.side == Side.BUY and leg.order_type == OrderType.LIMIT
    prices = [price for price in ((own,) if bounded else (own, last)) if price is not None]
    if not prices:
        yield from _unknown("order_value", f"the last price of {ticket.symbol}", limits)
    elif (value := ticket.quantity * max(prices)) > limits.order_value:
        yield _above("order_value", "a value of", found=value, allowed=limits.order_value)


def _collar(ticket: Ticket, limits: Limits, exposure: Exposure) -> Iterator[Breach]:
    own, last, allowed = ticket.price, exposure.price, limits.price_collar
    if allowed is None or own is None:
        return
    if last is None:
        yield from _unknown("price_collar", f"the last price of {ticket.symbol}", limits)
    elif abs(own - last) * 100 > allowed * last:
        away = round(abs(own - last) * 100 / last, 2)
        yield Breach(
            limit="price_collar",
            reason=f"a price of {plain(own)} is {plain(away)} % away from the last one, {plain(last)}; "
            f"{plain(allowed)} % is allowed",
            allowed=plain(allowed),
            found=plain(away),
        )


def _working(ticket: Ticket, limits: Limits, exposure: Exposure) -> Iterator[Breach]:
    already, allowed = exposure.working_in_account, limits.working_orders
    if allowed is not None and already is not None and already + len(ticket.legs) > allowed:
        yield Breach(
            limit="working_orders",
            reason=f"{already} or more orders of {ticket.account} are working already; {allowed} may be at one time",
            allowed=str(allowed),
            found=str(already),
        )


def _rates(ticket: Ticket, limits: Limits, exposure: Exposure) -> Iterator[Breach]:
    for span, words in WITHIN.items():
        allowed: int | None = getattr(limits, f"orders_per_{span}")
        already = exposure.sent.get(span, 0)
        if allowed is not None and already + len(ticket.legs) > allowed:
            yield Breach(
                limit=f"orders_per_{span}",
                reason=f"{already} or more orders were sent {words}; {allowed} is the most",
                allowed=str(allowed),
                found=str(already),
            )


def _position(ticket: Ticket, limits: Limits, exposure: Exposure) -> Iterator[Breach]:
    if limits.position is None:
        return
    after, way = _worst(ticket, exposure)
    if after > limits.position:
        yield Breach(
            limit="position",
            reason=f"{ticket.symbol} could come to {plain(after)} {way}; {plain(limits.position)} is allowed",
            allowed=plain(limits.position),
            found=plain(after),
        )


def _short(ticket: Ticket, limits: Limits, exposure: Exposure) -> Iterator[Breach]:
    if limits.short_selling or ticket.opening.side != Side.SELL:
        return
    after, _ = _worst(ticket, exposure)
    if after > 0:
        yield Breach(
            limit="short_selling",
            reason=f"it could leave {ticket.symbol} short by {plain(after)}; short selling is not allowed",
            allowed="0",
            found=plain(after),
        )


def _loss(ticket: Ticket, limits: Limits, exposure: Exposure) -> Iterator[Breach]:
    if limits.daily_loss is None or _only_reduces(ticket, exposure):
        return
    if exposure.day_result is None:
        yield from _unknown("daily_loss", "the day's result", limits)
    elif -exposure.day_result >= limits.daily_loss and exposure.day_result < 0:
        yield _above("daily_loss", "the day's loss of", found=-exposure.day_result, allowed=limits.daily_loss, at=True)


def _symbols(ticket: Ticket, limits: Limits, exposure: Exposure) -> Iterator[Breach]:
    if limits.allowed_symbols is not None and ticket.symbol not in limits.allowed_symbols:
        allowed = ", ".join(limits.allowed_symbols)
        words = f"{ticket.symbol} is none of the symbols that are allowed"
        yield Breach(limit="allowed_symbols", reason=words, allowed=allowed, found=ticket.symbol)
    if limits.refused_symbols is not None and ticket.symbol in limits.refused_symbols:
        yield Breach(limit="refused_symbols", reason=f"{ticket.symbol} is not allowed", found=ticket.symbol)


def _types(ticket: Ticket, limits: Limits, exposure: Exposure) -> Iterator[Breach]:
    if limits.allowed_types is None:
        return
    for refused in sorted({str(leg.order_type) for leg in ticket.legs} - set(limits.allowed_types)):
        allowed = ", ".join(limits.allowed_types)
        words = f"{refused} orders are not allowed"
        yield Breach(limit="allowed_types", reason=words, allowed=allowed, found=refused)


def _repeated(ticket: Ticket, limits: Limits, exposure: Exposure) -> Iterator[Breach]:
    if limits.duplicate_seconds is not None and exposure.repeats is not None:
        yield Breach(
            limit="duplicate_seconds",
            reason=f"it is the same as order {exposure.repeats}, less than {limits.duplicate_seconds} s after it",
            allowed=str(limits.duplicate_seconds),
            found=str(exposure.repeats),
        )


Check = Callable[[Ticket, Limits, Exposure], Iterator[Breach]]
CHECKS: tuple[Check, ...] = (
    _symbols,
    _types,
    _quantity,
    _value,
    _collar,
    _position,
    _short,
    _loss,
    _working,
    _broker_takes_as_many,
    _rates,
    _repeated,
)


def _worst(ticket: Ticket, exposure: Exposure) -> tuple[Decimal, str]:
    """How far the position could come on the side that the ticket opens, and which that is; not above 0: none."""
    if ticket.opening.side == Side.BUY:
        return exposure.most() + ticket.quantity, "long"
    return -(exposure.least() - ticket.quantity), "short"


def _only_reduces(ticket: Ticket, exposure: Exposure) -> bool:
    """Whether, at worst, less is held after it than before."""
    return _worst(ticket, exposure)[0] <= 0


def _above(limit: str, words: str, *, found: Decimal, allowed: Decimal, at: bool = False) -> Breach:
    stands = "is at or above" if at else "is above"
    return Breach(
        limit=limit,
        reason=f"{words} {plain(found)} {stands} the limit of {plain(allowed)}",
        allowed=plain(allowed),
        found=plain(found),
    )


def _unknown(limit: str, what: str, limits: Limits) -> Iterator[Breach]:
    if limits.refuse_unknown:
        words = f"{what} is not known, and what cannot be checked is refused"
        yield Breach(limit=limit, reason=words, found="unknown")
