"""Orders, executions and completed orders, as a client asks for them and hears of them.

Rules: live callbacks go to the session of the order's own client id and to nobody else; the questions answer for
whoever asks. Placements, cancels and what became of them go into the ledger as they are received.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from gateway.paper import rendering
from gateway.paper.exchange import Exchange
from gateway.paper.ledger import Ledger
from gateway.paper.orders import (
    Charged,
    Event,
    Executed,
    Execution,
    Failed,
    Opened,
    Order,
    Refusal,
    StatusChanged,
)
from gateway.paper.sessions import Session
from gateway.tws import messages as m
from gateway.tws.order import OrderState

TIME_FORMATS = ("%Y%m%d-%H:%M:%S", "%Y%m%d %H:%M:%S", "%Y%m%d")


class OrderDesk:
    """Answers what concerns orders."""

    def __init__(self, exchange: Exchange, ledger: Ledger, clock: rendering.Clock) -> None:
        self._exchange = exchange
        self._ledger = ledger
        self._clock = clock

    # Requests

    def place(self, session: Session, message: m.PlaceOrder) -> None:
        asked = rendering.placement(session.client_id, message)
        if message.order.what_if:
            self._what_if(session, message)
        else:
            self._ledger.placement(session.number, asked, self._exchange.place(asked))

    def cancel(self, session: Session, message: m.CancelOrder) -> None:
        receipt = self._exchange.cancel(session.client_id, message.order_id)
        self._ledger.cancel(session.number, session.client_id, message.order_id, receipt)

    def cancel_all(self, session: Session, message: m.ReqGlobalCancel) -> None:
        self._ledger.record("global_cancel", session=session.number, clientId=session.client_id)
        self._exchange.cancel_all()

    def ids(self, session: Session, message: m.ReqIds) -> None:
        session.send(m.NextValidId(order_id=self._exchange.register.next_valid_id(session.client_id)))

    def own(self, session: Session, message: m.ReqOpenOrders) -> None:
        self._list(session, lambda order: order.client_id == session.client_id)

    def all(self, session: Session, message: m.ReqAllOpenOrders) -> None:
        self._list(session, lambda order: True)

    def auto(self, session: Session, message: m.ReqAutoOpenOrders) -> None:
        if session.client_id != 0:
            session.error(-1, 327, "Only the default client (i.e 0) can auto bind orders.")

    def completed(self, session: Session, message: m.ReqCompletedOrders) -> None:
        session.tell(self._told_completed(list(self._exchange.register.completed.values())))

    def executions(self, session: Session, message: m.ReqExecutions) -> None:
        try:
            fits = self._filter(message)
        except ValueError:
            session.error(message.req_id, 321, "Error validating request.-'bI' : cause - Invalid time was entered")
            return
        session.tell(self._told_executions(list(filter(fits, self._exchange.register.executions)), message.req_id))

    # Events

    def report(self, session: Session, event: Event) -> None:
        """Tell the owner of an order what happened to it."""
        match event:
            case Opened(order):
                session.send(rendering.open_order(order))
            case StatusChanged(order):
                session.send(rendering.order_status(order))
            case Executed(execution):
                session.send(rendering.exec_details(execution, self._clock))
            case Charged(execution):
                session.send(rendering.commission_report(execution))
            case Failed(_, order_id, code, text):
                session.error(order_id, code, text)

    def _list(self, session: Session, wanted: Callable[[Order], bool]) -> None:
        for order in self._exchange.register.working.values():
            if wanted(order):
                session.send(rendering.open_order(order), rendering.order_status(order))
        session.send(m.OpenOrderEnd())

    # Bit by bit: a whole day takes seconds to say, and others want to be heard meanwhile.

    def _told_completed(self, orders: list[Order]) -> Iterator[m.Response]:
        for order in orders:
            yield rendering.completed_order(order, self._clock)
        yield m.CompletedOrdersEnd()

    def _told_executions(self, executions: list[Execution], request_id: int) -> Iterator[m.Response]:
        for execution in executions:
            yield rendering.exec_details(execution, self._clock, request_id)
            yield rendering.commission_report(execution)
        yield m.ExecDetailsEnd(req_id=request_id)

    def _what_if(self, session: Session, message: m.PlaceOrder) -> None:
        """Margin and commission of an order that is not placed: an openOrder without permId, and nothing else."""
        try:
            order, now, change, fee = self._exchange.what_if(rendering.placement(session.client_id, message))
        except Refusal as refusal:
            session.error(message.order_id, refusal.code, refusal.text)
            return
        margin, equity = rendering.money(now.margin), rendering.money(now.equity)
        change, after = rendering.money(change), rendering.money(now.margin + change)
        state = OrderState(
            status=order.status.value,
            init_margin_before=margin,
            maint_margin_before=margin,
            equity_with_loan_before=equity,
            init_margin_change=change,
            maint_margin_change=change,
            equity_with_loan_change=rendering.money(-fee),
            init_margin_after=after,
            maint_margin_after=after,
            equity_with_loan_after=equity - rendering.money(fee),
            commission=fee,
            commission_currency="USD",
        )
        session.send(rendering.open_order(order, what_if=state))

    def _filter(self, asked: m.ReqExecutions) -> Callable[[Execution], bool]:
        since = self._time(asked.time) if asked.time.strip() else None
        side = {"BOT": "BUY", "SLD": "SELL"}.get(asked.side.upper(), asked.side.upper())

        def fits(execution: Execution) -> bool:
            return (
                (not asked.client_id or execution.client_id == asked.client_id)
                and asked.account in ("", execution.account)
                and asked.symbol.upper() in ("", execution.listing.symbol)
                and asked.sec_type in ("", "STK")
                and asked.exchange in ("", "SMART", execution.listing.primary_exchange)
                and side in ("", execution.side)
                and (since is None or execution.at >= since)
            )

        return fits

    def _time(self, text: str) -> datetime:
        """`YYYYMMDD hh:mm:ss` in the gateway's zone, `YYYYMMDD-hh:mm:ss` in UTC. A zone behind it must be ours."""
        words = " ".join(text.split()).removesuffix(f" {self._clock.name}")
        zone = self._clock.zone
        if words.endswith(" UTC"):
            words, zone = words.removesuffix(" UTC"), UTC
        for form in TIME_FORMATS:
            try:
                at = datetime.strptime(f"{words}+0000", f"{form}%z")
            except ValueError:
                continue
            return at if form == TIME_FORMATS[0] else at.replace(tzinfo=zone)
        raise ValueError(text)
