"""Rows of the record as the review pages show them: labels, links and what belongs to a row.

Each function that takes a query set costs the same number of queries whatever it finds.
"""

import json
import re
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.display import NOTHING, amount, badge
from orders.models import Commission, Execution, Order, OrderRequest, later_words
from orders.vocabulary import OrderType

# Unicode's invisible marks of direction.
TURNS_THE_LINE = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def status_badge(order: Order) -> SafeString:
    return badge(order.status, order.get_status_display())


def prices(order: Order) -> str:
    """The prices of an order by what they are; a limit alone needs no name."""
    named = [
        f"{amount(price)}{name}"
        for price, name in ((order.stop_price, " stop"), (order.limit_price, ""))
        if price is not None
    ]
    if order.order_type == OrderType.STOP_LIMIT:
        named[-1] += " limit"
    return ", ".join(named) or NOTHING


def pretty(body: str) -> str:
    """JSON laid out; anything else as it came. What would turn the rest of its line is spelled out."""
    try:
        return laid_out(json.loads(body))
    except ValueError:
        return _spelled_out(body)


def laid_out(value: Any) -> str:
    """A JSON value over several lines."""
    return _spelled_out(json.dumps(value, indent=2, ensure_ascii=False))


def _spelled_out(text: str) -> str:
    return TURNS_THE_LINE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def order_link(order: Order) -> SafeString:
    return format_html('<a href="{}">{}</a>', reverse("admin:orders_order_change", args=[order.pk]), order)


def order_number(order: Order) -> SafeString:
    return format_html('<a href="{}">#{}</a>', reverse("admin:orders_order_change", args=[order.pk]), order.pk)


def request_link(request: OrderRequest) -> SafeString:
    return format_html('<a href="{}">{}</a>', reverse("admin:orders_orderrequest_change", args=[request.pk]), request)


def answer_badge(status_code: int) -> SafeString:
    return badge(f"http-{status_code // 100}", str(status_code))


def with_standing(rows: QuerySet[Execution]) -> QuerySet[Any]:
    """Executions with what they cost, and whether a later one took their place."""
    charges = Commission.objects.filter(exec_id=OuterRef("exec_id")).order_by("-pk")
    return rows.annotate(
        is_replaced=Exists(later_words()),
        charged=Subquery(charges.values("amount")[:1]),
        charged_in=Subquery(charges.values("currency")[:1]),
    )


def standing(row: Any) -> SafeString:
    """Whether an execution `with_standing` counts."""
    if row.is_replaced:
        return badge("replaced")
    return badge("effective" if row.quantity else "busted")


def executions(rows: QuerySet[Execution]) -> list[dict[str, Any]]:
    return [
        {
            "row": row,
            "standing": standing(row),
            "commission": f"{amount(row.charged)} {row.charged_in}" if row.charged is not None else NOTHING,
        }
        for row in with_standing(rows)
    ]


def requests(rows: QuerySet[OrderRequest]) -> list[dict[str, Any]]:
    return [
        {
            "row": row,
            "link": request_link(row),
            "body": pretty(row.body),
            "answers": [
                (answer, answer_badge(answer.status_code), laid_out(answer.body))
                for answer in sorted(row.answers.all(), key=lambda answer: answer.pk)
            ],
        }
        for row in rows.prefetch_related("answers")
    ]


def asked_and_answered(order: Order, shown: list[dict[str, Any]]) -> dict[str, datetime]:
    """When the order was asked for, and when its client was first told what became of it; as far as that happened.

    `shown`: what `requests` made of those about the order."""
    placing = [each for each in shown if each["row"].pk == order.request_id]
    answers = [answer.answered_at for each in placing for answer, *_ in each["answers"]]
    times = {"asked": [each["row"].received_at for each in placing], "answered": answers}
    return {name: found[0] for name, found in times.items() if found}


def legs(orders: QuerySet[Order], *, seen_from: Order | None = None) -> list[dict[str, Any]]:
    """`seen_from`: the order on whose page they stand."""
    return [
        {
            "order": order,
            "here": order == seen_from,
            "link": order_link(order),
            "status": status_badge(order),
            "prices": prices(order),
        }
        for order in orders
    ]
