import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.note import BadNote, Checkpoint, Signer, Verifier, split

# RFC 8032, 7.1, test 1.
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
SIGNER = Signer("example.org/orders", SEED)
CHECKPOINT = Checkpoint(
    origin=SIGNER.name,
    chain="account:DU1000001",
    size=3,
    root=bytes(range(32)),
    head="ab" * 32,
    time="2024-01-15T14:30:25.123456Z",
)


def test_the_text_of_a_checkpoint():
    assert CHECKPOINT.text() == (
        "example.org/orders/account:DU1000001\n3\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
        f"head {'ab' * 32}\ntime 2024-01-15T14:30:25.123456Z\n"
    )


def test_keys_are_written_and_read():
    assert SIGNER.verifier.public.hex() == PUBLIC
    assert Signer.parse(str(SIGNER)) == SIGNER
    assert Verifier.parse(str(SIGNER.verifier)) == SIGNER.verifier
    assert SEED.hex() not in repr(SIGNER)


def test_a_key_of_the_format_s_own_page():
    text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"

    assert str(Verifier.parse(text)) == text


def test_what_was_signed_is_read_back():
    assert SIGNER.verifier.verify(SIGNER.sign(CHECKPOINT)) == CHECKPOINT


def test_signatures_of_others_may_stand_beside():
    other = Signer.generate("witness.example")
    line = other.sign(CHECKPOINT).splitlines()[-1]

    assert SIGNER.verifier.verify(SIGNER.sign(CHECKPOINT) + line + "\n") == CHECKPOINT


def test_no_byte_can_be_changed():
    signed = SIGNER.sign(CHECKPOINT).encode()
    for position in range(len(signed)):
        changed = bytearray(signed)
        changed[position] ^= 1
        with pytest.raises((BadNote, UnicodeDecodeError)):
            SIGNER.verifier.verify(changed.decode())


@given(st.text())
def test_a_text_is_a_note_or_refused(text):
    with pytest.raises(BadNote):
        SIGNER.verifier.verify(text)


@pytest.mark.parametrize(
    ("case", "text"),
    [
        ("another key", Signer.generate(SIGNER.name).sign(CHECKPOINT)),
        ("another name", Signer("example.org/other", SEED).sign(CHECKPOINT)),
        ("a signature too short", SIGNER.sign(CHECKPOINT)[:-9] + "\n"),
    ],
)
def test_what_another_signed_is_refused(case, text):
    with pytest.raises(BadNote):
        SIGNER.verifier.verify(text)


@pytest.mark.parametrize(
    ("case", "changes"),
    [
        ("of another origin", {"origin": "example.org/else"}),
        ("a number that is none", {"size": "03"}),
        ("a head that is no hash", {"head": "AB" * 32}),
        ("a time that is none", {"time": "yesterday"}),
    ],
)
def test_what_is_no_checkpoint_is_refused_even_when_signed(case, changes):
    fields = {name: getattr(CHECKPOINT, name) for name in CHECKPOINT.__dataclass_fields__}
    with pytest.raises(BadNote):
        SIGNER.verifier.verify(SIGNER.sign(Checkpoint(**fields | changes)))


@pytest.mark.parametrize(
    ("case", "text"),
    [
        ("nothing", ""),
        ("no id", "name+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"),
        ("the id of another", "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"),
        ("another kind of key", "PeterNeumann+c74f20a3+Ahpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"),
        ("no base64", "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10T!"),
        ("a space in the name", "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"),
    ],
)
def test_what_is_no_key_is_refused(case, text):
    with pytest.raises(BadNote):
        Verifier.parse(text)
    with pytest.raises(BadNote):
        Signer.parse(f"PRIVATE+KEY+{text}")
    with pytest.raises(BadNote):
        Signer.parse(text)


def test_a_name_that_cannot_be_written_is_refused():
    with pytest.raises(BadNote, match="cannot name"):
        Signer.generate("two words")


def test_a_file_of_notes_is_taken_apart():
    one = SIGNER.sign(CHECKPOINT)

    assert split(f"{one}\n{one}") == [one, one]
    assert split("") == []


def test_a_note_that_was_not_written_to_its_end_spoils_no_other():
    one = SIGNER.sign(CHECKPOINT)
    for end in range(len(one)):
        notes = split(f"{one}\n{one[:end]}\n\n{one}")

        assert (notes[0], notes[-1]) == (one, one)
        assert len(notes) <= 3


def test_what_is_no_note_is_passed_over():
    assert split("something\n\nelse\n") == []
