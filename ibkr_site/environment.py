"""Reading the environment: NAME=value, or NAME_FILE=/path for a secret; a wrong value is refused in one line."""

from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured
from environ.fileaware_mapping import FileAwareMapping


class Variables(FileAwareMapping):
    """The environment with the files behind NAME_FILE; the line end an editor leaves there is no part of a secret."""

    def __getitem__(self, key: str) -> str:
        return str(super().__getitem__(key)).rstrip("\r\n")


class Environment(environ.FileAwareEnv):
    """django-environ, except that an empty variable counts as not set: compose files and shells pass such on."""

    ENVIRON = Variables()

    def get_value(
        self, var: str, cast: Any = None, default: Any = environ.Env.NOTSET, parse_default: bool = False
    ) -> Any:
        try:
            if default is not self.NOTSET and not self.ENVIRON.get(var):
                return default
            return super().get_value(var, cast=cast, default=default, parse_default=parse_default)
        except OSError as error:
            raise ImproperlyConfigured(f"{var}_FILE cannot be read: {error}") from error
        except ValueError as error:
            raise ImproperlyConfigured(f"{var} has a wrong value: {error}") from error
