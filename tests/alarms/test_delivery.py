import json
from datetime import timedelta

import pytest
from django.db import connection, transaction

from alarms import delivery
from alarms.models import Alarm, AlarmMessage
from alarms.register import acknowledge, clear, raise_alarm
from alarms.vocabulary import AlarmKind
from database.clock import database_now
from tests.alarms.receivers import Mail, Web, serving

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def web(settings):
    with serving(Web()) as server:
        settings.ALARM_WEBHOOK_URL = server.url
        yield server


@pytest.fixture
def mail(settings):
    with serving(Mail()) as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = server.server_address
        settings.ALARM_EMAIL_TO = ["ada@example.com", "bob@example.com"]
        yield server


def doubt():
    raise_alarm(AlarmKind.IN_DOUBT, "order:12", text="it cannot be told: \N{SNOWMAN}", facts={"account": "DU1"})


def overdue():
    AlarmMessage.objects.update(due_at=database_now() - timedelta(seconds=1))


def test_told_once_by_webhook(web):
    doubt()

    assert delivery.deliver_due() == 1
    assert delivery.deliver_due() == 0
    ((headers, body),) = web.received
    told = json.loads(body)
    assert headers["Content-Type"] == "application/json"
    assert delivery.SIGNATURE_HEADER not in headers
    assert (told["event"], told["mode"], told["by"]) == ("RAISED", "paper", "SYSTEM")
    assert told["alarm"]["kind"] == "IN_DOUBT"
    assert told["alarm"]["subject"] == "order:12"
    assert told["alarm"]["severity"] == "CRITICAL"
    assert told["alarm"]["text"] == "it cannot be told: \N{SNOWMAN}"
    assert told["alarm"]["facts"] == {"account": "DU1"}
    assert told["alarm"]["what_to_do"]
    assert told["alarm"]["opened_at"].endswith("Z")
    assert told["message"] == AlarmMessage.objects.get().pk


def test_seen_again_is_not_told_again_and_its_end_is(web):
    doubt()
    doubt()
    acknowledge(Alarm.objects.get().pk, note="looking", actor="user:ada", request_id="")
    clear(AlarmKind.IN_DOUBT, "order:12")

    assert delivery.deliver_due() == 3
    told = [json.loads(body) for _, body in web.received]
    assert [(each["event"], each["by"], each["note"]) for each in told] == [
        ("RAISED", "SYSTEM", ""),
        ("ACKNOWLEDGED", "user:ada", "looking"),
        ("CLEARED", "SYSTEM", ""),
    ]


def test_a_secret_signs(web, settings):
    settings.ALARM_WEBHOOK_SECRET = "between us"
    doubt()
    delivery.deliver_due()

    ((headers, body),) = web.received
    timestamp = headers[delivery.TIMESTAMP_HEADER]
    assert headers[delivery.SIGNATURE_HEADER] == delivery.signature("between us", timestamp, body)
    assert headers[delivery.SIGNATURE_HEADER] != delivery.signature("between us", timestamp, body + b" ")


def test_the_signature_is_one_that_others_can_make():
    # As `printf '1700000000.{"message":1}' | openssl dgst -sha256 -hmac secret` has it.
    assert delivery.signature("secret", "1700000000", b'{"message":1}') == (
        "sha256=a73b8310ed73d4f75f7135d794d71cd0650184119934fbb983854a880182c97d"
    )


@pytest.mark.parametrize("status", [400, 404, 500, 302])
def test_what_was_not_taken_is_tried_again(web, status):
    web.status, web.location = status, web.url
    doubt()

    assert delivery.deliver_due() == 0
    assert delivery.deliver_due() == 0  # not at once
    message = AlarmMessage.objects.get()
    assert (message.attempts, message.problem) == (1, f"the webhook answered {status}")
    assert message.due_at > database_now() + timedelta(seconds=3)
    assert len(web.received) == 1  # and no redirect was followed
    web.status, web.location = 200, ""
    overdue()
    assert delivery.deliver_due() == 1
    message.refresh_from_db()
    assert (message.attempts, message.problem, message.delivered_at is None) == (2, "", False)


def test_a_server_that_is_not_there(web, settings):
    settings.ALARM_WEBHOOK_URL = "http://127.0.0.1:9/"
    doubt()

    assert delivery.deliver_due() == 0
    assert "cannot be reached" in AlarmMessage.objects.get().problem


def test_given_up_after_many_attempts(web, caplog):
    web.status = 500
    doubt()
    AlarmMessage.objects.update(attempts=delivery.MOST_ATTEMPTS - 1)
    delivery.deliver_due()
    overdue()

    assert delivery.deliver_due() == 0
    assert len(web.received) == 1
    assert AlarmMessage.objects.get().given_up_at is not None
    assert "given up after 100 attempts" in caplog.text


def test_pauses_grow_up_to_a_quarter_of_an_hour():
    pauses = [delivery.pause_after(n).total_seconds() for n in (1, 2, 3, 8, 9, 100)]

    assert pauses == [5, 10, 20, 640, 900, 900]


def test_nothing_is_sent_before_the_commit_and_nothing_after_a_rollback(web):
    with transaction.atomic():
        doubt()
        assert AlarmMessage.objects.exists()
        transaction.set_rollback(True)
    assert delivery.deliver_due() == 0
    assert web.received == []


def test_no_transaction_is_open_while_it_is_sent(web, monkeypatch):
    seen = []
    post = delivery.SENDERS["WEBHOOK"]

    def look_and_post(message):
        seen.append(connection.in_atomic_block)
        post(message)

    monkeypatch.setitem(delivery.SENDERS, "WEBHOOK", look_and_post)
    doubt()
    delivery.deliver_due()

    assert seen == [False]


def test_who_dies_while_sending_leaves_it_due_again(web):
    doubt()
    assert len(delivery._claimed()) == 1  # and then it died
    assert delivery.deliver_due() == 0
    AlarmMessage.objects.update(due_at=database_now() - timedelta(seconds=1))

    assert delivery.deliver_due() == 1


def test_told_by_mail(mail):
    doubt()

    assert delivery.deliver_due() == 1
    (letter,) = mail.received
    assert letter["To"] == "ada@example.com, bob@example.com"
    assert letter["Subject"] == "[ibkr-order-gateway/default] Raised: Order in doubt: order:12"
    text = letter.get_content()
    assert "Critical. it cannot be told: \N{SNOWMAN}" in text
    assert "What to do: Look for the order's stamp" in text


def test_mail_that_is_refused_is_sent_later(mail):
    mail.refusing = True
    doubt()
    assert delivery.deliver_due() == 0
    assert "451" in AlarmMessage.objects.get().problem
    mail.refusing = False
    overdue()

    assert delivery.deliver_due() == 1
    assert len(mail.received) == 1


def test_one_way_that_fails_does_not_keep_the_other_waiting(web, mail):
    web.status = 500
    doubt()

    assert delivery.deliver_due() == 1
    assert len(mail.received) == 1
