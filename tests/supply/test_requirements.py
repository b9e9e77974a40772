"""The compiled requirements: pinned, hashed, of nowhere in particular; and a reason for each that was asked for."""

import re

import pytest

from supply.pins import REQUIREMENTS, Pin, apart, pins_in, production_pins

NAMES = ["base", "test", "bench", "dev"]
ENTRY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[a-z,]+\])?==[^\s;*]+( ; [^\\]+)?( --hash=sha256:[0-9a-f]{64})+")


def compiled(name):
    return (REQUIREMENTS / f"{name}.txt").read_text()


def entries(text):
    """What pip reads: lines that go on in the next are one, comments none."""
    lines = re.sub(r"\\\n *", "", text).splitlines()
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def badly_pinned(text):
    return [entry for entry in entries(text) if not ENTRY.fullmatch(entry)]


def asked_for(text):
    """The lines of an .in file that ask for a package."""
    return [line for line in text.splitlines() if line.strip() and not line.startswith(("#", "-"))]


def without_reason(text):
    return [line for line in asked_for(text) if len(line.partition("#")[2].split()) < 2]


def test_these_are_all_the_files():
    assert {path.stem for path in REQUIREMENTS.glob("*.txt")} - {"overrides"} == set(NAMES)
    assert {path.stem for path in REQUIREMENTS.glob("*.in")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_package_is_pinned_with_hashes_and_nothing_else_stands_there(name):
    text = compiled(name)

    assert not badly_pinned(text)
    assert len(pins_in(text)) == len(entries(text)) > 0
    assert "://" not in text
    assert "index" not in "".join(line for line in text.splitlines() if line.lstrip().startswith("-"))


@pytest.mark.parametrize(
    "line",
    [
        "django==5.2.19",
        "django>=5 --hash=sha256:" + "0" * 64,
        "django==5.* --hash=sha256:" + "0" * 64,
        "--index-url https://example.test/simple",
        "django @ https://example.test/django.whl --hash=sha256:" + "0" * 64,
        "-e .",
        "django==5.2.19 --hash=md5:" + "0" * 32,
    ],
)
def test_a_line_that_pins_too_little_would_be_found(line):
    assert badly_pinned(f"{compiled('base')}{line}\n") == [line]


@pytest.mark.parametrize("name", NAMES)
def test_each_has_its_reason(name):
    assert not without_reason((REQUIREMENTS / f"{name}.in").read_text())


def test_one_without_a_reason_would_be_found():
    assert without_reason("# about\n-r base.in\nflask\ncelery  # scheduled work\n") == ["flask"]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_asked_for_is_compiled(name):
    names = {re.match(r"[A-Za-z0-9._-]+", line)[0] for line in asked_for((REQUIREMENTS / f"{name}.in").read_text())}

    assert {each.lower().replace("_", "-") for each in names} <= {pin.name for pin in pins_in(compiled(name))}


def test_the_files_agree():
    base, test, dev = (set(pins_in(compiled(name))) for name in ("base", "test", "dev"))

    assert base <= test <= dev


def test_pins_of_several_pythons_are_all_read_and_no_list_has_one_twice():
    text = "Numpy==1 ; python_full_version < '3.12' \\\n    --hash=sha256:0\nib_a[x]==2\nnumpy==3 ; x\n    # via b==4\n"
    pins = pins_in(text)

    assert pins == [Pin("ib-a", "2"), Pin("numpy", "1"), Pin("numpy", "3")]
    assert apart(pins) == [[Pin("ib-a", "2"), Pin("numpy", "1")], [Pin("numpy", "3")]]
    assert sum(map(len, apart(production_pins()))) == len(production_pins())
