from decimal import Decimal as D
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.limits import changing
from accounts.limits.models import LimitVersion
from accounts.limits.values import LIMITS

pytestmark = pytest.mark.django_db


def run(*words):
    said = StringIO()
    call_command("limits", *words, stdout=said)
    return said.getvalue()


def test_show_says_what_holds_though_nobody_set_any():
    said = run("show")

    assert "Every account without limits of its own: nobody has set any: the mode's defaults" in said
    assert {line.split()[0].replace("-", "_") for line in said.splitlines()[1:]} == {limit.name for limit in LIMITS}


def test_set_and_show():
    said = run(
        *("set", "DU1", "--order-quantity", "100", "--allowed-symbols", "aapl,MSFT", "--orders-per-second", "5"),
        *("--short-selling", "no", "--reason", "first day"),
    )

    row = LimitVersion.objects.get()
    assert (row.account, row.version, row.reason) == ("DU1", 1, "first day")
    assert row.set_by.startswith("command:")
    assert "DU1: version 1" in said
    found = changing.in_force("DU1")
    assert (found.order_quantity, found.allowed_symbols, found.orders_per_second) == (100, ("AAPL", "MSFT"), 5)
    assert (found.short_selling, found.order_value) == (False, None)
    assert "DU1: version 1" in run("show")
    assert "DU2: nobody has set any" in run("show", "DU2")


def test_none_takes_a_limit_away():
    run("set", "--order-quantity", "100", "--allowed-types", "LIMIT", "--reason", "first day")

    run("set", "--order-quantity", "none", "--allowed-types", "NONE", "--reason", "second day")

    found = changing.in_force("")
    assert (found.version, found.order_quantity, found.allowed_types) == (2, None, None)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "Name at least one limit"),
        (["--order-quantity", "ten"], "--order-quantity: Give a number"),
        (["--order-quantity", "-5"], "--order-quantity: Give a number"),
        (["--orders-per-day", "1.5"], "--orders-per-day: Give a whole number"),
        (["--short-selling", "maybe"], "--short-selling: Say yes or no"),
        (["--allowed-types", "TRAIL"], "--allowed-types: TRAIL is no order type"),
    ],
)
def test_misuse_is_said_and_changes_nothing(words, complaint):
    changing.change("", {"position": D(1)}, by="user:risk", reason="before")

    with pytest.raises(CommandError, match=complaint):
        run("set", *words, "--reason", "a mistake")

    assert LimitVersion.objects.count() == 1


def test_a_reason_is_asked_for():
    with pytest.raises(CommandError, match="--reason"):
        run("set", "--order-quantity", "1")

    assert not LimitVersion.objects.exists()
