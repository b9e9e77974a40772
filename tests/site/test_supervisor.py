import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ibkr_site import supervisor
from ibkr_site.supervisor import Child, Program, StartFailed, Supervisor

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="looks processes up in /proc")


@pytest.fixture
def lines():
    return []


@pytest.fixture
def programs(lines):
    running = Supervisor(lambda name, line: lines.append((name, line)))
    yield running
    running.stop()


def python(name, code, **options):
    return Program(name=name, argv=[sys.executable, "-c", code], **options)


def look_until(condition, programs, seconds=10):
    """Look after the programs from this thread, the one they are tethered to, until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        programs.look_after_all()
        time.sleep(0.01)


def is_alive(pid):
    """An ended process that nobody has asked about yet is not alive."""
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


def wait_until_gone(pid, seconds=5):
    deadline = time.monotonic() + seconds
    while is_alive(pid):
        assert time.monotonic() < deadline, "it lives on"
        time.sleep(0.01)


def test_output_is_passed_on_line_by_line_under_the_name(programs, lines):
    programs.complete(python("talker", "import sys; print('one'); print('two', file=sys.stderr)"))

    look_until(lambda: len(lines) == 2, programs)
    assert sorted(lines) == [("talker", "one"), ("talker", "two")]


def test_a_program_that_ends_is_started_again_and_a_line_says_so(programs, lines, tmp_path):
    starts = tmp_path / "starts"
    programs.start(python("flaky", f"open({str(starts)!r}, 'a').write('x'); raise SystemExit(3)"))

    look_until(lambda: starts.exists() and len(starts.read_text()) == 2, programs)

    assert ("", "flaky ended with exit code 3: starting it again in 0.5 s") in lines


def test_the_signal_that_ended_a_program_is_named(programs, lines):
    programs.start(python("victim", "import time; time.sleep(60)"))
    time.sleep(0.1)

    os.kill(programs.children[0].process.pid, signal.SIGKILL)
    look_until(lambda: lines, programs)

    assert lines == [("", "victim was ended by SIGKILL: starting it again in 0.5 s")]


def test_pauses_grow_to_a_limit_and_start_over_after_a_steady_run():
    child = Child(python("any", ""), lambda _name, _line: None)
    child.started_at = time.monotonic()

    assert [child.plan_restart() for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]

    child.started_at -= supervisor.STEADY_SECONDS + 1
    assert child.plan_restart() == 0.5


def test_stopping_goes_from_last_to_first(programs, tmp_path):
    record = tmp_path / "record"
    code = """
import signal, sys, time
def leave(*_):
    open({record!r}, "a").write({name!r})
    sys.exit()
signal.signal(signal.SIGTERM, leave)
open({started!r}, "w").close()
time.sleep(60)
"""
    for name in "abc":
        started = tmp_path / f"{name}.started"
        text = code.format(record=str(record), name=name, started=str(started))
        programs.start(python(name, text, ready=started.exists))

    programs.stop()

    assert record.read_text() == "cba"


def test_a_program_that_will_not_stop_is_killed_and_a_line_says_so(programs, lines, tmp_path):
    deaf = tmp_path / "deaf"
    code = (
        f"import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open({str(deaf)!r}, 'w'); time.sleep(60)"
    )
    programs.start(python("deaf", code, stop_seconds=0.2, ready=deaf.exists))
    process = programs.children[0].process

    programs.stop()

    assert process.returncode == -signal.SIGKILL
    assert lines == [("", "deaf did not stop in 0.2 s: killed")]


@needs_proc
def test_what_a_program_started_itself_is_ended_with_it(programs, tmp_path):
    note = tmp_path / "pid"
    code = f"import subprocess; p = subprocess.Popen(['sleep', '60']); open({str(note)!r}, 'w').write(f'{{p.pid}}.')"
    programs.start(
        python("parent", code + "; p.wait()", ready=lambda: note.exists() and note.read_text().endswith("."))
    )
    grandchild = int(note.read_text().rstrip("."))
    assert is_alive(grandchild)

    programs.stop()

    wait_until_gone(grandchild)


@needs_proc  # and only Linux tells children of their parent's death
def test_programs_end_with_a_supervisor_that_is_killed(tmp_path):
    code = """
import sys, time
from ibkr_site.supervisor import Program, Supervisor
programs = Supervisor(lambda name, line: None)
programs.start(Program(name="orphan", argv=["sleep", "60"]))
print(programs.children[0].process.pid, flush=True)
time.sleep(60)
"""
    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    with owner:
        orphan = int(owner.stdout.readline())
        assert is_alive(orphan)
        owner.kill()

    wait_until_gone(orphan)


def test_a_program_that_ends_while_starting_is_named_with_its_last_words(programs, tmp_path):
    log = tmp_path / "broken.log"
    broken = python("broken", "raise SystemExit('no such luck')", log=log, ready=lambda: False)

    with pytest.raises(StartFailed) as caught:
        programs.start(broken)

    assert str(caught.value) == f"broken ended with exit code 1 while starting; the end of {log}:\nno such luck"


def test_a_program_that_is_never_ready_is_named(programs):
    with pytest.raises(StartFailed, match=r"^slow was not ready after 0.1 s$"):
        programs.start(python("slow", "import time; time.sleep(60)", start_seconds=0.1, ready=lambda: False))


def test_a_start_that_is_interrupted_ends_at_once(programs):
    timer = threading.Timer(0.1, programs.stopping.set)
    timer.start()

    programs.start(python("slow", "import time; time.sleep(60)", ready=lambda: False))

    timer.join()
    assert programs.stopping.is_set()


def test_a_failing_single_run_is_an_error(programs):
    with pytest.raises(StartFailed, match="^setup ended with exit code 4: see its lines above$"):
        programs.complete(python("setup", "raise SystemExit(4)"))


def test_a_configuration_is_given_where_no_process_list_shows_it(programs, lines):
    programs.complete(python("reader", "print(input())", config=b"password\n"))

    look_until(lambda: lines, programs)
    assert lines == [("reader", "password")]
