from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = "Accounts"

    def import_models(self) -> None:
        super().import_models()
        from accounts import history  # noqa: F401
        from accounts.access import models as access_models  # noqa: F401
        from accounts.halts import models as halts  # noqa: F401
        from accounts.limits import models as limits  # noqa: F401
        from accounts.logins import models as logins  # noqa: F401
        from accounts.snapshots import models  # noqa: F401

    def ready(self) -> None:
        from accounts.access import schema  # noqa: F401 - its extension registers itself
        from accounts.halts import automatic
        from accounts.logins import watching

        automatic.begin()
        watching.watch()
