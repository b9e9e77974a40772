from datetime import timedelta
from decimal import Decimal as D

import pytest
from django.utils import timezone

from accounts.halts import switch
from accounts.halts.models import Halt
from accounts.limits import changing, losses
from accounts.models import AccountValue
from alarms.models import OPEN, Alarm
from alarms.vocabulary import AlarmKind
from ibkr_site import watch
from tests.orders.builders import ACCOUNT, session_row
from tests.orders.test_exposure import equity, snapshot

pytestmark = pytest.mark.django_db


def alarms():
    return list(Alarm.objects.filter(OPEN, kind=AlarmKind.DAILY_LOSS).values_list("subject", "text"))


def test_a_loss_is_an_alarm_until_it_is_none():
    session_row()
    snapshot(30, 100_000)
    equity("98999.50")
    changing.change("", {"daily_loss": D(1001)}, by="user:risk", reason="the most a day may cost")
    watch.look()
    assert alarms() == []

    AccountValue.objects.update(value="98998.50")
    watch.look()
    watch.look()
    words = f"{ACCOUNT} has lost the 1001 that a day may cost: only orders that reduce a position are sent"
    assert alarms() == [(f"account:{ACCOUNT}", words)]

    AccountValue.objects.update(value="99500")
    watch.look()
    assert alarms() == []


def test_it_halts_that_account_and_no_other():
    session_row()
    snapshot(30, 100_000)
    equity("98000")
    changing.change("", {"daily_loss": D(1000)}, by="user:risk", reason="the most a day may cost")

    watch.look()

    halt = Halt.objects.get()
    assert (halt.scope, halt.value, halt.halted_by) == ("ACCOUNT", ACCOUNT, "SYSTEM")
    assert switch.reason_against(account="DU2", symbol="AAPL", actor="api") == ""


@pytest.mark.parametrize("limit", [None, D(5000)])
def test_what_nobody_limits_is_no_alarm(limit):
    session_row()
    snapshot(30, 100_000)
    equity("98000")
    changing.change("", {"daily_loss": limit, "working_orders": 5}, by="user:risk", reason="for this test")

    assert losses.reached(timezone.now() - timedelta(hours=20)) == {}
