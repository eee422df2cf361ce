"""How much of a medicine, and how with meals, as a FHIR Dosage says it."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from backend.regimens.fhir_json import (
    Members,
    is_set,
    members,
    number,
    refuse_unknown,
    several,
    text,
)
from backend.regimens.fhir_length import UCUM
from backend.regimens.timing import BadTiming, Food

TIMING_EVENT = "http://terminology.hl7.org/CodeSystem/v3-TimingEvent"
SNOMED = "http://snomed.info/sct"
SAID: Mapping[Food, tuple[str, str]] = {
    Food.BEFORE: ("AC", "before meal"),
    Food.WITH: ("C", "with meal"),
    Food.AFTER: ("PC", "after meal"),
}
# The two of R4's value set additional-instruction-codes that speak of food.
LABELS: Mapping[tuple[str, str], Food] = {
    **{(TIMING_EVENT, code): food for food, (code, _) in SAID.items()},
    (SNOMED, "311501008"): Food.BEFORE,  # half to one hour before food
    (SNOMED, "311504000"): Food.WITH,  # with or after food
}


@dataclass(frozen=True, slots=True)
class Dose:
    """An amount in a UCUM unit; both are empty where the Dosage names none."""

    amount: Decimal | None = None
    unit: str | None = None


def read_dose(dosage: Members) -> Dose:
    """Return the amount of one dose; raises BadTiming where it is left open."""
    if not is_set(dosage, "doseAndRate"):
        return Dose()
    given = [members(each, "doseAndRate") for each in several(dosage, "doseAndRate")]
    if len(given) > 1:
        raise BadTiming("doseAndRate names more than one dose")
    known = {"type", "doseRange", "doseQuantity"}
    refuse_unknown(
        given[0], "doseAndRate", {*known, "rateRatio", "rateRange", "rateQuantity"}
    )
    if is_set(given[0], "doseRange"):
        raise BadTiming("doseRange leaves the amount open")
    if not is_set(given[0], "doseQuantity"):
        return Dose()
    return read_quantity(given[0]["doseQuantity"], "doseQuantity")


def read_quantity(value: object, what: str) -> Dose:
    """Return a Quantity; its unit is the UCUM code, else the words it is given in."""
    quantity = members(value, what)
    known = {"value", "comparator", "unit", "system", "code"}
    refuse_unknown(quantity, what, known)
    if is_set(quantity, "comparator"):
        raise BadTiming(f"{what} with a comparator leaves the amount open")
    amount = number(quantity, "value", least="0.000001")
    coded = text(quantity, "system") in (None, UCUM)
    unit = (text(quantity, "code") if coded else None) or text(quantity, "unit")
    exact = Decimal(amount.numerator) / Decimal(amount.denominator)
    return Dose(exact, unit or "1")


def say_quantity(amount: Decimal, unit: str) -> dict[str, object]:
    """Return a Quantity in UCUM as JSON."""
    value = int(amount) if amount == amount.to_integral_value() else float(amount)
    return {"value": value, "unit": unit, "system": UCUM, "code": unit}


def read_food(dosage: Members) -> Food | None:
    """Return how a dose is taken with meals, None where that is not said in code."""
    if not is_set(dosage, "additionalInstruction"):
        return None
    found: set[Food] = set()
    for each in several(dosage, "additionalInstruction"):
        concept = members(each, "additionalInstruction")
        codings = several(concept, "coding") if is_set(concept, "coding") else []
        for one in codings:
            coding = members(one, "coding")
            key = text(coding, "system") or "", text(coding, "code") or ""
            if key in LABELS:
                found.add(LABELS[key])
    if len(found) > 1:
        raise BadTiming("additionalInstruction says both before and with or after food")
    return found.pop() if found else None


def say_food(food: Food) -> dict[str, object]:
    """Return a label as an additionalInstruction."""
    code, words = SAID[food]
    coding = {"system": TIMING_EVENT, "code": code, "display": words}
    return {"coding": [coding], "text": words}
