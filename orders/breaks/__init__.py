"""Breaks: where our books and somebody else's disagree, what became of it, and who decided."""
