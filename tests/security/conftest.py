"""A house of its own: what is sent here would be in the way of the walks, and the walks in the way of its checks."""

import pytest

from tests.security.record import Record
from tests.walks.house import running


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/security/" in item.nodeid:
            item.add_marker(pytest.mark.walk)
            item.add_marker(pytest.mark.xdist_group("security"))  # one house for all of them


@pytest.fixture(scope="session")
def target(tmp_path_factory):
    """The whole stack, ready, in which nobody trades."""
    with running(tmp_path_factory.mktemp("target")) as house:
        yield house


@pytest.fixture(scope="session")
def seen(target):
    seen = Record(target)
    yield seen
    seen.connection.close()
