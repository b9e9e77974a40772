"""The venue: wire messages in, answers out, by asking the exchange.

Rules: one venue serves all sessions; a session's mistake concerns that session only. What the exchange tells goes
first to the state and the ledger, then to the sessions, and nothing of it may leave before `commit` returned. The venue
opens no socket and reads no clock but the exchange's; `now` is the server's, any seconds that only go forward.

    session = venue.connect(now)
    wait = venue.receive(session, data, now)      # > 0: a paced client; call again, with b"", after that many seconds
    venue.commit()
    transport.write(session.connection.data_to_send())
    session.say_more()                            # a moment later, while session.unsaid is not empty
    venue.refresh_accounts()                      # a moment later, when venue.traded is not empty
    venue.disconnect(session)
"""

import logging
from collections.abc import Callable
from typing import Any

from gateway.paper import rendering
from gateway.paper.account_desk import AccountDesk
from gateway.paper.catalogue import Listing
from gateway.paper.exchange import Exchange
from gateway.paper.ledger import Ledger
from gateway.paper.market_desk import MarketDesk
from gateway.paper.order_desk import OrderDesk
from gateway.paper.orders import Charged, Event, Executed, Failed, Held, Opened, PositionChanged, StatusChanged
from gateway.paper.sessions import NOBODY, Session
from gateway.paper.state import Store
from gateway.paper.throttle import RATE, STRIKES, Throttle
from gateway.tws import messages as m
from gateway.tws.connection import NEED_DATA, ServerConnection
from gateway.tws.errors import RemoteProtocolError, UnknownMessage, UnreadableMessage

log = logging.getLogger(__name__)

FARMS = (
    (2104, "Market data farm connection is OK:usfarm"),
    (2106, "HMDS data farm connection is OK:ushmds"),
    (2158, "Sec-def data farm connection is OK:secdefnj"),
)
IN_USE = "Unable to connect as the client id is already in use. Retry with a unique client id."
# What a gateway refuses whose API may only look: whatever concerns orders, even to list the open ones.
FOR_TRADERS = (m.PlaceOrder, m.CancelOrder, m.ReqGlobalCancel, m.ReqOpenOrders, m.ReqAllOpenOrders, m.ReqAutoOpenOrders)
READ_ONLY = "Error validating request.-'b0' : cause - The API interface is currently in Read-Only mode."
NO_REQUEST = 2147483647  # IB's word for the id of a request that carries none
TOO_FAST = "Max rate of messages per second has been exceeded:max={} rec={} ({})"
PACED = "+PACEAPI"
STEPS_PER_REFRESH = 6  # account values follow prices more slowly than quotes do
STEPS_PER_PRICE_SAVE = 60


class Venue:
    """Everything between the sockets and the exchange."""

    def __init__(
        self,
        exchange: Exchange,
        *,
        ledger: Ledger,
        store: Store | None = None,
        clock: rendering.Clock | None = None,
        read_only: bool = False,
        rate: int = RATE,
    ) -> None:
        self.exchange = exchange
        self.sessions: dict[int, Session] = {}  # by client id
        # Accounts whose values were not told since their last execution, and the contracts that they traded since.
        self.traded: dict[str, set[int]] = {}
        self._ledger = ledger
        self._store = store
        self._clock = clock or rendering.Clock()
        self._rate = rate
        self._connected = 0
        self._steps = 0
        self._orders = OrderDesk(exchange, ledger, self._clock)
        self._accounts = AccountDesk(exchange, self._clock)
        self._markets = MarketDesk(exchange)
        self._handlers = self._table()
        if read_only:
            self._handlers |= dict.fromkeys(FOR_TRADERS, _refuse_read_only)

    def _table(self) -> dict[type[m.Message], Callable[[Session, Any], None]]:
        orders, accounts, markets = self._orders, self._accounts, self._markets
        return {
            m.StartApi: self._start,
            m.ReqManagedAccounts: self._managed_accounts,
            m.ReqCurrentTime: self._current_time,
            m.SetServerLogLevel: _nothing,
            m.ReqMarketDataType: _nothing,
            m.ReqIds: orders.ids,
            m.PlaceOrder: orders.place,
            m.CancelOrder: orders.cancel,
            m.ReqGlobalCancel: orders.cancel_all,
            m.ReqOpenOrders: orders.own,
            m.ReqAllOpenOrders: orders.all,
            m.ReqAutoOpenOrders: orders.auto,
            m.ReqCompletedOrders: orders.completed,
            m.ReqExecutions: orders.executions,
            m.ReqPositions: accounts.positions,
            m.CancelPositions: accounts.cancel_positions,
            m.ReqPositionsMulti: accounts.positions_multi,
            m.CancelPositionsMulti: accounts.cancel_positions_multi,
            m.ReqAccountUpdates: accounts.updates,
            m.ReqAccountUpdatesMulti: accounts.updates_multi,
            m.CancelAccountUpdatesMulti: accounts.cancel_updates_multi,
            m.ReqAccountSummary: accounts.summary,
            m.CancelAccountSummary: accounts.cancel_summary,
            m.ReqContractDetails: markets.details,
            m.ReqMktData: markets.watch,
            m.CancelMktData: markets.unwatch,
        }

    # The server's side

    def open(self) -> None:
        """Quote the markets for the first time; what trades with orders of an earlier run is delivered too."""
        self.exchange.open()
        self._deliver()

    def connect(self, now: float) -> Session:
        """A socket was accepted."""
        self._connected += 1
        return Session(
            number=self._connected,
            connection=ServerConnection(time_text=self._clock.text(self.exchange.clock())),
            throttle=Throttle(now, self._rate),
        )

    def receive(self, session: Session, data: bytes, now: float) -> float:
        """Read and answer what came. The seconds until more of it may be read and answered, else 0."""
        session.connection.receive_data(data)
        while not session.closing:
            wait = session.throttle.wait(now)
            if wait and PACED in session.connection.connect_options:
                return wait
            try:
                message = session.connection.next_message()
            except UnreadableMessage as error:
                about = NOBODY if error.request_id is None else error.request_id
                session.error(about, 320, f"Error reading request. {error}")
            except UnknownMessage as error:
                session.error(NOBODY, 505, f"Fatal Error: Unknown message id. {error.message_id}")
            except RemoteProtocolError as error:
                session.close(str(error))
            else:
                if message is NEED_DATA:
                    break
                self._answer(session, message, now)
        return 0.0

    def step(self) -> None:
        """One beat of the market, and what subscriptions hear of it."""
        self.exchange.step()
        self._deliver()
        self._steps += 1
        self._markets.stream(self.sessions.values())
        if self._steps % STEPS_PER_REFRESH == 0:
            self._accounts.refresh(self.sessions.values(), dict.fromkeys(self.exchange.accounts))
            self.traded.clear()
        if self._store is not None and self._steps % STEPS_PER_PRICE_SAVE == 0:
            self._store.note_prices()

    def refresh_accounts(self) -> None:
        """Tell subscriptions what changed in the accounts that traded since the last time."""
        self._accounts.refresh(self.sessions.values(), self.traded)
        self.traded.clear()

    def commit(self) -> None:
        """Make durable what happened, so that the answers may leave."""
        if self._store is not None:
            self._store.commit()
        self._ledger.commit()

    def disconnect(self, session: Session, reason: str = "") -> None:
        """The socket is gone."""
        session.close(reason or "connection closed by the client")
        if self.sessions.get(session.client_id) is session:
            del self.sessions[session.client_id]
            self._ledger.record(
                "session_close",
                session=session.number,
                clientId=session.client_id,
                reason=session.reason,
                messages=session.messages,
            )

    # Requests that concern no desk

    def _answer(self, session: Session, message: m.Message, now: float) -> None:
        session.messages += 1
        if message.leftover:
            log.warning("client %s: fields left over in %s", session.client_id, message)
        if isinstance(message, m.PlaceOrder | m.CancelOrder):
            session.traded = now
        if session.throttle.take(now):
            self._handlers[type(message)](session, message)
            self._deliver()
            return
        session.error(NOBODY, 100, TOO_FAST.format(self._rate, self._rate + 1, session.throttle.strike(now)))
        if session.throttle.strikes >= STRIKES:
            session.close("too many messages per second")

    def _start(self, session: Session, message: m.StartApi) -> None:
        if message.client_id in self.sessions:
            session.error(NOBODY, 326, IN_USE)
            session.close(f"client id {message.client_id} is in use")
            return
        session.client_id = message.client_id
        self.sessions[session.client_id] = session
        self._ledger.record(
            "session_open",
            session=session.number,
            clientId=session.client_id,
            version=session.connection.version,
        )
        self._managed_accounts(session, message)
        session.send(m.NextValidId(order_id=self.exchange.register.next_valid_id(session.client_id)))
        for code, text in FARMS:
            session.error(NOBODY, code, text)

    def _managed_accounts(self, session: Session, message: m.Message) -> None:
        session.send(m.ManagedAccounts(accounts=",".join(self.exchange.accounts)))

    def _current_time(self, session: Session, message: m.ReqCurrentTime) -> None:
        session.send(m.CurrentTime(time=int(self.exchange.clock().timestamp())))

    # Events

    def _deliver(self) -> None:
        """Pass on what the exchange told: written down first, then to the owner of the order."""
        moved: dict[tuple[str, int], tuple[str, Listing]] = {}
        for event in self.exchange.take_events():
            self._ledger.event(event)
            if self._store is not None:
                self._store.note(event)
            if isinstance(event, PositionChanged):
                moved[event.account, event.listing.con_id] = event.account, event.listing
            elif owner := self.sessions.get(_owner(event)):
                self._orders.report(owner, event)
        if moved:
            self._accounts.moved(self.sessions.values(), moved.values())
            for code, con_id in moved:
                self.traded.setdefault(code, set()).add(con_id)


def _owner(event: Event) -> int:
    """The client id an event belongs to."""
    match event:
        case Opened(order) | StatusChanged(order) | Held(order):
            return order.client_id
        case Executed(execution) | Charged(execution):
            return execution.client_id
        case Failed(client_id=client_id):
            return client_id
        case _:
            return NOBODY


def _refuse_read_only(session: Session, message: m.Message) -> None:
    about = message.order_id if isinstance(message, m.PlaceOrder | m.CancelOrder) else NO_REQUEST
    session.error(about, 321, READ_ONLY)


def _nothing(session: Session, message: m.Message) -> None:
    """A request that needs no answer and changes nothing here."""
