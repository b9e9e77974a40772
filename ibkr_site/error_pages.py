"""What Django's page about an error, and its report of one, show of the settings."""

import re

from django.views.debug import SafeExceptionReporterFilter


class ErrorPageFilter(SafeExceptionReporterFilter):
    """As Django's, and addresses are hidden too: they have passwords in them."""

    hidden_settings = re.compile(SafeExceptionReporterFilter.hidden_settings.pattern + r"|_URL$|AUTHORIZATION", re.I)
