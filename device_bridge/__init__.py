"""Turns the bytes of devices into dose events and vitals for the backend."""
