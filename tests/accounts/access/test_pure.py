"""What needs no database: the text of keys, addresses, buckets."""

import hashlib
import ipaddress

import pytest

from accounts.access import credentials, networks
from accounts.access.buckets import Buckets

PROXIES = [ipaddress.ip_network("10.0.0.0/8")]


def test_a_key_comes_back_as_it_was_made():
    made = credentials.new()

    assert credentials.parse(made.text) == made
    assert made.text.startswith(f"ibk_{made.key_id}_")
    assert len({credentials.new().secret for _ in range(100)}) == 100


def test_a_secret_is_256_bits_and_hidden_in_whatever_shows_the_object():
    made = credentials.new()

    assert credentials.SECRET_BYTES * 8 == 256
    assert made.secret not in repr(made)
    assert made.digest == hashlib.sha256(made.secret.encode()).hexdigest()
    assert made.matches(made.digest)
    assert not made.matches("")
    assert not made.matches(credentials.new().digest)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: text[:-1],
        lambda text: text + "a",
        lambda text: text.upper(),
        lambda text: text.replace("ibk_", "sk_"),
        lambda text: text + "\n",
        lambda text: text.replace("_", "-"),
        lambda text: text[:-1] + "ä",
        lambda text: "ibk__" + text,
    ],
)
def test_what_is_no_key(spoil):
    assert credentials.parse(spoil(credentials.new().text)) is None


@pytest.mark.parametrize(
    ("peer", "said", "address"),
    [
        ("203.0.113.9", "", "203.0.113.9"),
        ("203.0.113.9", "198.51.100.7", "203.0.113.9"),  # a stranger's word about itself
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "1.2.3.4, 198.51.100.7", "198.51.100.7"),  # the client wrote the first one
        ("10.0.0.1", "1.2.3.4, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
        ("10.0.0.1", "10.9.9.9", "10.9.9.9"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("::ffff:10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("", "198.51.100.7", ""),
        ("unix:", "", ""),
    ],
)
def test_the_address_of_a_client(peer, said, address):
    meta = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": said}

    assert networks.client_address(meta, proxies=PROXIES) == address


@pytest.mark.parametrize(
    ("address", "loopback", "private"),
    [
        ("127.0.0.1", True, True),
        ("::1", True, True),
        ("::ffff:127.0.0.1", True, True),
        ("172.18.0.1", False, True),
        ("fe80::1", False, True),
        ("8.8.8.8", False, False),
        ("2a00:1450::1", False, False),
        ("", False, False),
    ],
)
def test_near_and_far(address, loopback, private):
    assert (networks.is_loopback(address), networks.is_private(address)) == (loopback, private)


def test_who_can_choose_an_address_is_counted_once():
    assert networks.subscriber("2001:db8:1:2::3") == networks.subscriber("2001:db8:1:2:ffff::9") == "2001:db8:1:2::/64"
    assert networks.subscriber("203.0.113.9") == "203.0.113.9"


def test_a_bucket_gives_its_burst_and_then_its_rate():
    buckets = Buckets()
    given = [buckets.take("a", rate=10, burst=5, now=100.0) for _ in range(6)]

    assert given == [0, 0, 0, 0, 0, pytest.approx(0.1)]
    assert buckets.take("a", rate=10, burst=5, now=100.05) > 0
    assert buckets.take("a", rate=10, burst=5, now=100.11) == 0
    assert buckets.take("b", rate=10, burst=5, now=100.11) == 0
    assert [buckets.take("a", rate=10, burst=5, now=900.0) for _ in range(6)][-1] > 0


def test_buckets_are_bounded():
    buckets = Buckets(most=100)
    for number in range(1000):
        buckets.take(str(number), rate=1, burst=1, now=1.0)

    assert len(buckets) == 100
    assert buckets.take("999", rate=1, burst=1, now=1.0) > 0
