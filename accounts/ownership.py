"""Who owns a broker session: whoever holds its advisory lock, for as long as that connection to the database lives.

The key is made of the gateway's name and the client id, so that two programs on one database meet only where they must.
"""

import zlib

from django.db import connection


def lock_key(*, gateway: str, client_id: int) -> int:
    return zlib.crc32(f"{gateway}/{client_id}".encode())


def is_owned(*, gateway: str, client_id: int) -> bool:
    """True while some process holds the lock."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT EXISTS (
                SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = database
                WHERE locktype = 'advisory' AND granted AND datname = current_database()
                    AND classid = 0 AND objid::bigint = %s AND objsubid = 1
            )
            """,
            [lock_key(gateway=gateway, client_id=client_id)],
        )
        (owned,) = cursor.fetchone()
    return bool(owned)
