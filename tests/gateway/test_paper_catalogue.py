"""The instruments: the bundled ones, a file of one's own, and how contracts find them."""

from decimal import Decimal
from pathlib import Path

import pytest

from gateway.paper.catalogue import BUNDLED, ContractAsk, read_catalogue

HEADER = "symbol,con_id,primary_exchange,reference_price,tick,name\n"


def test_enough_symbols_are_bundled() -> None:
    catalogue = read_catalogue()

    assert len(catalogue) >= 50
    assert len(BUNDLED.read_text(encoding="utf-8").splitlines()) == len(catalogue) + 1
    assert all(listing.on_tick(listing.reference_price) for listing in catalogue)


@pytest.mark.parametrize(
    ("case", "ask", "symbol"),
    [
        ("by symbol", {"symbol": "AAPL"}, "AAPL"),
        ("in lower case", {"symbol": "aapl"}, "AAPL"),
        ("as clients do", {"symbol": "AAPL", "security_type": "STK", "exchange": "SMART", "currency": "USD"}, "AAPL"),
        ("at its exchange", {"symbol": "IBM", "exchange": "NYSE"}, "IBM"),
        ("by id", {"con_id": 265598}, "AAPL"),
        ("by id and symbol", {"con_id": 265598, "symbol": "AAPL"}, "AAPL"),
        ("a share class", {"symbol": "BRK B"}, "BRK B"),
        ("by local symbol", {"local_symbol": "MSFT"}, "MSFT"),
        ("unknown", {"symbol": "NOPE"}, None),
        ("unknown id", {"con_id": 1}, None),
        ("id of another", {"con_id": 265598, "symbol": "MSFT"}, None),
        ("other currency", {"symbol": "AAPL", "currency": "EUR"}, None),
        ("other type", {"symbol": "AAPL", "security_type": "OPT"}, None),
        ("unknown exchange", {"symbol": "AAPL", "exchange": "LSE"}, None),
        ("other primary exchange", {"symbol": "AAPL", "primary_exchange": "NYSE"}, None),
        ("nothing", {}, None),
    ],
)
def test_finding(case: str, ask: dict[str, object], symbol: str | None) -> None:
    found = read_catalogue().find(ContractAsk(**ask))  # type: ignore[arg-type]

    assert (found.symbol if found else None) == symbol


def test_a_file_adds_and_replaces(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text(HEADER + "ACME,,NYSE,12.345,0.01,ACME CORP\nAAPL,265598,NASDAQ,100,,APPLE\n", encoding="utf-8")

    catalogue = read_catalogue(file)

    acme, apple = (catalogue.find(ContractAsk(symbol=symbol)) for symbol in ("ACME", "AAPL"))
    assert acme is not None
    assert apple is not None
    assert acme.reference_price == Decimal("12.34")
    assert catalogue.by_id(acme.con_id) is acme
    assert apple.reference_price == 100
    assert len(catalogue) == len(read_catalogue()) + 1


@pytest.mark.parametrize(
    ("case", "lines"),
    [
        ("no price", HEADER + "ACME,,NYSE,,0.01,ACME\n"),
        ("no number", HEADER + "ACME,,NYSE,much,0.01,ACME\n"),
        ("no symbol", HEADER + ",,NYSE,1,0.01,ACME\n"),
        ("price below a tick", HEADER + "ACME,,NYSE,0.001,0.01,ACME\n"),
        ("id in use", HEADER + "ACME,265598,NYSE,1,0.01,ACME\n"),
        ("no header", "ACME,1,NYSE,1,0.01,ACME\nB,2,NYSE,1,0.01,B\n"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, case: str, lines: str) -> None:
    file = tmp_path / "mine.csv"
    file.write_text(lines, encoding="utf-8")

    with pytest.raises(ValueError, match="line 2|share a con_id"):
        read_catalogue(file)
