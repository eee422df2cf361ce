"""Where the golden data lie, and the mark for tests that need them."""

import csv
import os
from pathlib import Path

import pytest

GOLDEN = Path(os.environ.get("DOSELOOP_GOLDEN", "../shared/golden"))
MONITORING = GOLDEN / "adherence" / "electronic_monitoring"


def needs(path: Path) -> pytest.MarkDecorator:
    """Return the mark of a test that is skipped, and counted, without `path`."""
    return pytest.mark.skipif(not path.exists(), reason=f"golden: no {path.name}")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
