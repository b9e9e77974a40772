"""Secrets that carry a mark, in processes that fail in many ways: the mark turns up nowhere."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import RequestFactory
from django.views.debug import ExceptionReporter

from ibkr_site import checks, redaction
from ibkr_site.log_lines import ConsoleFormatter, JsonFormatter

ROOT = Path(__file__).resolve().parents[2]
MARK = "Xq7mark"
KEY = f"{MARK}key-hV3kq9Zt2Lw8Rn5Yb1Jd6Fg4"
DATABASE, REDIS = f"{MARK}db%2F9pw", f"{MARK}redis9pw"
FAILING = {
    "a settings dump": ["manage.py", "diffsettings", "--all"],
    "a database that is not there": ["manage.py", "migrate"],
    "a shell that fails": [
        "manage.py",
        "shell",
        "-c",
        "from django.conf import settings; settings.DATABASES[settings]",
    ],
    "a first start": ["-m", "ibkr_site.first_start"],
    "a worker without a broker": ["-m", "celery", "-A", "ibkr_site", "worker", "-c", "1"],
    "beat without a broker": ["-m", "celery", "-A", "ibkr_site", "beat", "--pidfile="],
    "celery's report": ["-m", "celery", "-A", "ibkr_site", "report"],
    "checks": ["manage.py", "check", "--deploy"],
}


def run(arguments, tmp_path, **variables):
    environment = {
        "PATH": os.environ["PATH"], "ENV_FILE": "", "DATA_DIR": str(tmp_path), "SECRET_KEY": KEY,
        "DATABASE_URL": f"postgres://ibkr_app:{DATABASE}@127.0.0.1:1/ibkr",
        "DATABASE_APP_URL": f"postgres://other:{DATABASE}@127.0.0.1:1/ibkr",
        "REDIS_URL": f"redis://:{REDIS}@127.0.0.1:1/0", "LOG_LEVEL": "DEBUG",
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, env=environment | variables, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        return process.communicate(timeout=25 if "celery" in arguments else 120)[0]
    except subprocess.TimeoutExpired:  # it keeps trying, as it should
        process.terminate()
        try:
            return process.communicate(timeout=15)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            return process.communicate()[0]


@pytest.mark.parametrize("what", FAILING)
def test_no_process_prints_a_secret(tmp_path, what):
    output = run(FAILING[what], tmp_path)

    assert output.strip()
    assert MARK not in output


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATABASE_URL", f"postgres://u:{MARK}/x@127.0.0.1:1/ibkr"),
        ("DATABASE_URL", f"mysql://u:{MARK}pw@127.0.0.1/ibkr"),
        ("DATABASE_URL", f"postgres://u:{MARK}pw@[127.0.0.1/ibkr"),
        ("REDIS_URL", f"redis://:{MARK}/x@127.0.0.1:1/0"),
        ("DATABASE_APP_URL", f"postgres://u:a#{MARK}@127.0.0.1:1/ibkr"),
        ("SECRET_KEY", f"{MARK}short"),
    ],
)
def test_a_refused_secret_is_not_repeated(tmp_path, variable, value):
    output = run(["manage.py", "check"], tmp_path, **{variable: value})

    assert variable in output
    assert MARK not in output


def test_a_secret_may_be_a_file_and_a_missing_one_is_named(tmp_path):
    output = run(["manage.py", "check"], tmp_path, SECRET_KEY="", SECRET_KEY_FILE=str(tmp_path / "nothing"))
    assert "SECRET_KEY_FILE cannot be read" in output

    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    assert "no issues" in run(["manage.py", "check"], tmp_path, SECRET_KEY="", SECRET_KEY_FILE=str(file))


@pytest.fixture
def marked(settings):
    settings.SECRET_KEY, settings.REDIS_URL = KEY, f"redis://:{REDIS}@127.0.0.1:1/0"
    redaction._secrets.cache_clear()
    yield
    redaction._secrets.cache_clear()


@pytest.mark.parametrize("formatter", [ConsoleFormatter, JsonFormatter])
def test_what_slips_into_a_log_line_or_a_traceback_is_taken_out(marked, formatter):
    try:
        raise ValueError(f"cannot connect to redis://:{REDIS}@127.0.0.1:1/0")
    except ValueError:
        record = logging.LogRecord("a", logging.ERROR, "", 0, "the key is %s", (KEY,), sys.exc_info())

    line = formatter().format(record)

    assert "the key is" in line
    assert MARK not in line


def test_an_error_page_shows_no_secret(marked, settings):
    settings.DEBUG = True
    request = RequestFactory().get("/orders", HTTP_AUTHORIZATION=f"Bearer {MARK}token", HTTP_COOKIE=f"sessionid={MARK}")
    try:
        raise ValueError("no reason")
    except ValueError:
        reporter = ExceptionReporter(request, *sys.exc_info())

    page = reporter.get_traceback_html() + reporter.get_traceback_text()

    assert "no reason" in page
    assert KEY not in page
    assert REDIS not in page
    assert f"{MARK}token" not in page


@pytest.mark.parametrize(
    "value",
    ["short", "x" * 60, "django-insecure-8f7d6g5h4j3k2l1qwertyuiopasdfgh", "please-changeme-0123456789-abcdefgh"],
)
def test_a_weak_secret_is_refused_beside_a_real_database(value):
    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY is too weak: unset it"):
        checks.refuse_weak_secret("SECRET_KEY", value, embedded=False)
    checks.refuse_weak_secret("SECRET_KEY", value, embedded=True)


def test_a_strong_secret_or_none_is_fine():
    for value in ("", KEY):
        checks.refuse_weak_secret("SECRET_KEY", value, embedded=False)


@pytest.mark.parametrize(
    ("address", "fine"),
    [
        ("postgres://u:password@db.example/ibkr", False),
        ("redis://:ChangeMe@10.0.0.5:6379/0", False),
        ("postgres://u:postgres@127.0.0.1/ibkr", True),
        ("redis://redis:6379/0", True),
        ("postgres://u:Zt2Lw8Rn5Yb1@db.example/ibkr", True),
        ("", True),
    ],
)
def test_a_password_of_every_example_is_refused_for_a_server_others_reach(address, fine):
    if fine:
        checks.refuse_known_password("DATABASE_URL", address)
    else:
        with pytest.raises(ImproperlyConfigured, match="stands in every example"):
            checks.refuse_known_password("DATABASE_URL", address)


@pytest.mark.parametrize(
    ("mode", "host", "refused"),
    [("paper", "127.0.0.1", None), ("live", "127.0.0.1", "TRADING_MODE=live"), ("paper", "0.0.0.0", "HOST=0.0.0.0")],
)
def test_error_pages_with_code_are_for_ones_own_machine(mode, host, refused):
    checks.refuse_debug_in_the_open(debug=False, trading_mode=mode, host=host)
    if refused is None:
        checks.refuse_debug_in_the_open(debug=True, trading_mode=mode, host=host)
    else:
        with pytest.raises(ImproperlyConfigured, match=f"DEBUG=on is refused with {refused}"):
            checks.refuse_debug_in_the_open(debug=True, trading_mode=mode, host=host)
