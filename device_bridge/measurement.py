"""What one value of a vital-sign characteristic says of a patient.

The profiles of thermometers, cuffs, scales, oximeters and meters all give this. Codes
are LOINC, units UCUM, and those that the backend stores.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from device_bridge.gatt.date_time import DateTime
from device_bridge.gatt.ieee11073 import Special
from device_bridge.gatt.measured import Measured
from device_bridge.units import converted


class Code(NamedTuple):
    """A kind of vital and the unit in which it is stored."""

    loinc: str
    unit: str


HEART_RATE = Code("8867-4", "/min")
OXYGEN_SATURATION = Code("59408-5", "%")
BODY_TEMPERATURE = Code("8310-5", "Cel")
SURFACE_TEMPERATURE = Code("61008-9", "Cel")
SYSTOLIC = Code("8480-6", "mm[Hg]")
DIASTOLIC = Code("8462-4", "mm[Hg]")
MEAN_PRESSURE = Code("8478-0", "mm[Hg]")
BODY_WEIGHT = Code("29463-7", "kg")
GLUCOSE_MASS = Code("2339-0", "mg/dL")
GLUCOSE_MOLAR = Code("15074-8", "mmol/L")
INTERSTITIAL_GLUCOSE = Code("99504-3", "mg/dL")


@dataclass(frozen=True, slots=True)
class Vital:
    code: Code
    value: float


@dataclass(frozen=True, slots=True)
class Measurement:
    """The vitals in one value, and why others that it has are none.

    `face` is what the device's own calendar showed when it measured, as if that were
    UTC; None: it says no time. `number` is the record's where it has one. `user` is the
    person as the device counts them, "unknown" where it does not know, None where it
    says nothing. `minutes`: of the sensor's session, for one that counts and shows no
    calendar. `is_stored`: it may have been measured long ago. `momentary`: one of a
    stream, the next comes in a second.
    """

    vitals: tuple[Vital, ...]
    refused: tuple[str, ...] = ()
    face: datetime | None = None
    number: int | None = None
    user: int | str | None = None
    minutes: int | None = None
    is_stored: bool = False
    momentary: bool = False


def read_vitals(
    found: Iterable[tuple[Code, Measured | None]], doubts: Iterable[str] = ()
) -> tuple[tuple[Vital, ...], tuple[str, ...]]:
    """Return the vitals among measured values, and why the others are none.

    With a doubt of the device itself none is. A value that is absent, NaN or zero was
    not measured, which is worth a word only where nothing else was.
    """
    if doubted := tuple(doubts):
        return (), doubted
    vitals: list[Vital] = []
    refused: list[str] = []
    for code, measured in found:
        if measured is None:
            continue
        value = converted(measured, code.unit)
        if value is not None and (value > 0 or code.unit == "Cel"):
            vitals.append(Vital(code, float(value)))
        elif not (vitals and (value is not None or measured.special == Special.NAN)):
            why = measured.special if value is None else measured.value
            refused.append(f"{code.loinc} is {why}")
    return tuple(vitals), tuple(refused)


def face_of(stamp: DateTime | None) -> datetime | None:
    """Return what a calendar showed, as if it were UTC; None: its date is not known."""
    if stamp is None or stamp.local is None:
        return None
    return datetime.fromisoformat(stamp.local).replace(tzinfo=UTC)


def doubts_among(
    status: Iterable[str] | None, doubtful: frozenset[str]
) -> tuple[str, ...]:
    """Return the flags by which a device says that its value is not to be trusted."""
    return tuple(flag for flag in status or () if flag in doubtful)
