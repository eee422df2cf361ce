"""What we write as FHIR reads back to the same doses, and so does what others wrote."""

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from backend.regimens.expand import occurrences
from backend.regimens.fhir_dosage import Prescribed
from backend.regimens.fhir_timing import Circumstances
from backend.regimens.fhir_write import write_dosages
from backend.regimens.fhir_write_timing import NotInFhir
from backend.regimens.read import read
from backend.regimens.timing import (
    AsNeeded,
    ClockTimes,
    DailyCount,
    Instants,
    Monthly,
    Phase,
    Taper,
    Timing,
    Together,
    Weekday,
    Weekdays,
)
from backend.regimens.zones import zone_named
from tests.backend.regimens.timings import amounts, days, timings, units

PARIS = zone_named("Europe/Paris")
zones = st.sampled_from(sorted(available_timezones())).map(zone_named)
DAY = timedelta(days=1)
Due = list[tuple[datetime | None, date, Decimal | None, str | None]]


def written(prescribed: Prescribed, zone: ZoneInfo) -> object:
    """Return dosage instructions as they leave and come back: through text."""
    dosages = write_dosages(
        prescribed.timing,
        zone=zone,
        amount=prescribed.amount,
        unit=prescribed.unit,
    )
    return json.loads(json.dumps(dosages), parse_float=Decimal)


def due(prescribed: Prescribed, zone: ZoneInfo, first: date, length: int) -> Due:
    found = occurrences(
        prescribed.timing, zone=zone, first=first, last=first + length * DAY
    )
    return [
        (
            one.due_at,
            one.dose_day,
            prescribed.amount if one.amount is None else one.amount,
            prescribed.unit if one.unit is None else one.unit,
        )
        for one in found
    ]


def begun(timing: Timing) -> Timing:
    """Return a timing with the start that FHIR needs: that of its weeks."""
    match timing:
        case Weekdays(_, _, every, date() as anchor) if every > 1:
            return Phase(timing, anchor)
        case Phase(Weekdays(_, _, every, date() as anchor), None) if every > 1:
            return Phase(timing.timing, anchor, timing.end, timing.count)
        case _:
            return timing


# Instants have no bounds of their own in FHIR: they follow the step before.
THEN_ONCE = Taper(
    (
        Phase(DailyCount(1), date(2020, 1, 2)),
        Phase(
            Instants((datetime(2020, 12, 31, 22, 39, tzinfo=UTC),)), date(2020, 2, 1)
        ),
    )
)


@given(timings, zones, days, amounts, units)
@example(THEN_ONCE, PARIS, date(2020, 1, 1), Decimal(2), "mL")
def test_what_we_write_reads_back_to_the_same_doses(
    timing: Timing, zone: ZoneInfo, first: date, amount: Decimal, unit: str
) -> None:
    ours = Prescribed(begun(timing), amount, unit)
    try:
        dosages = written(ours, zone)
    except NotInFhir:
        assume(False)
        return
    theirs = read(dosages, Circumstances(zone, untimed=True))

    for start in (first, date(2020, 1, 1), date(2026, 3, 20)):
        assert due(theirs, zone, start, 60) == due(ours, zone, start, 60)
    if isinstance(timing, AsNeeded):
        assert theirs.timing == timing


Json = dict[str, object]


def having(**members: st.SearchStrategy[object]) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries(members)


def as_instant(day: date, at: time, offset: str) -> str:
    return f"{day}T{at:%H:%M}:00{offset}"


dates = st.dates(date(2025, 1, 1), date(2027, 12, 31))
clock = st.times().map(lambda at: f"{at:%H:%M}:00")
offsets = st.sampled_from(["Z", "+01:00", "-09:30", "+14:00"])
start = dates.map(str) | st.builds(as_instant, dates, st.times(), offsets)
bounds = having(boundsPeriod=having(start=start))
walls = st.one_of(
    having(timeOfDay=st.lists(clock, min_size=1, max_size=4)),
    having(
        timeOfDay=st.lists(clock, min_size=1, max_size=2),
        dayOfWeek=st.lists(st.sampled_from([str(d) for d in Weekday]), min_size=1),
        period=st.integers(1, 4),
        periodUnit=st.just("wk"),
    ),
    having(
        timeOfDay=st.lists(clock, min_size=1, max_size=2),
        period=st.integers(1, 9),
        periodUnit=st.sampled_from(["d", "wk", "mo", "a"]),
    ),
)
hours = having(
    frequency=st.integers(1, 4),
    period=st.integers(2, 100),
    periodUnit=st.sampled_from(["h", "min"]),
)
counts = having() | having(count=st.integers(1, 20))


@given(bounds, walls | hours, counts, zones)
def test_what_others_wrote_leaves_as_the_same_doses(
    bound: Json, often: Json, counted: Json, zone: ZoneInfo
) -> None:
    theirs = read({"repeat": {**bound, **often, **counted}}, Circumstances(zone))
    ours = read(written(theirs, zone), Circumstances(zone))

    for first in (date(2025, 1, 1), date(2026, 3, 20), date(2027, 9, 1)):
        assert due(ours, zone, first, 20) == due(theirs, zone, first, 20)


@pytest.mark.parametrize(
    ("timing", "why"),
    [
        (DailyCount(0), "no dose"),
        (
            Phase(Monthly((time(8),), date(2026, 1, 31)), date(2026, 2, 1)),
            "not counted from its start",
        ),
        (
            Together((Phase(ClockTimes((time(8),))), Phase(ClockTimes((time(9),))))),
            "without amounts of their own",
        ),
    ],
)
def test_what_fhir_cannot_say_is_refused(timing: Timing, why: str) -> None:
    with pytest.raises(NotInFhir, match=why):
        write_dosages(timing, zone=PARIS, amount=Decimal(1), unit="1")


def test_a_taper_is_written_as_dosages_in_sequence_with_a_sentence_each() -> None:
    every = [Phase(ClockTimes((time(8),)), date(2026, 3, day)) for day in (3, 8)]
    timing = Taper(
        tuple(
            Phase(one.timing, one.start, amount=Decimal(amount), unit="mg")
            for one, amount in zip(every, (40, 30), strict=True)
        )
    )
    first, second = write_dosages(timing, zone=PARIS)

    assert first == {
        "sequence": 1,
        "text": "40 mg, mornings at 08:00, from 3 March 2026, 5 days",
        "timing": {
            "repeat": {
                "timeOfDay": ["08:00:00"],
                "boundsPeriod": {"start": "2026-03-03", "end": "2026-03-07"},
            }
        },
        "doseAndRate": [
            {
                "doseQuantity": {
                    "value": 40,
                    "unit": "mg",
                    "system": "http://unitsofmeasure.org",
                    "code": "mg",
                }
            }
        ],
    }
    assert second["sequence"] == 2
