import io

import pytest

from orders.flex.importing import import_file
from tests.orders.builders import session_row


@pytest.fixture
def house(db):
    """A site that knows its account."""
    return session_row()


@pytest.fixture
def bring(house):
    """Imports bytes as the file they are."""

    def bring(data, **options):
        return import_file(io.BytesIO(data), name="statement.xml", actor="user:reviewer", **options)

    return bring
