"""Plan, cancel and word the message about a late dose."""
