from decimal import Decimal as D

import pytest
from django.db import Error, IntegrityError, transaction

from accounts.limits import changing, values
from accounts.limits.changing import InvalidLimits
from accounts.limits.models import LimitVersion
from accounts.limits.values import LIMITS, LIVE, PAPER
from audit.models import Draft

pytestmark = pytest.mark.django_db

BY = {"by": "user:risk", "reason": "agreed with the desk"}


def test_before_anybody_set_any_the_mode_decides(settings):
    assert changing.in_force("DU1000001") == PAPER

    settings.TRADING_MODE = "live"

    assert changing.in_force("U1") == LIVE


def test_a_change_is_the_next_version_and_leaves_the_rest_as_it_was():
    changing.change("", {"order_quantity": D(100), "allowed_symbols": ["msft", " AAPL "]}, **BY)

    row = changing.change("", {"order_value": D(5000)}, **BY)

    assert (row.version, row.set_by, row.reason) == (2, "user:risk", "agreed with the desk")
    found = changing.in_force("DU1000001")
    assert (found.version, found.order_quantity, found.order_value) == (2, 100, 5000)
    assert found.allowed_symbols == ("AAPL", "MSFT")
    assert LimitVersion.objects.get(version=1).order_value is None


def test_what_an_account_has_of_its_own_begins_with_what_held_for_it():
    changing.change("", {"order_quantity": D(100)}, **BY)
    own = changing.change("DU1", {"position": D(7)}, **BY)

    changing.change("", {"order_quantity": D(1)}, **BY)

    assert (own.account, own.version, own.order_quantity) == ("DU1", 1, 100)
    assert changing.in_force("DU1").order_quantity == 100
    assert changing.in_force("DU2").order_quantity == 1


def test_real_money_begins_with_zeros(settings):
    settings.TRADING_MODE = "live"

    changing.change("U1", {"order_quantity": D(10)}, **BY)

    found = changing.in_force("U1")
    assert (found.order_quantity, found.order_value, found.short_selling, found.unset) == (10, 0, False, False)
    assert changing.in_force("U2").unset


def test_a_change_stands_in_the_sites_chain():
    changing.change("DU1", {"order_quantity": D("100.50"), "short_selling": False}, **BY)

    draft = Draft.objects.get()

    assert (draft.chain, draft.kind) == ("site", "limits changed")
    for said in ('"actor":"user:risk"', "agreed with the desk", '"version":1', '"from":"no limit","to":"100.5"'):
        assert said in draft.facts
    assert '"short_selling":{"from":"yes","to":"no"}' in draft.facts


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("order_quantity", {"order_quantity": D(-1)}),
        ("order_quantity", {"order_quantity": D("NaN")}),
        ("order_quantity", {"order_quantity": D("Infinity")}),
        ("order_quantity", {"order_quantity": D("0.000000001")}),
        ("order_quantity", {"order_quantity": D(10) ** 15}),
        ("order_quantity", {"order_quantity": "ten"}),
        ("working_orders", {"working_orders": -1}),
        ("working_orders", {"working_orders": 2**31}),
        ("working_orders", {"working_orders": True}),
        ("allowed_symbols", {"allowed_symbols": ["AA\nPL"]}),
        ("allowed_types", {"allowed_types": ["TRAIL"]}),
        ("short_selling", {"short_selling": None}),
        ("leverage", {"leverage": D(2)}),
    ],
)
def test_what_is_no_limit_is_refused(field, changes):
    with pytest.raises(InvalidLimits) as refused:
        changing.change("", changes, **BY)

    assert refused.value.field == field
    assert not LimitVersion.objects.exists()
    assert not Draft.objects.exists()


@pytest.mark.parametrize("reason", ["", "    ", "x", "two\nlines", "bell\x07 and so on", "x" * 501])
def test_a_change_without_a_reason_is_none(reason):
    with pytest.raises(InvalidLimits) as refused:
        changing.change("", {"order_quantity": D(1)}, by="user:risk", reason=reason)

    assert refused.value.field == "reason"
    assert not LimitVersion.objects.exists()


@pytest.mark.parametrize("account", ["du1", "DU 1", "DU1;", "X" * 21])
def test_what_is_no_account_is_refused(account):
    with pytest.raises(InvalidLimits):
        changing.change(account, {"order_quantity": D(1)}, **BY)

    assert not LimitVersion.objects.exists()


def test_nothing_to_change_is_said():
    changing.change("", {"order_quantity": D(1)}, **BY)

    with pytest.raises(InvalidLimits, match="Nothing would change"):
        changing.change("", {"order_quantity": D("1.0")}, **BY)

    assert LimitVersion.objects.count() == 1


def test_who_looked_at_an_older_version_looks_again():
    changing.change("", {"order_quantity": D(1)}, **BY, seen=0)

    with pytest.raises(InvalidLimits, match="changed meanwhile, to version 1"):
        changing.change("", {"order_quantity": D(2)}, **BY, seen=0)

    assert changing.in_force("").order_quantity == 1


def test_versions_are_not_changed_taken_away_or_given_twice():
    row = changing.change("", {"order_quantity": D(1)}, **BY)

    for attempt in (
        lambda: LimitVersion.objects.update(order_quantity=D(2)),
        lambda: LimitVersion.objects.all().delete(),
        lambda: LimitVersion.objects.create(
            account="", version=1, set_at=row.set_at, reason="x", short_selling=True, refuse_unknown=True
        ),
    ):
        with pytest.raises((Error, IntegrityError)), transaction.atomic():
            attempt()

    assert changing.in_force("").order_quantity == 1


def test_every_limit_has_a_column_a_value_and_words():
    columns = {field.name for field in LimitVersion._meta.fields} - {"id", "set_at", "set_by", "reason"}

    assert columns == set(values.Limits.__dataclass_fields__)
    assert columns - {"account", "version"} == {limit.name for limit in LIMITS} == set(values.in_words(PAPER))
