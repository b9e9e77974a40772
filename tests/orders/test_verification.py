"""What somebody with all rights in the database may do to the trail, and what verify_audit says of it."""

import base64
import json
import os
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from alarms.models import Alarm
from audit import chain as chains
from audit.models import Chain, CheckpointRun, Entry, Verification
from audit.note import Signer
from audit.record import record_site
from audit.signing import Notary, read_notes
from audit.sinks import DirectorySink, FileSink
from orders import intake, tasks, trail
from orders.management.commands import verify_audit
from orders.models import Commission, Execution, Order, OrderEvent, OrderRequest
from tests.orders.conftest import SIGNER
from tests.orders.factories import ACCOUNT, CLIENT_ID, advance, asked, bracket, execute, external_order, order_in

pytestmark = pytest.mark.django_db
CHAIN = chains.of_account(ACCOUNT)


@pytest.fixture
def house(commit, notary):
    """Some orders in their lives, signed twice on the way."""
    bracket()
    execute(order_in("NEW"), quantity=4)
    commit()
    notary.sign()
    order = execute(external_order(symbol="IBM"), quantity=2)
    order_in("IN_DOUBT")
    record_site("login", "user:alice", {})
    intake.answer(bracket()[0].request, status_code=500, body={"detail": "unknown"}, settled=False, about=order)
    intake.request_cancel(asked(endpoint="/order/cancel"), perm_id=order_in("NEW").perm_id, client_id=CLIENT_ID)
    intake.refuse(asked(), reason="quantity: must be positive", status_code=400)
    commit()
    notary.sign()
    return order


def verify(**options):
    """Exit code, and what is printed."""
    out, err = StringIO(), StringIO()
    try:
        call_command("verify_audit", stdout=out, stderr=err, no_color=True, **options)
    except CommandError as error:
        return error.returncode, out.getvalue() + str(error)
    return 0, out.getvalue() + err.getvalue()


def rewrite(from_seq=1, *, at=None, **replacements):
    """Make a chain anew from there on, as a thorough forger would: other facts, right hashes and links."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        head = Entry.objects.filter(chain=CHAIN, seq=from_seq - 1).values_list("hash", flat=True).first()
        head = head or chains.NOTHING_BEFORE
        for row in Entry.objects.filter(chain=CHAIN, seq__gte=from_seq).order_by("seq"):
            body = row.body.replace(f'"prev":"{row.prev}"', f'"prev":"{head}"')
            for old, new in replacements.items():
                body = body.replace(old, new)
            if at is not None:
                body = body.replace(chains.moment(row.recorded_at), chains.moment(at))
            hash_ = chains.digest(body)
            cursor.execute(
                "UPDATE audit_entry SET body = %s, hash = %s, prev = %s, recorded_at = %s WHERE id = %s",
                [body, hash_, head, at or row.recorded_at, row.pk],
            )
            head = hash_
        cursor.execute("UPDATE audit_chain SET head = %s WHERE name = %s", [head, CHAIN])
        cursor.execute("SET LOCAL session_replication_role = origin")


def forge(superuser):
    """Change who did it in the record, and make the chain anew to fit."""
    superuser("UPDATE orders_orderevent SET actor = 'user:mallory' WHERE actor = 'broker'")
    rewrite(**{'"facts":{"actor":"broker"': '"facts":{"actor":"user:mallory"'})
    assert Entry.objects.filter(chain=CHAIN, body__contains="user:mallory").exists()


def test_what_nobody_touched_is_intact(house):
    code, text = verify()

    assert code == 0
    assert f"{Entry.objects.count()} entries verified" in text
    assert "3 checkpoints fit: intact" in text
    assert f"{CHAIN}: signed up to entry {Chain.objects.get(pk=CHAIN).size}" in text
    row = Verification.objects.get()
    assert (row.verdict, row.entries, row.scope, row.findings) == ("INTACT", Entry.objects.count(), "", [])


@pytest.mark.parametrize(
    "options", [{"account": ACCOUNT}, {"order": 1}, {"since": datetime(2020, 1, 1, tzinfo=UTC)}, {"verbosity": 0}]
)
def test_a_part_is_intact(house, options):
    if "order" in options:
        options = {"order": house.pk}
    assert verify(**options)[0] == 0


def test_progress_is_told_while_it_runs(house, monkeypatch):
    monkeypatch.setattr(verify_audit, "PROGRESS_SECONDS", 0)
    err = StringIO()
    call_command("verify_audit", stdout=StringIO(), stderr=err, no_color=True)

    lines = err.getvalue().splitlines()
    assert f"{Entry.objects.count()} entries, up to site {Chain.objects.get(pk='site').size} ..." in lines
    assert f"{OrderEvent.objects.count()} rows of kind order event counted ..." in lines
    assert sum("counted" in line for line in lines) == len(trail.MODELS)


def test_no_progress_is_told_where_nobody_wants_to_hear_of_it(house, monkeypatch):
    monkeypatch.setattr(verify_audit, "PROGRESS_SECONDS", 0)
    err = StringIO()
    call_command("verify_audit", stdout=StringIO(), stderr=err, verbosity=0)

    assert err.getvalue() == ""


def test_since_leaves_out_what_was_before(house):
    assert "\n0 entries verified" in verify(since=datetime.now(UTC) + timedelta(hours=1))[1]


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


def test_a_chain_made_anew_is_found_by_its_checkpoints(house, superuser):
    superuser("UPDATE orders_orderevent SET actor = 'user:mallory' WHERE actor = 'api'")
    rewrite(**{'"facts":{"actor":"api"': '"facts":{"actor":"user:mallory"'})
    first = Entry.objects.filter(chain=CHAIN).order_by("seq").first()
    assert '"user:mallory"' in first.body

    code, text = verify()

    assert code == 3
    assert f"REWRITTEN: {CHAIN}, entries 1 to " in text
    assert "Somebody wrote this part of the chain anew" in text


def test_the_part_that_was_made_anew_is_named(house, superuser, files):
    signed = [each.checkpoint for each in read_notes(files / "checkpoints", [SIGNER.verifier])]
    older, newer = [checkpoint.size for checkpoint in signed if checkpoint.chain == CHAIN]
    rewrite(from_seq=newer, **{f'"actor":"{actor}"': '"actor":"someone"' for actor in ("api", "broker", "worker")})

    code, text = verify()

    assert (code, f"entries {older + 1} to {newer}: they are linked" in text) == (3, True)


def test_what_was_restored_and_went_on_is_told_from_a_rewrite(house, superuser, files):
    rewrite(from_seq=3, at=datetime.now(UTC) + timedelta(seconds=5))

    code, text = verify()

    assert (code, "an earlier state was restored, or entries were deleted, and the chain went on" in text) == (4, True)


def test_with_no_sinks_a_chain_made_anew_passes_and_that_is_said(house, superuser, settings):
    settings.AUDIT_SINKS = []
    forge(superuser)

    code, text = verify()

    assert (code, "a chain that was made anew as a whole would not be noticed" in text) == (0, True)


def test_checkpoints_that_are_gone_are_no_leave_to_pass(house, superuser, files):
    (files / "checkpoints").rename(files / "aside")
    forge(superuser)

    code, text = verify()

    assert code == 1
    assert f"none of {CHAIN}, site by a key of {files / 'public_keys'} can be read from file:" in text
    assert "give them with --checkpoint FILE" in text
    assert not Verification.objects.exists()
    assert verify(checkpoint=files / "aside")[0] == 3


def test_checkpoints_of_one_chain_that_are_gone_are_missed(house, files):
    kept = [each for each in read_notes(files / "checkpoints", [SIGNER.verifier]) if each.checkpoint.chain == "site"]
    (files / "checkpoints").write_text("".join(f"{each.note}\n" for each in kept))

    code, text = verify()

    assert (code, f"none of {CHAIN} by a key of" in text) == (1, True)


def test_what_was_posted_cannot_be_read_back_and_is_asked_for(house, files, settings):
    settings.AUDIT_SINKS = ["https://checkpoints.example.org/"]

    code, text = verify()

    assert (code, "can be read from https://checkpoints.example.org/: give them with --checkpoint FILE" in text) == (
        1,
        True,
    )
    assert verify(checkpoint=files / "checkpoints")[0] == 0


def test_before_the_first_round_there_is_nothing_to_miss(files, commit):
    order_in("NEW")
    commit()

    code, text = verify()

    assert (code, "without checkpoints" in text) == (0, True)


def test_a_round_that_is_on_record_is_enough_to_miss_its_checkpoints(house, superuser, files):
    superuser("DELETE FROM audit_signedchain")
    (files / "checkpoints").unlink()

    assert verify()[0] == 1


@pytest.fixture
def kept(house, files):
    """What was signed so far."""
    return read_notes(files / "checkpoints", [SIGNER.verifier])


@pytest.mark.parametrize("kind", ["directory", "git"])
def test_checkpoints_are_read_back_from_every_kind_of_place(house, kept, superuser, files, settings, kind):
    place = files / "kept"
    if kind == "directory":
        DirectorySink(place).keep(kept)
    else:
        FileSink(place / "checkpoints.txt").keep(kept)
    settings.AUDIT_SINKS = [f"{kind}:{place}"]
    assert "3 checkpoints fit: intact" in verify()[1]

    forge(superuser)

    assert verify()[0] == 3


def test_a_note_that_is_being_written_is_left_for_the_next_time(house, kept, files):
    DirectorySink(files / "kept").keep(kept)
    (files / "kept" / "site" / f".{'0' * 12}-").write_text("half a")

    assert "3 checkpoints fit" in verify(checkpoint=files / "kept")[1]


@pytest.mark.parametrize("place", ["file", "directory", "git"])
def test_a_place_that_cannot_be_read_is_said(house, files, settings, place):
    (files / "taken").touch()
    (files / "checkpoints.txt").mkdir()
    settings.AUDIT_SINKS = {
        "file": [f"file:{files}"],
        "directory": [f"directory:{files / 'taken'}"],
        "git": [f"git:{files}"],
    }[place]

    code, text = verify()

    assert (code, str(files) in text, "irectory" in text) == (1, True, True)


def test_a_sink_that_is_none_is_said(house, settings):
    settings.AUDIT_SINKS = ["s3:bucket"]

    assert verify() == (
        1,
        "'s3:bucket' is no place for checkpoints: file:PATH, directory:PATH, git:PATH or https://…",
    )


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


def test_the_notary_signs_no_chain_that_was_changed(house, superuser, files, notary, caplog):
    rewrite(**{'"actor":"broker"': '"actor":"someone"'})
    again = Notary(SIGNER, [SIGNER.verifier], [FileSink(files / "checkpoints")], memory=files / "last_signed")

    signed = again.sign()

    assert [each.checkpoint.chain for each in signed] == ["site"]
    assert f"{CHAIN} is not what was signed" in caplog.text
    assert CHAIN in CheckpointRun.objects.get().problem


def test_the_notary_notices_at_once_what_was_deleted(house, superuser, files, notary, caplog):
    superuser("DELETE FROM audit_entry WHERE chain = %s", CHAIN)
    superuser("DELETE FROM audit_chain WHERE name = %s", CHAIN)

    assert [each.checkpoint.chain for each in notary.sign()] == ["site"]
    assert "has fewer entries than were signed" in caplog.text


def test_after_a_restore_a_person_lets_it_go_on(house, superuser, notary):
    rewrite()
    notary.accept()

    assert {each.checkpoint.chain for each in notary.sign()} == {"site", CHAIN}


def test_a_checkpoint_file_of_somebody_else_is_not_believed(house, files):
    other = Signer.generate("test/orders")
    path = files / "others"
    own = read_notes(files / "checkpoints", [SIGNER.verifier])
    path.write_text("".join(f"{other.sign(each.checkpoint)}\n" for each in own))

    assert verify(checkpoint=path) == (1, f"{path} holds no checkpoint signed by a key of {files / 'public_keys'}")
    assert verify(checkpoint=files / "none") == (1, f"{files / 'none'} does not exist")


def test_what_cannot_be_read_is_no_traceback(house, files):
    (files / "empty").mkdir()
    for options, words in (
        ({"checkpoint": files / "empty"}, f"{files / 'empty'} holds no checkpoint signed by a key of"),
        ({"checkpoint": files / ("x" * 300)}, "name too long"),
        ({"public_keys": files}, "Is a directory"),
        ({"checkpoint": files / "checkpoints", "public_keys": files}, "Is a directory"),
        ({"public_keys": files / "none"}, "there are no public keys in"),
    ):
        code, text = verify(**options)

        assert (code, words in text) == (1, True), text


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


def test_the_size_of_the_trail_does_not_change_the_number_of_queries(commit, files, django_assert_max_num_queries):
    for _ in range(20):
        advance(order_in("NEW"), "STATUS_REPORTED", broker_status="Submitted")
    commit()

    with django_assert_max_num_queries(30):
        assert verify()[0] == 0


def test_roots_of_checkpoints_are_those_of_the_tree(house, files):
    path = files / "checkpoints"
    root = base64.b64encode(read_notes(path, [SIGNER.verifier])[0].checkpoint.root).decode()

    assert root in path.read_text()


def test_an_execution_that_no_event_tells_of(house, superuser):
    superuser("UPDATE orders_orderevent SET payload = payload - 'exec_id' WHERE order_id = %s", house.pk)

    assert "is in none of its events" in verify()[1]


def test_what_the_trail_tells_of_since_an_update_is_opened_once(house, superuser, commit, settings):
    """A trail from before answers and requests were in it."""
    settings.AUDIT_SINKS = []
    superuser("TRUNCATE audit_entry, audit_chain")
    for row in OrderEvent.objects.order_by("pk"):
        trail.append_events([row])
    for row in Execution.objects.order_by("pk"):
        trail.append_executions([row])
    trail.append_commissions(list(Commission.objects.order_by("pk")))
    commit()
    assert verify()[0] == 5

    for _ in range(2):
        trail.append_opening()
        commit()
    intake.refuse(asked(), reason="not this either", status_code=400)
    commit()

    assert set(json.loads(Entry.objects.get(kind="opening").body)["facts"]) == {"request", "answer"}
    assert [verify(**options)[0] for options in ({}, {"account": ACCOUNT})] == [0, 0]
    superuser("UPDATE orders_requestanswer SET status_code = 200 WHERE status_code = 500")
    assert "something was changed among the 2 answers" in verify()[1]


@pytest.fixture
def older_record(house, superuser, commit, settings):
    """A record that was there before the trail, and what came since."""
    settings.AUDIT_SINKS = []
    superuser("TRUNCATE audit_entry, audit_chain")
    trail.append_opening()
    advance(house, "STATUS_REPORTED", broker_status="PreSubmitted")
    commit()
    return house


def test_a_record_older_than_the_trail_is_intact(older_record):
    assert verify()[0] == 0
    assert Entry.objects.filter(chain="site", seq=1, kind="opening").exists()


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE orders_orderevent SET actor = 'x' WHERE order_id = %s AND sequence = 1", "among the"),
        ("UPDATE orders_execution SET exchange = 'x' WHERE order_id = %s", "among the 2 executions"),
    ],
)
def test_what_is_older_than_the_trail_is_covered_by_its_first_entry(older_record, superuser, statement, words):
    superuser(statement, older_record.pk)

    code, text = verify()

    assert (code, "of what is older than the trail, something was changed" in text, words in text) == (5, True, True)


def test_an_empty_record_is_opened_once_as_empty(db, commit):
    trail.append_opening()
    commit()
    trail.append_opening()
    commit()

    facts = json.loads(Entry.objects.get().body)["facts"]
    assert {kind: (each["last"], each["count"]) for kind, each in facts.items()} == dict.fromkeys(trail.MODELS, (0, 0))


def test_an_account_whose_record_is_older_than_the_trail_is_intact(older_record):
    assert verify(account=ACCOUNT)[0] == 0


@pytest.fixture
def nightly(transactional_db, files, monkeypatch):
    """The database and files of the test are those of the processes it starts."""
    name = connection.settings_dict["NAME"]
    monkeypatch.setenv("DATABASE_URL", os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{name}")
    monkeypatch.setenv("AUDIT_DIR", str(files))
    return files


def test_the_nightly_verification_leaves_a_row(nightly, caplog):
    order_in("NEW")

    tasks.verify_audit()

    assert Verification.objects.get().verdict == "INTACT"
    assert "CRITICAL" not in [record.levelname for record in caplog.records]
    assert not Alarm.objects.exists()


def test_a_night_without_checkpoints_raises_an_alarm(nightly):
    order_in("NEW")
    CheckpointRun.objects.create(at=datetime.now(UTC), chains=1, entries=1)

    tasks.verify_audit()

    alarm = Alarm.objects.get()
    assert (alarm.kind, "give them with --checkpoint FILE" in alarm.text) == ("VERIFICATION", True)
    assert not Verification.objects.exists()


def test_the_nightly_verification_raises_an_alarm(nightly, caplog):
    order = order_in("NEW")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("UPDATE orders_order SET reason = 'x' WHERE id = %s", [order.pk])

    tasks.verify_audit()

    (alarm,) = [record for record in caplog.records if record.levelname == "CRITICAL"]
    assert f"order {order.pk}: reason is x, its events say" in alarm.getMessage()
    assert Verification.objects.get().verdict == "DIFFERS"
    raised = Alarm.objects.exclude(kind="HALTED").get()
    assert (raised.kind, raised.text) == ("TRAIL", Verification.objects.get().words)
    with transaction.atomic(), connection.cursor() as cursor:  # the record has to add up after a test
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("UPDATE orders_order SET reason = '' WHERE id = %s", [order.pk])
