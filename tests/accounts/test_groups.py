"""What each group opens and does in the admin, over every model that is registered there."""

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.urls import reverse

from accounts import groups
from accounts.review import ReviewAdmin
from audit.models import Draft
from orders.flex.models import FlexImport
from tests.orders.factories import order_in

pytestmark = pytest.mark.django_db

MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
REVIEWED = [model for model in MODELS if isinstance(admin.site._registry[model], ReviewAdmin)]
# Our own models below this name are the keys of the API, which are security's.
KEYS = "apikey"


@pytest.fixture
def member(client):
    """Logs a member of that group in."""
    groups.establish()

    def log_in(name):
        user = User.objects.create_user(f"a {name}", is_staff=True)
        if name in groups.TABLE:
            user.groups.add(Group.objects.get(name=name))
        client.force_login(user)
        return client

    return log_in


def address(model, page="changelist", *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def may_open(group, model):
    """What the admin's pages are for, said a second time and another way than the table does."""
    if model._meta.app_label in ("auth",) or KEYS in model._meta.model_name:
        return group == "security"
    return group in ("viewer", "operator", "risk")


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
@pytest.mark.parametrize("group", ["viewer", "operator", "risk", "security", "no group"])
def test_every_list_opens_for_those_it_is_for(member, group, model):
    answer = member(group).get(address(model))

    assert answer.status_code == (200 if may_open(group, model) else 403)


@pytest.mark.parametrize("model", [User, Group], ids=lambda model: model.__name__)
@pytest.mark.parametrize("group", ["viewer", "operator", "risk", "security"])
def test_only_security_makes_users_and_groups(member, group, model):
    client, before = member(group), model.objects.count()
    given = {"username": "new", "name": "new", "usable_password": "false"}

    answer = client.post(address(model, "add"), given)

    assert (answer.status_code, model.objects.count() - before) == ((302, 1) if group == "security" else (403, 0))


@pytest.mark.parametrize("model", REVIEWED, ids=lambda model: model._meta.label)
def test_no_review_page_adds_changes_or_deletes_whoever_asks(member, model):
    client = member("operator")
    client.force_login(User.objects.create_superuser("root"))
    before = model._default_manager.count()

    assert client.get(address(model, "add")).status_code in (403, 404)
    assert client.post(address(model, "add"), {}).status_code in (403, 404)
    assert model._default_manager.count() == before


@pytest.mark.parametrize("group", ["viewer", "operator", "risk", "security"])
def test_only_an_operator_decides_what_became_of_an_order(member, group):
    order = order_in("IN_DOUBT")
    client = member(group)
    form = {"perm_id": "17886806", "reason": "seen in TWS with our stamp", "confirmed": "on"}

    answer = client.post(reverse("admin:orders_order_decide", args=[order.pk, "placed"]), form)

    order.refresh_from_db()
    assert (answer.status_code, order.status) == ((302, "NEW") if group == "operator" else (403, "IN_DOUBT"))


@pytest.mark.parametrize("group", ["viewer", "operator", "risk", "security"])
def test_only_an_operator_imports_statements(member, group):
    answer = member(group).post(reverse("admin:orders_fleximport_import_statement"), {})

    assert answer.status_code == (200 if group == "operator" else 403)
    assert not FlexImport.objects.exists()


# (group, permission, may): what else the groups are for, whether it exists in this version or not.
RIGHTS = [
    ("viewer", "orders.resolve_in_doubt", False),
    ("viewer", "accounts.halt", False),
    ("viewer", "accounts.change_limits", False),
    ("viewer", "alarms.acknowledge", False),
    ("viewer", "alarms.view_alarm", True),
    ("viewer", "accounts.view_apikey", False),
    ("operator", "orders.close_break", True),
    ("operator", "alarms.acknowledge", True),
    ("operator", "accounts.halt", True),
    ("operator", "accounts.resume", False),
    ("operator", "accounts.change_limits", False),
    ("operator", "accounts.add_apikey", False),
    ("risk", "accounts.halt", True),
    ("risk", "accounts.resume", True),
    ("risk", "accounts.change_limits", True),
    ("risk", "orders.resolve_in_doubt", False),
    ("risk", "auth.change_user", False),
    ("security", "auth.change_user", True),
    ("security", "auth.delete_group", True),
    ("security", "accounts.add_apikey", True),
    ("security", "accounts.revoke_apikey", True),
    ("security", "accounts.halt", False),
    ("security", "orders.view_order", False),
]


@pytest.mark.parametrize(("group", "permission", "may"), RIGHTS)
def test_what_else_a_group_may(group, permission, may):
    assert groups.allows(group, permission) is may


def test_a_permission_that_comes_later_is_granted_at_the_next_start():
    groups.establish()
    kind, _ = ContentType.objects.get_or_create(app_label="accounts", model="halted")
    later, _ = Permission.objects.get_or_create(codename="halt", content_type=kind, defaults={"name": "Can halt"})
    for group in Group.objects.filter(name__in=["operator", "risk"]):
        group.permissions.remove(later)

    groups.establish()

    assert set(later.group_set.values_list("name", flat=True)) == {"operator", "risk"}


def test_nothing_is_done_or_recorded_where_all_is_as_the_table_says():
    groups.establish()
    own = Group.objects.create(name="auditors")
    own.permissions.add(Permission.objects.get(codename="view_order"))
    drafts = Draft.objects.count()

    groups.establish()

    assert Draft.objects.count() == drafts
    assert own.permissions.count() == 1


def test_a_right_that_was_added_by_hand_is_taken_back():
    groups.establish()
    viewer = Group.objects.get(name="viewer")
    viewer.permissions.add(Permission.objects.get(codename="resolve_in_doubt"))

    groups.establish()

    assert not viewer.permissions.filter(codename="resolve_in_doubt").exists()


def test_security_gives_itself_nothing(member):
    client = member("security")
    me = User.objects.get(username="a security")

    answer = client.post(
        address(User, "change", me.pk), {"username": me.username, "is_active": "on", "is_superuser": "on"}
    )

    me.refresh_from_db()
    assert (answer.status_code, me.is_superuser) == (403, False)


def test_security_makes_nobody_a_superuser_and_touches_none(member):
    client = member("security")
    root, other = User.objects.create_superuser("root", password="old"), User.objects.create_user("other")
    form = {
        "username": "other", "is_active": "on", "is_staff": "on", "is_superuser": "on",
        "date_joined_0": "2026-01-31", "date_joined_1": "12:00:00",
    }  # fmt: skip

    answer = client.post(address(User, "change", other.pk), form)
    assert answer.status_code == 302, answer.context["adminform"].errors
    other.refresh_from_db()
    assert (other.is_staff, other.is_superuser) == (True, False)

    passwords = {"password1": "a new pass phrase", "password2": "a new pass phrase", "usable_password": "true"}
    assert client.post(reverse("admin:auth_user_password_change", args=[root.pk]), passwords).status_code == 403
    assert client.post(address(User, "delete", root.pk), {"post": "yes"}).status_code == 403
    root.refresh_from_db()
    assert root.check_password("old")


def test_our_groups_are_changed_by_nobody_and_ones_own_not_by_a_member(member):
    client = member("security")
    ours, own = Group.objects.get(name="viewer"), Group.objects.create(name="own")
    User.objects.get(username="a security").groups.add(own)
    halt = Permission.objects.get(codename="resolve_in_doubt")

    for group in (ours, own):
        before = set(group.permissions.all())
        answer = client.post(address(Group, "change", group.pk), {"name": group.name, "permissions": [halt.pk]})
        assert (answer.status_code, set(group.permissions.all())) == (403, before)
