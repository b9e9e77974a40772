"""The guide's paths, with and without a slash at the end."""

from django.urls import re_path

from accounts.views import AccountViewSet, PositionViewSet

urlpatterns = [
    re_path(r"^account/?$", AccountViewSet.as_view({"get": "list"}), name="account"),
    re_path(r"^positions/?$", PositionViewSet.as_view({"get": "list"}), name="positions"),
]
