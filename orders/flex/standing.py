"""Which trades of the statements count: by the broker's last word, and not taken back.

Some at a time, by lists of ids: however the planner thinks of a table that has just grown, that is a few passes.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

from django.db.models import Max, Q, QuerySet

from orders.flex.models import FlexTrade

AT_A_TIME = 1000


def batches(trades: QuerySet[FlexTrade]) -> Iterator[list[FlexTrade]]:
    """Those of one account's trades that count, in the order of the query set."""
    rows = trades.filter(cancels=False).exclude(exec_id="").iterator(chunk_size=AT_A_TIME)
    while batch := list(islice(rows, AT_A_TIME)):
        yield standing(batch)


def standing(trades: list[FlexTrade]) -> list[FlexTrade]:
    """Those of some executions of one account that count."""
    of_account = FlexTrade.objects.filter(account__in={trade.account for trade in trades})
    named = of_account.filter(exec_id__in={trade.exec_id for trade in trades}, cancels=False)
    last = set(named.values("exec_id").annotate(last=Max("pk")).values_list("last", flat=True))
    ids = {name for trade in trades for name in (trade.transaction_id, trade.trade_id) if name}
    by_id = Q(cancelled_id__in=ids)
    by_name = Q(cancelled_id="", exec_id__in={trade.exec_id for trade in trades})
    cancels = list(of_account.filter(by_id | by_name, cancels=True).values_list("cancelled_id", "exec_id"))
    cancelled_ids = {cancelled_id for cancelled_id, _ in cancels if cancelled_id}
    cancelled_names = {exec_id for cancelled_id, exec_id in cancels if not cancelled_id}
    return [
        trade
        for trade in trades
        if trade.pk in last
        and trade.exec_id not in cancelled_names
        and not cancelled_ids.intersection((trade.transaction_id, trade.trade_id))
    ]


def families(account: str, among: Iterable[str]) -> set[str]:
    """Of some families of execution ids, those of which a trade counts."""
    told = FlexTrade.objects.filter(account=account, family__in=set(among), cancels=False).exclude(exec_id="")
    return {trade.family for trade in standing(list(told.defer("raw")))}
