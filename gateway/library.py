"""ib_insync 0.9.86, imported here and nowhere else: moving to its successor begins with this list.

Its event library takes hold of the importing thread's event loop, and fails where there is none (every thread but
the main one; on Python 3.14 that one too). So a thread of its own imports it first and owns the loop it wants;
whoever imports this module keeps the loop they had.
"""

import asyncio
import importlib
import threading


def _import_beside_a_loop() -> None:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        importlib.import_module("ib_insync")
    finally:
        asyncio.set_event_loop(None)
        loop.close()


_first_import = threading.Thread(target=_import_beside_a_loop, name="import ib_insync")
_first_import.start()
_first_import.join()

from ib_insync.client import Client  # noqa: E402
from ib_insync.contract import Contract, ContractDetails  # noqa: E402
from ib_insync.decoder import Decoder  # noqa: E402
from ib_insync.objects import CommissionReport as IBCommissionReport  # noqa: E402
from ib_insync.objects import Execution, ExecutionFilter  # noqa: E402
from ib_insync.order import Order, OrderState  # noqa: E402
from ib_insync.wrapper import Wrapper  # noqa: E402

__all__ = [
    "Client",
    "Contract",
    "ContractDetails",
    "Decoder",
    "Execution",
    "ExecutionFilter",
    "IBCommissionReport",
    "Order",
    "OrderState",
    "Wrapper",
]
