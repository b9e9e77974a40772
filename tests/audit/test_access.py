"""Who came in and who may do what, in the site's chain."""

import json

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.db import IntegrityError, connection
from django.urls import reverse
from django.utils import timezone

from audit import chain as chains
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
    group_pk = group.pk
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
        ("group created", "", None),
        ("rights changed", "added", None),
        ("rights changed", "added", None),
        ("rights changed", "removed", None),
        ("rights changed", "removed", None),
        ("group deleted", "", None),
        ("user deleted", "", None),
    ]
    assert entries()[1][2]["is_superuser"] is True
    assert entries()[4][2] == {
        "change": "added",
        "entries": ["orders.resolve_in_doubt"],
        "id": group_pk,
        "kind": "group",
        "list": "permission",
        "of": "deciders",
        "role": entries()[0][2]["role"],
    }


@pytest.mark.parametrize("name", ['"quoted" \\ back', "tab\tline\nbell\a", "ü😀\x7f\u2028", "<&'/>"])
def test_any_name_is_spelled_as_the_trail_spells_it(entries, name):
    group = Group.objects.create(name=name)
    user = User.objects.create_user(name)
    user.groups.add(group)
    User.objects.filter(pk=user.pk).delete()
    group.delete()

    told = entries()

    assert {details.get("name", details.get("of")) for _, _, details in told} == {name}
    for row in Entry.objects.filter(chain="site"):
        assert chains.read(row.body)  # raises for what is not canonical


def test_bulk_changes_and_those_behind_the_code_are_seen(entries):
    users = [User.objects.create_user(f"user {number}") for number in range(3)]
    groups = Group.objects.bulk_create([Group(name="b"), Group(name="a")])
    before = len(entries())

    User.objects.filter(pk__lte=users[1].pk).update(is_superuser=True)
    User.groups.through.objects.bulk_create(
        [User.groups.through(user=user, group=group) for user in users[:2] for group in groups]
    )
    with connection.cursor() as cursor:
        cursor.execute("UPDATE auth_user_groups SET group_id = %s WHERE group_id = %s AND user_id = %s",
                       [groups[0].pk, groups[0].pk, users[0].pk])  # fmt: skip
        cursor.execute("DELETE FROM auth_user_groups")
        cursor.execute("DELETE FROM auth_user WHERE username = 'user 2'")

    told = [
        (kind, details.get("change", ""), details.get("name", details.get("of")), details.get("entries"))
        for kind, _, details in entries()[before:]
    ]
    assert sorted(told[:2]) == [("user changed", "", f"user {number}", None) for number in (0, 1)]
    assert told[2:] == [
        ("rights changed", "added", "user 0", ["a", "b"]),
        ("rights changed", "added", "user 1", ["a", "b"]),
        ("rights changed", "removed", "user 0", ["b"]),
        ("rights changed", "added", "user 0", ["b"]),
        ("rights changed", "removed", "user 0", ["a", "b"]),
        ("rights changed", "removed", "user 1", ["a", "b"]),
        ("user deleted", "", "user 2", None),
    ]
    assert [details["is_superuser"] for kind, _, details in entries() if kind == "user changed"] == [True, True]


def test_no_password_and_no_mere_login_is_told(entries):
    user = User.objects.create_user("alice", password="correct horse")
    user.last_login = timezone.now()
    user.save()
    User.objects.update(last_login=timezone.now())
    user.set_password("battery staple")
    user.save()

    told = entries()

    assert [(kind, details["new_password"]) for kind, _, details in told] == [
        ("user created", True),
        ("user changed", True),
    ]
    assert "pbkdf2" not in str(told)
    assert user.password not in str(told)


@pytest.mark.django_db(transaction=True)
def test_what_cannot_be_written_to_the_trail_does_not_happen():
    """Outside a transaction as well, as in a shell or by createsuperuser."""
    user, group = User.objects.create_user("alice"), Group.objects.create(name="deciders")
    before = Entry.objects.count()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_draft ADD CONSTRAINT nothing CHECK (false)")
    try:
        for change in (
            lambda: User.objects.filter(pk=user.pk).update(is_superuser=True),
            lambda: User.objects.create_superuser("mallory"),
            lambda: call_command("createsuperuser", interactive=False, username="mallory", email=""),
            lambda: user.groups.add(group),
            lambda: group.permissions.add(Permission.objects.first()),
            user.delete,
        ):
            with pytest.raises(IntegrityError, match="nothing"):
                change()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE audit_draft DROP CONSTRAINT nothing")

    assert list(User.objects.values_list("username", "is_superuser")) == [("alice", False)]
    assert (user.groups.count(), group.permissions.count()) == (0, 0)
    assert Entry.objects.count() == before


@pytest.mark.django_db(transaction=True)
def test_the_command_that_makes_a_superuser_is_told(monkeypatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "correct horse")
    call_command("createsuperuser", interactive=False, username="root", email="")

    (details,) = [json.loads(row.body)["facts"]["details"] for row in Entry.objects.filter(kind__startswith="user")]
    assert (details["name"], details["is_superuser"], details["new_password"]) == ("root", True, True)


def test_what_the_admin_notes_says_who_it_was(entries):
    alice = User.objects.create_user("alice")
    LogEntry.objects.log_actions(alice.pk, [alice], CHANGE, change_message="Changed staff status.", single_object=True)

    kind, actor, details = entries()[-1]
    assert (kind, actor, details["object"], details["kind"]) == ("admin", "user:alice", "alice", "user")
    assert details["message"] == "Changed staff status."
