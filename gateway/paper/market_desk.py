"""Contracts and prices."""

from collections.abc import Iterable
from decimal import Decimal

from gateway.paper import rendering
from gateway.paper.book import Side
from gateway.paper.exchange import Exchange
from gateway.paper.sessions import Session
from gateway.tws import messages as m

UNKNOWN_CONTRACT = "No security definition has been found for the request"
BID, ASK, LAST, CLOSE = 1, 2, 4, 9


class MarketDesk:
    """Answers what concerns contracts, and streams the best prices of those that are watched."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def details(self, session: Session, message: m.ReqContractDetails) -> None:
        listing = self._exchange.catalogue.find(rendering.contract_ask(message.contract))
        if listing is None:
            session.error(message.req_id, 200, UNKNOWN_CONTRACT)
            return
        session.send(rendering.contract_details(message.req_id, listing, message.contract.exchange))
        session.send(m.ContractDetailsEnd(req_id=message.req_id))

    def watch(self, session: Session, message: m.ReqMktData) -> None:
        listing = self._exchange.catalogue.find(rendering.contract_ask(message.contract))
        if listing is None:
            session.error(message.req_id, 200, UNKNOWN_CONTRACT)
            return
        for tick in self.ticks(message.req_id, listing.con_id):
            session.send(tick)
        if message.snapshot:
            session.send(m.TickSnapshotEnd(req_id=message.req_id))
        else:
            session.quotes[message.req_id] = listing.con_id

    def unwatch(self, session: Session, message: m.CancelMktData) -> None:
        session.quotes.pop(message.req_id, None)
        session.said = {key: value for key, value in session.said.items() if key[:2] != ("quote", message.req_id)}

    def stream(self, sessions: Iterable[Session]) -> None:
        """Tell watchers the prices that changed."""
        for session in sessions:
            for req_id, con_id in session.quotes.items():
                for tick in self.ticks(req_id, con_id):
                    if session.is_news(f"{tick.price} {tick.size}", "quote", req_id, tick.tick_type):
                        session.send(tick)

    def ticks(self, req_id: int, con_id: int) -> list[m.TickPrice]:
        market = self._exchange.markets[con_id]
        bid, ask = market.book.best(Side.BUY), market.book.best(Side.SELL)
        nothing = Decimal(-1), Decimal(0)  # IB's way to say that nobody quotes
        prices = {
            BID: (bid.price, bid.quantity) if bid else nothing,
            ASK: (ask.price, ask.quantity) if ask else nothing,
            LAST: (market.last, market.last_size),
            CLOSE: (market.listing.reference_price, Decimal(0)),
        }
        return [
            m.TickPrice(req_id=req_id, tick_type=kind, price=price, size=size) for kind, (price, size) in prices.items()
        ]
