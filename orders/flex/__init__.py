"""Statements of the broker (IB Flex Queries): read, kept as they were said, and held against our own record."""
