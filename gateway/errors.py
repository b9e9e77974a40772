"""What can go wrong between us and the broker.

    GatewayError
    ├── NothingSent            certain: not one byte of the request left this process
    │   └── NotConnected       there is no session that may send now
    ├── SendUncertain          bytes may have left; the outcome must be asked for, never assumed
    ├── QueryFailed            a question got no complete answer; it says nothing about what exists
    │   └── QueryTimedOut      the end marker did not come in time
    ├── ContractNotFound       the broker knows no such contract, or more than one
    └── WrongAccount           the gateway serves accounts that this installation must not touch

The difference between the first two is what the placement protocol rests on: see docs/architecture.md.
"""


class GatewayError(Exception):
    """Any failure of the broker session; the text is fit to be shown to the user."""


class NothingSent(GatewayError):
    """Certain that no byte of the request left this process."""


class NotConnected(NothingSent):
    """No session is in a state that allows sending."""


class SendUncertain(GatewayError):
    """Bytes may have left; whoever catches this must ask the broker, not assume."""


class QueryFailed(GatewayError):
    """A question to the broker got no complete answer: unknown, which is not empty."""


class QueryTimedOut(QueryFailed):
    """The end marker of an answer did not arrive in time."""


class WrongAccount(GatewayError):
    """The login at the gateway is not the one this installation is for."""


class ContractNotFound(GatewayError):
    """The broker answered that the symbol names no contract, or several (IB error 200)."""

    def __init__(self, symbol: str) -> None:
        super().__init__(f"Could not qualify contract for symbol: {symbol}")
        self.symbol = symbol
