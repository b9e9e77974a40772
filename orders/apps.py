from importlib import import_module

from django.apps import AppConfig


class OrdersConfig(AppConfig):
    name = "orders"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = "Orders"

    def import_models(self) -> None:
        super().import_models()
        import_module("orders.totals")
        import_module("orders.breaks.models")
        import_module("orders.flex.models")
