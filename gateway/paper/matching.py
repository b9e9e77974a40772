"""The trading floor: orders at work, from their entry to their end.

Rules: every change of an order is told by events, in the order a real gateway tells it. A trade is booked for both
sides before anything that follows from it; one-cancels-all groups react before the next trade; children of a filled
parent and elected stops wait in a queue until the trading that caused them is over, so a cascade never recurses.
"""

from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import partial

from gateway.paper.accounts import Account, commission_due
from gateway.paper.book import Trade
from gateway.paper.market import Market
from gateway.paper.orders import (
    AT_ONCE,
    Charged,
    Event,
    Executed,
    Execution,
    Failed,
    Opened,
    Order,
    PositionChanged,
    Status,
    StatusChanged,
    snapshot,
)
from gateway.paper.register import Register

CANCELLED_TEXT = "Order Canceled - reason:"


class Floor:
    """Moves orders through the markets and books what comes of it."""

    def __init__(
        self,
        *,
        register: Register,
        accounts: Mapping[str, Account],
        markets: Mapping[int, Market],
        clock: Callable[[], datetime],
        emit: Callable[[Event], None],
    ) -> None:
        self._register = register
        self._accounts = accounts
        self._markets = markets
        self._clock = clock
        self._emit = emit
        self._todo: deque[Callable[[], None]] = deque()

    def market(self, order: Order) -> Market:
        return self._markets[order.listing.con_id]

    def settle(self) -> None:
        """Do all that the last trades brought about."""
        while self._todo:
            self._todo.popleft()()

    def step(self, market: Market) -> None:
        """Let the market maker move, then serve whoever waited for new quotes."""
        for trade in market.maker.step(market.book):
            self._book_maker(trade)
        market.last = market.maker.fair
        self._serve_waiting(market)
        self._elect(market)

    def open(self, market: Market) -> None:
        """The first quotes after a start, around the price as it was left."""
        for trade in market.maker.quote(market.book):
            self._book_maker(trade)
        self._serve_waiting(market)

    # The life of an order

    def accept(self, order: Order) -> None:
        """A new order enters: it waits for its parent or starts at once."""
        self._register.enlist(order)
        self.expect(order, order.remaining)
        if self._register.waits_for_parent(order):
            order.status = Status.PRE_SUBMITTED
            self.show(order)
        else:
            self.start(order)

    def start(self, order: Order, *, modified: bool = False) -> None:
        """Bring an order to the market: a stop waits for its price, anything else trades or rests."""
        if order.done:
            return
        order.entered = self._register.take_turn()
        market = self.market(order)
        if order.waits_for_trigger and not market.reached(order):
            order.status, order.why_held = Status.PRE_SUBMITTED, "trigger"
            market.arm(order)
            self.show(order)
            self.show(order)  # real gateways say it twice
            return
        order.elected, order.why_held = order.waits_for_trigger or order.elected, ""
        at_market = order.limit is None and not order.elected and not order.filled
        order.status = Status.PRE_SUBMITTED if at_market else Status.SUBMITTED
        self.show(order)
        self._work(order, modified=modified)

    def resume(self, order: Order) -> None:
        """Put a restored order back where it was, without a word."""
        self.expect(order, order.remaining)
        if self._register.waits_for_parent(order):
            return
        market = self.market(order)
        if order.waits_for_trigger:
            market.arm(order)
        elif order.limit is None:
            market.waiting[order.perm_id] = order
        else:
            self._work(order)

    def cancel(self, order: Order, *, because: str = "", asked: bool = False, silent: bool = False) -> None:
        """End an order and the children that depend on it. `asked`: by a client, who first sees PendingCancel."""
        if order.done:
            return
        self.market(order).withdraw(order)
        if asked or silent:
            order.status = Status.PENDING_CANCEL
            self._emit(StatusChanged(snapshot(order)))
        self.end(order, Status.CANCELLED, because)
        self._emit(StatusChanged(snapshot(order)))
        if not silent:
            self._fail(order, 202, CANCELLED_TEXT + because)
        for child in self._register.children(order):
            self.cancel(child)

    def end(self, order: Order, status: Status, because: str = "") -> None:
        self.expect(order, -order.remaining)
        order.status, order.why_held = status, ""
        order.ended_at, order.ended_because = self._clock(), because
        self._register.finish(order)

    def refuse(self, order: Order, text: str) -> None:
        """The broker's own no (201): the order is seen Inactive, then the error says why."""
        order.status = Status.INACTIVE
        order.ended_at, order.ended_because = self._clock(), text
        self._register.finish(order)
        self.show(order)
        self._fail(order, 201, text)

    def resize(self, order: Order, quantity: Decimal) -> None:
        """Lower an order's quantity where it stands: it keeps its turn."""
        self.expect(order, quantity - order.quantity)
        order.quantity = quantity
        book = self.market(order).book
        if order.perm_id in book:
            book.reduce(order.perm_id, order.remaining)

    def show(self, order: Order) -> None:
        """The pair a gateway sends for nearly everything: openOrder and orderStatus."""
        seen = snapshot(order)
        self._emit(Opened(seen))
        self._emit(StatusChanged(seen))

    def expect(self, order: Order, change: Decimal) -> None:
        # Exits of a bracket undo what their parent did and are not counted as risk of their own.
        if not order.parent_id and change:
            self._accounts[order.account].expect(order.listing, order.side, change)

    # Trading

    def _work(self, order: Order, *, modified: bool = False) -> None:
        market = self.market(order)
        if order.time_in_force == "FOK" and market.book.available(order.side, order.limit) < order.remaining:
            self.end(order, Status.INACTIVE, "Fill or kill order could not be filled at once")
            self.show(order)
            return
        self._sweep(order, modified=modified)
        if order.done:
            return
        if order.time_in_force in AT_ONCE:
            self.cancel(order, silent=True)
        elif order.limit is None:
            market.waiting[order.perm_id] = order
        else:
            market.book.add(order.perm_id, order.side, order.limit, order.remaining)
            if market.waiting:
                self._todo.append(partial(self._serve_waiting, market))

    def _sweep(self, order: Order, *, modified: bool = False) -> None:
        """Trade with the book for as long as it offers a price within the limit."""
        market = self.market(order)
        while not order.done and (trade := market.book.take(order.side, order.remaining, order.limit)):
            market.last, market.last_size = trade.price, trade.quantity
            self._fill(order, trade, adds_liquidity=False, filled_first=modified)
            maker = self._register.working.get(trade.maker)
            if maker is not None:
                self._fill(maker, trade, adds_liquidity=True)
                self._follow(maker, trade.quantity)
            self._follow(order, trade.quantity)
        self._todo.append(partial(self._elect, market))

    def _book_maker(self, trade: Trade) -> None:
        """The market maker took a client's resting order."""
        order = self._register.working[trade.maker]
        self._fill(order, trade, adds_liquidity=True)
        self._follow(order, trade.quantity)

    def _serve_waiting(self, market: Market) -> None:
        for order in list(market.waiting.values()):
            self._sweep(order)
            if order.done:
                market.waiting.pop(order.perm_id, None)

    def _elect(self, market: Market) -> None:
        for order in list(market.elected()):
            order.elected = True
            self.start(order)

    def _follow(self, order: Order, quantity: Decimal) -> None:
        """What a fill means for the order's group and its children."""
        for brother in self._register.brothers(order):
            if order.done or order.oca_type == 1 or brother.remaining <= quantity:
                self.cancel(brother)
            else:
                self.resize(brother, brother.quantity - quantity)
                self.show(brother)
        if order.status is Status.FILLED:
            self._todo.extend(partial(self.start, child) for child in self._register.children(order))

    def _fill(self, order: Order, trade: Trade, *, adds_liquidity: bool, filled_first: bool = False) -> None:
        execution = self._book_fill(order, trade, adds_liquidity)
        if order.remaining:
            order.status = Status.SUBMITTED
            self._emit(Executed(execution))
            self.show(order)
        elif filled_first:  # seen when a modification makes an order marketable
            self.end(order, Status.FILLED)
            self.show(order)
            self._emit(Executed(execution))
        else:
            self._emit(Executed(execution))
            self.end(order, Status.FILLED)
            self.show(order)
            self.show(order)
        self._emit(Charged(execution))
        self._emit(PositionChanged(order.account, order.listing))

    def _book_fill(self, order: Order, trade: Trade, adds_liquidity: bool) -> Execution:
        order.filled += trade.quantity
        order.paid += trade.price * trade.quantity
        order.last_fill_price = trade.price
        fee = commission_due(order.filled, order.paid) - order.commission
        order.commission += fee
        self.expect(order, -trade.quantity)
        realized = self._accounts[order.account].trade(order.listing, order.side, trade.quantity, trade.price, fee)
        execution = Execution(
            exec_id=self._register.take_exec_id(),
            at=self._clock(),
            perm_id=order.perm_id,
            client_id=order.client_id,
            order_id=order.order_id,
            account=order.account,
            listing=order.listing,
            side=order.side,
            quantity=trade.quantity,
            price=trade.price,
            cumulative=order.filled,
            average_price=order.average_price,
            order_ref=order.order_ref,
            adds_liquidity=adds_liquidity,
            commission=fee,
            realized=realized,
        )
        self._register.executions.append(execution)
        return execution

    def _fail(self, order: Order, code: int, text: str) -> None:
        self._emit(Failed(order.client_id, order.order_id, code, text))
