"""What two books say of executions and of what is held. Pure."""

from collections.abc import Iterator
from decimal import Decimal

from orders.breaks.books import (
    NOT_HERE,
    NOT_LISTED,
    BrokerBook,
    Holding,
    ListedExecution,
    OurBook,
    OurExecution,
    Point,
    Value,
    text,
)
from orders.breaks.vocabulary import BreakKind as K
from orders.families import place_of

ZERO = Decimal(0)
# Exchanged currencies and combinations are executed and never listed as a position.
NEVER_HELD = frozenset({"CASH", "BAG"})


def executions(ours: OurBook, theirs: BrokerBook) -> Iterator[Point]:
    """Executions of both sides; few points where nothing is watched, for there may be very many."""
    for key, listed in theirs.executions.items():
        execution = ours.executions.get(key)
        if execution is None or ours.watched or not _is_the_same(execution, listed):
            yield from _execution(listed, execution)
    families = {(account, place_of(exec_id)[0]) for account, exec_id in theirs.executions}
    for (account, exec_id), execution in ours.executions.items():
        listed_there = (account, exec_id) in theirs.executions
        # After a correction the broker may list either, or both.
        if listed_there or (execution.listed_today and (account, place_of(exec_id)[0]) not in families):
            yield _execution_known_there(execution, listed=listed_there)


def _is_the_same(execution: OurExecution, listed: ListedExecution) -> bool:
    return (execution.quantity, execution.price) == (listed.quantity, listed.price)


def _execution(listed: ListedExecution, execution: OurExecution | None) -> Iterator[Point]:
    def point(kind: K, subject: str, *, expected: Value, actual: Value) -> Point:
        return Point(
            kind=kind,
            key=f"{listed.account} execution {listed.exec_id} {subject.lower()}".rstrip(),
            account=listed.account,
            symbol=listed.symbol,
            subject=f"{subject} of execution {listed.exec_id}" if subject else f"Execution {listed.exec_id}",
            expected=expected,
            actual=actual,
            execution_pk=execution.pk if execution is not None else None,
        )

    there = f"{text(listed.quantity)} at {text(listed.price)}"
    if execution is None:
        yield point(K.MISSING_HERE, "", expected=NOT_HERE, actual=there)
        return
    yield point(K.MISSING_HERE, "", expected=there, actual=there)
    yield point(K.QUANTITY, "Quantity", expected=execution.quantity, actual=listed.quantity)
    yield point(K.PRICE, "Price", expected=execution.price, actual=listed.price)


def _execution_known_there(execution: OurExecution, *, listed: bool) -> Point:
    here = f"{text(execution.quantity)} at {text(execution.price)}"
    return Point(
        kind=K.MISSING_AT_BROKER,
        key=f"execution {execution.pk}",
        account=execution.account,
        symbol=execution.symbol,
        subject=f"Execution {execution.exec_id}",
        expected=here,
        actual=here if listed else NOT_LISTED,
        execution_pk=execution.pk,
    )


def orphans(ours: OurBook) -> Iterator[Point]:
    """Executions that should have an order here and have none."""
    looked_at = set()
    for execution in ours.orphans:
        point = Point(
            kind=K.ORPHAN_FILL,
            key=f"{execution.account} execution {execution.pk}",
            account=execution.account,
            symbol=execution.symbol,
            subject=f"Order of execution {execution.exec_id}",
            expected=NOT_HERE,
            actual=f"{text(execution.quantity)} at {text(execution.price)}",
            execution_pk=execution.pk,
        )
        looked_at.add(point.key)
        yield point
    yield from _vanished(K.ORPHAN_FILL, ours, looked_at, accounts=ours.accounts)


def _vanished(kind: K, ours: OurBook, looked_at: set[str], *, accounts: frozenset[str]) -> Iterator[Point]:
    """Watched breaks of a kind of which everything was read: what is not there any more is no difference."""
    for watched, key in ours.watched:
        account = key.partition(" ")[0]
        if watched == kind and key not in looked_at and account in accounts:
            yield Point(kind=kind, key=key, account=account, symbol="", subject="", expected=NOT_HERE, actual=NOT_HERE)


def positions(ours: OurBook, theirs: BrokerBook) -> Iterator[Point]:
    """What is held, contract by contract."""
    looked_at = set()
    for account, con_id in {**ours.holdings, **theirs.holdings}:
        here, there = ours.holdings.get((account, con_id)), theirs.holdings.get((account, con_id))
        known = here or there
        assert known is not None  # it came from one of the two
        if account not in ours.anchored or known.security_type in NEVER_HELD:
            continue
        nothing = Holding(symbol=known.symbol, security_type=known.security_type, quantity=ZERO)
        point = Point(
            kind=K.POSITION,
            key=f"{account} contract {con_id}",
            account=account,
            symbol=known.symbol,
            subject=f"Position in {known.symbol}",
            expected=(here or nothing).quantity,
            actual=(there or nothing).quantity,
            con_id=con_id,
            security_type=known.security_type,
        )
        looked_at.add(point.key)
        yield point
    yield from _vanished(K.POSITION, ours, looked_at, accounts=ours.anchored)
