"""Bundles, and the one file that checks them: run as a stranger would, in an environment with nothing in it."""

import contextlib
import functools
import hashlib
import json
import subprocess
import venv
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from audit import verify
from audit.models import Draft, Entry
from audit.note import Signer
from audit.record import append, record_site
from audit.signing import Notary, read_notes
from audit.sinks import DirectorySink, FileSink

pytestmark = pytest.mark.django_db
SIGNER = Signer("test/orders", bytes(range(32)))
FILES = [*verify.FILES, "manifest.json"]
REFUSALS = (verify.Wrong, ValueError, KeyError, TypeError)  # what verify.main tells as WRONG


@pytest.fixture
def notary(tmp_path, settings):
    settings.AUDIT_SINKS = [f"file:{tmp_path / 'checkpoints'}"]
    settings.AUDIT_PUBLIC_KEYS = tmp_path / "public_keys"
    settings.AUDIT_PUBLIC_KEYS.write_text(f"{SIGNER.verifier}\n")
    return Notary(SIGNER, [SIGNER.verifier], [FileSink(tmp_path / "checkpoints")], memory=tmp_path / "last_signed")


@pytest.fixture
def trail(notary, committed):
    """Two orders by turns in one chain, and a login; all signed but the last entry of each order."""
    for number in range(10):
        order = 1 + number % 2
        append("account:DU1", "order event", {"text": f"ü😀 {number}"}, subject=f"order:{order}", record=number)
    record_site("login", "user:alice", {})
    committed()
    notary.sign()
    for order in (1, 2):
        append("account:DU1", "order event", {}, subject=f"order:{order}", record=10 + order)
    committed()
    return notary


def export(directory, **options):
    out = StringIO()
    call_command("export_audit", directory, stdout=out, **options)
    return out.getvalue()


def lines_of(directory, name):
    return [json.loads(line) for line in (directory / name).read_text().splitlines()]


def flips(path, positions=None):
    """Flip a bit of each byte in turn, and put the file back at the end."""
    good = path.read_bytes()
    for position in range(len(good)) if positions is None else positions:
        path.write_bytes(good[:position] + bytes([good[position] ^ 1 << position % 8]) + good[position + 1 :])
        yield position
    path.write_bytes(good)


def is_proved(directory):
    """Whether verify.py would say PROVED."""
    try:
        return verify.check(directory)[1] == 0
    except REFUSALS:
        return False


def with_manifest(directory):
    """Compose the manifest anew, as a forger would."""
    texts = {name: (directory / name).read_text() for name in verify.FILES}
    entries = [json.loads(line) for line in texts["entries.jsonl"].splitlines()]
    (directory / "manifest.json").write_text(verify.manifest(texts, entries))


@pytest.fixture(scope="session")
def stranger(tmp_path_factory):
    """Runs verify.py in an environment without a single package."""
    home = tmp_path_factory.mktemp("stranger")
    venv.create(home / "venv", with_pip=False)
    copy = home / "verify.py"
    copy.write_text(Path(verify.__file__).read_text())

    def run(*words):
        command = [home / "venv" / "bin" / "python", "-I", copy, *words]
        return subprocess.run(command, capture_output=True, text=True, cwd=home)

    return run


def test_a_stranger_checks_a_whole_export(trail, tmp_path, stranger, committed):
    trail.sign()
    said = export(tmp_path / "bundle")

    done = stranger(tmp_path / "bundle", "--key", str(SIGNER.verifier))

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-2:] == ["13 of 13 entries are proved", "PROVED"]
    assert f"key {SIGNER.verifier}" in done.stdout
    assert "checkpoint of account:DU1: 12 entries at" in done.stdout
    assert said.startswith("13 entries in")
    assert len(lines_of(tmp_path / "bundle", "proofs.jsonl")) == 2  # of the last entry of each chain


def test_an_order_is_proved_without_the_others(trail, tmp_path, stranger):
    trail.sign()
    export(tmp_path / "bundle", order=1)

    done = stranger(tmp_path / "bundle")

    assert done.returncode == 0, done.stdout
    assert "6 of 6 entries are proved" in done.stdout
    assert {entry["subject"] for entry in lines_of(tmp_path / "bundle", "entries.jsonl")} == {"order:1"}
    assert [proof["seq"] for proof in lines_of(tmp_path / "bundle", "proofs.jsonl")] == [1, 3, 5, 7, 9, 11]
    assert "order:2" not in "".join((tmp_path / "bundle" / name).read_text() for name in FILES)


def test_what_is_newer_than_the_checkpoint_is_not_called_proved(trail, tmp_path, stranger):
    said = export(tmp_path / "bundle", account="DU1")

    done = stranger(tmp_path / "bundle")

    assert done.returncode == 2
    assert "10 of 12 entries are proved" in done.stdout
    assert "2 of them are newer than the last checkpoint" in said


def test_a_range(trail, tmp_path):
    rows = list(Entry.objects.filter(chain="account:DU1").order_by("seq"))
    export(tmp_path / "bundle", account="DU1", since=rows[3].recorded_at, until=rows[6].recorded_at)

    assert [entry["seq"] for entry in lines_of(tmp_path / "bundle", "entries.jsonl")] == [4, 5, 6]
    assert verify.check(tmp_path / "bundle")[1] == 0


def test_an_export_stands_in_the_trail(trail, tmp_path, committed):
    export(tmp_path / "bundle", order=1, actor="user:alice")
    committed()

    facts = json.loads(Entry.objects.filter(kind="export").get().body)["facts"]
    assert facts == {"actor": "user:alice", "details": {"list": "audit trail", "asked": {"order": "1"}}}


def test_an_export_of_everything_is_of_what_there_was_before_it(trail, tmp_path, committed):
    trail.sign()
    export(tmp_path / "bundle")
    committed()

    assert verify.check(tmp_path / "bundle")[1] == 0
    assert Entry.objects.filter(kind="export").exists()


@pytest.mark.parametrize("name", FILES)
def test_no_byte_can_be_flipped(trail, tmp_path, name):
    export(tmp_path / "bundle", order=1)
    path = tmp_path / "bundle" / name
    for _ in flips(path):
        with pytest.raises(REFUSALS):
            verify.check(tmp_path / "bundle")
    assert verify.check(tmp_path / "bundle")[1] == 1


@pytest.mark.parametrize("options", [{}, {"order": 1}], ids=["by the chain", "by paths"])
@pytest.mark.parametrize("name", verify.FILES)
def test_no_byte_can_be_flipped_by_a_forger_who_makes_the_manifest_anew(trail, tmp_path, name, options, monkeypatch):
    # Most flips leave the signatures as they are, and those are slow.
    monkeypatch.setattr(verify, "signature_fits", functools.cache(verify.signature_fits))
    trail.sign()
    export(tmp_path / "bundle", **options)
    path = tmp_path / "bundle" / name
    for _ in flips(path):
        with contextlib.suppress(*REFUSALS):  # what cannot be read has no manifest either
            with_manifest(tmp_path / "bundle")
        assert not is_proved(tmp_path / "bundle")
    with_manifest(tmp_path / "bundle")
    assert is_proved(tmp_path / "bundle")


@pytest.mark.parametrize("forged", [False, True], ids=["as it is", "with the manifest made anew"])
@pytest.mark.parametrize("name", FILES)
def test_a_stranger_is_told_of_a_flipped_byte(trail, tmp_path, stranger, name, forged):
    """As the ones above, by the real file in a process of its own, at the ends of each file and between."""
    trail.sign()
    export(tmp_path / "bundle")
    path = tmp_path / "bundle" / name
    size = path.stat().st_size
    for position in flips(path, [0, size // 3, size // 2, size - 1]):
        if forged and name != "manifest.json":
            with contextlib.suppress(*REFUSALS):
                with_manifest(tmp_path / "bundle")
        done = stranger(tmp_path / "bundle")
        assert (done.returncode, done.stderr, done.stdout[:6], done.stdout.count("\n")) == (1, "", "WRONG:", 1), (
            position
        )


def test_a_flipped_byte_is_told_in_a_line(trail, tmp_path, stranger):
    export(tmp_path / "bundle")
    path = tmp_path / "bundle" / "entries.jsonl"
    path.write_bytes(path.read_bytes().replace(b"alice", b"alicf"))

    done = stranger(tmp_path / "bundle")

    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == "WRONG: manifest.json is not what it should be: a file was changed, left out or added\n"


@pytest.mark.parametrize(
    ("case", "name", "old", "new", "words"),
    [
        ("an entry", "entries.jsonl", "alice", "alicf", "its path leads to no signed checkpoint"),
        ("an entry in the middle", "entries.jsonl", "ü😀 3", "ü😀 4", "does not name the hash of the entry before"),
        ("another spelling", "entries.jsonl", '"seq":3', '"seq": 3', "not spelled as RFC 8785"),
        ("a fraction", "entries.jsonl", '"seq":3', '"seq":3.0', "number with a fraction"),
        ("the size", "checkpoints.txt", "\n10\n", "\n11\n", "not signed by the key"),
        ("the time", "checkpoints.txt", "time 2", "time 3", "not signed by the key"),
        ("the chain", "checkpoints.txt", "/site", "/sit", "not signed by the key"),
        ("the last line's end", "entries.jsonl", '"subject":""}\n', '"subject":""}', "does not end with a line"),
        ("a place", "proofs.jsonl", '"seq":10', '"seq":99', "proof of an entry that is not here"),
        ("a path", "proofs.jsonl", '"path":["', '"path":["00', "leads to no signed checkpoint"),
        ("another spelling of a path", "proofs.jsonl", '"path":["', '"path":["A0', "not in small hex digits"),
        ("a longer path", "proofs.jsonl", '"path":[', f'"path":["{"0" * 64}",' * 1, "path"),
    ],
)
def test_a_forger_who_makes_the_manifest_anew_is_found(trail, tmp_path, case, name, old, new, words):
    export(tmp_path / "bundle")
    path = tmp_path / "bundle" / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with_manifest(tmp_path / "bundle")

    with pytest.raises(verify.Wrong, match=words):
        verify.check(tmp_path / "bundle")


def test_a_bundle_signed_by_a_forger_s_key_is_found_by_the_key_one_was_given(trail, tmp_path, stranger, settings):
    forger = Signer(SIGNER.name, hashlib.sha256(b"forger").digest())
    settings.AUDIT_PUBLIC_KEYS.write_text(f"{forger.verifier}\n")
    forged = tmp_path / "forged"
    Notary(forger, [forger.verifier], [FileSink(forged)], memory=tmp_path / "m").sign()
    export(tmp_path / "bundle", checkpoint=forged)

    assert stranger(tmp_path / "bundle").returncode == 0
    done = stranger(tmp_path / "bundle", "--key", str(SIGNER.verifier))
    assert (done.returncode, "by another key than" in done.stdout) == (1, True)


@pytest.mark.parametrize("kind", ["directory", "git"])
def test_checkpoints_come_from_every_kind_of_place(trail, tmp_path, settings, kind):
    signed = read_notes(tmp_path / "checkpoints", [SIGNER.verifier])
    place = tmp_path / "kept"
    if kind == "directory":
        DirectorySink(place).keep(signed)
    else:
        FileSink(place / "checkpoints.txt").keep(signed)
    settings.AUDIT_SINKS = [f"{kind}:{place}"]
    export(tmp_path / "of the sink", order=1)
    settings.AUDIT_SINKS = []
    export(tmp_path / "of the path", order=1, checkpoint=place)

    assert len(lines_of(tmp_path / "of the sink", "proofs.jsonl")) == 5
    assert len(lines_of(tmp_path / "of the path", "proofs.jsonl")) == 5


def test_nothing_is_exported_whose_checkpoints_are_gone(trail, tmp_path):
    (tmp_path / "checkpoints").unlink()

    with pytest.raises(CommandError, match="give them with --checkpoint FILE"):
        export(tmp_path / "bundle")

    assert not (tmp_path / "bundle").exists()
    assert not Draft.objects.exists()


def test_what_is_no_bundle(tmp_path, stranger):
    (tmp_path / "empty").mkdir()
    for directory in (tmp_path / "empty", tmp_path / "none"):
        done = stranger(directory)
        assert (done.returncode, done.stderr, done.stdout[:6]) == (1, "", "WRONG:")


@pytest.mark.parametrize(
    ("options", "words"),
    [({"order": 77}, "nothing of that"), ({"account": "DU9"}, "nothing of that"), ({}, "exists")],
)
def test_what_cannot_be_exported(trail, tmp_path, options, words):
    (tmp_path / "bundle").mkdir()

    with pytest.raises(CommandError, match=words):
        export(tmp_path / "bundle", **options)

    assert not Draft.objects.exists()


# RFC 8032, 7.1: key, message, signature.
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24"
        "655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aee"
        "b00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28d"
        "c027beceea1ec40a",
    ),
]


@pytest.mark.parametrize(("public", "message", "signature"), VECTORS)
def test_signatures_of_the_rfc(public, message, signature):
    key, text, signed = map(bytes.fromhex, (public, message, signature))

    assert verify.signature_fits(key, signed, text)
    assert not verify.signature_fits(key, signed, text + b"x")
    assert not verify.signature_fits(key, signed[:32] + bytes([signed[32] ^ 1]) + signed[33:], text)
    beyond = (int.from_bytes(signed[32:], "little") + verify.ORDER).to_bytes(32, "little")
    assert not verify.signature_fits(key, signed[:32] + beyond, text)
    assert not verify.signature_fits(key, signed[:63], text)


@pytest.mark.parametrize("encoded", [b"\xff" * 32, (2).to_bytes(32, "little"), (1 | 1 << 255).to_bytes(32, "little")])
def test_what_is_no_point_is_refused(encoded):
    with pytest.raises(verify.Wrong):
        verify.point(encoded)
