"""Checkpoints: what they find out, where they are read from, and what is said without them."""

import base64
from datetime import UTC, datetime, timedelta

import pytest

from audit.models import CheckpointRun, Entry, Verification
from audit.note import Signer
from audit.signing import Notary, read_notes
from audit.sinks import DirectorySink, FileSink
from tests.orders.conftest import SIGNER
from tests.orders.factories import order_in
from tests.orders.verification.tampering import CHAIN, forge, rewrite, verify

pytestmark = pytest.mark.django_db


def test_a_chain_made_anew_is_found_by_its_checkpoints(house, superuser):
    superuser("UPDATE orders_orderevent SET actor = 'user:mallory' WHERE actor = 'api'")
    rewrite(**{'"facts":{"actor":"api"': '"facts":{"actor":"user:mallory"'})
    first = Entry.objects.filter(chain=CHAIN).order_by("seq").first()
    assert '"user:mallory"' in first.body

    code, text = verify()

    assert code == 3
    assert f"REWRITTEN: {CHAIN}, entries 1 to " in text
    assert "Somebody wrote this part of the chain anew" in text


def test_the_part_that_was_made_anew_is_named(house, superuser, files):
    signed = [each.checkpoint for each in read_notes(files / "checkpoints", [SIGNER.verifier])]
    older, newer = [checkpoint.size for checkpoint in signed if checkpoint.chain == CHAIN]
    rewrite(from_seq=newer, **{f'"actor":"{actor}"': '"actor":"someone"' for actor in ("api", "broker", "worker")})

    code, text = verify()

    assert (code, f"entries {older + 1} to {newer}: they are linked" in text) == (3, True)


def test_what_was_restored_and_went_on_is_told_from_a_rewrite(house, superuser, files):
    rewrite(from_seq=3, at=datetime.now(UTC) + timedelta(seconds=5))

    code, text = verify()

    assert (code, "an earlier state was restored, or entries were deleted, and the chain went on" in text) == (4, True)


def test_with_no_sinks_a_chain_made_anew_passes_and_that_is_said(house, superuser, settings):
    settings.AUDIT_SINKS = []
    forge(superuser)

    code, text = verify()

    assert (code, "a chain that was made anew as a whole would not be noticed" in text) == (0, True)


def test_checkpoints_that_are_gone_are_no_leave_to_pass(house, superuser, files):
    (files / "checkpoints").rename(files / "aside")
    forge(superuser)

    code, text = verify()

    assert code == 1
    assert f"none of {CHAIN}, site by a key of {files / 'public_keys'} can be read from file:" in text
    assert "give them with --checkpoint FILE" in text
    assert not Verification.objects.exists()
    assert verify(checkpoint=files / "aside")[0] == 3


def test_checkpoints_of_one_chain_that_are_gone_are_missed(house, files):
    kept = [each for each in read_notes(files / "checkpoints", [SIGNER.verifier]) if each.checkpoint.chain == "site"]
    (files / "checkpoints").write_text("".join(f"{each.note}\n" for each in kept))

    code, text = verify()

    assert (code, f"none of {CHAIN} by a key of" in text) == (1, True)


def test_what_was_posted_cannot_be_read_back_and_is_asked_for(house, files, settings):
    settings.AUDIT_SINKS = ["https://checkpoints.example.org/"]

    code, text = verify()

    assert (code, "can be read from https://checkpoints.example.org/: give them with --checkpoint FILE" in text) == (
        1,
        True,
    )
    assert verify(checkpoint=files / "checkpoints")[0] == 0


def test_before_the_first_round_there_is_nothing_to_miss(files, commit):
    order_in("NEW")
    commit()

    code, text = verify()

    assert (code, "without checkpoints" in text) == (0, True)


def test_a_round_that_is_on_record_is_enough_to_miss_its_checkpoints(house, superuser, files):
    superuser("DELETE FROM audit_signedchain")
    (files / "checkpoints").unlink()

    assert verify()[0] == 1


@pytest.fixture
def kept(house, files):
    """What was signed so far."""
    return read_notes(files / "checkpoints", [SIGNER.verifier])


@pytest.mark.parametrize("kind", ["directory", "git"])
def test_checkpoints_are_read_back_from_every_kind_of_place(house, kept, superuser, files, settings, kind):
    place = files / "kept"
    if kind == "directory":
        DirectorySink(place).keep(kept)
    else:
        FileSink(place / "checkpoints.txt").keep(kept)
    settings.AUDIT_SINKS = [f"{kind}:{place}"]
    assert "3 checkpoints fit: intact" in verify()[1]

    forge(superuser)

    assert verify()[0] == 3


def test_a_note_that_is_being_written_is_left_for_the_next_time(house, kept, files):
    DirectorySink(files / "kept").keep(kept)
    (files / "kept" / "site" / f".{'0' * 12}-").write_text("half a")

    assert "3 checkpoints fit" in verify(checkpoint=files / "kept")[1]


@pytest.mark.parametrize("place", ["file", "directory", "git"])
def test_a_place_that_cannot_be_read_is_said(house, files, settings, place):
    (files / "taken").touch()
    (files / "checkpoints.txt").mkdir()
    settings.AUDIT_SINKS = {
        "file": [f"file:{files}"],
        "directory": [f"directory:{files / 'taken'}"],
        "git": [f"git:{files}"],
    }[place]

    code, text = verify()

    assert (code, str(files) in text, "irectory" in text) == (1, True, True)


def test_a_sink_that_is_none_is_said(house, settings):
    settings.AUDIT_SINKS = ["s3:bucket"]

    assert verify() == (
        1,
        "'s3:bucket' is no place for checkpoints: file:PATH, directory:PATH, git:PATH or https://…",
    )


def test_the_notary_signs_no_chain_that_was_changed(house, superuser, files, notary, caplog):
    rewrite(**{'"actor":"broker"': '"actor":"someone"'})
    again = Notary(SIGNER, [SIGNER.verifier], [FileSink(files / "checkpoints")], memory=files / "last_signed")

    signed = again.sign()

    assert [each.checkpoint.chain for each in signed] == ["site"]
    assert f"{CHAIN} is not what was signed" in caplog.text
    assert CHAIN in CheckpointRun.objects.get().problem


def test_the_notary_notices_at_once_what_was_deleted(house, superuser, files, notary, caplog):
    superuser("DELETE FROM audit_entry WHERE chain = %s", CHAIN)
    superuser("DELETE FROM audit_chain WHERE name = %s", CHAIN)

    assert [each.checkpoint.chain for each in notary.sign()] == ["site"]
    assert "has fewer entries than were signed" in caplog.text


def test_after_a_restore_a_person_lets_it_go_on(house, superuser, notary):
    rewrite()
    notary.accept()

    assert {each.checkpoint.chain for each in notary.sign()} == {"site", CHAIN}


def test_a_checkpoint_file_of_somebody_else_is_not_believed(house, files):
    other = Signer.generate("test/orders")
    path = files / "others"
    own = read_notes(files / "checkpoints", [SIGNER.verifier])
    path.write_text("".join(f"{other.sign(each.checkpoint)}\n" for each in own))

    assert verify(checkpoint=path) == (1, f"{path} holds no checkpoint signed by a key of {files / 'public_keys'}")
    assert verify(checkpoint=files / "none") == (1, f"{files / 'none'} does not exist")


def test_what_cannot_be_read_is_no_traceback(house, files):
    (files / "empty").mkdir()
    for options, words in (
        ({"checkpoint": files / "empty"}, f"{files / 'empty'} holds no checkpoint signed by a key of"),
        ({"checkpoint": files / ("x" * 300)}, "name too long"),
        ({"public_keys": files}, "Is a directory"),
        ({"checkpoint": files / "checkpoints", "public_keys": files}, "Is a directory"),
        ({"public_keys": files / "none"}, "there are no public keys in"),
    ):
        code, text = verify(**options)

        assert (code, words in text) == (1, True), text


def test_roots_of_checkpoints_are_those_of_the_tree(house, files):
    path = files / "checkpoints"
    root = base64.b64encode(read_notes(path, [SIGNER.verifier])[0].checkpoint.root).decode()

    assert root in path.read_text()
