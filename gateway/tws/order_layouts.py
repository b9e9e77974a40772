"""How an order lies on the wire in placeOrder (3), openOrder (5) and completedOrder (101): three orders of fields.

Rules: items in wire order, one line per run of fields that the other tables do not share. Gateways spell out what is
unset, clients leave it empty, so the same value has one encoding in the request and another in the responses.
"""

from typing import Final

from gateway.tws import contract_layouts as contracts
from gateway.tws.fields import (
    ABSENT_WORD,
    ABSENT_WORD_AS_NONE,
    CONDITION_KIND,
    FLAG,
    ID,
    INFINITE,
    INT,
    LONG,
    NUMBER,
    OFFSET,
    OPTIONAL_INT,
    OPTIONAL_INT_AS_MAX,
    OPTIONAL_INT_AS_ZERO,
    OPTIONAL_NUMBER,
    OPTIONAL_NUMBER_AS_MAX,
    OPTIONAL_NUMBER_AS_ZERO,
    PRICE_AS_ZERO,
    RIGHT_AS_MARK,
    TEXT,
    Encoding,
    read_optional_number,
)
from gateway.tws.layout import Constant, Field, Group, Item, Layout, Repeated, within
from gateway.tws.order import Condition, OrderComboLeg, TagValue

_TAG_VALUE: Layout = (Field("tag", TEXT), Field("value", TEXT))


def _fields(encoding: Encoding, *names: str) -> Layout:
    return tuple(Field(name, encoding) for name in names)


def _order(*items: Item | Layout) -> Layout:
    flat = (part for item in items for part in (item if isinstance(item, tuple) else (item,)))
    return within("order", *flat)


def _is_positive(text: str) -> bool:
    return (read_optional_number(text) or 0) > 0


def _one_of(*words: str) -> frozenset[str]:
    return frozenset(words)


# What an order says of itself

_FA: Layout = (
    *_fields(TEXT, "fa_group", "fa_method", "fa_percentage"),
    Field("fa_profile", TEXT, before=177),
    Field("model_code", TEXT),
)
_SHORT_SALE = (
    Field("short_sale_slot", INT),
    Field("designated_location", TEXT),
    Field("exempt_code", INT),
)
_STOCK_RANGE = _fields(
    OPTIONAL_NUMBER, "starting_price", "stock_ref_price", "delta", "stock_range_lower", "stock_range_upper"
)
_DELTA_NEUTRAL_SHORT_SALE: Layout = (
    Field("delta_neutral_short_sale", FLAG),
    Field("delta_neutral_short_sale_slot", INT),
    Field("delta_neutral_designated_location", TEXT),
)
_SCALE_STEPS = Group(
    "scale_price_increment",
    _is_positive,
    (
        Field("scale_price_adjust_value", OPTIONAL_NUMBER),
        Field("scale_price_adjust_interval", OPTIONAL_INT),
        Field("scale_profit_offset", OPTIONAL_NUMBER),
        Field("scale_auto_reset", FLAG),
        Field("scale_init_position", OPTIONAL_INT),
        Field("scale_init_fill_qty", OPTIONAL_INT),
        Field("scale_random_percent", FLAG),
    ),
)
_HEDGE: Layout = (Field("hedge_type", TEXT), Group("hedge_type", bool, _fields(TEXT, "hedge_param")))
_ALGO: Layout = (
    Field("algo_strategy", TEXT),
    Group("algo_strategy", bool, (Repeated("algo_params", TagValue, _TAG_VALUE),)),
)
_RANDOMIZE = _fields(FLAG, "randomize_size", "randomize_price")
_PEG_BENCH = Group(
    "order_type",
    _one_of("PEG BENCH", "PEGBENCH").__contains__,
    (
        Field("reference_contract_id", INT),
        Field("is_pegged_change_amount_decrease", FLAG),
        Field("pegged_change_amount", OPTIONAL_NUMBER),
        Field("reference_change_amount", OPTIONAL_NUMBER),
        Field("reference_exchange_id", TEXT),
    ),
)
_CONDITION: Layout = (
    Field("kind", CONDITION_KIND),
    Field("conjunction", TEXT),
    Group("kind", _one_of("1", "3", "4", "6", "7").__contains__, _fields(FLAG, "is_more")),
    Group("kind", "1".__eq__, _fields(OPTIONAL_NUMBER, "price")),
    Group("kind", "3".__eq__, _fields(TEXT, "time")),
    Group("kind", "4".__eq__, _fields(INT, "percent")),
    Group("kind", "5".__eq__, _fields(TEXT, "sec_type", "exchange", "symbol")),
    Group("kind", "6".__eq__, _fields(INT, "volume")),
    Group("kind", "7".__eq__, _fields(OPTIONAL_NUMBER, "change_percent")),
    Group("kind", _one_of("1", "6", "7").__contains__, (Field("con_id", INT), Field("exchange", TEXT))),
    Group("kind", "1".__eq__, _fields(INT, "trigger_method")),
)
_CONDITIONS: Layout = (
    Repeated("conditions", Condition, _CONDITION),
    Group("conditions", _is_positive, _fields(FLAG, "conditions_ignore_rth", "conditions_cancel_order")),
)
_COMBO_LEGS = Repeated("combo_legs", OrderComboLeg, _fields(OPTIONAL_NUMBER, "price"))
_SMART_ROUTING = Repeated("smart_combo_routing_params", TagValue, _TAG_VALUE)
_PRICE_MANAGEMENT = _fields(
    FLAG,
    "dont_use_auto_price_for_hedge",
    "is_oms_container",
    "discretionary_up_to_limit_price",
    "use_price_mgmt_algo",
)
_LATER: Layout = (
    Field("duration", OPTIONAL_INT, since=158),
    Field("post_to_ats", OPTIONAL_INT, since=160),
    Field("auto_cancel_parent", FLAG, since=162),
)
_MID_OFFSETS = _fields(OPTIONAL_NUMBER, "mid_offset_at_whole", "mid_offset_at_half")
_PEGGED: Layout = (
    Field("min_trade_qty", OPTIONAL_INT, since=170),
    Field("min_compete_size", OPTIONAL_INT, since=170),
    Field("compete_against_best_offset", OFFSET, since=170),
    Field("mid_offset_at_whole", OPTIONAL_NUMBER, since=170),
    Field("mid_offset_at_half", OPTIONAL_NUMBER, since=170),
)

# placeOrder (3)

PLACE_ORDER: Final[Layout] = (
    Field("order_id", ID),
    *within("contract", *contracts.REQUESTED, *_fields(TEXT, "sec_id_type", "sec_id")),
    *_order(
        Field("action", TEXT),
        Field("total_quantity", NUMBER),
        Field("order_type", TEXT),
        _fields(OPTIONAL_NUMBER, "lmt_price", "aux_price"),
        _fields(TEXT, "tif", "oca_group", "account", "open_close"),
        Field("origin", INT),
        Field("order_ref", TEXT),
        Field("transmit", FLAG),
        Field("parent_id", INT),
        _fields(FLAG, "block_order", "sweep_to_fill"),
        Field("display_size", OPTIONAL_INT),
        Field("trigger_method", INT),
        _fields(FLAG, "outside_rth", "hidden"),
    ),
    Group(
        "contract.sec_type",
        "BAG".__eq__,
        (*within("contract", contracts.ORDERED_LEGS), *_order(_COMBO_LEGS, _SMART_ROUTING)),
    ),
    *_order(
        Constant(""),  # once sharesAllocation
        Field("discretionary_amt", NUMBER),
        _fields(TEXT, "good_after_time", "good_till_date"),
        _FA,
        _SHORT_SALE,
        Field("oca_type", INT),
        _fields(TEXT, "rule80a", "settling_firm"),
        Field("all_or_none", FLAG),
        Field("min_qty", OPTIONAL_INT),
        Field("percent_offset", OPTIONAL_NUMBER),
        _fields(FLAG, "e_trade_only", "firm_quote_only"),
        Field("nbbo_price_cap", OPTIONAL_NUMBER),
        Field("auction_strategy", INT),
        _STOCK_RANGE,
        Field("override_percentage_constraints", FLAG),
        Field("volatility", OPTIONAL_NUMBER),
        Field("volatility_type", OPTIONAL_INT),
        Field("delta_neutral_order_type", ABSENT_WORD),
        Field("delta_neutral_aux_price", OPTIONAL_NUMBER),
        Group(
            "delta_neutral_order_type",
            bool,
            (
                Field("delta_neutral_con_id", INT),
                *_fields(
                    TEXT,
                    "delta_neutral_settling_firm",
                    "delta_neutral_clearing_account",
                    "delta_neutral_clearing_intent",
                    "delta_neutral_open_close",
                ),
                *_DELTA_NEUTRAL_SHORT_SALE,
            ),
        ),
        Field("continuous_update", FLAG),
        Field("reference_price_type", OPTIONAL_INT),
        _fields(OPTIONAL_NUMBER, "trail_stop_price", "trailing_percent"),
        _fields(OPTIONAL_INT, "scale_init_level_size", "scale_subs_level_size"),
        Field("scale_price_increment", OPTIONAL_NUMBER),
        _SCALE_STEPS,
        _fields(TEXT, "scale_table", "active_start_time", "active_stop_time"),
        _HEDGE,
        Field("opt_out_smart_routing", FLAG),
        _fields(TEXT, "clearing_account", "clearing_intent"),
        Field("not_held", FLAG),
    ),
    *within("contract", contracts.DELTA_NEUTRAL),
    *_order(
        _ALGO,
        Field("algo_id", TEXT),
        Field("what_if", FLAG),
        Field("order_misc_options", TEXT),
        Field("solicited", FLAG),
        _RANDOMIZE,
        _PEG_BENCH,
        _CONDITIONS,
        Field("adjusted_order_type", ABSENT_WORD),
        _fields(
            OPTIONAL_NUMBER,
            "trigger_price",
            "lmt_price_offset",
            "adjusted_stop_price",
            "adjusted_stop_limit_price",
            "adjusted_trailing_amount",
        ),
        Field("adjustable_trailing_unit", INT),
        _fields(TEXT, "ext_operator", "soft_dollar_name", "soft_dollar_value"),
        Field("cash_qty", OPTIONAL_NUMBER),
        _fields(
            TEXT,
            "mifid2_decision_maker",
            "mifid2_decision_algo",
            "mifid2_execution_trader",
            "mifid2_execution_algo",
        ),
        _PRICE_MANAGEMENT,
        _LATER,
        Field("advanced_error_override", TEXT, since=166),
        Field("manual_order_time", TEXT, since=169),
    ),
    Group("contract.exchange", "IBKRATS".__eq__, _order(Field("min_trade_qty", OPTIONAL_INT)), since=170),
    *_order(
        Group(
            "order_type",
            _one_of("PEG BEST", "PEGBEST").__contains__,
            (
                Field("min_compete_size", OPTIONAL_INT),
                Field("compete_against_best_offset", OFFSET),
                Group("compete_against_best_offset", INFINITE.__eq__, _MID_OFFSETS),
            ),
            since=170,
        ),
        Group("order_type", _one_of("PEG MID", "PEGMID").__contains__, _MID_OFFSETS, since=170),
    ),
)

# What both responses share

_IDENTIFIED: Layout = (
    Field("action", TEXT),
    Field("total_quantity", NUMBER),
    Field("order_type", TEXT),
    *_fields(PRICE_AS_ZERO, "lmt_price", "aux_price"),
    *_fields(TEXT, "tif", "oca_group", "account", "open_close"),
    Field("origin", INT),
    Field("order_ref", TEXT),
)
_TIMING: Layout = (
    *_fields(FLAG, "outside_rth", "hidden"),
    Field("discretionary_amt", NUMBER),
    Field("good_after_time", TEXT),
)
_ROUTING: Layout = (
    *_FA,
    *_fields(TEXT, "good_till_date", "rule80a"),
    Field("percent_offset", OPTIONAL_NUMBER),
    Field("settling_firm", TEXT),
    *_SHORT_SALE,
)
_VOLATILITY: Layout = (
    Field("trigger_method", INT),
    Field("volatility", OPTIONAL_NUMBER),
    Field("volatility_type", OPTIONAL_INT_AS_ZERO),
    Field("delta_neutral_order_type", ABSENT_WORD_AS_NONE),
    Field("delta_neutral_aux_price", OPTIONAL_NUMBER),
)
_TRAILING: Layout = (
    Field("continuous_update", FLAG),
    Field("reference_price_type", OPTIONAL_INT_AS_ZERO),
    *_fields(OPTIONAL_NUMBER, "trail_stop_price", "trailing_percent"),
)
_LEGS: Layout = (
    *within("contract", Field("combo_legs_descrip", TEXT), contracts.ORDERED_LEGS),
    *_order(
        _COMBO_LEGS,
        _SMART_ROUTING,
        _fields(OPTIONAL_INT_AS_MAX, "scale_init_level_size", "scale_subs_level_size"),
        Field("scale_price_increment", OPTIONAL_NUMBER),
        _SCALE_STEPS,
        _HEDGE,
    ),
)
_CLEARING = _order(_fields(TEXT, "clearing_account", "clearing_intent"), Field("not_held", FLAG))

# openOrder (5)

OPEN_ORDER: Final[Layout] = (
    Field("order_id", ID),
    *within("contract", *contracts.OF_AN_ORDER),
    *_order(_IDENTIFIED),
    Field("client_id", INT),
    Field("perm_id", LONG),
    *_order(_TIMING),
    Field("allocation", TEXT),
    *_order(
        _ROUTING,
        Field("auction_strategy", INT),
        _STOCK_RANGE,
        Field("display_size", OPTIONAL_INT_AS_MAX),
        _fields(FLAG, "block_order", "sweep_to_fill", "all_or_none"),
        Field("min_qty", OPTIONAL_INT),
        Field("oca_type", INT),
        _fields(FLAG, "e_trade_only", "firm_quote_only"),
        Field("nbbo_price_cap", OPTIONAL_NUMBER),
        Field("parent_id", INT),
        _VOLATILITY,
        Group(
            "delta_neutral_order_type",
            bool,
            (
                Field("delta_neutral_con_id", INT),
                *_fields(
                    TEXT,
                    "delta_neutral_settling_firm",
                    "delta_neutral_clearing_account",
                    "delta_neutral_clearing_intent",
                ),
                Field("delta_neutral_open_close", RIGHT_AS_MARK),
                *_DELTA_NEUTRAL_SHORT_SALE,
            ),
        ),
        _TRAILING,
        Field("basis_points", OPTIONAL_NUMBER),
        Field("basis_points_type", OPTIONAL_INT),
    ),
    *_LEGS,
    *_order(Field("opt_out_smart_routing", FLAG)),
    *_CLEARING,
    *within("contract", contracts.DELTA_NEUTRAL),
    *_order(_ALGO, _fields(FLAG, "solicited", "what_if")),
    *within(
        "state",
        Field("status", TEXT),
        *_fields(
            OPTIONAL_NUMBER_AS_MAX,
            "init_margin_before",
            "maint_margin_before",
            "equity_with_loan_before",
            "init_margin_change",
            "maint_margin_change",
            "equity_with_loan_change",
            "init_margin_after",
            "maint_margin_after",
            "equity_with_loan_after",
        ),
        *_fields(OPTIONAL_NUMBER, "commission", "min_commission", "max_commission"),
        *_fields(TEXT, "commission_currency", "warning_text"),
    ),
    *_order(
        _RANDOMIZE,
        _PEG_BENCH,
        _CONDITIONS,
        Field("adjusted_order_type", ABSENT_WORD_AS_NONE),
        _fields(
            OPTIONAL_NUMBER_AS_MAX,
            "trigger_price",
            "trail_stop_price",  # for the second time; clients keep this one
            "lmt_price_offset",
            "adjusted_stop_price",
            "adjusted_stop_limit_price",
            "adjusted_trailing_amount",
        ),
        Field("adjustable_trailing_unit", INT),
        _fields(TEXT, "soft_dollar_name", "soft_dollar_value", "soft_dollar_display_name"),
        Field("cash_qty", OPTIONAL_NUMBER_AS_ZERO),
        _PRICE_MANAGEMENT,
        _LATER,
        _PEGGED,
    ),
)

# completedOrder (101)

COMPLETED_ORDER: Final[Layout] = (
    *within("contract", *contracts.OF_AN_ORDER),
    *_order(_IDENTIFIED),
    Field("perm_id", LONG),
    *_order(
        _TIMING,
        _ROUTING,
        _STOCK_RANGE,
        Field("display_size", OPTIONAL_INT_AS_MAX),
        _fields(FLAG, "sweep_to_fill", "all_or_none"),
        Field("min_qty", OPTIONAL_INT),
        Field("oca_type", INT),
        _VOLATILITY,
        Group(
            "delta_neutral_order_type",
            bool,
            (Field("delta_neutral_con_id", INT), *_DELTA_NEUTRAL_SHORT_SALE),
        ),
        _TRAILING,
    ),
    *_LEGS,
    *_CLEARING,
    *within("contract", contracts.DELTA_NEUTRAL),
    *_order(_ALGO, Field("solicited", FLAG)),
    Field("status", TEXT),
    *_order(
        _RANDOMIZE,
        _PEG_BENCH,
        _CONDITIONS,
        _fields(OPTIONAL_NUMBER_AS_MAX, "trail_stop_price", "lmt_price_offset"),
        Field("cash_qty", OPTIONAL_NUMBER_AS_ZERO),
        _fields(FLAG, "dont_use_auto_price_for_hedge", "is_oms_container"),
        Field("auto_cancel_date", TEXT),
    ),
    Field("filled_quantity", OPTIONAL_NUMBER),
    *_order(
        Field("ref_futures_con_id", INT),
        Field("auto_cancel_parent", FLAG),
        Field("shareholder", TEXT),
        _fields(FLAG, "imbalance_only", "route_marketable_to_bbo"),
    ),
    Field("parent_perm_id", LONG),
    *_fields(TEXT, "completed_time", "completed_status"),
    *_order(_PEGGED),
)
