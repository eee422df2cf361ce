"""The published vectors of the characteristics that are read so far."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from device_bridge.errors import MalformedRecord
from device_bridge.gatt.characteristics import READERS, read

ROOT = Path(__file__).parents[2]
GOLDEN = Path(os.environ.get("DOSELOOP_GOLDEN", ROOT / "../shared/golden"))
VECTORS = GOLDEN / "bluetooth" / "vectors_public.json"

pytestmark = pytest.mark.golden


def key_of(characteristic: str) -> str:
    if "SFLOAT" in characteristic:
        return "SFLOAT"
    if "FLOAT" in characteristic:
        return "FLOAT"
    return characteristic.rpartition("0x")[2]


def vectors() -> list[Any]:
    if not VECTORS.exists():
        skipped = pytest.mark.skip(reason=f"golden vectors not found at {VECTORS}")
        return [pytest.param({}, marks=skipped, id="absent")]
    items = json.loads(VECTORS.read_text())
    wanted = [item for item in items if key_of(item["characteristic"]) in READERS]
    return [pytest.param(item, id=item["id"]) for item in wanted]


@pytest.mark.parametrize("vector", vectors())
def test_a_published_vector_reads_as_its_source_says(vector: dict[str, Any]) -> None:
    stated = vector["hex"]
    values = [
        bytes.fromhex(one) for one in ([stated] if isinstance(stated, str) else stated)
    ]
    name = key_of(vector["characteristic"])
    context: dict[str, Any] = vector.get("context") or {}
    if "error" in vector["expected"]:
        with pytest.raises(MalformedRecord):
            read(name, values, context)
        return
    fields = read(name, values, context)
    assert fields == vector["expected"]
