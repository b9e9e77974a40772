"""A file into the record: all of it or nothing, once."""

import io
import json
import threading
import tracemalloc
from decimal import Decimal

import pytest
from django.db import InternalError, ProgrammingError, connection, transaction
from django.test.utils import CaptureQueriesContext

from audit.models import Draft
from orders.flex import importing
from orders.flex.importing import import_file
from orders.flex.models import FlexCash, FlexHolding, FlexImport, FlexStatement, FlexTrade
from orders.flex.standing import standing
from orders.flex.statement import FlexRefused
from orders.models import Commission, Execution, OrderEvent
from orders.totals import ExecutedTotal
from tests.orders.builders import ACCOUNT, session_row
from tests.orders.flex.files import (
    CASH,
    POSITION,
    TRADE,
    element,
    flex_file,
    lines,
    many_trades,
    of_trades,
    row,
    section,
    trade,
)

pytestmark = pytest.mark.django_db
RECORD = (FlexImport, FlexStatement, FlexTrade, FlexCash, FlexHolding, Execution, Commission, OrderEvent, ExecutedTotal)


def counted():
    return {model.__name__: model.objects.count() for model in RECORD}


def everything(trades=None, **options):
    return flex_file(
        *section("Trades", trades or [trade()]),
        *section("CashTransactions", [row("CashTransactions")]),
        *section("OpenPositions", [row("OpenPositions")]),
        "<AccountInformation />",
        **options,
    )


@pytest.fixture
def refused(bring):
    """The refusal of a file, which left nothing behind."""

    def refused(data):
        before = counted()
        with pytest.raises(FlexRefused) as refusal:
            bring(data)
        assert counted() == before
        return refusal.value.line, refusal.value.reason

    return refused


def test_all_of_a_file_is_stored(bring):
    outcome = bring(everything())

    stored = FlexImport.objects.get()
    assert (stored.name, stored.imported_by, stored.size) == ("statement.xml", "user:reviewer", len(everything()))
    statement = stored.statements.get()
    assert (statement.account, statement.kind, statement.query_name) == (ACCOUNT, "AF", "Everything")
    assert statement.sections == ["Trades", "CashTransactions", "OpenPositions"]
    assert statement.unread == ["AccountInformation"]
    (kept,) = FlexTrade.objects.all()
    assert (kept.statement, kept.line, kept.exec_id, kept.quantity) == (statement, 6, TRADE["ibExecID"], 10)
    assert kept.raw["tradePrice"] == "229.95"
    assert FlexCash.objects.get().amount == Decimal(CASH["amount"])
    assert FlexHolding.objects.get().quantity == Decimal(POSITION["position"])
    assert outcome.statements == [f"{ACCOUNT} 2026-01-15 to 2026-01-15"]
    assert stored.counts["trades"] == {"new": 1, "known": 0}
    entry = json.loads(Draft.objects.get(kind="statement imported").facts)
    assert (entry["actor"], entry["details"]["sha256"]) == ("user:reviewer", stored.sha256)
    assert outcome.lines() == [
        "1 trades stored, 0 known already",
        "1 cash rows stored, 0 known already",
        "1 positions stored, 0 known already",
        "Not read, as of no use here: AccountInformation",
        "1 executions added to the record, 0 of them to orders on record",
        "1 commissions added to the record",
    ]


def test_ten_thousand_trades_and_the_same_again(bring):
    data = of_trades(*many_trades(10_000))

    bring(data)

    first = counted()
    assert first["FlexTrade"] == first["Execution"] == first["Commission"] == 10_000
    quantities = [int(text) for text in range(10_000) for text in [text % 7 + 1 if text % 10 != 9 else -(text % 7 + 1)]]
    assert ExecutedTotal.objects.get().quantity == sum(quantities)

    with CaptureQueriesContext(
        connection,
    ) as queries:
        outcome = bring(data)

    assert counted() == first
    assert outcome.known_since == FlexImport.objects.get()
    assert outcome.lines()[0].startswith("This file was imported before, on ")
    assert len(queries) < 15


def test_what_a_later_statement_repeats_is_not_stored_again(bring):
    bring(everything())
    first = counted()

    outcome = bring(everything([trade(), trade(tradeID="2", ibExecID="b.01")], whenGenerated="20260117;031500"))

    assert counted() == first | {
        "FlexImport": 2,
        "FlexStatement": 2,
        "FlexTrade": 2,
        "Execution": 2,
        "Commission": 2,
    }
    assert (outcome.trades.new, outcome.trades.known) == (1, 1)
    assert (outcome.cash.known, outcome.holdings.known) == (1, 1)


def test_what_a_later_statement_says_differently_is_the_last_word(bring):
    bring(of_trades(trade()))
    bring(of_trades(trade(ibCommission="-2"), whenGenerated="20260117;031500"))

    assert FlexTrade.objects.count() == 2
    (last,) = standing(list(FlexTrade.objects.all()))
    assert last.commission == 2
    assert Commission.objects.get().amount == Decimal("1.05")


def test_memory_does_not_grow_with_the_rows(bring):
    def peak(data):
        tracemalloc.start()
        try:
            bring(data)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(of_trades(*many_trades(10, first=1_000_000)))  # what is loaded once
    short, long = of_trades(*many_trades(1500, first=100_000)), of_trades(*many_trades(3500))

    # Some 600 bytes per row tell repetitions; as objects the rows have several thousand.
    assert peak(long) - peak(short) < 2000 * 1000


def test_rows_that_are_repeated_are_taken_once(bring):
    same = [trade(), row("Trades", tradePrice="229.950"), trade()]
    cash = section("CashTransactions", [row("CashTransactions")] * 2)

    outcome = bring(flex_file(*section("Trades", same), *cash))

    assert outcome.repeated == 3
    assert (FlexTrade.objects.count(), Execution.objects.count(), FlexCash.objects.count()) == (1, 1, 1)
    assert "3 rows stand in the file more than once and were taken once" in outcome.lines()


@pytest.mark.parametrize("changes", [{"quantity": "11"}, {"tradePrice": "1"}, {"conid": "1"}, {"ibCommission": "-9"}])
def test_rows_that_contradict_each_other(refused, changes):
    line, reason = refused(of_trades(trade(), trade(tradeID="2", ibExecID="b.01"), trade(**changes)))

    assert line == 8
    assert reason == f"{TRADE['ibExecID']} contradicts line 6, which says other things of it"


def test_booked_anew_is_no_contradiction(bring):
    rows = [
        trade(transactionID="1", tradeID="1"),
        trade(transactionID="2", tradeID="2", buySell="BUY (Ca.)", quantity="-10", origTransactionID="1"),
        trade(transactionID="3", tradeID="3", ibCommission="-2"),
    ]

    outcome = bring(of_trades(*rows))

    assert (outcome.added.executions, outcome.added.busts) == (1, 0)
    assert Execution.objects.get().exec_id == TRADE["ibExecID"]
    assert Commission.objects.get().amount == 2


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"", 1),
        (of_trades(*many_trades(1200))[:-300], 1205),
        (of_trades(*many_trades(1200), trade(quantity="1e308")), 1206),
        (of_trades(*many_trades(1200), trade(accountId="U1")), 1206),
        (flex_file(*section("Trades", many_trades(1500)), "<FlexStatements>", kind="AF", statements=1), 1508),
        (of_trades(trade(), account="U7777777"), 4),
    ],
)
def test_refused_late_and_nothing_is_left(refused, data, line):
    assert refused(data)[0] == line


def test_the_second_statement_of_a_file_is_refused_with_the_first(refused):
    data = of_trades(trade(), statements=2).replace(b"</FlexStatement>\n<FlexStatement", b"</FlexStatement>\n<Other", 1)

    assert refused(data)[1].startswith(("Other: is not a Flex statement", "is not XML"))


def test_an_account_of_another_site_is_refused_until_it_is_known(refused, bring):
    data = of_trades(trade(accountId="DU2"), account="DU2")
    assert "is no account of this site" in refused(data)[1]

    session_row().broker_accounts.create(pk="DU2")

    assert bring(data).trades.new == 1


def test_more_than_may_be_imported(refused, settings):
    settings.FLEX_MAX_MEGABYTES = 1

    line, reason = refused(of_trades(*many_trades(3000)))

    assert line == 1
    assert reason.startswith("is larger than 1 MB (FLEX_MAX_MEGABYTES)")


def test_a_hundred_megabytes_are_not_read_to_their_end(house):
    class Endless(io.RawIOBase):
        read_bytes = 0

        def seek(self, *_):
            return 0

        def read(self, size=-1):
            self.read_bytes += size
            return b" " * size

    file = Endless()
    with pytest.raises(FlexRefused, match="larger than 64 MB"):
        import_file(file, name="endless.xml", actor="x")
    assert file.read_bytes < 65 * 1024 * 1024


def test_a_file_that_changes_while_it_is_read(house):
    class Changing(io.BytesIO):
        passes = 0

        def seek(self, *place):
            self.passes += 1
            self.getbuffer()[-1:] = b"\n" if self.passes > 1 else b">"
            return super().seek(*place)

    before = counted()
    with pytest.raises(FlexRefused, match="changed while it was read"):
        import_file(Changing(of_trades(trade()) + b"\n"), name="x", actor="x")
    assert counted() == before


def test_dry_run_tells_and_stores_nothing(bring):
    before = counted()

    outcome = bring(everything(), dry_run=True)

    assert counted() == before
    assert (outcome.trades.new, outcome.added.executions) == (1, 1)
    assert bring(everything()).known_since is None


def test_progress_is_told(house):
    told = []

    import_file(io.BytesIO(of_trades(*many_trades(2500))), name="x", actor="x", progress=told.append)

    assert told == [1000, 2000, 2500]


@pytest.mark.parametrize("model", [FlexImport, FlexStatement, FlexTrade, FlexCash, FlexHolding])
def test_what_was_said_cannot_be_changed(bring, model):
    bring(everything())
    table, key = model._meta.db_table, model._meta.pk.column
    connection.check_constraints()  # what is deferred to the commit would be in the way of TRUNCATE first

    for statement in (f"UPDATE {table} SET {key} = {key}", f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
        with pytest.raises((InternalError, ProgrammingError), match="Cannot|cannot be truncated"):
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(statement)


@pytest.mark.django_db(transaction=True)
def test_one_file_twice_at_once(monkeypatch):
    session_row()
    data = of_trades(*many_trades(1200))
    started, outcomes = threading.Barrier(2), []

    def run():
        try:
            started.wait(10)
            outcomes.append(import_file(io.BytesIO(data), name="x", actor="x"))
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert [outcome.known_since is None for outcome in outcomes] == [True, False]
    assert (FlexTrade.objects.count(), Execution.objects.count()) == (1200, 1200)


def test_an_import_that_dies_leaves_nothing(bring, monkeypatch):
    before = counted()

    def dies(*_args, **_options):
        raise RuntimeError("killed")

    monkeypatch.setattr(importing.backfill, "run", dies)
    with pytest.raises(RuntimeError, match="killed"):
        bring(everything())

    assert counted() == before


def test_rows_without_a_line_break_are_all_on_the_first_line(refused):
    data = "".join(lines(*section("Trades", [trade(), trade(quantity="x")]))).encode()

    assert refused(data)[0] == 1


def test_elements_of_other_names_are_passed_over(bring):
    outcome = bring(of_trades(trade(), element("Surprise", {"levelOfDetail": "EXECUTION"})))

    assert outcome.trades.new == 1
