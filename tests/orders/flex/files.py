"""Flex files for tests: made of plain attributes, each test changes what it is about."""

import hashlib
from collections.abc import Iterable, Iterator
from xml.sax.saxutils import quoteattr

ACCOUNT = "DU1000001"
LINES_BEFORE_ROWS = 4  # declaration, response, statements, statement

TRADE = {
    "accountId": ACCOUNT,
    "currency": "USD",
    "assetCategory": "STK",
    "symbol": "AAPL",
    "conid": "265598",
    "underlyingSymbol": "",
    "tradeID": "6001",
    "transactionID": "9001",
    "ibExecID": "0000e0d5.65a5f001.01.01",
    "ibOrderID": "1788680597",
    "orderReference": "",
    "dateTime": "20260115;093025",
    "tradeDate": "20260115",
    "exchange": "ISLAND",
    "buySell": "BUY",
    "quantity": "10",
    "tradePrice": "229.95",
    "ibCommission": "-1.05",
    "ibCommissionCurrency": "USD",
    "transactionType": "ExchTrade",
    "notes": "P",
    "levelOfDetail": "EXECUTION",
}
CONFIRM = {
    name: text
    for name, text in TRADE.items()
    if name not in ("ibExecID", "ibOrderID", "tradePrice", "ibCommission", "ibCommissionCurrency", "transactionID")
} | {
    "execID": TRADE["ibExecID"],
    "orderID": TRADE["ibOrderID"],
    "price": TRADE["tradePrice"],
    "commission": TRADE["ibCommission"],
    "commissionCurrency": "USD",
}
CASH = {
    "accountId": ACCOUNT,
    "currency": "USD",
    "transactionID": "7001",
    "type": "Dividends",
    "amount": "12.5",
    "dateTime": "20260115;202000",
    "reportDate": "20260115",
    "symbol": "AAPL",
    "conid": "265598",
    "description": "AAPL cash dividend & more",
    "levelOfDetail": "DETAIL",
}
POSITION = {
    "accountId": ACCOUNT,
    "currency": "USD",
    "assetCategory": "STK",
    "symbol": "AAPL",
    "conid": "265598",
    "reportDate": "20260115",
    "position": "10",
    "markPrice": "230.1",
    "costBasisPrice": "229.95",
    "levelOfDetail": "SUMMARY",
}
ELEMENTS = {
    "Trades": ("Trade", TRADE),
    "TradeConfirms": ("TradeConfirm", CONFIRM),
    "CashTransactions": ("CashTransaction", CASH),
    "OpenPositions": ("OpenPosition", POSITION),
}


def element(name: str, attributes: dict[str, str]) -> str:
    return f"<{name} {' '.join(f'{key}={quoteattr(text)}' for key, text in attributes.items())} />"


def row(section: str, **changes: str | None) -> str:
    """A row of a section, on a line of its own; None leaves an attribute out."""
    name, plain = ELEMENTS[section]
    return element(name, {key: text for key, text in (plain | changes).items() if text is not None})


def trade(**changes: str | None) -> str:
    return row("Trades", **changes)


def section(name: str, rows: Iterable[str]) -> list[str]:
    return [f"<{name}>", *rows, f"</{name}>"]


def lines(
    *body: str, kind: str = "AF", account: str = ACCOUNT, statements: int = 1, **header: str | None
) -> Iterator[str]:
    """A whole file, line by line; `body` are the lines inside the statement, from line 5 on."""
    attributes = {
        "accountId": account,
        "fromDate": "20260115",
        "toDate": "20260115",
        "period": "LastBusinessDay",
        "whenGenerated": "20260116;031500",
    }
    attributes = {key: text for key, text in (attributes | header).items() if text is not None}
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield f'<FlexQueryResponse queryName="Everything" type="{kind}">'
    yield f'<FlexStatements count="{statements}">'
    for _ in range(statements):
        yield element("FlexStatement", attributes).replace(" />", ">")
        yield from body
        yield "</FlexStatement>"
    yield "</FlexStatements>"
    yield "</FlexQueryResponse>"


def flex_file(*body: str, **options) -> bytes:
    return "\n".join(lines(*body, **options)).encode()


def of_trades(*rows: str, **options) -> bytes:
    """A file with these trades; the first of them is on line 6."""
    return flex_file(*section("Trades", rows), **options)


def many_trades(count: int, *, first: int = 0) -> Iterator[str]:
    """Distinct trades, a tenth of them sales, as generated rows."""
    for number in range(first, first + count):
        sells = number % 10 == 9
        yield trade(
            tradeID=str(600_000_000 + number),
            transactionID=str(900_000_000 + number),
            ibExecID=f"0000e0d5.{hashlib.sha256(str(number).encode()).hexdigest()[:8]}.{number:06x}.01",
            ibOrderID=str(1_000_000_000 + number // 3),
            dateTime=f"20260115;{9 + number // 3600 % 8:02}{number // 60 % 60:02}{number % 60:02}",
            buySell="SELL" if sells else "BUY",
            quantity=f"-{number % 7 + 1}" if sells else str(number % 7 + 1),
            tradePrice=f"{200 + number % 500 / 100:.2f}",
            ibCommission="-0.35",
        )
