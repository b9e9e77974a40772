"""The guide's paths, with and without a slash at the end: a redirect would turn a POST into a GET. And the read API."""

from django.urls import include, path, re_path

from orders.api.guide.views import ExecutionViewSet, OrderEntryViewSet, PendingOrderViewSet

urlpatterns = [
    re_path(r"^orders/?$", PendingOrderViewSet.as_view({"get": "list"}), name="orders"),
    re_path(r"^executions/?$", ExecutionViewSet.as_view({"get": "list"}), name="executions"),
    re_path(r"^order/limit/?$", OrderEntryViewSet.as_view({"post": "limit"}), name="order-limit"),
    re_path(r"^order/market/?$", OrderEntryViewSet.as_view({"post": "market"}), name="order-market"),
    re_path(r"^order/stop/?$", OrderEntryViewSet.as_view({"post": "stop"}), name="order-stop"),
    re_path(r"^order/bracket/?$", OrderEntryViewSet.as_view({"post": "bracket"}), name="order-bracket"),
    re_path(r"^order/cancel/?$", OrderEntryViewSet.as_view({"post": "cancel"}), name="order-cancel"),
    path("api/v1/", include("orders.api.v1.urls")),
]
