"""The ledger: what this gateway was told and what it did, one JSON object per line, appended and never changed.

Rules: a line is on disk (fsync) before the answer to the message that caused it leaves; lines of one turn share one
fsync. What changes the exchange is in its state first, together with these lines: a gateway that was killed between the
two writes them when it starts again, so neither knows more than the other. Every line has `time` (UTC, ISO 8601) and
`kind`; prices, quantities and money are strings with the exact decimals, an unset price is null. Texts stand as
received.

    start, stop         the gateway; `accounts`, `seed` / nothing more
    session_open        session, clientId, version
    session_close       session, clientId, reason, messages (how many it sent)
    placement           session, clientId, orderId, orderRef, symbol, conId, side, type, quantity, limitPrice,
                        stopPrice, account, tif, parentId, transmit, ocaGroup; then accepted, errorCode, errorText,
                        permId, held
    modification        the same, for the id of a working order
    transmitted         a held order that now works: clientId, orderId, permId, orderRef
    cancel              session, clientId, orderId, accepted, errorCode, errorText, permId
    global_cancel       session, clientId
    execution           execId, permId, orderId, clientId, orderRef, account, symbol, side, quantity, price, commission,
                        realizedPnl; `time` is the execution's own
    ended               an order's end: permId, orderId, clientId, orderRef, status, filled, reason
"""

import json
import os
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypedDict

from gateway.paper.orders import Event, Executed, Execution, Held, Order, Placement, Receipt, StatusChanged


class Promise(TypedDict):
    """Lines that are to stand in the file, and where they begin in it (bytes)."""

    at: int
    text: str


class Ledger:
    """Writes the file; without a path it writes nothing."""

    def __init__(self, path: Path | None, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lines: list[str] = []
        self._held: set[int] = set()
        self._last_ended = 0
        self._file = None if path is None else path.open("ab", buffering=0)
        self._size = 0 if self._file is None else self._file.tell()

    def record(self, kind: str, *, at: datetime | None = None, **facts: Any) -> None:
        if self._file is not None:
            line = {"time": (at or self._clock()).isoformat(), "kind": kind, **facts}
            self._lines.append(json.dumps(line, default=str, ensure_ascii=False) + "\n")

    def pending(self) -> Promise:
        """What `commit` is going to write."""
        return {"at": self._size, "text": "".join(self._lines)}

    def keep(self, promise: Promise) -> None:
        """Write what a killed gateway was going to, as far as it did not."""
        text, written = promise["text"].encode(), max(0, self._size - promise["at"])
        # A file that is shorter than it was is another one.
        self._write(text[written:] if self._size >= promise["at"] else text)

    def commit(self) -> None:
        """Make all lines so far durable."""
        data = "".join(self._lines).encode()
        self._lines.clear()
        self._write(data)

    def _write(self, data: bytes) -> None:
        if self._file is None or not data:
            return
        self._size += len(data)
        while data:
            data = data[self._file.write(data) :]
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self.commit()
        if self._file is not None:
            self._file.close()
            self._file = None

    def placement(self, session: int, asked: Placement, receipt: Receipt) -> None:
        self.record(
            "modification" if receipt.modified else "placement",
            session=session,
            clientId=asked.client_id,
            orderId=asked.order_id,
            orderRef=asked.order_ref,
            symbol=asked.contract.symbol,
            conId=asked.contract.con_id,
            side=asked.side,
            type=asked.order_type,
            quantity=asked.quantity,
            limitPrice=asked.limit_price,
            stopPrice=asked.stop_price,
            account=asked.account,
            tif=asked.time_in_force,
            parentId=asked.parent_id,
            transmit=asked.transmit,
            ocaGroup=asked.oca_group,
            **_outcome(receipt),
            held=receipt.held,
        )

    def cancel(self, session: int, client_id: int, order_id: int, receipt: Receipt) -> None:
        self.record("cancel", session=session, clientId=client_id, orderId=order_id, **_outcome(receipt))

    def event(self, event: Event) -> None:
        """What the exchange did: executions, held orders that start to work, and ends."""
        match event:
            case Executed(execution):
                self._execution(execution)
            case Held(order):
                self._held.add(order.perm_id)
            case StatusChanged(order):
                self._status(order)

    def _status(self, order: Order) -> None:
        names: dict[str, Any] = {"permId": order.perm_id, "clientId": order.client_id, "orderId": order.order_id}
        if order.perm_id in self._held:
            self._held.discard(order.perm_id)
            if not order.done:
                self.record("transmitted", **names, orderRef=order.order_ref)
        if order.done and order.perm_id != self._last_ended:  # Filled is told twice in a row
            self._last_ended = order.perm_id
            self.record(
                "ended",
                **names,
                orderRef=order.order_ref,
                status=order.status,
                filled=order.filled,
                reason=order.ended_because,
            )

    def _execution(self, execution: Execution) -> None:
        self.record(
            "execution",
            at=execution.at,
            execId=execution.exec_id,
            permId=execution.perm_id,
            orderId=execution.order_id,
            clientId=execution.client_id,
            orderRef=execution.order_ref,
            account=execution.account,
            symbol=execution.listing.symbol,
            side=execution.side,
            quantity=execution.quantity,
            price=execution.price,
            commission=execution.commission,
            realizedPnl=None if execution.realized is None else plain(execution.realized),
        )


def _outcome(receipt: Receipt) -> dict[str, Any]:
    return {
        "accepted": receipt.accepted,
        "errorCode": receipt.code,
        "errorText": receipt.text,
        "permId": receipt.perm_id,
    }


def plain(number: Decimal) -> str:
    """At most eight decimals, no exponent."""
    return f"{round(number, 8).normalize():f}"
