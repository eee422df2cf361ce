"""Computes: values and arrays in, values out. No I/O, no clock, no imports of ours."""
