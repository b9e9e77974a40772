"""How a process that runs until it is told to stop hears of it."""

import signal
import socket
import threading


def heard_by(event: threading.Event, *numbers: signal.Signals) -> None:
    """Set the event when one of these signals comes. For the main thread, once in a process.

    A thread does it, not the handler: that runs in the middle of what the main thread does, which may hold the event's
    own lock just then, and would wait for itself for ever.
    """
    heard, told = socket.socketpair()
    told.setblocking(False)
    for number in numbers:
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(told.fileno())
    # The thread holds both ends: a descriptor that was given away would be written to all the same.
    threading.Thread(target=_pass_on, args=(heard, told, event), name="stop signals", daemon=True).start()


def _pass_on(heard: socket.socket, _told: socket.socket, event: threading.Event) -> None:
    while heard.recv(1):
        event.set()
