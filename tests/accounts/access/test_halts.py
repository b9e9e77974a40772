"""What a key may halt: what it may trade in, and itself."""

import pytest

from accounts.access.models import Scope
from accounts.halts import switch
from accounts.halts.models import Halt
from accounts.halts.models import Scope as Halted

pytestmark = pytest.mark.django_db

OURS, THEIRS = "DU1000001", "DU1000002"
GRANTED = {Scope.READ: [OURS], Scope.TRADE: [OURS]}


def post(client, header, **body):
    given = {"reason": "by its key", **body}
    return client.post("/api/v1/halts", given, content_type="application/json", headers=header)


def test_a_key_halts_its_accounts_and_itself(client, new_key):
    key, header = new_key(GRANTED)

    for scope, value in (("ACCOUNT", OURS), ("KEY", key.pk)):
        assert post(client, header, scope=scope, value=str(value)).status_code == 201
    assert {row.halted_by for row in Halt.objects.all()} == {f"key:{key.pk}"}
    switch.halt(Halted.ACCOUNT, THEIRS, reason="not for them to see", actor="user:ada")
    shown = client.get("/api/v1/halts", headers=header).json()
    assert sorted(row["scope"] for row in shown) == ["ACCOUNT", "KEY"]
    assert THEIRS not in str(shown)


@pytest.mark.parametrize(
    "body",
    [
        {"scope": "ALL"},
        {"scope": "SYMBOL", "value": "AAPL"},
        {"scope": "ACCOUNT", "value": THEIRS},
        {"scope": "KEY", "value": "another"},
        {"scope": "ACCOUNT", "value": OURS, "cancel": True},  # without the scope cancel
    ],
)
def test_and_nothing_else(client, new_key, body):
    _, header = new_key(GRANTED)

    assert post(client, header, **body).status_code == 403
    assert not Halt.objects.exists()


def test_who_may_only_read_halts_nothing(client, new_key):
    _, header = new_key({Scope.READ: ["*"]})

    assert post(client, header, scope="ALL").status_code == 403
    assert not Halt.objects.exists()
    assert client.get("/api/v1/halts", headers=header).json() == []
