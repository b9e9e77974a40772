"""The process that signs: its key, its places, and its rounds."""

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import StringIO

import pytest
from django.conf import settings as site
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection

from audit import keys, sinks
from audit.models import CheckpointRun, Entry
from audit.note import Checkpoint, Signer
from audit.record import record_site
from audit.signing import Notary, read_notes

SIGNER = Signer("test/orders", bytes(range(32)))


def signed(size=1, time="2024-01-15T14:30:25.123456Z"):
    checkpoint = Checkpoint(
        origin=SIGNER.name, chain="account:DU1", size=size, root=bytes(32), head="ab" * 32, time=time
    )
    return sinks.Signed(checkpoint, SIGNER.sign(checkpoint))


@pytest.fixture
def places(tmp_path, settings):
    settings.AUDIT_KEY_FILE = tmp_path / "audit" / "key"
    settings.AUDIT_PUBLIC_KEYS = tmp_path / "audit" / "public_keys"
    settings.AUDIT_SINKS = [f"file:{tmp_path / 'kept' / 'checkpoints'}"]
    settings.AUDIT_ORIGIN = "test/orders"
    return settings


def run(command, *words, **options):
    out = StringIO()
    call_command(command, *words, stdout=out, **options)
    return out.getvalue()


# --- Keys ----------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_key_is_made_shown_and_rotated(places, committed):
    first = run("audit_key", "create")
    assert stat.S_IMODE(places.AUDIT_KEY_FILE.stat().st_mode) == 0o600
    assert run("audit_key", "show") == first
    old = keys.load(places.AUDIT_KEY_FILE)

    both = run("audit_key", "rotate")
    committed()

    assert both.startswith(first)
    assert len(both.splitlines()) == 2
    assert keys.load(places.AUDIT_KEY_FILE).seed != old.seed
    kinds = Entry.objects.order_by("chain", "seq").values_list("kind", flat=True)
    assert list(kinds) == ["checkpoint key created", "checkpoint key rotated"]
    assert str(old) not in "".join(Entry.objects.values_list("body", flat=True))


@pytest.fixture
def without_database():
    """Refuses every statement, as a database that is away does."""

    def refuse(*_):
        raise OperationalError("the server is away")

    return lambda: connection.execute_wrapper(refuse)


@pytest.mark.django_db
def test_no_key_is_made_or_rotated_that_the_trail_does_not_tell_of(places, without_database):
    with without_database(), pytest.raises(OperationalError):
        run("audit_key", "create")
    assert not places.AUDIT_KEY_FILE.exists()

    run("audit_key", "create")
    key, public = places.AUDIT_KEY_FILE.read_text(), places.AUDIT_PUBLIC_KEYS.read_text()
    with without_database(), pytest.raises(OperationalError):
        run("audit_key", "rotate")

    assert (places.AUDIT_KEY_FILE.read_text(), places.AUDIT_PUBLIC_KEYS.read_text()) == (key, public)


@pytest.mark.django_db
def test_checkpoints_of_before_a_rotation_are_verified_afterwards(places, committed):
    run("checkpoint", create_key=True)
    committed()
    run("checkpoint")
    before = keys.load(places.AUDIT_KEY_FILE).verifier
    run("audit_key", "rotate")
    committed()

    assert "1 checkpoints fit: intact" in run("verify_audit", public_keys=places.AUDIT_PUBLIC_KEYS)
    run("checkpoint")  # continues what the old key signed
    assert "2 checkpoints fit: intact" in run("verify_audit", public_keys=places.AUDIT_PUBLIC_KEYS)
    assert CheckpointRun.objects.get().problem == ""
    places.AUDIT_PUBLIC_KEYS.write_text(f"{before}\n")
    assert "1 checkpoints fit: intact" in run("verify_audit", public_keys=places.AUDIT_PUBLIC_KEYS)


@pytest.mark.django_db
def test_a_key_is_never_overwritten(places):
    run("audit_key", "create")

    with pytest.raises(CommandError, match="exists"):
        run("audit_key", "create")


@pytest.mark.django_db
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_key_that_others_may_read_is_refused(places, mode):
    run("audit_key", "create")
    places.AUDIT_KEY_FILE.chmod(mode)

    with pytest.raises(CommandError, match="others may read or write"):
        run("checkpoint")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("case", "text", "words"),
    [
        ("no file", None, "there is no key"),
        ("something else", "hello", "no private key"),
        ("empty", "", "no private key"),
    ],
)
def test_what_is_no_key_is_refused(places, case, text, words):
    if text is not None:
        places.AUDIT_KEY_FILE.parent.mkdir()
        places.AUDIT_KEY_FILE.write_text(text)
        places.AUDIT_KEY_FILE.chmod(0o600)

    with pytest.raises(CommandError, match=words):
        run("checkpoint")


@pytest.mark.parametrize(("text", "words"), [(None, "no public keys"), ("hello\n", "this is no key")])
def test_a_list_of_public_keys_that_is_none(tmp_path, text, words):
    if text is not None:
        (tmp_path / "keys").write_text(text)

    with pytest.raises(keys.KeyRefused, match=words):
        keys.published(tmp_path / "keys")


# --- Places --------------------------------------------------------------------------------------------------------


def test_a_file_grows(tmp_path):
    sink = sinks.parse(f"file:{tmp_path / 'new' / 'checkpoints'}")
    sink.keep([signed(1), signed(2)])
    sink.keep([signed(3)])

    found = read_notes(tmp_path / "new" / "checkpoints", [SIGNER.verifier])
    assert found == [signed(1), signed(2), signed(3)]


def test_a_directory_has_a_file_per_note(tmp_path):
    sinks.parse(f"directory:{tmp_path}").keep([signed(1), signed(20)])

    names = ["000000000001-2024-01-15T143025.123456Z", "000000000020-2024-01-15T143025.123456Z"]
    assert sorted(path.name for path in (tmp_path / "account:DU1").iterdir()) == names
    assert (tmp_path / "account:DU1" / names[0]).read_text() == signed(1).note


@pytest.mark.parametrize("kind", ["file", "directory", "git"])
def test_what_was_kept_is_read_back(work_tree, kind):
    path = {"file": work_tree.parent / "checkpoints", "directory": work_tree.parent / "kept", "git": work_tree}[kind]
    sink = sinks.parse(f"{kind}:{path}")
    before = sink.read()
    sink.keep([signed(1), signed(2)])
    sink.keep([signed(3)])

    assert before == []
    assert sink.read() == sinks.at(path).read() == [signed(size).note for size in (1, 2, 3)]


def test_what_was_posted_is_not_read_back():
    assert sinks.parse("https://checkpoints.example.org/").read() == []


def git(directory, *words):
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(["git", "-C", directory, *words], capture_output=True, text=True, check=True, env=environment)
    return done.stdout


@pytest.fixture
def work_tree(tmp_path):
    """A work tree whose branch has an upstream."""
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", tmp_path / "upstream"], check=True)
    subprocess.run(["git", "init", "-q", "-b", "main", tmp_path / "tree"], check=True)
    tree = tmp_path / "tree"
    for name, value in {"user.name": "notary", "user.email": "notary@example.org"}.items():
        git(tree, "config", name, value)
    git(tree, "remote", "add", "origin", str(tmp_path / "upstream"))
    git(tree, "commit", "-q", "--allow-empty", "-m", "Begin")
    git(tree, "push", "-q", "-u", "origin", "main")
    return tree


def test_a_work_tree_has_a_commit_per_round_and_is_pushed(work_tree):
    sink = sinks.parse(f"git:{work_tree}")
    sink.keep([signed(1)])
    sink.keep([signed(2, time="2024-01-15T14:31:25.123456Z")])

    log = git(work_tree.parent / "upstream", "log", "--format=%s", "main").splitlines()
    assert log == [
        "Checkpoints of 2024-01-15T14:31:25.123456Z",
        "Checkpoints of 2024-01-15T14:30:25.123456Z",
        "Begin",
    ]
    assert len(read_notes(work_tree / "checkpoints.txt", [SIGNER.verifier])) == 2


@pytest.fixture
def endpoint():
    """An HTTP server that keeps what is posted to it, and answers with `status`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            posted.append((self.headers["Content-Type"], self.rfile.read(int(self.headers["Content-Length"])).decode()))
            self.send_response(server.status)
            self.end_headers()

        def log_message(self, *_):
            pass

    posted = []
    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.posted, server.status = posted, 204
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_endpoint_is_posted_to(endpoint):
    sinks.parse(f"http://127.0.0.1:{endpoint.server_port}/checkpoints").keep([signed(1), signed(2)])

    assert endpoint.posted == [("text/plain; charset=utf-8", f"{signed(1).note}\n{signed(2).note}\n")]


def test_what_could_not_be_kept_is_said(tmp_path, endpoint):
    (tmp_path / "taken").touch()
    endpoint.status = 500
    for place in (
        f"file:{tmp_path / 'taken' / 'file'}",
        f"directory:{tmp_path / 'taken'}",
        f"git:{tmp_path}",
        f"http://127.0.0.1:{endpoint.server_port}/",
        "http://127.0.0.1:9/",
    ):
        with pytest.raises(sinks.SinkFailed):
            sinks.parse(place).keep([signed()])


@pytest.mark.parametrize("text", ["", "file:", "directory:", "git:", "s3:bucket", "/tmp/file"])
def test_what_names_no_place_is_refused(text):
    with pytest.raises(ValueError, match="no place for checkpoints"):
        sinks.parse(text)


# --- Rounds --------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_round_signs_what_the_chains_are(places, committed):
    record_site("login", "user:alice", {})
    committed()

    run("checkpoint", create_key=True)
    committed()
    run("checkpoint")

    verifiers = keys.published(places.AUDIT_PUBLIC_KEYS)
    notes = read_notes(places.AUDIT_KEY_FILE.parents[1] / "kept" / "checkpoints", verifiers)
    assert [each.checkpoint.size for each in notes] == [1, 2]  # the making of the key is an entry too
    assert [each.checkpoint.head for each in notes] == list(
        Entry.objects.order_by("seq").values_list("hash", flat=True)
    )
    run_row = CheckpointRun.objects.get()
    assert (run_row.chains, run_row.entries, run_row.problem) == (1, 2, "")


@pytest.mark.django_db
def test_a_sink_that_fails_does_not_keep_the_others_from_theirs(tmp_path, committed, caplog):
    record_site("login", "user:alice", {})
    committed()
    (tmp_path / "taken").touch()
    kept_in = [sinks.FileSink(tmp_path / "taken" / "x"), sinks.FileSink(tmp_path / "good")]

    Notary(SIGNER, [SIGNER.verifier], kept_in, memory=tmp_path / "last").sign()

    assert len(read_notes(tmp_path / "good", [SIGNER.verifier])) == 1
    assert "not kept" in caplog.text
    assert "not kept" in CheckpointRun.objects.get().problem


@pytest.mark.django_db
def test_only_what_is_new_is_read(tmp_path, committed, django_assert_num_queries):
    notary = Notary(SIGNER, [SIGNER.verifier], [], memory=tmp_path / "last")
    for _ in range(5):
        record_site("login", "user:alice", {})
    committed()
    notary.sign()
    walker = notary._standing["site"].walker

    record_site("login", "user:alice", {})
    committed()
    notary.sign()

    assert (walker.seq, notary._standing["site"].walker) == (6, walker)


@pytest.mark.django_db
def test_a_restore_that_was_accepted_stands_in_the_trail(places, committed):
    run("checkpoint", create_key=True)
    committed()
    run("checkpoint", accept_restore=True)
    committed()

    assert list(Entry.objects.order_by("seq").values_list("kind", flat=True)) == [
        "checkpoint key created",
        "restore accepted",
    ]


@pytest.mark.django_db
@pytest.mark.parametrize(("option", "words"), [({"every": 0}, "above 0"), ({"every": -1}, "above 0")])
def test_times_that_are_none(places, option, words):
    with pytest.raises(CommandError, match=words):
        run("checkpoint", create_key=True, **option)


@pytest.mark.django_db(transaction=True)
def test_the_process_signs_again_and_again_and_when_it_is_stopped(tmp_path):
    record_site("login", "user:alice", {})
    name = connection.settings_dict["NAME"]
    environment = {
        **os.environ,
        "DATABASE_URL": os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{name}",
        "AUDIT_DIR": str(tmp_path),
        "AUDIT_SINKS": f"file:{tmp_path / 'checkpoints'}",
    }
    command = [sys.executable, site.BASE_DIR / "manage.py", "checkpoint", "--every", "0.2", "--create-key"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    kept = tmp_path / "checkpoints"
    while time.monotonic() < deadline and (not kept.exists() or kept.read_text().count("head ") < 3):
        time.sleep(0.1)
    record_site("login", "user:bob", {})
    size = Entry.objects.count()
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)

    notes = read_notes(kept, keys.published(tmp_path / "public_keys"))
    assert process.returncode == 0, errors
    assert len(notes) >= 4
    assert notes[-1].checkpoint.size == size
