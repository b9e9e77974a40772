"""A caller may do what the view is for, in some account at least. In which one is for what the view calls."""

from typing import TYPE_CHECKING

from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from accounts.access import tally
from accounts.access.callers import Caller
from accounts.access.models import Scope
from accounts.access.tally import Reason, Refusal

if TYPE_CHECKING:  # REST framework loads this module while it loads that one
    from rest_framework.views import APIView


class Granted(BasePermission):
    """Asks for the scope that a view names as `scope`; where it names none, READ for what only reads, else TRADE."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        caller = request.auth
        if not isinstance(caller, Caller):
            raise NotAuthenticated("An API key is needed: send it as Authorization: Bearer ibk_….")
        otherwise = Scope.READ if request.method in SAFE_METHODS else Scope.TRADE
        scope: Scope = getattr(view, "scope", otherwise)
        if caller.accounts(scope) == frozenset():
            self.message = f"This API key does not have the scope {scope}: use one that has."
            tally.refusals.add(Refusal(Reason.SCOPE, caller.actor.removeprefix("key:"), caller.address))
            return False
        return True
