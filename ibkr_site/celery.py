"""The Celery application. A message is a doorbell: it carries an id, and Postgres says what is to be done."""

import logging.config
import os
import warnings
from typing import Any

from celery import Celery
from celery.platforms import SecurityWarning  # type: ignore[attr-defined]  # the stubs lack it
from celery.signals import beat_init, setup_logging, task_prerun, worker_init, worker_shutdown

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ibkr_site.settings")


class Application(Celery):
    def bugreport(self) -> str:
        """What `celery report` prints: every setting, so without what is secret."""
        from ibkr_site.redaction import hide

        return hide(str(super().bugreport()))


app = Application("ibkr_site")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


# Seven lines on every start as root, about pickled messages: ours are JSON, and nothing else is accepted.
warnings.filterwarnings("ignore", category=SecurityWarning)


@setup_logging.connect
def use_django_logging(**_: Any) -> None:
    """Log as every other process does; a receiver on this signal keeps Celery from installing its own format."""
    from django.conf import settings  # not before Celery has asked: importing this module reads no settings

    logging.config.dictConfig(settings.LOGGING)


@task_prerun.connect
def look_at_connection(**_: Any) -> None:
    """A task begins as a web request does: a connection that broke meanwhile is opened anew at its first query."""
    from django.db import close_old_connections

    close_old_connections()


@beat_init.connect
def start_watch(**_: Any) -> None:
    """Beat outlives a worker that dies, and can say that it did."""
    from ibkr_site import watch

    watch.start_watch()


# Imported in the worker only: no other process may load the broker's library.


@worker_init.connect
def start_broker_session(**_: Any) -> None:
    from ibkr_site import broker_session

    broker_session.start_owner()


@worker_shutdown.connect
def stop_broker_session(**_: Any) -> None:
    from ibkr_site import broker_session

    broker_session.stop_owner()
