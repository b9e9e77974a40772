"""The process and its sockets: start, stop, and clients that misbehave."""

import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.paper_process import PaperGateway, RawClient, frame, hello, ledger_lines, place_order


@pytest.fixture(scope="module")
def gateway() -> Iterator[PaperGateway]:
    with PaperGateway() as gateway:
        yield gateway


@pytest.fixture
def bystander(gateway: PaperGateway) -> Iterator[RawClient]:
    """A client that must not notice what others do."""
    with RawClient.started(gateway.port, 1) as client:
        yield client
        client.send(49, 1)
        assert client.read()[0] == "49"


@pytest.mark.parametrize(
    ("case", "data"),
    [
        ("no prefix", b"GET / HTTP/1.1\r\n\r\n"),
        ("an offer that is none", b"API\0" + frame("hello")),
        ("only versions too old", hello("v100..150")),
        ("only versions too new", hello("v200..210")),
        ("a request before startApi", hello() + frame(49, 1)),
        ("a length of 16 MB", hello() + frame(71, 2, 50, "") + b"\x01\x00\x00\x00"),
        ("a length of nothing", hello() + frame(71, 2, 50, "") + b"\0\0\0\0"),
        ("no final NUL", hello() + frame(71, 2, 50, "") + struct.pack(">I", 4) + b"49\x001"),
        ("no UTF-8", hello() + frame(71, 2, 50, "") + struct.pack(">I", 3) + b"\xff\xfe\0"),
        ("an id that is no number", hello() + frame(71, 2, 50, "") + frame("abc")),
        ("startApi twice", hello() + frame(71, 2, 50, "") + frame(71, 2, 51, "")),
    ],
)
@pytest.mark.usefixtures("bystander")
def test_what_closes_a_connection(gateway: PaperGateway, case: str, data: bytes) -> None:
    with RawClient(gateway.port) as client:
        client.write(data)

        assert client.hung_up()


@pytest.mark.parametrize(
    ("case", "message", "answer"),
    [
        ("unknown id", frame(7777, "x"), ["4", "2", "-1", "505"]),
        ("too short", frame(4), ["4", "2", "-1", "320"]),
        ("nonsense", frame(7, 3, 9, "x", "", "", "", "", "", ""), ["4", "2", "9", "320"]),
    ],
)
@pytest.mark.usefixtures("bystander")
def test_what_is_answered_with_an_error(gateway: PaperGateway, case: str, message: bytes, answer: list[str]) -> None:
    with RawClient.started(gateway.port, 2) as client:
        client.write(message)
        assert client.read()[:4] == answer

        client.send(49, 1)
        assert client.read()[0] == "49"


def test_one_byte_at_a_time(gateway: PaperGateway) -> None:
    data = hello("v157..157") + frame(71, 2, 3, "") + place_order(1, action="BUY", quantity=1, order_type="MKT")
    with RawClient(gateway.port) as client:
        for byte in data:
            client.write(bytes([byte]))

        messages = client.read_until(59)

    assert [fields[0] for fields in messages[-8:]] == ["5", "3", "11", "5", "3", "5", "3", "59"]
    assert len(messages[-8]) == 128


def test_everything_in_one_segment(gateway: PaperGateway) -> None:
    with RawClient(gateway.port) as client:
        client.write(hello() + frame(71, 2, 4, "") + frame(49, 1) * 5)

        assert client.read_until(49)[0][0] == "176"


def test_a_client_cut_in_the_middle_of_a_placement_places_nothing(gateway: PaperGateway) -> None:
    placement = place_order(1, action="BUY", quantity=1, order_type="LMT", price="150")
    with RawClient.started(gateway.port, 5, offer="v157..157") as client:
        client.write(placement[:-1])

    with RawClient.started(gateway.port, 6) as client:
        client.send(16, 1)
        assert not [fields for fields in client.read_until(53) if fields[0] == "5" and fields[23] == "5"]


def test_a_client_that_does_not_read_stalls_nobody(gateway: PaperGateway, bystander: RawClient) -> None:
    with RawClient.started(gateway.port, 7) as deaf:
        for _ in range(90):
            deaf.send(9, 8, 1, 265598, "", "", "", "0.0", "", "", "", "", "", "", "", 0, "", "", "")
        started = time.monotonic()
        bystander.send(49, 1)

        assert bystander.read()[0] == "49"
        assert time.monotonic() - started < 2


def test_the_client_id_is_free_as_soon_as_its_client_is_gone(gateway: PaperGateway) -> None:
    for _ in range(20):
        with RawClient.started(gateway.port, 8):
            pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_clean_stop(tmp_path: Path, number: signal.Signals) -> None:
    ledger, kept = tmp_path / "ledger.jsonl", tmp_path / "state"
    gateway = PaperGateway("--ledger", str(ledger), "--state", str(kept), tick="0.05")
    with RawClient.started(gateway.port, 1) as client:
        assert gateway.stop(number) == 0
        assert client.hung_up()

    assert gateway.complaints == ""
    assert [line["kind"] for line in ledger_lines(ledger)] == ["start", "session_open", "session_close", "stop"]
    assert (kept / "snapshot.json").exists()


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "gateway.paper", *arguments],
        capture_output=True,
        text=True,
        timeout=20,
        cwd=Path(__file__).parents[2],
    )


def test_a_taken_port_is_said_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run("--port", str(taken.getsockname()[1]))

    assert result.returncode == 1
    assert "address already in use" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("case", "arguments", "says"),
    [
        ("no such zone", ["--time-zone", "Mars/Base"], "Mars/Base"),
        ("no such file", ["--instruments", "/nowhere.csv"], "/nowhere.csv"),
        ("no accounts", ["--accounts", ","], "account"),
        ("an account twice", ["--accounts", "DU1,DU1"], "account"),
        ("no money", ["--cash", "plenty"], "plenty"),
        ("less than no time", ["--tick", "-1"], "-1"),
    ],
)
def test_a_bad_option_is_said_in_words(case: str, arguments: list[str], says: str) -> None:
    result = run("--port", "0", *arguments)

    assert result.returncode in (1, 2)
    assert says in result.stderr
    assert "Traceback" not in result.stderr


def test_the_help_tells_how_to_add_instruments() -> None:
    text = run("--help").stdout

    assert "symbol,con_id,primary_exchange,reference_price,tick,name" in text
    for option in ("--host", "--port", "--accounts", "--seed", "--ledger", "--state", "--tick", "--cash"):
        assert option in text


def test_a_full_disk_ends_the_gateway_before_it_answers() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    gateway = PaperGateway("--ledger", "/dev/full")
    with RawClient(gateway.port) as client:
        client.write(hello() + frame(71, 2, 1, ""))

        assert client.hung_up()
    assert gateway.ended() == 1
    assert "No space left" in gateway.complaints
