"""The commands of `python -m analytics`, one module each: the part that reads CSV.

A module of a command has a docstring whose first line is its help, `arguments`, which
declares what it takes, and `run`, which does it and raises `Refused` with one line of
words for people. The functions that compute live outside, and neither read nor write.
"""
