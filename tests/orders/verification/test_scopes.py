"""All of the trail or a part of it, a record older than the trail, and the verification of every night."""

import json
import os
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from alarms.models import Alarm
from audit.models import Chain, CheckpointRun, Entry, Verification
from audit.record import append_all
from orders import intake, tasks, trail
from orders.management.commands import verify_audit
from orders.models import Commission, Execution, OrderEvent
from tests.orders.factories import ACCOUNT, advance, asked, order_in
from tests.orders.verification.tampering import CHAIN, verify

pytestmark = pytest.mark.django_db


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


def test_the_size_of_the_trail_does_not_change_the_number_of_queries(commit, files, django_assert_max_num_queries):
    for _ in range(20):
        advance(order_in("NEW"), "STATUS_REPORTED", broker_status="Submitted")
    commit()

    with django_assert_max_num_queries(30):
        assert verify()[0] == 0


def test_what_the_trail_tells_of_since_an_update_is_opened_once(house, superuser, commit, settings):
    """A trail from before answers and requests were in it."""
    settings.AUDIT_SINKS = []
    superuser("TRUNCATE audit_entry, audit_chain")
    for row in OrderEvent.objects.order_by("pk"):
        append_all(trail.of_events([row]))
    for row in Execution.objects.order_by("pk"):
        append_all(trail.of_executions([row]))
    append_all(trail.of_commissions(list(Commission.objects.order_by("pk"))))
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
