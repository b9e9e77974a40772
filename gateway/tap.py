"""Listens to the broker before ib_insync interprets it.

Rules: a message ends in exactly one report, end marker or `Undecodable`, never in silence; the library's own picture of
orders is not kept (it calls live orders Cancelled, and its Trades never go away); nothing here waits or raises.
Runs on the session's loop.
"""

import logging
from datetime import UTC, datetime, tzinfo
from typing import Protocol

from gateway import translation
from gateway.library import (
    Contract,
    ContractDetails,
    Decoder,
    Execution,
    IBCommissionReport,
    Order,
    OrderState,
    Wrapper,
)
from gateway.reports import Raw, Report, Undecodable
from gateway.translation import Received

log = logging.getLogger(__name__)

# The messages that mean something to us; each must reach one of the Tap's methods.
TAPPED = frozenset(
    ["3", "4", "5", "6", "7", "9", "10", "11", "15", "52", "53", "54", "55", "59", "61", "62", "101", "102"]
)


class Listener(Protocol):
    """What a Tap tells: reports in wire order, and what the session itself must know."""

    @property
    def number(self) -> int: ...

    @property
    def zone(self) -> tzinfo | None: ...

    def heard(self, at: datetime) -> None: ...

    def report(self, report: Report) -> None: ...

    def ended(self, raw: Raw, key: str) -> None:
        """An end marker, and the request id or account it names ("" for none)."""

    def details(self, request_id: int, details: ContractDetails) -> None: ...

    def offered_order_id(self, order_id: int) -> None: ...

    def offered_accounts(self, accounts: tuple[str, ...]) -> None: ...


class TapDecoder(Decoder):
    """Shows the Tap the raw fields of the message being interpreted, and what could not be."""

    def interpret(self, fields: list[str]) -> None:
        # The library logs what goes wrong here and goes on; a fill lost like that is lost for good.
        tap: Tap = self.wrapper
        tap.begin(tuple(fields))
        try:
            self.handlers[int(fields[0])](fields)
        except Exception as problem:  # noqa: BLE001 whatever it is, the message must not vanish
            tap.undecodable(f"{type(problem).__name__}: {problem}")
        else:
            tap.end()

    def execDetails(self, fields: list[str]) -> None:
        # The library drops an execution whose time zone it does not know. We read the time from the raw field, so it
        # gets one that it cannot fail on.
        if len(fields) > 15:
            fields[15] = "0"
        super().execDetails(fields)


class Tap(Wrapper):
    """The callbacks, by the library's names. None calls super(): the library keeps no state of ours."""

    def __init__(self, listener: Listener) -> None:
        super().__init__(None)
        self._listener = listener
        self._received = Received(listener.number, datetime.now(UTC), ())
        self._taken = False

    # Around each message

    def begin(self, raw: Raw) -> None:
        self._received = Received(self._listener.number, datetime.now(UTC), raw)
        self._taken = False
        self._listener.heard(self._received.received_at)

    def end(self) -> None:
        if not self._taken and self._received.raw[0] in TAPPED:
            # Its table-driven decoders log and swallow their own failures.
            self.undecodable("ib_insync could not interpret it; its own log line says why")

    def undecodable(self, why: str) -> None:
        raw = self._received.raw
        log.error("a message could not be read (%s): %s", why, ",".join(raw))
        self._listener.report(Undecodable(**self._received.common(), why=why))

    def _report(self, report: Report) -> None:
        self._listener.report(report)
        self._taken = True

    def _ended(self, key: str = "") -> None:
        self._listener.ended(self._received.raw, key)
        self._taken = True

    # Orders and fills

    def openOrder(self, orderId: int, contract: Contract, order: Order, orderState: OrderState) -> None:
        self._report(translation.open_order(self._received, contract, order, orderState))

    def orderStatus(self, *_fields: object) -> None:
        self._report(translation.order_status(self._received))

    def completedOrder(self, contract: Contract, order: Order, orderState: OrderState) -> None:
        self._report(translation.completed_order(self._received, contract, order, orderState))

    def execDetails(self, reqId: int, contract: Contract, execution: Execution) -> None:
        self._report(translation.execution(self._received, contract, execution, local=self._listener.zone))

    def commissionReport(self, commissionReport: IBCommissionReport) -> None:
        self._report(translation.commission(self._received))

    def error(self, reqId: int, errorCode: int, errorString: str, advancedOrderRejectJson: str) -> None:
        self._report(translation.error(self._received, request_id=reqId, code=errorCode, text=errorString))

    # Accounts

    def updateAccountValue(self, *_fields: object) -> None:
        self._report(translation.account_value(self._received))

    def updatePortfolio(self, contract: Contract, *_fields: object) -> None:
        self._report(translation.holding(self._received, contract))

    def position(self, account: str, contract: Contract, posSize: float, avgCost: float) -> None:
        self._report(translation.position(self._received, contract))

    # What the session itself needs

    def nextValidId(self, reqId: int) -> None:
        self._listener.offered_order_id(reqId)
        self._taken = True

    def managedAccounts(self, accountsList: str) -> None:
        self._listener.offered_accounts(tuple(name for name in accountsList.split(",") if name))
        self._taken = True

    def contractDetails(self, reqId: int, contractDetails: ContractDetails) -> None:
        self._listener.details(reqId, contractDetails)
        self._taken = True

    def openOrderEnd(self) -> None:
        self._ended()

    def completedOrdersEnd(self) -> None:
        self._ended()

    def positionEnd(self) -> None:
        self._ended()

    def accountDownloadEnd(self, _account: str) -> None:
        self._ended(_account)

    def execDetailsEnd(self, reqId: int) -> None:
        self._ended(str(reqId))

    def contractDetailsEnd(self, reqId: int) -> None:
        self._ended(str(reqId))

    # What the library would do around them

    def tcpDataArrived(self) -> None:
        pass

    def tcpDataProcessed(self) -> None:
        pass

    def connectionClosed(self) -> None:
        # The original tells every session of this process that its socket is gone.
        pass
