"""The database engine: Django's for PostgreSQL, asked less often whether it is still there."""
