"""Stock on hand, run-out, reorders and their life."""
