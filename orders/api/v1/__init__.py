"""The read API, /api/v1/: what is on record, for programs. It reads and never writes.

Rules
1. A page costs the same at ten rows and at ten million: every list is in the order of one time column, an index holds
   each filter together with that order, a page begins where the last one ended, and nothing is counted.
2. Nothing is guessed: a parameter that is not known, given twice or not understood is refused with 400.
3. Decimals are strings, so that no client rounds them; times are ISO 8601 in UTC, to the microsecond.
"""
