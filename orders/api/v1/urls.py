"""The paths of the read API, with and without a slash at the end."""

from django.urls import URLPattern, re_path

from orders.api.v1 import views
from orders.api.v1.halts import HaltViewSet

NUMBER = "[0-9]+"


def _paths(viewset: type[views.RecordViewSet], *, pk: str = NUMBER) -> list[URLPattern]:
    name = viewset.noun
    return [
        re_path(rf"^{name}/?$", viewset.as_view({"get": "list"}), name=f"record-{name}"),
        re_path(rf"^{name}/(?P<pk>{pk})/?$", viewset.as_view({"get": "retrieve"}), name=f"record-{name}-detail"),
    ]


urlpatterns = [
    *_paths(views.OrderRecordViewSet),
    *_paths(views.RequestRecordViewSet),
    *_paths(views.EventRecordViewSet),
    *_paths(views.ExecutionRecordViewSet),
    *_paths(views.AccountRecordViewSet, pk="[A-Za-z0-9]+"),
    *_paths(views.SnapshotRecordViewSet),
    *_paths(views.BreakRecordViewSet),
    re_path(r"^halts/?$", HaltViewSet.as_view({"get": "list", "post": "create"}), name="halts"),
]
