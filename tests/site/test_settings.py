import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from ibkr_site import checks
from ibkr_site.environment import Environment
from ibkr_site.secret_files import generated_secret, read_secret, write_secret

ROOT = Path(__file__).parents[2]
READ = """
import json
from ibkr_site import settings
# The admin's look holds addresses that only a started site knows.
names = [name for name in dir(settings) if name.isupper() and name != "UNFOLD"]
print(json.dumps({name: str(getattr(settings, name)) for name in names}))
"""


def read_settings(tmp_path, **variables):
    """The settings of a process with these variables only; its last line of complaint when it does not start."""
    environment = {"PATH": os.environ["PATH"], "ENV_FILE": "", "DATA_DIR": str(tmp_path), **variables}
    process = subprocess.run([sys.executable, "-c", READ], cwd=ROOT, env=environment, capture_output=True, text=True)
    return json.loads(process.stdout) if process.returncode == 0 else process.stderr.strip().splitlines()[-1]


def documented():
    return dict(re.findall(r"^([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))


def test_every_variable_is_documented_and_every_documented_one_is_read():
    read = set(re.findall(r'\benv(?:\.\w+)?\("([A-Z_]+)"', (ROOT / "ibkr_site" / "settings.py").read_text()))
    compose = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text()))

    assert read | {"ENV_FILE"} <= set(documented())
    assert set(documented()) <= read | compose | {"ENV_FILE"}


def test_the_documented_defaults_are_the_defaults(tmp_path):
    shown = {name: value for name, value in documented().items() if name not in ("DATA_DIR", "ENV_FILE")}

    defaults = read_settings(tmp_path)
    assert isinstance(defaults, dict), defaults
    assert read_settings(tmp_path, **shown) == defaults


def test_paper_on_loopback_is_what_nothing_set_means(tmp_path):
    settings = read_settings(tmp_path)

    assert (settings["HOST"], settings["PORT"], settings["DEBUG"]) == ("127.0.0.1", "8000", "False")
    assert (settings["TRADING_MODE"], settings["IB_HOST"], settings["IB_PORT"]) == ("paper", "127.0.0.1", "4002")
    assert settings["PAPER_GATEWAY"] == settings["EMBEDDED_POSTGRES"] == settings["EMBEDDED_REDIS"] == "True"


def test_no_place_for_checkpoints_has_to_be_said(tmp_path):
    assert read_settings(tmp_path, AUDIT_SINKS="none")["AUDIT_SINKS"] == "[]"
    assert "checkpoints" in read_settings(tmp_path, AUDIT_SINKS="")["AUDIT_SINKS"]


@pytest.mark.parametrize("variable", [{"IB_HOST": "10.0.0.9"}, {"IB_PORT": "7497"}])
def test_naming_a_gateway_replaces_ours(tmp_path, variable):
    settings = read_settings(tmp_path, **variable)

    assert settings["PAPER_GATEWAY"] == "False"
    assert settings.items() >= variable.items()


def test_the_paper_port_is_where_the_worker_connects(tmp_path):
    assert read_settings(tmp_path, PAPER_PORT="4999")["IB_PORT"] == "4999"


def test_addresses_left_by_embedded_servers_are_found(tmp_path):
    write_secret(tmp_path / "database_url", "postgres://postgres:x@127.0.0.1:7777/ibkr")
    write_secret(tmp_path / "redis_url", "redis://:x@127.0.0.1:8888/0")

    settings = read_settings(tmp_path)

    assert "'PORT': 7777" in settings["DATABASES"]
    assert settings["CELERY_BROKER_URL"] == "redis://:x@127.0.0.1:8888/0"
    assert settings["EMBEDDED_POSTGRES"] == "True"


def test_a_secret_may_be_given_as_a_file(tmp_path):
    (tmp_path / "given").write_text("from a file\n")

    assert read_settings(tmp_path, SECRET_KEY_FILE=str(tmp_path / "given"))["SECRET_KEY"] == "from a file"
    assert not (tmp_path / "secret_key").exists()


def test_the_secret_key_is_made_up_once_for_its_owner_only(tmp_path):
    first = read_settings(tmp_path)["SECRET_KEY"]

    assert len(first) > 50
    assert read_settings(tmp_path)["SECRET_KEY"] == first
    assert (tmp_path / "secret_key").stat().st_mode & 0o777 == 0o600


def test_a_file_of_variables_gives_way_to_the_environment(tmp_path):
    (tmp_path / "env").write_text("PORT=8111\nPAPER_PORT=4111\n")

    settings = read_settings(tmp_path, ENV_FILE=str(tmp_path / "env"), PORT="8222")

    assert (settings["PORT"], settings["PAPER_PORT"]) == ("8222", "4111")


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"PORT": "eighty"}, "PORT has a wrong value: invalid literal for int() with base 10: 'eighty'"),
        ({"SECRET_KEY_FILE": "/nowhere"}, "SECRET_KEY_FILE cannot be read: "),
        ({"DATABASE_URL": "sqlite:///x"}, "DATABASE_URL must start with postgres://: "),
        ({"HOST": "0.0.0.0"}, "HOST=0.0.0.0 would let anyone who reaches this machine place orders"),
        ({"TRADING_MODE": "live"}, "TRADING_MODE=live needs IB_PORT"),
        ({"TRADING_MODE": "LIVE"}, "TRADING_MODE=LIVE is unknown: use paper or live"),
        ({"TRADING_MODE": "live", "IB_PORT": "4001"}, "TRADING_MODE=live needs IB_ACCOUNT, the account that may be"),
        ({"TRADING_MODE": "live", "IB_PORT": "4002"}, "IB_PORT=4002 is a paper trading port but TRADING_MODE is live"),
        (
            {"TRADING_MODE": "live", "IB_PORT": "4001", "IB_ACCOUNT": "DU1"},
            "IB_ACCOUNT=DU1 is a paper account but TRADING_MODE is live",
        ),
        ({"IB_ACCOUNT": "U1"}, "IB_ACCOUNT=U1 is not a paper account (DU…) but TRADING_MODE is paper"),
        ({"PAPER_PORT": "4001"}, "PAPER_PORT=4001 is a live trading port"),
        ({"PAPER_PORT": "0"}, "PAPER_PORT=0 is no port to connect to: choose one from 1 to 65535"),
        ({"PORT": "65536"}, "PORT=65536 is no port to connect to"),
        ({"IB_PORT": "-1"}, "IB_PORT=-1 is no port to connect to"),
        ({"PAPER_ACCOUNTS": "DU1,U2"}, "PAPER_ACCOUNTS=U2 is not a paper account"),
        ({"HOST": "0.0.0.0", "API_AUTH": "keys"}, "HOST=0.0.0.0 would have API keys sent in the clear"),
        ({"API_AUTH": "none"}, "API_AUTH=none is unknown: use loopback or keys"),
        ({"TRUSTED_PROXIES": "10.0.0.1/8"}, "TRUSTED_PROXIES: 10.0.0.1/8 has host bits set: use an address or a"),
        ({"LOG_FORMAT": "xml"}, "LOG_FORMAT=xml is unknown: use console or json"),
        ({"THROTTLE_PER_KEY": "0.5"}, "THROTTLE_PER_KEY=0.5 must be 0, for no limit, or 1 to 100000 requests a second"),
        ({"THROTTLE_BURST_SECONDS": "0"}, "THROTTLE_BURST_SECONDS=0 must lie between 1 and 3600"),
        ({"IB_PORT": "4001"}, "IB_PORT=4001 is a live trading port but TRADING_MODE is paper"),
        ({"PLACEMENT_WAIT_SECONDS": "60"}, "PLACEMENT_WAIT_SECONDS=60 must lie between 0 and ORDER_VALID_SECONDS=10"),
        ({"SNAPSHOT_SECONDS": "1"}, "SNAPSHOT_SECONDS=1 is too short: 10 or more"),
        ({"IB_MESSAGES_PER_SECOND": "5"}, "IB_MESSAGES_PER_SECOND=5 is too few: 10 or more"),
        (
            {"GATEWAY_RESTART": "23:45"},
            "GATEWAY_RESTART: '23:45' is not understood: write it as 23:45 America/New_York",
        ),
        ({"GATEWAY_RESTART": "23:45 Nowhere/Land"}, "GATEWAY_RESTART: Nowhere/Land is no time zone: use a name like"),
        ({"GATEWAY_LOGIN": "01:00 UTC"}, "GATEWAY_LOGIN: '01:00 UTC' is not understood: write it as Sun 01:00 "),
        ({"GATEWAY_WEEKEND": "Sat"}, "GATEWAY_WEEKEND: 'Sat' is not understood: write it as Fri 23:00 - Sun 18:00 "),
        ({"GATEWAY_RESTART_MINUTES": "0"}, "GATEWAY_RESTART_MINUTES=0 must lie between 1 and 720"),
        ({"GATEWAY_LOGIN_MINUTES": "721"}, "GATEWAY_LOGIN_MINUTES=721 must lie between 1 and 720"),
        ({"GATEWAY_GUARD_SECONDS": "-1"}, "GATEWAY_GUARD_SECONDS=-1 must lie between 0 and 3600"),
    ],
)
def test_misuse_is_refused_in_one_line_that_names_the_variable(tmp_path, variables, complaint):
    refusal = read_settings(tmp_path, **variables)

    assert refusal.startswith(f"django.core.exceptions.ImproperlyConfigured: {complaint}")


@pytest.mark.parametrize(
    ("mode", "port", "account"),
    [
        ("paper", None, ""),
        ("paper", 4002, "DU123"),
        ("paper", 7497, "DF123"),
        ("paper", 5000, "du123"),
        ("live", 4001, "U123"),
        ("live", 7496, "F123"),
        ("live", 5000, "U123"),
    ],
)
def test_mode_port_and_account_that_agree(mode, port, account):
    checks.refuse_mode_mismatch(trading_mode=mode, ib_port=port, account=account)


@pytest.mark.parametrize(
    ("mode", "port", "account", "named"),
    [
        ("paper", 4001, "", "IB_PORT=4001"),
        ("paper", 7496, "DU123", "IB_PORT=7496"),
        ("paper", None, "U123", "IB_ACCOUNT=U123"),
        ("live", None, "U123", "IB_PORT"),
        ("live", 4002, "U123", "IB_PORT=4002"),
        ("live", 7497, "U123", "IB_PORT=7497"),
        ("live", 4001, "", "IB_ACCOUNT"),
        ("live", 4001, "DU123", "IB_ACCOUNT=DU123"),
        ("real", 4001, "U123", "TRADING_MODE=real"),
    ],
)
def test_mode_port_and_account_that_do_not_agree(mode, port, account, named):
    with pytest.raises(ImproperlyConfigured, match=named) as refusal:
        checks.refuse_mode_mismatch(trading_mode=mode, ib_port=port, account=account)

    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.5", False),
        ("localhost.example.org", False),
        ("", False),
    ],
)
def test_what_only_this_machine_can_reach(host, loopback):
    assert checks.is_loopback(host) is loopback


PAPER_ON_LOOPBACK = {
    "host": "127.0.0.1",
    "api_auth": "loopback",
    "trust_network": False,
    "https": False,
    "trading_mode": "paper",
}
OUTSIDE = {"host": "0.0.0.0"}
KEYS = {"api_auth": "keys"}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"trading_mode": "live"},
        KEYS,
        OUTSIDE | {"trust_network": True},
        OUTSIDE | KEYS | {"https": True},
        OUTSIDE | KEYS | {"trust_network": True},
        OUTSIDE | KEYS | {"https": True, "trading_mode": "live"},
    ],
    ids=str,
)
def test_networks_on_which_it_may_listen(changes):
    checks.refuse_open_network(**PAPER_ON_LOOPBACK | changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"api_auth": "none"}, "API_AUTH=none is unknown: use loopback or keys"),
        (OUTSIDE, "place orders without a key: set API_AUTH=keys"),
        (OUTSIDE | {"https": True}, "place orders without a key: set API_AUTH=keys"),
        (OUTSIDE | {"trust_network": True, "trading_mode": "live"}, "trade real money without a key"),
        (OUTSIDE | KEYS, "API keys sent in the clear"),
    ],
    ids=str,
)
def test_networks_on_which_it_may_not(changes, words):
    with pytest.raises(ImproperlyConfigured, match=words) as refusal:
        checks.refuse_open_network(**PAPER_ON_LOOPBACK | changes)

    assert "\n" not in str(refusal.value)


def test_an_empty_variable_counts_as_not_set(monkeypatch):
    monkeypatch.setenv("SOME_NUMBER", "")

    assert Environment().int("SOME_NUMBER", default=7) == 7


def test_a_deployment_check_finds_nothing_to_complain_about(tmp_path):
    environment = {"PATH": os.environ["PATH"], "ENV_FILE": "", "DATA_DIR": str(tmp_path)}
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]

    for https in ("off", "on"):
        result = subprocess.run(command, cwd=ROOT, env={**environment, "HTTPS": https}, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr


def test_secrets_are_replaced_whole_and_read_without_their_line_end(tmp_path):
    file = tmp_path / "secret"
    assert read_secret(file, default="none") == "none"

    write_secret(file, "one")
    write_secret(file, "two")

    assert read_secret(file, default="none") == "two"
    assert generated_secret(file) == "two"
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


@pytest.mark.parametrize(
    ("mode", "served", "refused"),
    [
        ("paper", ["DU1000001", "DF22"], None),
        ("paper", ["DU1000001", "U22"], "U22"),
        ("paper", ["U22"], "U22"),
        ("live", ["U22", "F33"], None),
        ("live", ["U22", "DU1000001"], "DU1000001"),
        ("live", ["DU1000001"], "DU1000001"),
    ],
)
def test_what_a_gateway_serves_must_be_what_the_mode_says(mode, served, refused):
    if refused is None:
        checks.refuse_wrong_accounts(trading_mode=mode, served=served)
    else:
        with pytest.raises(ImproperlyConfigured, match=f"serves account {refused}: log in"):
            checks.refuse_wrong_accounts(trading_mode=mode, served=served)


@pytest.mark.parametrize(
    ("variables", "named"), [({"kill_points": "points"}, "KILL_POINTS"), ({"settle_seconds": 5.0}, "SETTLE_SECONDS=5")]
)
def test_what_helps_fault_tests_is_refused_with_real_money(variables, named):
    values = {"kill_points": "", "settle_seconds": 30.0} | variables

    checks.refuse_faults_with_real_money(trading_mode="paper", **values)
    with pytest.raises(ImproperlyConfigured, match=named):
        checks.refuse_faults_with_real_money(trading_mode="live", **values)


@pytest.mark.parametrize(
    ("variables", "named"), [({"time_zone": "Mars/Base"}, "FLEX_TIME_ZONE=Mars/Base"), ({"megabytes": 0}, "FLEX_MAX")]
)
def test_statements_that_could_not_be_read_are_refused(variables, named):
    values = {"time_zone": "America/New_York", "megabytes": 64} | variables
    with pytest.raises(ImproperlyConfigured, match=named):
        checks.refuse_unreadable_statements(**values)


def test_statements_that_can_be_read():
    checks.refuse_unreadable_statements(time_zone="Europe/Zurich", megabytes=1)


@pytest.mark.parametrize(
    ("mode", "factor", "refused"),
    [
        ("paper", "optional", None),
        ("paper", "required", None),
        ("live", "required", None),
        ("live", "optional", "ADMIN_SECOND_FACTOR=optional is refused with TRADING_MODE=live"),
        ("paper", "off", "ADMIN_SECOND_FACTOR=off is unknown"),
    ],
)
def test_real_money_is_behind_a_second_factor(mode, factor, refused):
    if refused is None:
        checks.refuse_weak_logins(trading_mode=mode, second_factor=factor)
    else:
        with pytest.raises(ImproperlyConfigured, match=refused):
            checks.refuse_weak_logins(trading_mode=mode, second_factor=factor)


@pytest.mark.parametrize(
    ("idle", "lifetime", "fine"),
    [(1800, 43200, True), (60, 60, True), (59, 100, False), (200, 100, False), (60, 700_000, False)],
)
def test_sessions_end(idle, lifetime, fine):
    if fine:
        checks.refuse_endless_sessions(idle=idle, lifetime=lifetime)
    else:
        with pytest.raises(ImproperlyConfigured, match=f"ADMIN_IDLE_SECONDS={idle}"):
            checks.refuse_endless_sessions(idle=idle, lifetime=lifetime)
