"""Conditions that a person must look at: raised in one place, told to people, acknowledged by one."""
