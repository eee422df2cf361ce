"""As needed: FHIR's asNeeded, timing and maxDosePerPeriod to a guard, and back."""

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

from backend.regimens.fhir_dose import Dose, read_quantity, say_quantity
from backend.regimens.fhir_json import (
    Members,
    is_set,
    members,
    number,
    part,
    positive,
    refuse_unknown,
)
from backend.regimens.fhir_length import UCUM
from backend.regimens.timing import AsNeeded, BadTiming

SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
A_DAY = {("d", Fraction(1)), ("h", Fraction(24)), ("min", Fraction(1440))}
REPEAT = {
    *("frequency", "frequencyMax", "period", "periodUnit"),
    *("duration", "durationMax", "durationUnit"),
}


def is_as_needed(dosage: Members) -> bool:
    """Tell whether a Dosage is taken only when needed, for whatever reason."""
    said = dosage.get("asNeededBoolean")
    if said is not None and not isinstance(said, bool):
        raise BadTiming(f"asNeededBoolean is true or false, not {said!r}")
    reason = is_set(dosage, "asNeededCodeableConcept")
    if reason and said is not None:
        raise BadTiming(
            "asNeededBoolean and asNeededCodeableConcept exclude each other"
        )
    return bool(said) or reason


def read_guard(dosage: Members, dose: Dose) -> AsNeeded:
    """Return the guard of an as-needed Dosage.

    "Every 6 hours as needed" is at least 6 hours apart; "3 times a day as needed" is at
    most 3 in any 24 hours; maxDosePerPeriod is over 24 hours, in doses of `dose`.
    """
    most, apart = _of_timing(dosage)
    limit = _of_period(dosage, dose)
    if limit is not None and most is not None:
        most = min(limit, most)
    return AsNeeded(limit if most is None else most, apart)


def _of_timing(dosage: Members) -> tuple[int | None, timedelta | None]:
    timing = part(dosage, "timing")
    refuse_unknown(timing, "Timing", {"event", "repeat", "code"})
    if is_set(timing, "event"):
        raise BadTiming("as needed has no events")
    repeat = part(timing, "repeat")
    refuse_unknown(repeat, "Timing.repeat of a dose as needed", REPEAT)
    if not repeat:
        return None, None
    often = positive(
        repeat, "frequencyMax" if "frequencyMax" in repeat else "frequency"
    )
    unit = str(repeat.get("periodUnit"))
    if unit not in SECONDS:
        raise BadTiming(f"as needed wants a period in s, min, h or d, not {unit}")
    period = number(repeat, "period")
    if often == 1:
        return None, timedelta(seconds=float(period * SECONDS[unit]))
    if (unit, period) not in A_DAY:
        raise BadTiming(
            "as needed several times in a period wants a period of 24 hours"
        )
    return often, None


def _of_period(dosage: Members, dose: Dose) -> int | None:
    if not is_set(dosage, "maxDosePerPeriod"):
        return None
    ratio = members(dosage["maxDosePerPeriod"], "maxDosePerPeriod")
    refuse_unknown(ratio, "maxDosePerPeriod", {"numerator", "denominator"})
    most, period = (
        read_quantity(ratio.get(name), name) for name in ("numerator", "denominator")
    )
    if (period.unit, Fraction(period.amount or 0)) not in A_DAY:
        raise BadTiming("maxDosePerPeriod wants a period of 24 hours")
    one = Dose(Decimal(1), most.unit) if dose.amount is None else dose
    if most.unit != one.unit:
        raise BadTiming(f"maxDosePerPeriod is in {most.unit}, a dose in {one.unit}")
    return _doses(most, one)


def _doses(most: Dose, one: Dose) -> int:
    doses = (most.amount or Decimal(0)) // (one.amount or Decimal(1))
    if doses < 1:
        raise BadTiming("maxDosePerPeriod is less than one dose")
    return int(doses)


def say_guard(guard: AsNeeded, dose: Dose) -> dict[str, object]:
    """Return the members of a Dosage that say a guard."""
    said: dict[str, object] = {"asNeededBoolean": True}
    if guard.least_interval is not None:
        seconds = int(guard.least_interval.total_seconds())
        period, unit = (seconds // 3600, "h") if seconds % 3600 == 0 else (seconds, "s")
        repeat = {"frequency": 1, "period": period, "periodUnit": unit}
        said["timing"] = {"repeat": repeat}
    if guard.most_in_24_hours is not None:
        most = guard.most_in_24_hours * (dose.amount or Decimal(1))
        said["maxDosePerPeriod"] = {
            "numerator": say_quantity(most, dose.unit or "1"),
            "denominator": {"value": 24, "unit": "h", "system": UCUM, "code": "h"},
        }
    return said
