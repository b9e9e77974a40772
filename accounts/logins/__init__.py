"""Who comes into the admin: guesses are counted, a second factor is asked for, a session does not last for ever."""
