"""The exchange: accounts, order acceptance, modification and cancellation, and the passing of time.

Rules: pure and single-threaded; the clock and the seed are given, nothing here reads the wall clock, the wire or a
socket. Every call leaves its consequences as events, in order, for `take_events`. A placement that is refused at
validation changes nothing at all. The market is always open; the day ends at midnight of `zone`.

    exchange = Exchange(catalogue=read_catalogue(), accounts=["DU1000001"], cash=Decimal(200_000), seed=1, clock=now)
    exchange.open()
    receipt = exchange.place(Placement(client_id=1, order_id=1, ...))
    events = exchange.take_events()
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal

from gateway.paper import checks
from gateway.paper.accounts import ZERO, Account, Figures, commission_due
from gateway.paper.book import Side
from gateway.paper.catalogue import Catalogue, Listing
from gateway.paper.funds import Funds
from gateway.paper.market import Market
from gateway.paper.matching import Floor
from gateway.paper.orders import (
    Event,
    Failed,
    Held,
    Order,
    Placement,
    Receipt,
    Refusal,
    Status,
    StatusChanged,
    snapshot,
)
from gateway.paper.register import Register

PARENT_GONE = "Order rejected - reason:Parent order is being cancelled."


class Exchange:
    """One paper broker with its markets."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        accounts: Sequence[str],
        cash: Decimal,
        seed: int,
        clock: Callable[[], datetime],
        zone: tzinfo = UTC,
    ) -> None:
        self.catalogue = catalogue
        self.accounts = {code: Account(code, cash) for code in accounts}
        self.register = Register()
        self.markets = {listing.con_id: Market(listing, seed) for listing in catalogue}
        self.clock = clock
        self.zone = zone
        self.day = self.today()
        self._events: list[Event] = []
        self._funds = Funds(self.accounts, self.markets)
        self._floor = Floor(
            register=self.register, accounts=self.accounts, markets=self.markets, clock=clock, emit=self._events.append
        )

    # Time

    def open(self) -> None:
        """Quote all markets for the first time; what ended while the gateway was away does not trade any more."""
        if self.today() != self.day:
            self._end_day()
        for market in self.markets.values():
            self._floor.open(market)
        self._floor.settle()

    def step(self) -> None:
        """One beat of the market: midnight if it has passed, then every market maker once."""
        if self.today() != self.day:
            self._end_day()
        for market in self.markets.values():
            self._floor.step(market)
        self._floor.settle()

    def today(self) -> date:
        return self.clock().astimezone(self.zone).date()

    def _end_day(self) -> None:
        for order in list(self.register.working.values()):
            if order.time_in_force == "DAY":
                self._floor.cancel(order, because="The DAY order has expired")
        self._floor.settle()
        self.register.forget_day()
        for account in self.accounts.values():
            for position in account.positions.values():
                position.realized = ZERO
        self.day = self.today()

    # Orders

    def place(self, asked: Placement) -> Receipt:
        """A new order, or with the id of a working one its modification."""
        try:
            receipt = self._place(asked)
        except Refusal as refusal:
            self._events.append(Failed(asked.client_id, asked.order_id, refusal.code, refusal.text))
            return Receipt(code=refusal.code, text=refusal.text)
        self._floor.settle()
        return receipt

    def cancel(self, client_id: int, order_id: int) -> Receipt:
        """Cancel one order of that client, transmitted or held."""
        try:
            order = self._cancellable(client_id, order_id)
        except Refusal as refusal:
            self._events.append(Failed(client_id, order_id, refusal.code, refusal.text))
            return Receipt(code=refusal.code, text=refusal.text)
        if self.register.held.pop((client_id, order_id), None):
            self._drop_held(order)
        else:
            self._floor.cancel(order, asked=True)
            self._floor.settle()
        return Receipt(perm_id=order.perm_id)

    def cancel_all(self) -> None:
        """reqGlobalCancel (58): every order of everybody."""
        for order in list(self.register.working.values()):
            self._floor.cancel(order, asked=True)
        while self.register.held:
            self._drop_held(self.register.held.pop(next(iter(self.register.held))))
        self._floor.settle()

    def take_events(self) -> list[Event]:
        """What happened since the last call, in order."""
        events = self._events[:]
        self._events.clear()
        return events

    # Looking

    def mark(self, listing: Listing) -> Decimal:
        """The price positions are valued at."""
        return self.markets[listing.con_id].last

    def figures(self, account: Account) -> Figures:
        return self._funds.figures(account)

    def what_if(self, asked: Placement) -> tuple[Order, Figures, Decimal, Decimal]:
        """An order that is only asked about: itself, its account, the change of the margin, the commission.

        Raises: Refusal, as for a placement.
        """
        order = self._checked(asked, perm_id=0)
        price = order.limit_price or order.stop_price or self.mark(order.listing)
        change = self._funds.margin_change(order, order.quantity)
        fee = commission_due(order.quantity, order.quantity * price)
        return order, self.figures(self.accounts[order.account]), change, fee

    def resume(self, orders: Iterable[Order]) -> None:
        """Put saved working orders back into their markets, in their turn; before `open`."""
        for order in sorted(orders, key=lambda order: order.entered):
            if not order.done:
                self._floor.resume(order)
        self._floor.settle()

    # Acceptance

    def _place(self, asked: Placement) -> Receipt:
        key = asked.client_id, asked.order_id
        if known := self.register.find(*key):
            return self._modify(known, asked)
        held = self.register.held.get(key)
        if held is None and asked.order_id < self.register.next_valid_id(asked.client_id):
            raise Refusal(103, "Duplicate order id")
        order = self._checked(asked, perm_id=held.perm_id if held else 0)
        order.perm_id = order.perm_id or self.register.take_perm_id()
        self.register.use_order_id(*key)
        if not asked.transmit:
            self.register.hold(order)
            self._events.append(Held(snapshot(order)))
            return Receipt(perm_id=order.perm_id, held=True)
        for member in self.register.release(order):
            self._join_family(member)
            self._accept(member)
        if order.status is Status.INACTIVE and order.ended_because.startswith("Order rejected"):
            return Receipt(perm_id=order.perm_id, code=201, text=order.ended_because)
        return Receipt(perm_id=order.perm_id)

    def _checked(self, asked: Placement, *, perm_id: int) -> Order:
        listing = checks.listing_of(self.catalogue, asked)
        account = checks.account_of(self.accounts, asked)
        checks.check_terms(asked, listing)
        assert asked.quantity is not None
        if asked.parent_id:
            self._check_parent(asked)
        return Order(
            perm_id=perm_id,
            client_id=asked.client_id,
            order_id=asked.order_id,
            account=account.code,
            listing=listing,
            side=Side.BUY if asked.side == "BUY" else Side.SELL,
            quantity=asked.quantity,
            order_type=asked.order_type,
            limit_price=asked.limit_price,
            stop_price=asked.stop_price,
            time_in_force=asked.time_in_force,
            order_ref=asked.order_ref,
            parent_id=asked.parent_id,
            parent_perm_id=0,
            oca_group=asked.oca_group,
            oca_type=asked.oca_type or 3,
            outside_rth=asked.outside_rth,
            memo=asked.memo,
            exchange=asked.contract.exchange or "SMART",
        )

    def _check_parent(self, asked: Placement) -> None:
        if (asked.client_id, asked.parent_id) in self.register.held:
            return
        parent = self.register.find(asked.client_id, asked.parent_id)
        if parent is None or asked.parent_id == asked.order_id:
            raise Refusal(10006, "Missing parent order.")
        if parent.done and parent.status is not Status.FILLED:
            raise Refusal(135, f"Can't find order with id ={asked.parent_id}")

    def _join_family(self, order: Order) -> None:
        """Children of one parent are a one-cancels-all group, whether the client said so or not."""
        parent = self.register.find(order.client_id, order.parent_id) if order.parent_id else None
        if parent is not None:
            order.parent_perm_id = parent.perm_id
            order.oca_group = order.oca_group or str(parent.perm_id)

    def _accept(self, order: Order) -> None:
        parent = self.register.find(order.client_id, order.parent_id) if order.parent_id else None
        if parent is not None and parent.done and parent.status is not Status.FILLED:
            self._floor.refuse(order, PARENT_GONE)
        elif not order.parent_id and (text := self._funds.shortage(order, order.quantity)):
            self._floor.refuse(order, text)
        else:
            self._floor.accept(order)

    # Change

    def _modify(self, order: Order, asked: Placement) -> Receipt:
        listing = checks.listing_of(self.catalogue, asked)
        checks.check_modification(order, asked, listing)
        checks.check_terms(asked, listing)
        assert asked.quantity is not None
        checks.check_new_quantity(order, asked.quantity)
        more = asked.quantity - order.quantity
        if more > 0 and not order.parent_id and (text := self._funds.shortage(order, more)):
            raise Refusal(201, text)
        prices = (order.limit_price, order.stop_price)
        stands = prices == (asked.limit_price, asked.stop_price) and asked.quantity <= order.quantity
        order.time_in_force, order.order_ref = asked.time_in_force, asked.order_ref
        order.outside_rth, order.memo = asked.outside_rth, asked.memo
        order.revision += 1
        if stands or self.register.waits_for_parent(order):
            order.limit_price, order.stop_price = asked.limit_price, asked.stop_price
            self._floor.resize(order, asked.quantity)
            self._floor.show(order)
        else:
            self._floor.market(order).withdraw(order)
            self._floor.resize(order, asked.quantity)
            order.limit_price, order.stop_price = asked.limit_price, asked.stop_price
            self._floor.start(order, modified=True)
        return Receipt(perm_id=order.perm_id, modified=True)

    def _cancellable(self, client_id: int, order_id: int) -> Order:
        order = self.register.find(client_id, order_id) or self.register.held.get((client_id, order_id))
        if order is None:
            raise Refusal(10147, f"OrderId {order_id} that needs to be cancelled is not found.")
        if order.status is Status.INACTIVE:
            raise Refusal(
                161, f"Cancel attempted when order is not in a cancellable state.  Order permId ={order.perm_id}"
            )
        if order.done:
            state = order.status.value
            raise Refusal(10148, f"OrderId {order_id} that needs to be cancelled can not be cancelled, state: {state}.")
        return order

    def _drop_held(self, order: Order) -> None:
        """A held order leaves as quietly as it came, but for the answer to its cancellation; its children with it."""
        order.status = Status.CANCELLED
        self._events.append(StatusChanged(snapshot(order)))
        self._events.append(Failed(order.client_id, order.order_id, 202, "Order Canceled - reason:"))
        for key, child in list(self.register.held.items()):
            if key[0] == order.client_id and child.parent_id == order.order_id:
                self._drop_held(self.register.held.pop(key))
