"""What ib_insync and ib_async write, read to its last field."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from gateway.tws import messages as m
from gateway.tws.order import Contract, Order, OrderComboLeg, OrderState, TagValue
from tests.gateway.real_clients import (
    BAG,
    CONTRACT,
    EVERY_ATTRIBUTE,
    NOT_OPEN,
    NOT_PLACED,
    connected_client,
    decoded,
    every_client,
    ib_async,
    ib_insync,
    off_the_wire,
    requests_of,
    their_contract,
    their_order,
)

D = Decimal


@pytest.fixture(autouse=True)
def _loop():
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


@pytest.fixture
def client(library, version):
    return connected_client(library, version)


@every_client
def test_simple_requests_are_read(client, library, version):
    contract = their_contract(library, CONTRACT)
    contract.includeExpired = True
    looked_up = replace(CONTRACT, include_expired=True)
    filter_ = library.ExecutionFilter(7, "DU1", "20260105 09:30:00", "AAPL", "STK", "SMART", "BUY")
    quoted = replace(CONTRACT, sec_id_type="", sec_id="")

    client.startApi()
    client.cancelOrder(12)
    client.reqGlobalCancel()
    client.reqOpenOrders()
    client.reqAllOpenOrders()
    client.reqAutoOpenOrders(True)
    client.reqCompletedOrders(False)
    client.reqExecutions(3, library.ExecutionFilter())
    client.reqExecutions(4, filter_)
    client.reqIds(1)
    client.reqContractDetails(5, contract)
    client.reqPositions()
    client.cancelPositions()
    client.reqPositionsMulti(6, "DU1", "M")
    client.cancelPositionsMulti(6)
    client.reqAccountSummary(7, "All", "NetLiquidation,BuyingPower")
    client.cancelAccountSummary(7)
    client.reqAccountUpdates(True, "DU1")
    client.reqAccountUpdatesMulti(8, "DU1", "", False)
    client.cancelAccountUpdatesMulti(8)
    client.reqManagedAccts()
    client.reqCurrentTime()
    client.setServerLogLevel(5)
    client.reqMarketDataType(3)
    client.reqMktData(9, contract, "233,236", True, False, [])
    client.cancelMktData(9)

    assert requests_of(client) == [
        m.StartApi(client_id=7),
        m.CancelOrder(order_id=12),
        m.ReqGlobalCancel(),
        m.ReqOpenOrders(),
        m.ReqAllOpenOrders(),
        m.ReqAutoOpenOrders(auto_bind=True),
        m.ReqCompletedOrders(api_only=False),
        m.ReqExecutions(req_id=3),
        m.ReqExecutions(
            req_id=4,
            client_id=7,
            account="DU1",
            time="20260105 09:30:00",
            symbol="AAPL",
            sec_type="STK",
            exchange="SMART",
            side="BUY",
        ),
        m.ReqIds(),
        m.ReqContractDetails(req_id=5, contract=looked_up),
        m.ReqPositions(),
        m.CancelPositions(),
        m.ReqPositionsMulti(req_id=6, account="DU1", model_code="M"),
        m.CancelPositionsMulti(req_id=6),
        m.ReqAccountSummary(req_id=7, group="All", tags="NetLiquidation,BuyingPower"),
        m.CancelAccountSummary(req_id=7),
        m.ReqAccountUpdates(subscribe=True, account="DU1"),
        m.ReqAccountUpdatesMulti(req_id=8, account="DU1"),
        m.CancelAccountUpdatesMulti(req_id=8),
        m.ReqManagedAccounts(),
        m.ReqCurrentTime(),
        m.SetServerLogLevel(level=5),
        m.ReqMarketDataType(market_data_type=3),
        m.ReqMktData(req_id=9, contract=quoted, generic_ticks="233,236", snapshot=True),
        m.CancelMktData(req_id=9),
    ]


@every_client
def test_plain_orders_are_read(client, library, version):
    stock = library.Stock("AAPL", "SMART", "USD", conId=265598)
    fa = {"open_close": "O", "display_size": 0}
    common = {"total_quantity": D("100.0"), "tif": "DAY", "account": "DU1", "order_ref": "mine~0123456789ABC", **fa}
    given = {"tif": "DAY", "account": "DU1", "orderRef": "mine~0123456789ABC"}

    client.placeOrder(1, stock, library.LimitOrder("BUY", 100.0, 150.25, transmit=False, **given))
    client.placeOrder(2, stock, library.StopOrder("SELL", 100.0, 140.1, parentId=1, transmit=False, **given))
    client.placeOrder(3, stock, library.StopLimitOrder("SELL", 100.0, 139.5, 140.0, ocaGroup="g", ocaType=2, **given))
    client.placeOrder(4, stock, library.MarketOrder("SELL", 100.0, outsideRth=True, **given))
    client.placeOrder(
        5, stock, library.Order(orderType="TRAIL", action="SELL", totalQuantity=100.0, trailingPercent=2.5, **given)
    )

    contract = Contract(con_id=265598, symbol="AAPL", sec_type="STK", exchange="SMART", currency="USD")
    assert requests_of(client) == [
        m.PlaceOrder(order_id=order_id, contract=contract, order=Order(**common, **own))
        for order_id, own in enumerate(
            [
                {"action": "BUY", "order_type": "LMT", "lmt_price": D("150.25"), "transmit": False},
                {"action": "SELL", "order_type": "STP", "aux_price": D("140.1"), "parent_id": 1, "transmit": False},
                {
                    "action": "SELL",
                    "order_type": "STP LMT",
                    "lmt_price": D("139.5"),
                    "aux_price": D(140),
                    "oca_group": "g",
                    "oca_type": 2,
                },
                {"action": "SELL", "order_type": "MKT", "outside_rth": True},
                {"action": "SELL", "order_type": "TRAIL", "trailing_percent": D("2.5")},
            ],
            start=1,
        )
    ]


def as_placed(order, version, *, without=frozenset()):
    """The order with its default in every attribute that placeOrder does not carry at that version."""
    plain = Order()
    gone = without | off_the_wire(version)
    return replace(order, **{name: getattr(plain, name) for name in gone})


UNSET = Order(display_size=0)
ORDERS = [
    *[("every attribute", CONTRACT, order, NOT_PLACED) for order in EVERY_ATTRIBUTE],
    (
        "combination",
        BAG,
        replace(
            EVERY_ATTRIBUTE[0],
            combo_legs=(OrderComboLeg(price=D("1.5")), OrderComboLeg()),
            smart_combo_routing_params=(TagValue(tag="NonGuaranteed", value="1"),),
        ),
        NOT_PLACED,
    ),
    ("nothing set", CONTRACT, UNSET, NOT_PLACED),
    (
        "to IBKRATS, pegged to the best",
        replace(CONTRACT, exchange="IBKRATS"),
        replace(
            UNSET, order_type="PEG BEST", min_trade_qty=5, min_compete_size=6, compete_against_best_offset=D("0.02")
        ),
        frozenset(),
    ),
    (
        "pegged to the best up to the middle",
        CONTRACT,
        replace(
            UNSET,
            order_type="PEG BEST",
            min_compete_size=6,
            compete_against_best_offset=D("Infinity"),
            mid_offset_at_whole=D("0.01"),
            mid_offset_at_half=D("0.005"),
        ),
        frozenset(),
    ),
    (
        "pegged to the middle",
        CONTRACT,
        replace(UNSET, order_type="PEG MID", mid_offset_at_whole=D("0.01"), mid_offset_at_half=D("0.005")),
        frozenset(),
    ),
]


@every_client
@pytest.mark.parametrize(("case", "contract", "order", "without"), ORDERS)
def test_orders_are_read_to_their_last_field(client, library, version, case, contract, order, without):
    order = replace(order, order_misc_options="a=1;b=2;")
    if library is ib_async:
        order = replace(order, volatility=None)  # it sends this for VOL orders only

    client.placeOrder(21, their_contract(library, contract), their_order(library, order))

    (placed,) = requests_of(client)
    assert placed.leftover == ()
    assert placed == m.PlaceOrder(order_id=21, contract=contract, order=as_placed(order, version, without=without))


@pytest.mark.parametrize("order", EVERY_ATTRIBUTE, ids=["0", "1", "2", "3", "4"])
@pytest.mark.parametrize("library", [ib_insync, ib_async])
def test_an_order_read_from_us_and_sent_back_is_read_whole(library, order, caplog):
    version = 176
    ours = replace(order, delta_neutral_order_type="", volatility=None)
    opened = m.OpenOrder(
        order_id=21, client_id=7, perm_id=9, contract=CONTRACT, order=ours, state=OrderState(status="Submitted")
    )
    _, _, contract, order, _ = decoded(library, version, opened, caplog)
    client = connected_client(library, version)

    client.placeOrder(21, contract, order)

    (placed,) = requests_of(client)
    assert placed.leftover == ()
    assert order.deltaNeutralOrderType == "None"
    same_again = as_placed(ours, version, without=NOT_PLACED | NOT_OPEN)
    assert replace(placed.order, delta_neutral_open_close="") == replace(same_again, delta_neutral_open_close="")
