"""The door of the API: how often one may knock, who one is, and from where.

Rules
1. Nothing but the `Authorization` header lets a client in: no cookie, so that a login in the admin is none here, and
   no part of the address, which is logged.
2. How often an address may ask is looked at first, before the database: a flood of wrong keys costs little.
3. What is wrong with a key is told to nobody but who has its secret.
"""

import math
import time

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException, AuthenticationFailed, PermissionDenied
from rest_framework.request import Request

from accounts.access import callers, credentials, networks, register, tally
from accounts.access.buckets import Buckets
from accounts.access.callers import Caller
from accounts.access.register import Found
from accounts.access.tally import Reason, Refusal

KEYS, LOOPBACK = "keys", "loopback"  # the values of API_AUTH

by_address, by_key = Buckets(), Buckets()


class TooManyRequests(APIException):
    status_code = 429
    default_code = "throttled"

    def __init__(self, whose: str, *, wait: float) -> None:
        self.wait = max(1, math.ceil(wait))
        super().__init__(f"Too many requests {whose}: try again in {self.wait} s. Nothing was done.")


class Door(BaseAuthentication):
    """Gives the request its `auth`, a Caller; nothing where keys are asked for and none came."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, Caller] | None:
        tally.write_due()
        address = networks.client_address(request.META, proxies=settings.TRUSTED_PROXIES)
        subscriber = networks.subscriber(address)
        wait = _wait(by_address, subscriber, per_second=settings.THROTTLE_PER_ADDRESS)
        if wait:
            tally.refusals.add(Refusal(Reason.RATE, "", subscriber))
            raise TooManyRequests("from this address", wait=wait)
        if settings.API_AUTH == LOOPBACK:
            return AnonymousUser(), _neighbour(address)
        given = _bearer(request)
        return None if given is None else (AnonymousUser(), _holder(given, address))

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'


def _neighbour(address: str) -> Caller:
    """Without keys only this machine is served, or a network that was said to be trusted, whatever we listen on."""
    near = networks.is_private if settings.TRUST_NETWORK else networks.is_loopback
    if not near(address):
        tally.refusals.add(Refusal(Reason.OUTSIDE, "", networks.subscriber(address)))
        raise PermissionDenied("Without API keys only this machine is served: set API_AUTH=keys to serve others.")
    return callers.local(address)


def _bearer(request: Request) -> str | None:
    kind, _, given = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    return given.strip() if kind.lower() == "bearer" else None


def _holder(given: str, address: str) -> Caller:
    credential = credentials.parse(given)
    found = register.find(credential.key_id) if credential else None
    if credential is None or found is None or not found.knows(credential):
        reason = Reason.WRONG_SECRET if found else Reason.UNKNOWN
        tally.refusals.add(Refusal(reason, credential.key_id if credential else "", address))
        raise AuthenticationFailed("This API key is not known: send it as Authorization: Bearer ibk_….")
    _require_valid(found, address)
    key = found.key.pk
    wait = _wait(by_key, key, per_second=settings.THROTTLE_PER_KEY)
    if wait:
        tally.refusals.add(Refusal(Reason.RATE, key, address))
        raise TooManyRequests("with this API key", wait=wait)
    tally.uses.add(tally.Use(key, address))
    return Caller(actor=f"key:{key}", address=address, grants=found.grants)


def _require_valid(found: Found, address: str) -> None:
    key = found.key
    if key.revoked_at is not None:
        tally.refusals.add(Refusal(Reason.REVOKED, key.pk, address))
        raise AuthenticationFailed("This API key was revoked: ask for a new one.")
    if key.expires_at is not None and key.expires_at <= found.now:
        tally.refusals.add(Refusal(Reason.EXPIRED, key.pk, address))
        raise AuthenticationFailed("This API key has expired: ask for a new one.")
    if key.networks and not networks.is_within(address, key.networks):
        tally.refusals.add(Refusal(Reason.NETWORK, key.pk, address))
        raise PermissionDenied(f"This API key may not be used from {address or 'here'}.")


def _wait(buckets: Buckets, name: str, *, per_second: float) -> float:
    """Seconds to wait; 0 for none. Of the rate, each web process gives out its part."""
    if not per_second:
        return 0
    rate = per_second / settings.WEB_WORKERS
    burst = max(1.0, rate * settings.THROTTLE_BURST_SECONDS)
    return buckets.take(name, rate=rate, burst=burst, now=time.monotonic())
