"""The scopes in which the protocol is explored, every world of each, and what each is about."""

from tests.model.world import FOREVER, Budget, Scope

SCOPES: dict[str, Scope] = {
    "one order; the connection, the gateway and the worker fail, ids are named again, orders are listed late": Scope(
        faults=Budget(cuts=2, kills=1, restarts=1, late=1), rolls_back=True
    ),
    "one order, a standby; the worker dies or loses the lock, and goes on unaware": Scope(
        workers=2, faults=Budget(cuts=1, kills=1, lost_locks=1)
    ),
    "one order, a standby; a commit fails or cannot be told, and the lock is lost": Scope(
        workers=2, faults=Budget(failed_commits=1, lost_locks=1, cuts=1)
    ),
    "two orders, one connection; a list that never shows what was accepted": Scope(
        requests=(1, 1), faults=Budget(cuts=2, late=1), late=FOREVER
    ),
    "a bracket, cut at every message; listed late": Scope(requests=(3,), faults=Budget(cuts=1, kills=1, late=1)),
    "a bracket; a list that never shows what was accepted": Scope(
        requests=(3,), faults=Budget(cuts=2, late=1), late=FOREVER
    ),
    "a bracket; the gateway restarts, forgets, names ids again": Scope(
        requests=(3,), faults=Budget(cuts=1, restarts=1), rolls_back=True
    ),
    "one order; the link behind the gateway (1100, 1102) and midnight": Scope(
        faults=Budget(cuts=1, link_losses=1, midnights=1, late=1)
    ),
    "one order, to be cancelled; it may be filled, the answer lost, the worker killed": Scope(
        faults=Budget(cuts=2, kills=1, cancels=1, fills=1)
    ),
    "one order; fills and refusals while nobody listens, and fills that are forgotten": Scope(
        faults=Budget(cuts=1, restarts=1, late=1, fills=1, refusals=1), forgets_fills=True
    ),
}

# Too large to visit every world of: for walks by chance.
LARGE = Scope(
    requests=(1, 3, 1),
    workers=2,
    faults=Budget(
        cuts=3,
        kills=2,
        restarts=2,
        link_losses=1,
        midnights=1,
        late=2,
        refusals=1,
        fills=1,
        failed_commits=1,
        lost_locks=1,
        cancels=2,
    ),
    rolls_back=True,
    forgets_fills=True,
)
