"""Wearable observations, stored as segments."""
