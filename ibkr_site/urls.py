"""Every address of the site. The API's own paths are declared in orders and accounts."""

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularRedocView, SpectacularSwaggerView

from accounts.logins import views as logins
from ibkr_site import health, problems

urlpatterns = [
    path("", RedirectView.as_view(url="/docs")),
    path("admin", RedirectView.as_view(url="/admin/")),
    path("admin/second-factor/", logins.ask, name="second-factor"),
    path("admin/second-factor/enrol/", logins.enrol, name="second-factor-enrol"),
    path("admin/", admin.site.urls),
    path("", include("orders.urls")),
    path("", include("accounts.urls")),
    re_path(r"^openapi\.json$", SpectacularJSONAPIView.as_view(), name="schema"),
    re_path(r"^docs/?$", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    re_path(r"^redoc/?$", SpectacularRedocView.as_view(url_name="schema"), name="redoc"),
    re_path(r"^health/live/?$", health.live, name="health-live"),
    re_path(r"^health/ready/?$", health.ready, name="health-ready"),
    re_path(r"", problems.not_found),  # under DEBUG too, where Django would answer with a page
]

handler400 = "ibkr_site.problems.bad_request"
handler403 = "ibkr_site.problems.permission_denied"
handler404 = "ibkr_site.problems.not_found"
handler500 = "ibkr_site.problems.server_error"
