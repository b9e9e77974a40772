"""The keys there are: made, looked up, rotated, revoked. The only writer; each change is in the site's chain."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.postgres.expressions import ArraySubquery
from django.db import transaction
from django.db.models import OuterRef, Value
from django.db.models.functions import Concat, Now

from accounts.access import credentials, networks
from accounts.access.credentials import Credential
from accounts.access.models import ALL, ApiKey, ApiKeyGrant, Scope
from audit.record import record_site
from database import clock

LONGEST_OVERLAP = timedelta(days=7)
NAME = re.compile(r"[^\x00-\x1f\x7f]{1,80}")
ACCOUNT = re.compile(r"\*|[A-Za-z0-9]{1,20}")


class InvalidKeyTerms(Exception):
    """What was asked of a key makes no sense; `field` says which part: name, grants, networks, expires_at, overlap."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.field = field


class NoSuchKey(Exception):
    """No key has this id, or none that can still be changed."""


@dataclass(frozen=True, slots=True)
class Found:
    """A key with what it is granted, as of the database's time `now`."""

    key: ApiKey
    grants: Mapping[str, frozenset[str]]
    now: datetime

    def knows(self, credential: Credential) -> bool:
        """Whether the secret is the key's, or was and is still good for a while."""
        row = self.key
        before = row.old_until is not None and self.now < row.old_until
        # Both are compared, whatever the first one says: the time taken tells nothing.
        return credential.matches(row.digest) | (credential.matches(row.old_digest) and before)


def find(key_id: str) -> Found | None:
    """The key as it stands now, in one query."""
    granted = ApiKeyGrant.objects.filter(key=OuterRef("pk")).values(pair=Concat("scope", Value(" "), "account"))
    row = ApiKey.objects.filter(pk=key_id).annotate(pairs=ArraySubquery(granted), read_at=Now()).first()
    if row is None:
        return None
    grants: dict[str, frozenset[str]] = {}
    for pair in row.pairs:
        scope, _, account = pair.partition(" ")
        grants[scope] = grants.get(scope, frozenset()) | {account}
    return Found(row, grants, row.read_at)


def create(
    *,
    name: str,
    grants: Mapping[Scope, Iterable[str]],
    networks_allowed: Sequence[str] = (),
    expires_at: datetime | None = None,
    actor: str,
) -> tuple[ApiKey, Credential]:
    """Make a key; the credential is the only thing that has its secret. Raises: InvalidKeyTerms."""
    now = clock.database_now()
    rows = sorted((scope.value, account) for scope, accounts in grants.items() for account in set(accounts))
    allowed = _checked(name, rows, networks_allowed)
    if expires_at is not None and expires_at <= now:
        raise InvalidKeyTerms("expires_at", f"That moment is over: it is {now:%Y-%m-%d %H:%M:%S} UTC.")
    credential = credentials.new()
    with transaction.atomic():
        key = ApiKey.objects.create(
            id=credential.key_id,
            name=name,
            digest=credential.digest,
            networks=allowed,
            created_at=now,
            created_by=actor,
            expires_at=expires_at,
        )
        ApiKeyGrant.objects.bulk_create(ApiKeyGrant(key=key, scope=scope, account=account) for scope, account in rows)
        granted = [f"{scope} {account}" for scope, account in rows]
        expiry = expires_at.isoformat() if expires_at else ""
        facts = {"key": key.pk, "name": name, "grants": granted, "networks": allowed, "expires_at": expiry}
        record_site("api key created", actor, facts)
    return key, credential


def rotate(key_id: str, *, overlap: timedelta, actor: str) -> tuple[ApiKey, Credential]:
    """Give a key a new secret; the one before is good for `overlap` longer, one older than that no more.

    Raises: InvalidKeyTerms, NoSuchKey.
    """
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise InvalidKeyTerms("overlap", f"The old secret may be good for 0 s to {LONGEST_OVERLAP.days} days more.")
    credential = credentials.new(key_id)
    with transaction.atomic():
        key = _locked(key_id)
        now = clock.database_now()
        key.old_digest, key.old_until = (key.digest, now + overlap) if overlap else ("", None)
        key.digest, key.rotated_at = credential.digest, now
        key.save(update_fields=["digest", "old_digest", "old_until", "rotated_at"])
        record_site("api key rotated", actor, {"key": key.pk, "overlap_seconds": int(overlap.total_seconds())})
    return key, credential


def revoke(key_id: str, *, actor: str) -> ApiKey:
    """End a key for good, its old secret with it. Raises: NoSuchKey."""
    with transaction.atomic():
        key = _locked(key_id)
        key.revoked_at = clock.database_now()
        key.save(update_fields=["revoked_at"])
        record_site("api key revoked", actor, {"key": key.pk, "name": key.name})
    return key


def _locked(key_id: str) -> ApiKey:
    key = ApiKey.objects.select_for_update().filter(pk=key_id).first()
    if key is None:
        raise NoSuchKey(f"There is no key {key_id}.")
    if key.revoked_at is not None:
        raise NoSuchKey(f"Key {key_id} was revoked at {key.revoked_at:%Y-%m-%d %H:%M:%S} UTC. Nothing was changed.")
    return key


def _checked(name: str, rows: Sequence[tuple[str, str]], ranges: Sequence[str]) -> list[str]:
    """The networks, as they are stored. Raises: InvalidKeyTerms."""
    if not NAME.fullmatch(name) or not name.strip():
        raise InvalidKeyTerms("name", "A key needs a name of 1 to 80 characters.")
    if not rows:
        raise InvalidKeyTerms("grants", "A key that may do nothing is of no use: grant read, trade or cancel.")
    for _, account in rows:
        if not ACCOUNT.fullmatch(account):
            raise InvalidKeyTerms(
                "grants", f"{ascii(account)} is no account: use one like DU1000001, or {ALL} for all."
            )
    try:
        return [str(networks.network(each)) for each in ranges]
    except ValueError as problem:
        raise InvalidKeyTerms("networks", f"{problem}: use an address or a range like 10.0.0.0/8.") from problem
