import time

import pytest
from celery import shared_task
from django.conf import settings
from kombu import pools

from ibkr_site.celery import app
from orders import doorbell as doorbells
from orders.doorbell import Doorbell


@shared_task(name="tests.listen", ignore_result=True)
def listen(number):
    """Never run: only its messages are looked at."""


@pytest.fixture
def queue():
    """What is waiting for the worker, over the real wire."""
    with app.connection_for_read() as connection, connection.SimpleQueue(settings.GATEWAY_QUEUE) as queue:
        queue.clear()
        yield queue


def forget_connections():
    """Celery and kombu each keep pools of connections to the address of before."""
    pools.reset()
    app._pool = None
    app.__dict__.pop("pool", None)
    app.amqp._producer_pool = None


@pytest.fixture
def nobody_listens():
    """A Redis address where nothing is."""
    before = app.conf.broker_url
    forget_connections()
    app.conf.broker_url = app.conf.broker_write_url = "redis://127.0.0.1:1/0"
    yield
    app.conf.broker_url = before
    app.conf.broker_write_url = None
    forget_connections()


def test_rings_on_the_gateways_queue(queue):
    bell = Doorbell()

    for number in range(3):
        bell.ring(listen, number)

    messages = [queue.get(timeout=5) for _ in range(3)]
    assert [message.payload[0] for message in messages] == [[0], [1], [2]]
    assert {message.headers["task"] for message in messages} == {"tests.listen"}
    for message in messages:
        message.ack()


def test_nobody_waits_for_a_redis_that_is_away(nobody_listens, caplog):
    bell = Doorbell()
    began = time.monotonic()

    for number in range(100):
        bell.ring(listen, number)

    assert time.monotonic() - began < 0.1
    wait_until(lambda: bell._bells.empty() and bell._resting_until)
    time.sleep(0.1)
    assert caplog.text.count("Redis is away") == 1


def test_rings_again_after_a_rest(nobody_listens, caplog, monkeypatch):
    monkeypatch.setattr(doorbells, "REST_SECONDS", 0.05)
    bell = Doorbell()

    bell.ring(listen, 1)
    wait_until(lambda: "Redis is away" in caplog.text)
    time.sleep(0.1)
    bell.ring(listen, 2)

    wait_until(lambda: caplog.text.count("Redis is away") == 2)


def wait_until(true):
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)
