"""Who came in and who may do what, in the site's chain."""

import json

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.urls import reverse

from audit.models import Entry

pytestmark = pytest.mark.django_db


@pytest.fixture
def entries(committed):
    """Kind, actor and details of all that was written."""

    def read():
        committed()
        rows = Entry.objects.filter(chain="site").order_by("seq")
        facts = [(row.kind, json.loads(row.body)["facts"]) for row in rows]
        return [(kind, fact["actor"], fact["details"]) for kind, fact in facts]

    return read


def test_a_login_and_a_logout(client, entries):
    User.objects.create_user("alice", password="correct horse", is_staff=True)
    form = {"username": "alice", "password": "correct horse"}

    client.post(reverse("admin:login"), form, headers={"X-Request-Id": "one"})
    client.post(reverse("admin:logout"), headers={"X-Request-Id": "two"})

    created, login, logout = entries()
    assert created[0] == "user created"
    assert login == ("login", "user:alice", {"address": "127.0.0.1", "request_id": "one"})
    assert logout == ("logout", "user:alice", {"address": "127.0.0.1", "request_id": "two"})


@pytest.mark.parametrize(("name", "kept"), [("alice", "alice"), ("x" * 200, "x" * 150), ('"\\\n', '"\\\n')])
def test_a_refused_login(client, entries, name, kept):
    client.post(reverse("admin:login"), {"username": name, "password": "wrong"}, headers={"X-Request-Id": "one"})

    found = entries()
    if len(name) <= 150:
        assert found == [
            ("login refused", "ANONYMOUS", {"name": kept.strip(), "address": "127.0.0.1", "request_id": "one"})
        ]
    assert "wrong" not in str(found)


def test_users_and_groups(entries):
    user = User.objects.create_user("alice")
    user.is_superuser = True
    user.save()
    user.set_password("new")
    user.save()
    group = Group.objects.create(name="deciders")
    permission = Permission.objects.get(codename="resolve_in_doubt")
    group.permissions.add(permission)
    user.groups.add(group)
    user.groups.remove(group)
    group.permissions.clear()
    group.delete()
    user.delete()

    kinds = [(kind, details.get("change", ""), details.get("new_password")) for kind, _, details in entries()]
    assert kinds == [
        ("user created", "", False),
        ("user changed", "", False),
        ("user changed", "", True),
        ("group created", "", False),
        ("rights changed", "added", None),
        ("rights changed", "added", None),
        ("rights changed", "removed", None),
        ("rights changed", "cleared", None),
        ("group deleted", "", None),
        ("user deleted", "", None),
    ]
    assert entries()[1][2]["is_superuser"] is True
    assert "resolve_in_doubt" in str(entries()[4][2]["entries"]) or "doubt" in str(entries()[4][2]["entries"])


def test_what_the_admin_notes_says_who_it_was(entries):
    alice = User.objects.create_user("alice")
    LogEntry.objects.log_actions(alice.pk, [alice], CHANGE, change_message="Changed staff status.", single_object=True)

    kind, actor, details = entries()[-1]
    assert (kind, actor, details["object"], details["kind"]) == ("admin", "user:alice", "alice", "user")
    assert details["message"] == "Changed staff status."
