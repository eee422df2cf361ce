"""A prescription as people and systems write it: FHIR R4, or our own JSON."""

import json
import sys
from collections.abc import Iterable, Mapping
from datetime import time
from decimal import Decimal
from pathlib import Path
from typing import cast

from backend.regimens.fhir_dosage import Prescribed, read_prescription
from backend.regimens.fhir_meals import EVENTS, Meals
from backend.regimens.fhir_time import read_time_of_day
from backend.regimens.fhir_timing import Circumstances, read_timing
from backend.regimens.timing import BadTiming
from backend.regimens.timing_json import from_json

LONGEST_REFUSAL = 300
# What stands in a Dosage and never in a Timing.
OF_A_DOSAGE = {
    *("sequence", "text", "timing", "doseAndRate", "asNeededBoolean"),
    *("asNeededCodeableConcept", "maxDosePerPeriod", "additionalInstruction"),
}


def read_file(path: str, at: Circumstances) -> Prescribed:
    """Return what a file of JSON prescribes; - is standard input.

    A FHIR R4 MedicationRequest, list of Dosages, Dosage or Timing, or a timing in our
    own JSON (`kind`). Raises BadTiming for what cannot be read or carried out.
    """
    try:
        return read(_json(path), at)
    except RecursionError as error:
        raise BadTiming(f"{path} is nested too deeply") from error
    except BadTiming as error:
        # It may quote the file: one line of it, and not all.
        raise BadTiming(" ".join(str(error).split())[:LONGEST_REFUSAL]) from error


def read(written: object, at: Circumstances) -> Prescribed:
    """Return what parsed JSON prescribes; raises BadTiming."""
    if isinstance(written, list):
        return read_prescription(cast(list[object], written), at)
    if not isinstance(written, Mapping):
        raise BadTiming(f"want a JSON object or list, not {type(written).__name__}")
    names = set(cast(Mapping[str, object], written))
    if "kind" in names:
        return Prescribed(from_json(cast(object, written)))
    if "resourceType" in names or names & OF_A_DOSAGE:
        return read_prescription(cast(object, written), at)
    return Prescribed(read_timing(cast(object, written), at))


def read_meals(given: Iterable[str]) -> Meals:
    """Return a patient's times from words like breakfast=07:30; raises BadTiming."""
    meals: dict[str, time] = {}
    for one in given:
        event, _, at = one.partition("=")
        if event not in EVENTS:
            raise BadTiming(f"want {', '.join(EVENTS)} with a time, got {one[:40]!r}")
        meals[event] = read_time_of_day(at)
    return meals


def _json(path: str) -> object:
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text("utf-8-sig")
        return json.loads(text, parse_float=Decimal)
    except OSError as error:
        raise BadTiming(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise BadTiming(f"{path} is not JSON: {error}") from error
