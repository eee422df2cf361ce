"""Stores what arrives and decides what follows: the only package that knows the database."""
