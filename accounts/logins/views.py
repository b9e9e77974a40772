"""The pages of the second factor: the code of a login, enrolment, and new recovery codes."""

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import mark_safe
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django_otp import login as mark_verified

from accounts.logins import factor
from accounts.logins.forms import CodeForm

WRONG = "This is not the code. Wait for the next one; after several wrong ones it takes longer until one is looked at."


@never_cache
@sensitive_post_parameters()
def ask(request: HttpRequest) -> HttpResponse:
    """The code that follows the password."""
    user = _member(request)
    if user is None:
        return redirect_to_login(request.get_full_path(), "admin:login")
    if not factor.is_enrolled(user) or factor.is_verified(request):
        return redirect("second-factor-enrol")
    form = CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        device = factor.verify(user, form.cleaned_data["code"])
        if device is not None:
            request.session.cycle_key()
            mark_verified(request, device)
            return redirect(_after(request))
        form.add_error("code", WRONG)
    return _page(request, "ask", form=form)


@never_cache
@sensitive_post_parameters()
@sensitive_variables()
def enrol(request: HttpRequest) -> HttpResponse:
    """A new factor for who has none; for who has one, how it stands."""
    user = _member(request)
    if user is None:
        return redirect_to_login(request.get_full_path(), "admin:login")
    actor, form = f"user:{user.get_username()}", CodeForm(request.POST or None)
    if factor.is_enrolled(user):
        if not factor.is_verified(request):
            return redirect("second-factor")
        codes = factor.renew_recovery_codes(user, actor=actor) if "renew" in request.POST else []
        return _page(request, "enrolled", codes=codes)
    if request.method == "POST" and form.is_valid():
        enrolled = factor.confirm(user, form.cleaned_data["code"], actor=actor)
        if enrolled is not None:
            device, codes = enrolled
            request.session.cycle_key()
            mark_verified(request, device)
            return _page(request, "enrolled", codes=codes)
        form.add_error("code", WRONG)
    device = factor.begin(user)
    qr_code = mark_safe(factor.qr_code(device))  # noqa: S308 - drawn here, of squares
    return _page(request, "enrol", form=form, qr_code=qr_code, address=device.config_url)


def _member(request: HttpRequest) -> User | None:
    user = request.user
    return user if isinstance(user, User) and user.is_active and user.is_staff else None


def _after(request: HttpRequest) -> str:
    address = request.GET.get("next", "")
    own = url_has_allowed_host_and_scheme(address, allowed_hosts=None, require_https=request.is_secure())
    return address if own and address.startswith("/admin/") else "admin:index"


def _page(request: HttpRequest, name: str, **facts: object) -> HttpResponse:
    context = admin.site.each_context(request) | {"title": "Second factor", "required": settings.SECOND_FACTOR_REQUIRED}
    return render(request, f"logins/{name}.html", context | facts)
