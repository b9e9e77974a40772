"""The exchange's values as wire messages, and a client's order as a placement. Pure; both ways of the language border.

What a stock order cannot mean here (pegged prices, scale tables, algos) is not passed on. Texts the engine does not act
on travel in the order's memo and come back in openOrder and completedOrder as they were sent.
"""

from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any

from gateway.paper.accounts import ZERO, Position
from gateway.paper.book import Side
from gateway.paper.catalogue import ROUTES, ContractAsk, Listing
from gateway.paper.orders import LIMITS, STOPS, Execution, Order, Placement, Status
from gateway.tws import messages as m
from gateway.tws.order import Contract, OrderState
from gateway.tws.order import Order as WireOrder

MEMO = ("open_close", "good_after_time", "good_till_date", "model_code", "settling_firm", "clearing_account", "rule80a")
CENT = Decimal("0.01")
PRICE_DECIMALS = Decimal("0.00000001")


class Clock:
    """How times are written: in one zone, which the text names, as gateways do since 2023."""

    def __init__(self, zone: tzinfo = UTC, name: str = "UTC") -> None:
        self.zone = zone
        self.name = name

    def text(self, at: datetime) -> str:
        return f"{at.astimezone(self.zone):%Y%m%d %H:%M:%S} {self.name}"

    def minute(self, at: datetime) -> str:
        return f"{at.astimezone(self.zone):%H:%M}"


def placement(client_id: int, message: m.PlaceOrder) -> Placement:
    """Read placeOrder (3). Prices that the order type does not use are left out, whatever stands there."""
    order = message.order
    return Placement(
        client_id=client_id,
        order_id=message.order_id,
        contract=contract_ask(message.contract),
        side=order.action,
        quantity=order.total_quantity,
        order_type=order.order_type,
        limit_price=order.lmt_price if order.order_type in LIMITS else None,
        stop_price=order.aux_price if order.order_type in STOPS else None,
        time_in_force=order.tif or "DAY",
        account=order.account,
        order_ref=order.order_ref,
        parent_id=order.parent_id,
        transmit=order.transmit,
        oca_group=order.oca_group,
        oca_type=order.oca_type,
        outside_rth=order.outside_rth,
        memo={name: text for name in MEMO if (text := getattr(order, name))},
    )


def contract_ask(contract: Contract) -> ContractAsk:
    return ContractAsk(
        con_id=contract.con_id,
        symbol=contract.symbol,
        security_type=contract.sec_type,
        currency=contract.currency,
        exchange=contract.exchange,
        primary_exchange=contract.primary_exchange,
        local_symbol=contract.local_symbol,
        trading_class=contract.trading_class,
    )


def contract(listing: Listing, exchange: str = "SMART") -> Contract:
    return Contract(
        con_id=listing.con_id,
        symbol=listing.symbol,
        sec_type="STK",
        exchange=exchange,
        primary_exchange=listing.primary_exchange,
        currency="USD",
        local_symbol=listing.symbol,
        trading_class=_trading_class(listing),
    )


def _trading_class(listing: Listing) -> str:
    return "NMS" if listing.primary_exchange == "NASDAQ" else listing.symbol


def contract_details(req_id: int, listing: Listing, exchange: str) -> m.ContractDetails:
    fund = listing.primary_exchange == "ARCA"
    return m.ContractDetails(
        req_id=req_id,
        contract=contract(listing, exchange or "SMART"),
        market_name=_trading_class(listing),
        min_tick=listing.tick,
        order_types="ACTIVETIM,DAY,FOK,GTC,IOC,LMT,MKT,OCA,STP,STPLMT",
        valid_exchanges=",".join(ROUTES),
        long_name=listing.name,
        time_zone_id="US/Eastern",
        market_rule_ids=",".join("26" for _ in ROUTES),
        stock_type="ETF" if fund else "COMMON",
        min_size=Decimal(1),
        size_increment=Decimal(1),
        suggested_size_increment=Decimal(100),
    )


def _wire_order(order: Order) -> WireOrder:
    memo: dict[str, Any] = dict(order.memo)
    return WireOrder(
        action=order.side.value,
        total_quantity=order.quantity,
        order_type=order.order_type,
        lmt_price=order.limit_price,
        aux_price=order.stop_price,
        tif=order.time_in_force,
        oca_group=order.oca_group,
        oca_type=order.oca_type,
        account=order.account,
        order_ref=order.order_ref,
        parent_id=order.parent_id,
        outside_rth=order.outside_rth,
        clearing_intent="IB",
        dont_use_auto_price_for_hedge=True,
        **memo,
    )


def open_order(order: Order, *, what_if: OrderState | None = None) -> m.OpenOrder:
    """openOrder (5); with `what_if`, the answer to a question about an order that is not placed."""
    charged = order.status is Status.FILLED
    return m.OpenOrder(
        order_id=order.order_id,
        client_id=order.client_id,
        perm_id=order.perm_id,
        contract=contract(order.listing, order.exchange),
        order=replace(_wire_order(order), what_if=True) if what_if else _wire_order(order),
        state=what_if
        or OrderState(
            status=order.status.value,
            commission=order.commission if charged else None,
            commission_currency="USD" if charged else "",
        ),
        allocation=f"{order.perm_id}.{order.revision}/{order.account}/100",
    )


def order_status(order: Order) -> m.OrderStatus:
    return m.OrderStatus(
        order_id=order.order_id,
        status=order.status.value,
        filled=order.filled,
        remaining=order.remaining,
        avg_fill_price=rounded(order.average_price),
        perm_id=order.perm_id,
        parent_id=order.parent_id,
        last_fill_price=order.last_fill_price,
        client_id=order.client_id,
        why_held=order.why_held,
    )


def completed_order(order: Order, clock: Clock) -> m.CompletedOrder:
    assert order.ended_at is not None
    if order.status is Status.FILLED:
        how = f"Filled Size: {order.filled}"
    else:
        how = order.ended_because or "Cancelled by Trader"
    return m.CompletedOrder(
        perm_id=order.perm_id,
        contract=contract(order.listing, order.exchange),
        order=_wire_order(order),
        status=order.status.value,
        filled_quantity=order.filled,
        parent_perm_id=order.parent_perm_id,
        completed_time=clock.text(order.ended_at),
        completed_status=how,
    )


def exec_details(execution: Execution, clock: Clock, req_id: int = -1) -> m.ExecDetails:
    return m.ExecDetails(
        req_id=req_id,
        order_id=execution.order_id,
        contract=contract(execution.listing),
        exec_id=execution.exec_id,
        time=clock.text(execution.at),
        account=execution.account,
        exchange=execution.listing.primary_exchange,
        side="BOT" if execution.side is Side.BUY else "SLD",
        shares=execution.quantity,
        price=execution.price,
        perm_id=execution.perm_id,
        client_id=execution.client_id,
        cum_qty=execution.cumulative,
        avg_price=rounded(execution.average_price),
        order_ref=execution.order_ref,
        last_liquidity=1 if execution.adds_liquidity else 2,
    )


def commission_report(execution: Execution) -> m.CommissionReport:
    return m.CommissionReport(
        exec_id=execution.exec_id,
        commission=rounded(execution.commission),
        currency="USD",
        realized_pnl=None if execution.realized is None else rounded(execution.realized),
    )


def position(account: str, held: Position) -> m.Position:
    return m.Position(
        account=account,
        contract=contract(held.listing, ""),
        position=held.quantity,
        avg_cost=rounded(held.average_cost),
    )


def portfolio(account: str, held: Position, price: Decimal) -> m.UpdatePortfolio:
    value = held.quantity * price
    return m.UpdatePortfolio(
        contract=contract(held.listing),
        position=held.quantity,
        market_price=rounded(price),
        market_value=money(value),
        average_cost=rounded(held.average_cost),
        unrealized_pnl=money(value - held.quantity * held.average_cost),
        realized_pnl=money(held.realized),
        account=account,
    )


def money(amount: Decimal) -> Decimal:
    return amount.quantize(CENT)


def rounded(number: Decimal) -> Decimal:
    """Eight decimals at most: averages would otherwise carry 28."""
    short = number.quantize(PRICE_DECIMALS).normalize()
    return short if short else ZERO
