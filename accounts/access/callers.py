"""Who asks, what the caller may do, and the account that a request is about."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import Q
from rest_framework.request import Request

from accounts.access.models import ALL, Scope
from accounts.freshness import NoAccount, chosen_account, served_accounts
from accounts.models import GatewaySession

LOCAL_ACTOR = "api"  # a client on this machine, where no key is asked for
EVERYTHING: Mapping[str, frozenset[str]] = {scope: frozenset({ALL}) for scope in Scope.values}


class NotGranted(Exception):
    """The caller may not do this; the text says what would be needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who was let in. `actor` as the record names it ("api", "key:<id>"); `grants`: accounts by scope."""

    actor: str
    address: str
    grants: Mapping[str, frozenset[str]]

    def accounts(self, scope: Scope) -> frozenset[str] | None:
        """Those in which the caller may do that; None for every one."""
        granted = self.grants.get(scope, frozenset())
        return None if ALL in granted else granted

    def within(self, scope: Scope, column: str) -> Q:
        """The condition that a row's account, in that column, is one in which the caller may do that."""
        granted = self.accounts(scope)
        return Q() if granted is None else Q(**{f"{column}__in": sorted(granted)})


def local(address: str) -> Caller:
    return Caller(actor=LOCAL_ACTOR, address=address, grants=EVERYTHING)


def caller_of(request: Request) -> Caller:
    """Who was let in with this request; views are reached by nobody else."""
    assert isinstance(request.auth, Caller)
    return request.auth


def account_for(caller: Caller, scope: Scope, *, session: GatewaySession | None, configured: str) -> str:
    """The account that a request is about which names none: the configured one if the caller may do that in it, else
    the only one of the caller's that the session serves. Raises: NotGranted, NoAccount, NoAccountYet."""
    granted = caller.accounts(scope)
    if granted is None or configured in granted:
        return chosen_account(session, configured=configured)
    served = served_accounts(session)
    usable = sorted(granted & served)
    if len(usable) == 1:
        return usable[0]
    if usable:
        raise NotGranted(
            f"This API key may {scope} in several accounts ({', '.join(usable)}), of which IB_ACCOUNT names none: "
            "use a key that is for one of them."
        )
    if not granted:
        raise NotGranted(f"This API key may not {scope} in any account: use a key with the scope {scope}.")
    raise NoAccount(f"This API key is for {', '.join(sorted(granted))}, which this gateway does not serve")
