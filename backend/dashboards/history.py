"""What one patient's timeline shows: doses, windows, silences, heart rate."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import RowMapping

from analytics.matching import ON_TIME
from analytics.records import Series
from backend.dashboards.charts.axis import DoseMark, HeartRateBin, Span, Window
from backend.dashboards.charts.chart import Chart
from backend.dashboards.charts.palette import DoseState
from backend.dashboards.charts.timeline import timeline
from backend.dashboards.visible import Sight
from backend.dashboards.words import dose_state
from backend.vitals.read import read

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
HEART_RATE = "8867-4"
RANGES = (90, 30, 7, 1)
# Wide enough that a line has at most some 180 points: it stays legible and quick.
BINS = {90: DAY, 30: 6 * HOUR, 7: HOUR, 1: timedelta(minutes=10)}
DAY_STARTS = time(3)


@dataclass(frozen=True, slots=True)
class Stretch:
    """The span a timeline shows, whole hours or days, so that drawings are reused."""

    days: int
    first: datetime
    last: datetime
    zone: ZoneInfo


def stretch(days: int, zone: str, now: datetime) -> Stretch:
    """Return the last `days` days: to the next full hour, or the end of the day."""
    local = now.astimezone(ZoneInfo(zone))
    if days > 7:
        midnight = datetime.combine(local.date() + DAY, time(), local.tzinfo)
        last = midnight.astimezone(UTC)
    else:
        last = now.replace(minute=0, second=0, microsecond=0) + HOUR
    return Stretch(days, last - days * DAY, last, ZoneInfo(zone))


def doses_of(
    sight: Sight, patient_id: UUID, first: datetime, last: datetime
) -> Sequence[RowMapping]:
    """Return the scheduled doses whose window touches the span, with what was taken."""
    return sight.rows(
        """d.regimen_id, d.occurrence, d.dose_day, d.due_at, d.window_from,
        d.window_until, d.label, d.amount, d.unit, e.occurred_at, e.evidence,
        e.dose_event_id, g.drug, p.name AS product""",
        """scheduled_dose d
        JOIN regimen g ON g.patient_id = d.patient_id AND g.regimen_id = d.regimen_id
        LEFT JOIN product p ON p.gtin = g.gtin
        LEFT JOIN dose_event e ON e.patient_id = d.patient_id
            AND e.dose_event_id = d.dose_event_id""",
        (
            "d.patient_id = :patient",
            "d.dose_day BETWEEN CAST(:first AS date) - 1 AND CAST(:last AS date) + 1",
            "d.window_until > :first AND d.window_from < :last",
        ),
        of="d.patient_id",
        order="COALESCE(d.due_at, d.window_until), d.occurrence",
        given={"patient": patient_id, "first": first, "last": last},
    )


def extras_of(
    sight: Sight, patient_id: UUID, first: datetime, last: datetime
) -> Sequence[RowMapping]:
    """Return the doses that nobody had scheduled."""
    return sight.rows(
        "e.occurred_at",
        "dose_event e",
        (
            "e.patient_id = :patient AND e.voided_at IS NULL",
            "e.label IN ('extra', 'unmatched')",
            "e.occurred_at >= :first AND e.occurred_at < :last",
        ),
        of="e.patient_id",
        given={"patient": patient_id, "first": first, "last": last},
    )


def timeline_of(
    sight: Sight,
    patient_id: UUID,
    span: Stretch,
    doses: Sequence[RowMapping],
    heard_until: datetime | None,
) -> Chart:
    """Return the chart of a span; `doses` as `doses_of` returns them."""
    extras = extras_of(sight, patient_id, span.first, span.last)
    inside = [dose for dose in doses if span.first <= _at(dose) < span.last]
    marks = [DoseMark(_at(dose), dose_state(dose["label"])) for dose in inside]
    marks += [DoseMark(row["occurred_at"], DoseState.EXTRA) for row in extras]
    beats = read(
        sight.session,
        [patient_id],
        HEART_RATE,
        first=span.first,
        until=span.last,
        reader=sight.reader,
        now=sight.now,
    )[patient_id]
    return timeline(
        doses=marks,
        windows=[
            Window(dose["due_at"] - ON_TIME, dose["due_at"] + ON_TIME)
            for dose in inside
            if dose["due_at"] is not None
        ],
        heart_rate=bins(beats, BINS[span.days], span.zone),
        silences=_silences(doses, span, heard_until, sight.now),
        first=span.first,
        last=span.last,
        zone=span.zone,
        day_starts=DAY_STARTS,
    )


def bins(series: Series, width: timedelta, zone: ZoneInfo) -> list[HeartRateBin]:
    """Return the 5th, 50th and 95th percentile of each bin that holds a sample.

    Bins begin at local midnight of the first day; one without samples is left out.
    """
    if not len(series.values):
        return []
    start = datetime.fromtimestamp(float(series.times[0]) / 1e6, zone)
    midnight = datetime.combine(start.date(), time(), zone).timestamp() * 1e6
    step = width / timedelta(microseconds=1)
    number = ((series.times - midnight) // step).astype(np.int64)
    edges = np.flatnonzero(np.diff(number)) + 1
    made: list[HeartRateBin] = []
    for values, index in zip(
        np.split(series.values, edges), number[np.r_[0, edges]], strict=True
    ):
        low, median, high = (float(n) for n in np.percentile(values, (5, 50, 95)))
        begins = datetime.fromtimestamp((midnight + int(index) * step) / 1e6, UTC)
        made.append(HeartRateBin(begins, begins + width, low, median, high))
    return made


def _at(dose: RowMapping) -> datetime:
    """Where a dose stands: when it was taken, else when it was due."""
    return dose["occurred_at"] or dose["due_at"] or dose["window_until"]


def _silences(
    doses: Sequence[RowMapping],
    span: Stretch,
    heard_until: datetime | None,
    now: datetime,
) -> list[Span]:
    """Return when nothing is known: around unknown doses, and since last heard."""
    found: list[Span] = []
    for dose in doses:
        if dose["label"] != "unknown":
            continue
        opens, closes = dose["window_from"], dose["window_until"]
        if (
            found
            and opens - found[-1].until <= 12 * HOUR
            and _unbroken(doses, found[-1].until, opens)
        ):
            found[-1] = Span(found[-1].start, max(closes, found[-1].until))
        else:
            found.append(Span(opens, closes))
    if heard_until is not None and now - heard_until > HOUR:
        found.append(Span(heard_until, now))
    return [one for one in found if one.until > span.first and one.start < span.last]


def _unbroken(doses: Sequence[RowMapping], since: datetime, until: datetime) -> bool:
    """Tell whether no dose was recorded between two unknown ones."""
    return not any(
        dose["occurred_at"] is not None and since <= dose["occurred_at"] <= until
        for dose in doses
    )
