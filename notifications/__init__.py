"""Sends messages. Knows channels, not patients and not the database."""
