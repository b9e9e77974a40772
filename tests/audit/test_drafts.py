"""What becomes of drafts at the commit."""

import threading

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from audit import canonical
from audit import chain as chains
from audit.models import Chain, Draft, Entry
from audit.record import append, record_site

pytestmark = pytest.mark.django_db(transaction=True)


def bodies(chain="site"):
    return list(Entry.objects.filter(chain=chain).order_by("seq").values_list("body", flat=True))


def test_an_entry_says_what_was_drafted_and_is_linked():
    record_site("login", "user:alice", {"address": "127.0.0.1"})
    record_site("a second kind", 'user:bob "quoted" \\ 😀', {"text": "\0\n"})

    first, second = (chains.read(body) for body in bodies())

    assert first["facts"] == {"actor": "user:alice", "details": {"address": "127.0.0.1"}}
    assert (first["seq"], first["prev"], first["kind"], first["record"]) == (1, chains.NOTHING_BEFORE, "login", None)
    assert second["facts"] == {"actor": 'user:bob "quoted" \\ 😀', "details": {"text": "\0\n"}}
    assert (second["seq"], second["prev"]) == (2, chains.digest(bodies()[0]))
    assert Chain.objects.get().head == chains.digest(bodies()[1])
    assert not Draft.objects.exists()


def test_what_the_database_composes_is_what_the_code_composes():
    append("account:DU1", "order event", {"b": 1, "a": [None]}, subject="order:7", record=9)

    row = Entry.objects.get()
    composed = chains.Entry(
        chain="account:DU1",
        seq=1,
        prev=chains.NOTHING_BEFORE,
        kind="order event",
        subject="order:7",
        record=9,
        recorded_at=chains.moment(row.recorded_at),
        facts=canonical.dumps({"b": 1, "a": [None]}),
    )

    assert row.body == composed.body()
    assert row.hash == chains.digest(composed.body())


def test_what_is_rolled_back_leaves_no_entry():
    with transaction.atomic():
        record_site("login", "user:alice", {})
        transaction.set_rollback(True)
    with transaction.atomic():
        record_site("login", "user:bob", {})
        savepoint = transaction.savepoint()
        record_site("login", "user:carol", {})
        transaction.savepoint_rollback(savepoint)

    assert [chains.read(body)["facts"]["actor"] for body in bodies()] == ["user:bob"]


def test_entries_are_made_at_the_commit():
    with transaction.atomic():
        record_site("login", "user:alice", {})

        assert not Entry.objects.exists()

    assert Entry.objects.count() == 1


@pytest.mark.parametrize("words", [{"kind": 'a "quote"'}, {"chain": "back\\slash"}, {"subject": "line\nend"}])
def test_words_that_would_need_quotes_are_refused(words):
    with pytest.raises(IntegrityError, match="draft_words_are_plain"):
        append(**{"chain": "site", "kind": "login", "facts": {}} | words)


def test_writers_that_meet_on_chains_in_any_order_neither_wait_for_ever_nor_leave_gaps():
    start, failures = threading.Barrier(6), []

    def write(number):
        names = ["account:A", "account:B", "site"]
        try:
            start.wait(10)
            for _ in range(10):
                with transaction.atomic():
                    for step in range(3):
                        append(names[(number + step * (1 + number % 2)) % 3], "test", {"writer": number})
        except Exception as error:  # noqa: BLE001
            failures.append(error)
        finally:
            connection.close()

    writers = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)

    assert failures == []
    assert {row.name: row.size for row in Chain.objects.all()} == {"account:A": 60, "account:B": 60, "site": 60}
    for name in ("account:A", "account:B", "site"):
        walker = chains.Walker(name)
        for row in Entry.objects.filter(chain=name).order_by("seq"):
            assert walker.step(row.seq, row.prev, row.hash, row.body) == ""


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE audit_entry SET kind = 'x'", "Cannot update"),
        ("DELETE FROM audit_entry", "Cannot update or delete"),
        ("TRUNCATE audit_entry", "cannot be truncated"),
        ("UPDATE audit_chain SET size = 0", "grows only with its next entry"),
        ("UPDATE audit_chain SET name = 'other'", "grows only with its next entry"),
        ("DELETE FROM audit_chain", "Cannot delete"),
        ("TRUNCATE audit_chain", "cannot be truncated"),
        (
            "INSERT INTO audit_entry (chain, seq, prev, hash, kind, subject, recorded_at, body)"
            " SELECT chain, seq + 2, hash, hash, kind, subject, recorded_at, body FROM audit_entry",
            "does not continue the chain",
        ),
        (
            "INSERT INTO audit_entry (chain, seq, prev, hash, kind, subject, recorded_at, body)"
            " SELECT chain, seq + 1, hash, repeat('0', 64), kind, subject, recorded_at, body FROM audit_entry",
            "does not continue the chain",
        ),
    ],
)
def test_even_the_owner_is_refused_while_the_triggers_are_on(statement, words):
    record_site("login", "user:alice", {})

    with pytest.raises(DatabaseError, match=words), connection.cursor() as cursor:
        cursor.execute(statement)
