"""Somebody else in the market: another client of the gateway, on another account, as a process of its own (ib_async).

    python -m tests.walks.counterparty PORT quote SYMBOL
    python -m tests.walks.counterparty PORT trade BUY|SELL QUANTITY SYMBOL [PRICE]

Prints one line of JSON: the quote, or where the order stands once it is filled or rests.
"""

import json
import sys

import ib_async

ACCOUNT = "DU1000002"


def main(port: str, verb: str, *arguments: str) -> dict:
    ib = ib_async.IB()
    ib.connect("127.0.0.1", int(port), clientId=55, account=ACCOUNT)
    try:
        return {"quote": quote, "trade": trade}[verb](ib, *arguments)
    finally:
        ib.disconnect()


def quote(ib: ib_async.IB, symbol: str) -> dict:
    (contract,) = ib.qualifyContracts(ib_async.Stock(symbol, "SMART", "USD"))
    ticker = ib.reqMktData(contract, "", False, False)
    while not (ticker.bid > 0 and ticker.ask > 0):
        ib.sleep(0.02)
    return {"bid": str(ticker.bid), "ask": str(ticker.ask)}


def trade(ib: ib_async.IB, action: str, quantity: str, symbol: str, price: str = "") -> dict:
    (contract,) = ib.qualifyContracts(ib_async.Stock(symbol, "SMART", "USD"))
    if price:
        order = ib_async.LimitOrder(action, float(quantity), float(price), account=ACCOUNT, tif="DAY")
    else:
        order = ib_async.MarketOrder(action, float(quantity), account=ACCOUNT, tif="DAY")
    placed = ib.placeOrder(contract, order)
    while placed.orderStatus.status not in ("Filled", "Submitted", "Inactive", "Cancelled"):
        ib.sleep(0.02)
    ib.sleep(0.2)  # what follows the status belongs to it
    return {"status": placed.orderStatus.status, "filled": placed.orderStatus.filled}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*sys.argv[1:])) + "\n")
