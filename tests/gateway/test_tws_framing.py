import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.tws.errors import RemoteProtocolError
from gateway.tws.framing import FrameBuffer, escape, pack_fields, pack_payload, split_fields

FRAMES = [
    pytest.param(("53", "1"), b"\x00\x00\x00\x0553\x001\x00", id="two fields"),
    pytest.param(("102",), b"\x00\x00\x00\x04102\x00", id="one field"),
    pytest.param(("4", "2", "-1", ""), b"\x00\x00\x00\x084\x002\x00-1\x00\x00", id="empty last field"),
]


def frames_in(buffer):
    return list(iter(buffer.take_payload, None))


@pytest.mark.parametrize(("fields", "frame"), FRAMES)
def test_fields_become_these_bytes_and_come_back(fields, frame):
    buffer = FrameBuffer()

    buffer.feed(frame)

    assert pack_fields(fields) == frame
    assert [split_fields(payload) for payload in frames_in(buffer)] == [fields]


def test_a_frame_is_given_out_with_its_last_byte():
    buffer = FrameBuffer()
    frame = pack_fields(("5", "1"))

    for byte in frame[:-1]:
        buffer.feed(bytes([byte]))
        assert buffer.take_payload() is None
    buffer.feed(frame[-1:])

    assert buffer.take_payload() == b"5\x001\x00"
    assert len(buffer) == 0


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8), st.integers(1, 30))
def test_frames_do_not_depend_on_how_the_bytes_are_cut(payloads, size):
    stream = b"".join(map(pack_payload, payloads))
    buffer = FrameBuffer()
    out = []

    for start in range(0, len(stream), size):
        buffer.feed(stream[start : start + size])
        out += frames_in(buffer)

    assert out == payloads


@pytest.mark.parametrize("length", [0, 101, 0xFFFFFFFF])
def test_a_length_outside_the_limit_is_refused_before_its_payload_comes(length):
    buffer = FrameBuffer(max_frame=100)

    buffer.feed(length.to_bytes(4, "big"))

    with pytest.raises(RemoteProtocolError, match=f"frame of {length} bytes"):
        buffer.take_payload()


@pytest.mark.parametrize(
    ("case", "payload", "reason"),
    [
        ("no NUL at the end", b"5\x001", "does not end with NUL"),
        ("a lone byte of UTF-8", b"5\x00\xc3\x00", "not UTF-8"),
        ("a surrogate in UTF-8", b"5\x00\xed\xa0\x80\x00", "not UTF-8"),
        ("an overlong NUL", b"5\x00\xc0\x80\x00", "not UTF-8"),
    ],
)
def test_a_broken_payload_is_refused(case, payload, reason):
    with pytest.raises(RemoteProtocolError, match=reason):
        split_fields(payload)


@pytest.mark.parametrize("fields", [(), ("4", "a\0b"), ("\0",)])
def test_our_own_fields_hold_no_nul(fields):
    with pytest.raises(ValueError, match="NUL"):
        pack_fields(fields)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("AAPL", "AAPL"),
        ("Société Générale", "Soci\\u00e9t\\u00e9 G\\u00e9n\\u00e9rale"),
        ("日本", "\\u65e5\\u672c"),
        ("📈", "\\ud83d\\udcc8"),
        ("a\\b", "a\\b"),
        ("é\\n", "\\u00e9\\n"),
    ],
)
def test_what_is_not_ascii_leaves_as_java_escapes(text, escaped):
    assert escape(text) == escaped
    assert pack_fields((text,)) == pack_payload(escaped.encode() + b"\0")


@pytest.mark.parametrize("begun", [b"", b"A", b"AP", b"API"])
def test_a_prefix_is_awaited_whole(begun):
    buffer = FrameBuffer()
    buffer.feed(begun)

    assert not buffer.take_prefix(b"API\0")

    buffer.feed(b"API\0"[len(begun) :] + b"rest")
    assert buffer.take_prefix(b"API\0")
    assert len(buffer) == 4


@pytest.mark.parametrize("begun", [b"G", b"AB", b"API1", b"api\0"])
def test_another_prefix_is_refused_at_its_first_wrong_byte(begun):
    buffer = FrameBuffer()
    buffer.feed(begun)

    with pytest.raises(RemoteProtocolError, match="expected b'API"):
        buffer.take_prefix(b"API\0")
