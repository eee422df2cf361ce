"""FHIR R4 dosage instructions, one or several, to one prescription.

Instructions of one `sequence` hold together, those of the next follow when they end
(Dosage.sequence). A MedicationRequest that is no order to take something is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import cast

from backend.regimens.fhir_dose import read_dose, read_food
from backend.regimens.fhir_guard import is_as_needed, read_guard
from backend.regimens.fhir_json import (
    Members,
    is_set,
    members,
    refuse_unknown,
    several,
    text,
)
from backend.regimens.fhir_length import after
from backend.regimens.fhir_timing import Circumstances, read_timing
from backend.regimens.timing import (
    AfterTaken,
    BadTiming,
    Phase,
    Taper,
    Timing,
    Together,
)
from backend.regimens.zones import start_of

DOSAGE = {
    *("sequence", "text", "additionalInstruction", "patientInstruction", "timing"),
    *("asNeededBoolean", "asNeededCodeableConcept", "site", "route", "method"),
    *("doseAndRate", "maxDosePerPeriod", "maxDosePerAdministration"),
    "maxDosePerLifetime",
}
Bound = date | datetime | None
NO_ORDER = {
    "status": ("draft", "cancelled", "entered-in-error"),
    "intent": ("proposal", "plan", "option"),
}


@dataclass(frozen=True, slots=True)
class Prescribed:
    """What to take when. `amount` is that of every dose whose phase has none."""

    timing: Timing
    amount: Decimal | None = None
    unit: str | None = None
    drug: str | None = None


def read_prescription(resource: object, at: Circumstances) -> Prescribed:
    """Return what a MedicationRequest, a list of Dosages or one Dosage prescribes.

    Raises BadTiming where it cannot be carried out as written.
    """
    if isinstance(resource, list):
        given = cast(list[object], resource)
        return _read(several({"dosageInstruction": given}, "dosageInstruction"), at)
    request = members(resource, "a prescription")
    kind = text(request, "resourceType")
    if kind is None:
        return _read([request], at)
    if kind != "MedicationRequest":
        raise BadTiming(f"want a MedicationRequest, a Dosage or a Timing, not {kind}")
    _check_order(request)
    if not is_set(request, "dosageInstruction"):
        raise BadTiming("the MedicationRequest has no dosageInstruction")
    read = _read(several(request, "dosageInstruction"), at)
    return replace(read, drug=_drug(request))


def _check_order(request: Members) -> None:
    if is_set(request, "modifierExtension"):
        raise BadTiming("a modifierExtension may change everything and is not known")
    for name, wrong in NO_ORDER.items():
        if request.get(name) in wrong:
            raise BadTiming(
                f"{name} {request[name]}: this is no order to take a medicine"
            )
    if request.get("doNotPerform", False) is not False:
        raise BadTiming("doNotPerform: this is an order not to take a medicine")


def _drug(request: Members) -> str | None:
    if not is_set(request, "medicationCodeableConcept"):
        return None
    concept = members(request["medicationCodeableConcept"], "medicationCodeableConcept")
    if is_set(concept, "text") or not is_set(concept, "coding"):
        return text(concept, "text")
    return text(members(several(concept, "coding")[0], "coding"), "display")


def _read(instructions: Sequence[object], at: Circumstances) -> Prescribed:
    dosages = [members(each, "Dosage") for each in instructions]
    for dosage in dosages:
        refuse_unknown(dosage, "Dosage", DOSAGE)
        if is_set(dosage, "maxDosePerLifetime"):
            raise BadTiming(
                "maxDosePerLifetime would end it, and nobody counts that far"
            )
    if len(dosages) == 1:
        return _alone(dosages[0], at)
    phases: list[Phase] = []
    for number, group in enumerate(_in_sequence(dosages), start=1):
        if phases:
            at = replace(at, start=_end_of(phases[-1]))
        step = _step(group, at)
        if phases and step.start is None:
            step = replace(step, start=at.start)  # instants alone say no start
        phases.append(step)
        if number > 1 and step.start is None:
            raise BadTiming(f"nothing says when step {number} of the dosages begins")
    return Prescribed(Taper(tuple(phases)) if phases[1:] else phases[0])


def _alone(dosage: Members, at: Circumstances) -> Prescribed:
    dose = read_dose(dosage)
    if is_as_needed(dosage):
        return Prescribed(read_guard(dosage, dose), dose.amount, dose.unit)
    timing = read_timing(_timing_of(dosage), at)
    food = read_food(dosage)
    if food and isinstance(timing, AfterTaken):
        raise BadTiming("after the last taken dose there is no meal to take it with")
    if isinstance(timing, Phase):
        timing = replace(timing, food=timing.food or food)
    return Prescribed(timing, dose.amount, dose.unit)


def _in_sequence(dosages: Sequence[Members]) -> list[list[Members]]:
    """Return the dosages that hold together, step by step."""
    numbers = [dosage.get("sequence") for dosage in dosages]
    if all(number is None for number in numbers):
        return [list(dosages)]
    if any(not isinstance(n, int) or isinstance(n, bool) for n in numbers):
        raise BadTiming("sequence is a whole number, on every dosage or on none")
    steps: dict[int, list[Members]] = {}
    for number, dosage in zip(cast(list[int], numbers), dosages, strict=True):
        steps.setdefault(number, []).append(dosage)
    return [steps[number] for number in sorted(steps)]


def _step(dosages: Sequence[Members], at: Circumstances) -> Phase:
    parts = [_part(dosage, at) for dosage in dosages]
    if len(parts) == 1:
        return parts[0]
    starts, ends = ([part.start for part in parts], [part.end for part in parts])
    return Phase(
        Together(tuple(parts)),
        min(_comparable(starts, at), default=None),
        max(_comparable(ends, at), default=None) if _alike(ends) else None,
    )


def _comparable(bounds: Sequence[Bound], at: Circumstances) -> list[date | datetime]:
    """Return bounds as dates or, of both kinds, as instants; none where one is open."""
    known = [bound for bound in bounds if bound is not None]
    if len(known) < len(bounds) or _alike(known):
        return known if len(known) == len(bounds) else []
    return [
        bound if isinstance(bound, datetime) else start_of(bound, at.zone)
        for bound in known
    ]


def _alike(bounds: Sequence[Bound]) -> bool:
    return len({type(bound) for bound in bounds}) == 1


def _part(dosage: Members, at: Circumstances) -> Phase:
    if is_as_needed(dosage):
        raise BadTiming(
            "as needed beside or after other dosages is a regimen of its own"
        )
    read = _alone(dosage, at)
    if not isinstance(read.timing, Phase):
        raise BadTiming("after the last taken dose is a regimen of its own")
    return replace(read.timing, amount=read.amount, unit=read.unit)


def _end_of(phase: Phase) -> date | datetime | None:
    return None if phase.end is None else after(phase.end)


def _timing_of(dosage: Members) -> object:
    if not is_set(dosage, "timing"):
        raise BadTiming("the Dosage has no timing: nothing says when")
    return dosage["timing"]
