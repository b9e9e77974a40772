from decimal import Decimal

from tests.walks.house import until


def limit(**changes):
    body = {"symbol": "AAPL", "action": "BUY", "quantity": 10, "limit_price": 200.00, "order_ref": "my_trade_001"}
    return body | changes


def test_limit_order_rests_and_is_cancelled(house):
    answer = house.post("/order/limit", limit())

    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body.keys() == {"status", "permId"}
    assert body["status"] == "✅ Limit order sent"
    perm_id = body["permId"]
    listed = house.get("/orders").json()["orders"]
    assert listed == [
        {
            "orderId": listed[0]["orderId"],
            "permId": perm_id,
            "symbol": "AAPL",
            "action": "BUY",
            "quantity": 10,
            "type": "LMT",
            "trigger": 200.0,
            "status": "SUBMITTED",
        }
    ]

    answer = house.post("/order/cancel", {"perm_id": perm_id})
    assert (answer.status_code, answer.json()) == (200, {"status": f"✅ Order {perm_id} cancelled"})
    assert house.get("/orders").json() == {"orders": []}
    assert house.history(perm_id)[:5] == ["RECEIVED", "SENT", "ACCEPTED", "CANCEL_REQUESTED", "CANCEL_SENT"]
    assert house.status(perm_id) == "CANCELED"

    again = house.post("/order/cancel", {"perm_id": perm_id})
    assert (again.status_code, again.json()) == (404, {"detail": "Order not found or already filled"})


def test_market_order_to_its_fill_position_and_execution(house):
    before = house.get("/account").json()

    answer = house.post("/order/market", {"symbol": "MSFT", "action": "BUY", "quantity": 10, "order_ref": "m_1"})

    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "✅ Market order sent"
    perm_id = answer.json()["permId"]
    until(lambda: house.status(perm_id) == "FILLED", why="the market order was not filled")
    (execution,) = [
        row for row in house.get("/executions?symbol=msft").json()["executions"] if row["orderRef"] == "m_1"
    ]
    assert (execution["symbol"], execution["side"], execution["qty"]) == ("MSFT", "BUY", 10)
    assert execution["source"] == "trades()"
    (position,) = until(lambda: house.get("/positions").json()["positions"])
    assert (position["symbol"], position["qty"]) == ("MSFT", 10)
    assert position["market_value"] == round(position["qty"] * position["avg_cost"], 8)
    until(lambda: house.get("/account").json()["cash"] < before["cash"], why="cash did not change")


def test_stop_order_waits_for_its_trigger(house):
    body = {"symbol": "TSLA", "action": "SELL", "quantity": 5, "stop_price": 100.0, "order_ref": "stop_loss_001"}

    answer = house.post("/order/stop", body)

    assert (answer.status_code, answer.json()["status"]) == (200, "✅ Stop order sent")
    (listed,) = house.get("/orders").json()["orders"]
    assert (listed["type"], listed["trigger"], listed["status"]) == ("STP", 100.0, "PRESUBMITTED")


def test_bracket_whose_exits_cancel_each_other(house, counterparty):
    bid, ask = counterparty.quote("NVDA")
    target = ask + Decimal("0.01")

    answer = house.post(
        "/order/bracket",
        {
            "symbol": "NVDA",
            "action": "BUY",
            "quantity": 10,
            "entry_price": float(ask),
            "stop_loss": float(bid - 20),
            "take_profit": float(target),
            "order_ref": "protected_trade_001",
        },
    )

    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "✅ Bracket order sent"
    entry, stop_loss, take_profit = answer.json()["permIds"]
    until(lambda: house.status(entry) == "FILLED", why="the entry was not filled")
    kinds = {row["permId"]: row["type"] for row in house.get("/orders").json()["orders"]}
    assert kinds in ({stop_loss: "STP", take_profit: "LMT"}, {})  # the target is a tick away, and may be gone already

    counterparty.trade("BUY", 10_000, "NVDA", target)

    until(lambda: house.status(take_profit) == "FILLED", why="the target was not reached")
    until(lambda: house.status(stop_loss) == "CANCELED", why="the other exit still works")
    until(lambda: not house.get("/positions").json()["positions"], why="the position was not closed")


def test_bracket_that_waits_is_three_rows(house):
    body = {"symbol": "AAPL", "action": "BUY", "quantity": 10, "entry_price": 200, "stop_loss": 190, "take_profit": 240}

    perm_ids = house.post("/order/bracket", body).json()["permIds"]

    rows = {row["permId"]: row for row in house.get("/orders").json()["orders"]}
    assert [(rows[p]["type"], rows[p]["action"], rows[p]["trigger"]) for p in perm_ids] == [
        ("LMT", "BUY", 200),
        ("STP", "SELL", 190),
        ("LMT", "SELL", 240),
    ]
    assert house.post("/order/cancel", {"perm_id": perm_ids[0]}).status_code == 200
    until(lambda: house.get("/orders").json() == {"orders": []}, why="the exits did not leave with their entry")


def test_partial_fill(house, counterparty):
    bid, ask = counterparty.quote("KO")
    price = bid + (ask - bid) / 2 if ask - bid > Decimal("0.01") else bid
    perm_id = house.post("/order/limit", limit(symbol="KO", quantity=100, limit_price=float(price))).json()["permId"]

    counterparty.trade("SELL", 30, "KO", price)

    filled = until(
        lambda: [
            quantity
            for (quantity,) in house.rows("SELECT filled_quantity FROM orders_order WHERE perm_id = %s", perm_id)
            if quantity
        ]
    )
    assert 0 < filled[0] < 100
    assert house.status(perm_id) == "PARTIALLY_FILLED"
    (listed,) = house.get("/orders").json()["orders"]
    assert (listed["status"], listed["quantity"]) == ("SUBMITTED", 100)


def test_rejection_for_lack_of_funds(house):
    answer = house.post("/order/limit", limit(quantity=1_000_000))

    assert answer.status_code == 500
    assert answer.json()["detail"].startswith("Failed to place limit order: Order rejected - reason:")
    assert house.get("/orders").json() == {"orders": []}


def test_price_off_the_tick(house):
    answer = house.post("/order/limit", limit(limit_price=200.001))

    assert answer.status_code == 500
    assert answer.json()["detail"].startswith("Failed to place limit order: ")


def test_unknown_symbol(house):
    for path, extra, word in (
        ("limit", {"limit_price": 10}, "limit"),
        ("market", {}, "market"),
        ("stop", {"stop_price": 10}, "stop"),
        ("bracket", {"entry_price": 10, "stop_loss": 9, "take_profit": 11}, "bracket"),
    ):
        answer = house.post(f"/order/{path}", {"symbol": "INVALID", "action": "BUY", "quantity": 1, **extra})

        assert (answer.status_code, answer.json()) == (
            500,
            {"detail": f"Failed to place {word} order: Could not qualify contract for symbol: INVALID"},
        )


def test_cancel_that_loses_to_a_fill(house, counterparty):
    bid, ask = counterparty.quote("PFE")
    perm_id = house.post("/order/limit", limit(symbol="PFE", limit_price=float(bid))).json()["permId"]

    counterparty.trade("SELL", 20_000, "PFE", bid)
    answer = house.post("/order/cancel", {"perm_id": perm_id})

    assert (answer.status_code, answer.json()) == (404, {"detail": "Order not found or already filled"})
    assert house.status(perm_id) == "FILLED"


def test_same_key_is_one_order(house):
    first = house.post("/order/limit", limit(), Idempotency_Key="walk-1")
    second = house.post("/order/limit", limit(), Idempotency_Key="walk-1")
    other = house.post("/order/limit", limit(quantity=11), Idempotency_Key="walk-1")

    assert first.status_code == second.status_code == 200
    assert first.json() == second.json()
    assert second.headers["Idempotent-Replayed"] == "true"
    assert other.status_code == 422
    assert len(house.get("/orders").json()["orders"]) == 1
