"""Small books that agree; tests make them differ in one thing.

ours, theirs = books()                                  one working order, one execution, one holding, on both sides
ours, theirs = books(order={"filled": D(4)})            ours says something else of the order
ours, theirs = books(listed=None)                       the broker does not list it
"""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal as D

from orders.breaks.books import (
    BrokerBook,
    Holding,
    ListedExecution,
    ListedOrder,
    OurBook,
    OurExecution,
    OurOrder,
    Standing,
    Terms,
)

ACCOUNT = "DU1000001"
PERM_ID = 1788680597
EXEC_ID = "0000e0d5.6a2b.01.01"
STAMP = "ABCDEFGHIJKLM"
CON_ID = 265598
NOW = datetime(2026, 1, 15, 14, 30, tzinfo=UTC)
TERMS = Terms(quantity=D(10), limit_price=D("150.25"), stop_price=None)

ORDER = OurOrder(
    pk=5,
    account=ACCOUNT,
    perm_id=PERM_ID,
    symbol="AAPL",
    stamp=STAMP,
    standing=Standing.WORKING,
    status="New",
    terms=TERMS,
    filled=D(4),
)
LISTED = ListedOrder(
    account=ACCOUNT,
    perm_id=PERM_ID,
    symbol="AAPL",
    stamp=STAMP,
    standing=Standing.WORKING,
    filled=D(4),
    terms=TERMS,
)
EXECUTION = OurExecution(
    pk=7, account=ACCOUNT, exec_id=EXEC_ID, symbol="AAPL", quantity=D(4), price=D("150.20"), listed_today=True
)
LISTED_EXECUTION = ListedExecution(account=ACCOUNT, exec_id=EXEC_ID, symbol="AAPL", quantity=D(4), price=D("150.20"))
HOLDING = Holding(symbol="AAPL", security_type="STK", quantity=D(4))


AS_IT_IS: dict = {}


def changed(value, changes):
    return () if changes is None else (replace(value, **changes),)


def books(
    *,
    order=AS_IT_IS,
    listed=AS_IT_IS,
    execution=AS_IT_IS,
    listed_execution=AS_IT_IS,
    holding=AS_IT_IS,
    held=AS_IT_IS,
    **ours,
):
    """Ours and the broker's; None leaves a thing out, a dictionary changes it."""
    here = {
        "read_at": NOW,
        "accounts": frozenset({ACCOUNT}),
        "anchored": frozenset({ACCOUNT}),
        "orders": changed(ORDER, order),
        "executions": {(row.account, row.exec_id): row for row in changed(EXECUTION, execution)},
        "holdings": dict(zip([(ACCOUNT, CON_ID)], changed(HOLDING, holding), strict=False)),
    }
    there = BrokerBook(
        orders={(row.account, row.perm_id): row for row in changed(LISTED, listed)},
        executions={(row.account, row.exec_id): row for row in changed(LISTED_EXECUTION, listed_execution)},
        holdings=dict(zip([(ACCOUNT, CON_ID)], changed(HOLDING, held), strict=False)),
    )
    return OurBook(**here | ours), there
