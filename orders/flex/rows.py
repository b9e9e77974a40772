"""Which elements of a Flex file are read, and what each says. Pure.

Executions only: rows that add executions up (orders, symbols, lots) say nothing new and are counted in nowhere. The
names of attributes are those of IB's Flex reference; a trade confirmation calls some of them differently.
"""

from collections.abc import Callable
from datetime import date

from orders.flex.statement import Cash, Holding, Trade
from orders.flex.values import Attributes
from orders.vocabulary import Side

IDS = 80  # characters; IB's execution ids have about 25

# What each side is called: IB writes (Ca.) behind it where a trade is taken back.
_SIDES = {"BUY": (Side.BUY, False), "SELL": (Side.SELL, False)}
_SIDES |= {f"{word} (CA.)": (side, True) for word, (side, _) in list(_SIDES.items())}
_ORDINARY = {"Trade": "EXECUTION", "TradeConfirm": "EXECUTION", "CashTransaction": "DETAIL", "OpenPosition": "SUMMARY"}


def trade(found: Attributes, *, account: str) -> Trade:
    """One Trade of an activity statement, or one TradeConfirm."""
    side, cancels = _side(found)
    time_text, day = _when(found)
    quantity = found.number("quantity")
    exec_id = found.present("ibExecID", "execID", longest=IDS)
    trade_id, transaction_id = found.maybe_text("tradeID", longest=IDS), found.maybe_text("transactionID", longest=IDS)
    if not (exec_id or trade_id or transaction_id):
        found.refuse("has no ibExecID, tradeID or transactionID: nothing tells it from another one")
    if exec_id and not quantity:
        found.refuse("quantity is 0")
    # A row that takes a trade back carries the opposite sign in some files and the trade's own in others.
    if not cancels and (quantity < 0) != (side is Side.SELL) and quantity:
        found.refuse(f"buySell={side.value} and quantity={quantity} contradict each other")
    commission = found.maybe_number("ibCommission", "commission")
    currency = found.text("currency", longest=10)
    return Trade(
        line=found.line,
        raw=_raw(found),
        account=account,
        exec_id=exec_id,
        trade_id=trade_id,
        transaction_id=transaction_id,
        cancelled_id=_cancelled(found),
        cancels=cancels,
        broker_order_id=found.maybe_identifier("ibOrderID", "orderID"),
        order_ref=found.maybe_text("orderReference"),
        symbol=found.text("symbol", longest=40),
        underlying=found.maybe_text("underlyingSymbol", longest=40),
        con_id=found.identifier("conid"),
        security_type=found.text("assetCategory", longest=10),
        currency=currency,
        side=side.value,
        quantity=abs(quantity),
        price=found.number("tradePrice", "price"),
        commission=-commission if commission else commission,
        commission_currency=_commission_currency(found) or currency,
        trade_date=day,
        time_text=time_text,
        executed_at=found.moment(time_text, name="dateTime"),
        exchange=found.maybe_text("exchange", longest=20),
        notes=found.maybe_text("notes") or found.maybe_text("code"),
    )


def cash(found: Attributes, *, account: str) -> Cash:
    """One CashTransaction."""
    time_text = found.text("dateTime", "reportDate")
    return Cash(
        line=found.line,
        raw=_raw(found),
        account=account,
        transaction_id=found.text("transactionID", longest=IDS),
        type=found.text("type", longest=80),
        currency=found.text("currency", longest=10),
        amount=found.number("amount"),
        report_date=found.day("reportDate", "dateTime"),
        time_text=time_text,
        symbol=found.maybe_text("symbol", longest=40),
        con_id=found.maybe_identifier("conid"),
        description=found.maybe_text("description", longest=1000),
    )


def holding(found: Attributes, *, account: str, period_to: date) -> Holding:
    """One OpenPosition; without a date of its own it is of the statement's last day."""
    return Holding(
        line=found.line,
        raw=_raw(found),
        account=account,
        report_date=found.day("reportDate") if found.maybe_text("reportDate") else period_to,
        con_id=found.identifier("conid"),
        model=found.maybe_text("model", longest=80),
        symbol=found.text("symbol", longest=40),
        security_type=found.text("assetCategory", longest=10),
        currency=found.text("currency", longest=10),
        quantity=found.number("position"),
        mark_price=found.maybe_number("markPrice"),
        cost_price=found.maybe_number("costBasisPrice"),
    )


Reader = Callable[[Attributes, str, date], Trade | Cash | Holding]
# By section, the element that is a row of it.
SECTIONS: dict[str, tuple[str, Reader]] = {
    "Trades": ("Trade", lambda found, account, _: trade(found, account=account)),
    "TradeConfirms": ("TradeConfirm", lambda found, account, _: trade(found, account=account)),
    "CashTransactions": ("CashTransaction", lambda found, account, _: cash(found, account=account)),
    "OpenPositions": ("OpenPosition", lambda found, account, day: holding(found, account=account, period_to=day)),
}
# What is missing in a section that has rows, but none of those that count.
ADVICE = {
    "Trades": "has no executions: tick Execution among the section's options",
    "TradeConfirms": "has no executions: tick Execution among the section's options",
    "CashTransactions": "has no single transactions: tick Detail among the section's options",
    "OpenPositions": "has only lots: tick Summary among the section's options",
}


def counts(element: str, values: dict[str, str]) -> bool:
    """Whether an element is a row that says something of its own, and not a sum of others or a part of one."""
    level = values.get("levelOfDetail", "").strip().upper()
    return level in ("", _ORDINARY[element]) and values.get("currency") != "BASE_SUMMARY"


def _side(found: Attributes) -> tuple[Side, bool]:
    word = found.text("buySell")
    if word.upper() not in _SIDES:
        found.refuse(f"buySell={word!r} is neither BUY nor SELL")
    side, cancels = _SIDES[word.upper()]
    codes = (found.maybe_text("notes") or found.maybe_text("code")).replace(",", ";").split(";")
    return side, cancels or "Ca" in codes or found.maybe_text("transactionType") == "TradeCancel"


def _when(found: Attributes) -> tuple[str, date]:
    """The text of the time, and the broker's trading day: the night session belongs to the next one."""
    text = found.maybe_text("dateTime")
    if not text:
        clock = found.maybe_text("tradeTime")
        text = f"{found.text('tradeDate')};{clock}" if clock else found.text("dateTime")
    return text, found.day("tradeDate")


def _cancelled(found: Attributes) -> str:
    named = (found.maybe_text(name, longest=IDS) for name in ("origTransactionID", "origTradeID"))
    return next((text for text in named if text not in ("", "0")), "")


def _commission_currency(found: Attributes) -> str:
    return found.maybe_text("ibCommissionCurrency", longest=10) or found.maybe_text("commissionCurrency", longest=10)


def _raw(found: Attributes) -> dict[str, str]:
    return {name: text for name, text in found.values.items() if text}
