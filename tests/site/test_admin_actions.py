"""Whatever a person does in the admin stands in the site's chain, with who it was."""

import pytest
from django.contrib.auth.models import Group, Permission, User

from accounts.access.models import ApiKey
from accounts.halts.models import Halt
from accounts.limits import changing
from accounts.limits.forms import initial
from accounts.limits.models import LimitVersion
from alarms.models import Alarm
from alarms.register import raise_alarm
from alarms.vocabulary import AlarmKind
from tests.accounts.access.test_door import site_chain
from tests.orders.builders import ACCOUNT, session_row
from tests.orders.factories import order_in

pytestmark = pytest.mark.django_db
WHO = "user:mia"
REASON = "agreed with the desk"


@pytest.fixture
def mia(client):
    session_row()
    client.force_login(User.objects.create_superuser("mia"))
    return client


@pytest.fixture
def written():
    """What was written since: kind, actor, details."""
    before = len(site_chain())
    return lambda: site_chain()[before:]


def done(answer):
    assert answer.status_code == 302, answer.content.decode()


def admin_entry(entries, kind):
    (found,) = [details for name, actor, details in entries if (name, actor) == ("admin", WHO)]
    assert found["kind"] == kind
    return found


def test_a_user_is_made_changed_and_deleted(mia, written):
    done(mia.post("/admin/auth/user/add/", {"username": "bob", "usable_password": "false"}))
    made = written()
    assert admin_entry(made, "user")["object"] == "bob"
    assert ("user created", "SYSTEM") in [(kind, actor) for kind, actor, _ in made]

    bob = User.objects.get(username="bob")
    form = {"username": "bob", "is_active": "on", "is_staff": "on", "date_joined_0": "2026-01-31"}
    done(mia.post(f"/admin/auth/user/{bob.pk}/change/", form | {"date_joined_1": "12:00:00"}))
    changed = written()[len(made) :]
    assert "Staff status" in admin_entry(changed, "user")["message"]
    assert [details["is_staff"] for kind, _, details in changed if kind == "user changed"] == [True]

    done(mia.post(f"/admin/auth/user/{bob.pk}/delete/", {"post": "yes"}))
    deleted = written()[len(made) + len(changed) :]
    assert admin_entry(deleted, "user")["action"] == 3
    assert [details["name"] for kind, _, details in deleted if kind == "user deleted"] == ["bob"]


def test_a_password_is_set_and_stands_nowhere(mia, written):
    bob = User.objects.create_user("bob")
    form = {"password1": "Xq7mark horse battery", "password2": "Xq7mark horse battery", "usable_password": "true"}

    done(mia.post(f"/admin/auth/user/{bob.pk}/password/", form))

    entries = written()
    assert admin_entry(entries, "user")["object"] == "bob"
    assert [details["new_password"] for kind, _, details in entries if kind == "user changed"] == [True]
    assert "Xq7mark" not in str(entries)


def test_a_group_gets_a_right_and_a_member(mia, written):
    right = Permission.objects.get(codename="resolve_in_doubt")
    done(mia.post("/admin/auth/group/add/", {"name": "deciders", "permissions": [right.pk]}))
    made = written()
    assert admin_entry(made, "group")["object"] == "deciders"
    (rights,) = [details for kind, _, details in made if kind == "rights changed"]
    assert (rights["of"], rights["change"], len(rights["entries"])) == ("deciders", "added", 1)

    bob = User.objects.create_user("bob")
    form = {"username": "bob", "is_active": "on", "groups": [Group.objects.get(name="deciders").pk]}
    done(
        mia.post(f"/admin/auth/user/{bob.pk}/change/", form | {"date_joined_0": "2026-01-31", "date_joined_1": "12:00"})
    )
    joined = written()[len(made) :]
    assert admin_entry(joined, "user")["object"] == "bob"
    assert [details["entries"] for kind, _, details in joined if kind == "rights changed"] == [["deciders"]]


def test_a_key_is_made_rotated_and_revoked(mia, written):
    form = {"name": "notebook", "read": "*", "trade": "DU1", "cancel": "", "networks": "", "days": "30"}
    answer = mia.post("/admin/accounts/apikey/create/", form)
    assert answer.status_code == 200
    key = ApiKey.objects.get()
    assert mia.post(f"/admin/accounts/apikey/{key.pk}/rotate/", {"overlap": "5"}).status_code == 200
    done(mia.post(f"/admin/accounts/apikey/{key.pk}/revoke/"))

    entries = written()
    assert [(kind, actor) for kind, actor, _ in entries] == [
        ("api key created", WHO), ("api key rotated", WHO), ("api key revoked", WHO),
    ]  # fmt: skip
    assert all(key.pk in str(details) for _, _, details in entries)


def test_trading_is_halted_and_resumed(mia, written):
    done(mia.post("/admin/accounts/halt/press/", {"scope": "SYMBOL", "value": "AAPL", "reason": REASON}))
    halt = Halt.objects.get()
    done(mia.post(f"/admin/accounts/halt/{halt.pk}/resume/", {"reason": "it is over now"}))

    assert [(kind, actor, details["halt"], details["reason"]) for kind, actor, details in written()] == [
        ("halt", WHO, halt.pk, REASON), ("resume", WHO, halt.pk, "it is over now"),
    ]  # fmt: skip


def test_limits_are_set(mia, written):
    given = initial(changing.in_force(ACCOUNT), account=ACCOUNT) | {"reason": REASON, "order_quantity": "100"}
    form = {name: value for name, value in given.items() if value is not None and value is not False}

    done(mia.post(f"/admin/accounts/limitversion/set/?account={ACCOUNT}", form))

    ((kind, actor, details),) = written()
    assert (kind, actor) == ("limits changed", WHO)
    assert LimitVersion.objects.get().account in str(details)
    assert REASON in str(details)


def test_an_alarm_is_acknowledged(mia, written):
    raise_alarm(AlarmKind.IN_DOUBT, "order:12", text="it cannot be told", facts={"account": ACCOUNT})
    alarm = Alarm.objects.get()

    done(mia.post(f"/admin/alarms/alarm/{alarm.pk}/acknowledge/", {"note": "looked at it in TWS"}))

    entry = [(kind, actor, details["alarm"]) for kind, actor, details in written() if kind.startswith("alarm ack")]
    assert entry == [("alarm acknowledged", WHO, alarm.pk)]


def test_a_doubt_is_decided(mia, written):
    order = order_in("IN_DOUBT")
    form = {"perm_id": "17886806", "reason": "seen in TWS with our stamp", "confirmed": "on"}

    done(mia.post(f"/admin/orders/order/{order.pk}/decide/placed/", form))

    entry = [(actor, details["order"]) for kind, actor, details in written() if kind == "decision"]
    assert entry == [(WHO, order.pk)]


def test_what_was_refused_is_not_written_as_done(client, written):
    client.force_login(User.objects.create_user("bob", is_staff=True))
    before = written()

    assert client.post("/admin/auth/user/add/", {"username": "eve", "usable_password": "false"}).status_code == 403
    assert client.post("/admin/accounts/halt/press/", {"scope": "ALL", "reason": REASON}).status_code == 403

    assert written() == before
    assert not User.objects.filter(username="eve").exists()
    assert not Halt.objects.exists()
