"""Glucose Service 1808: 2A18, 2A34, 2A51."""

from dataclasses import dataclass
from decimal import Decimal

from device_bridge.gatt.coded import named, named_bits, numbered
from device_bridge.gatt.date_time import DateTime, read_date_time
from device_bridge.gatt.measured import Measured, sfloat
from device_bridge.gatt.reader import Reader

HAS_OFFSET, HAS_CONCENTRATION, MOLAR = 0x01, 0x02, 0x04
HAS_STATUS, CONTEXT_FOLLOWS = 0x08, 0x10
OVERRUN, UNDERRUN = 32767, -32768
# Powers of ten from the units on the wire to those that meters show.
PER_LITRE = {"kg/L": (5, "mg/dL"), "mol/L": (3, "mmol/L")}
TYPES = numbered(
    (
        *("capillary_whole_blood", "capillary_plasma"),
        *("venous_whole_blood", "venous_plasma"),
        *("arterial_whole_blood", "arterial_plasma"),
        *("undetermined_whole_blood", "undetermined_plasma"),
        *("interstitial_fluid", "control_solution"),
    ),
    first=1,
)
LOCATIONS = {
    1: "finger",
    2: "alternate_site",
    3: "earlobe",
    4: "control_solution",
    15: "not_available",
}
STATUS = numbered(
    (
        *("battery_low", "sensor_malfunction", "sample_size_insufficient"),
        *("strip_insertion_error", "strip_type_incorrect"),
        *("result_too_high", "result_too_low"),
        *("temperature_too_high", "temperature_too_low"),
        *("read_interrupted", "general_fault", "time_fault"),
    )
)
FEATURES = numbered(
    (
        *("low_battery", "malfunction_detection", "sample_size"),
        *("strip_insertion_error", "strip_type_error", "result_high_low"),
        *("temperature_high_low", "read_interrupt", "general_fault"),
        *("time_fault", "multiple_bond"),
    )
)

HAS_CARBOHYDRATE, HAS_MEAL, HAS_TESTER, HAS_EXERCISE = 0x01, 0x02, 0x04, 0x08
HAS_MEDICATION, IN_LITRES, HAS_HBA1C, HAS_MORE_FLAGS = 0x10, 0x20, 0x40, 0x80
EXERCISE_OVERRUN = 0xFFFF
CARBOHYDRATES = numbered(
    ("breakfast", "lunch", "dinner", "snack", "drink", "supper", "brunch"), first=1
)
MEALS = numbered(
    ("preprandial", "postprandial", "fasting", "casual", "bedtime"), first=1
)
TESTERS = {
    1: "self",
    2: "health_care_professional",
    3: "lab_test",
    15: "not_available",
}
HEALTH = {
    1: "minor_issues",
    2: "major_issues",
    3: "during_menses",
    4: "under_stress",
    5: "no_issues",
    15: "not_available",
}
MEDICATIONS = numbered(
    (
        *("rapid_acting", "short_acting", "intermediate_acting"),
        *("long_acting", "premixed"),
    ),
    first=1,
)


@dataclass(frozen=True, slots=True)
class Glucose:
    """One measurement; None where not sent.

    `concentration` is as sent, `concentration_normalised` in mg/dL or mmol/L. It was
    taken `time_offset` after `base_time`.
    """

    sequence: int
    base_time: DateTime
    time_offset: Measured | None
    concentration: Measured | None
    concentration_normalised: Measured | None
    type: str | None
    location: str | None
    status: tuple[str, ...] | None
    context_follows: bool


@dataclass(frozen=True, slots=True)
class GlucoseContext:
    """What a person told a meter about a measurement; None where not sent.

    Amounts are in kilograms and litres as the definition says. Meters exist that send
    grams and millilitres: whoever uses an amount must know the meter.
    """

    sequence: int
    carbohydrate: str | None
    carbohydrate_amount: Measured | None
    meal: str | None
    tester: str | None
    health: str | None
    exercise_duration: Measured | None
    exercise_intensity: Measured | None
    medication: str | None
    medication_amount: Measured | None
    hba1c: Measured | None


@dataclass(frozen=True, slots=True)
class GlucoseFeature:
    features: tuple[str, ...]


def read_type_and_location(reader: Reader) -> tuple[str, str]:
    """Return what was measured and where it was taken: the nibbles of one octet."""
    both = reader.unsigned(1)
    return named(both & 0xF, TYPES), named(both >> 4, LOCATIONS)


def _time_offset(minutes: int) -> Measured:
    if minutes in (OVERRUN, UNDERRUN):
        special = "overrun" if minutes == OVERRUN else "underrun"
        return Measured(None, "min", special)
    return Measured(minutes, "min")


def normalised(concentration: Measured) -> Measured | None:
    """Return a concentration in mg/dL or mmol/L; None where there is no number."""
    if not isinstance(concentration.value, Decimal) or concentration.unit is None:
        return None
    digits, unit = PER_LITRE[concentration.unit]
    return Measured(float(concentration.value.scaleb(digits)), unit)


def decode_glucose(payload: bytes) -> Glucose:
    """Return the value of 2A18."""
    reader = Reader("glucose measurement", payload)
    flags = reader.unsigned(1)
    sequence, base_time = reader.unsigned(2), read_date_time(reader)
    offset = _time_offset(reader.signed(2)) if flags & HAS_OFFSET else None
    concentration = None
    kind, location = None, None
    if flags & HAS_CONCENTRATION:
        concentration = sfloat(reader, "mol/L" if flags & MOLAR else "kg/L")
        kind, location = read_type_and_location(reader)
    return Glucose(
        sequence,
        base_time,
        offset,
        concentration,
        None if concentration is None else normalised(concentration),
        kind,
        location,
        named_bits(reader.unsigned(2), STATUS) if flags & HAS_STATUS else None,
        bool(flags & CONTEXT_FOLLOWS),
    )


def _amount(reader: Reader, names: dict[int, str], unit: str) -> tuple[str, Measured]:
    return named(reader.unsigned(1), names), sfloat(reader, unit)


def _exercise(reader: Reader) -> tuple[Measured, Measured]:
    seconds, intensity = reader.unsigned(2), reader.unsigned(1)
    duration = (
        Measured(None, "s", "overrun")
        if seconds == EXERCISE_OVERRUN
        else Measured(seconds, "s")
    )
    return duration, Measured(intensity, "%")


def _tester(reader: Reader) -> tuple[str, str]:
    both = reader.unsigned(1)
    return named(both & 0xF, TESTERS), named(both >> 4, HEALTH)


def decode_glucose_context(payload: bytes) -> GlucoseContext:
    """Return the value of 2A34; the octet of further flags is reserved."""
    reader = Reader("glucose measurement context", payload)
    flags, sequence = reader.unsigned(1), reader.unsigned(2)
    if flags & HAS_MORE_FLAGS:
        reader.octets(1)
    absent = (None, None)
    carbohydrate = (
        _amount(reader, CARBOHYDRATES, "kg") if flags & HAS_CARBOHYDRATE else absent
    )
    meal = named(reader.unsigned(1), MEALS) if flags & HAS_MEAL else None
    tester = _tester(reader) if flags & HAS_TESTER else absent
    exercise = _exercise(reader) if flags & HAS_EXERCISE else absent
    unit = "L" if flags & IN_LITRES else "kg"
    medication = (
        _amount(reader, MEDICATIONS, unit) if flags & HAS_MEDICATION else absent
    )
    hba1c = sfloat(reader, "%") if flags & HAS_HBA1C else None
    return GlucoseContext(
        sequence, *carbohydrate, meal, *tester, *exercise, *medication, hba1c
    )


def decode_glucose_feature(payload: bytes) -> GlucoseFeature:
    """Return the value of 2A51."""
    reader = Reader("glucose feature", payload)
    bits = reader.unsigned(2)
    reader.end()
    return GlucoseFeature(named_bits(bits, FEATURES))
