"""What an attack must not have changed, and that the house lives on after it."""

import time
from contextlib import contextmanager

import psycopg

from tests.walks.house import House

# Refused requests are kept, and the site's own chain grows with them: these are what must stand still.
UNTOUCHED = """
SELECT (SELECT count(*) FROM orders_order),
       (SELECT count(*) FROM orders_orderevent),
       (SELECT count(*) FROM orders_execution),
       (SELECT count(*) FROM accounts_halt),
       (SELECT count(*) FROM orders_orderrequest WHERE refusal = ''),
       (SELECT string_agg(concat_ws(' ', name, size, head), ', ' ORDER BY name) FROM audit_chain WHERE name <> 'site')
"""


class Record:
    """A look at the house's database and at the gateway's ledger, on a connection that is kept."""

    def __init__(self, house: House) -> None:
        url = (house.directory / "database_url").read_text().strip()
        self.connection = psycopg.connect(url, autocommit=True)
        self.house = house

    def look(self) -> tuple:
        """(orders, events, executions, halts, accepted requests, chains of accounts, what the gateway was told)"""
        return (*self.connection.execute(UNTOUCHED).fetchone(), self.house.gateway.ledger())

    @contextmanager
    def unchanged(self):
        """Nothing is ordered, recorded or sent meanwhile, nor shortly after; and the house is ready as before."""
        before = self.look()
        yield
        time.sleep(0.02)
        assert self.house.get("/health/ready").status_code == 200, self.house.log_tail()
        assert self.look() == before
