"""The role under which the application should use the database."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import ProgrammingError, connection

from audit import roles


class Command(BaseCommand):
    help = (
        "Give an existing database role the rights that the application needs, and no others: it can add to the record "
        "and the audit trail, and neither change, delete nor truncate what is there. Run as the owner of the tables, "
        "again after each update. With --sql the statements are printed and nothing is done."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("role")
        parser.add_argument("--sql", action="store_true", help="print what would be done")

    def handle(self, *_args: Any, role: str, sql: bool, **_options: Any) -> None:
        if sql:
            connection.ensure_connection()
            for statement in roles.statements(role):
                self.stdout.write(f"{statement.as_string(connection.connection)};")
            return
        try:
            roles.grant(role)
        except ProgrammingError as error:
            raise CommandError(f"{error}".strip()) from error
        self.stdout.write(self.style.SUCCESS(f"{role} may add to the record and change nothing in it"))
