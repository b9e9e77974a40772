from django.db import migrations

# Drafts live for the length of a transaction, so their table is mostly rows that are gone, and to the planner an empty
# one, to be read from end to end: some thousand blocks for an order.
BY_KEY = "ALTER FUNCTION audit_append_drafts(bigint) SET enable_seqscan = off"
AS_BEFORE = "ALTER FUNCTION audit_append_drafts(bigint) RESET enable_seqscan"


class Migration(migrations.Migration):

    dependencies = [
        ('audit', '0004_access_by_triggers'),
    ]

    operations = [
        migrations.RunSQL(BY_KEY, AS_BEFORE),
    ]
