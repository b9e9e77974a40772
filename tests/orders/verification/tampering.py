"""The trail as somebody with all rights in the database may change it, and what verify_audit says then."""

from io import StringIO

from django.core.management import CommandError, call_command
from django.db import connection

from audit import chain as chains
from audit.models import Entry
from tests.orders.factories import ACCOUNT

CHAIN = chains.of_account(ACCOUNT)


def verify(**options):
    """Exit code, and what is printed."""
    out, err = StringIO(), StringIO()
    try:
        call_command("verify_audit", stdout=out, stderr=err, no_color=True, **options)
    except CommandError as error:
        return error.returncode, out.getvalue() + str(error)
    return 0, out.getvalue() + err.getvalue()


def rewrite(from_seq=1, *, at=None, **replacements):
    """Make a chain anew from there on, as a thorough forger would: other facts, right hashes and links."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        head = Entry.objects.filter(chain=CHAIN, seq=from_seq - 1).values_list("hash", flat=True).first()
        head = head or chains.NOTHING_BEFORE
        for row in Entry.objects.filter(chain=CHAIN, seq__gte=from_seq).order_by("seq"):
            body = row.body.replace(f'"prev":"{row.prev}"', f'"prev":"{head}"')
            for old, new in replacements.items():
                body = body.replace(old, new)
            if at is not None:
                body = body.replace(chains.moment(row.recorded_at), chains.moment(at))
            hash_ = chains.digest(body)
            cursor.execute(
                "UPDATE audit_entry SET body = %s, hash = %s, prev = %s, recorded_at = %s WHERE id = %s",
                [body, hash_, head, at or row.recorded_at, row.pk],
            )
            head = hash_
        cursor.execute("UPDATE audit_chain SET head = %s WHERE name = %s", [head, CHAIN])
        cursor.execute("SET LOCAL session_replication_role = origin")


def forge(superuser):
    """Change who did it in the record, and make the chain anew to fit."""
    superuser("UPDATE orders_orderevent SET actor = 'user:mallory' WHERE actor = 'broker'")
    rewrite(**{'"facts":{"actor":"broker"': '"facts":{"actor":"user:mallory"'})
    assert Entry.objects.filter(chain=CHAIN, body__contains="user:mallory").exists()
