"""Glucose meters: Glucose Service 0x1808, records that are told when asked for."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from device_bridge.gatt.glucose import Glucose, decode_glucose
from device_bridge.gatt.uuids import GLUCOSE, GLUCOSE_MEASUREMENT
from device_bridge.measurement import (
    GLUCOSE_MASS,
    GLUCOSE_MOLAR,
    INTERSTITIAL_GLUCOSE,
    Code,
    Measurement,
    Vital,
    doubts_among,
    face_of,
    read_vitals,
)
from device_bridge.profiles import Profile

# "Result too high" is the strip's range, not the patient's: there is no value to trust.
DOUBTFUL = frozenset(
    (
        *("sensor_malfunction", "sample_size_insufficient", "strip_insertion_error"),
        *("strip_type_incorrect", "result_too_high", "result_too_low"),
        *("temperature_too_high", "temperature_too_low", "read_interrupted"),
        "general_fault",
    )
)
# A meter stores the unit that it shows; each has a code, so that nothing is converted.
BLOOD = {"kg/L": GLUCOSE_MASS, "mol/L": GLUCOSE_MOLAR}
INTERSTITIAL = {"kg/L": INTERSTITIAL_GLUCOSE}


def decode(payload: bytes) -> Measurement:
    """Return the glucose of one record; a control solution is nobody's blood."""
    taken = decode_glucose(payload)
    vitals, refused = _vitals(taken)
    return Measurement(
        vitals, refused, _face(taken), number=taken.sequence, is_stored=True
    )


def _vitals(taken: Glucose) -> tuple[tuple[Vital, ...], tuple[str, ...]]:
    doubts = (*_nobodys(taken), *doubts_among(taken.status, DOUBTFUL))
    code = _code(taken)
    if code is None:
        return (), doubts or ("no concentration that is stored",)
    return read_vitals([(code, taken.concentration)], doubts)


def _nobodys(taken: Glucose) -> Iterable[str]:
    if "control_solution" in (taken.type, taken.location):
        yield "control_solution"


def _code(taken: Glucose) -> Code | None:
    if taken.concentration is None or taken.concentration.unit is None:
        return None
    codes = INTERSTITIAL if taken.type == "interstitial_fluid" else BLOOD
    return codes.get(taken.concentration.unit)


def _face(taken: Glucose) -> datetime | None:
    """Return the time that the meter showed, None where it is not sure of it."""
    base, offset = face_of(taken.base_time), taken.time_offset
    if base is None or "time_fault" in (taken.status or ()):
        return None
    if offset is None:
        return base
    if not isinstance(offset.value, int):
        return None  # beyond what the field can tell
    try:
        return base + timedelta(minutes=offset.value)
    except OverflowError:
        return None


PROFILE = Profile(
    name="glucose meter",
    matches=lambda services: GLUCOSE in services,
    decoders={GLUCOSE_MEASUREMENT: decode},
    stores_records=False,
)
