"""Dosages as tests write them, and what is read from them."""

from datetime import time

from backend.regimens.fhir_dosage import Prescribed
from backend.regimens.fhir_meals import Meals
from backend.regimens.fhir_timing import Circumstances
from backend.regimens.read import read
from backend.regimens.wording import sentence
from backend.regimens.zones import zone_named

PARIS = zone_named("Europe/Paris")
Json = dict[str, object]
MEALS: Meals = {"breakfast": time(7, 30), "dinner": time(19), "bedtime": time(23, 30)}
EIGHT: Json = {"timeOfDay": ["08:00:00"]}


def mg(value: float, unit: str = "mg") -> Json:
    return {
        "doseAndRate": [
            {
                "doseQuantity": {
                    "value": value,
                    "unit": unit,
                    "system": "http://unitsofmeasure.org",
                    "code": unit,
                }
            }
        ]
    }


def dosage(repeat: Json, amount: float | None = None, **members: object) -> Json:
    dose: Json = {} if amount is None else mg(amount)
    return {"timing": {"repeat": repeat}, **dose, **members}


def prn(*more: Json, **members: object) -> Json:
    said: Json = {"asNeededBoolean": True, **members}
    for one in more:
        said |= one
    return said


def days(number: int) -> Json:
    return {"boundsDuration": {"value": number, "unit": "d"}}


def prescribed(written: object, meals: Meals = MEALS) -> Prescribed:
    return read(written, Circumstances(PARIS, meals=meals, untimed=True))


def told(written: object) -> str:
    read_ = prescribed(written)
    return sentence(read_.timing, zone=PARIS, amount=read_.amount, unit=read_.unit)
