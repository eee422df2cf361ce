"""What we write as FHIR reads back to the same doses, and so does what others wrote."""

import json
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import assume, given
from hypothesis import strategies as st

from backend.regimens.expand import occurrences
from backend.regimens.fhir_dosage import Prescribed
from backend.regimens.fhir_timing import Circumstances
from backend.regimens.fhir_write import write_dosages
from backend.regimens.fhir_write_timing import NotInFhir
from backend.regimens.read import read
from backend.regimens.timing import (
    AsNeeded,
    Phase,
    Timing,
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


@given(timings, zones, days, amounts, units)
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
