"""The broker's word on sessions and accounts, kept in step: one row per figure, with the time it was said.

Written by the gateway worker's report consumer. Account figures come in bursts of dozens, so they are gathered and
written together; positions and the session's state are written at once.
"""

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from django.db import Error, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce, Greatest, Now
from django.utils import timezone

from accounts.history import GatewayStateChange
from accounts.models import AccountValue, BrokerAccount, GatewayConnection, GatewaySession, Position
from database import prepared
from gateway.reports import (
    AccountValueReport,
    AnswerComplete,
    Heard,
    PortfolioReport,
    PositionReport,
    Query,
    Report,
    SessionChanged,
    SessionState,
)

log = logging.getLogger(__name__)

SIGN_OF_LIFE_SECONDS = 2.0
_HELD = ", ".join(
    f"{name} = EXCLUDED.{name}" for name in ("symbol", "security_type", "currency", "quantity", "average_cost", "as_of")
)
# What another quantity was worth is not what this one is worth: the new value comes a moment later, by itself.
POSITIONS = prepared.Insertion(
    Position,
    conflict=f"""(account_id, con_id) DO UPDATE SET {_HELD},
        market_value = CASE WHEN accounts_position.quantity = EXCLUDED.quantity OR accounts_position.valued_at IS NULL
            THEN accounts_position.market_value END,
        valued_at = CASE WHEN accounts_position.quantity = EXCLUDED.quantity THEN accounts_position.valued_at END""",
)
VALUED_POSITIONS = prepared.Insertion(
    Position,
    conflict=f"""(account_id, con_id) DO UPDATE SET {_HELD}, market_price = EXCLUDED.market_price,
        market_value = EXCLUDED.market_value, valued_at = EXCLUDED.valued_at""",
)

Holding = PositionReport | PortfolioReport


class LiveBook:
    """Applies reports for one gateway and one owner. `apply` is called by one thread; `flush` by any."""

    def __init__(self, *, gateway: str, epoch: int) -> None:
        self.gateway = gateway
        self.epoch = epoch
        self._values: dict[tuple[str, str, str], AccountValue] = {}
        self._lock = threading.Lock()
        self._flushing = threading.Lock()  # one after the other, or an older figure could win
        self._next_sign_of_life = 0.0

    def apply(self, report: Report) -> None:
        match report:
            case SessionChanged():
                self._session_changed(report)
            case Heard():
                self._sessions().update(heard_at=_by_the_database(report.received_at))
            case AccountValueReport():
                self._gather(report)
            case PositionReport() | PortfolioReport():
                self._holdings([report])
            case AnswerComplete():
                self._answered(report)

    def apply_all(self, reports: Iterable[Report]) -> None:
        """Apply reports in their order; of what is told of one holding several times, the last."""
        latest: dict[object, Report] = {}
        for report in reports:
            key = _figure(report)
            latest.pop(key, None)
            latest[key] = report
        for _, alike in groupby(latest.values(), key=type):
            together = [*alike]
            holdings = [report for report in together if isinstance(report, PositionReport | PortfolioReport)]
            if holdings:
                self._holdings(holdings)
            else:
                for report in together:
                    self.apply(report)

    def flush(self) -> None:
        """Write the gathered account figures. What could not be written is kept, beneath what came since."""
        with self._flushing:
            with self._lock:
                values, self._values = self._values, {}
            if not values:
                return
            try:
                AccountValue.objects.bulk_create(
                    values.values(),
                    update_conflicts=True,
                    unique_fields=["account", "key", "currency"],
                    update_fields=["value", "as_of"],
                )
            except Error:
                with self._lock:
                    self._values = values | self._values
                raise

    def sign_of_life(self) -> None:
        """Say now and then that the owner lives, whatever its session does. Called by one thread."""
        if time.monotonic() >= self._next_sign_of_life:
            self._sessions().update(owner_seen_at=Now())
            self._next_sign_of_life = time.monotonic() + SIGN_OF_LIFE_SECONDS

    def _sessions(self) -> QuerySet[GatewaySession]:
        # The last words of an owner that was deposed may come late, and are not about its successor's session.
        return GatewaySession.objects.filter(pk=self.gateway, epoch=self.epoch)

    def _session_changed(self, report: SessionChanged) -> None:
        ready = report.state is SessionState.READY
        changes: dict[str, Any] = {
            "state": report.state,
            "reason": report.reason,
            "state_since": report.received_at,
            "away_since": None if ready else Coalesce(F("away_since"), _by_the_database(report.received_at)),
            "connection": report.connection,
        }
        if ready or report.cause:  # while it tries again, what made it fail stays known
            changes["cause"] = report.cause
        if report.time_zone:
            changes["time_zone"] = report.time_zone
        if report.accounts:
            changes["accounts"] = list(report.accounts)
            BrokerAccount.objects.bulk_create(
                [BrokerAccount(pk=account, session_id=self.gateway) for account in report.accounts],
                ignore_conflicts=True,
            )
        if report.offered_order_id:
            GatewayConnection.objects.bulk_create(
                [
                    GatewayConnection(
                        session_id=self.gateway,
                        epoch=self.epoch,
                        number=report.connection,
                        offered_order_id=report.offered_order_id,
                        opened_at=report.received_at,
                    )
                ],
                ignore_conflicts=True,
            )
        with transaction.atomic():
            if self._sessions().update(**changes):
                self._remember(report)
        # Ids only grow: a gateway that rolls its own back must not make us use one twice. True whoever saw it.
        floor = Greatest(F("next_order_id"), report.next_order_id)
        GatewaySession.objects.filter(pk=self.gateway).update(next_order_id=floor)

    def _remember(self, report: SessionChanged) -> None:
        change = GatewayStateChange(
            session_id=self.gateway,
            epoch=self.epoch,
            connection=report.connection,
            state=report.state,
            cause=report.cause,
            reason=report.reason,
            at=report.received_at,
        )
        GatewayStateChange.objects.bulk_create([change], ignore_conflicts=True)

    def _gather(self, report: AccountValueReport) -> None:
        value = AccountValue(
            account_id=report.account,
            key=report.key,
            currency=report.currency,
            value=report.value,
            as_of=report.received_at,
        )
        with self._lock:
            self._values[report.account, report.key, report.currency] = value

    def _holdings(self, told: Sequence[Holding]) -> None:
        """Reports of one kind, on different contracts."""
        write = POSITIONS if isinstance(told[0], PositionReport) else VALUED_POSITIONS
        rows = [
            Position(
                account_id=report.account,
                con_id=report.contract.con_id,
                symbol=report.contract.symbol,
                security_type=report.contract.security_type,
                currency=report.contract.currency,
                quantity=report.quantity,
                average_cost=report.average_cost,
                as_of=report.received_at,
                **_worth(report),
            )
            for report in told
        ]
        write.write(sorted(rows, key=lambda row: (row.account_id, row.con_id)))

    def _answered(self, answer: AnswerComplete) -> None:
        self.flush()
        if answer.query is Query.ALL_OPEN_ORDERS:
            self._sessions().update(open_orders_as_of=answer.started_at, open_perm_ids=sorted(answer.perm_ids))
        elif answer.query is Query.EXECUTIONS:
            self._sessions().update(executions_as_of=answer.started_at)
        elif answer.query is Query.POSITIONS:
            self._close_unlisted(answer.started_at)
            self._sessions().update(positions_as_of=answer.started_at)
        elif answer.query is Query.ACCOUNT:
            ours = BrokerAccount.objects.filter(pk=answer.account, session__epoch=self.epoch)
            ours.update(figures_as_of=answer.started_at)

    def _close_unlisted(self, started_at: datetime) -> None:
        """A complete list that leaves a holding out says that there is none."""
        ours = Q(account__session_id=self.gateway)
        gone = Position.objects.filter(ours, as_of__lt=started_at).exclude(quantity=0)
        gone.update(quantity=0, market_value=0, as_of=started_at)


def _figure(report: Report) -> object:
    """What a report is the latest word on."""
    if isinstance(report, PositionReport | PortfolioReport):
        return type(report), report.account, report.contract.con_id
    return type(report) if isinstance(report, Heard) else id(report)


def _worth(report: Holding) -> dict[str, Any]:
    """What a holding is worth, as far as the report says."""
    if isinstance(report, PositionReport):
        return {}
    return {
        "market_price": report.market_price,
        "market_value": report.market_value,
        "valued_at": report.received_at,
    }


def _by_the_database(moment: datetime) -> Combinable:
    """That moment by the database's clock: who reads it compares it with that one, and ours may be wrong."""
    return Now() - (timezone.now() - moment)
