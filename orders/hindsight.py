"""An order's page in the admin as of an instant, ?as_of=…: what was known of it then, and what came later.

The times of the form are UTC and say so. Nothing here changes anything.
"""

from typing import Any

from django.db.models import Model
from django.http import HttpRequest, HttpResponse

from accounts.review import ReviewAdmin
from database import clock
from orders import instants, knowledge, presentation, timeline
from orders.errors import OrderError
from orders.models import Order

IN_FUTURE = "That lies in the future: what will be known is not known."


class ShowsThePast(ReviewAdmin):
    """What the page of an order has besides what is known now."""

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], obj: Model | None = None, **kwargs: Any
    ) -> HttpResponse:
        asked = request.GET.get("as_of", "").strip()
        if isinstance(obj, Order) and asked:
            context["then"] = _then(obj, asked)
        return super().render_change_form(request, context, obj=obj, **kwargs)


def _then(order: Order, asked: str) -> dict[str, Any]:
    """What the page is given: what was known, or a problem in words."""
    try:
        instant = instants.parse(asked, without_offset=True)
        if instant > clock.database_now():
            return {"problem": IN_FUTURE}
        known = knowledge.at(order, instant)
    except (ValueError, OrderError) as problem:
        return {"problem": str(problem)}
    return {
        "instant": instant,
        "field": instant.replace(tzinfo=None).isoformat(timespec="milliseconds"),
        "known": known,
        "status": presentation.status_badge(known.order),
        "prices": presentation.prices(known.order),
        "later": list(zip(known.later, timeline.entries(event.row for event in known.later), strict=True)),
    }
