"""The halt: nothing is sent where it is on, whatever was asked for."""
