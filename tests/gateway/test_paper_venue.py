"""The venue: who hears what, and what a mistake costs."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway.paper import sessions
from gateway.paper.ledger import Ledger
from gateway.paper.rendering import Clock
from gateway.paper.sessions import Session
from gateway.paper.venue import Venue
from gateway.tws import messages as m
from gateway.tws.codec import decode_response, encode
from gateway.tws.framing import FrameBuffer, pack_fields, split_fields
from gateway.tws.order import Contract, Order
from tests.gateway.paper_process import frame, hello, ledger_lines
from tests.gateway.trading import Floor

D = Decimal
AAPL = Contract(con_id=265598, symbol="AAPL", sec_type="STK", exchange="SMART", currency="USD")
MSFT = Contract(con_id=272093, symbol="MSFT", sec_type="STK", exchange="SMART", currency="USD")


class House:
    """A venue on a still market; `seconds` is the server's clock and moves on with every message."""

    def __init__(self, ledger: Path | None = None, *, read_only: bool = False, **floor: Any) -> None:
        self.floor = Floor(**floor)
        self.ledger = Ledger(ledger, lambda: self.floor.now)
        self.venue = Venue(self.floor.exchange, ledger=self.ledger, clock=Clock(), read_only=read_only)
        self.seconds = 0.0

    def client(self, client_id: int, offer: str = "v157..178") -> "Client":
        client = Client(self, offer)
        client.ask(m.StartApi(client_id=client_id))
        client.heard()
        return client


class Client:
    def __init__(self, house: House, offer: str = "v157..178") -> None:
        self.house = house
        self.session: Session = house.venue.connect(house.seconds)
        self._incoming = FrameBuffer()
        self.write(hello(offer))
        self.greeting = self._frames()

    def write(self, data: bytes, *, pause: float = 1.0) -> float:
        self.house.seconds += pause
        return self.house.venue.receive(self.session, data, self.house.seconds)

    def ask(self, *requests: m.Request) -> None:
        for request in requests:
            self.write(pack_fields(encode(request, self.session.connection.version)))

    def heard(self) -> list[Any]:
        version = self.session.connection.version
        return [decode_response(fields, version) for fields in self._frames()]

    def answer(self, *requests: m.Request) -> list[Any]:
        self.heard()
        self.ask(*requests)
        return self.heard()

    def place(
        self, order_id: int, action: str = "BUY", quantity: int = 10, *, contract: Contract = AAPL, **order: Any
    ) -> list[Any]:
        terms = {"order_type": "MKT", "tif": "DAY"} | order
        wire = Order(action=action, total_quantity=D(quantity), **terms)
        return self.answer(m.PlaceOrder(order_id=order_id, contract=contract, order=wire))

    def _frames(self) -> list[tuple[str, ...]]:
        self._incoming.feed(self.session.connection.data_to_send())
        frames = []
        while payload := self._incoming.take_payload():
            frames.append(split_fields(payload))
        return frames


@pytest.fixture
def house() -> House:
    return House()


def kinds(messages: list[Any]) -> list[str]:
    return [type(message).__name__ for message in messages]


def errors(messages: list[Any]) -> list[tuple[int, int]]:
    return [(message.req_id, message.code) for message in messages if isinstance(message, m.ErrorMessage)]


# Sessions


def test_the_first_words(house: House) -> None:
    client = Client(house)
    assert client.greeting == [("178", "20260105 15:00:00 UTC")]

    accounts, next_id, *farms = client.answer(m.StartApi(client_id=3))

    assert accounts == m.ManagedAccounts(accounts="DU1000001")
    assert next_id == m.NextValidId(order_id=1)
    assert errors(farms) == [(-1, 2104), (-1, 2106), (-1, 2158)]


@pytest.mark.parametrize(("offer", "version"), [("v157..176", 176), ("v100..157", 157), ("v157..220", 178)])
def test_the_version_is_the_clients_highest_up_to_ours(house: House, offer: str, version: int) -> None:
    assert Client(house, offer).greeting[0][0] == str(version)


def test_a_taken_client_id(house: House) -> None:
    first = house.client(1)
    second = Client(house)

    assert errors(second.answer(m.StartApi(client_id=1))) == [(-1, 326)]
    assert second.session.closing
    assert kinds(first.answer(m.ReqCurrentTime())) == ["CurrentTime"]

    house.venue.disconnect(second.session)
    assert house.venue.sessions == {1: first.session}
    house.venue.disconnect(first.session)
    assert house.client(1).session is house.venue.sessions[1]


@pytest.mark.parametrize(
    ("request_", "about"),
    [
        (m.PlaceOrder(order_id=1, contract=AAPL, order=Order(action="BUY", total_quantity=D(1), order_type="MKT")), 1),
        (m.CancelOrder(order_id=1), 1),
        (m.ReqGlobalCancel(), 2147483647),
        (m.ReqOpenOrders(), 2147483647),
        (m.ReqAllOpenOrders(), 2147483647),
    ],
)
def test_an_api_that_may_only_look(request_: m.Request, about: int) -> None:
    house = House(read_only=True)
    client = house.client(1)

    (refusal,) = client.answer(request_)

    assert (refusal.req_id, refusal.code) == (about, 321)
    assert "Read-Only" in refusal.text
    assert not house.floor.exchange.register.working
    assert kinds(client.answer(m.ReqPositions())) == ["PositionEnd"]


def test_a_broken_frame_closes_only_its_own_session(house: House) -> None:
    good, bad = house.client(1), house.client(2)

    bad.write(b"\xff\xff\xff\xff")

    assert bad.session.closing
    assert not good.session.closing
    assert kinds(good.answer(m.ReqCurrentTime())) == ["CurrentTime"]


def test_what_cannot_be_read_or_is_unknown_leaves_the_session_open(house: House) -> None:
    client = house.client(1)

    client.write(frame(4, 1, "abc"))
    client.write(frame(7777, 1))

    assert errors(client.heard()) == [(-1, 320), (-1, 505)]
    assert kinds(client.answer(m.ReqCurrentTime())) == ["CurrentTime"]


def test_a_flood_is_answered_with_100_and_then_dropped(house: House) -> None:
    client = house.client(1)
    question = frame(49, 1)

    for _ in range(2):
        client.write(question * 160)
        assert (-1, 100) in errors(client.heard())
        assert not client.session.closing
    client.write(question * 160)

    assert client.session.closing


def test_a_paced_client_is_delayed_instead(house: House) -> None:
    client = house.client(1, "v157..178 +PACEAPI")
    wait = client.write(frame(49, 1) * 160)
    answered = len(client.heard())

    assert wait > 0
    assert 95 <= answered <= 100
    while wait := client.write(b"", pause=wait):
        pass
    messages = client.heard()
    assert answered + len(messages) == 160
    assert not errors(messages)


# Who hears what


def test_callbacks_go_to_the_owner_alone(house: House) -> None:
    one, two = house.client(1), house.client(2)

    assert kinds(one.place(1)) == [
        *("OpenOrder", "OrderStatus", "ExecDetails"),
        *("OpenOrder", "OrderStatus", "OpenOrder", "OrderStatus", "CommissionReport"),
    ]
    assert two.heard() == []


def test_open_orders_of_one_and_of_all(house: House) -> None:
    one, two = house.client(1), house.client(2)
    one.place(1, order_type="LMT", lmt_price=D(230), order_ref="mine")
    two.place(1, order_type="LMT", lmt_price=D(229))

    own = one.answer(m.ReqOpenOrders())
    everybodys = one.answer(m.ReqAllOpenOrders())

    assert kinds(own) == ["OpenOrder", "OrderStatus", "OpenOrderEnd"]
    assert own[0].order.order_ref == "mine"
    assert [message.client_id for message in everybodys if isinstance(message, m.OpenOrder)] == [1, 2]
    assert kinds(everybodys)[-1] == "OpenOrderEnd"


def test_held_orders_are_not_listed(house: House) -> None:
    client = house.client(1)
    assert client.place(1, order_type="LMT", lmt_price=D(230), transmit=False) == []

    assert kinds(client.answer(m.ReqAllOpenOrders())) == ["OpenOrderEnd"]


def test_auto_open_orders_are_for_client_0(house: House) -> None:
    assert house.client(0).answer(m.ReqAutoOpenOrders(auto_bind=True)) == []
    assert errors(house.client(1).answer(m.ReqAutoOpenOrders(auto_bind=True))) == [(-1, 327)]


def test_executions_by_filter(house: House) -> None:
    one, two = house.client(1), house.client(2)
    one.place(1, order_ref="a")
    house.floor.wait(minutes=5)
    two.place(1, "SELL", order_ref="b")

    def found(**asked: Any) -> list[str]:
        messages = one.answer(m.ReqExecutions(req_id=9, **asked))
        assert messages[-1] == m.ExecDetailsEnd(req_id=9)
        details = [message for message in messages if isinstance(message, m.ExecDetails)]
        assert all(message.req_id == 9 for message in details)
        assert len([message for message in messages if isinstance(message, m.CommissionReport)]) == len(details)
        return [message.order_ref for message in details]

    assert found() == ["a", "b"]
    assert found(client_id=2) == ["b"]
    assert found(side="BUY") == ["a"]
    assert found(side="SLD") == ["b"]
    assert found(account="DU9") == []
    assert found(symbol="aapl") == ["a", "b"]
    assert found(symbol="MSFT") == []
    assert found(sec_type="OPT") == []
    assert found(exchange="NASDAQ") == ["a", "b"]
    assert found(exchange="NYSE") == []
    for text in ("20260105 15:01:00", "20260105  15:01:00", "20260105-15:01:00", "20260105 15:01:00 UTC"):
        assert found(time=text) == ["b"]
    assert found(time="20260105") == ["a", "b"]


def test_a_time_that_is_none(house: House) -> None:
    assert errors(house.client(1).answer(m.ReqExecutions(req_id=9, time="yesterday"))) == [(9, 321)]


def test_a_long_answer_is_said_bit_by_bit(house, monkeypatch):
    monkeypatch.setattr(sessions, "MESSAGES_A_TURN", 4)
    one, two = house.client(1), house.client(2)
    for order_id in range(1, 6):
        one.place(order_id)
    executions = house.floor.exchange.register.executions[:5]

    said = one.answer(m.ReqExecutions(req_id=9))
    said += one.answer(m.ReqCompletedOrders(api_only=False))  # has its turn behind it
    assert len(said) == 4
    assert two.answer(m.ReqCurrentTime())  # others are not kept waiting
    two.place(1)  # no part of what was asked before it
    (time,) = one.answer(m.ReqCurrentTime())  # nor is what else it asks itself
    assert isinstance(time, m.CurrentTime)
    while one.session.unsaid:
        one.session.say_more()
        said += one.heard()

    told = [message.exec_id for message in said if isinstance(message, m.ExecDetails)]
    paid = [message.exec_id for message in said if isinstance(message, m.CommissionReport)]
    assert told == paid == [execution.exec_id for execution in executions]
    ends = [message for message in said if isinstance(message, m.ExecDetailsEnd | m.CompletedOrdersEnd)]
    assert ends == [m.ExecDetailsEnd(req_id=9), m.CompletedOrdersEnd()]
    completed = said[said.index(ends[0]) + 1 : -1]
    assert [message.perm_id for message in completed] == [execution.perm_id for execution in executions]


def test_completed_orders(house: House) -> None:
    client = house.client(1)
    client.place(1)
    client.place(2, order_type="LMT", lmt_price=D(230), order_ref="r")
    client.answer(m.CancelOrder(order_id=2))

    filled, cancelled, end = house.client(2).answer(m.ReqCompletedOrders(api_only=False))

    assert (filled.status, filled.filled_quantity, filled.completed_status) == ("Filled", 10, "Filled Size: 10")
    assert (cancelled.status, cancelled.order.order_ref) == ("Cancelled", "r")
    assert cancelled.completed_time == "20260105 15:00:00 UTC"
    assert isinstance(end, m.CompletedOrdersEnd)


def test_a_what_if_is_no_order(house: House) -> None:
    client = house.client(1)

    (shown,) = client.place(1, what_if=True)

    assert (shown.perm_id, shown.order.what_if, shown.state.commission) == (0, True, 1)
    assert shown.state.init_margin_change == D("578.75")
    assert errors(client.place(1, what_if=True, order_type="FOO")) == [(1, 321)]
    assert kinds(client.answer(m.ReqCompletedOrders(api_only=False))) == ["CompletedOrdersEnd"]


# Accounts


def test_positions_are_pushed_while_subscribed(house: House) -> None:
    client, other = house.client(1), house.client(2)
    assert kinds(client.answer(m.ReqPositions())) == ["PositionEnd"]

    other.place(1)
    (pushed,) = client.heard()
    assert (pushed.position, pushed.contract.symbol, pushed.account) == (10, "AAPL", "DU1000001")
    other.place(2, "SELL")
    assert [message.position for message in client.heard()] == [0]

    client.ask(m.CancelPositions())
    other.place(3)
    assert client.heard() == []


def test_account_updates(house: House) -> None:
    client, other = house.client(1), house.client(2)
    messages = client.answer(m.ReqAccountUpdates(subscribe=True, account="DU1000001"))
    values = {message.key: message.value for message in messages if isinstance(message, m.UpdateAccountValue)}

    assert values["NetLiquidation"] == values["TotalCashValue"] == values["AvailableFunds"] == "200000.00"
    assert values["BuyingPower"] == "800000.00"
    assert values["AccountCode"] == "DU1000001"
    assert messages[-1] == m.AccountDownloadEnd(account="DU1000001")

    other.place(1)
    assert client.heard() == []
    house.venue.refresh_accounts()
    pushed = client.heard()
    changed = {message.key: message.value for message in pushed if isinstance(message, m.UpdateAccountValue)}
    (portfolio,) = (message for message in pushed if isinstance(message, m.UpdatePortfolio))
    assert changed["TotalCashValue"] == "197683.90"
    assert "AccountCode" not in changed
    assert (portfolio.position, portfolio.market_price) == (10, D("231.51"))

    client.ask(m.ReqAccountUpdates(subscribe=False, account=""))
    other.place(2)
    house.venue.refresh_accounts()
    assert client.heard() == []


def test_account_values_follow_prices(house: House) -> None:
    client = house.client(1)
    client.place(1)
    client.answer(m.ReqAccountUpdates(subscribe=True, account=""))

    for _ in range(6):
        house.venue.step()

    assert "UpdatePortfolio" in kinds(client.heard())


def test_a_trade_tells_of_its_own_holding_and_prices_of_all_in_their_turn() -> None:
    house = House(accounts=("DU1", "DU2"))
    client = house.client(1)
    client.place(1, account="DU1")
    client.place(2, contract=MSFT, account="DU1")
    client.answer(m.ReqAccountUpdates(subscribe=True, account="DU1"))
    house.venue.refresh_accounts()
    client.heard()

    house.client(2).place(1, contract=MSFT, quantity=500, account="DU2")  # which moves its price
    client.place(3, account="DU1")
    house.venue.refresh_accounts()
    assert portfolio(client.heard()) == ["AAPL"]
    for _ in range(6):
        house.venue.step()
    assert "MSFT" in portfolio(client.heard())


def portfolio(heard: list[m.Message]) -> list[str]:
    return [message.contract.symbol for message in heard if isinstance(message, m.UpdatePortfolio)]


def test_account_summary_is_limited_to_two(house: House) -> None:
    client = house.client(1)
    first = client.answer(m.ReqAccountSummary(req_id=1, group="All", tags="NetLiquidation,BuyingPower"))
    assert [(row.tag, row.value) for row in first[:-1]] == [
        ("BuyingPower", "800000.00"),
        ("NetLiquidation", "200000.00"),
    ]
    assert first[-1] == m.AccountSummaryEnd(req_id=1)
    client.answer(m.ReqAccountSummary(req_id=2, group="All", tags="$LEDGER:ALL"))

    assert errors(client.answer(m.ReqAccountSummary(req_id=3, group="All", tags="NetLiquidation"))) == [(3, 322)]
    client.ask(m.CancelAccountSummary(req_id=1))
    assert kinds(client.answer(m.ReqAccountSummary(req_id=3, group="All", tags="NetLiquidation")))[-1] == (
        "AccountSummaryEnd"
    )


def test_several_accounts() -> None:
    house = House(accounts=("DU1", "DU2"))
    client = house.client(1)
    client.place(1, account="DU2")

    multi = client.answer(m.ReqAccountUpdatesMulti(req_id=4, account="DU2"))
    assert {message.account for message in multi[:-1]} == {"DU2"}
    assert multi[-1] == m.AccountUpdateMultiEnd(req_id=4)

    positions = client.answer(m.ReqPositionsMulti(req_id=5, account="DU2"))
    assert kinds(positions) == ["PositionMulti", "PositionMultiEnd"]
    assert kinds(client.answer(m.ReqPositionsMulti(req_id=6, account="DU1"))) == ["PositionMultiEnd"]

    client.ask(m.CancelAccountUpdatesMulti(req_id=4))
    pushed = client.place(2, account="DU2")
    house.venue.refresh_accounts()
    pushed += client.heard()
    assert [message.req_id for message in pushed if isinstance(message, m.PositionMulti)] == [5]
    assert "AccountUpdateMulti" not in kinds(pushed)
    client.ask(m.CancelPositionsMulti(req_id=5))
    assert "PositionMulti" not in kinds(client.place(3, account="DU2"))


@pytest.mark.parametrize(
    ("request_", "req_id"),
    [
        (m.ReqAccountUpdates(subscribe=True, account="DU9"), -1),
        (m.ReqAccountUpdatesMulti(req_id=4, account="DU9"), 4),
        (m.ReqPositionsMulti(req_id=5, account="DU9"), 5),
    ],
)
def test_an_unknown_account(house: House, request_: m.Request, req_id: int) -> None:
    assert errors(house.client(1).answer(request_)) == [(req_id, 321)]


# Contracts and prices


def test_contract_details(house: House) -> None:
    asked = Contract(symbol="IBM", sec_type="STK", exchange="SMART", currency="USD")

    details, end = house.client(1).answer(m.ReqContractDetails(req_id=7, contract=asked))

    assert (details.contract.con_id, details.contract.primary_exchange) == (8314, "NYSE")
    assert (details.min_tick, details.long_name) == (D("0.01"), "INTL BUSINESS MACHINES CORP")
    assert end == m.ContractDetailsEnd(req_id=7)


def test_an_unknown_contract(house: House) -> None:
    client = house.client(1)
    unknown = Contract(symbol="NOPE", sec_type="STK")

    assert errors(client.answer(m.ReqContractDetails(req_id=7, contract=unknown))) == [(7, 200)]
    assert errors(client.answer(m.ReqMktData(req_id=8, contract=unknown))) == [(8, 200)]


def test_market_data_snapshot_and_stream(house: House) -> None:
    client = house.client(1)
    snapshot = client.answer(m.ReqMktData(req_id=7, contract=AAPL, snapshot=True))
    prices = {tick.tick_type: tick.price for tick in snapshot[:-1]}
    assert prices == {1: D("231.49"), 2: D("231.51"), 4: D("231.50"), 9: D("231.50")}
    assert snapshot[-1] == m.TickSnapshotEnd(req_id=7)
    house.venue.step()
    assert client.heard() == []

    client.answer(m.ReqMktData(req_id=8, contract=AAPL))
    for _ in range(3):
        house.venue.step()
    assert {tick.req_id for tick in client.heard()} == {8}

    client.ask(m.CancelMktData(req_id=8))
    house.venue.step()
    assert client.heard() == []


def test_small_talk(house: House) -> None:
    client = house.client(1)
    client.place(41)

    assert client.answer(m.ReqIds()) == [m.NextValidId(order_id=42)]
    assert client.answer(m.ReqCurrentTime()) == [m.CurrentTime(time=int(house.floor.now.timestamp()))]
    assert client.answer(m.ReqManagedAccounts()) == [m.ManagedAccounts(accounts="DU1000001")]
    assert client.answer(m.SetServerLogLevel(level=5), m.ReqMarketDataType(market_data_type=3)) == []


# The ledger


def test_the_ledger_tells_everything_in_order(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    house = House(path)
    client = house.client(7)
    client.place(1, order_ref="ref~A")
    client.place(2, order_type="LMT", lmt_price=D("230.00"), order_ref="b")
    client.place(2, order_type="LMT", lmt_price=D("229.50"), order_ref="b")
    client.answer(m.CancelOrder(order_id=2), m.CancelOrder(order_id=99))
    client.place(3, order_type="FOO")
    client.place(4, order_type="LMT", lmt_price=D(230), transmit=False)
    client.place(5, "SELL", order_type="LMT", lmt_price=D(240), parent_id=4)
    client.ask(m.ReqGlobalCancel())
    house.venue.disconnect(client.session)
    house.ledger.close()

    lines = ledger_lines(path)
    assert [line["kind"] for line in lines] == [
        "session_open",
        *("placement", "execution", "ended"),
        *("placement", "modification", "cancel", "ended", "cancel"),
        "placement",
        *("placement", "placement", "transmitted"),
        *("global_cancel", "ended", "ended"),
        "session_close",
    ]
    assert lines[1] == {
        "time": "2026-01-05T15:00:00+00:00",
        "kind": "placement",
        "session": 1,
        "clientId": 7,
        "orderId": 1,
        "orderRef": "ref~A",
        "symbol": "AAPL",
        "conId": 265598,
        "side": "BUY",
        "type": "MKT",
        "quantity": "10",
        "limitPrice": None,
        "stopPrice": None,
        "account": "",
        "tif": "DAY",
        "parentId": 0,
        "transmit": True,
        "ocaGroup": "",
        "accepted": True,
        "errorCode": 0,
        "errorText": "",
        "permId": 1788680597,
        "held": False,
    }
    assert (lines[2]["execId"], lines[2]["quantity"], lines[2]["price"]) == ("0000e0d5.00000000.01.01", "10", "231.51")
    assert (lines[5]["limitPrice"], lines[5]["permId"]) == ("229.50", lines[4]["permId"])
    assert (lines[8]["accepted"], lines[8]["errorCode"]) == (False, 10147)
    assert (lines[9]["accepted"], lines[9]["errorCode"], lines[9]["permId"]) == (False, 321, 0)
    assert (lines[10]["held"], lines[10]["permId"]) == (True, lines[12]["permId"])


def test_nothing_leaves_before_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    house = House(path)
    client = house.client(1)
    client.place(1)
    assert ledger_lines(path) == []

    house.venue.commit()

    assert [line["kind"] for line in ledger_lines(path)] == ["session_open", "placement", "execution", "ended"]
    house.ledger.close()
