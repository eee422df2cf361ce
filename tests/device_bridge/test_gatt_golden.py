"""The published vectors, through the command that people run them with.

Every field is compared, those too that come from the reference decoder alone: none of
them is one that we are sure is wrong.
"""

import json
import os
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from device_bridge.__main__ import main

ROOT = Path(__file__).parents[2]
GOLDEN = Path(os.environ.get("DOSELOOP_GOLDEN", ROOT / "../shared/golden"))
VECTORS = GOLDEN / "bluetooth" / "vectors_public.json"

pytestmark = pytest.mark.golden


def vectors() -> list[Any]:
    if not VECTORS.exists():
        skipped = pytest.mark.skip(
            reason=f"no golden data at {VECTORS}: set DOSELOOP_GOLDEN"
        )
        return [pytest.param({}, marks=skipped, id="absent")]
    items = json.loads(VECTORS.read_text())
    return [pytest.param(item, id=item["id"]) for item in items]


@pytest.fixture(scope="module")
def shown() -> dict[str, dict[str, Any]]:
    """What the command prints, by the vectors' ids."""
    printed = StringIO()
    with redirect_stdout(printed):
        assert main(["decode", "--vectors", str(VECTORS)]) == 0
    lines = [json.loads(line) for line in printed.getvalue().splitlines()]
    return {line["id"]: line for line in lines}


@pytest.mark.parametrize("vector", vectors())
def test_a_published_vector_reads_as_its_source_says(
    vector: dict[str, Any], shown: dict[str, dict[str, Any]]
) -> None:
    line = shown[vector["id"]]
    if "error" in vector["expected"]:
        assert line.keys() == {"id", "error"}
    else:
        assert line == {"id": vector["id"], "decoded": vector["expected"]}
