"""Where a request comes from: the address of the connection, or what a proxy of ours says of it. Pure.

A header is believed only as far as known proxies wrote it: anybody can send `X-Forwarded-For`.
"""

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
SUBSCRIBER_BITS = 64  # of IPv6: what one subscriber is given, and can choose its addresses from


def network(text: str) -> Network:
    """An address or a range like 10.0.0.0/8. Raises: ValueError, saying what is wrong."""
    return ipaddress.ip_network(text.strip())


def client_address(meta: Mapping[str, Any], *, proxies: Iterable[Network]) -> str:
    """The nearest address that is no proxy of ours; empty where the connection has none (a socket in a file)."""
    proxies = list(proxies)
    found = parse(meta.get("REMOTE_ADDR", ""))
    for hop in reversed(meta.get("HTTP_X_FORWARDED_FOR", "").split(",")):
        if found is None or not any(found in each for each in proxies):
            break
        said = parse(hop)
        if said is None:
            break  # written by somebody else: the proxy is the last thing we know
        found = said
    return str(found or "")


def is_within(address: str, networks: Iterable[str]) -> bool:
    found = parse(address)
    return found is not None and any(found in network(each) for each in networks)


def is_loopback(address: str) -> bool:
    found = parse(address)
    return found is not None and found.is_loopback


def is_private(address: str) -> bool:
    """Of this machine or a network that the internet does not route to."""
    found = parse(address)
    return found is not None and (found.is_private or found.is_link_local)


def subscriber(address: str) -> str:
    """What is counted as one: an address, of IPv6 the range that one subscriber is given."""
    found = parse(address)
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((found, SUBSCRIBER_BITS), strict=False))
    return str(found or "")


def parse(text: str) -> Address | None:
    """None for what is no address; an IPv4 address that came as an IPv6 one is an IPv4 address."""
    try:
        found = ipaddress.ip_address(text.strip())
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
