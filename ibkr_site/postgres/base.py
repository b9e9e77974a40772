"""Django's PostgreSQL engine, but for how it finds out whether a kept connection is still good.

Rule: before each request and each task the connection is looked at. Django asks the server (SELECT 1), which is a round
trip; a server that ended has hung up, and that can be seen on the socket: there is something to read where nothing was
asked. Only then is the server asked.
"""

import select

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    def is_usable(self) -> bool:
        if self.connection is None:
            return False
        poll = select.poll()
        poll.register(self.connection.pgconn.socket, select.POLLIN)
        return not poll.poll(0) or super().is_usable()
