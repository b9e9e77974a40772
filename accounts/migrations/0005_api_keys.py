
import django.contrib.postgres.fields
import django.db.models.deletion
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0004_read_api'),
    ]

    operations = [
        migrations.CreateModel(
            name='ApiKey',
            fields=[
                ('id', models.CharField(help_text='public: stands in the key and in the record', max_length=13, primary_key=True, serialize=False)),
                ('name', models.CharField(help_text='whose key it is, or what for', max_length=80)),
                ('digest', models.CharField(help_text='SHA-256 of the secret', max_length=64)),
                ('old_digest', models.CharField(blank=True, help_text='of the secret before; valid until then', max_length=64)),
                ('old_until', models.DateTimeField(blank=True, null=True)),
                ('networks', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=43), blank=True, default=list, help_text='from where it may be used; empty: anywhere', size=None)),
                ('created_at', models.DateTimeField()),
                ('created_by', models.CharField(max_length=160)),
                ('rotated_at', models.DateTimeField(blank=True, null=True)),
                ('expires_at', models.DateTimeField(blank=True, null=True)),
                ('revoked_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'verbose_name': 'API key',
                'permissions': [('manage_apikeys', 'Can create, rotate and revoke API keys')],
            },
        ),
        migrations.CreateModel(
            name='ApiKeyGrant',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('scope', models.CharField(choices=[('read', 'Read'), ('trade', 'Trade'), ('cancel', 'Cancel')], max_length=8)),
                ('account', models.CharField(help_text="the broker's account, or * for every one", max_length=20)),
            ],
            options={
                'verbose_name': 'API key grant',
            },
        ),
        migrations.CreateModel(
            name='ApiKeyUse',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('address', models.CharField(blank=True, help_text='empty: addresses too many to tell apart', max_length=64)),
                ('times', models.BigIntegerField()),
                ('first_used_at', models.DateTimeField()),
                ('last_used_at', models.DateTimeField()),
            ],
            options={
                'verbose_name': 'API key use',
            },
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='apikey',
            trigger=pgtrigger.compiler.Trigger(name='no_delete', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot delete rows from % table', TG_TABLE_NAME;", hash='863bad1d585fdede57768f5866eb6a7d99be6e0f', operation='DELETE', pgid='pgtrigger_no_delete_f5f17', table='accounts_apikey', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='apikey',
            trigger=pgtrigger.compiler.Trigger(name='no_truncate', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'the record cannot be truncated';", hash='3931f288a923a84bcdf8989e3091bed3f9083b83', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_no_truncate_48b92', table='accounts_apikey', when='BEFORE')),
        ),
        migrations.AddField(
            model_name='apikeygrant',
            name='key',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='grants', to='accounts.apikey'),
        ),
        migrations.AddField(
            model_name='apikeyuse',
            name='key',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='uses', to='accounts.apikey'),
        ),
        migrations.AddConstraint(
            model_name='apikeygrant',
            constraint=models.UniqueConstraint(fields=('key', 'scope', 'account'), name='one_row_per_grant'),
        ),
        migrations.AddConstraint(
            model_name='apikeygrant',
            constraint=models.CheckConstraint(condition=models.Q(('scope__in', ['read', 'trade', 'cancel'])), name='scope_is_known'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='apikeygrant',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;", hash='f15611fc1db7157288d88aefc696747430595c71', operation='UPDATE OR DELETE', pgid='pgtrigger_append_only_86ca6', table='accounts_apikeygrant', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='apikeygrant',
            trigger=pgtrigger.compiler.Trigger(name='no_truncate', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'the record cannot be truncated';", hash='1aa002196c93477b0a2ef502c94bc27bab797c83', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_no_truncate_582f7', table='accounts_apikeygrant', when='BEFORE')),
        ),
        migrations.AddConstraint(
            model_name='apikeyuse',
            constraint=models.UniqueConstraint(fields=('key', 'address'), name='one_row_per_key_and_address'),
        ),
    ]
