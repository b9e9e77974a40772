"""The broker side: the session with IB, the TWS wire protocol and the paper gateway.

Knows no Django and no Celery. Broker words (IB's order types, statuses, message names) live in this package only.
"""
