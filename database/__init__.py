"""How PostgreSQL is spoken to: Django's engine with a cheaper look at kept connections, statements kept, its clock."""
