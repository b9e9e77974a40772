"""Who may use the API, and for which accounts: keys, what they are granted, and how often anybody may ask.

Rules
1. A key is looked up for every request, in one query: what was revoked a moment ago is refused now, in every process.
2. A secret is shown once and never stored; what stands in the database cannot be used as a key.
3. What a key may do never changes: another right is another key.
4. Who is not let in leaves counts and no rows of its own: a flood cannot fill the record.
"""
