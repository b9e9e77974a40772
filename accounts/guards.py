"""Triggers that keep a table append-only, whatever the code forgets. Declared in a model's Meta."""

import pgtrigger

# Truncating fires no row trigger, so it needs one of its own.
NO_TRUNCATE = pgtrigger.Trigger(
    name="no_truncate",
    operation=pgtrigger.Truncate,
    when=pgtrigger.Before,
    level=pgtrigger.Statement,
    func="RAISE EXCEPTION 'the record cannot be truncated';",
)
APPEND_ONLY = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete), NO_TRUNCATE]
