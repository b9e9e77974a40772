"""Guessing, second factors and the end of sessions, through the admin as it is."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_otp.oath import totp
from django_otp.plugins.otp_static.models import StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts.logins import factor, lockout
from accounts.logins.models import LoginAttempt
from audit.models import Draft

PASSWORD = "correct horse battery"
LOGIN, ADMIN = "/admin/login/", "/admin/"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def quick_hashes(settings):
    """Many passwords are looked at here; how slowly is Django's own."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def ann():
    return User.objects.create_superuser("ann", password=PASSWORD)


def log_in(client, password=PASSWORD, name="ann", **extra):
    return client.post(LOGIN, {"username": name, "password": password, "next": ADMIN}, **extra)


def told(kind):
    """What the site's chain is told of that kind, in its order."""
    rows = [
        json.loads(facts) for facts in Draft.objects.filter(kind=kind).order_by("pk").values_list("facts", flat=True)
    ]
    return [(row["actor"], row["details"]) for row in rows]


def code_of(user, *, confirmed=True, offset=0):
    device = TOTPDevice.objects.get(user=user, confirmed=confirmed)
    return f"{totp(device.bin_key, drift=offset):06d}"


def test_five_wrong_passwords_lock_the_name_from_that_address(client, ann):
    for _ in range(lockout.BY_NAME_AND_ADDRESS):
        assert "correct" in log_in(client, "wrong").content.decode()

    answer = log_in(client)

    assert answer.status_code == 200
    assert "Too many tries. Wait 15 minutes" in answer.content.decode()
    assert "_auth_user_id" not in client.session
    assert told("logins locked") == [("ANONYMOUS", {"name": "ann", "address": "127.0.0.1", "tries": 5})]
    assert len(told("login refused")) == 6
    assert log_in(Client(), REMOTE_ADDR="10.0.0.9").status_code == 302  # she herself, from elsewhere


def test_a_lock_ends_by_itself_and_by_command(client, ann):
    for _ in range(lockout.BY_NAME_AND_ADDRESS):
        log_in(client, "wrong")
    assert log_in(client).status_code == 200

    out = StringIO()
    call_command("unlock_logins", user="ann", stdout=out)
    assert "5 failed logins" in out.getvalue()
    assert told("logins unlocked") == [("SYSTEM", {"name": "ann", "address": "", "tries": 5})]
    assert log_in(client).status_code == 302

    client.logout()
    for _ in range(lockout.BY_NAME_AND_ADDRESS):
        log_in(client, "wrong")
    LoginAttempt.objects.update(at=timezone.now() - lockout.WINDOW - timedelta(seconds=1))
    assert log_in(client).status_code == 302


def test_a_name_that_is_guessed_from_everywhere_is_locked_everywhere(client, ann):
    for number in range(lockout.BY_NAME):
        log_in(Client(), "wrong", REMOTE_ADDR=f"10.0.0.{number}")

    assert log_in(client).status_code == 200
    assert "_auth_user_id" not in client.session


def test_an_address_that_tries_many_names_is_locked_for_all(client, ann):
    for number in range(lockout.BY_ADDRESS):
        LoginAttempt.objects.create(name=f"name {number}", address="127.0.0.1")

    assert log_in(client).status_code == 200
    assert "_auth_user_id" not in client.session


def test_a_login_forgets_the_wrong_ones_before_it(client, ann):
    for _ in range(lockout.BY_NAME_AND_ADDRESS - 1):
        log_in(client, "wrong")

    assert log_in(client).status_code == 302
    assert not LoginAttempt.objects.exists()


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "\ud800".encode(errors="surrogatepass"), "é\u202e"])
def test_whatever_is_typed_as_a_name_is_counted(client, name):
    log_in(client, "wrong", name=name)

    assert LoginAttempt.objects.count() in (0, 1)  # a NUL is refused by the form before it is a try


def test_unlocking_nobody_is_refused(ann):
    with pytest.raises(CommandError, match="Say whom"):
        call_command("unlock_logins")


@pytest.mark.django_db(transaction=True)
def test_tries_at_once_do_not_get_past_the_limit():
    User.objects.create_superuser("ann", password=PASSWORD)

    def try_once(_):
        try:
            lockout.count("ann", "127.0.0.1")
            return True
        except lockout.LockedOut:
            return False
        finally:
            connection.close()

    with ThreadPoolExecutor(16) as pool:
        passed = sum(pool.map(try_once, range(40)))

    assert passed <= lockout.BY_NAME_AND_ADDRESS


# --- The second factor ---------------------------------------------------------------------------------------------


def test_enrolment_needs_a_first_code_and_shows_recovery_codes_once(client, ann):
    log_in(client)
    page = client.get(reverse("second-factor-enrol")).content.decode()
    assert "<svg" in page
    assert "otpauth://totp/" in page

    wrong = client.post(reverse("second-factor-enrol"), {"code": "abc"})
    assert not factor.is_enrolled(ann)
    assert "This is not the code" in wrong.content.decode()
    TOTPDevice.objects.update(throttling_failure_count=0, throttling_failure_timestamp=None)
    page = client.post(reverse("second-factor-enrol"), {"code": code_of(ann, confirmed=False)}).content.decode()

    codes = re.findall(r"<li><code>(\w{12})</code>", page)
    assert len(set(codes)) == factor.RECOVERY_CODES
    assert not StaticToken.objects.filter(token__in=codes).exists()
    assert client.get(ADMIN).status_code == 200  # this session has shown it
    assert codes[0] not in client.get(reverse("second-factor-enrol")).content.decode()
    assert told("second factor enrolled") == [("user:ann", {"user": "ann"})]
    assert [details["at"] for _, details in told("second factor refused")] == ["enrolment"]


@pytest.mark.parametrize("path", [ADMIN, "/admin/orders/order/", "/admin/password_change/", "/admin/auth/user/"])
def test_the_password_alone_opens_nothing_where_there_is_a_second_factor(client, ann, path):
    factor.enrol(ann, actor="SYSTEM")
    log_in(client)

    for method in (client.get, client.post):
        answer = method(path)
        assert answer.status_code == 302
        assert answer["Location"].startswith(reverse("second-factor"))


def test_a_code_opens_the_admin_and_works_once(client, ann):
    factor.enrol(ann, actor="SYSTEM")
    log_in(client)
    code = code_of(ann)

    answer = client.post(reverse("second-factor") + "?next=/admin/orders/order/", {"code": code})
    assert (answer.status_code, answer["Location"]) == (302, "/admin/orders/order/")
    assert client.get(ADMIN).status_code == 200

    other = Client()
    log_in(other)
    assert other.post(reverse("second-factor"), {"code": code}).status_code == 200
    assert other.get(ADMIN).status_code == 302


def test_a_recovery_code_works_once(client, ann):
    _, codes = factor.enrol(ann, actor="SYSTEM")
    for status in (302, 200):
        client.logout()
        log_in(client)
        assert client.post(reverse("second-factor"), {"code": codes[0].upper()}).status_code == status

    assert client.get(ADMIN).status_code == 302
    assert told("recovery code used") == [("user:ann", {"left": 9})]
    assert [details["at"] for _, details in told("second factor refused")] == ["login"]


def test_codes_cannot_be_guessed_quickly(client, ann):
    factor.enrol(ann, actor="SYSTEM")
    log_in(client)
    for _ in range(3):
        client.post(reverse("second-factor"), {"code": "000000"})

    client.post(reverse("second-factor"), {"code": code_of(ann)})  # the right one, within the seconds it waits

    assert client.get(ADMIN).status_code == 302


def test_nobody_is_led_elsewhere_by_a_code(client, ann):
    factor.enrol(ann, actor="SYSTEM")
    log_in(client)

    answer = client.post(reverse("second-factor") + "?next=//evil.example/admin/", {"code": code_of(ann)})

    assert answer["Location"] == ADMIN


def test_required_means_that_nothing_opens_without(client, ann, settings):
    settings.SECOND_FACTOR_REQUIRED = True
    log_in(client)

    answer = client.get("/admin/orders/order/")

    assert answer["Location"].startswith(reverse("second-factor-enrol"))
    assert client.get(answer["Location"]).status_code == 200


def test_recovery_codes_are_not_renewed_by_the_password_alone(client, ann):
    factor.enrol(ann, actor="SYSTEM")
    log_in(client)
    before = set(StaticToken.objects.values_list("token", flat=True))

    client.post(reverse("second-factor-enrol"), {"renew": "1"})

    assert set(StaticToken.objects.values_list("token", flat=True)) == before


@pytest.mark.parametrize("page", ["second-factor", "second-factor-enrol"])
def test_who_is_not_logged_in_or_no_staff_is_sent_to_the_login(client, page):
    assert client.get(reverse(page))["Location"].startswith(LOGIN)
    client.force_login(User.objects.create_user("bob"))
    assert client.get(reverse(page))["Location"].startswith(LOGIN)


def test_the_commands_enrol_and_reset(ann):
    out = StringIO()
    call_command("second_factor", "enrol", "ann", stdout=out)
    assert factor.is_enrolled(ann)
    assert "otpauth://totp/IBKR" in out.getvalue()
    assert len(re.findall(r"^\w{12}$", out.getvalue(), re.M)) == factor.RECOVERY_CODES

    call_command("second_factor", "reset", "ann", stdout=out)
    assert not factor.is_enrolled(ann)
    assert told("second factor reset") == [("SYSTEM", {"user": "ann", "had": True})]
    with pytest.raises(CommandError, match="no user eve"):
        call_command("second_factor", "reset", "eve")


# --- Sessions ------------------------------------------------------------------------------------------------------


def test_cookies_are_for_this_site_and_no_script(client, ann):
    log_in(client)
    client.get(LOGIN)

    for name in ("sessionid", "csrftoken"):
        cookie = client.cookies[name]
        assert (cookie["samesite"], cookie["httponly"]) == ("Strict", True)
    assert client.cookies["sessionid"]["max-age"] == 30 * 60


def test_an_idle_session_ends_and_a_used_one_goes_on(client, ann):
    log_in(client)
    first = Session.objects.get().expire_date
    assert client.get(ADMIN).status_code == 200
    assert Session.objects.get().expire_date > first

    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))

    assert client.get(ADMIN).status_code == 302


def test_no_session_outlives_its_time(client, ann, settings):
    log_in(client)
    assert client.get(ADMIN).status_code == 200
    session = client.session
    session["began"] -= settings.SESSION_LIFETIME_SECONDS
    session.save()

    answer = client.get("/admin/orders/order/")

    assert answer["Location"].startswith(LOGIN)
    assert "_auth_user_id" not in client.session
    assert [actor for actor, _ in told("logout")] == ["user:ann"]


def test_a_new_password_ends_the_other_sessions(client, ann):
    log_in(client)
    ann.set_password("another pass phrase")
    ann.save()

    assert client.get(ADMIN).status_code == 302


def test_the_api_makes_no_session(client):
    answer = client.get("/executions")

    assert "sessionid" not in answer.cookies
    assert not Session.objects.exists()
