"""GET /account and GET /positions: the broker's figures, or none."""

from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts import figures, headers, schema
from accounts.access.callers import account_for, caller_of
from accounts.access.models import Scope
from accounts.freshness import require_fresh
from accounts.models import GatewaySession
from accounts.serializers import AccountOutput, PositionsOutput


class AccountViewSet(GenericViewSet[Any]):
    serializer_class = AccountOutput

    @schema.ACCOUNT
    def list(self, request: Request) -> Response:
        session = require_fresh(settings.GATEWAY_NAME)
        account = account_asked_about(request, session)
        funds = figures.funds(account)
        return Response(self.get_serializer(funds).data, headers=headers.as_of(funds.as_of))


class PositionViewSet(GenericViewSet[Any]):
    serializer_class = PositionsOutput

    @schema.POSITIONS
    def list(self, request: Request) -> Response:
        session = require_fresh(settings.GATEWAY_NAME)
        account = account_asked_about(request, session)
        positions = {"positions": figures.holdings(account)}
        return Response(self.get_serializer(positions).data, headers=headers.as_of(figures.kept_in_step_until(session)))


def account_asked_about(request: Request, session: GatewaySession) -> str:
    """Raises: NotGranted, NoAccount, NoAccountYet."""
    return account_for(caller_of(request), Scope.READ, session=session, configured=settings.IB_ACCOUNT)
