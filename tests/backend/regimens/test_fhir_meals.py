"""Meals and sleep in FHIR prescriptions: the patient's own times, and labels."""

from datetime import time
from pathlib import Path

import pytest

from backend.regimens.timing import BadTiming, ClockTimes, Food, Phase
from tests.backend.regimens.dosages import EIGHT, Json, dosage, prescribed, told
from tests.backend.regimens.expanding import LONDON, Expanded


@pytest.fixture
def expand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Expanded:
    return Expanded(tmp_path, capsys)


def test_meals_are_the_patients_own(expand: Expanded) -> None:
    before = {"when": ["ACM", "ACV"], "offset": 30}
    meals = ("--meal", "breakfast=07:30", "--meal", "dinner=19:00")

    assert expand.due(before, "2026-03-28 2026-03-29", LONDON, *meals) == [
        "2026-03-28T07:00:00Z",
        "2026-03-28T18:30:00Z",
        "2026-03-29T06:00:00Z",
        "2026-03-29T17:30:00Z",
    ]
    assert told({"repeat": before}) == "daily at 07:00 and 18:30, before food"
    assert told({"repeat": {"when": ["PCV"], "offset": 60}}) == (
        "evenings at 20:00, after food"
    )
    assert told({"repeat": {"when": ["HS"]}}) == "nights at 23:30"


@pytest.mark.parametrize(
    ("repeat", "why"),
    [
        ({"when": ["AC"]}, "no lunch time is known"),
        ({"when": ["CM"], "offset": 5}, "offset says nothing"),
        ({"when": ["HS"], "offset": 30, "timeOfDay": ["08:00:00"]}, "stand together"),
        ({"when": ["PCV"], "offset": 400}, "another day"),
        ({"when": ["PCV"], "offset": 1441}, "offset lies between"),
        ({"when": ["PCV"], "offset": 1.5}, "whole number of minutes"),
        ({"when": ["ACM", "PCV"]}, "write them apart"),
        ({"when": ["ACM"], "frequency": 2, "period": 1, "periodUnit": "d"}, "name 1"),
    ],
)
def test_events_that_leave_a_choice_open_are_refused(repeat: Json, why: str) -> None:
    with pytest.raises(BadTiming, match=why):
        prescribed({"repeat": repeat})


@pytest.mark.parametrize(
    ("system", "code", "food"),
    [
        ("http://snomed.info/sct", "311504000", Food.WITH),
        ("http://snomed.info/sct", "311501008", Food.BEFORE),
        ("http://terminology.hl7.org/CodeSystem/v3-TimingEvent", "PC", Food.AFTER),
        ("http://snomed.info/sct", "417929005", None),
    ],
)
def test_how_it_goes_with_food_is_an_additional_instruction(
    system: str, code: str, food: Food | None
) -> None:
    said = [{"coding": [{"system": system, "code": code}]}]
    read_ = prescribed(dosage(EIGHT, additionalInstruction=said))

    assert read_.timing == Phase(ClockTimes((time(8),)), food=food)


@pytest.mark.parametrize("meal", ["brunch=10:00", "dinner", "dinner=25:00"])
def test_a_meal_that_nobody_knows_is_refused(expand: Expanded, meal: str) -> None:
    assert expand.refusal({"repeat": EIGHT}, "--meal", meal)
