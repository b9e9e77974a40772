import pytest

from accounts.access import authentication, register, tally
from accounts.access.models import ALL, Scope

ALL_SCOPES = {scope: [ALL] for scope in Scope}


@pytest.fixture(autouse=True)
def nothing_counted():
    """What a process has counted is not of the next test."""
    for memory in (tally.refusals, tally.uses, authentication.by_address, authentication.by_key):
        memory.clear()


@pytest.fixture
def keys_mode(db, settings):
    settings.API_AUTH = "keys"


@pytest.fixture
def new_key(keys_mode):
    """Makes a key; gives its row and the header that a client sends."""

    def make(grants=None, **terms):
        values = {"name": "a test", "grants": grants or ALL_SCOPES, "actor": "SYSTEM"}
        key, credential = register.create(**values | terms)
        return key, bearer(credential)

    return make


def bearer(credential):
    return {"Authorization": f"Bearer {credential.text}"}
