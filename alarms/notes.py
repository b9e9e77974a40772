"""What a person types to say why: one line of plain text."""

SHORTEST_NOTE = 3
LONGEST_NOTE = 500


class InvalidNote(Exception):
    """The text says what is wrong with the note."""


def checked_note(note: str, *, name: str = "note") -> str:
    """The note as it is recorded. Raises: InvalidNote."""
    note = note.strip()
    if not SHORTEST_NOTE <= len(note) <= LONGEST_NOTE:
        raise InvalidNote(f"Give a {name} of {SHORTEST_NOTE} to {LONGEST_NOTE} characters.")
    if not note.isprintable():
        raise InvalidNote(f"Give the {name} as one line of plain text: something in it cannot be printed.")
    return note
