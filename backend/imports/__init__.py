"""Studies and wearable files in."""
