"""What was prescribed, versioned; expands to scheduled doses."""
