"""Bring the database up to date and see that somebody can log in: `python -m ibkr_site.first_start`.

Rules: may run on every start and changes nothing that is there; the password is made up here, kept in DATA_DIR,
readable by its owner only, and printed by nobody but `make run` on the first start.
"""

import os
import secrets
from pathlib import Path
from urllib.parse import unquote, urlsplit

import django
from django.conf import settings
from django.core.management import call_command

from ibkr_site.secret_files import write_secret

ADMIN = "admin"


def admin_password_file() -> Path:
    """Where the password of the login we made is kept."""
    return Path(settings.DATA_DIR) / "admin_password"


def create_admin() -> None:
    """Make a first administrator where there is none."""
    from django.contrib.auth import get_user_model

    users = get_user_model()
    if users.objects.filter(is_superuser=True).exists():
        return
    password = secrets.token_urlsafe(12)
    write_secret(admin_password_file(), password)  # first: a login whose password nobody knows would be of no use
    users.objects.create_superuser(username=ADMIN, email="", password=password)


def establish_groups() -> None:
    """What each group of the admin may do, as this version has it."""
    from accounts import groups

    groups.establish()


def grant_app_role() -> None:
    """Let the other processes use the database under a role that cannot change the record, where one is named."""
    from audit import roles

    if settings.DATABASE_APP_URL:
        address = urlsplit(settings.DATABASE_APP_URL)
        roles.grant(unquote(address.username or ""), password=unquote(address.password or ""))


def begin_trail() -> None:
    """Cover what is older than the audit trail, or than what it tells of since an update."""
    from orders import trail

    trail.append_opening()


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ibkr_site.settings")
    django.setup()
    call_command("migrate", interactive=False, verbosity=0)
    begin_trail()
    establish_groups()
    create_admin()
    grant_app_role()


if __name__ == "__main__":
    main()
