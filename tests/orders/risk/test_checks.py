"""Each limit alone, around its edge; all of them together; and what a decision keeps."""

import dataclasses
import json
from datetime import UTC, datetime
from decimal import Decimal as D

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.limits.values import DEFAULTS, LIMITS, LIVE, PAPER, Limits
from orders.intake import Leg
from orders.risk import checks
from orders.risk.values import Exposure, Ticket
from orders.vocabulary import OrderType, Role, Side

AT = datetime(2026, 1, 15, 14, 30, tzinfo=UTC)
PRICED = {"price": D(100), "priced_at": AT}


def leg(side="BUY", order_type="LIMIT", price=100, role=Role.SINGLE):
    limit = D(price) if order_type == "LIMIT" else None
    stop = D(price) if order_type == "STOP" else None
    return Leg(role=role, side=Side(side), order_type=OrderType(order_type), limit_price=limit, stop_price=stop)


def bracket(side="BUY"):
    away = "SELL" if side == "BUY" else "BUY"
    return [
        leg(side, role=Role.ENTRY),
        leg(away, "STOP", price=50, role=Role.STOP_LOSS),
        leg(away, price=200, role=Role.TAKE_PROFIT),
    ]


def ticket(*legs, quantity=10, symbol="AAPL"):
    return Ticket(account="DU1000001", symbol=symbol, quantity=D(quantity), legs=legs or [leg()])


def broken(limits, given=None, **exposure):
    """The limits that are broken, by name; without them, that nothing speaks against it."""
    values = {name: D(v) if isinstance(v, (int, str)) and name in DECIMALS else v for name, v in limits.items()}
    decision = checks.decide(given or ticket(), Limits(version=1, **values), Exposure(**exposure))
    assert bool(decision.reason) is bool(decision.breaches)
    return [breach.limit for breach in decision.breaches]


DECIMALS = {limit.name for limit in LIMITS if limit.kind == "decimal"}
SELL, MARKET, STOP = ticket(leg("SELL")), ticket(leg(order_type="MARKET")), ticket(leg("SELL", "STOP", 90))

EDGES = [
    # limit and its value, what is asked for, what is at stake, whether it is refused
    ({"order_quantity": 10}, None, {}, False),
    ({"order_quantity": "9.9999"}, None, {}, True),
    ({"order_quantity": 0}, ticket(quantity="0.0001"), {}, True),
    ({"order_value": 1000}, None, PRICED, False),
    ({"order_value": "999.99"}, None, PRICED, True),
    ({"order_value": 1000}, None, {"price": D(500)}, False),  # a buy limit never pays more than its own price
    ({"order_value": 1000}, SELL, {"price": D(101)}, True),  # a sell limit may be given more
    ({"order_value": 1000}, SELL, {}, False),
    ({"order_value": 1000}, MARKET, PRICED, False),
    ({"order_value": 999}, MARKET, PRICED, True),
    ({"order_value": 999}, MARKET, {}, False),
    ({"order_value": 999, "refuse_unknown": True}, MARKET, {}, True),
    ({"order_value": 1000}, STOP, {"price": D(100)}, False),
    ({"order_value": 999}, STOP, {"price": D(100)}, True),
    ({"price_collar": 5}, ticket(leg(price=105)), PRICED, False),
    ({"price_collar": 5}, ticket(leg(price="105.01")), PRICED, True),
    ({"price_collar": 5}, ticket(leg(price=95)), PRICED, False),
    ({"price_collar": 5}, ticket(leg(price="94.99")), PRICED, True),
    ({"price_collar": 5}, STOP, PRICED, True),
    ({"price_collar": 5}, MARKET, {}, False),
    ({"price_collar": 5}, None, {}, False),
    ({"price_collar": 5, "refuse_unknown": True}, None, {}, True),
    ({"price_collar": 5, "refuse_unknown": True}, MARKET, {}, False),
    ({"price_collar": 5}, ticket(*bracket()), PRICED, False),  # the exits stand far away on purpose
    ({"position": 10}, None, {}, False),
    ({"position": 10}, None, {"held": D(1)}, True),
    ({"position": 10}, None, {"executed": D(1)}, True),  # our record is ahead of the broker's list
    ({"position": 10}, None, {"leaves": {"BUY": D(1)}}, True),
    ({"position": 10}, None, {"held": D(5), "leaves": {"SELL": D(5)}}, True),  # they need not sell
    ({"position": 10}, None, {"held": D(-5), "executed": D(-5), "leaves": {"SELL": D(100)}}, False),
    ({"position": 10}, SELL, {}, False),
    ({"position": 10}, SELL, {"held": D(-1)}, True),
    ({"position": 10}, SELL, {"leaves": {"SELL": D(1)}}, True),
    ({"position": 10}, SELL, {"held": D(500), "executed": D(500)}, False),  # however much is held, this is less
    ({"position": 10}, ticket(*bracket()), {}, False),
    ({"position": 10}, ticket(*bracket("SELL")), {}, False),
    ({"position": 10}, ticket(*bracket("SELL")), {"leaves": {"SELL": D(1)}}, True),
    ({"short_selling": False}, None, {}, False),
    ({"short_selling": False}, SELL, {}, True),
    ({"short_selling": False}, SELL, {"held": D(10), "executed": D(10)}, False),
    ({"short_selling": False}, SELL, {"held": D(10), "executed": D(9)}, True),
    ({"short_selling": False}, SELL, {"held": D(20), "executed": D(20), "leaves": {"SELL": D(11)}}, True),
    ({"short_selling": False}, ticket(*bracket()), {}, False),  # the entry buys what the exits sell
    ({"short_selling": False}, ticket(*bracket("SELL")), {}, True),
    ({"daily_loss": 1000}, None, {"day_result": D(-999)}, False),
    ({"daily_loss": 1000}, None, {"day_result": D(-1000)}, True),
    ({"daily_loss": 1000}, None, {"day_result": D(5000)}, False),
    ({"daily_loss": 0}, None, {"day_result": D(0)}, False),
    ({"daily_loss": 0}, None, {"day_result": D("-0.01")}, True),
    ({"daily_loss": 1000}, None, {}, False),
    ({"daily_loss": 1000, "refuse_unknown": True}, None, {}, True),
    ({"daily_loss": 1000}, SELL, {"day_result": D(-5000), "held": D(10), "executed": D(10)}, False),
    ({"daily_loss": 1000}, SELL, {"day_result": D(-5000), "held": D(9), "executed": D(9)}, True),
    ({"working_orders": 3}, None, {"working_in_account": 2}, False),
    ({"working_orders": 3}, None, {"working_in_account": 3}, True),
    ({"working_orders": 3}, ticket(*bracket()), {"working_in_account": 0}, False),
    ({"working_orders": 3}, ticket(*bracket()), {"working_in_account": 1}, True),
    ({"orders_per_second": 3}, None, {"sent": {"second": 2}}, False),
    ({"orders_per_second": 3}, None, {"sent": {"second": 3}}, True),
    ({"orders_per_minute": 3}, ticket(*bracket()), {"sent": {"minute": 1}}, True),
    ({"orders_per_minute": 3}, None, {"sent": {"second": 9, "minute": 2}}, False),
    ({"orders_per_day": 3}, None, {"sent": {"day": 3}}, True),
    ({"duplicate_seconds": 5}, None, {}, False),
    ({"duplicate_seconds": 5}, None, {"repeats": 7}, True),
    ({"allowed_symbols": ("AAPL", "MSFT")}, None, {}, False),
    ({"allowed_symbols": ("MSFT",)}, None, {}, True),
    ({"refused_symbols": ("MSFT",)}, None, {}, False),
    ({"refused_symbols": ("AAPL",)}, None, {}, True),
    ({"allowed_types": ("LIMIT",)}, None, {}, False),
    ({"allowed_types": ("LIMIT",)}, MARKET, {}, True),
    ({"allowed_types": ("LIMIT",)}, ticket(*bracket()), {}, True),  # its stop-loss is a stop order
    ({"allowed_types": ("LIMIT", "STOP")}, ticket(*bracket()), {}, False),
]


@pytest.mark.parametrize(("limits", "asked", "at_stake", "refused"), EDGES)
def test_each_limit_at_its_edge(limits, asked, at_stake, refused):
    assert broken(limits, asked, **at_stake) == ([next(iter(limits))] if refused else [])


def test_no_limit_is_without_a_test():
    assert {name for limits, *_ in EDGES for name in limits} == {limit.name for limit in LIMITS}


@pytest.mark.parametrize(
    ("case", "legs", "working", "refused"),
    [
        ("the first", [leg()], {}, False),
        ("the twentieth", [leg()], {"BUY": 19}, False),
        ("one too many", [leg()], {"BUY": 20}, True),
        ("the other side is full", [leg()], {"SELL": 20}, False),
        ("a bracket needs two on one side", bracket(), {"SELL": 19}, True),
        ("and gets them", bracket(), {"SELL": 18, "BUY": 19}, False),
    ],
)
def test_what_ib_takes_per_side(case, legs, working, refused):
    assert broken({}, ticket(*legs), working=working) == (["ib_working_orders"] if refused else [])


def test_a_breach_of_ibs_own_limit_says_what_to_do():
    decision = checks.decide(ticket(), PAPER, Exposure(working={"BUY": 20}))

    assert decision.reason == (
        "20 BUY orders of AAPL are working already, and IB allows 20 per contract, side and account: cancel some first"
    )


def test_everything_is_said_at_once():
    limits = Limits(
        account="DU1000001", version=3, order_quantity=D(5), price_collar=D(5), allowed_symbols=("MSFT",), position=D(8)
    )

    decision = checks.decide(ticket(leg(price=230)), limits, Exposure(**PRICED, held=D(2), executed=D(2)))

    assert decision.reason == (
        "AAPL is none of the symbols that are allowed; a quantity of 10 is above the limit of 5; "
        "a price of 230 is 130 % away from the last one, 100; 5 % is allowed; "
        "AAPL could come to 12 long; 8 is allowed "
        "(limits of DU1000001, version 3: manage.py limits set, or Limits in the admin)"
    )


def test_a_decision_is_kept_as_json():
    at_stake = Exposure(
        **PRICED, working={"BUY": 2}, leaves={"BUY": D("7.50")}, held=D(3), executed=D(4), sent={"second": 1}
    )

    passed = checks.decide(ticket(), PAPER, at_stake).payload()
    refused = checks.decide(ticket(), Limits(version=2, order_quantity=D(5), daily_loss=D(1)), at_stake).payload()

    assert json.loads(json.dumps(passed)) == {
        "of": "",
        "version": 0,
        "inputs": {
            "working": {"BUY": 2},
            "leaves": {"BUY": "7.5"},
            "held": "3",
            "executed": "4",
            "price": "100",
            "priced_at": "2026-01-15T14:30:00+00:00",
            "sent": {"second": 1},
        },
    }
    assert (refused["version"], refused["inputs"]["day_result"]) == (2, "unknown")
    assert refused["breaches"] == [{"limit": "order_quantity", "allowed": "5", "found": "10"}]


def test_what_is_not_known_is_said():
    assert checks.decide(ticket(), PAPER, Exposure()).payload()["inputs"]["price"] == "unknown"


def test_paper_money_is_free_and_real_money_is_not_until_somebody_says_so():
    assert DEFAULTS == {"paper": PAPER, "live": LIVE}
    assert checks.decide(ticket(quantity=10**9), PAPER, Exposure()).breaches == []

    refused = checks.decide(ticket(quantity="0.0001"), LIVE, Exposure(**PRICED))

    assert [breach.limit for breach in refused.breaches] == ["unset"]
    assert "nobody has set any for DU1000001" in refused.reason
    assert "manage.py limits set" in refused.reason


def test_zeros_that_a_person_set_let_nothing_pass_either():
    typed = dataclasses.replace(LIVE, version=1)

    found = {breach.limit for breach in checks.decide(ticket(), typed, Exposure(**PRICED)).breaches}

    assert {"order_quantity", "order_value", "position"} <= found


amounts = st.decimals(min_value=0, max_value=10**6, places=2)
counts = st.integers(0, 50)
limits = st.builds(
    Limits,
    version=st.just(1),
    **{name: st.none() | amounts for name in sorted(DECIMALS)},
    **{limit.name: st.none() | counts for limit in LIMITS if limit.kind == "count"},
    allowed_symbols=st.none() | st.just(("AAPL",)) | st.just(("MSFT",)),
    refused_symbols=st.none() | st.just(("AAPL",)),
    allowed_types=st.none() | st.just(("LIMIT",)),
    short_selling=st.booleans(),
    refuse_unknown=st.booleans(),
)
exposures = st.builds(
    Exposure,
    working=st.dictionaries(st.sampled_from(["BUY", "SELL"]), st.integers(0, 25)),
    leaves=st.dictionaries(st.sampled_from(["BUY", "SELL"]), amounts),
    held=st.decimals(min_value=-(10**6), max_value=10**6, places=2),
    executed=st.decimals(min_value=-(10**6), max_value=10**6, places=2),
    price=st.none() | st.decimals(min_value="0.01", max_value=10**5, places=2),
    working_in_account=st.none() | counts,
    sent=st.dictionaries(st.sampled_from(["second", "minute", "day"]), counts),
    repeats=st.none() | st.just(5),
    day_result=st.none() | st.decimals(min_value=-(10**6), max_value=10**6, places=2),
)
tickets = st.builds(
    ticket,
    st.builds(
        leg,
        st.sampled_from(["BUY", "SELL"]),
        st.sampled_from(["LIMIT", "STOP", "MARKET"]),
        st.decimals(min_value="0.01", max_value=10**5, places=2),
    ),
    quantity=st.decimals(min_value="0.01", max_value=10**5, places=2),
)


slow_machine = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@slow_machine
@given(asked=tickets, limits=limits, at_stake=exposures)
def test_what_one_limit_forbids_no_other_lets_through(asked, limits, at_stake):
    free = Limits(version=1)
    alone = [
        dataclasses.replace(free, refuse_unknown=limits.refuse_unknown, **{name: getattr(limits, name)})
        for name in (limit.name for limit in LIMITS)
        if name != "refuse_unknown"
    ]

    forbidden = {b.limit for one in alone for b in checks.decide(asked, one, at_stake).breaches}

    assert {b.limit for b in checks.decide(asked, limits, at_stake).breaches} == forbidden


@slow_machine
@given(asked=tickets, limits=limits, at_stake=exposures)
def test_what_passes_keeps_every_limit(asked, limits, at_stake):
    """Said another way than the checks say it."""
    if checks.decide(asked, limits, at_stake).breaches:
        return
    buys = asked.opening.side == "BUY"
    held = (at_stake.held, at_stake.executed)
    room = at_stake.leaves.get(asked.opening.side, D(0)) + asked.quantity
    after = [h + room if buys else h - room for h in held]

    assert limits.order_quantity is None or asked.quantity <= limits.order_quantity
    if limits.position is not None:
        assert all((h <= limits.position) if buys else (-h <= limits.position) for h in after)
    if not limits.short_selling and not buys:
        assert min(after) >= 0
    if limits.price_collar is not None and asked.price is not None and at_stake.price is not None:
        low, high = (at_stake.price * (1 + way * limits.price_collar / 100) for way in (-1, 1))
        assert low <= asked.price <= high
    for span in ("second", "minute", "day"):
        most = getattr(limits, f"orders_per_{span}")
        assert most is None or at_stake.sent.get(span, 0) < most
