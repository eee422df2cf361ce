"""FHIR R4 dosage instructions and requests, as the `expand` command reads them."""

import json
from collections.abc import Callable
from datetime import time, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from backend.regimens.fhir_dosage import Prescribed
from backend.regimens.timing import (
    AfterTaken,
    AsNeeded,
    ClockTimes,
    Cycle,
    DailyCount,
    Phase,
)
from tests.backend.regimens.dosages import (
    EIGHT,
    Json,
    days,
    dosage,
    mg,
    prescribed,
    prn,
    told,
)
from tests.backend.regimens.expanding import LONDON, Expanded


@pytest.fixture
def expand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Expanded:
    return Expanded(tmp_path, capsys)


EMPTY: Json = {}
PREDNISONE = [
    dosage(
        EIGHT | {"boundsPeriod": {"start": "2026-03-03", "end": "2026-03-07"}},
        40,
        sequence=1,
    ),
    *(
        dosage(EIGHT | days(5), amount, sequence=number)
        for number, amount in ((2, 30), (3, 20), (4, 10))
    ),
]
TITRATION = [
    dosage(
        {"timeOfDay": ["20:00:00"], "boundsPeriod": {"start": "2026-03-02"}},
        250,
        sequence=1,
    ),
    dosage(
        {
            "timeOfDay": ["08:00:00", "20:00:00"],
            "boundsPeriod": {"start": "2026-03-16"},
        },
        250,
        sequence=2,
    ),
    dosage(
        {
            "timeOfDay": ["08:00:00", "20:00:00"],
            "boundsPeriod": {"start": "2026-03-30"},
        },
        500,
        sequence=3,
    ),
]


def test_a_taper_is_asked_phase_by_phase(expand: Expanded) -> None:
    lines = expand.lines(PREDNISONE, "2026-03-01 2026-03-31")

    assert lines == [f"2026-03-{day:02}T08:00:00Z" for day in range(3, 23)]
    assert told(PREDNISONE) == (
        "40 mg, mornings at 08:00, from 3 March 2026, 5 days; "
        "then 30 mg, mornings at 08:00, from 8 March 2026, 5 days; "
        "then 20 mg, mornings at 08:00, from 13 March 2026, 5 days; "
        "then 10 mg, mornings at 08:00, from 18 March 2026, 5 days"
    )


def test_a_titration_goes_up_where_the_next_step_begins(expand: Expanded) -> None:
    lines = expand.lines(TITRATION, "2026-03-14 2026-03-17")

    assert lines == [
        "2026-03-14T20:00:00Z",
        "2026-03-15T20:00:00Z",
        "2026-03-16T08:00:00Z",
        "2026-03-16T20:00:00Z",
        "2026-03-17T08:00:00Z",
        "2026-03-17T20:00:00Z",
    ]


def test_sequence_decides_and_not_the_order_in_which_dosages_stand(
    expand: Expanded,
) -> None:
    assert expand.lines(PREDNISONE[::-1], "2026-03-01 2026-03-31") == expand.lines(
        PREDNISONE, "2026-03-01 2026-03-31"
    )


@pytest.mark.parametrize("numbers", [(None, None), (1, 1)])
def test_dosages_of_one_sequence_hold_together(
    expand: Expanded, numbers: tuple[int | None, int | None]
) -> None:
    both = [
        {**dosage({"timeOfDay": [at]}, amount), "sequence": number}
        for at, amount, number in zip(
            ("21:00:00", "08:00:00"), (6, 8), numbers, strict=True
        )
    ]

    assert expand.lines(both, "2026-03-01 2026-03-01") == [
        "2026-03-01T08:00:00Z",
        "2026-03-01T21:00:00Z",
    ]
    assert told(both) == "6 mg, evenings at 21:00; and 8 mg, mornings at 08:00"


def test_five_days_from_an_instant_end_before_that_time_comes_again(
    expand: Expanded,
) -> None:
    lines = expand.due(
        EIGHT | days(5),
        "2026-03-01 2026-03-31",
        LONDON,
        "--start",
        "2026-03-03T08:00:00Z",
    )

    assert lines == [f"2026-03-{day:02}T08:00:00Z" for day in range(3, 8)]


@pytest.mark.parametrize(
    ("value", "unit", "last"),
    [
        (2, "wk", "2026-02-13T08:00:00Z"),
        (1, "mo", "2026-02-27T08:00:00Z"),  # from the 31st: to the 28th, not included
        (1, "a", "2027-01-30T08:00:00Z"),
        (36, "h", "2026-02-01T08:00:00Z"),
        (90, "min", None),
    ],
)
def test_a_length_is_the_calendars_or_real_time(
    expand: Expanded, value: int, unit: str, last: str | None
) -> None:
    repeat = EIGHT | {"boundsDuration": {"value": value, "code": unit}}
    lines = expand.due(repeat, "2026-01-01 2027-12-31", LONDON, "--start", "2026-01-31")

    assert (lines[-1] if lines else None) == last


@pytest.mark.golden
def test_a_request_is_read_with_its_drug(golden: Callable[[str], Path]) -> None:
    read_ = prescribed(json.loads(golden("interop/fhir/good_mr.json").read_text()))

    assert read_ == Prescribed(
        Phase(ClockTimes((time(8), time(20)))),
        Decimal(1),
        "tablet",
        "metformin 500 mg",
    )


def per_day(value: float, unit: str, hours: int = 24) -> Json:
    return {
        "numerator": {"value": value, "unit": unit},
        "denominator": {"value": hours, "code": "h"},
    }


SIX_HOURS: Json = {"repeat": {"frequency": 1, "period": 6, "periodUnit": "h"}}


@pytest.mark.parametrize(
    ("members", "guard"),
    [
        (prn(mg(500), maxDosePerPeriod=per_day(2000, "mg")), AsNeeded(4)),
        (
            prn(mg(500), maxDosePerPeriod=per_day(4000, "mg"), timing=SIX_HOURS),
            AsNeeded(8, timedelta(hours=6)),
        ),
        ({"timing": SIX_HOURS}, AsNeeded(None, timedelta(hours=6))),
        (
            {"timing": {"repeat": {"frequency": 3, "period": 1, "periodUnit": "d"}}},
            AsNeeded(3),
        ),
        ({"maxDosePerPeriod": per_day(4, "1")}, AsNeeded(4)),
        (prn(mg(600), maxDosePerPeriod=per_day(1700, "mg")), AsNeeded(2)),
    ],
)
def test_as_needed_is_a_guard_and_asks_for_no_dose(
    expand: Expanded, members: Json, guard: AsNeeded
) -> None:
    written = prn(members)

    assert prescribed(written).timing == guard
    assert expand.lines(written, "2026-03-01 2026-03-31") == []


AFTER: Json = {"url": "urn:doseloop:fhir:after-taken", "valueBoolean": True}
START: Json = {"boundsPeriod": {"start": "2026-03-03"}}


def test_an_interval_from_the_last_taken_dose_knows_its_first(expand: Expanded) -> None:
    depot = {
        "repeat": START | {"period": 28, "periodUnit": "d", "timeOfDay": ["10:00:00"]},
        "modifierExtension": [AFTER],
    }

    assert isinstance(prescribed(depot).timing, AfterTaken)
    assert expand.lines(depot, "2026-03-01 2026-12-31") == ["2026-03-03T10:00:00Z"]
    assert told(depot) == (
        "28 days after the last dose taken, at 10:00, first on 3 March 2026"
    )


def test_a_cycle_is_said_by_an_extension_that_nobody_may_overlook() -> None:
    days = [
        {"url": "on", "valuePositiveInt": 21},
        {"url": "off", "valuePositiveInt": 7},
    ]
    cycle = {
        "repeat": START | EIGHT,
        "modifierExtension": [{"url": "urn:doseloop:fhir:cycle", "extension": days}],
    }
    timing = prescribed(cycle).timing

    assert isinstance(timing, Phase)
    assert isinstance(timing.timing, Cycle)
    assert (timing.timing.on_days, timing.timing.off_days) == (21, 7)


def test_a_number_a_day_is_a_prescription_but_has_no_instants(expand: Expanded) -> None:
    twice = {"repeat": {"frequency": 2, "period": 1, "periodUnit": "d"}}

    assert prescribed(twice).timing == Phase(DailyCount(2))
    assert "needs timeOfDay" in expand.refusal(twice)
    assert "need times" in expand.refusal({"kind": "daily_count", "n": 2})


def test_our_own_json_expands_as_well(expand: Expanded) -> None:
    ours = {"kind": "clock_times", "times": ["08:00", "20:00"]}

    assert expand.lines(ours, "2026-03-28 2026-03-28") == [
        "2026-03-28T08:00:00Z",
        "2026-03-28T20:00:00Z",
    ]


REQUEST: Json = {"resourceType": "MedicationRequest", "status": "active"}
BAD: list[tuple[object, str]] = [
    ([], "list of at least one"),
    ([1], "Dosage is a JSON object"),
    ({"timing": {"repeat": EIGHT}, "asNeeded": True}, "Dosage has no asNeeded"),
    (dosage(EIGHT, modifierExtension=[{"url": "u"}]), "may change everything"),
    ({"doseAndRate": []}, "list of at least one"),
    (mg(1), "no timing"),
    (dosage(EIGHT) | mg(0), "value lies between"),
    (dosage(EIGHT) | mg(-1), "value lies between"),
    (dosage(EIGHT, doseAndRate=[EMPTY, EMPTY]), "more than one dose"),
    (dosage(EIGHT, doseAndRate=[{"doseRange": EMPTY}]), "doseRange leaves"),
    (
        dosage(EIGHT, doseAndRate=[{"doseQuantity": {"value": 1, "comparator": "<"}}]),
        "comparator",
    ),
    (dosage(EIGHT, maxDosePerLifetime={"value": 1}), "maxDosePerLifetime"),
    (dosage(EIGHT, asNeededBoolean="yes"), "true or false"),
    (dosage(EIGHT, asNeededBoolean=True), "has no timeOfDay"),
    (prn(), "most in 24 h or a least interval"),
    (
        prn(maxDosePerPeriod=per_day(4, "1", 12)),
        "period of 24 hours",
    ),
    (
        prn(mg(500), maxDosePerPeriod=per_day(4, "g")),
        "is in g, a dose in mg",
    ),
    (
        prn(mg(500), maxDosePerPeriod=per_day(400, "mg")),
        "less than one dose",
    ),
    ([dosage(EIGHT, sequence=1), dosage(EIGHT)], "on every dosage or on none"),
    ([dosage(EIGHT, sequence=1), dosage(EIGHT, sequence=2)], "when step 2"),
    ([dosage(EIGHT, sequence=1), dosage(EIGHT | days(5), sequence=2)], "from when"),
    ([dosage(EIGHT, 1), dosage(EIGHT)], "amounts in one unit"),
    ([dosage(EIGHT), prn(timing=SIX_HOURS)], "of its own"),
    (
        [
            dosage(EIGHT | {"boundsPeriod": {"start": "2026-03-09"}}, sequence=1),
            dosage(EIGHT | {"boundsPeriod": {"start": "2026-03-03"}}, sequence=2),
        ],
        "want phases in order",
    ),
    ({"resourceType": "Medication"}, "want a MedicationRequest"),
    (REQUEST, "no dosageInstruction"),
    (REQUEST | {"status": "draft", "dosageInstruction": PREDNISONE}, "status draft"),
    (REQUEST | {"intent": "plan", "dosageInstruction": PREDNISONE}, "intent plan"),
    (REQUEST | {"doNotPerform": True, "dosageInstruction": PREDNISONE}, "not to take"),
    ({"kind": "lunar"}, "no kind of timing"),
    ({"kind": "clock_times", "times": ["08:00"], "tmies": 1}, "has no tmies"),
    (
        {"repeat": EIGHT, "modifierExtension": [AFTER]},
        "one dose every so many|after the last taken",
    ),
    (
        {"repeat": EIGHT | START | {"count": 3}, "modifierExtension": [AFTER]},
        "no end, count or meal",
    ),
]


@pytest.mark.parametrize(("written", "why"), BAD, ids=[why for _, why in BAD])
def test_what_is_no_prescription_is_refused_in_one_line(
    expand: Expanded, written: object, why: str
) -> None:
    err = expand.refusal(written)

    assert any(part in err for part in why.split("|")), err


def test_json_without_end_is_refused_and_not_followed(expand: Expanded) -> None:
    deep = '{"kind": "phase", "timing": ' * 5000 + "{}" + "}" * 5000
    code, lines, err = expand.text(deep)

    assert (code, lines, err.count("\n")) == (2, [], 1)
