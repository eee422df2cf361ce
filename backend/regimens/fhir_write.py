"""A prescription as FHIR R4 dosage instructions, which read back to the same doses."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from itertools import zip_longest
from zoneinfo import ZoneInfo

from backend.regimens.fhir_dose import Dose, say_food, say_quantity
from backend.regimens.fhir_guard import say_guard
from backend.regimens.fhir_write_timing import (
    Bound,
    Json,
    NoDose,
    NotInFhir,
    is_past,
    say_following,
    say_timing,
)
from backend.regimens.timing import (
    AfterTaken,
    AsNeeded,
    Phase,
    Taper,
    Timing,
    Together,
)
from backend.regimens.wording import sentence
from backend.regimens.zones import DAY, SECOND


def write_dosages(
    timing: Timing,
    *,
    zone: ZoneInfo,
    amount: Decimal | None = None,
    unit: str | None = None,
) -> list[Json]:
    """Return `MedicationRequest.dosageInstruction` as JSON, with a sentence each.

    `amount` and `unit` are those of every dose whose phase has none. A timing with an
    anchor and without a start begins at its anchor. Raises NotInFhir for what R4 cannot
    say: no dose at all, or what is counted from elsewhere than its start.
    """
    dose = Dose(amount, unit)
    match timing:
        case AsNeeded():
            dosage = say_guard(timing, dose) | _amount(dose)
            return [dosage | {"text": _text(timing, dose, zone)}]
        case AfterTaken():
            dosage = {"timing": say_following(timing)} | _amount(dose)
            return [dosage | {"text": _text(timing, dose, zone)}]
        case Taper(phases):
            steps = [_step(phase, dose, zone) for phase in _cut(phases)]
            said = [
                one | {"sequence": number}
                for number, step in enumerate(filter(None, steps), start=1)
                for one in step
            ]
        case Phase() | Together():
            said = _step(timing, dose, zone)
        case _:
            said = _step(Phase(timing), dose, zone)
    if not said:
        raise NoDose
    return said


def _step(timing: Phase | Together, dose: Dose, zone: ZoneInfo) -> list[Json]:
    """Return the dosages that hold together, without those that ask for none."""
    parts = _parts(timing)
    if parts[1:] and dose.amount and any(part.amount is None for part in parts):
        # Two parts that meet ask for one dose of the regimen's, two dosages for two.
        raise NotInFhir("parts that hold together without amounts of their own")
    said: list[Json] = []
    for part in parts:
        try:
            said.append(_said(part, dose, zone))
        except NoDose:
            continue
    return said


def _own(phase: Phase, dose: Dose) -> Dose:
    return dose if phase.amount is None else Dose(phase.amount, phase.unit)


def _said(phase: Phase, dose: Dose, zone: ZoneInfo) -> Json:
    dose = _own(phase, dose)
    said = {"timing": say_timing(phase, zone)} | _amount(dose)
    if phase.food is not None:
        said["additionalInstruction"] = [say_food(phase.food)]
    return said | {"text": _text(phase, dose, zone)}


def _text(timing: Timing, dose: Dose, zone: ZoneInfo) -> str:
    return sentence(timing, zone=zone, amount=dose.amount, unit=dose.unit)


def _amount(dose: Dose) -> Json:
    if dose.amount is None or dose.unit is None:
        return {}
    return {"doseAndRate": [{"doseQuantity": say_quantity(dose.amount, dose.unit)}]}


def _parts(timing: Phase | Together) -> list[Phase]:
    """Return what a step holds, each within the bounds of the step."""
    match timing:
        case Together(parts):
            return list(parts)
        case Phase(Together(parts), start, end):
            return [one for part in parts if (one := _within(part, start, end))]
        case _:
            return [timing]


def _within(part: Phase, start: Bound, end: Bound) -> Phase | None:
    """Return a part within further bounds, None where nothing is left of it."""
    begun = _narrower(part.start, start, later=True)
    over = _narrower(part.end, end, later=False)
    if begun is not None and over is not None and is_past(begun, over):
        return None
    if part.count is not None and begun != part.start:
        raise NotInFhir("a count within bounds of its own and of its step")
    return replace(part, start=begun, end=over)


def _narrower(one: Bound, other: Bound, *, later: bool) -> Bound:
    if one is None or other is None:
        return one or other
    if isinstance(one, datetime) != isinstance(other, datetime):
        raise NotInFhir("a date and an instant bound the same doses")
    return max(one, other) if later else min(one, other)


def _cut(phases: tuple[Phase, ...]) -> Iterator[Phase]:
    """Yield the steps, each ending before the next begins."""
    for phase, following in zip_longest(phases, phases[1:]):
        end = None if following is None else _before(following.start)
        step = _within(phase, phase.start, end)
        if step is not None:
            yield step


def _before(start: date | datetime | None) -> Bound:
    if start is None:
        return None
    return start - (SECOND if isinstance(start, datetime) else DAY)
