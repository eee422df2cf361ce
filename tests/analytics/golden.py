"""Reading tables of the golden data."""

import csv
from pathlib import Path


def rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV by column name."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
