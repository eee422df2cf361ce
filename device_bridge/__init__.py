"""Turns the bytes of devices into dose events and vitals and hands them to the backend."""
