"""Dose events and how they match scheduled doses."""
