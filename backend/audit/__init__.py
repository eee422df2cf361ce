"""Who saw or changed what, hash-chained; every automatic decision."""
