"""The command: what it prints, and its exit codes."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command, get_commands, load_command_class

from orders.flex.models import FlexImport
from orders.management.commands import import_flex
from tests.orders.builders import ACCOUNT, session_row
from tests.orders.factories import execute, order_in
from tests.orders.flex.files import TRADE, many_trades, of_trades, trade

pytestmark = pytest.mark.django_db


@pytest.fixture
def file(tmp_path):
    session_row()

    def file(name, data):
        path = tmp_path / name
        path.write_bytes(data)
        return str(path)

    return file


def run(*files, **options):
    """What it says on both channels, and its exit code."""
    out, err, code = StringIO(), StringIO(), 0
    try:
        call_command("import_flex", *files, stdout=out, stderr=err, no_color=True, **options)
    except CommandError as problem:
        code = problem.returncode
        err.write(str(problem))
    return out.getvalue(), err.getvalue(), code


def test_a_file(file):
    path = file("good.xml", of_trades(trade()))

    out, err, code = run(path)

    assert out.splitlines() == [
        f"{path}: {ACCOUNT} 2026-01-15 to 2026-01-15",
        f"{path}: 1 trades stored, 0 known already",
        f"{path}: 1 executions added to the record, 0 of them to orders on record",
        f"{path}: 1 commissions added to the record",
        "1 files imported",
    ]
    assert (err, code) == ("", 0)


def test_again(file):
    path = file("good.xml", of_trades(trade()))
    run(path)

    out, err, code = run(path)

    assert "by import_flex: nothing of it is stored again" in out
    assert (err, code, FlexImport.objects.count()) == ("", 0, 1)


def test_a_refused_file_does_not_keep_the_others_out(file, tmp_path):
    bad = file("bad.xml", of_trades(trade(quantity="x")))
    good = file("good.xml", of_trades(trade()))

    out, err, code = run(bad, str(tmp_path / "missing.xml"), str(tmp_path), good)

    assert err.splitlines()[0] == (f"{bad}: refused, nothing was stored: line 6: Trade: quantity='x' is not a number")
    assert "missing.xml: cannot be read: No such file or directory" in err
    assert f"{tmp_path}: cannot be read: Is a directory" in err
    assert err.endswith("3 of 4 files were refused")
    assert code == 1
    assert FlexImport.objects.get().name == "good.xml"
    assert f"{good}: 1 trades stored" in out


def test_dry_run(file):
    out, _, code = run(file("good.xml", of_trades(trade())), dry_run=True)

    assert "1 trades stored" in out
    assert out.endswith("1 files would be imported\n")
    assert (code, FlexImport.objects.count()) == (0, 0)


def test_long_work_says_how_far_it_is(file, monkeypatch):
    monkeypatch.setattr(import_flex, "ROWS_PER_REPORT", 1000)
    path = file("long.xml", of_trades(*many_trades(2500)))

    assert f"{path}: 1,000 rows so far ..." in run(path, dry_run=True)[0].splitlines()
    assert "so far" not in run(path, verbosity=0)[0]


def test_differences_are_listed(file, monkeypatch):
    monkeypatch.setattr(import_flex, "DIFFERENCES_SHOWN", 1)
    execute(order_in("NEW", quantity=10), quantity=10, price="229.95", exec_id=TRADE["ibExecID"])

    out, _, code = run(file("good.xml", of_trades(trade(quantity="9", tradePrice="1"))))

    assert f"quantity: AAPL (265598) {TRADE['ibExecID']}: here 10, broker 9" in out
    assert "and 2 differences more" in out
    assert code == 0


def test_help():
    command = load_command_class(get_commands()["import_flex"], "import_flex")
    text = " ".join(command.create_parser("manage.py", "import_flex").format_help().split())

    assert "--dry-run" in text
    assert "exit code is 1" in text
