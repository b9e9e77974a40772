"""An order in doubt on its page in the admin: what is known of it, and the two decisions, for those who may take them.

The only forms of the review pages that change anything. What makes a decision valid is `resolution`'s to say.
"""

import copy
from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from unfold.widgets import UnfoldAdminTextInputWidget, UnfoldBooleanWidget

from accounts.review import ReviewAdmin
from orders import resolution, stamps, timeline
from orders.errors import InvalidDecision, NotInDoubt
from orders.models import Order
from orders.vocabulary import EventKind, OrderStatus

PERMISSION = "orders.resolve_in_doubt"


class DecisionForm(forms.Form):
    """`consequences` stand above the fields, in words."""

    title: ClassVar[str]
    consequences: ClassVar[str]
    reason = forms.CharField(
        label="Reason",
        help_text="Where you looked and what you saw. It is recorded with your name and cannot be changed.",
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
    )
    confirmed = forms.BooleanField(widget=UnfoldBooleanWidget, error_messages={"required": "Confirm this first."})

    def resolve(self, order_pk: int, *, actor: str, request_id: str) -> Order:
        """Take the decision. Raises: InvalidDecision, NotInDoubt."""
        raise NotImplementedError


class PlacedForm(DecisionForm):
    title = "It was placed"
    consequences = (
        "It counts as working at the broker from now on, under the permId you give. Clients that repeat the request "
        "are told that it was placed. What the broker reports under that permId or with the stamp is recorded on it."
    )
    perm_id = forms.IntegerField(
        label="permId",
        help_text="The broker's permanent id of the order that carries the stamp.",
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "inputmode": "numeric"}),
    )
    field_order = ("perm_id", "reason", "confirmed")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["confirmed"].label = "I saw it at the broker, with this stamp"

    def resolve(self, order_pk: int, *, actor: str, request_id: str) -> Order:
        given = self.cleaned_data
        return resolution.resolve_placed(
            order_pk, perm_id=given["perm_id"], reason=given["reason"], actor=actor, request_id=request_id
        )


class NotPlacedForm(DecisionForm):
    title = "It was not placed"
    consequences = (
        "It is closed. Clients that repeat the request are told that nothing was placed, and your reason; they may "
        "send the order again. If the broker has it after all, there are two orders then."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["confirmed"].label = "I looked through the broker's orders, trades and statement: it is in none"

    def resolve(self, order_pk: int, *, actor: str, request_id: str) -> Order:
        return resolution.resolve_not_placed(
            order_pk, reason=self.cleaned_data["reason"], actor=actor, request_id=request_id
        )


DECISIONS: dict[str, type[DecisionForm]] = {"placed": PlacedForm, "not-placed": NotPlacedForm}


class DecidesDoubts(ReviewAdmin):
    """What the page of an order has besides the record while the order is in doubt."""

    def get_urls(self) -> list[URLPattern]:
        decide = self.admin_site.admin_view(self.decide)
        return [path("<int:pk>/decide/<str:decision>/", decide, name="orders_order_decide"), *super().get_urls()]

    def decide(self, request: HttpRequest, pk: int, decision: str) -> HttpResponse:
        """One of the two forms, sent. What is wrong with it is shown on the page it came from."""
        order = self.get_object(request, str(pk))
        if not self.has_view_permission(request, order) or not request.user.has_perm(PERMISSION):
            raise PermissionDenied
        if order is None or decision not in DECISIONS:
            raise Http404
        if request.method != "POST":
            return redirect("admin:orders_order_change", pk)
        form = DECISIONS[decision](request.POST, auto_id=f"{decision}-%s")
        if form.is_valid():
            actor, request_id = f"user:{request.user.get_username()}", request.headers["X-Request-Id"]
            try:
                order = form.resolve(pk, actor=actor, request_id=request_id)
            except InvalidDecision as problem:
                form.add_error(problem.field, str(problem))
            except NotInDoubt as problem:
                messages.warning(request, str(problem))
            else:
                messages.success(request, f"Recorded: {form.title}. The order is {order.get_status_display()} now.")
            if form.is_valid():
                return redirect("admin:orders_order_change", pk)
        page = copy.copy(request)  # the order's page, which is only looked at, with what was typed
        page.method = "GET"
        return self.change_view(page, str(pk), extra_context={"sent_form": {decision: form}})

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], obj: Model | None = None, **kwargs: Any
    ) -> HttpResponse:
        if isinstance(obj, Order) and obj.status == OrderStatus.IN_DOUBT:
            context["doubt"] = _doubt(obj)
            if request.user.has_perm(PERMISSION):
                context["decisions"] = _forms(context.get("sent_form", {}))
        return super().render_change_form(request, context, obj=obj, **kwargs)


def _doubt(order: Order) -> dict[str, Any]:
    """What was sent, and what was heard and concluded since."""
    sent = order.events.get(kind=EventKind.SENT)
    return {
        "sent": sent,
        "reference": stamps.stamped(order.order_ref, order.stamp or ""),
        "since": timeline.entries(order.events.filter(sequence__gt=sent.sequence).order_by("sequence")),
    }


def _forms(sent: dict[str, DecisionForm]) -> list[tuple[str, DecisionForm]]:
    """Both forms by their names, the one that was sent as it was."""
    return [(name, sent.get(name) or form(auto_id=f"{name}-%s")) for name, form in DECISIONS.items()]
