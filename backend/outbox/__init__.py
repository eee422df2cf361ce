"""Messages to send, attempts, receipts, reconciliation."""
