"""Lists of the admin as files: all rows that the list's filters and search leave, by the read API's own export.

Rules: whoever may see the list may take it with him; his login is the admin's, whatever API_AUTH says. A filter that
makes no sense exports nothing, and not everything.
"""

from typing import Any, ClassVar

from django.contrib import messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ORDER_VAR, PAGE_VAR, ChangeList
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from rest_framework.renderers import BaseRenderer

from accounts.review import DayFilter, ReviewAdmin
from orders.api.v1.exports import Asked, CsvFormat, LinesFormat
from orders.api.v1.pages import Sort, TooSlow, bounded
from orders.api.v1.views import RecordViewSet

FORMS: dict[str, tuple[str, type[BaseRenderer]]] = {
    CsvFormat.format: ("CSV", CsvFormat),
    LinesFormat.format: ("JSON lines", LinesFormat),
}
OF_A_PAGE = (PAGE_VAR, ORDER_VAR)  # an export has every row, in the order of time


class ExportsRows(ReviewAdmin):
    """`exported`: the read API's list of the same rows, whose columns the file has."""

    exported: ClassVar[type[RecordViewSet]]
    list_before_template = "orders/review/export.html"

    def get_urls(self) -> list[URLPattern]:
        export = self.admin_site.admin_view(self.export)
        return [path("export/<str:form>/", export, name=self._name("export")), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        page = f"admin:{self._name('export')}"
        query = _of_the_list(request.GET)
        links = [(label, reverse(page, args=[form], query=query)) for form, (label, _) in FORMS.items()]
        return super().changelist_view(request, {"exports": links} | (extra_context or {}))

    def export(self, request: HttpRequest, form: str) -> HttpResponseBase:
        """The rows of the list with these parameters, as a file."""
        if request.method != "GET" or not self.has_view_permission(request):
            raise PermissionDenied
        if form not in FORMS:
            raise Http404
        request.GET = _of_the_list(request.GET)  # type: ignore[assignment]  # it is read alone
        asked = Asked(
            form=FORMS[form][1](),
            parameters=request.GET,
            actor=f"user:{request.user.get_username()}",
            address=str(request.META.get("REMOTE_ADDR", "")),
            request_id=request.headers["X-Request-Id"],
        )
        try:
            return self._file(request, asked)
        except IncorrectLookupParameters:
            messages.warning(request, "Nothing was exported: a filter was not understood.")
        except TooSlow as problem:
            messages.warning(request, f"Nothing was exported: {problem.detail}")
        return redirect(reverse(f"admin:{self._name('changelist')}", query=request.GET))

    def _file(self, request: HttpRequest, asked: Asked) -> HttpResponseBase:
        view = self.exported(action="list")
        with bounded() as now:
            listed: ChangeList = self.get_changelist_instance(request)
            listed.root_queryset = view.get_queryset()
            found = listed.get_queryset(request).select_related(None)
            days = [each.column for each in listed.filter_specs if isinstance(each, DayFilter) and each.value()]
            # In the order of the time that is asked about: its index finds the rows.
            return view.export(asked, found, sort=Sort((days or view.sorts)[0], descending=True), now=now)

    def _name(self, page: str) -> str:
        return f"{self.model._meta.app_label}_{self.model._meta.model_name}_{page}"


def _of_the_list(parameters: QueryDict) -> QueryDict:
    """The parameters without those that say which page of the list is shown."""
    kept = parameters.copy()
    for name in OF_A_PAGE:
        kept.pop(name, None)
    return kept
