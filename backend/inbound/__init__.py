"""What people answer: texts, keys pressed in a call, links in a mail."""
