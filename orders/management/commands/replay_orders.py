"""Does the record add up? Every order's row must be what its events say."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from orders.models import Order
from orders.refold import Replay, stories

ORDERS_PER_REPORT = 10_000


class Command(BaseCommand):
    help = (
        "Replay the events of every order and compare the result with the order's row. "
        "Each difference is a line; the exit code is 1 when there is any. Nothing is changed. "
        "Safe to run while orders are placed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "order", nargs="*", type=int, help="ids of the orders to look at; all of them when none is given"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        orders = Order.objects.filter(pk__in=options["order"]) if options["order"] else Order.objects.all()
        seen = told = broken = 0
        for order, rows in stories(orders):
            replay = Replay()
            for row in rows:
                replay.step(row)
            found = replay.differences(order)
            for difference in found:
                self.stdout.write(self.style.ERROR(f"order {order.pk}: {difference}"))
            seen, told, broken = seen + 1, told + replay.sequence, broken + bool(found)
            if seen % ORDERS_PER_REPORT == 0 and options["verbosity"] > 0:
                self.stdout.write(f"{seen:,} orders so far, up to {order.pk} ...")
        missing = len(set(options["order"])) - seen if options["order"] else 0
        if missing:
            raise CommandError(f"{missing} of the orders named are not in the record")
        summary = f"{seen:,} orders, {told:,} events replayed"
        if broken:
            raise CommandError(f"{summary}: {broken:,} orders differ", returncode=1)
        self.stdout.write(self.style.SUCCESS(f"{summary}: no difference"))
