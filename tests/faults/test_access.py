"""Two accounts and three API keys: one that trades in each, and one that trades in none."""

import pytest

from tests.faults import record
from tests.faults.house import OURS, THEIRS, WORKERS, Run
from tests.faults.table import GONE, NOT_PLACED, PLACED, REFUSED, UNKNOWN, Fault, each, endure
from tests.faults.test_worker import while_busy


@pytest.fixture
def strict_house(house):
    """The house asks for keys, and trades in all accounts of the gateway."""
    with house.altered(("web", *WORKERS), API_AUTH="keys", IB_ACCOUNT=""):
        yield house


def with_three_keys(run: Run) -> None:
    """The client's own requests, from now on, come from these three in turn."""
    run.keyed = [
        run.client.with_api_key(record.make_key(run.house, trade=[OURS], cancel=[OURS]), {OURS}),
        run.client.with_api_key(record.make_key(run.house, trade=[THEIRS], cancel=[THEIRS]), {THEIRS}),
        run.client.with_api_key(record.make_key(run.house, read=[OURS, THEIRS]), set()),
    ]


def one_of_three(run: Run, number: int) -> None:
    run.keyed[number % 3].limit()


def each_account_for_itself(run: Run, found) -> None:
    """Both keys traded, the third did not, and none cancels what is the other's."""
    assert {line["account"] for line in found.at_broker} == {OURS, THEIRS}
    of_none = [exchange for exchange in run.client.exchanges if not exchange.accounts]
    assert {exchange.status for exchange in of_none} == {403}
    of_theirs = next(line for line in found.at_broker if line["account"] == THEIRS)
    assert run.keyed[0].cancel(of_theirs["permId"]).said == GONE
    ended = {line["permId"] for line in run.house.ledger() if line["kind"] == "ended"}
    assert of_theirs["permId"] not in ended


FAULTS = [
    Fault(
        name="two accounts and three keys, and the owner dies",
        promise=3,
        happens="each key's orders are in its own account alone; one that may not trade is refused",
        arm=with_three_keys,
        load=while_busy(lambda run: run.house.owner().kill(), post=one_of_three),
        said={PLACED, UNKNOWN, NOT_PLACED, REFUSED},
        ends={"NEW", "NOT_PLACED"},
        then=each_account_for_itself,
    ),
]


@each(FAULTS)
def test_access(fault, strict_house):
    endure(fault, strict_house)
