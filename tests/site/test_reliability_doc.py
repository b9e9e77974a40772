"""docs/reliability.md lists the faults that are tried, and no other."""

from tests.faults import pages


def test_tables_are_those_of_the_tests():
    page = pages.PAGE.read_text()

    assert page == pages.written(page), "run: python -m tests.faults.pages"
