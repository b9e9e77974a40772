"""Alarms in the admin: the first page, the work list, the page of each and the form."""

import html

import pytest
from django.contrib.auth.models import Permission, User

from alarms.models import Alarm
from alarms.register import clear, raise_alarm
from alarms.vocabulary import AlarmKind

pytestmark = pytest.mark.django_db

LIST = "/admin/alarms/alarm/"
NOTE = "looked at it in TWS"


def staff(name, *permissions):
    user = User.objects.create(username=name, is_staff=True)  # without a password: to hash one takes long
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


@pytest.fixture
def alarm():
    raise_alarm(AlarmKind.IN_DOUBT, "order:12", text="it cannot be told", facts={"account": "DU1000001"})
    return Alarm.objects.get()


@pytest.fixture
def operator(client):
    client.force_login(staff("ada", "view_alarm", "acknowledge_alarm"))
    return client


@pytest.fixture
def reviewer(client):
    client.force_login(staff("bob", "view_alarm", "change_alarm"))
    return client


def text_of(response):
    assert response.status_code == 200
    return html.unescape(response.content.decode())


def test_the_first_page_shows_what_nobody_has_acknowledged(operator, alarm):
    shown = text_of(operator.get("/admin/"))
    assert "Order in doubt" in shown
    assert "it cannot be told" in shown
    assert f"{LIST}{alarm.pk}/change/" in shown
    assert f'href="{LIST}"' in shown  # in the sidebar

    operator.post(f"{LIST}{alarm.pk}/acknowledge/", {"note": NOTE})
    shown = text_of(operator.get("/admin/"))
    assert "None that nobody has acknowledged." in shown
    assert "1 open alarm, acknowledged or not" in shown


def test_who_may_not_look_sees_none(client, alarm):
    client.force_login(staff("eve"))

    assert "it cannot be told" not in text_of(client.get("/admin/"))
    assert client.get(LIST).status_code == 403


def test_the_list_is_what_is_open(reviewer, alarm):
    raise_alarm(AlarmKind.BREAK, "break:1", text="over by now")
    clear(AlarmKind.BREAK, "break:1")

    assert "over by now" not in text_of(reviewer.get(LIST))
    assert "over by now" in text_of(reviewer.get(f"{LIST}?standing=over"))
    assert "it cannot be told" in text_of(reviewer.get(LIST))


def test_its_page_says_what_to_do_and_leads_there(reviewer, alarm):
    shown = text_of(reviewer.get(f"{LIST}{alarm.pk}/change/"))

    assert alarm.what_to_do in shown
    assert "/admin/orders/order/12/change/" in shown
    assert "needs the permission" in shown
    assert '<form method="post" action="/admin/alarms' not in shown


def test_acknowledged_with_a_note(operator, alarm):
    page = f"{LIST}{alarm.pk}/change/"
    assert 'id="acknowledge"' in text_of(operator.get(page))

    response = operator.post(f"{LIST}{alarm.pk}/acknowledge/", {"note": NOTE}, headers={"X-Request-Id": "ada-1"})

    assert (response.status_code, response["Location"]) == (302, page)
    alarm.refresh_from_db()
    assert (alarm.acknowledged_by, alarm.note, alarm.is_open) == ("user:ada", NOTE, True)
    assert alarm.events.get(kind="ACKNOWLEDGED").request_id == "ada-1"
    shown = text_of(operator.get(page))
    assert "by user:ada" in shown
    assert 'id="acknowledge"' not in shown
    again = operator.post(f"{LIST}{alarm.pk}/acknowledge/", {"note": "another"}, follow=True)
    assert "user:ada has acknowledged it already" in text_of(again)
    alarm.refresh_from_db()
    assert alarm.note == NOTE


@pytest.mark.parametrize("note", ["", "a", "x" * 501])
def test_without_a_note_nothing_is_changed(operator, alarm, note):
    shown = text_of(operator.post(f"{LIST}{alarm.pk}/acknowledge/", {"note": note}))

    assert 'id="acknowledge"' in shown
    assert "This field is required" in shown or "3 to 500 characters" in shown
    alarm.refresh_from_db()
    assert alarm.acknowledged_at is None


def test_who_may_not_is_refused(reviewer, alarm):
    assert reviewer.post(f"{LIST}{alarm.pk}/acknowledge/", {"note": NOTE}).status_code == 403

    alarm.refresh_from_db()
    assert alarm.acknowledged_at is None
    assert alarm.events.count() == 1


def test_looking_acknowledges_nothing(operator, alarm):
    assert operator.get(f"{LIST}{alarm.pk}/acknowledge/").status_code == 302
    assert operator.get(f"{LIST}999/acknowledge/").status_code == 404

    alarm.refresh_from_db()
    assert alarm.acknowledged_at is None
