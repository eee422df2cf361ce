"""Forty virtual patients, every process of the loop, on one machine."""
