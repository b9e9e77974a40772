"""Faults: the house as real processes, broken on purpose, and what is left of it held against the gateway's ledger."""

import pytest

from tests.faults.house import running


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/faults/" in item.nodeid:
            item.add_marker(pytest.mark.fault)
            item.add_marker(pytest.mark.xdist_group("faults"))  # one house for all of them


@pytest.fixture(scope="session")
def house(tmp_path_factory):
    with running(tmp_path_factory.mktemp("faults")) as running_house:
        yield running_house
