"""The peer: what the guide describes, as one would write it in an afternoon, and as fast as that design goes.

FastAPI, and for each request one ib_insync connection that is opened, used and closed; one request at a time, since
a client id can be used by one connection only. Nothing is stored. Where a common version of it sleeps for a second
until the order has its permId, this one waits for the message. Not for trading: an order whose answer is lost is lost.

    python -m benchmarks.peer --gateway 4002 --port 8001
"""

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException
from ib_insync import IB, LimitOrder, MarketOrder, Order, Stock, StopOrder
from pydantic import BaseModel

CLIENT_ID = 31
PATIENCE = 10.0

app = FastAPI()
gateway = {"port": 4002}
one_at_a_time = asyncio.Lock()


class OrderBody(BaseModel):
    symbol: str
    action: str
    quantity: float
    limit_price: float | None = None
    stop_price: float | None = None
    order_ref: str = ""


class CancelBody(BaseModel):
    perm_id: int


@asynccontextmanager
async def connection() -> AsyncIterator[IB]:
    async with one_at_a_time:
        ib = IB()
        ib.client.MaxRequests = 0  # its own brake is for long-lived connections
        try:
            await ib.connectAsync("127.0.0.1", gateway["port"], CLIENT_ID, PATIENCE)
        except (OSError, TimeoutError) as error:
            raise HTTPException(500, "Failed to connect to IB Gateway") from error
        try:
            yield ib
        finally:
            ib.disconnect()


async def place(kind: str, body: OrderBody, order: Order) -> dict[str, Any]:
    order.tif, order.orderRef = "DAY", body.order_ref
    async with connection() as ib:
        contract = Stock(body.symbol, "SMART", "USD")
        if not await ib.qualifyContractsAsync(contract):
            raise HTTPException(500, f"Failed to place {kind} order: Could not qualify contract: {body.symbol}")
        trade = ib.placeOrder(contract, order)
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while not trade.order.permId:
            if trade.isDone() or asyncio.get_running_loop().time() > deadline:
                raise HTTPException(500, f"Failed to place {kind} order: {trade.log[-1].message}")
            await ib.updateEvent
        return {"status": f"✅ {kind.capitalize()} order sent", "permId": trade.order.permId}


@app.post("/order/limit")
async def limit(body: OrderBody) -> dict[str, Any]:
    return await place("limit", body, LimitOrder(body.action, body.quantity, body.limit_price or 0))


@app.post("/order/market")
async def market(body: OrderBody) -> dict[str, Any]:
    return await place("market", body, MarketOrder(body.action, body.quantity))


@app.post("/order/stop")
async def stop(body: OrderBody) -> dict[str, Any]:
    return await place("stop", body, StopOrder(body.action, body.quantity, body.stop_price or 0))


@app.post("/order/cancel")
async def cancel(body: CancelBody) -> dict[str, Any]:
    async with connection() as ib:
        for trade in await ib.reqAllOpenOrdersAsync():
            if trade.order.permId == body.perm_id:
                ib.cancelOrder(trade.order)
                while not trade.isDone():
                    await ib.updateEvent
                return {"status": f"✅ Order {body.perm_id} cancelled"}
    raise HTTPException(404, "Order not found or already filled")


@app.get("/account")
async def account() -> dict[str, Any]:
    async with connection() as ib:
        figures = {value.tag: value.value for value in ib.accountValues()}
        return {"balance": float(figures["NetLiquidation"]), "cash": float(figures["AvailableFunds"])}


@app.get("/positions")
async def positions() -> dict[str, Any]:
    async with connection() as ib:
        rows = [
            {
                "symbol": p.contract.symbol,
                "qty": p.position,
                "avg_cost": p.avgCost,
                "market_value": p.position * p.avgCost,
            }
            for p in ib.positions()
        ]
        return {"positions": rows}


@app.get("/orders")
async def orders() -> dict[str, Any]:
    async with connection() as ib:
        rows = [
            {
                "orderId": trade.order.orderId,
                "permId": trade.order.permId,
                "symbol": trade.contract.symbol,
                "action": trade.order.action,
                "quantity": trade.order.totalQuantity,
                "type": trade.order.orderType,
                "trigger": trade.order.lmtPrice or trade.order.auxPrice or "—",
                "status": trade.orderStatus.status.upper(),
            }
            for trade in await ib.reqAllOpenOrdersAsync()
        ]
        return {"orders": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gateway", type=int, required=True, help="port of the gateway")
    parser.add_argument("--port", type=int, required=True, help="port to serve at")
    options = parser.parse_args()
    gateway["port"] = options.gateway
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=options.port, log_level="warning", access_log=False)
    )
    asyncio.run(server.serve())  # not server.run(): the library wants the loop to be the thread's


if __name__ == "__main__":
    main()
