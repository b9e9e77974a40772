import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('orders', '0011_review_filters'),
    ]

    operations = [
        pgtrigger.migrations.RemoveTrigger(
            model_name='order',
            name='changes_with_its_event',
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='order',
            trigger=pgtrigger.compiler.Trigger(name='changes_with_its_event', sql=pgtrigger.compiler.UpsertTriggerSql(func="\n                    IF NEW.last_sequence = OLD.last_sequence + 1 AND EXISTS (  -- mostly so, and found by one key\n                        SELECT 1 FROM orders_orderevent\n                        WHERE order_id = NEW.id AND sequence = NEW.last_sequence\n                            AND from_status = OLD.status AND to_status = NEW.status\n                    ) THEN\n                        RETURN NEW;\n                    END IF;\n                    IF NEW.last_sequence <= OLD.last_sequence OR NOT (\n                        SELECT count(*) = NEW.last_sequence - OLD.last_sequence\n                            AND bool_and(from_status = led_to)\n                            AND (array_agg(to_status ORDER BY sequence DESC))[1] = NEW.status\n                        FROM (\n                            SELECT sequence, from_status, to_status,\n                                lag(to_status, 1, OLD.status) OVER (ORDER BY sequence) AS led_to\n                            FROM orders_orderevent\n                            WHERE order_id = NEW.id\n                                AND sequence > OLD.last_sequence AND sequence <= NEW.last_sequence\n                        ) AS next_events\n                    ) THEN\n                        RAISE EXCEPTION 'order % changes only together with its next events', OLD.id;\n                    END IF;\n                    RETURN NEW;\n                ", hash='f18217b69f038a14a8cb2cdc4619444f6d01e146', operation='UPDATE', pgid='pgtrigger_changes_with_its_event_d0978', table='orders_order', when='BEFORE')),
        ),
    ]
