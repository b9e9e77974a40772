"""The values inside the messages: contract, order, order state and their parts, in IB's words, snake case.

Rules: a field that is not on the wire of a message, or not at a version, has its default. None is IB's "unset". The
order types, statuses and all other words are IB's and are passed through unread.
"""

from dataclasses import dataclass
from decimal import Decimal

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TagValue:
    """One parameter of an algorithm, a smart combination routing or a security id list."""

    tag: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ComboLeg:
    con_id: int = 0
    ratio: int = 0
    action: str = ""
    exchange: str = ""
    open_close: int = 0
    short_sale_slot: int = 0
    designated_location: str = ""
    exempt_code: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaNeutralContract:
    con_id: int = 0
    delta: Decimal = ZERO
    price: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """An instrument, as far as the message at hand describes it."""

    con_id: int = 0
    symbol: str = ""
    sec_type: str = ""
    last_trade_date_or_contract_month: str = ""
    strike: Decimal = ZERO
    right: str = ""
    multiplier: str = ""
    exchange: str = ""
    primary_exchange: str = ""
    currency: str = ""
    local_symbol: str = ""
    trading_class: str = ""
    sec_id_type: str = ""
    sec_id: str = ""
    include_expired: bool = False
    issuer_id: str = ""
    combo_legs_descrip: str = ""
    combo_legs: tuple[ComboLeg, ...] = ()
    delta_neutral: DeltaNeutralContract | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderComboLeg:
    price: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A condition of an order; `kind` says which fields count.

    1 price: price, con_id, exchange, trigger_method; 3 time: time; 4 margin: percent; 5 execution: sec_type, exchange,
    symbol; 6 volume: volume, con_id, exchange; 7 percent change: change_percent, con_id, exchange. All but 5 have
    `is_more`. `conjunction` is `a` (and) or `o` (or).
    """

    kind: int
    conjunction: str = "a"
    is_more: bool = False
    price: Decimal | None = None
    time: str = ""
    percent: int = 0
    sec_type: str = ""
    symbol: str = ""
    volume: int = 0
    change_percent: Decimal | None = None
    con_id: int = 0
    exchange: str = ""
    trigger_method: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order without its ids: those stand in the messages, because each message carries others."""

    action: str = ""
    total_quantity: Decimal = ZERO
    order_type: str = ""
    lmt_price: Decimal | None = None
    aux_price: Decimal | None = None
    tif: str = ""
    oca_group: str = ""
    oca_type: int = 0
    account: str = ""
    open_close: str = ""
    origin: int = 0
    order_ref: str = ""
    transmit: bool = True
    parent_id: int = 0
    block_order: bool = False
    sweep_to_fill: bool = False
    display_size: int | None = None
    trigger_method: int = 0
    outside_rth: bool = False
    hidden: bool = False
    discretionary_amt: Decimal = ZERO
    good_after_time: str = ""
    good_till_date: str = ""
    fa_group: str = ""
    fa_method: str = ""
    fa_percentage: str = ""
    fa_profile: str = ""
    model_code: str = ""
    short_sale_slot: int = 0
    designated_location: str = ""
    exempt_code: int = -1
    rule80a: str = ""
    settling_firm: str = ""
    all_or_none: bool = False
    min_qty: int | None = None
    percent_offset: Decimal | None = None
    e_trade_only: bool = False
    firm_quote_only: bool = False
    nbbo_price_cap: Decimal | None = None
    auction_strategy: int = 0
    starting_price: Decimal | None = None
    stock_ref_price: Decimal | None = None
    delta: Decimal | None = None
    stock_range_lower: Decimal | None = None
    stock_range_upper: Decimal | None = None
    override_percentage_constraints: bool = False
    volatility: Decimal | None = None
    volatility_type: int | None = None
    delta_neutral_order_type: str = ""
    delta_neutral_aux_price: Decimal | None = None
    delta_neutral_con_id: int = 0
    delta_neutral_settling_firm: str = ""
    delta_neutral_clearing_account: str = ""
    delta_neutral_clearing_intent: str = ""
    delta_neutral_open_close: str = ""
    delta_neutral_short_sale: bool = False
    delta_neutral_short_sale_slot: int = 0
    delta_neutral_designated_location: str = ""
    continuous_update: bool = False
    reference_price_type: int | None = None
    trail_stop_price: Decimal | None = None
    trailing_percent: Decimal | None = None
    basis_points: Decimal | None = None
    basis_points_type: int | None = None
    combo_legs: tuple[OrderComboLeg, ...] = ()
    smart_combo_routing_params: tuple[TagValue, ...] = ()
    scale_init_level_size: int | None = None
    scale_subs_level_size: int | None = None
    scale_price_increment: Decimal | None = None
    scale_price_adjust_value: Decimal | None = None
    scale_price_adjust_interval: int | None = None
    scale_profit_offset: Decimal | None = None
    scale_auto_reset: bool = False
    scale_init_position: int | None = None
    scale_init_fill_qty: int | None = None
    scale_random_percent: bool = False
    scale_table: str = ""
    active_start_time: str = ""
    active_stop_time: str = ""
    hedge_type: str = ""
    hedge_param: str = ""
    opt_out_smart_routing: bool = False
    clearing_account: str = ""
    clearing_intent: str = ""
    not_held: bool = False
    algo_strategy: str = ""
    algo_params: tuple[TagValue, ...] = ()
    algo_id: str = ""
    what_if: bool = False
    order_misc_options: str = ""
    solicited: bool = False
    randomize_size: bool = False
    randomize_price: bool = False
    reference_contract_id: int = 0
    is_pegged_change_amount_decrease: bool = False
    pegged_change_amount: Decimal | None = None
    reference_change_amount: Decimal | None = None
    reference_exchange_id: str = ""
    conditions: tuple[Condition, ...] = ()
    conditions_ignore_rth: bool = False
    conditions_cancel_order: bool = False
    adjusted_order_type: str = ""
    trigger_price: Decimal | None = None
    lmt_price_offset: Decimal | None = None
    adjusted_stop_price: Decimal | None = None
    adjusted_stop_limit_price: Decimal | None = None
    adjusted_trailing_amount: Decimal | None = None
    adjustable_trailing_unit: int = 0
    ext_operator: str = ""
    soft_dollar_name: str = ""
    soft_dollar_value: str = ""
    soft_dollar_display_name: str = ""
    cash_qty: Decimal | None = None
    mifid2_decision_maker: str = ""
    mifid2_decision_algo: str = ""
    mifid2_execution_trader: str = ""
    mifid2_execution_algo: str = ""
    dont_use_auto_price_for_hedge: bool = False
    is_oms_container: bool = False
    discretionary_up_to_limit_price: bool = False
    use_price_mgmt_algo: bool = False
    duration: int | None = None
    post_to_ats: int | None = None
    auto_cancel_parent: bool = False
    advanced_error_override: str = ""
    manual_order_time: str = ""
    min_trade_qty: int | None = None
    min_compete_size: int | None = None
    compete_against_best_offset: Decimal | None = None  # Infinity: up to the middle
    mid_offset_at_whole: Decimal | None = None
    mid_offset_at_half: Decimal | None = None
    auto_cancel_date: str = ""
    ref_futures_con_id: int = 0
    shareholder: str = ""
    imbalance_only: bool = False
    route_marketable_to_bbo: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderState:
    """What the gateway adds in openOrder: the status, and for what-if orders the margins."""

    status: str = ""
    init_margin_before: Decimal | None = None
    maint_margin_before: Decimal | None = None
    equity_with_loan_before: Decimal | None = None
    init_margin_change: Decimal | None = None
    maint_margin_change: Decimal | None = None
    equity_with_loan_change: Decimal | None = None
    init_margin_after: Decimal | None = None
    maint_margin_after: Decimal | None = None
    equity_with_loan_after: Decimal | None = None
    commission: Decimal | None = None
    min_commission: Decimal | None = None
    max_commission: Decimal | None = None
    commission_currency: str = ""
    warning_text: str = ""
