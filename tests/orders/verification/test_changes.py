"""What somebody with all rights in the database may do to record and trail, and what verify_audit says of it."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, connection, transaction

from audit.models import Chain, Entry
from audit.record import record_site
from orders.models import Commission, Execution, Order, OrderEvent, OrderRequest
from tests.orders.factories import ACCOUNT, advance
from tests.orders.verification.tampering import CHAIN, forge, verify

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("case", "statement", "words"),
    [
        (
            "a price",
            "UPDATE orders_orderevent SET payload = payload - 'price' WHERE",
            "payload is",
        ),
        ("who it was", "UPDATE orders_orderevent SET actor = 'user:mallory' WHERE", 'actor is "user:mallory" and was'),
        ("when", "UPDATE orders_orderevent SET recorded_at = recorded_at + interval '1 us' WHERE", "recorded_at is"),
        ("the broker's words", "UPDATE orders_orderevent SET raw = '[\"11\"]' WHERE", "raw is"),
    ],
)
def test_an_edited_event(house, superuser, case, statement, words):
    event = house.events.get(kind="PARTIAL_FILL")
    superuser(f"{statement} id = %s", event.pk)

    for options in ({}, {"order": house.pk}, {"account": ACCOUNT}, {"since": event.recorded_at}):
        code, text = verify(**options)

        assert code == 5
        assert f"order {house.pk}, event {event.sequence} (PARTIAL_FILL) was changed: {words}" in text


def test_an_edited_entry(house, superuser):
    entry = Entry.objects.get(kind="order event", record=house.events.get(kind="PARTIAL_FILL").pk)
    superuser("UPDATE audit_entry SET body = replace(body, 'PARTIAL_FILL', 'FILL') WHERE id = %s", entry.pk)

    code, text = verify()

    assert code == 3
    assert f"REWRITTEN: {CHAIN}, entry {entry.seq} (order event of order:{house.pk}): its text does not have" in text
    assert verify(order=house.pk)[0] == 3


@pytest.mark.parametrize("column", ["subject = 'order:7'", "record = 7", "kind = 'login'", "recorded_at = now()"])
def test_an_entry_whose_columns_say_something_else(house, superuser, column):
    superuser(f"UPDATE audit_entry SET {column} WHERE chain = %s AND seq = 2", CHAIN)

    code, text = verify()

    assert (code, "its columns say something else than its text" in text) == (3, True)


def test_an_entry_taken_from_the_middle(house, superuser):
    superuser("DELETE FROM audit_entry WHERE chain = %s AND seq = 3", CHAIN)

    code, text = verify()

    assert (code, "entry 3 is missing: 4 follows 2" in text) == (3, True)


def test_the_newest_events_are_gone(house, superuser):
    last = house.events.order_by("sequence").last()
    superuser("DELETE FROM orders_orderevent WHERE id = %s", last.pk)

    code, text = verify()

    assert code == 5
    assert f"order {house.pk}, event {last.sequence} ({last.kind}) is in the trail" in text


def test_the_newest_entries_are_gone(house, superuser):
    superuser("DELETE FROM audit_entry WHERE chain = %s AND seq > 5", CHAIN)
    size = Chain.objects.get(pk=CHAIN).size

    code, text = verify()

    assert code == 4
    assert f"TRUNCATED: {CHAIN}: entries 6 to {size} are gone" in text


def test_an_order_is_compared_with_the_checkpoints_of_its_chain(house, superuser):
    code, text = verify(order=house.pk)
    assert (code, "1 checkpoints fit: intact" in text, f"{CHAIN}: signed up to entry" in text) == (0, True, True)

    forge(superuser)
    code, text = verify(order=house.pk)

    assert code == 3
    assert f"REWRITTEN: {CHAIN}: entries 1 to {Chain.objects.get(pk=CHAIN).size} are not those that" in text


@pytest.mark.parametrize("step", [-1, 1])
def test_an_entry_beside_those_of_an_order_is_missed(house, superuser, settings, step):
    settings.AUDIT_SINKS = []  # the links alone
    seqs = Entry.objects.filter(subject=f"order:{house.pk}", chain=CHAIN).values_list("seq", flat=True)
    beside = min(seqs) - 1 if step < 0 else max(seqs) + 1
    superuser("DELETE FROM audit_entry WHERE chain = %s AND seq = %s", CHAIN, beside)

    code, text = verify(order=house.pk)

    assert (code, f"REWRITTEN: at entry {beside} of {CHAIN}: it is gone, or" in text) == (3, True), text


def test_an_order_without_any_entry_left_is_missed(house, superuser):
    superuser("DELETE FROM audit_entry WHERE subject = %s", f"order:{house.pk}")

    code, text = verify(order=house.pk)

    assert (code, f"TRUNCATED: {CHAIN}: entries 1 to" in text) == (4, True), text


def test_a_hash_that_is_none_is_no_traceback(house, superuser):
    superuser("UPDATE audit_entry SET hash = 'hello' WHERE chain = %s AND seq = 1", CHAIN)

    assert verify(order=house.pk)[0] == 3


def test_since_compares_what_was_before_with_its_last_checkpoint(house, superuser):
    since = datetime.now(UTC) + timedelta(hours=1)
    code, text = verify(since=since)
    assert (code, "2 checkpoints fit: intact" in text) == (0, True), text

    forge(superuser)
    code, text = verify(since=since)

    assert (code, "they are not those that the checkpoint of" in text) == (3, True), text


def test_since_misses_the_entry_that_was_signed_last(house, superuser, commit):
    size = Chain.objects.get(pk=CHAIN).size
    advance(house, "STATUS_REPORTED", broker_status="PreSubmitted")
    commit()
    superuser("DELETE FROM audit_entry WHERE chain = %s AND seq = %s", CHAIN, size)

    code, text = verify(since=datetime.now(UTC) + timedelta(hours=1))

    assert (code, f"REWRITTEN: {CHAIN}: entry {size} is gone, with which the checkpoint of" in text) == (3, True)


def test_without_checkpoints_the_chain_s_own_row_tells_that_entries_are_gone(house, superuser, settings):
    settings.AUDIT_SINKS = []
    superuser("DELETE FROM audit_entry WHERE chain = %s AND seq > 5", CHAIN)

    code, text = verify()

    assert (code, "it ends with entry 5" in text) == (4, True)


def test_the_newest_of_everything_is_gone_as_after_a_restore(house, superuser):
    kept = Entry.objects.get(chain=CHAIN, seq=5)
    size = Chain.objects.get(pk=CHAIN).size
    superuser("DELETE FROM audit_entry WHERE chain = %s AND seq > 5", CHAIN)
    superuser("UPDATE audit_chain SET size = 5, head = %s WHERE name = %s", kept.hash, CHAIN)

    code, text = verify()

    assert code == 4
    assert f"entries 6 to {size} are gone. The checkpoint of" in text


def test_an_edited_entry_of_the_site(house, superuser):
    superuser("UPDATE audit_entry SET body = replace(body, 'user:alice', 'user:bob') WHERE kind = 'login'")
    entry = Entry.objects.get(chain="site", kind="login")

    for options in ({}, {"since": entry.recorded_at}):
        code, text = verify(**options)

        assert code == 3
        assert f"REWRITTEN: site, entry {entry.seq} (login): its text does not have the hash" in text


def test_the_newest_entries_of_the_site_are_gone(house, superuser, commit, notary):
    for name in ("alice", "bob", "carol"):
        record_site("logout", f"user:{name}", {})
    commit()
    notary.sign()
    size = Chain.objects.get(pk="site").size
    superuser("DELETE FROM audit_entry WHERE chain = 'site' AND seq > %s", size - 2)

    code, text = verify()

    assert code == 4
    assert f"TRUNCATED: site: entries {size - 1} to {size} are gone" in text


def test_the_newest_entries_of_the_site_are_gone_and_its_own_row_says_so(house, superuser):
    """Who deletes them thoroughly makes the chain's row fit as well: the checkpoint does not."""
    size = Chain.objects.get(pk="site").size
    superuser("DELETE FROM audit_entry WHERE chain = 'site' AND seq = %s", size)
    superuser(
        "UPDATE audit_chain SET size = %s, head = (SELECT hash FROM audit_entry WHERE chain = 'site' AND seq = %s)"
        " WHERE name = 'site'",
        size - 1,
        size - 1,
    )

    code, text = verify()

    assert code == 4
    assert f"TRUNCATED: site: entries {size} to {size} are gone" in text, text


TRIGGERS_OFF = """
    ALTER TABLE audit_entry DISABLE TRIGGER USER;
    ALTER TABLE audit_chain DISABLE TRIGGER USER;
    ALTER TABLE orders_orderevent DISABLE TRIGGER USER;
"""


@pytest.mark.parametrize(
    ("statement", "code", "words"),
    [
        (
            "UPDATE audit_entry SET body = replace(body, 'alice', 'bob') WHERE kind = 'login'",
            3,
            "REWRITTEN: site, entry",
        ),
        ("DELETE FROM audit_entry WHERE kind = 'login'", 3, "REWRITTEN: site"),
        ("DELETE FROM audit_entry WHERE seq > 5", 4, f"TRUNCATED: {CHAIN}: entries 6 to"),
        ("TRUNCATE audit_entry, audit_chain", 4, "TRUNCATED: site: all its entries are gone"),
        ("UPDATE orders_orderevent SET actor = 'user:mallory'", 5, 'actor is "user:mallory" and was'),
    ],
)
def test_an_owner_who_switches_triggers_off_by_alter_table(house, superuser, commit, statement, code, words):
    with connection.cursor() as cursor:
        with pytest.raises(DatabaseError), transaction.atomic():
            cursor.execute(statement)
        cursor.execute(TRIGGERS_OFF)
        cursor.execute(statement)
        commit()  # no trigger may be waiting when one is switched on
        cursor.execute(TRIGGERS_OFF.replace("DISABLE", "ENABLE"))

    found, text = verify()

    assert (found, words in text) == (code, True), text


def test_a_whole_order_is_gone(house, superuser):
    count = house.events.count()
    for table in ("orders_orderevent", "orders_execution"):
        superuser(f"DELETE FROM {table} WHERE order_id = %s", house.pk)
    superuser("DELETE FROM orders_order WHERE id = %s", house.pk)

    for options in ({}, {"order": house.pk}):
        code, text = verify(**options)

        assert code == 5
        assert f"order {house.pk} is gone from the record with all its events, of which the trail has {count}" in text


def test_everything_is_truncated(house, superuser):
    superuser("TRUNCATE audit_entry, audit_chain, orders_orderevent, orders_order, orders_execution CASCADE")

    code, text = verify()

    assert (code, f"TRUNCATED: {CHAIN}: all its entries are gone" in text) == (4, True)


def test_only_the_events_are_truncated(house, superuser):
    events = OrderEvent.objects.count()
    superuser("TRUNCATE orders_orderevent")

    code, text = verify()

    assert code == 5
    assert f"order {house.pk}, event 1" in text
    assert events > 10


@pytest.mark.parametrize(
    ("case", "statement", "words"),
    [
        ("status", "UPDATE orders_order SET status = 'CANCELED' WHERE id = %s", "status is CANCELED, its events say"),
        ("terms", "UPDATE orders_order SET symbol = 'MSFT' WHERE id = %s", "event 1 (ADOPTED) was changed: terms is"),
        ("execution", "UPDATE orders_execution SET price = 1 WHERE order_id = %s", 'was changed: price is "1" and was'),
        ("told otherwise", "UPDATE orders_execution SET price = 1 WHERE order_id = %s", "event 2 says 2 at 170"),
        ("one execution less", "DELETE FROM orders_execution WHERE order_id = %s", "which is not in the record"),
    ],
)
def test_a_row_that_is_not_what_its_events_say(house, superuser, case, statement, words):
    superuser(statement, house.pk)

    code, text = verify()

    assert (code, words in text) == (5, True), text


def test_a_commission_that_was_changed(house, superuser):
    superuser("UPDATE orders_commission SET amount = 0")

    assert verify()[0] == 5
    assert Commission.objects.exists()


def test_what_was_put_into_the_record_behind_the_trail(house, superuser):
    row = Execution.objects.get(order=house)
    superuser(
        "INSERT INTO orders_orderevent (order_id, sequence, kind, to_status, actor, recorded_at, payload, session,"
        " request_id) SELECT order_id, sequence + 1, 'ERROR_REPORTED', to_status, actor, recorded_at, '{\"code\": 1,"
        " \"text\": \"\"}', '', '' FROM orders_orderevent WHERE order_id = %s ORDER BY sequence DESC LIMIT 1",
        row.order_id,
    )

    code, text = verify()

    assert code == 5
    assert f"order {house.pk}, event 3 (ERROR_REPORTED) is in the record, and the trail has nothing of it" in text


def test_a_request_that_was_changed(house, superuser):
    superuser("UPDATE orders_orderrequest SET body = '{}' || ' ' WHERE id = %s", Order.objects.first().request_id)

    assert "(RECEIVED) was changed: request is" in verify()[1]


REFUSED, CANCELS, ANSWERED = "refusal <> ''", "cancels_id IS NOT NULL", "status_code = 500"


@pytest.mark.parametrize(
    ("table", "change", "row", "words"),
    [
        ("orderrequest", "refusal = 'other'", REFUSED, 'refusal is "other" and was "quantity: must be positive" (site'),
        ("orderrequest", "body = '[]'", REFUSED, "body_sha256 is"),
        ("orderrequest", "body_digest = ''", REFUSED, 'body_digest is ""'),
        ("orderrequest", "actor = 'user:mallory'", CANCELS, f'actor is "user:mallory" and was "api" ({CHAIN}'),
        ("orderrequest", "cancels_id = NULL", CANCELS, "cancels_id is null"),
        ("requestanswer", "status_code = 200", ANSWERED, "status_code is 200 and was 500"),
        ("requestanswer", "settled = true", ANSWERED, "settled is true and was false"),
        ("requestanswer", "body = '{}'", "status_code = 400", 'was {"detail": "quantity: must be positive"} (site'),
    ],
)
def test_an_edited_request_or_answer(house, superuser, table, change, row, words):
    superuser(f"UPDATE orders_{table} SET {change} WHERE {row}")

    code, text = verify()

    assert (code, words in text) == (5, True), text


@pytest.mark.parametrize(
    ("table", "row", "words"),
    [
        ("orderrequest", REFUSED, "(/order/limit) is in the trail (site"),
        ("orderrequest", CANCELS, f"(/order/cancel) is in the trail ({CHAIN}"),
        ("requestanswer", ANSWERED, f"is in the trail ({CHAIN}"),
        ("requestanswer", "status_code = 400", "answer 400 to request"),
    ],
)
def test_a_request_or_answer_that_is_gone(house, superuser, table, row, words):
    superuser(f"DELETE FROM orders_{table} WHERE {row}")

    code, text = verify()

    assert (code, words in text, "gone from the record" in text) == (5, True, True), text


def test_all_answers_and_requests_are_truncated(house, superuser):
    superuser("TRUNCATE orders_requestanswer")
    superuser(f"DELETE FROM orders_orderrequest WHERE {REFUSED} OR {CANCELS}")

    code, text = verify()

    assert (code, text.count("is in the trail")) == (5, 4), text


def test_a_request_and_an_answer_behind_the_trail(house, superuser):
    columns = "endpoint, body, body_digest, actor, remote_address, request_id, refusal, received_at"
    superuser(f"INSERT INTO orders_orderrequest ({columns}) SELECT {columns} FROM orders_orderrequest WHERE {REFUSED}")
    superuser(
        "INSERT INTO orders_requestanswer (request_id, answered_at, status_code, body, settled)"
        " SELECT max(id), now(), 200, '{}', true FROM orders_orderrequest"
    )
    forged = OrderRequest.objects.latest("pk")

    code, text = verify()

    assert code == 5
    assert f"request {forged.pk} (/order/limit) is in the record, and the trail has nothing of it" in text
    assert f"answer 200 to request {forged.pk} is in the record, and the trail has nothing of it" in text


def test_a_placed_request_that_is_made_a_refused_one(house, superuser):
    placed = Order.objects.exclude(request=None).first().request
    superuser("UPDATE orders_orderrequest SET refusal = 'never' WHERE id = %s", placed.pk)

    code, text = verify()

    assert (code, f"request {placed.pk} ({placed.endpoint}) is in the record, and the trail" in text) == (5, True)


def test_an_edited_entry_of_an_answer(house, superuser):
    superuser(
        "UPDATE audit_entry SET body = replace(body, 'unknown', 'sent') WHERE kind = 'answer' AND chain = %s", CHAIN
    )
    entry = Entry.objects.get(kind="answer", chain=CHAIN)

    for options in ({}, {"order": house.pk}):
        code, text = verify(**options)

        assert code == 3
        assert f"{CHAIN}, entry {entry.seq} (answer of order:{house.pk}): its text does not have the hash" in text


def test_an_execution_that_no_event_tells_of(house, superuser):
    superuser("UPDATE orders_orderevent SET payload = payload - 'exec_id' WHERE order_id = %s", house.pk)

    assert "is in none of its events" in verify()[1]
