"""What the web server runs: `granian --interface wsgi ibkr_site.wsgi:application`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ibkr_site.settings")

application = get_wsgi_application()
