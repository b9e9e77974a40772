"""Between our values and ib_insync's: tickets to orders on the way out, wire messages to reports on the way in.

Decimals never pass through a float where the wire shows their text: outbound prices and quantities are written as
exact decimal text, inbound ones are read from the raw fields (positions as in docs/wire.md). Only what stands behind
the variable parts of openOrder and completedOrder comes from the library's floats, through their shortest spelling.
Whatever cannot be translated raises ValueError or ArithmeticError, here and never later.
"""

import math
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Any, NamedTuple

from gateway import times
from gateway.dialect import fix_side, ib_order_type
from gateway.library import Contract, ContractDetails, Execution, Order, OrderState
from gateway.reports import (
    FIRST_REQUEST_ID,
    AccountValueReport,
    CommissionReport,
    CompletedOrderReport,
    ContractFacts,
    ErrorReport,
    ExecutionReport,
    OpenOrderReport,
    OrderStatusReport,
    PortfolioReport,
    PositionReport,
    Raw,
)
from gateway.tickets import Instrument, OrderTicket

UNSET_INTEGER = 2147483647  # what IB writes, and reads, for "no value" in a whole number
_UNSET_DOUBLE = Decimal("1E+308")  # anything from here on is IB's 1.797…E308
_PRICED_BY_LIMIT = ("LIMIT", "STOP_LIMIT")
_PRICED_BY_STOP = ("STOP", "STOP_LIMIT")


class Received(NamedTuple):
    """One message as it came in: what every report made from it has in common."""

    connection: int
    received_at: datetime
    raw: Raw

    def common(self) -> dict[str, Any]:
        return self._asdict()


# Out: to the broker


def contract_of(instrument: Instrument) -> Contract:
    """The contract of an order. The contract id decides; the rest is what IB compares it with.

    Raises: ValueError.
    """
    return Contract(
        conId=_identifier("contract id", instrument.con_id),
        symbol=wire_text("symbol", instrument.symbol),
        secType=wire_text("security type", instrument.security_type),
        exchange=wire_text("exchange", instrument.exchange),
        primaryExchange=wire_text("primary exchange", instrument.primary_exchange, may_be_empty=True),
        currency=wire_text("currency", instrument.currency),
        localSymbol=wire_text("local symbol", instrument.local_symbol, may_be_empty=True),
        tradingClass=wire_text("trading class", instrument.trading_class, may_be_empty=True),
    )


def order_of(ticket: OrderTicket) -> Order:
    """The order as IB will be told it, every field that means something set on purpose.

    Raises: ValueError when a value could be read by IB as unset, as another field or as another order.
    """
    order = Order(
        orderId=_order_id("order id", ticket.order_id),
        parentId=_order_id("parent id", ticket.parent_id) if ticket.parent_id else 0,
        account=wire_text("account", ticket.account),
        action=_one_of("side", ticket.side, ("BUY", "SELL")),
        orderType=ib_order_type(_one_of("order type", ticket.order_type, ("MARKET", "LIMIT", "STOP", "STOP_LIMIT"))),
        totalQuantity=_amount("quantity", ticket.quantity),
        tif=_one_of("time in force", ticket.time_in_force, ("DAY", "GTC")),
        orderRef=wire_text("order reference", ticket.order_ref),
        transmit=ticket.transmit,
        outsideRth=ticket.outside_regular_hours,
        eTradeOnly=False,  # gateways refuse both (10268, 10269)
        firmQuoteOnly=False,
    )
    if (ticket.limit_price is not None) != (ticket.order_type in _PRICED_BY_LIMIT):
        raise ValueError(f"a {ticket.order_type} order with limit price {ticket.limit_price}")
    if (ticket.stop_price is not None) != (ticket.order_type in _PRICED_BY_STOP):
        raise ValueError(f"a {ticket.order_type} order with stop price {ticket.stop_price}")
    if ticket.limit_price is not None:
        order.lmtPrice = _amount("limit price", ticket.limit_price)
    if ticket.stop_price is not None:
        order.auxPrice = _amount("stop price", ticket.stop_price)
    return order


def us_stock(symbol: str) -> Contract:
    """The question for the one US stock of that symbol. Raises: ValueError."""
    return Contract(symbol=wire_text("symbol", symbol), secType="STK", exchange="SMART", currency="USD")


def wire_text(name: str, text: str, *, may_be_empty: bool = False) -> str:
    """A text that stays one field: printable ASCII, for the wire separates fields with NUL. Raises: ValueError."""
    if not (text.isascii() and text.isprintable()) or not (text or may_be_empty):
        raise ValueError(f"{name} {text!r} is not printable ASCII text")
    return text


def _one_of(name: str, word: str, words: tuple[str, ...]) -> str:
    if word not in words:
        raise ValueError(f"{name} {word!r} is none of {', '.join(words)}")
    return word


def _identifier(name: str, number: int) -> int:
    if not 0 < number < UNSET_INTEGER:
        raise ValueError(f"{name} {number} is not between 1 and {UNSET_INTEGER - 1}")
    return number


def _order_id(name: str, number: int) -> int:
    if not 0 < number < FIRST_REQUEST_ID:
        raise ValueError(f"{name} {number} is not between 1 and {FIRST_REQUEST_ID - 1}")
    return number


def _amount(name: str, value: Decimal) -> str:
    """Exact decimal text: the library writes a str as it is, and no float comes between."""
    if not value.is_finite() or not 0 < value < UNSET_INTEGER:
        raise ValueError(f"{name} {value} is not a positive amount below {UNSET_INTEGER}")
    return format(value.normalize(), "f")


# In: from the broker


def amount(text: str) -> Decimal:
    """A number that must be there."""
    value = optional(text)
    if value is None:
        raise ValueError(f"{text!r} where a number must be")
    return value


def optional(text: str) -> Decimal | None:
    """A number, or None for each of IB's spellings of unset."""
    if not text:
        return None
    value = Decimal(text)
    if not value.is_finite():
        raise ValueError(f"{text!r} is not a number")
    return None if value == UNSET_INTEGER or abs(value) >= _UNSET_DOUBLE else value


def _from_float(value: float) -> Decimal | None:
    """The decimal that a float was read from; the library's floats only."""
    return optional(repr(value)) if math.isfinite(value) else None


def instrument(details: ContractDetails) -> Instrument:
    """What contractDetails (10) says of a contract."""
    contract = details.contract
    tick = _from_float(details.minTick)
    return Instrument(
        con_id=contract.conId,
        symbol=contract.symbol,
        security_type=contract.secType,
        exchange=contract.exchange,
        primary_exchange=contract.primaryExchange,
        currency=contract.currency,
        local_symbol=contract.localSymbol,
        trading_class=contract.tradingClass,
        **({"min_tick": tick} if tick else {}),
    )


def _facts(contract: Contract) -> ContractFacts:
    return ContractFacts(
        con_id=contract.conId,
        symbol=contract.symbol,
        security_type=contract.secType,
        currency=contract.currency,
        exchange=contract.exchange,
        local_symbol=contract.localSymbol,
    )


def open_order(received: Received, contract: Contract, order: Order, state: OrderState) -> OpenOrderReport:
    raw = received.raw
    return OpenOrderReport(
        **received.common(),
        order_id=order.orderId,
        client_id=order.clientId,
        perm_id=order.permId,
        parent_id=order.parentId,
        account=order.account,
        contract=_facts(contract),
        side=order.action,
        order_type=order.orderType,
        quantity=amount(raw[14]),
        limit_price=optional(raw[16]),
        aux_price=optional(raw[17]),
        trail_stop_price=_from_float(order.trailStopPrice),
        time_in_force=order.tif,
        order_ref=order.orderRef,
        oca_group=order.ocaGroup,
        status=state.status,
        warning_text=state.warningText,
    )


def completed_order(received: Received, contract: Contract, order: Order, state: OrderState) -> CompletedOrderReport:
    raw = received.raw
    return CompletedOrderReport(
        **received.common(),
        perm_id=order.permId,
        parent_perm_id=order.parentPermId,
        account=order.account,
        contract=_facts(contract),
        side=order.action,
        order_type=order.orderType,
        quantity=amount(raw[13]),
        filled=_from_float(order.filledQuantity),
        limit_price=optional(raw[15]),
        aux_price=optional(raw[16]),
        time_in_force=order.tif,
        order_ref=order.orderRef,
        status=state.status,
        completed_time=state.completedTime,
        completed_status=state.completedStatus,
    )


def order_status(received: Received) -> OrderStatusReport:
    _, order_id, status, filled, remaining, average, perm_id, parent_id, last, client_id, why, *_ = received.raw
    return OrderStatusReport(
        **received.common(),
        order_id=int(order_id),
        client_id=int(client_id),
        perm_id=int(perm_id),
        parent_id=int(parent_id or 0),
        status=status,
        filled=amount(filled),
        remaining=amount(remaining),
        average_fill_price=optional(average),
        last_fill_price=optional(last),
        why_held=why,
    )


def execution(received: Received, contract: Contract, fill: Execution, *, local: tzinfo | None) -> ExecutionReport:
    raw = received.raw
    side = fix_side(fill.side)
    if side not in ("BUY", "SELL"):
        raise ValueError(f"an execution on side {fill.side!r}")
    return ExecutionReport(
        **received.common(),
        exec_id=fill.execId,
        account=fill.acctNumber,
        order_id=0 if fill.orderId == UNSET_INTEGER else fill.orderId,  # manual orders come with IB's unset
        client_id=fill.clientId,
        perm_id=fill.permId,
        contract=_facts(contract),
        side=side,
        quantity=amount(raw[19]),
        price=amount(raw[20]),
        time_text=raw[15],
        executed_at=times.parse(raw[15], local=local),
        exchange=fill.exchange,
        cumulative_quantity=amount(raw[24]),
        average_price=amount(raw[25]),
        order_ref=fill.orderRef,
        live=raw[1] == "-1",  # everything else carries the id of the question it answers
    )


def commission(received: Received) -> CommissionReport:
    _, _, exec_id, paid, currency, realized, *_ = received.raw
    return CommissionReport(
        **received.common(),
        exec_id=exec_id,
        commission=amount(paid),
        currency=currency,
        realized_pnl=optional(realized),
    )


def error(received: Received, *, request_id: int, code: int, text: str) -> ErrorReport:
    return ErrorReport(**received.common(), request_id=request_id, code=code, text=text)


def account_value(received: Received) -> AccountValueReport:
    _, _, key, value, currency, account = received.raw
    return AccountValueReport(**received.common(), account=account, key=key, value=value, currency=currency)


def holding(received: Received, contract: Contract) -> PortfolioReport:
    quantity, price, value, cost, unrealized, realized, account = received.raw[13:20]
    return PortfolioReport(
        **received.common(),
        account=account,
        contract=_facts(contract),
        quantity=amount(quantity),
        market_price=optional(price),
        market_value=optional(value),
        average_cost=optional(cost),
        unrealized_pnl=optional(unrealized),
        realized_pnl=optional(realized),
    )


def position(received: Received, contract: Contract) -> PositionReport:
    account, quantity, cost = received.raw[2], received.raw[14], received.raw[15]
    return PositionReport(
        **received.common(),
        account=account,
        contract=_facts(contract),
        quantity=amount(quantity),
        average_cost=optional(cost),
    )
