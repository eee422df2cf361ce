"""What manufacturers receive: the reorder feed, read by cursor."""
