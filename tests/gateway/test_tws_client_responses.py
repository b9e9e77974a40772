"""What we write, decoded by ib_insync and ib_async to equal values and without a line in their logs."""

from decimal import Decimal

import pytest

from gateway.tws import messages as m
from gateway.tws.order import Contract, Order, OrderComboLeg, OrderState, TagValue
from tests.gateway.real_clients import (
    BAG,
    CONTRACT,
    EVERY_ATTRIBUTE,
    NOT_COMPLETED,
    NOT_OPEN,
    SPECIAL,
    UNSET_DOUBLE,
    UNSET_INTEGER,
    assert_same,
    decoded,
    distinct,
    every_client,
    off_the_wire,
    their_condition,
)

D = Decimal

NOT_IN_REPORTS = {
    "include_expired",
    "issuer_id",
    "sec_id",
    "sec_id_type",
    "primary_exchange",
    "combo_legs",
    "delta_neutral",
}

SIMPLE = [
    (m.ManagedAccounts(accounts="DU1,DU2"), ("managedAccounts", "DU1,DU2")),
    (m.NextValidId(order_id=7), ("nextValidId", 7)),
    (m.CurrentTime(time=1767623400), ("currentTime", 1767623400)),
    (m.ErrorMessage(req_id=4, code=201, text="Order rejected"), ("error", 4, 201, "Order rejected", "")),
    (m.OpenOrderEnd(), ("openOrderEnd",)),
    (m.CompletedOrdersEnd(), ("completedOrdersEnd",)),
    (m.ExecDetailsEnd(req_id=3), ("execDetailsEnd", 3)),
    (m.PositionEnd(), ("positionEnd",)),
    (m.PositionMultiEnd(req_id=3), ("positionMultiEnd", 3)),
    (
        m.AccountSummary(req_id=3, account="DU1", tag="NetLiquidation", value="1.50", currency="USD"),
        ("accountSummary", 3, "DU1", "NetLiquidation", "1.50", "USD"),
    ),
    (m.AccountSummaryEnd(req_id=3), ("accountSummaryEnd", 3)),
    (
        m.UpdateAccountValue(key="CashBalance", value="1.50", currency="USD", account="DU1"),
        ("updateAccountValue", "CashBalance", "1.50", "USD", "DU1"),
    ),
    (m.UpdateAccountTime(time="14:30"), ("updateAccountTime", "14:30")),
    (m.AccountDownloadEnd(account="DU1"), ("accountDownloadEnd", "DU1")),
    (
        m.AccountUpdateMulti(req_id=3, account="DU1", model_code="M", key="Cash", value="1", currency="USD"),
        ("accountUpdateMulti", 3, "DU1", "M", "Cash", "1", "USD"),
    ),
    (m.AccountUpdateMultiEnd(req_id=3), ("accountUpdateMultiEnd", 3)),
    (m.ContractDetailsEnd(req_id=3), ("contractDetailsEnd", 3)),
    (m.TickPrice(req_id=3, tick_type=1, price=D("150.2"), size=D(300)), ("priceSizeTick", 3, 1, 150.2, 300.0)),
    (m.TickSize(req_id=3, tick_type=8, size=D(300)), ("tickSize", 3, 8, 300.0)),
    (m.TickSnapshotEnd(req_id=3), ("tickSnapshotEnd", 3)),
    (m.MarketDataType(req_id=3, market_data_type=3), ("marketDataType", 3, 3)),
    (
        m.OrderStatus(
            order_id=13,
            status="Submitted",
            filled=D("40"),
            remaining=D("60.5"),
            avg_fill_price=D("196.52"),
            perm_id=1376327563,
            parent_id=12,
            last_fill_price=D("196.5"),
            client_id=100,
            why_held="locate",
            mkt_cap_price=D("0.25"),
        ),
        ("orderStatus", 13, "Submitted", 40.0, 60.5, 196.52, 1376327563, 12, 196.5, 100, "locate", 0.25),
    ),
]


@every_client
@pytest.mark.parametrize(("message", "call"), SIMPLE, ids=lambda value: type(value).__name__)
def test_simple_responses_are_decoded(library, version, message, call, caplog):
    assert decoded(library, version, message, caplog) == call


@pytest.mark.parametrize("ours", EVERY_ATTRIBUTE, ids=["0", "1", "2", "3", "4"])
@every_client
def test_an_open_order_is_decoded(library, version, ours, caplog):
    state = distinct(OrderState)
    message = m.OpenOrder(
        order_id=21,
        client_id=7,
        perm_id=900,
        contract=CONTRACT,
        order=ours,
        state=state,
        allocation="900.0/DU1/100",
    )

    name, order_id, contract, order, order_state = decoded(library, version, message, caplog)

    assert (name, order_id, order.orderId, order.clientId, order.permId) == ("openOrder", 21, 21, 7, 900)
    assert_same(CONTRACT, contract, without=NOT_IN_REPORTS)
    assert_same(ours, order, without=NOT_OPEN | off_the_wire(version) | SPECIAL)
    assert_same(state, order_state)
    assert_special(ours, order, library)
    tier = order.softDollarTier
    assert (tier.name, tier.val) == (ours.soft_dollar_name, ours.soft_dollar_value)
    assert tier.displayName == ours.soft_dollar_display_name


def assert_special(ours, order, library):
    assert [(p.tag, p.value) for p in order.algoParams] == [(p.tag, p.value) for p in ours.algo_params]
    assert order.conditions == [their_condition(library, condition) for condition in ours.conditions]


@every_client
def test_a_plain_open_order_is_decoded_to_the_library_s_unset_values(library, version, caplog):
    stock = Contract(con_id=265598, symbol="AAPL", sec_type="STK", exchange="SMART", currency="USD")
    plain = Order(action="SELL", total_quantity=D(5), order_type="MKT", tif="DAY", account="DU1", order_ref="mine")
    message = m.OpenOrder(
        order_id=21, client_id=7, perm_id=900, contract=stock, order=plain, state=OrderState(status="PreSubmitted")
    )

    _, _, contract, order, state = decoded(library, version, message, caplog)

    assert (contract.right, contract.strike) == ("?", 0.0)
    assert (order.lmtPrice, order.auxPrice) == (0.0, 0.0)
    assert order.trailStopPrice == order.percentOffset == UNSET_DOUBLE
    assert (order.minQty, order.displaySize) == (UNSET_INTEGER,) * 2
    assert state.status == "PreSubmitted"
    assert state.initMarginBefore in ("1.7976931348623157E308", UNSET_DOUBLE)
    assert state.commission == UNSET_DOUBLE


@every_client
def test_a_combination_s_open_order_is_decoded(library, version, caplog):
    order = Order(
        order_type="LMT",
        combo_legs=(OrderComboLeg(price=D("1.5")), OrderComboLeg()),
        smart_combo_routing_params=(TagValue(tag="NonGuaranteed", value="1"),),
    )
    message = m.OpenOrder(
        order_id=1, client_id=1, perm_id=1, contract=BAG, order=order, state=OrderState(status="Submitted")
    )

    _, _, contract, read, _ = decoded(library, version, message, caplog)

    for ours, their in zip(BAG.combo_legs, contract.comboLegs, strict=True):
        assert_same(ours, their)
    assert_same(BAG.delta_neutral, contract.deltaNeutralContract)
    assert [leg.price for leg in read.orderComboLegs] == [1.5, UNSET_DOUBLE]
    assert [(p.tag, p.value) for p in read.smartComboRoutingParams] == [("NonGuaranteed", "1")]


@pytest.mark.parametrize("ours", EVERY_ATTRIBUTE, ids=["0", "1", "2", "3", "4"])
@every_client
def test_a_completed_order_is_decoded(library, version, ours, caplog):
    message = m.CompletedOrder(
        perm_id=900,
        contract=CONTRACT,
        order=ours,
        status="Cancelled",
        filled_quantity=D("40.5"),
        parent_perm_id=899,
        completed_time="20260105 15:00:00 US/Eastern",
        completed_status="Cancelled by Trader",
    )

    name, contract, order, state = decoded(library, version, message, caplog)

    assert (name, order.permId, order.parentPermId, order.filledQuantity) == ("completedOrder", 900, 899, 40.5)
    assert_same(CONTRACT, contract, without=NOT_IN_REPORTS)
    assert_same(ours, order, without=NOT_COMPLETED | off_the_wire(version) - {"auto_cancel_parent"} | SPECIAL)
    assert_special(ours, order, library)
    assert (state.status, state.completedTime) == ("Cancelled", "20260105 15:00:00 US/Eastern")
    assert state.completedStatus == "Cancelled by Trader"


@every_client
def test_an_execution_is_decoded(library, version, caplog):
    message = distinct(m.ExecDetails, contract=CONTRACT, leftover=(), time="20260105 14:30:05 UTC", side="SLD")

    name, req_id, contract, execution = decoded(library, version, message, caplog)

    assert (name, req_id) == ("execDetails", message.req_id)
    assert_same(CONTRACT, contract, without=NOT_IN_REPORTS)
    unlike = {"req_id", "contract", "leftover", "time", "account"}
    assert_same(message, execution, without=unlike | (set() if version >= 178 else {"pending_price_revision"}))
    assert execution.acctNumber == message.account
    assert execution.time.isoformat() == "2026-01-05T14:30:05+00:00"


@every_client
def test_a_commission_is_decoded(library, version, caplog):
    message = m.CommissionReport(exec_id="a.b.01", commission=D("1.25"), currency="USD", realized_pnl=D("-3.5"))

    name, report = decoded(library, version, message, caplog)

    assert name == "commissionReport"
    assert (report.execId, report.commission, report.currency, report.realizedPNL) == ("a.b.01", 1.25, "USD", -3.5)
    assert report.yield_ == UNSET_DOUBLE


@every_client
def test_holdings_are_decoded(library, version, caplog):
    position = m.Position(account="DU1", contract=CONTRACT, position=D("-5.5"), avg_cost=D("150.25"))
    multi = m.PositionMulti(
        req_id=3, account="DU1", contract=CONTRACT, position=D(5), avg_cost=D("150.25"), model_code="M"
    )
    portfolio = distinct(m.UpdatePortfolio, contract=CONTRACT, leftover=())

    name, account, contract, *numbers = decoded(library, version, position, caplog)
    assert (name, account, *numbers) == ("position", "DU1", -5.5, 150.25)
    assert_same(CONTRACT, contract, without=NOT_IN_REPORTS)
    assert decoded(library, version, multi, caplog)[1:4] == (3, "DU1", "M")
    name, contract, *numbers, account = decoded(library, version, portfolio, caplog)
    assert_same(CONTRACT, contract, without=NOT_IN_REPORTS - {"primary_exchange"} | {"exchange"})
    assert (name, account) == ("updatePortfolio", portfolio.account)
    assert numbers == [
        float(value)
        for value in (
            portfolio.position,
            portfolio.market_price,
            portfolio.market_value,
            portfolio.average_cost,
            portfolio.unrealized_pnl,
            portfolio.realized_pnl,
        )
    ]


@every_client
def test_contract_details_are_decoded(library, version, caplog):
    sec_ids = (TagValue(tag="ISIN", value="US0378331005"), TagValue(tag="CUSIP", value="037833100"))
    message = distinct(m.ContractDetails, contract=CONTRACT, sec_ids=sec_ids, leftover=(), long_name="Société Générale")

    name, req_id, details = decoded(library, version, message, caplog)

    assert (name, req_id) == ("contractDetails", message.req_id)
    assert_same(CONTRACT, details.contract, without=NOT_IN_REPORTS - {"primary_exchange"})
    sizes = {"min_size", "size_increment", "suggested_size_increment"} if version < 164 else set()
    assert_same(message, details, without={"req_id", "contract", "leftover", "sec_ids"} | sizes)
    assert [(pair.tag, pair.value) for pair in details.secIdList] == [(pair.tag, pair.value) for pair in sec_ids]
