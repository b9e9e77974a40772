"""Each message against its fields, written out by hand from the protocol and from recordings of real gateways."""

from dataclasses import fields as dataclass_fields
from dataclasses import replace
from decimal import Decimal

import pytest

from gateway.tws import messages as m
from gateway.tws.codec import (
    FORMS,
    MAX_VERSION,
    MIN_VERSION,
    REQUESTS,
    RESPONSES,
    decode_request,
    decode_response,
    encode,
)
from gateway.tws.errors import RemoteProtocolError, UnknownMessage, UnreadableMessage
from gateway.tws.framing import escape
from gateway.tws.order import (
    ComboLeg,
    Condition,
    Contract,
    DeltaNeutralContract,
    Order,
    OrderComboLeg,
    OrderState,
    TagValue,
)

D = Decimal
MAX = "1.7976931348623157E308"
ALL = range(MIN_VERSION, MAX_VERSION + 1)

AAPL = Contract(
    con_id=265598,
    symbol="AAPL",
    sec_type="STK",
    exchange="SMART",
    currency="USD",
    local_symbol="AAPL",
    trading_class="NMS",
)
AAPL_AT_NASDAQ = replace(AAPL, exchange="", primary_exchange="NASDAQ")
BUY = Order(action="BUY", total_quantity=D(100), order_type="LMT", lmt_price=D("150.25"), tif="DAY", account="DU1")

CONTRACT_12 = "265598|AAPL|STK||0||||NASDAQ|USD|AAPL|NMS"
CONTRACT_11 = "265598|AAPL|STK||0|||SMART|USD|AAPL|NMS"

# (message, its fields, versions)
TABLE = [
    (m.StartApi(client_id=7), "71|2|7|", ALL),
    (m.StartApi(client_id=0, optional_capabilities="x"), "71|2|0|x", ALL),
    (m.ReqIds(), "8|1|1", ALL),
    (m.ReqManagedAccounts(), "17|1", ALL),
    (m.ReqCurrentTime(), "49|1", ALL),
    (m.SetServerLogLevel(level=5), "14|1|5", ALL),
    (m.CancelOrder(order_id=12), "4|1|12", range(157, 169)),
    (m.CancelOrder(order_id=12), "4|1|12|", range(169, 179)),
    (m.CancelOrder(order_id=12, manual_cancel_order_time="20260105-10:00:00"), "4|1|12|20260105-10:00:00", [178]),
    (m.ReqGlobalCancel(), "58|1", ALL),
    (m.ReqOpenOrders(), "5|1", ALL),
    (m.ReqAllOpenOrders(), "16|1", ALL),
    (m.ReqAutoOpenOrders(auto_bind=True), "15|1|1", ALL),
    (m.ReqCompletedOrders(api_only=False), "99|0", ALL),
    (m.ReqExecutions(req_id=3), "7|3|3|0||||||", ALL),
    (
        m.ReqExecutions(
            req_id=3,
            client_id=7,
            account="DU1",
            time="20260105 09:30:00",
            symbol="AAPL",
            sec_type="STK",
            exchange="SMART",
            side="BUY",
        ),
        "7|3|3|7|DU1|20260105 09:30:00|AAPL|STK|SMART|BUY",
        ALL,
    ),
    (m.ReqPositions(), "61|1", ALL),
    (m.CancelPositions(), "64|1", ALL),
    (m.ReqPositionsMulti(req_id=4, account="DU1", model_code="A"), "74|1|4|DU1|A", ALL),
    (m.CancelPositionsMulti(req_id=4), "75|1|4", ALL),
    (
        m.ReqAccountSummary(req_id=5, group="All", tags="NetLiquidation,BuyingPower"),
        "62|1|5|All|NetLiquidation,BuyingPower",
        ALL,
    ),
    (m.CancelAccountSummary(req_id=5), "63|1|5", ALL),
    (m.ReqAccountUpdates(subscribe=True, account="DU1"), "6|2|1|DU1", ALL),
    (m.ReqAccountUpdatesMulti(req_id=6, account="DU1", ledger_and_nlv=True), "76|1|6|DU1||1", ALL),
    (m.CancelAccountUpdatesMulti(req_id=6), "77|1|6", ALL),
    (m.ReqContractDetails(req_id=8, contract=AAPL_AT_NASDAQ), f"9|8|8|{CONTRACT_12}|0||", range(157, 176)),
    (
        m.ReqContractDetails(req_id=8, contract=replace(AAPL_AT_NASDAQ, sec_id_type="ISIN", sec_id="US0378331005")),
        f"9|8|8|{CONTRACT_12}|0|ISIN|US0378331005|",
        range(176, 179),
    ),
    (m.ReqMarketDataType(market_data_type=3), "59|1|3", ALL),
    (m.ReqMktData(req_id=9, contract=AAPL_AT_NASDAQ, generic_ticks="233"), f"1|11|9|{CONTRACT_12}|0|233|0|0|", ALL),
    (
        m.ReqMktData(
            req_id=9,
            contract=Contract(
                symbol="SPREAD",
                sec_type="BAG",
                combo_legs=(ComboLeg(con_id=1, ratio=2, action="BUY", exchange="SMART"),),
                delta_neutral=DeltaNeutralContract(con_id=3, delta=D("0.5"), price=D(10)),
            ),
            snapshot=True,
        ),
        "1|11|9|0|SPREAD|BAG||0||||||||1|1|2|BUY|SMART|1|3|0.5|10||1|0|",
        ALL,
    ),
    (m.CancelMktData(req_id=9), "2|2|9", ALL),
    (m.ManagedAccounts(accounts="DU1,DU2"), "15|1|DU1,DU2", ALL),
    (m.NextValidId(order_id=38103), "9|1|38103", ALL),
    (m.CurrentTime(time=1767623400), "49|1|1767623400", ALL),
    (m.ErrorMessage(req_id=1, code=103, text="Duplicate order id"), "4|2|1|103|Duplicate order id", range(157, 166)),
    (m.ErrorMessage(req_id=1, code=103, text="Duplicate order id"), "4|2|1|103|Duplicate order id|", range(166, 179)),
    (
        m.OrderStatus(
            order_id=13,
            status="Submitted",
            filled=D(40),
            remaining=D(60),
            avg_fill_price=D("196.52"),
            perm_id=1376327563,
            last_fill_price=D("196.5"),
            client_id=100,
            why_held="locate",
        ),
        "3|13|Submitted|40|60|196.52|1376327563|0|196.5|100|locate|0",
        ALL,
    ),
    (m.OpenOrderEnd(), "53|1", ALL),
    (m.CompletedOrdersEnd(), "102", ALL),
    (m.ExecDetailsEnd(req_id=3), "55|1|3", ALL),
    (
        m.CommissionReport(exec_id="0000e215.65a0.01.01", commission=D("1.0"), currency="USD"),
        f"59|1|0000e215.65a0.01.01|1.0|USD|{MAX}|{MAX}|",
        ALL,
    ),
    (
        m.CommissionReport(exec_id="0000e215.65a0.01.01", commission=D(1), currency="USD", realized_pnl=D("-12.5")),
        f"59|1|0000e215.65a0.01.01|1|USD|-12.5|{MAX}|",
        ALL,
    ),
    (
        m.Position(account="DU1", contract=AAPL, position=D(-5), avg_cost=D("150.1")),
        f"61|3|DU1|{CONTRACT_11}|-5|150.1",
        ALL,
    ),
    (m.PositionEnd(), "62|1", ALL),
    (
        m.PositionMulti(req_id=4, account="DU1", contract=AAPL, position=D("0.5"), avg_cost=D(150)),
        f"71|1|4|DU1|{CONTRACT_11}|0.5|150|",
        ALL,
    ),
    (m.PositionMultiEnd(req_id=4), "72|1|4", ALL),
    (
        m.AccountSummary(req_id=5, account="DU1", tag="NetLiquidation", value="1000000.00", currency="USD"),
        "63|1|5|DU1|NetLiquidation|1000000.00|USD",
        ALL,
    ),
    (m.AccountSummaryEnd(req_id=5), "64|1|5", ALL),
    (
        m.UpdateAccountValue(key="AvailableFunds", value="99.50", currency="USD", account="DU1"),
        "6|2|AvailableFunds|99.50|USD|DU1",
        ALL,
    ),
    (
        m.UpdatePortfolio(
            contract=AAPL_AT_NASDAQ,
            position=D(10),
            market_price=D("151.5"),
            market_value=D(1515),
            average_cost=D(150),
            unrealized_pnl=D(15),
            realized_pnl=D(0),
            account="DU1",
        ),
        "7|8|265598|AAPL|STK||0|||NASDAQ|USD|AAPL|NMS|10|151.5|1515|150|15|0|DU1",
        ALL,
    ),
    (m.UpdateAccountTime(time="14:30"), "8|1|14:30", ALL),
    (m.AccountDownloadEnd(account="DU1"), "54|1|DU1", ALL),
    (
        m.AccountUpdateMulti(req_id=6, account="DU1", key="Currency", value="USD", currency="USD"),
        "73|1|6|DU1||Currency|USD|USD",
        ALL,
    ),
    (m.AccountUpdateMultiEnd(req_id=6), "74|1|6", ALL),
    (m.ContractDetailsEnd(req_id=8), "52|1|8", ALL),
    (m.TickPrice(req_id=9, tick_type=1, price=D("150.2"), size=D(300)), "1|6|9|1|150.2|300|0", ALL),
    (m.TickSize(req_id=9, tick_type=8, size=D(12000)), "2|6|9|8|12000", ALL),
    (m.TickSnapshotEnd(req_id=9), "57|1|9", ALL),
    (m.MarketDataType(req_id=9, market_data_type=3), "58|1|9|3", ALL),
]

EXECUTION = m.ExecDetails(
    order_id=13,
    contract=AAPL,
    exec_id="00025b46.63f8f39c.01.01",
    time="20260105 14:30:05 UTC",
    account="DU1",
    exchange="ISLAND",
    side="BOT",
    shares=D(100),
    price=D("196.52"),
    perm_id=1376327563,
    client_id=100,
    cum_qty=D(100),
    avg_price=D("196.52"),
    order_ref="mine",
    last_liquidity=2,
)
EXECUTION_FIELDS = (
    f"11|-1|13|{CONTRACT_11}|00025b46.63f8f39c.01.01|20260105 14:30:05 UTC|DU1|ISLAND|BOT|100|196.52|1376327563|100"
    "|0|100|196.52|mine||||2"
)
DETAILS = m.ContractDetails(
    req_id=8,
    contract=replace(AAPL, primary_exchange="NASDAQ"),
    market_name="NMS",
    order_types="LMT,MKT",
    valid_exchanges="SMART,NASDAQ",
    long_name="APPLÉ INC",
    time_zone_id="US/Eastern",
    trading_hours="20260105:0400-20260105:2000",
    sec_ids=(TagValue(tag="ISIN", value="US0378331005"),),
    agg_group=1,
    market_rule_ids="26,26",
    stock_type="COMMON",
)
DETAILS_HEAD = "8|AAPL|STK||0||SMART|USD|AAPL|NMS|NMS|265598|0.01"
DETAILS_REST = (
    "|LMT,MKT|SMART,NASDAQ|1|0|APPL\\u00c9 INC|NASDAQ|||||US/Eastern|20260105:0400-20260105:2000||||1|ISIN"
    "|US0378331005|1|||26,26||COMMON"
)
SIZED = replace(DETAILS, min_size=D("0.0001"), size_increment=D("0.0001"), suggested_size_increment=D(100))
TABLE += [
    (EXECUTION, EXECUTION_FIELDS, range(157, 178)),
    (EXECUTION, EXECUTION_FIELDS + "|0", [178]),
    (DETAILS, f"10|8|{DETAILS_HEAD}||{DETAILS_REST}", range(157, 163)),
    (replace(DETAILS, suggested_size_increment=D(100)), f"10|8|{DETAILS_HEAD}||{DETAILS_REST}|100", [163]),
    (SIZED, f"10|{DETAILS_HEAD}|{DETAILS_REST}|0.0001|0.0001|100", range(164, 179)),
]

# placeOrder: what stands before and behind the version's own fields

PLACED_HEAD = "3|21|265598|AAPL|STK||0|||SMART||USD|AAPL|NMS|||BUY|100|LMT|150.25||DAY||DU1||0||1|0|0|0||0|0|0||0||"
PLACED_FA = "||||"
PLACED_REST = "|0||-1|0|||0|||0|0||0||||||0|||||0|||||||||||0|||0|0|||0||0|0|0|0|||||||0|||||||||0|0|0|0"
PLACE = m.PlaceOrder(order_id=21, contract=AAPL, order=replace(BUY, display_size=None))

OPENED_HEAD = (
    "5|21|265598|AAPL|STK||0|?||SMART|USD|AAPL|NMS|BUY|100|LMT|150.25|0.0|DAY||DU1||0||7|90|0|0|0||90.0/DU1/100"
)
OPENED_REST = (
    "||||0||-1|0||||||2147483647|0|0|0||3|0|0||0|0||0|None||0||||?|0|0||0|0||||||0|0|0|2147483647|2147483647"
    f"|||0||IB|0|0||0|0|Submitted{9 * ('|' + MAX)}||||||0|0|0|None{6 * ('|' + MAX)}|0||||0|1|0|0|0"
)
OPEN = m.OpenOrder(
    order_id=21,
    client_id=7,
    perm_id=90,
    contract=AAPL,
    order=replace(BUY, aux_price=D("0.0"), oca_type=3, clearing_intent="IB", dont_use_auto_price_for_hedge=True),
    state=OrderState(status="Submitted"),
    allocation="90.0/DU1/100",
)

COMPLETED_HEAD = "101|265598|AAPL|STK||0|?||SMART|USD|AAPL|NMS|BUY|100|LMT|150.25|0.0|DAY||DU1||0||90|0|0|0|"
COMPLETED_REST = (
    "||||0||-1||||||2147483647|0|0||0|0||0|None||0|0|0||0|0||||0|0|0|2147483647|2147483647|||||0|0||0|Cancelled|0|0|0"
    f"|{MAX}|{MAX}|0|0|0||40|0|0||0|0|89|20260105 15:00:00 US/Eastern|Cancelled by Trader"
)
COMPLETED = m.CompletedOrder(
    perm_id=90,
    contract=AAPL,
    order=replace(BUY, aux_price=D("0.0")),
    status="Cancelled",
    filled_quantity=D(40),
    parent_perm_id=89,
    completed_time="20260105 15:00:00 US/Eastern",
    completed_status="Cancelled by Trader",
)
TABLE += [
    (PLACE, PLACED_HEAD + PLACED_FA + "|" + PLACED_REST, [157]),
    (PLACE, PLACED_HEAD + PLACED_FA + "|" + PLACED_REST + "|||0||", range(169, 177)),
    (PLACE, PLACED_HEAD + PLACED_FA + PLACED_REST + "|||0||", range(177, 179)),
    (OPEN, OPENED_HEAD + "||||||" + OPENED_REST, [157]),
    (OPEN, OPENED_HEAD + "||||||" + OPENED_REST + "|||0", range(162, 170)),
    (OPEN, OPENED_HEAD + "||||||" + OPENED_REST + "|||0|||||", range(170, 177)),
    (OPEN, OPENED_HEAD + "|||||" + OPENED_REST + "|||0|||||", range(177, 179)),
    (COMPLETED, COMPLETED_HEAD + "||||||" + COMPLETED_REST, range(157, 170)),
    (COMPLETED, COMPLETED_HEAD + "||||||" + COMPLETED_REST + "|||||", range(170, 177)),
    (COMPLETED, COMPLETED_HEAD + "|||||" + COMPLETED_REST + "|||||", range(177, 179)),
]


def decode(fields, version, kind):
    return (decode_request if issubclass(kind, m.Request) else decode_response)(fields, version)


def case_name(value):
    return type(value).__name__ if isinstance(value, m.Message) else None


@pytest.mark.parametrize(("message", "text", "versions"), TABLE, ids=case_name)
def test_a_message_is_these_fields(message, text, versions):
    for version in versions:
        written = encode(message, version)
        assert escape("|".join(written)) == text
        assert decode(written, version, type(message)) == message


def test_the_table_has_every_message():
    assert {type(message) for message, _, _ in TABLE} == {*REQUESTS, *RESPONSES}


@pytest.mark.parametrize(
    ("message", "counts"),
    [(PLACE, (110, 115, 114)), (OPEN, (128, 136, 135)), (COMPLETED, (96, 101, 100))],
    ids=case_name,
)
def test_the_number_of_fields_is_that_of_recorded_messages(message, counts):
    assert tuple(len(encode(message, version)) for version in (157, 176, 178)) == counts


@pytest.mark.parametrize(("message", "text", "versions"), TABLE, ids=case_name)
def test_every_message_cut_short_is_unreadable(message, text, versions):
    version = versions[0]
    fields = encode(message, version)

    for end in range(1, len(fields)):
        with pytest.raises(UnreadableMessage, match="the message ends here|is not an integer") as caught:
            decode(fields[:end], version, type(message))
        assert caught.value.message_id == int(fields[0])


@pytest.mark.parametrize(("message", "text", "versions"), TABLE, ids=case_name)
def test_what_follows_the_last_field_is_left_over(message, text, versions):
    version = versions[0]
    fields = (*encode(message, version), "new", "")

    read = decode(fields, version, type(message))

    assert read == replace(message, leftover=("new", ""))
    assert encode(read, version) == fields


def test_a_wrong_version_shows_as_leftover():
    assert decode_request(encode(PLACE, 176), 157).leftover == ("", "", "0", "", "")


@pytest.mark.parametrize(
    ("case", "fields", "number", "request_id"),
    [
        ("no order id", ("3", ""), 3, None),
        ("order id beyond 32 bits", ("3", "2147483648"), 3, None),
        ("request without its id", ("7", "3"), 7, None),
        ("flag that is no flag", ("76", "1", "6", "DU1", "", "yes"), 76, 6),
        ("quantity that is no number", (*encode(PLACE, 157)[:17], "many", *encode(PLACE, 157)[18:]), 3, 21),
    ],
)
def test_an_unreadable_request_names_what_is_known(case, fields, number, request_id):
    with pytest.raises(UnreadableMessage) as caught:
        decode_request(fields, 157)

    assert caught.value.message_id == number
    assert caught.value.request_id == request_id


def test_an_unreadable_field_is_named():
    fields = list(encode(PLACE, 178))
    fields[19] = "a lot"

    with pytest.raises(UnreadableMessage, match=r"PlaceOrder: order\.lmt_price: 'a lot' is not a number"):
        decode_request(fields, 178)


@pytest.mark.parametrize("number", [-1, 0, 13, 98, 1000])
def test_a_number_in_no_table_is_unknown(number):
    with pytest.raises(UnknownMessage) as caught:
        decode_request((str(number), "1"), 178)
    assert caught.value.message_id == number


@pytest.mark.parametrize("fields", [(), ("",), ("x",), ("5.0",), ("99999999999",)])
def test_a_frame_without_a_number_breaks_the_stream(fields):
    with pytest.raises(RemoteProtocolError) as caught:
        decode_request(fields, 178)
    assert type(caught.value) is RemoteProtocolError


# The groups that come and go

WITH_GROUPS = [
    ("hedge", AAPL, {"hedge_type": "B", "hedge_param": "1.5"}, 1),
    ("algo", AAPL, {"algo_strategy": "Adaptive", "algo_params": (TagValue(tag="p", value="Normal"),)}, 3),
    ("algo without parameters", AAPL, {"algo_strategy": "Vwap"}, 1),
    (
        "scale",
        AAPL,
        {
            "scale_init_level_size": 10,
            "scale_subs_level_size": 5,
            "scale_price_increment": D("0.05"),
            "scale_price_adjust_value": D("0.01"),
            "scale_price_adjust_interval": 60,
            "scale_profit_offset": D("0.1"),
            "scale_auto_reset": True,
            "scale_init_position": 1,
            "scale_init_fill_qty": 2,
            "scale_random_percent": True,
        },
        7,
    ),
    ("scale of zero", AAPL, {"scale_price_increment": D(0)}, 0),
    ("delta neutral contract", replace(AAPL, delta_neutral=DeltaNeutralContract(con_id=3, delta=D("0.5"))), {}, 3),
    ("peg bench", AAPL, {"order_type": "PEG BENCH", "reference_contract_id": 5, "pegged_change_amount": D(1)}, 5),
    ("pegbench", AAPL, {"order_type": "PEGBENCH", "reference_exchange_id": "ISLAND"}, 5),
    (
        "conditions",
        AAPL,
        {
            "conditions": (
                Condition(kind=1, is_more=True, price=D(100), con_id=1, exchange="SMART", trigger_method=2),
                Condition(kind=3, conjunction="o", time="20260105 10:00:00"),
                Condition(kind=4, percent=30),
                Condition(kind=5, sec_type="STK", exchange="SMART", symbol="IBM"),
                Condition(kind=6, volume=1000, con_id=1, exchange="SMART"),
                Condition(kind=7, change_percent=D("5.5"), con_id=1, exchange="SMART"),
            ),
            "conditions_cancel_order": True,
        },
        7 + 4 + 4 + 5 + 6 + 6 + 2,
    ),
]
ONLY_PLACED = [
    ("delta neutral order", AAPL, {"delta_neutral_order_type": "LMT", "delta_neutral_con_id": 4}, 8),
    (
        "bag",
        replace(AAPL, sec_type="BAG", combo_legs=(ComboLeg(con_id=1, ratio=1, action="BUY", exchange="SMART"),)),
        {
            "combo_legs": (OrderComboLeg(price=D("1.5")), OrderComboLeg()),
            "smart_combo_routing_params": (TagValue(tag="NonGuaranteed", value="1"),),
        },
        1 + 8 + 1 + 2 + 1 + 2,
    ),
    ("bag without legs", replace(AAPL, sec_type="BAG"), {}, 3),
    ("IBKRATS", replace(AAPL, exchange="IBKRATS"), {"min_trade_qty": 100}, 1),
    ("peg best", AAPL, {"order_type": "PEG BEST", "compete_against_best_offset": D("0.02")}, 2),
    (
        "peg best up to mid",
        AAPL,
        {"order_type": "PEGBEST", "compete_against_best_offset": D("Infinity"), "mid_offset_at_half": D("0.5")},
        4,
    ),
    ("peg mid", AAPL, {"order_type": "PEG MID", "mid_offset_at_whole": D("0.01")}, 2),
]


@pytest.mark.parametrize(("case", "contract", "changes", "extra"), WITH_GROUPS + ONLY_PLACED)
def test_a_group_in_place_order_comes_with_its_condition(case, contract, changes, extra):
    placed = m.PlaceOrder(order_id=21, contract=contract, order=replace(BUY, **changes))

    fields = encode(placed, 178)

    assert len(fields) == 114 + extra
    assert decode_request(fields, 178) == placed


@pytest.mark.parametrize(("case", "contract", "changes", "extra"), WITH_GROUPS)
def test_a_group_in_the_responses_comes_with_its_condition(case, contract, changes, extra):
    order = replace(OPEN.order, aux_price=D(0), **changes)
    opened = replace(OPEN, contract=contract, order=order)
    completed = replace(COMPLETED, contract=contract, order=replace(order, dont_use_auto_price_for_hedge=False))

    for message, plain in ((opened, 135), (completed, 100)):
        fields = encode(message, 178)
        assert len(fields) == plain + extra
        assert decode_response(fields, 178) == message


def test_an_order_sent_back_with_the_word_none_brings_its_eight_fields():
    fields = encode(PLACE, 176)  # deltaNeutralOrderType is field 65 up to version 176
    sent_back = (*fields[:65], "None", "", "0", "", "", "", "?", "0", "0", "", *fields[67:])

    read = decode_request(sent_back, 176)

    assert read == replace(PLACE, order=replace(PLACE.order, delta_neutral_open_close="?"))


def test_no_part_of_an_order_is_forgotten():
    """Every attribute is on the wire of at least one of the three messages."""
    carried = set()
    for message, version in ((PLACE, 176), (OPEN, 176), (COMPLETED, 176)):
        carried |= paths_of(type(message), version)

    order_fields = {f"order.{field.name}" for field in dataclass_fields(Order)}
    state_fields = {f"state.{field.name}" for field in dataclass_fields(OrderState)}

    assert order_fields | state_fields <= carried


def paths_of(kind, version):
    def walk(items):
        for item in items:
            if path := getattr(item, "path", None):
                yield path
            elif hasattr(item, "decider"):
                yield from walk(item.items)

    return set(walk(FORMS[kind, version].items))
