"""Does a peripheral speak "Medication Monitor over GHS"? See ../PROFILE.md.

One requirement after the other is tried on a real link, and each says what it found.
"""
