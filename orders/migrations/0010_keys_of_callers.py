"""An Idempotency-Key is of the client that chose it. Can be undone as long as no two clients chose the same."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('orders', '0008_read_breaks'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='orderrequest',
            name='one_request_per_key',
        ),
        migrations.AddConstraint(
            model_name='orderrequest',
            constraint=models.UniqueConstraint(condition=models.Q(('idempotency_key__isnull', False), ('refusal', '')), fields=('actor', 'idempotency_key'), name='one_request_per_key'),
        ),
    ]
