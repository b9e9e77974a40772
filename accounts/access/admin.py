"""The admin's pages of API keys: which there are, and the forms for who may manage them.

A secret is in the answer to the form that made it, and nowhere else; no page of the admin is kept by a browser.
"""

from dataclasses import dataclass

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from unfold.decorators import action

from accounts.access.forms import CreateForm, KeyForm, RevokeForm, RotateForm
from accounts.access.models import ApiKey
from accounts.display import moment
from accounts.review import ReviewAdmin
from database import clock

PERMISSION = "accounts.manage_apikeys"


@dataclass(frozen=True, slots=True)
class Change:
    """One of the forms, and what stands above and below it."""

    form: type[KeyForm]
    title: str
    consequences: str
    button: str


CREATE = Change(
    CreateForm,
    "Create a key",
    "What a key may do cannot be changed later: another right is another key. The key is shown once.",
    "Create",
)
ROTATE = Change(
    RotateForm,
    "Rotate the key",
    "It gets a new secret, which is shown once, and keeps its id, its rights and its Idempotency-Keys.",
    "Rotate",
)
REVOKE = Change(
    RevokeForm,
    "Revoke the key",
    "It is refused from the next request on, and cannot be brought back. Orders that it placed stay as they are.",
    "Revoke",
)


@admin.register(ApiKey)
class ApiKeyAdmin(ReviewAdmin):
    list_display = ("id", "name", "standing", "rights", "from_where", "made", "created_by", "last_used")
    search_fields = ("id",)
    search_help_text = "public id"
    ordering = ("-created_at",)
    actions_list = ("create_key",)
    actions_detail = ("rotate_key", "revoke_key")
    fields = (
        *("id", "name", "standing", "rights", "from_where", "made", "created_by"),
        *("rotated", "old_secret", "expires", "revoked", "last_used", "used_from"),
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiKey]:
        return super().get_queryset(request).prefetch_related("grants", "uses")

    def has_manage_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return bool(request.user.has_perm(PERMISSION)) and self.has_view_permission(request)

    @action(description="Create a key", url_path="create", permissions=["manage"])
    def create_key(self, request: HttpRequest) -> HttpResponse:
        return self._change(request, CREATE)

    @action(description="Rotate", url_path="rotate", permissions=["manage"])
    def rotate_key(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._change(request, ROTATE, self._key(request, object_id))

    @action(description="Revoke", url_path="revoke", permissions=["manage"])
    def revoke_key(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._change(request, REVOKE, self._key(request, object_id))

    def _key(self, request: HttpRequest, object_id: str) -> ApiKey:
        key = self.get_object(request, object_id)
        if not isinstance(key, ApiKey):
            raise Http404
        return key

    def _change(self, request: HttpRequest, change: Change, key: ApiKey | None = None) -> HttpResponse:
        """The form; sent, what came of it."""
        form = change.form(request.POST or None)
        if request.method == "POST":
            form = change.form(request.POST)
            actor = f"user:{request.user.get_username()}"
            key_id = key.pk if key else ""
            done = form.carry_out(key_id=key_id, actor=actor) if form.is_valid() else None
            if done is not None and not form.secret:
                return redirect("admin:accounts_apikey_change", done.pk)
            key = done or key
        context = self.admin_site.each_context(request) | {
            "title": change.title,
            "change": change,
            "form": form,
            "key": key,
            "opts": self.model._meta,
            "media": self.media,
        }
        return render(request, "access/key.html", context)

    @admin.display(description="is")
    def standing(self, key: ApiKey) -> str:
        if key.revoked_at is not None:
            return "revoked"
        over = key.expires_at is not None and key.expires_at <= clock.database_now()
        return "expired" if over else "valid"

    @admin.display(description="may")
    def rights(self, key: ApiKey) -> str:
        return ", ".join(sorted(map(str, key.grants.all())))

    @admin.display(description="from")
    def from_where(self, key: ApiKey) -> str:
        return ", ".join(key.networks) or "anywhere"

    @admin.display(description="created (UTC)", ordering="created_at")
    def made(self, key: ApiKey) -> str:
        return moment(key.created_at)

    @admin.display(description="rotated (UTC)")
    def rotated(self, key: ApiKey) -> str:
        return moment(key.rotated_at)

    @admin.display(description="old secret good until (UTC)")
    def old_secret(self, key: ApiKey) -> str:
        return moment(key.old_until)

    @admin.display(description="expires (UTC)")
    def expires(self, key: ApiKey) -> str:
        return moment(key.expires_at)

    @admin.display(description="revoked (UTC)")
    def revoked(self, key: ApiKey) -> str:
        return moment(key.revoked_at)

    @admin.display(description="last used (UTC)")
    def last_used(self, key: ApiKey) -> str:
        return moment(max((use.last_used_at for use in key.uses.all()), default=None))

    @admin.display(description="used from")
    def used_from(self, key: ApiKey) -> str:
        uses = sorted(key.uses.all(), key=lambda use: use.last_used_at, reverse=True)
        return "; ".join(f"{use.address or 'elsewhere'}: {use.times:,}" for use in uses[:20])

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return self.fields
