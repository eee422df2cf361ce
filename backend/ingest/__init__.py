"""What devices and imports send, and all that happens when it arrives."""
