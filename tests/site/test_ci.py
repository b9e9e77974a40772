import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUN = (ROOT / ".ci" / "run").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()


def targets():
    return set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))


def test_the_script_can_be_run_and_read():
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111
    subprocess.run(["bash", "-n", ".ci/run"], cwd=ROOT, check=True)


def test_the_script_calls_targets_that_exist_and_the_tests_last():
    called = re.findall(r"\bmake (\w+)", RUN)

    assert set(called) <= targets()
    assert {"setup", "lint", "types", "check", "audit", "faults"} < set(called)
    assert called[-1] == "test"


def test_the_browser_and_node_are_not_optional_there():
    assert "REQUIRE_BROWSER=1" in RUN
    assert "REQUIRE_NODE=1" in RUN


def test_make_alone_lists_every_target():
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert set(re.findall(r"^  make (\w+) ", shown, re.MULTILINE)) == targets()
