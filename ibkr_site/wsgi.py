"""What the web server runs: `granian --interface wsgi ibkr_site.wsgi:application`."""

import os
from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ibkr_site.settings")

django = get_wsgi_application()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Django, for which a request without a Host would be one to the name of this machine: it is refused like a
    foreign one (HTTP/1.0, or written by hand)."""
    environ.setdefault("HTTP_HOST", "")
    return django(environ, start_response)
