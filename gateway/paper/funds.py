"""What an account can carry: its values at market prices, and the margin of orders that are not filled yet."""

from collections.abc import Mapping
from decimal import Decimal

from gateway.paper import checks
from gateway.paper.accounts import Account, Figures
from gateway.paper.market import Market
from gateway.paper.orders import Order


class Funds:
    """Values accounts at the last prices of the markets."""

    def __init__(self, accounts: Mapping[str, Account], markets: Mapping[int, Market]) -> None:
        self._accounts = accounts
        self._markets = markets

    def figures(self, account: Account) -> Figures:
        return account.figures(self._marks(account))

    def margin_change(self, order: Order, more: Decimal) -> Decimal:
        """How much more margin its account would need for that much more of an order."""
        account = self._accounts[order.account]
        return self._margin_with(order, more) - account.margin_at_worst(self._marks(account))

    def shortage(self, order: Order, more: Decimal) -> str:
        """Why the account cannot carry that much more of an order; empty if it can, or if that lowers its risk."""
        account = self._accounts[order.account]
        needed = self._margin_with(order, more)
        marks = self._marks(account)
        equity = account.cash + account.stock_value(marks)
        if needed <= equity or needed <= account.margin_at_worst(marks):
            return ""
        return checks.short_of_funds(equity, needed)

    def _margin_with(self, order: Order, more: Decimal) -> Decimal:
        account = self._accounts[order.account]
        account.expect(order.listing, order.side, more)
        try:
            return account.margin_at_worst(self._marks(account))
        finally:
            account.expect(order.listing, order.side, -more)

    def _marks(self, account: Account) -> dict[int, Decimal]:
        return {con_id: self._markets[con_id].last for con_id in account.worst.keys() | account.positions.keys()}
