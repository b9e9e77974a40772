"""docker-compose.yml against the compose specification, and what the specification does not see: that names meet."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
COMPOSE = yaml.safe_load(FILE.read_text())
SERVICES = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
each_service = pytest.mark.parametrize("name", SERVICES)


def documented():
    return set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))


def words_of(service):
    command = service.get("command", [])
    return " ".join(command if isinstance(command, list) else [command])


def test_the_file_follows_the_specification():
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE)]
    result = subprocess.run(check, capture_output=True, text=True)

    assert result.returncode == 0, result.stdout + result.stderr


def test_all_parts_of_the_system_are_there():
    assert set(SERVICES) == {"postgres", "redis", "migrate", "web", "worker", "beat", "notary", "paper", "ib-gateway"}
    assert SERVICES["ib-gateway"]["profiles"] == ["ib"]
    assert not any("profiles" in service for name, service in SERVICES.items() if name != "ib-gateway")


@each_service
def test_a_service_waits_only_for_what_can_become_true(name):
    for other, wait in SERVICES[name].get("depends_on", {}).items():
        assert other in SERVICES
        if wait["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]
        else:
            assert wait["condition"] == "service_completed_successfully"
            assert SERVICES[other]["restart"] == "no"


@each_service
def test_volumes_are_declared(name):
    named = {volume.split(":")[0] for volume in SERVICES[name].get("volumes", [])}

    assert named <= set(COMPOSE["volumes"])


@pytest.mark.parametrize("name", ["web", "worker"])
def test_who_holds_the_trail_against_its_checkpoints_can_read_them_and_not_write(name):
    assert "checkpoints:/checkpoints:ro" in SERVICES[name]["volumes"]


def test_only_the_notary_writes_checkpoints():
    writers = {name for name, service in SERVICES.items() if "checkpoints:/checkpoints" in service.get("volumes", [])}
    assert writers == {"notary"}


def test_no_declared_volume_is_left_over():
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}

    assert used == set(COMPOSE["volumes"])


@each_service
def test_networks_are_declared(name):
    assert set(SERVICES[name].get("networks", [])) <= set(COMPOSE.get("networks", {}))


@pytest.mark.parametrize("name", OURS)
def test_commands_name_modules_that_exist(name):
    words = words_of(OURS[name])
    modules = re.findall(r"python -m ([\w.]+)", words) + re.findall(r"-A (\w+)", words)

    assert modules or "manage.py" in words or name == "web"  # its command is the image's
    for module in modules:
        spec = importlib.util.find_spec(module)
        assert spec is not None, module
        if spec.submodule_search_locations and f"-m {module}" in words:
            assert importlib.util.find_spec(f"{module}.__main__") is not None, module


@pytest.mark.parametrize("name", OURS)
def test_variables_of_our_services_are_settings(name):
    assert set(OURS[name].get("environment", {})) <= documented()


def test_every_variable_that_may_be_given_is_documented():
    given = set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", FILE.read_text()))

    assert given <= documented()
    assert "POSTGRES_PASSWORD" in given


@pytest.mark.parametrize("name", OURS)
def test_variables_used_in_a_command_are_given_to_it(name):
    used = set(re.findall(r"\$\$([A-Z_]+)", words_of(OURS[name])))

    assert used <= set(OURS[name].get("environment", {}))


def test_defaults_are_those_of_the_documentation():
    shown = dict(re.findall(r"^([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
    differ = {"IB_HOST", "IB_PORT", "ALLOWED_HOSTS"}  # the paper gateway is a container of its own here
    for name, default in re.findall(r"(?<!\$)\$\{([A-Z_]+):-([^}]*)\}", FILE.read_text()):
        assert name in differ or default == shown[name], name


def test_only_loopback_of_the_machine_is_published():
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert ports == ["127.0.0.1:${PORT:-8000}:8000"]


@pytest.mark.parametrize("name", OURS)
def test_our_containers_have_no_rights_to_lose(name):
    assert OURS[name]["read_only"] is True
    assert OURS[name]["cap_drop"] == ["ALL"]
    assert OURS[name]["security_opt"] == ["no-new-privileges:true"]


def test_no_secret_is_written_down():
    for service in SERVICES.values():
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET", variable):
                assert str(value).startswith("${"), variable


def test_the_image_runs_as_nobody_special_and_copies_what_exists():
    dockerfile = (ROOT / "Dockerfile").read_text()
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = set(re.findall(r"^COPY ([^-\s]\S*) ", dockerfile, re.MULTILINE))

    assert re.findall(r"^USER (\S+)", dockerfile, re.MULTILINE) == ["ibkr"]
    assert copied == kept
    assert all((ROOT / source).exists() for source in copied)
    assert "--require-hashes" in dockerfile
