"""What the system is made of and whether that is still fine: for `make`, no part of what runs.

Rules: the pins in requirements/*.txt are the truth, those of every Python version. No Django, nothing of ours.
"""
