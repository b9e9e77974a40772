"""The examples of the documentation, run as they are printed. Only the port is another one."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.walks.house import until

ROOT = Path(__file__).parents[2]
PRINTED = "localhost:8000"
AXIOS = "axios@1.21.1"
GONE = {"detail": "Order not found or already filled"}


def blocks(page, heading, language):
    """The code blocks of that language below a heading, in order."""
    text = (ROOT / page).read_text()
    _, found, rest = text.partition(f"\n{heading}\n")
    assert found, heading
    level = heading.partition(" ")[0]
    section = re.split(rf"^#{{2,{len(level)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def block(page, heading, language="bash"):
    """The first of them."""
    return blocks(page, heading, language)[0]


def run(argv, text, house, **environment):
    """What a program prints that is given the text, our port in the place of the printed one, on standard input."""
    assert PRINTED in text
    text = text.replace(PRINTED, f"localhost:{house.port}")
    result = subprocess.run(
        argv, input=text, env=os.environ | environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def answers(text, house):
    """The JSON answers of the curl commands, in order."""
    printed = run(["bash", "-euo", "pipefail"], text, house).lstrip()
    found = []
    while printed:
        value, end = json.JSONDecoder().raw_decode(printed)
        found.append(value)
        printed = printed[end:].lstrip()
    return found


def answer(heading, house):
    """The one answer of the first example below that heading of the API page."""
    (only,) = answers(block("docs/api.md", heading), house)
    return only


def shown(heading):
    """The answer that the API page prints there."""
    return json.loads(block("docs/api.md", heading, "json"))


def with_perm_id(text, perm_id):
    assert "1788680597" in text
    return text.replace("1788680597", str(perm_id))


def term(house, perm_id, column):
    ((value,),) = house.rows(f"SELECT {column} FROM orders_order WHERE perm_id = %s", perm_id)
    return value


def test_account(house):
    told = answer("### GET /account", house)

    assert told.keys() == shown("### GET /account").keys()
    assert all(isinstance(figure, int | float) for figure in told.values())


def test_limit_order_is_listed_and_cancelled(house):
    placed = answer("### POST /order/limit", house)

    perm_id = placed["permId"]
    assert placed == shown("### POST /order/limit") | {"permId": perm_id}
    assert term(house, perm_id, "order_ref") == "my_trade_001"
    (listed,) = answer("### GET /orders", house)["orders"]
    assert listed.keys() == shown("### GET /orders")["orders"][0].keys()
    assert listed == shown("### GET /orders")["orders"][0] | {"orderId": listed["orderId"], "permId": perm_id}

    cancel = with_perm_id(block("docs/api.md", "## POST /order/cancel"), perm_id)
    assert answers(cancel, house) == [{"status": f"✅ Order {perm_id} cancelled"}]
    assert house.status(perm_id) == "CANCELED"
    assert answers(cancel, house) == [GONE]


def test_market_order_to_its_execution_and_position(house):
    placed = answer("### POST /order/market", house)

    perm_id = placed["permId"]
    assert placed == shown("### POST /order/market") | {"permId": perm_id}
    until(lambda: house.status(perm_id) == "FILLED", why="the market order was not filled")
    everything, of_symbol = answers(block("docs/api.md", "### GET /executions"), house)
    order_id = term(house, perm_id, "broker_order_id")  # other pages use the same reference
    fills = [row for row in of_symbol["executions"] if row.get("orderId") == order_id]
    assert sum(row["qty"] for row in fills) == 10
    assert {row["orderRef"] for row in fills} == {"market_trade_001"}
    assert {row["symbol"] for row in of_symbol["executions"]} == {"AAPL"}
    assert all(row in everything["executions"] for row in of_symbol["executions"])
    (position,) = until(lambda: answer("### GET /positions", house)["positions"])
    assert position.keys() == shown("### GET /positions")["positions"][0].keys()
    assert (position["symbol"], position["qty"]) == ("AAPL", 10)


def test_stop_order_waits(house):
    placed = answer("### POST /order/stop", house)

    perm_id = placed["permId"]
    assert placed == shown("### POST /order/stop") | {"permId": perm_id}
    (listed,) = answer("### GET /orders", house)["orders"]
    assert (listed["action"], listed["type"], listed["trigger"]) == ("SELL", "STP", 225)
    assert term(house, perm_id, "order_ref") == "stop_loss_001"


def test_bracket_is_three_orders(house):
    placed = answer("### POST /order/bracket", house)

    assert placed == shown("### POST /order/bracket") | {"permIds": placed["permIds"]}
    listed = {
        row["permId"]: (row["action"], row["type"], row["trigger"]) for row in house.get("/orders").json()["orders"]
    }
    assert [listed[perm_id] for perm_id in placed["permIds"]] == [
        ("BUY", "LMT", 230),
        ("SELL", "STP", 225),
        ("SELL", "LMT", 240),
    ]
    assert {term(house, perm_id, "order_ref") for perm_id in placed["permIds"]} == {"protected_trade_001"}


def test_idempotency_example_twice_is_one_order(house):
    example = block("docs/api.md", "## Idempotency")

    first, second = answers(example + example, house)

    assert first == second
    assert first["status"] == "✅ Limit order sent"
    assert len(house.get("/orders").json()["orders"]) == 1


def test_readiness_example(house):
    (told,) = answers(block("docs/api.md", "## Health"), house)

    assert told["status"] == "ready"
    assert told["session"].keys() == shown("## Health")["session"].keys()


def test_curl_examples_in_one_go(house):
    account, placed, orders, cancelled = answers(block("docs/api.md", "### cURL"), house)

    assert account.keys() == {"balance", "cash"}
    assert placed["status"] == "✅ Limit order sent"
    assert [row["permId"] for row in orders["orders"]] == [placed["permId"]]
    if placed["permId"] == 1788680597:
        assert cancelled == {"status": "✅ Order 1788680597 cancelled"}
    else:
        assert cancelled == GONE


def assert_story(printed, house, order_ref):
    """What the guide's programs print, line by line, and what their order came to."""
    balance, cash, placed, pending, cancelled = printed.splitlines()
    assert re.fullmatch(r"Balance: \$[\d,]+(\.\d+)?", balance)
    assert re.fullmatch(r"Cash: \$[\d,]+(\.\d+)?", cash)
    perm_id = int(placed.removeprefix("Order placed: "))
    assert pending == "Pending orders: 1"
    assert cancelled == f"✅ Order {perm_id} cancelled"
    assert term(house, perm_id, "order_ref") == order_ref
    assert house.status(perm_id) == "CANCELED"


def test_python_example(house):
    printed = run([sys.executable, "-"], block("docs/api.md", "### Python", "python"), house, PYTHONUTF8="1")

    assert_story(printed, house, "python_trade_001")


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory):
    """A directory that holds axios."""
    missing = [program for program in ("node", "npm") if shutil.which(program) is None]
    if missing:
        reason = f"{' and '.join(missing)} not found"
        if os.environ.get("REQUIRE_NODE"):
            pytest.fail(reason)
        pytest.skip(reason)
    directory = tmp_path_factory.mktemp("node")
    install = ["npm", "install", "--no-audit", "--no-fund", "--no-save", "--prefix", str(directory), AXIOS]
    subprocess.run(install, cwd=directory, check=True, capture_output=True, timeout=180)
    return directory / "node_modules"


@pytest.mark.node
def test_javascript_example(house, node_modules):
    example = block("docs/api.md", "### JavaScript / Node.js", "javascript")

    printed = run(["node", "-"], example, house, NODE_PATH=str(node_modules))

    assert_story(printed, house, "js_trade_001")


def test_readme(house):
    first, second = blocks("README.md", "## Try it", "bash")

    account, placed, orders, _ = answers(first, house)
    assert account.keys() == {"balance", "cash"}
    perm_id = placed["permId"]
    assert [row["permId"] for row in orders["orders"]] == [perm_id]
    cancel = first[first.index("# Cancel order") :]
    assert answers(with_perm_id(cancel, perm_id), house)[0] in ({"status": f"✅ Order {perm_id} cancelled"}, GONE)
    assert house.status(perm_id) == "CANCELED"

    market, executions, positions = answers(second, house)
    assert market["status"] == "✅ Market order sent"
    assert executions.keys() == {"executions"}
    assert positions.keys() == {"positions"}
    until(lambda: house.status(market["permId"]) == "FILLED", why="the market order was not filled")


def test_tutorial(house):
    text = (ROOT / "docs" / "tutorial.md").read_text()
    example = "\n".join(re.findall(r"^```bash\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))

    told = answers(example, house)

    details = [row["detail"] for row in told if "detail" in row]
    assert [row["status"] for row in told if "status" in row] == [
        "ready",
        "✅ Market order sent",
        next(row["status"] for row in told if row.get("status", "").endswith("cancelled")),
        "✅ Bracket order sent",
        "✅ Market order sent",
        "✅ Market order sent",
    ]
    assert details[:3] == [
        GONE["detail"],
        "Failed to place market order: Could not qualify contract for symbol: INVALID",
        "limit_price: This field is required.",
    ]
    assert details[3].startswith("Failed to place limit order: Order rejected")
    assert len(details) == 4
    until(lambda: fills(house, "tutorial_1") == 10, why="the first order was not filled")
    until(lambda: fills(house, "tutorial_4") == 3, why="the key was not used once")


def fills(house, order_ref):
    return sum(row["qty"] for row in house.get("/executions").json()["executions"] if row.get("orderRef") == order_ref)
