from django.apps import AppConfig


class SiteConfig(AppConfig):
    """The site's own commands."""

    name = "ibkr_site"
    verbose_name = "Site"
