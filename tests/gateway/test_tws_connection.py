import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.tws.connection import NEED_DATA, ServerConnection, State
from gateway.tws.errors import RemoteProtocolError, UnknownMessage, UnreadableMessage
from gateway.tws.framing import pack_fields, pack_payload
from gateway.tws.messages import (
    CancelOrder,
    ErrorMessage,
    ManagedAccounts,
    NextValidId,
    ReqIds,
    ReqOpenOrders,
    StartApi,
)

TIME_TEXT = "20260105 14:30:00 US/Eastern"
START = pack_fields(("71", "2", "7", ""))


def hello(offer=b"v157..178"):
    return b"API\0" + pack_payload(offer)


def connect(offer=b"v157..178", **options):
    connection = ServerConnection(time_text=TIME_TEXT, **options)
    connection.receive_data(hello(offer))
    connection.next_message()
    return connection


def opened(**options):
    connection = connect(**options)
    connection.receive_data(START)
    connection.next_message()
    connection.data_to_send()
    return connection


def test_a_client_is_answered_and_starts():
    connection = ServerConnection(time_text=TIME_TEXT)

    connection.receive_data(hello())
    assert connection.next_message() is NEED_DATA
    assert connection.data_to_send() == pack_fields(("178", TIME_TEXT))
    assert connection.data_to_send() == b""
    connection.receive_data(START)

    assert connection.next_message() == StartApi(client_id=7)
    assert connection.state is State.OPEN


@pytest.mark.parametrize(
    ("offer", "max_version", "version", "options"),
    [
        (b"v157..178", 178, 178, ""),
        (b"v157..176", 178, 176, ""),
        (b"v100..157", 178, 157, ""),
        (b"v100..193", 178, 178, ""),
        (b"v157..178", 157, 157, ""),
        (b"v157", 178, 157, ""),
        (b"v157..158", 178, 157, ""),
        (b"v157..178", 158, 157, ""),
        (b"v157..176 +PACEAPI", 178, 176, "+PACEAPI"),
    ],
)
def test_the_version_is_the_highest_that_both_speak(offer, max_version, version, options):
    connection = connect(offer, max_version=max_version)

    assert connection.version == version
    assert connection.connect_options == options
    assert connection.data_to_send() == pack_fields((str(version), TIME_TEXT))


@pytest.mark.parametrize("offer", [b"v100..156", b"v179..200", b"v63", b"v158", b"v200..100"])
def test_a_client_without_a_common_version_is_told_so(offer):
    connection = ServerConnection(time_text=TIME_TEXT)
    connection.receive_data(hello(offer))

    with pytest.raises(RemoteProtocolError, match="Unsupported version"):
        connection.next_message()

    assert connection.state is State.FAILED
    answer = connection.data_to_send()
    assert answer[4:].startswith(b"4\x002\x00-1\x00506\x00Unsupported version: the client offers ")
    assert answer.count(b"\0", 4) == 5


@pytest.mark.parametrize(
    "offer", [b"157..178", b"v", b"v157..", b"v157..178\0", b"v157-178", b"v999999", b"v157..178 \xff"]
)
def test_a_malformed_offer_ends_the_connection(offer):
    connection = ServerConnection(time_text=TIME_TEXT)
    connection.receive_data(hello(offer))

    with pytest.raises(RemoteProtocolError, match="no version offer"):
        connection.next_message()
    assert connection.data_to_send() == b""


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01", pack_payload(b"v157..178")])
def test_another_protocol_ends_the_connection(first):
    connection = ServerConnection(time_text=TIME_TEXT)
    connection.receive_data(first)

    with pytest.raises(RemoteProtocolError, match="expected b'API"):
        connection.next_message()


@pytest.mark.parametrize("first", [("5", "1"), ("3", "1"), ("9999", "1"), ("x",)])
def test_nothing_comes_before_start_api(first):
    connection = connect()
    connection.receive_data(pack_fields(first) + START)

    with pytest.raises(RemoteProtocolError):
        connection.next_message()

    assert connection.state is State.FAILED
    with pytest.raises(RemoteProtocolError):
        connection.next_message()


def test_start_api_comes_once():
    connection = opened()
    connection.receive_data(START)

    with pytest.raises(RemoteProtocolError, match="second time"):
        connection.next_message()
    assert connection.state is State.FAILED


def test_every_prefix_of_a_conversation_needs_more_data():
    whole = hello() + START + pack_fields(("4", "1", "12", ""))
    ends = {len(hello()) + len(START): StartApi(client_id=7), len(whole): CancelOrder(order_id=12)}
    connection = ServerConnection(time_text=TIME_TEXT)

    for position, byte in enumerate(whole, start=1):
        connection.receive_data(bytes([byte]))
        assert connection.next_message() == ends.get(position, NEED_DATA)
    assert connection.next_message() is NEED_DATA


def test_everything_in_one_piece_with_a_tail():
    connection = ServerConnection(time_text=TIME_TEXT)
    tail = pack_fields(("5", "1"))

    connection.receive_data(hello() + START + pack_fields(("8", "1", "1")) + tail[:-1])

    assert connection.next_message() == StartApi(client_id=7)
    assert connection.next_message() == ReqIds()
    assert connection.next_message() is NEED_DATA
    connection.receive_data(tail[-1:])
    assert connection.next_message() == ReqOpenOrders()


@pytest.mark.parametrize(
    ("case", "fields", "error", "facts"),
    [
        ("short", ("4", "1"), UnreadableMessage, {"message_id": 4, "request_id": None}),
        ("no number", ("7", "3", "55", "x"), UnreadableMessage, {"message_id": 7, "request_id": 55}),
        ("short order", ("3", "21", "265598"), UnreadableMessage, {"message_id": 3, "request_id": 21}),
        ("unknown", ("250", "1"), UnknownMessage, {"message_id": 250}),
    ],
)
def test_a_bad_message_leaves_the_connection_open(case, fields, error, facts):
    connection = opened()
    connection.receive_data(pack_fields(fields) + pack_fields(("5", "1")))

    with pytest.raises(error) as caught:
        connection.next_message()

    assert {name: getattr(caught.value, name) for name in facts} == facts
    assert connection.next_message() == ReqOpenOrders()


@pytest.mark.parametrize(
    ("case", "data"),
    [
        ("no id", pack_fields(("five", "1"))),
        ("empty id", pack_fields(("", "1"))),
        ("no final NUL", pack_payload(b"5\x001")),
        ("invalid UTF-8", pack_payload(b"5\x00\xff\x00")),
        ("empty frame", pack_payload(b"")),
        ("huge frame", b"\x01\x00\x00\x00"),
    ],
)
def test_a_broken_stream_ends_the_connection(case, data):
    connection = opened()
    connection.receive_data(data + pack_fields(("5", "1")))

    for _ in range(2):
        with pytest.raises(RemoteProtocolError) as caught:
            connection.next_message()
        connection.receive_data(pack_fields(("5", "1")))
        assert type(caught.value) is RemoteProtocolError
    assert connection.state is State.FAILED


def test_messages_go_out_in_order_and_in_the_negotiated_layout():
    connection = opened(offer=b"v157..176")

    connection.send(ManagedAccounts(accounts="DU1"), NextValidId(order_id=5))
    connection.send(ErrorMessage(code=2104, text="OK"))

    assert connection.data_to_send() == b"".join(
        map(pack_fields, [("15", "1", "DU1"), ("9", "1", "5"), ("4", "2", "-1", "2104", "OK", "")])
    )


@pytest.mark.parametrize("received", [b"", hello(), hello(b"v1..2")])
def test_nothing_is_sent_before_start_api(received):
    connection = ServerConnection(time_text=TIME_TEXT)
    connection.receive_data(received)
    try:
        connection.next_message()
    except RemoteProtocolError:
        pass
    before = connection.data_to_send()

    with pytest.raises(RuntimeError, match="nothing may be sent"):
        connection.send(NextValidId(order_id=1))
    assert before == b"" or before.count(b"\0", 4) in (2, 5)


@pytest.mark.parametrize("max_version", [156, 179])
def test_a_gateway_speaks_only_what_the_codec_knows(max_version):
    with pytest.raises(ValueError, match="max_version"):
        ServerConnection(time_text=TIME_TEXT, max_version=max_version)


def drain(connection):
    """Read until data is needed or the connection fails; count what was refused."""
    refused = 0
    while True:
        try:
            if connection.next_message() is NEED_DATA:
                return refused
        except RemoteProtocolError:
            refused += 1
            if connection.state is State.FAILED:
                return refused


@settings(max_examples=300)
@given(st.lists(st.binary(max_size=60), max_size=6), st.sampled_from([b"", b"API\0", hello(), hello() + START]))
def test_random_bytes_raise_one_error_type_only(chunks, beginning):
    connection = ServerConnection(time_text=TIME_TEXT)

    for chunk in [beginning, *chunks]:
        connection.receive_data(chunk)
        drain(connection)


FIELD = st.one_of(
    st.sampled_from(["", "0", "1", "-1", "BAG", "None", "Infinite", "2147483647", "1.7976931348623157e+308", "99999"]),
    st.integers(0, 110).map(str),
    st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=8),
)


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, 110), st.lists(FIELD, max_size=130)), max_size=4))
def test_random_frames_leave_the_connection_usable(frames):
    connection = opened()

    for number, fields in frames:
        if number == 71:
            continue
        connection.receive_data(pack_fields((str(number), *fields)))
        drain(connection)
    connection.receive_data(pack_fields(("5", "1")))

    assert connection.next_message() == ReqOpenOrders()
