"""Formats of single makers, and what pens speak over NFC.

Every decoder is total, as those in `device_bridge.gatt` are.
"""
