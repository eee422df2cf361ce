"""The one row a patient that lists read, kept in the accepting transaction."""
