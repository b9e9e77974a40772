from decimal import Decimal as D

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from accounts.limits import changing
from accounts.limits.forms import initial
from accounts.limits.models import LimitVersion
from tests.orders.builders import ACCOUNT, session_row

pytestmark = pytest.mark.django_db

PAGE = "/admin/accounts/limitversion/set/"


@pytest.fixture
def viewer(client):
    session_row()
    user = User.objects.create_user("viewer", password="x", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_limitversion"))
    client.force_login(user)
    return user


@pytest.fixture
def risk(viewer):
    viewer.user_permissions.add(Permission.objects.get(codename="change_limits"))
    return viewer


def form(account=ACCOUNT, **changes):
    given = initial(changing.in_force(account), account=account) | {"reason": "agreed with the desk"} | changes
    return {name: value for name, value in given.items() if value is not None and value is not False}


def test_a_person_with_the_right_sets_them(client, risk):
    answer = client.post(
        f"{PAGE}?account={ACCOUNT}", form(order_quantity="100", allowed_symbols="msft, aapl", short_selling=False)
    )

    assert answer.status_code == 302
    row = LimitVersion.objects.get()
    assert (row.account, row.version, row.set_by, row.reason) == (ACCOUNT, 1, "user:viewer", "agreed with the desk")
    assert (row.order_quantity, row.allowed_symbols, row.short_selling) == (D(100), ["AAPL", "MSFT"], False)
    page = client.get(f"{PAGE}?account={ACCOUNT}").content.decode()
    assert "In force: version 1" in page
    assert "AAPL, MSFT" in page


def test_what_was_set_comes_back_on_the_form_as_it_was(client, risk):
    changing.change("", {"order_quantity": D("1.5"), "orders_per_day": 7}, by="user:x", reason="before")

    client.post(f"{PAGE}?account=", form("", order_value="10"))

    found = changing.in_force("")
    assert (found.version, found.order_quantity, found.orders_per_day, found.order_value) == (2, D("1.5"), 7, 10)
    assert found.short_selling


def test_who_may_only_look_cannot_set(client, viewer):
    page = client.get(f"{PAGE}?account={ACCOUNT}").content.decode()
    answer = client.post(f"{PAGE}?account={ACCOUNT}", form(order_quantity="100"))

    assert answer.status_code == 403
    assert "<button" not in page[page.index('id="set"') :].split("</section>")[0]
    assert "Can set the limits of accounts" in page
    assert not LimitVersion.objects.exists()


def test_who_may_not_even_look(client):
    client.force_login(User.objects.create_user("nobody", password="x", is_staff=True))

    assert client.get(PAGE).status_code == 403
    assert client.post(PAGE, form("", order_quantity="1")).status_code == 403
    assert not LimitVersion.objects.exists()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"reason": ""}, "This field is required"),
        ({"reason": "x"}, "Say why"),
        ({"order_quantity": "-1"}, "Give a number from 0 on"),
        ({"order_quantity": "ten"}, "Enter a number"),
        ({"allowed_types": "TRAIL"}, "TRAIL is no order type"),
        ({"seen": "4"}, "changed meanwhile"),
    ],
)
def test_what_is_wrong_is_shown_beside_what_was_typed(client, risk, changes, complaint):
    answer = client.post(f"{PAGE}?account={ACCOUNT}", form(**{"position": "77"} | changes))

    page = answer.content.decode()
    assert answer.status_code == 200
    assert complaint in page
    assert 'value="77"' in page
    assert not LimitVersion.objects.exists()


def test_an_account_that_is_not_there(client, risk):
    assert client.get(f"{PAGE}?account=DU9").status_code == 404
    assert client.post(f"{PAGE}?account=DU9", form("DU9", order_quantity="1")).status_code == 404
    assert not LimitVersion.objects.exists()


def test_every_version_is_listed_and_none_can_be_changed(client, risk):
    row = changing.change("", {"order_quantity": D(5)}, by="user:x", reason="<b>bold</b>")

    listed = client.get(reverse("admin:accounts_limitversion_changelist")).content.decode()
    page = client.get(reverse("admin:accounts_limitversion_change", args=[row.pk])).content.decode()

    assert "&lt;b&gt;bold" in listed
    assert f"{PAGE}?account={ACCOUNT}" in listed
    assert "Every account without limits of its own" in page
    assert client.post(reverse("admin:accounts_limitversion_change", args=[row.pk]), {}).status_code == 403
    assert client.get(reverse("admin:accounts_limitversion_add")).status_code == 403


def test_real_money_without_limits_is_said(client, risk, settings):
    settings.TRADING_MODE = "live"

    assert "Nothing is sent with real money until" in client.get(PAGE).content.decode()
