"""Django's PostgreSQL engine, but for how it finds out whether a kept connection is still good.

Rule: before each request and each task the connection is looked at. Django asks the server (SELECT 1), which is a round
trip; a server that ended has hung up, and that can be seen on the socket: there is something to read where nothing was
asked. Only then is the server asked.
"""

import select
from typing import Any

from django.db.backends.postgresql import base, operations


class DatabaseOperations(operations.DatabaseOperations):
    def last_executed_query(self, cursor: Any, sql: str, params: Any) -> str:
        """For those who look at queries; the driver forgets the text of what it has prepared (database.prepared)."""
        return super().last_executed_query(cursor, sql, params) or sql


class DatabaseWrapper(base.DatabaseWrapper):
    ops_class = DatabaseOperations

    def is_usable(self) -> bool:
        if self.connection is None or self.connection.closed:
            return False  # the driver saw it end, and gave the socket away
        poll = select.poll()
        poll.register(self.connection.pgconn.socket, select.POLLIN)
        return not poll.poll(0) or super().is_usable()
