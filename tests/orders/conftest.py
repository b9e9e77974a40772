import time

import pytest
from django.db import connection, transaction

from audit.note import Signer
from audit.signing import Notary
from audit.sinks import FileSink
from gateway.broker import SessionStatus
from gateway.errors import ContractNotFound, NothingSent
from gateway.reports import Query, SessionState
from gateway.tickets import Instrument
from orders import holdings, journal
from orders.desk import Desk
from orders.models import Order
from orders.verification import Scope, Verifier
from tests.orders.builders import CLIENT_ID, GATEWAY, session_row

SIGNER = Signer("test/orders", bytes(32))


class RecordingBroker:
    """A broker session that is always ready and keeps what it was told; `failure` is raised by the next write."""

    def __init__(self):
        self.transmitted = []
        self.cancelled = []
        self.asked = []
        self.room_for = 46
        self.asked_room_for = []
        self.failure = None
        self.state = SessionState.READY
        self.heard_seconds_ago = 0.1
        self.connection = 1
        self.next_order_id = 1
        self.ready_since = time.monotonic()
        self.before_transmit = lambda: None

    def status(self):
        return SessionStatus(
            state=self.state,
            reason="",
            connection=self.connection,
            heard_seconds_ago=self.heard_seconds_ago,
            next_order_id=self.next_order_id,
            accounts=("DU1000001",),
            ready_since=self.ready_since,
        )

    def room(self, messages, *, timeout):
        self.asked_room_for.append(messages)
        if not self.room_for:
            raise NothingSent("no room")
        return self.room_for

    def qualify(self, symbol, *, timeout):
        if symbol == "INVALID":
            raise ContractNotFound(symbol)
        return Instrument(con_id=265598, symbol=symbol)

    def transmit(self, tickets, *, connection, before):
        self.before_transmit()
        if time.monotonic() >= before:
            raise NothingSent("too late")
        if self.failure is not None:
            raise self.failure
        self.transmitted.extend(tickets)

    def cancel(self, order_id, *, connection, while_recovering=False):
        if self.failure is not None:
            raise self.failure
        self.cancelled.append(order_id)

    def ask(self, query, *, timeout, connection=None):
        if self.failure is not None:
            raise self.failure
        self.asked.append(query)
        if query is Query.POSITIONS:
            holdings.take(gateway=GATEWAY)  # as the end of the real answer does


@pytest.fixture
def broker():
    return RecordingBroker()


@pytest.fixture
def desk(db, broker):
    session_row(epoch=1)
    return Desk(broker=broker, gateway=GATEWAY, client_id=CLIENT_ID, epoch=1)


@pytest.fixture(autouse=True)
def replay_equals_row(request):
    """After every test with a database, each order's events add up to its row."""
    yield
    if "db" in request.fixturenames or "transactional_db" in request.fixturenames:
        for order in Order.objects.all():
            assert journal.replay(order) == order.state()


@pytest.fixture(autouse=True)
def trail_equals_record(request):
    """After every test with a database, each row of the record is in the trail, as it is."""
    yield
    if "db" in request.fixturenames or "transactional_db" in request.fixturenames:
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        report = Verifier(Scope()).run()
        assert report.findings == []


@pytest.fixture
def commit():
    """Makes the database do what it does at a commit."""

    def run():
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")

    return run


@pytest.fixture
def files(tmp_path, settings):
    settings.AUDIT_SINKS = [f"file:{tmp_path / 'checkpoints'}"]
    settings.AUDIT_PUBLIC_KEYS = tmp_path / "public_keys"
    settings.AUDIT_PUBLIC_KEYS.write_text(f"{SIGNER.verifier}\n")
    return tmp_path


@pytest.fixture
def notary(files):
    return Notary(SIGNER, [SIGNER.verifier], [FileSink(files / "checkpoints")], memory=files / "last_signed")


@pytest.fixture
def superuser():
    """Runs SQL with every trigger off; all is undone at the end."""
    with transaction.atomic(), connection.cursor() as cursor:

        def run(statement, *values):
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute(statement, values)
            cursor.execute("SET LOCAL session_replication_role = origin")

        yield run
        transaction.set_rollback(True)
