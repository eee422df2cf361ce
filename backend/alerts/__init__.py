"""Findings become alerts; acknowledge, snooze, escalate, close."""
