"""What somebody wants the owner of the session to ask: a number on its row, raised here and reached there.

Counted and not timed, so that no two clocks need to agree; the owner looks several times a second.
"""

from django.db.models import F

from accounts.models import GatewaySession


def open_orders(gateway: str) -> int:
    """Want all open orders; `open_orders_listed` reaches the number once they were asked for after this call."""
    return _raise(gateway, "open_orders_wanted")


def day(gateway: str) -> int:
    """Want the day's orders and executions; `executions_synced` reaches the number likewise."""
    return _raise(gateway, "executions_wanted")


def _raise(gateway: str, counter: str) -> int:
    sessions = GatewaySession.objects.filter(pk=gateway)
    sessions.update(**{counter: F(counter) + 1})
    return sessions.values_list(counter, flat=True).get()
