import pytest

from orders import stamps


def test_stamps_differ():
    assert len({stamps.new_stamp() for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    ("case", "reference", "on_the_wire"),
    [
        ("plain", "my_trade_001", "my_trade_001~ABCDEFGHIJKLM"),
        ("empty", "", "~ABCDEFGHIJKLM"),
        ("with the mark inside", "a~b", "a~b~ABCDEFGHIJKLM"),
        ("separators", "a;b=c", "a_b_c~ABCDEFGHIJKLM"),
        ("long", "x" * 60, "x" * 26 + "~ABCDEFGHIJKLM"),
    ],
)
def test_stamped(case, reference, on_the_wire):
    assert stamps.stamped(reference, "ABCDEFGHIJKLM") == on_the_wire
    assert len(on_the_wire) <= stamps.WIRE_LENGTH
    assert stamps.split(on_the_wire)[1] == "ABCDEFGHIJKLM"


def test_our_own_stamp_is_found_again():
    stamp = stamps.new_stamp()

    assert stamps.split(stamps.stamped("ref", stamp)) == ("ref", stamp)


@pytest.mark.parametrize(
    "text", ["", "manual", "a~b", "~", "ref~abcdefghijklm", "ref~ABCDEFGHIJKL1", "ref~ABCDEFGHIJKL"]
)
def test_other_texts_have_no_stamp(text):
    assert stamps.split(text) == (text, None)
