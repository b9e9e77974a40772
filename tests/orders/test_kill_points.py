import time
from pathlib import Path

import pytest

from orders import kill_points
from orders.kill_points import KillPointReached, reached


@pytest.fixture
def points(settings, tmp_path):
    settings.KILL_POINTS = str(tmp_path)
    return tmp_path


def test_nothing_happens_unless_a_directory_is_named(settings):
    assert settings.KILL_POINTS == ""

    reached("worker.claimed")


def test_nothing_happens_at_a_point_that_is_not_armed(points):
    (points / "worker.written").write_text("raise")

    reached("worker.claimed")

    assert (points / "worker.written").exists()


def test_an_armed_point_acts_once(points):
    (points / "worker.claimed").write_text("raise\n")

    with pytest.raises(KillPointReached):
        reached("worker.claimed")
    reached("worker.claimed")


def test_sleep(points):
    (points / "worker.claimed").write_text("sleep 0.05")
    began = time.monotonic()

    reached("worker.claimed")

    assert time.monotonic() - began >= 0.05


def test_unknown_instruction_is_an_error(points):
    (points / "worker.claimed").write_text("explode")

    with pytest.raises(ValueError, match="'explode' is none of kill, stop, raise"):
        reached("worker.claimed")


def test_unknown_point_is_an_error(points):
    with pytest.raises(AssertionError):
        reached("nowhere")


def test_every_point_stands_in_the_code():
    root = Path(kill_points.__file__).parents[1]
    code = "".join(p.read_text() for folder in ("orders", "ibkr_site") for p in (root / folder).rglob("*.py"))

    assert {name for name in kill_points.NAMES if f'reached("{name}")' not in code} == set()
