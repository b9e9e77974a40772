"""Random clients against the whole exchange: whatever they do, the books agree with each other."""

from collections import defaultdict
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.paper.book import Side
from gateway.paper.orders import Event, Executed, Failed, Opened, Status, StatusChanged
from tests.gateway.trading import ACCOUNT, Floor

D = Decimal
SIDES = st.sampled_from(["BUY", "SELL"])
TYPES = st.sampled_from(["MKT", "LMT", "LMT", "STP", "STP LMT"])
QUANTITIES = st.sampled_from([1, 10, 100, 700, 5_000, 40_000])
OFFSETS = st.integers(-8, 8)
NEAR = D("231.50")


class ExchangeMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.floor = Floor(cash="10000000", seed=5)
        self.next_id = {1: 1, 2: 1}
        self.told: list[Event] = []

    def _next(self, client: int, count: int = 1) -> int:
        self.next_id[client] += count
        return self.next_id[client] - count

    @rule(
        client=st.sampled_from([1, 2]),
        side=SIDES,
        order_type=TYPES,
        quantity=QUANTITIES,
        offset=OFFSETS,
        tif=st.sampled_from(["DAY", "GTC", "IOC", "FOK"]),
        group=st.sampled_from(["", "", "g", "h"]),
        oca_type=st.sampled_from([1, 2, 3]),
        transmit=st.sampled_from([True, True, True, False]),
    )
    def place(  # noqa: PLR0913
        self,
        client: int,
        side: str,
        order_type: str,
        quantity: int,
        offset: int,
        tif: str,
        group: str,
        oca_type: int,
        transmit: bool,
    ) -> None:
        price = NEAR + D(offset) / 100
        self.floor.place(
            self._next(client),
            side,
            quantity,
            order_type,
            limit=price,
            stop=price,
            client=client,
            time_in_force=tif,
            oca_group=group,
            oca_type=oca_type,
            transmit=transmit,
        )

    @rule(client=st.sampled_from([1, 2]), side=SIDES, quantity=QUANTITIES, offset=OFFSETS)
    def bracket(self, client: int, side: str, quantity: int, offset: int) -> None:
        first = self._next(client, 3)
        away = "SELL" if side == "BUY" else "BUY"
        sign = 1 if side == "BUY" else -1
        entry = NEAR + D(offset) / 100
        exits = {"client": client, "parent_id": first}
        self.floor.place(first, side, quantity, "LMT", limit=entry, transmit=False, client=client)
        self.floor.place(first + 1, away, quantity, "LMT", limit=entry + sign * D("0.05"), transmit=False, **exits)
        self.floor.place(first + 2, away, quantity, "STP", stop=entry - sign * D("0.05"), **exits)

    @rule(client=st.sampled_from([1, 2]), back=st.integers(1, 6), quantity=QUANTITIES, offset=OFFSETS)
    def modify(self, client: int, back: int, quantity: int, offset: int) -> None:
        order_id = self.next_id[client] - back
        order = self.floor.exchange.register.find(client, order_id)
        if order is not None:
            price = NEAR + D(offset) / 100
            self.floor.place(order_id, order.side, quantity, order.order_type, limit=price, stop=price, client=client)

    @rule(client=st.sampled_from([1, 2]), back=st.integers(1, 8))
    def cancel(self, client: int, back: int) -> None:
        self.floor.cancel(self.next_id[client] - back, client=client)

    @rule(times=st.integers(1, 3))
    def step(self, times: int) -> None:
        self.floor.step(times)

    @rule()
    def cancel_all(self) -> None:
        self.floor.cancel_all()
        assert not self.floor.exchange.register.working

    @invariant()
    def the_market_holds_what_the_register_says(self) -> None:
        market, register = self.floor.market(), self.floor.exchange.register
        resting = {side: D(0) for side in Side}
        for order in register.working.values():
            assert not order.done
            assert order.remaining > 0
            waits = register.waits_for_parent(order) or order.waits_for_trigger
            at_market = order.limit is None
            assert (order.perm_id in market.book) is not (waits or at_market)
            assert (order.perm_id in market.waiting) is (at_market and not waits)
            if order.perm_id in market.book:
                assert market.book.quantity(order.perm_id) == order.remaining
                resting[order.side] += order.remaining
        for side in Side:
            levels = market.book.levels(side)
            assert sum(level.quantity for level in levels) >= resting[side]
        assert all(key in register.working for key in market.waiting)

    @invariant()
    def fills_add_up(self) -> None:
        exchange = self.floor.exchange
        by_order: defaultdict[int, Decimal] = defaultdict(Decimal)
        for execution in exchange.register.executions:
            by_order[execution.perm_id] += execution.quantity
        orders = [*exchange.register.working.values(), *exchange.register.completed.values()]
        for order in orders:
            assert order.filled == by_order[order.perm_id]
            assert (order.status is Status.FILLED) is (order.remaining == 0)
        assert len({execution.exec_id for execution in exchange.register.executions}) == len(
            exchange.register.executions
        )
        account = exchange.accounts[ACCOUNT]
        pending: defaultdict[tuple[int, Side], Decimal] = defaultdict(Decimal)
        for order in exchange.register.working.values():
            if not order.parent_id:
                pending[order.listing.con_id, order.side] += order.remaining
        assert account.pending == pending

    @invariant()
    def what_is_told_is_in_order(self) -> None:
        """Nothing is said of an order before its openOrder, and nothing but a fill's second half after its end."""
        self.told += self.floor.told
        self.floor.told.clear()
        opened: set[int] = set()
        for event in self.told:
            match event:
                case Opened(order):
                    opened.add(order.perm_id)
                case StatusChanged(order):
                    assert order.perm_id in opened or order.status is Status.CANCELLED
                case Executed(execution):
                    assert execution.perm_id in opened
                case Failed(_):
                    pass


ExchangeMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
test_random_trading = ExchangeMachine.TestCase
