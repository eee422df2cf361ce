"""What the desk does for a patient who calls, with all that follows from it."""
