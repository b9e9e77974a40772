"""Accounts and positions: the answers, and what subscriptions are told afterwards.

Rules: positions are told at once when an execution changes them; account values and what these holdings are worth
follow a moment later, so that a burst of fills costs one telling. What only prices changed waits for the next round of
all. A subscription is told a value only when it is another than before. An account summary is limited to two per
session (322).
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from gateway.paper import rendering
from gateway.paper.accounts import Account
from gateway.paper.catalogue import Listing
from gateway.paper.exchange import Exchange
from gateway.paper.sessions import Session
from gateway.tws import messages as m

MAX_SUMMARIES = 2
UNKNOWN_ACCOUNT = "Error validating request.-'bG' : cause - Invalid account code"
TOO_MANY = "Error processing request.-'bG' : cause - Maximum number of account summary requests exceeded"

Row = tuple[str, str, str]  # key, value, currency


class AccountDesk:
    """Answers what concerns money and holdings."""

    def __init__(self, exchange: Exchange, clock: rendering.Clock) -> None:
        self._exchange = exchange
        self._clock = clock

    # Positions

    def positions(self, session: Session, message: m.ReqPositions) -> None:
        session.positions = True
        for account in self._exchange.accounts.values():
            for held in account.holdings():
                session.send(rendering.position(account.code, held))
        session.send(m.PositionEnd())

    def cancel_positions(self, session: Session, message: m.CancelPositions) -> None:
        session.positions = False

    def positions_multi(self, session: Session, message: m.ReqPositionsMulti) -> None:
        if not self._knows(session, message.req_id, message.account):
            return
        session.positions_multi[message.req_id] = message.account
        for account in self._named(message.account):
            for held in account.holdings():
                self._send_position(session, account, held.listing, message.req_id)
        session.send(m.PositionMultiEnd(req_id=message.req_id))

    def cancel_positions_multi(self, session: Session, message: m.CancelPositionsMulti) -> None:
        session.positions_multi.pop(message.req_id, None)

    # Account values

    def updates(self, session: Session, message: m.ReqAccountUpdates) -> None:
        code = message.account or next(iter(self._exchange.accounts))
        if not message.subscribe:
            session.account = ""
        elif self._knows(session, -1, code):
            session.account = code
            _forget(session, "account")
            self._send_account(session, self._exchange.accounts[code])
            session.send(m.AccountDownloadEnd(account=code))

    def updates_multi(self, session: Session, message: m.ReqAccountUpdatesMulti) -> None:
        if not self._knows(session, message.req_id, message.account):
            return
        session.accounts_multi[message.req_id] = message.account
        _forget(session, "multi", message.req_id)
        for account in self._named(message.account):
            self._send_multi(session, account, message.req_id)
        session.send(m.AccountUpdateMultiEnd(req_id=message.req_id))

    def cancel_updates_multi(self, session: Session, message: m.CancelAccountUpdatesMulti) -> None:
        session.accounts_multi.pop(message.req_id, None)

    def summary(self, session: Session, message: m.ReqAccountSummary) -> None:
        if message.req_id not in session.summaries and len(session.summaries) >= MAX_SUMMARIES:
            session.error(message.req_id, 322, TOO_MANY)
            return
        session.summaries[message.req_id] = frozenset(tag.strip() for tag in message.tags.split(",") if tag.strip())
        _forget(session, "summary", message.req_id)
        self._send_summary(session, message.req_id)
        session.send(m.AccountSummaryEnd(req_id=message.req_id))

    def cancel_summary(self, session: Session, message: m.CancelAccountSummary) -> None:
        session.summaries.pop(message.req_id, None)

    # Subscriptions

    def moved(self, sessions: Iterable[Session], holdings: Collection[tuple[str, Listing]]) -> None:
        """Positions changed: tell whoever subscribed to them."""
        for session in sessions:
            for code, listing in holdings:
                account = self._exchange.accounts[code]
                if session.positions:
                    session.send(rendering.position(code, account.position(listing)))
                for req_id, wanted in session.positions_multi.items():
                    if wanted in ("", code):
                        self._send_position(session, account, listing, req_id)

    def refresh(self, sessions: Iterable[Session], changed: Mapping[str, Collection[int] | None]) -> None:
        """Tell subscriptions the values of these accounts that changed, and of their holdings those in these contracts
        (con ids); None: all."""
        for session in sessions:
            self._refresh(session, changed)

    def _refresh(self, session: Session, changed: Mapping[str, Collection[int] | None]) -> None:
        if session.account in changed:
            self._send_account(session, self._exchange.accounts[session.account], changed[session.account])
        for req_id, wanted in session.accounts_multi.items():
            for account in self._named(wanted):
                if account.code in changed:
                    self._send_multi(session, account, req_id)
        for req_id in session.summaries:
            self._send_summary(session, req_id)

    # One account

    def _send_account(self, session: Session, account: Account, contracts: Collection[int] | None = None) -> None:
        changed = False
        for key, value, currency in account_rows(self._exchange, account):
            if session.is_news(value, "account", key, currency):
                changed = True
                session.send(m.UpdateAccountValue(key=key, value=value, currency=currency, account=account.code))
        for con_id in account.positions if contracts is None else contracts:
            held = account.positions[con_id]
            shown = rendering.portfolio(account.code, held, self._exchange.mark(held.listing))
            if session.is_news(repr(shown), "account", held.listing.con_id):
                changed = True
                session.send(shown)
        if changed:
            session.send(m.UpdateAccountTime(time=self._clock.minute(self._now())))

    def _send_multi(self, session: Session, account: Account, req_id: int) -> None:
        for key, value, currency in account_rows(self._exchange, account):
            if session.is_news(value, "multi", req_id, account.code, key, currency):
                session.send(
                    m.AccountUpdateMulti(req_id=req_id, account=account.code, key=key, value=value, currency=currency)
                )

    def _send_summary(self, session: Session, req_id: int) -> None:
        tags = session.summaries[req_id]
        ledger = any(tag.startswith("$LEDGER") for tag in tags)
        for account in self._exchange.accounts.values():
            for key, value, currency in account_rows(self._exchange, account):
                asked = key in tags and currency != "BASE"
                if not asked and not (ledger and key in LEDGER_KEYS):
                    continue
                if session.is_news(value, "summary", req_id, account.code, key, currency):
                    session.send(
                        m.AccountSummary(req_id=req_id, account=account.code, tag=key, value=value, currency=currency)
                    )

    def _send_position(self, session: Session, account: Account, listing: Listing, req_id: int) -> None:
        shown = rendering.position(account.code, account.position(listing))
        session.send(
            m.PositionMulti(
                req_id=req_id,
                account=account.code,
                contract=shown.contract,
                position=shown.position,
                avg_cost=shown.avg_cost,
            )
        )

    def _knows(self, session: Session, req_id: int, code: str) -> bool:
        if code in ("", "All") or code in self._exchange.accounts:
            return True
        session.error(req_id, 321, UNKNOWN_ACCOUNT)
        return False

    def _named(self, code: str) -> list[Account]:
        accounts = self._exchange.accounts
        return [accounts[code]] if code in accounts else list(accounts.values())

    def _now(self) -> datetime:
        return self._exchange.clock()


LEDGER_KEYS = frozenset(
    {"Currency", "CashBalance", "TotalCashBalance", "StockMarketValue", "RealizedPnL", "UnrealizedPnL", "ExchangeRate"}
    | {"NetLiquidationByCurrency"}
)


def account_rows(exchange: Exchange, account: Account) -> list[Row]:
    """All values of an account, in IB's keys. Everything is in dollars, so USD and BASE are equal."""
    now = exchange.figures(account)
    in_dollars = {
        "AvailableFunds": now.available,
        "BuyingPower": now.buying_power,
        "EquityWithLoanValue": now.equity,
        "ExcessLiquidity": now.available,
        "FullAvailableFunds": now.available,
        "FullExcessLiquidity": now.available,
        "FullInitMarginReq": now.margin,
        "FullMaintMarginReq": now.margin,
        "GrossPositionValue": now.gross_value,
        "InitMarginReq": now.margin,
        "MaintMarginReq": now.margin,
        "NetLiquidation": now.equity,
        "TotalCashValue": now.cash,
    }
    by_currency = {
        "CashBalance": now.cash,
        "NetLiquidationByCurrency": now.equity,
        "RealizedPnL": now.realized,
        "StockMarketValue": now.stock_value,
        "TotalCashBalance": now.cash,
        "UnrealizedPnL": now.unrealized,
    }
    rows = [
        ("AccountCode", account.code, ""),
        ("AccountReady", "true", ""),
        ("AccountType", "INDIVIDUAL", ""),
        ("Cushion", _ratio(now.available, now.equity), ""),
        ("DayTradesRemaining", "-1", ""),
        *((key, _money(amount), "USD") for key, amount in in_dollars.items()),
    ]
    for currency in ("BASE", "USD"):
        rows.append(("Currency", currency, currency))
        rows.append(("ExchangeRate", "1.00", currency))
        rows.extend((key, _money(amount), currency) for key, amount in by_currency.items())
    return rows


def _money(amount: Decimal) -> str:
    return f"{rendering.money(amount):f}"


def _ratio(part: Decimal, whole: Decimal) -> str:
    return f"{part / whole:.6f}" if whole else "0"


def _forget(session: Session, *prefix: object) -> None:
    """A new subscription is told everything."""
    session.said = {key: value for key, value in session.said.items() if key[: len(prefix)] != prefix}
