"""The site: settings, processes and the edges between HTTP, Celery and the packages that do the work."""

from ibkr_site.celery import app as celery_app

__all__ = ["celery_app"]
