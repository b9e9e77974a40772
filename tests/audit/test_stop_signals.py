"""A signal that comes at the worst moment is heard."""

import os
import signal
import threading
import time

import pytest

from audit import stop_signals


@pytest.fixture
def handlers():
    before = signal.getsignal(signal.SIGUSR1)
    yield
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGUSR1, before)


def test_a_signal_sets_the_event(handlers):
    event = threading.Event()
    stop_signals.heard_by(event, signal.SIGUSR1)
    assert not event.wait(0.05)

    os.kill(os.getpid(), signal.SIGUSR1)

    assert event.wait(5)


def test_also_while_the_main_thread_holds_the_events_lock(handlers):
    event = threading.Event()
    stop_signals.heard_by(event, signal.SIGUSR1)

    with event._cond:
        os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(0.05)

    assert event.wait(5)
