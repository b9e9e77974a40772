"""Pre-trade checks: what is asked for, what it is held against, and what speaks against it."""
