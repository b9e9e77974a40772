"""What the OpenAPI schema says of API keys; nothing while none are asked for."""

from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension

KEY_HELP = "An API key, `ibk_…`: made in the admin or by `manage.py api_keys create`."


class DoorScheme(OpenApiAuthenticationExtension):
    target_class = "accounts.access.authentication.Door"

    @property
    def name(self) -> list[str]:
        return ["apiKey"] if settings.API_AUTH == "keys" else []

    def get_security_requirement(self, auto_schema: Any) -> Any:
        return [{name: []} for name in self.name]

    def get_security_definition(self, auto_schema: Any) -> Any:
        return [{"type": "http", "scheme": "bearer", "description": KEY_HELP} for _ in self.name]
