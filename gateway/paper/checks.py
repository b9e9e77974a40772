"""What is refused before an order exists: the error codes and texts of a real gateway.

Rules: pure; each check raises Refusal and changes nothing, so a refused order never had a permId and causes no
openOrder. Whether an account can pay is asked later, because that refusal (201) shows the order as Inactive.
"""

from decimal import Decimal

from gateway.paper.accounts import Account
from gateway.paper.book import Side
from gateway.paper.catalogue import Catalogue, Listing
from gateway.paper.orders import LIMITS, STOPS, Order, Placement, Refusal

ORDER_TYPES = frozenset({"MKT", "LMT", "STP", "STP LMT"})
TIMES_IN_FORCE = frozenset({"DAY", "GTC", "IOC", "FOK"})
LARGEST_QUANTITY = Decimal(1_000_000_000)  # sums beyond would not be exact
LARGEST_PRICE = Decimal(10_000_000)
# Known to IB, not to this exchange: answered as IB answers for a venue that lacks them.
OTHER_TYPES = frozenset(
    {"TRAIL", "TRAIL LIMIT", "MIT", "LIT", "MOC", "LOC", "MTL", "MIDPRICE", "REL", "SNAP MKT", "SNAP MID", "PEG MKT"}
    | {"PEG MID", "PEG BEST", "PEG BENCH", "VOL", "MKT PRT", "STP PRT", "PASSV REL", "BOX TOP", "LWR", "VWAP"}
)


def invalid(cause: str) -> Refusal:
    return Refusal(321, f"Error validating request.-'bF' : cause - {cause}")


def listing_of(catalogue: Catalogue, asked: Placement) -> Listing:
    listing = catalogue.find(asked.contract)
    if listing is None:
        raise Refusal(200, "No security definition has been found for the request")
    return listing


def account_of(accounts: dict[str, Account], asked: Placement) -> Account:
    if not asked.account and len(accounts) > 1:
        raise Refusal(435, "You must specify an account.")
    account = accounts.get(asked.account or next(iter(accounts)))
    if account is None:
        raise invalid("Invalid account code")
    return account


def check_terms(asked: Placement, listing: Listing) -> None:
    """Side, type, time in force, quantity and prices."""
    if asked.side not in (Side.BUY, Side.SELL, "SSHORT"):
        raise invalid("Invalid order side was entered")
    if asked.order_type in OTHER_TYPES:
        raise Refusal(387, "Unsupported order type for this exchange and security type.")
    if asked.order_type not in ORDER_TYPES:
        raise invalid("Invalid order type was entered")
    if asked.time_in_force not in TIMES_IN_FORCE:
        raise invalid("Invalid time in force was entered")
    if asked.oca_type not in (0, 1, 2, 3):
        raise invalid("Invalid OCA type was entered")
    _check_quantity(asked.quantity)
    if asked.order_type in LIMITS:
        _check_price(asked.limit_price, listing, "limit")
    if asked.order_type in STOPS:
        _check_price(asked.stop_price, listing, "stop")


def _check_quantity(quantity: Decimal | None) -> None:
    if quantity is None or not quantity.is_finite() or quantity <= 0:
        raise invalid("Order size must be greater than zero")
    if quantity > LARGEST_QUANTITY:
        raise invalid("Order size is too large")
    if quantity % 1:
        raise Refusal(
            10243,
            "Fractional-sized order cannot be placed via API. "
            "Please use desktop version of TWS, WEB or mobile platform to place it.",
        )


def _check_price(price: Decimal | None, listing: Listing, what: str) -> None:
    if price is None or not price.is_finite() or not 0 < price <= LARGEST_PRICE:
        raise invalid(f"Invalid {what} price was entered")
    if not listing.on_tick(price):
        raise Refusal(110, "The price does not conform to the minimum price variation for this contract.")


def check_modification(order: Order, asked: Placement, listing: Listing) -> None:
    """What a modification must leave alone. A finished order cannot be modified at all."""
    if order.filled and order.done and not order.remaining:
        raise Refusal(104, "Cannot modify a filled order.")
    if order.done:
        raise Refusal(103, "Duplicate order id")
    same = (
        listing is order.listing
        and asked.side.replace("SSHORT", "SELL") == order.side
        and asked.account in ("", order.account)
        and asked.parent_id in (0, order.parent_id)
        and asked.oca_group in ("", order.oca_group)
    )
    if not same:
        raise Refusal(105, "Order being modified does not match original order")
    if asked.order_type != order.order_type:
        raise Refusal(329, "Order modify failed. Cannot change to the new order type.")


def check_new_quantity(order: Order, quantity: Decimal) -> None:
    if quantity <= order.filled:
        raise Refusal(104, "Cannot modify a filled order.")


def short_of_funds(equity: Decimal, margin: Decimal) -> str:
    """IB's words for an order the account cannot carry (error 201)."""
    return (
        "Order rejected - reason:YOUR ORDER IS NOT ACCEPTED. IN ORDER TO OBTAIN THE DESIRED POSITION YOUR EQUITY WITH "
        f"LOAN VALUE [{equity:.2f} USD] MUST EXCEED THE INITIAL MARGIN [{margin:.2f} USD]"
    )
