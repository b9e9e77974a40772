"""Keys made, rotated and revoked by command and in the admin; what the schema says of them."""

import io
import re

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command

from accounts.access import credentials
from accounts.access.models import ApiKey, Scope
from tests.accounts.access.test_door import site_chain
from tests.orders.builders import session_row

pytestmark = pytest.mark.django_db
SECRET = re.compile(r"ibk_[a-z2-7]{13}_[a-z2-7]{52}")


def command(*words):
    out, err = io.StringIO(), io.StringIO()
    call_command("api_keys", *words, stdout=out, stderr=err)
    return out.getvalue().strip()


def status(client, key):
    return client.get("/executions", headers={"Authorization": f"Bearer {key}"}).status_code


def test_a_key_s_life_by_command(client, keys_mode):
    session_row()
    first = command(
        "create", "--name", "bot", "--read", "*", "--trade", "DU1", "DU2", "--days", "30", "--actor", "user:eve"
    )
    key_id = credentials.parse(first).key_id
    assert status(client, first) == 200

    listed = command("list")
    assert key_id in listed
    assert "read *, trade DU1, trade DU2" in listed
    assert not SECRET.search(listed)

    second = command("rotate", key_id, "--overlap", "60", "--actor", "user:eve")
    assert [status(client, key) for key in (first, second)] == [200, 200]
    assert key_id in command("revoke", key_id, "--actor", "user:eve")
    assert [status(client, key) for key in (first, second)] == [401, 401]
    assert "REVOKED" in command("list")
    changes = [(kind, actor) for kind, actor, _ in site_chain() if kind != "api use refused"]
    assert changes == [(f"api key {word}", "user:eve") for word in ("created", "rotated", "revoked")]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("create", "--name", "x"), "may do nothing is of no use"),
        (("create", "--name", "x", "--read", "D U"), "is no account"),
        (("create", "--name", "x", "--read", "*", "--network", "there"), "use an address or a range"),
        (("create", "--name", "x", "--read", "*", "--days", "0"), "That moment is over"),
        (("rotate", "abc"), "There is no key abc"),
        (("revoke", "abc"), "There is no key abc"),
    ],
)
def test_commands_that_are_refused(words, complaint):
    with pytest.raises(CommandError, match=complaint):
        command(*words)

    assert not ApiKey.objects.exists()
    assert site_chain() == []


@pytest.fixture
def manager(client):
    client.force_login(User.objects.create_superuser("mia"))
    return client


CREATE = "/admin/accounts/apikey/create/"
FIELDS = {"name": "notebook", "read": "*", "trade": "DU1, DU2", "cancel": "", "networks": "10.0.0.0/8", "days": "30"}


def test_a_key_s_life_in_the_admin(manager, keys_mode):
    answer = manager.post(CREATE, FIELDS)

    (secret,) = set(SECRET.findall(answer.content.decode()))
    key = ApiKey.objects.get()
    assert credentials.parse(secret).matches(key.digest)
    assert (key.created_by, key.networks) == ("user:mia", ["10.0.0.0/8"])
    assert sorted(map(str, key.grants.all())) == ["read *", "trade DU1", "trade DU2"]
    assert "no-store" in answer.headers["Cache-Control"]
    for page in ("/admin/accounts/apikey/", f"/admin/accounts/apikey/{key.pk}/change/"):
        shown = manager.get(page)
        assert shown.status_code == 200
        assert "notebook" in shown.content.decode()
        assert not SECRET.search(shown.content.decode())

    answer = manager.post(f"/admin/accounts/apikey/{key.pk}/rotate/", {"overlap": "5"})
    (second,) = set(SECRET.findall(answer.content.decode()))
    key.refresh_from_db()
    assert credentials.parse(second).matches(key.digest)
    assert credentials.parse(secret).matches(key.old_digest)

    assert manager.post(f"/admin/accounts/apikey/{key.pk}/revoke/").status_code == 302
    key.refresh_from_db()
    assert key.revoked_at
    again = manager.post(f"/admin/accounts/apikey/{key.pk}/revoke/")
    assert "was revoked at" in again.content.decode()
    changes = [(kind, actor) for kind, actor, _ in site_chain() if kind.startswith("api key")]
    assert changes == [(f"api key {word}", "user:mia") for word in ("created", "rotated", "revoked")]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"name": ""}, "This field is required"),
        ({"read": "", "trade": ""}, "may do nothing is of no use"),
        ({"read": "DU-1"}, "is no account"),
        ({"networks": "there"}, "use an address or a range"),
        ({"days": "0"}, "greater than or equal to 1"),
    ],
    ids=str,
)
def test_forms_that_are_refused(manager, changes, complaint):
    answer = manager.post(CREATE, FIELDS | changes)

    assert answer.status_code == 200
    assert complaint in answer.content.decode()
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("path", ["create/", "{key}/rotate/", "{key}/revoke/"])
def test_managing_takes_a_permission_of_its_own(client, new_key, path):
    key, _ = new_key()
    before = ApiKey.objects.values().get()
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_apikey"))
    client.force_login(user)

    answers = [
        ask(f"/admin/accounts/apikey/{path.format(key=key.pk)}", FIELDS | {"overlap": "0"})
        for ask in (client.get, client.post)
    ]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert client.get("/admin/accounts/apikey/").status_code == 200
    assert ApiKey.objects.values().get() == before


def test_the_schema_speaks_of_keys_where_they_are_asked_for(client, settings):
    without = client.get("/openapi.json").json()
    settings.API_AUTH = "keys"
    asking = client.get("/openapi.json").json()

    assert "securitySchemes" not in without["components"]
    assert not any("security" in operation for path in without["paths"].values() for operation in path.values())
    (scheme,) = asking["components"]["securitySchemes"].items()
    assert (scheme[0], scheme[1]["type"], scheme[1]["scheme"]) == ("apiKey", "http", "bearer")
    for path, operations in asking["paths"].items():
        for operation in operations.values():
            assert operation.get("security") == (None if path.startswith("/health") else [{"apiKey": []}])


def test_scopes_are_the_words_of_the_command():
    assert [scope.value for scope in Scope] == ["read", "trade", "cancel"]
