"""Faults: the house as real processes, broken on purpose, and what is left of it held against the gateway's ledger."""

import pytest

from tests.faults import record
from tests.faults.house import running

FIRST_HALF = {"test_web.py", "test_worker.py", "test_wire.py", "test_variants.py"}


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/faults/" in item.nodeid:
            item.add_marker(pytest.mark.fault)
            # One house for each half of them, so that two workers of xdist share the time.
            first = item.path.name in FIRST_HALF
            item.add_marker(pytest.mark.xdist_group("faults 1" if first else "faults 2"))


@pytest.fixture(autouse=True, scope="session")
def databases_of_houses(django_db_blocker):
    """What these tests look at through Django is a house's own database: see `record.opened`."""
    with django_db_blocker.unblock():
        yield


@pytest.fixture(scope="session")
def house(tmp_path_factory, databases_of_houses):
    with running(tmp_path_factory.mktemp("faults")) as running_house:
        yield running_house
        record.close(running_house)
