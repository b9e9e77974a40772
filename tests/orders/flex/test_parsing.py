"""What is read, and what is refused with its line: without a database."""

import codecs
import gzip
import re
import tracemalloc
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.flex.parsing import read
from orders.flex.statement import Cash, End, FlexRefused, Header, Holding, Kind, Trade
from tests.orders.flex.files import (
    ACCOUNT,
    CASH,
    POSITION,
    TRADE,
    flex_file,
    many_trades,
    of_trades,
    row,
    section,
    trade,
)

NEW_YORK = ZoneInfo("America/New_York")
FIRST_ROW = 6  # after the declaration, the response, the statements, the statement and the section


def items(data, *, chunk=1 << 16, zone=NEW_YORK):
    chunks = (data[start : start + chunk] for start in range(0, len(data), chunk))
    return list(read(chunks, accounts={ACCOUNT}, zone=zone))


def only(data, kind=Trade):
    (found,) = [item for item in items(data) if isinstance(item, kind)]
    return found


def refusal(data, **options):
    with pytest.raises(FlexRefused) as refused:
        items(data, **options)
    return refused.value.line, refused.value.reason


def test_trade():
    header, found, end = items(of_trades(trade(orderReference="ref~ABC")))

    assert header == Header(
        line=4,
        kind=Kind.ACTIVITY,
        query_name="Everything",
        account=ACCOUNT,
        period_from=date(2026, 1, 15),
        period_to=date(2026, 1, 15),
        generated_text="20260116;031500",
        generated_at=datetime(2026, 1, 16, 8, 15, tzinfo=UTC),
    )
    assert (found.line, found.exec_id, found.trade_id) == (FIRST_ROW, TRADE["ibExecID"], "6001")
    assert (found.side, found.quantity, found.price) == ("BUY", 10, Decimal("229.95"))
    assert (found.commission, found.commission_currency) == (Decimal("1.05"), "USD")
    assert (found.con_id, found.broker_order_id, found.order_ref) == (265598, 1788680597, "ref~ABC")
    assert found.executed_at == datetime(2026, 1, 15, 14, 30, 25, tzinfo=UTC)
    assert (found.trade_date, found.time_text, found.cancels) == (date(2026, 1, 15), "20260115;093025", False)
    assert found.raw["tradePrice"] == "229.95"
    assert "underlyingSymbol" not in found.raw
    assert end == End(line=8, sections=("Trades",), unread=())


def test_trade_confirmation():
    found = only(
        flex_file(*section("TradeConfirms", [row("TradeConfirms", quantity="-3", buySell="SELL")]), kind="TCF")
    )

    assert (found.exec_id, found.side, found.quantity, found.price) == (TRADE["ibExecID"], "SELL", 3, Decimal("229.95"))
    assert (found.commission, found.transaction_id, found.broker_order_id) == (Decimal("1.05"), "", 1788680597)


def test_cash():
    found = only(flex_file(*section("CashTransactions", [row("CashTransactions")])), Cash)

    assert (found.transaction_id, found.type, found.amount) == ("7001", "Dividends", Decimal("12.5"))
    assert (found.report_date, found.description) == (date(2026, 1, 15), CASH["description"])


def test_position():
    rows = [row("OpenPositions", position="-4"), row("OpenPositions", conid="1", reportDate=None, markPrice="")]
    short, undated = [i for i in items(flex_file(*section("OpenPositions", rows))) if isinstance(i, Holding)]

    assert (short.quantity, short.mark_price, short.report_date) == (-4, Decimal("230.1"), date(2026, 1, 15))
    assert (undated.report_date, undated.mark_price) == (date(2026, 1, 15), None)


def test_two_statements_and_sections_of_no_use():
    body = ["<AccountInformation/>", *section("Trades", [trade()]), *section("CashReport", ['<X a="1"/>'])]
    found = items(flex_file(*body, statements=2))

    assert [type(item) for item in found] == [Header, Trade, End] * 2
    assert found[-1].unread == ("AccountInformation", "CashReport")


def test_without_statements():
    assert items(b'<FlexQueryResponse type="AF"><FlexStatements count="0"/></FlexQueryResponse>') == []


@pytest.mark.parametrize("element", ["Order", "SymbolSummary", "Lot", "WashSale", "AssetSummary"])
def test_sums_and_parts_are_no_executions(element):
    other = trade(levelOfDetail="ORDER").replace("<Trade ", f"<{element} ")

    assert only(of_trades(other, trade(), trade(levelOfDetail="SYMBOL_SUMMARY"))).line == FIRST_ROW + 1


@pytest.mark.parametrize(
    ("changes", "side", "quantity", "cancels"),
    [
        ({"buySell": "SELL", "quantity": "-2"}, "SELL", 2, False),
        ({"buySell": "BUY (Ca.)", "quantity": "-2"}, "BUY", 2, True),
        ({"buySell": "SELL (Ca.)", "quantity": "2"}, "SELL", 2, True),
        ({"notes": "Ca;P"}, "BUY", 10, True),
        ({"transactionType": "TradeCancel"}, "BUY", 10, True),
        ({"notes": "Co"}, "BUY", 10, False),
    ],
)
def test_side_and_taking_back(changes, side, quantity, cancels):
    found = only(of_trades(trade(**changes)))

    assert (found.side, found.quantity, found.cancels) == (side, quantity, cancels)


def test_what_is_taken_back_is_named():
    found = only(of_trades(trade(buySell="BUY (Ca.)", quantity="-10", origTransactionID="0", origTradeID="5999")))

    assert found.cancelled_id == "5999"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,234.50", "1234.5"),
        ("+3.", "3"),
        ("1e2", "100"),
        ("0E+9", "0"),
        ("-0.000000000000000001", "-1e-18"),
        ("9999999999999999", "9999999999999999"),
    ],
)
def test_numbers(text, value):
    assert only(of_trades(trade(tradePrice=text))).price == Decimal(value)


@pytest.mark.parametrize(("text", "paid"), [("", None), ("--", None), ("0", 0), ("0.25", Decimal("-0.25"))])
def test_commissions_are_what_was_paid(text, paid):
    assert only(of_trades(trade(ibCommission=text))).commission == paid


@pytest.mark.parametrize(
    "text",
    [
        "20260115;093025",
        "20260115,093025",
        "20260115, 093025",
        "20260115 093025",
        "20260115093025",
        "20260115T093025",
        "2026-01-15;09:30:25",
        "2026-01-15 09:30:25",
        "2026-01-15, 09:30:25",
        "20260115;093025 EST",
        "2026-01-15;14:30:25 UTC",
        "2026-01-15;15:30:25 Europe/Berlin",
    ],
)
def test_times(text):
    found = only(of_trades(trade(dateTime=text)))

    assert (found.executed_at, found.time_text) == (datetime(2026, 1, 15, 14, 30, 25, tzinfo=UTC), text)


@pytest.mark.parametrize("text", ["20261101;013000", "20260308;023000", "20260115"])
def test_a_time_that_could_be_two_moments_or_none_is_kept_as_text(text):
    found = only(of_trades(trade(dateTime=text)))

    assert (found.executed_at, found.time_text) == (None, text)


def test_time_beside_its_date():
    found = only(of_trades(trade(dateTime=None, tradeTime="093025")))

    assert found.executed_at == datetime(2026, 1, 15, 14, 30, 25, tzinfo=UTC)


def test_the_zone_is_a_setting():
    found = [item for item in items(of_trades(trade()), zone=ZoneInfo("Asia/Tokyo")) if isinstance(item, Trade)]

    assert found[0].executed_at == datetime(2026, 1, 15, 0, 30, 25, tzinfo=UTC)


def test_a_byte_order_mark_is_no_content():
    assert only(codecs.BOM_UTF8 + of_trades(trade()))


def test_in_pieces_of_any_size():
    data = of_trades(trade(description="€ é 東"), trade(tradeID="2", ibExecID="b.01"))

    assert items(data, chunk=1) == items(data, chunk=7) == items(data)


# Refusals

LAUGHS = b"""<?xml version="1.0"?>
<!DOCTYPE lolz [
 <!ENTITY lol "lol">
 <!ENTITY lol2 "&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;">
]>
<FlexQueryResponse type="AF">&lol2;</FlexQueryResponse>"""
EXTERNAL = b"""<?xml version="1.0"?>
<!DOCTYPE x SYSTEM "file:///etc/passwd" [<!ENTITY passwords SYSTEM "file:///etc/passwd">]>
<x>&passwords;</x>"""


@pytest.mark.parametrize(
    ("data", "line", "reason"),
    [
        pytest.param(b"", 1, "is empty", id="empty"),
        pytest.param(b" \n \n", 1, "is empty", id="blank"),
        pytest.param(LAUGHS, 2, "document type", id="billion laughs"),
        pytest.param(EXTERNAL, 2, "document type", id="external entity"),
        pytest.param(b"<!DOCTYPE html>\n<html></html>", 1, "web page", id="web page"),
        pytest.param(b"<html></html>", 1, "html: is not a Flex statement", id="another root"),
        pytest.param(b"Symbol,Quantity\nAAPL,10\n", 1, "choose XML", id="csv"),
        pytest.param(b"\x89PNG\r\n\x1a\n", 1, "is not UTF-8", id="picture"),
        pytest.param(gzip.compress(b"0" * 100_000), 1, "gzip", id="gzip bomb"),
        pytest.param(b"PK\x03\x04", 1, "zip", id="zip"),
        pytest.param(of_trades(trade()).decode().encode("utf-16"), 1, "is not UTF-8", id="utf-16"),
        pytest.param(
            of_trades(trade(description="é")).replace("é".encode(), b"\xe9"), FIRST_ROW, "is not UTF-8", id="latin-1"
        ),
        pytest.param(of_trades(trade(symbol="A\0B")), FIRST_ROW, "is not XML", id="NUL"),
        pytest.param(of_trades(trade(symbol="A\x1fB")), FIRST_ROW, "is not XML", id="control character"),
        pytest.param(of_trades(trade()).replace(b'"AAPL"', b'"&nbsp;"'), FIRST_ROW, "is not XML", id="unknown entity"),
        pytest.param(of_trades(trade()) + b"\n<more/>", 11, "is not XML", id="something behind"),
        pytest.param(of_trades(trade()).replace(b"</Trades>", b"</Trade>"), 7, "is not XML", id="wrong nesting"),
        pytest.param(
            b'<FlexStatementResponse timestamp="1"/>', 1, "fetch the statement that it announces", id="answer"
        ),
        pytest.param(b"<FlexQueryResponse/>", 1, "type is missing", id="no type"),
        pytest.param(of_trades(trade(), kind="XX"), 2, "type='XX' is neither", id="unknown type"),
        pytest.param(b'<FlexQueryResponse type="AF">\n<Trades/>', 2, "is not a Flex statement", id="no statements"),
        pytest.param(of_trades(trade()).replace(b'count="1"', b'count="2"'), 9, "has 2 statements", id="count"),
        pytest.param(of_trades(trade(), account="U7777777"), 4, "accountId='U7777777' is no account", id="account"),
        pytest.param(
            of_trades(trade(accountId="U7777777")), FIRST_ROW, "stands in the statement of", id="row's account"
        ),
        pytest.param(of_trades(trade(), fromDate="20260116"), 4, "fromDate is after toDate", id="period"),
        pytest.param(of_trades(trade(), whenGenerated=None), 4, "whenGenerated is missing", id="no generation time"),
        pytest.param(of_trades(trade(), toDate="20260230"), 4, "no day of the calendar", id="no such day"),
        pytest.param(
            of_trades(trade(levelOfDetail="ORDER")), 5, "tick Execution among the section's options", id="no executions"
        ),
        pytest.param(
            flex_file(*section("OpenPositions", [row("OpenPositions", levelOfDetail="LOT")])),
            5,
            "tick Summary",
            id="lots only",
        ),
    ],
)
def test_refused(data, line, reason):
    found = refusal(data)

    assert found[0] == line
    assert reason in found[1]
    assert "\n" not in found[1]


@pytest.mark.parametrize("share", range(1, 100, 7))
def test_cut_off_anywhere(share):
    data = of_trades(*many_trades(50))

    assert "ends in the middle" in refusal(data[: len(data) * share // 100])[1]


def test_cut_off_inside_a_character():
    data = of_trades(trade(description="東"))

    line, reason = refusal(data[: data.index("東".encode()) + 1])

    assert (line, "cut off" in reason) == (FIRST_ROW, True)


MANDATORY = {
    "Trades": [
        "currency",
        "assetCategory",
        "symbol",
        "conid",
        "ibExecID",
        "tradeDate",
        "buySell",
        "quantity",
        "tradePrice",
        "dateTime",
    ],
    "CashTransactions": ["currency", "transactionID", "type", "amount"],
    "OpenPositions": ["currency", "assetCategory", "symbol", "conid", "position"],
}
MISSING = [(name, attribute) for name, attributes in MANDATORY.items() for attribute in attributes]


@pytest.mark.parametrize(("name", "attribute"), MISSING)
def test_fields_that_a_query_must_have(name, attribute):
    line, reason = refusal(flex_file(*section(name, [row(name), row(name, **{attribute: None})])))

    assert line == FIRST_ROW + 1
    assert re.search(rf"\b{attribute}\b.* is missing: add the field to the query", reason)


@pytest.mark.parametrize(("name", "attribute"), [pair for pair in MISSING if pair[1] != "ibExecID"])
def test_fields_that_must_say_something(name, attribute):
    line, reason = refusal(flex_file(*section(name, [row(name, **{attribute: " "})])))

    assert (line, attribute in reason) == (FIRST_ROW, True)


@pytest.mark.parametrize(
    ("attribute", "text", "reason"),
    [
        ("quantity", "NaN", "is not a number"),
        ("quantity", "Infinity", "is not a number"),
        ("quantity", "1e308", "is not a number"),
        ("quantity", "1e99", "larger than anything"),
        ("quantity", "1" + "0" * 400, "larger than anything"),
        ("quantity", "10000000000000000", "larger than anything"),
        ("quantity", "0." + "0" * 18 + "1", "more than 18 decimals"),
        ("quantity", "1e-99", "more than 18 decimals"),
        ("quantity", "0", "quantity is 0"),
        ("quantity", "-10", "contradict each other"),
        ("quantity", "1,00", "is not a number"),
        ("quantity", "0x10", "is not a number"),
        ("quantity", "١٠", "is not a number"),
        ("tradePrice", "ten", "is not a number"),
        ("ibCommission", "free", "is not a number"),
        ("conid", "-5", "is not an id"),
        ("conid", "5.0", "is not an id"),
        ("conid", str(2**63), "is not an id"),
        ("conid", "9" * 5000, "is not an id"),
        ("ibOrderID", "x", "is not an id"),
        ("buySell", "HOLD", "neither BUY nor SELL"),
        ("dateTime", "15/01/2026", "set the query's date format"),
        ("dateTime", "01/15/2026;09:30:25", "set the query's date format"),
        ("dateTime", "15-JAN-26", "set the query's date format"),
        ("dateTime", "20260115;250000", "no time of the day"),
        ("dateTime", "20260115;0930", "set the query's date format"),
        ("dateTime", "20260115;093025 Mars/Base", "time zone that is not known"),
        ("tradeDate", "20260132", "no day of the calendar"),
        ("tradeDate", "00010101", "not of our time"),
        ("tradeDate", "99990101", "not of our time"),
        ("symbol", "A" * 41, "longer than 40 characters"),
        ("ibExecID", "A" * 81, "longer than 80 characters"),
        ("orderReference", "A" * 256, "longer than 255 characters"),
    ],
)
def test_values_that_are_refused(attribute, text, reason):
    line, found = refusal(of_trades(trade(tradeID="1"), trade(**{attribute: text})))

    assert line == FIRST_ROW + 1
    assert found.startswith("Trade: ")
    assert reason in found
    assert len(found) < 250


def test_a_trade_that_nothing_tells_from_others():
    line, reason = refusal(of_trades(trade(ibExecID="", tradeID="", transactionID="")))

    assert (line, "nothing tells it from another" in reason) == (FIRST_ROW, True)


# Properties

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C"], exclude_characters="\x85\xa0"), max_size=30)
NUMBER = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15, places=8).filter(
    bool
)
MOMENT = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)).map(lambda at: at.replace(microsecond=0))


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "quantity": NUMBER,
                "price": NUMBER,
                "commission": st.none() | NUMBER,
                "at": MOMENT,
                "reference": TEXT,
                "con_id": st.integers(0, 2**63 - 1),
            }
        ),
        max_size=5,
    ),
    st.integers(1, 5000),
)
def test_what_was_written_is_read(drawn, chunk):
    rows = [
        trade(
            buySell="SELL" if each["quantity"] < 0 else "BUY",
            quantity=f"{each['quantity']:f}",
            tradePrice=f"{each['price']:f}",
            ibCommission="" if each["commission"] is None else f"{each['commission']:f}",
            dateTime=f"{each['at']:%Y%m%d;%H%M%S}",
            tradeDate=f"{each['at']:%Y-%m-%d}",
            orderReference=each["reference"],
            conid=str(each["con_id"]),
        )
        for each in drawn
    ]

    found = [item for item in items(of_trades(*rows), chunk=chunk, zone=UTC) if isinstance(item, Trade)]

    assert [
        {
            "quantity": item.quantity if item.side == "BUY" else -item.quantity,
            "price": item.price,
            "commission": None if item.commission is None else -item.commission,
            "at": item.executed_at.replace(tzinfo=None),
            "reference": item.order_ref,
            "con_id": item.con_id,
        }
        for item in found
    ] == [each | {"reference": each["reference"].strip()} for each in drawn]
    assert len({item.digest for item in found}) == len({tuple(map(str, each.values())) for each in drawn})


@given(st.binary(max_size=200), st.integers(0, 2000))
def test_damage_is_refused_and_never_raises_anything_else(noise, place):
    data = of_trades(trade())

    with suppress(FlexRefused):
        items(data[:place] + noise + data[place:])


def test_a_long_file_is_read_in_flat_memory():
    def peak(count):
        data = of_trades(*many_trades(count))
        chunks = (data[start : start + 65536] for start in range(0, len(data), 65536))
        tracemalloc.start()
        try:
            read_rows = sum(isinstance(item, Trade) for item in read(chunks, accounts={ACCOUNT}, zone=NEW_YORK))
            return read_rows, tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    (_, short), (count, long) = peak(1000), peak(10_000)

    assert count == 10_000
    assert long < short * 1.5


def test_samples_have_what_is_mandatory():
    assert set(MANDATORY["Trades"]) <= set(TRADE)
    assert set(MANDATORY["CashTransactions"]) <= set(CASH)
    assert set(MANDATORY["OpenPositions"]) <= set(POSITION)
