"""Accounts: the broker's accounts, what they hold, and the session through which we see them."""
