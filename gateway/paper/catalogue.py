"""What can be traded: the listings and how a client's contract finds them.

The bundled listings stand in instruments.csv beside this module, one line per US stock or ETF:

    symbol,con_id,primary_exchange,reference_price,tick,name

To add more, write a file with the same header and pass it as `--instruments FILE`: its lines are read after the bundled
ones and a line whose symbol is already known replaces the earlier one. `con_id` must be unique over both; left empty,
a number is derived from the symbol. `tick` left empty is 0.01. Share classes are written as IB writes them, with a
blank (`BRK B`).
"""

import csv
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

BUNDLED = Path(__file__).with_name("instruments.csv")
ROUTES = ("SMART", "AMEX", "NYSE", "CBOE", "ARCA", "NASDAQ", "ISLAND", "BATS", "IEX", "OVERNIGHT")
DERIVED_IDS_FROM = 900_000_000  # well above the ids of the bundled listings


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One stock as the exchange lists it. Prices move in whole ticks."""

    symbol: str
    con_id: int
    primary_exchange: str
    reference_price: Decimal
    tick: Decimal
    name: str

    def on_tick(self, price: Decimal) -> bool:
        return price % self.tick == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractAsk:
    """A contract as a client names it: by id, or by symbol and whatever else it cares to say."""

    con_id: int = 0
    symbol: str = ""
    security_type: str = ""
    currency: str = ""
    exchange: str = ""
    primary_exchange: str = ""
    local_symbol: str = ""
    trading_class: str = ""


class Catalogue:
    """All listings, found by id or by symbol."""

    def __init__(self, listings: Iterable[Listing]) -> None:
        self._by_symbol = {listing.symbol: listing for listing in listings}
        self._by_id = {listing.con_id: listing for listing in self._by_symbol.values()}
        if len(self._by_id) != len(self._by_symbol):
            raise ValueError("two listings share a con_id")

    def __iter__(self) -> Iterator[Listing]:
        return iter(self._by_symbol.values())

    def __len__(self) -> int:
        return len(self._by_symbol)

    def by_id(self, con_id: int) -> Listing:
        return self._by_id[con_id]

    def find(self, ask: ContractAsk) -> Listing | None:
        """The one listing a contract names, or None. Whatever the client says beside id or symbol must fit."""
        symbol = ask.symbol or ask.local_symbol
        listing = self._by_id.get(ask.con_id) if ask.con_id else self._by_symbol.get(symbol.upper())
        return listing if listing and _fits(listing, ask) else None


def _fits(listing: Listing, ask: ContractAsk) -> bool:
    return (
        ask.security_type in ("", "STK")
        and ask.currency in ("", "USD")
        and ask.symbol.upper() in ("", listing.symbol)
        and ask.local_symbol.upper() in ("", listing.symbol)
        and ask.exchange in ("", listing.primary_exchange, *ROUTES)
        and ask.primary_exchange in ("", listing.primary_exchange, "ISLAND")
    )


def read_catalogue(extra: Path | None = None) -> Catalogue:
    """The bundled listings, and those of `extra` over them. Raises ValueError with file and line."""
    listings = {listing.symbol: listing for listing in _read(BUNDLED)}
    if extra is not None:
        listings.update((listing.symbol, listing) for listing in _read(extra))
    return Catalogue(listings.values())


def _read(path: Path) -> Iterable[Listing]:
    with path.open(newline="", encoding="utf-8") as lines:
        rows = csv.DictReader(lines)
        for row in rows:
            try:
                yield _listing(row)
            except (KeyError, TypeError, ValueError, InvalidOperation) as error:
                raise ValueError(f"{path}, line {rows.line_num}: {error!r}") from error


def _listing(row: dict[str, str]) -> Listing:
    symbol = row["symbol"].strip().upper()
    tick = Decimal(row.get("tick") or "0.01")
    price = Decimal(row["reference_price"])
    if not symbol or tick <= 0 or price < tick:
        raise ValueError("needs a symbol, a tick above 0 and a price of at least one tick")
    return Listing(
        symbol=symbol,
        con_id=int(row.get("con_id") or DERIVED_IDS_FROM + zlib.crc32(symbol.encode()) % 100_000_000),
        primary_exchange=row.get("primary_exchange") or "NASDAQ",
        reference_price=price - price % tick,
        tick=tick,
        name=row.get("name") or symbol,
    )
