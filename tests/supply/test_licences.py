from email.message import Message

import pytest

from supply import licences
from supply.pins import Pin, production_pins


def test_the_page_is_current_and_every_licence_allowed(capsys):
    assert licences.main(["--check"]) == 0, capsys.readouterr().out


def test_an_old_page_is_refused_and_left_as_it_is(tmp_path, capsys):
    page = tmp_path / "licences.md"
    page.write_text(licences.PAGE.read_text().replace("| django | ", "| django | 0."))
    before = page.read_text()

    assert licences.main(["--check"], page) == 1

    assert "docs/licences.md is old" in capsys.readouterr().out
    assert page.read_text() == before


def test_written_once_more_it_says_the_same(tmp_path):
    page = tmp_path / "licences.md"
    page.write_text(licences.PAGE.read_text())

    assert licences.main([], page) == 0

    assert page.read_text() == licences.PAGE.read_text()


def test_a_page_from_nothing_asks_for_the_other_python(tmp_path, capsys):
    elsewhere = [pin for pin, known in licences.collect(production_pins(), "").items() if not known]
    assert elsewhere  # two Pythons install two numpys

    assert licences.main([], tmp_path / "licences.md") == 1

    said = capsys.readouterr().out
    for pin in elsewhere:
        assert f"{pin.name} {pin.version}: not installed here" in said


@pytest.mark.parametrize(
    ("licence", "fine"),
    [
        ("MIT", True),
        ("Apache-2.0 OR GPL-3.0-only", True),
        ("Apache-2.0 AND GPL-3.0-only", False),
        ("MIT AND (BSD-3-Clause OR GPL-3.0-only)", False),
        ("GPL-3.0-only", False),
        ("MIT with a surprise", False),
        ("", False),
    ],
)
def test_what_is_allowed(licence, fine):
    assert licences.allowed(licence) is fine
    assert bool(licences.refused({Pin("one", "1"): licence})) is not fine


@pytest.mark.parametrize(
    ("fields", "licence"),
    [
        ([("License-Expression", "MIT"), ("License", "whatever")], "MIT"),
        ([("Classifier", "License :: OSI Approved :: MIT License"), ("License", "text")], "MIT License"),
        ([("Classifier", "License :: B"), ("Classifier", "Topic :: X"), ("Classifier", "License :: A")], "A AND B"),
        ([("License", "AGPL\nand its text")], "AGPL"),
        ([], ""),
    ],
)
def test_what_a_package_declares(fields, licence):
    about = Message()
    for name, value in fields:
        about[name] = value

    assert licences.declared(about) == licence
