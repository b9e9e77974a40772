"""The exchange as plain JSON values, and back.

Rules: exact both ways: Decimals and times are strings, a listing is its symbol. A journal line has orders as they now
stand, executions since the line before, and the counters; `prices` only now and then.
"""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from gateway.paper.accounts import Account, Position
from gateway.paper.book import Side
from gateway.paper.catalogue import Listing
from gateway.paper.exchange import Exchange
from gateway.paper.orders import Execution, Order, Status
from gateway.paper.register import Counters

Record = dict[str, Any]
Listings = Mapping[str, Listing]

ORDER_FIELDS = tuple(field.name for field in fields(Order))
COUNTERS = tuple(field.name for field in fields(Counters))
EXECUTION_FIELDS = tuple(field.name for field in fields(Execution))
_DECIMALS = {
    field.name for kind in (Order, Execution) for field in fields(kind) if field.type in (Decimal, Decimal | None)
}
_TIMES = ("at", "ended_at")


def order_record(order: Order) -> Record:
    return {name: _plain(getattr(order, name)) for name in ORDER_FIELDS}


def counters_record(counters: Counters) -> Record:
    return {name: getattr(counters, name) for name in COUNTERS}


def execution_record(execution: Execution) -> Record:
    return {name: _plain(getattr(execution, name)) for name in EXECUTION_FIELDS}


def exchange_record(exchange: Exchange) -> Record:
    register = exchange.register
    return {
        "day": exchange.day.isoformat(),
        "counters": counters_record(register.counters),
        "orders": [order_record(order) for order in (*register.working.values(), *register.completed.values())],
        "executions": [execution_record(execution) for execution in register.executions],
        "accounts": {
            account.code: {
                "cash": str(account.cash),
                "positions": [
                    [
                        position.listing.symbol,
                        str(position.quantity),
                        str(position.average_cost),
                        str(position.realized),
                    ]
                    for position in account.positions.values()
                ],
            }
            for account in exchange.accounts.values()
        },
        "prices": prices_record(exchange),
    }


def prices_record(exchange: Exchange) -> Record:
    return {market.listing.symbol: str(market.maker.fair) for market in exchange.markets.values()}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return getattr(value, "symbol", value)


# Records to values


def restore(exchange: Exchange, saved: Record, lines: Iterable[Record]) -> None:
    """Bring a fresh exchange to a snapshot and forward by the lines of its journal.

    Raises: ValueError when a symbol of the saved state is not listed.
    """
    listings = {listing.symbol: listing for listing in exchange.catalogue}
    orders = {record["perm_id"]: record for record in saved["orders"]}
    executions, booked = saved["executions"], len(saved["executions"])
    counters, prices = saved["counters"], saved["prices"]
    for line in lines:
        orders.update((record["perm_id"], record) for record in line["orders"])
        executions += line["executions"]
        counters = line["counters"]
        prices = line.get("prices", prices)
    try:
        _restore_accounts(exchange, saved["accounts"], listings)
        past = [_execution(record, listings) for record in executions]
        known = [_order(record, listings) for record in orders.values()]
    except KeyError as error:
        raise ValueError(f"the saved state names {error}, which is in no list of instruments") from error
    exchange.day = date.fromisoformat(saved["day"])
    exchange.register.counters = _counters(counters)
    exchange.register.restore(known, past)
    for execution in past[booked:]:
        account = exchange.accounts[execution.account]
        account.trade(execution.listing, execution.side, execution.quantity, execution.price, execution.commission)
    for symbol, price in prices.items():
        if symbol in listings:
            exchange.markets[listings[symbol].con_id].reopen_at(Decimal(price))
    exchange.resume(known)


def _restore_accounts(exchange: Exchange, saved: Record, listings: Listings) -> None:
    for code, record in saved.items():
        exchange.accounts[code] = _account(code, record, listings)


def _account(code: str, record: Record, listings: Listings) -> Account:
    account = Account(code, Decimal(record["cash"]))
    for symbol, quantity, cost, realized in record["positions"]:
        listing = listings[symbol]
        position = Position(listing, Decimal(quantity), Decimal(cost), Decimal(realized))
        account.positions[listing.con_id] = position
        account.reckon(listing.con_id)
    return account


def _order(record: Record, listings: Listings) -> Order:
    values = _values(record, listings)
    return Order(**{**values, "status": Status(record["status"])})


def _execution(record: Record, listings: Listings) -> Execution:
    return Execution(**_values(record, listings))


def _values(record: Record, listings: Listings) -> Record:
    values = dict(record)
    for name in _DECIMALS & record.keys():
        values[name] = None if record[name] is None else Decimal(record[name])
    for name in _TIMES:
        if record.get(name):
            values[name] = datetime.fromisoformat(record[name])
    values["listing"] = listings[record["listing"]]
    values["side"] = Side(record["side"])
    return values


def _counters(record: Record) -> Counters:
    highest = {int(client): order_id for client, order_id in record["highest_order_id"].items()}
    return Counters(**{**record, "highest_order_id": highest})
