import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import psycopg
import pytest
import redis

from ibkr_site import embedded
from ibkr_site.supervisor import Supervisor, tethered

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to give itself up")


@pytest.fixture
def reachable():
    """A directory that every account can pass through: pytest's own are their owner's alone."""
    directory = Path(tempfile.mkdtemp(prefix="ibkr-embedded-"))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def servers():
    running = Supervisor(lambda _name, _line: None)
    yield running
    running.stop()


def test_the_database_keeps_its_data_and_its_address_over_a_restart(reachable, servers):
    program, url = embedded.postgres(reachable)
    servers.start(program)
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    servers.stop()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url, connect_timeout=1)

    again = Supervisor(lambda _name, _line: None)
    program, url_again = embedded.postgres(reachable)
    again.start(program)
    try:
        assert url_again == url == (reachable / "database_url").read_text().strip()
        with psycopg.connect(url_again) as connection:
            assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
            facts = connection.execute(
                "SELECT current_setting('listen_addresses'), current_setting('unix_socket_directories'),"
                " current_setting('fsync'), pg_encoding_to_char(encoding), datlocale"
                " FROM pg_database WHERE datname = current_database()"
            ).fetchone()
        assert facts == ("127.0.0.1", "", "on", "UTF8", "C.UTF-8")
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(url.replace(url.split(":")[2].split("@")[0], "wrong"))
    finally:
        again.stop()


def test_the_note_of_a_dead_server_does_not_keep_the_next_from_starting(reachable, servers):
    program, url = embedded.postgres(reachable, durable=False)
    cluster = reachable / "postgres" / "data"
    (cluster / "postmaster.pid").write_text(f"{os.getpid()}\n{cluster}\n")  # its id belongs to somebody else now

    servers.start(program)

    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_server_left_over_on_the_same_files_is_stopped_first(reachable, servers):
    program, url = embedded.postgres(reachable, durable=False)
    servers.start(program)
    left_over = servers.children.pop()

    servers.start(program)

    assert left_over.exit_code == 0
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_fixed_port_is_used(reachable, servers):
    port = embedded.free_port()
    program, url = embedded.postgres(reachable, port=port, durable=False)
    servers.start(program)

    assert f"@127.0.0.1:{port}/" in url
    psycopg.connect(url).close()


def test_another_port_is_found_when_that_of_last_time_is_taken(tmp_path):
    _, url = embedded.valkey(tmp_path)
    port = int(url.rsplit(":", 1)[1].split("/")[0])
    _, same = embedded.valkey(tmp_path)
    assert same == url

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        assert not embedded.port_is_free("127.0.0.1", port)
        _, other = embedded.valkey(tmp_path)

    assert other != url


def test_redis_keeps_its_data_and_wants_a_password(tmp_path, servers):
    program, url = embedded.valkey(tmp_path)
    servers.start(program)
    with redis.Redis.from_url(url) as client:
        client.set("kept", "42")
    servers.stop()

    again = Supervisor(lambda _name, _line: None)
    again.start(program)
    try:
        with redis.Redis.from_url(url) as client:
            assert client.get("kept") == b"42"
        with redis.Redis.from_url(f"redis://{url.split('@')[1]}") as stranger:
            with pytest.raises(redis.AuthenticationError):
                stranger.ping()
    finally:
        again.stop()


def test_secrets_are_readable_by_their_owner_only(tmp_path):
    embedded.valkey(tmp_path)

    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {"valkey_password", "redis_url"}
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in tmp_path.iterdir() if path.is_file())


@as_root
def test_below_a_directory_of_roots_alone_the_files_are_kept_elsewhere(reachable, servers, tmp_path):
    reachable.chmod(0o755)
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    data = hidden / "data"
    data.mkdir()

    program, url = embedded.postgres(data, durable=False, shared=reachable / "shared")
    servers.start(program)

    psycopg.connect(url).close()
    assert hidden.stat().st_mode & 0o777 == 0o700
    assert (data / "postgres").resolve().is_relative_to(reachable / "shared" / "clusters")
    assert program.user == "nobody"


@as_root
def test_binaries_below_a_directory_of_roots_alone_are_copied(reachable, monkeypatch):
    monkeypatch.setattr(embedded, "_open_to_all", lambda _path: False)
    reachable.chmod(0o755)

    binaries = embedded._postgres_binaries("nobody", reachable / "shared")

    assert binaries.is_relative_to(reachable / "shared")
    answer = subprocess.run(
        [*tethered(user="nobody"), binaries / "postgres", "--version"], capture_output=True, text=True
    )
    assert answer.stdout.startswith("postgres (PostgreSQL) 18"), answer.stderr
    assert embedded._postgres_binaries("nobody", reachable / "shared") == binaries
