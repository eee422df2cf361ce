"""Registered devices, their patient, last seen, battery, silence."""
