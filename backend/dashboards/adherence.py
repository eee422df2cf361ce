"""How one patient takes one medicine: figures, charts, and what was said of records."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from statistics import median_low
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import RowMapping

from analytics.adherence.dose_days import Day, DayPeriod, dose_day
from analytics.adherence.electronic_monitoring import drug_holidays, known_gaps
from analytics.adherence.measure import Measure
from analytics.records import Period
from backend.dashboards.charts.calendar import calendar
from backend.dashboards.charts.chart import Chart
from backend.dashboards.charts.chronology import (
    Chronicle,
    Opened,
    Window,
    chronology,
)
from backend.dashboards.charts.intervals import interval_histogram
from backend.dashboards.dispensed import medication_chart
from backend.dashboards.frame import Link
from backend.dashboards.history import doses_of
from backend.dashboards.patient import person_of
from backend.dashboards.regimens import regimens_of
from backend.dashboards.views_adherence import (
    EventRow,
    FigureRow,
    PatientAdherencePage,
)
from backend.dashboards.visible import Sight
from backend.dashboards.words import EVENT_LABELS, EVIDENCE
from backend.doses.days import TAKEN, Course, Span, Whom, courses
from backend.doses.figures import MEASURES
from backend.errors import NotFound
from backend.ingest.overrule import SAYABLE
from backend.regimens.expand import DOSE_DAY_STARTS

RANGES = (30, 90, 180, 365)
DAY = timedelta(days=1)
COUNTS = frozenset({"therapeutic", "pocket", "extra", "no_measurement"})
MOST_EVENTS = 12
SAID = {
    "therapeutic": "A dose",
    "prime": "A prime, no dose",
    "refill": "A refill, no dose",
    "curiosity": "A look inside, no dose",
    "pocket": "A dose that had been taken out earlier",
}


@dataclass(frozen=True, slots=True)
class Look:
    """The dose-days that are looked at, in the patient's zone."""

    patient_id: UUID
    span: Span
    zone: ZoneInfo

    @property
    def first(self) -> datetime:
        return self._starts(self.span.first)

    @property
    def last(self) -> datetime:
        return self._starts(self.span.last + DAY)

    def day(self, at: datetime) -> date:
        return dose_day(at, self.zone, day_start=DOSE_DAY_STARTS)

    def local(self, at: datetime) -> datetime:
        return at.astimezone(self.zone).replace(tzinfo=None)

    def _starts(self, day: date) -> datetime:
        return datetime.combine(day, DOSE_DAY_STARTS, self.zone).astimezone(UTC)


def adherence_page(
    sight: Sight, patient_id: UUID, *, regimen_id: UUID | None, days: int, path: str
) -> PatientAdherencePage:
    """Return how a patient took one medicine in the last days, today left out.

    The first of their medicines unless one is named. Raises NotFound for whom the
    reader may not see, and where no dose was due.
    """
    person = person_of(sight, patient_id)
    zone = ZoneInfo(person["zone"])
    days = days if days in RANGES else RANGES[1]
    today = dose_day(sight.now, zone, day_start=DOSE_DAY_STARTS)
    look = Look(patient_id, Span(today - days * DAY, today - DAY), zone)
    found = courses(
        sight.session, sight.reader, Whom([patient_id]), look.span, now=sight.now
    )
    course = _chosen(found, regimen_id)

    def href(which: UUID | None, length: int, to: str = "") -> str:
        named = {} if which is None else {"regimen": str(which)}
        return f"{path}{to}?{urlencode({**named, 'days': length})}"

    own = sight.reader.role == "patient"
    return PatientAdherencePage(
        patient_id=patient_id,
        name=f"{person['given_name']} {person['family_name']}",
        identifier=person["identifier"] or "",
        born_on=person["birth_date"],
        zone=person["zone"],
        regimen=_sentence(sight, course, zone),
        first=look.span.first,
        last=look.span.last,
        regimens=tuple(
            Link(each.drug.capitalize(), href(each.regimen_id, days), each is course)
            for each in found
        )
        if len(found) > 1
        else (),
        ranges=tuple(Link(f"{n} days", href(regimen_id, n), n == days) for n in RANGES),
        figures=tuple(
            figure_row(measure(course.days)) for measure in MEASURES.values()
        ),
        charts=tuple(_charts(sight, look, course)),
        events=() if own else _events(sight, look, course),
        labels=tuple((label.value, SAID[label]) for label in SAYABLE),
        document=href(course.regimen_id, days, ".pdf"),
        own=own,
        section="/me" if own else "/patients",
    )


def _chosen(found: Sequence[Course], regimen_id: UUID | None) -> Course:
    for course in found:
        if course.days and regimen_id in (None, course.regimen_id):
            return course
    raise NotFound("No dose of this medicine was due in these days.")


def _sentence(sight: Sight, course: Course, zone: ZoneInfo) -> str:
    now = regimens_of(sight, course.patient_id, zone).get(course.regimen_id)
    return now.said if now else course.drug.capitalize()


def figure_row(measure: Measure) -> FigureRow:
    """Return a measure in words; what is undefined is said to be."""
    counts = measure.counts
    number = _percent if _is_share(measure) else _plain
    value = "not known" if measure.value is None else number(measure.value)
    interval = ""
    if measure.interval is not None:
        low, high = measure.interval.low, measure.interval.high
        interval = f"{number(low)} to {number(high)}"
    rests_on = f"{counts.doses} doses in {counts.monitored_days} days"
    if counts.unknown_days:
        rests_on += f", {counts.unknown_days} unknown"
    return FigureRow(measure.name.capitalize(), value, interval, rests_on)


def _is_share(measure: Measure) -> bool:
    return measure.unit == "1" and measure.name != "drug holidays"


def _percent(value: float) -> str:
    return f"{100 * value:.1f}\u00a0%"


def _plain(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _charts(sight: Sight, look: Look, course: Course) -> Iterable[Chart]:
    days = [each.day for each in course.days]
    doses = [
        dose
        for dose in doses_of(sight, look.patient_id, look.first, look.last)
        if dose["regimen_id"] == course.regimen_id
    ]
    events = _records(sight, look, course.regimen_id)
    yield chronology(_chronicle(look, days, doses, events))
    yield calendar(days)
    interval = _interval(days, doses)
    if interval is not None:
        yield interval_histogram(_gaps(doses, events), interval=interval)
    dispensed = medication_chart(sight, look.patient_id, course.regimen_id, look.span)
    if dispensed is not None:
        yield dispensed


def _records(sight: Sight, look: Look, regimen_id: UUID) -> Sequence[RowMapping]:
    return sight.rows(
        "e.occurred_at, e.label",
        "dose_event e",
        (
            "e.patient_id = :patient AND e.regimen_id = :regimen",
            "e.voided_at IS NULL AND e.occurred_at >= :first AND e.occurred_at < :last",
        ),
        of="e.patient_id",
        order="e.occurred_at",
        given={
            "patient": look.patient_id,
            "regimen": regimen_id,
            "first": look.first,
            "last": look.last,
        },
    )


def _chronicle(
    look: Look,
    days: Sequence[Day],
    doses: Sequence[RowMapping],
    events: Sequence[RowMapping],
) -> Chronicle:
    return Chronicle(
        look.span.first,
        look.span.last,
        [
            Opened(
                look.day(row["occurred_at"]),
                look.local(row["occurred_at"]),
                ""
                if row["label"] in COUNTS
                else EVENT_LABELS.get(str(row["label"]), str(row["label"])),
            )
            for row in events
        ],
        [
            Window(look.local(dose["window_from"]), look.local(dose["window_until"]))
            for dose in doses
            if dose["due_at"] is not None
        ],
        days,
        _runs([day.day for day in days if day.non_monitored]),
        drug_holidays(days),
        time(DOSE_DAY_STARTS.hour, DOSE_DAY_STARTS.minute),
    )


def _runs(days: Sequence[date]) -> list[DayPeriod]:
    """Return days that follow each other as periods."""
    runs: list[DayPeriod] = []
    for day in days:
        if runs and runs[-1].last_day + DAY == day:
            runs[-1] = DayPeriod(runs[-1].first_day, day)
        else:
            runs.append(DayPeriod(day, day))
    return runs


def _interval(days: Sequence[Day], doses: Sequence[RowMapping]) -> timedelta | None:
    """Return the usual time from one dose to the next, as prescribed."""
    due = sorted(dose["due_at"] for dose in doses if dose["due_at"] is not None)
    if len(due) > 1:
        steps = [(b - a).total_seconds() for a, b in pairwise(due) if b > a]
        return timedelta(seconds=median_low(steps)) if steps else None
    asked = [day.expected for day in days if day.expected]
    return DAY / median_low(asked) if asked else None


def _gaps(
    doses: Sequence[RowMapping], events: Sequence[RowMapping]
) -> list[tuple[datetime, datetime]]:
    """Return each dose taken with the next, where nothing between them is unknown."""
    taken = {dose["occurred_at"] for dose in doses if dose["label"] in TAKEN}
    taken |= {row["occurred_at"] for row in events if row["label"] == "extra"}
    unknown = [
        Period(dose["window_from"], dose["window_until"])
        for dose in doses
        if dose["label"] == "unknown"
    ]
    return known_gaps(sorted(at for at in taken if at is not None), unknown)


def _events(sight: Sight, look: Look, course: Course) -> tuple[EventRow, ...]:
    """Return the latest records, and who called them what, newest word first."""
    rows = sight.rows(
        """e.dose_event_id, e.occurred_at, e.evidence, e.label,
        COALESCE((SELECT jsonb_agg(jsonb_build_object('label', o.label,
                'reason', o.reason, 'by', k.name)
                ORDER BY o.recorded_at DESC, o.override_id DESC)
            FROM event_override o LEFT JOIN clinician k ON k.clinician_id = o.actor_id
            WHERE o.patient_id = e.patient_id
              AND o.dose_event_id = e.dose_event_id), '[]') AS said""",
        "dose_event e",
        (
            "e.patient_id = :patient AND e.regimen_id = :regimen",
            "e.voided_at IS NULL AND e.occurred_at < :last",
        ),
        of="e.patient_id",
        order="e.occurred_at DESC",
        most=MOST_EVENTS,
        given={
            "patient": look.patient_id,
            "regimen": course.regimen_id,
            "last": sight.now + DAY,
        },
    )
    return tuple(
        EventRow(
            dose_event_id=row["dose_event_id"],
            occurred_at=row["occurred_at"],
            evidence=EVIDENCE[row["evidence"]],
            label=EVENT_LABELS.get(str(row["label"]), str(row["label"])),
            ruled=bool(row["said"]) and row["said"][0]["label"] is not None,
            said=tuple(
                f"{one['by'] or 'Somebody'}: "
                f"{SAID.get(one['label'], 'taken back')} ({one['reason']})"
                for one in row["said"]
            ),
        )
        for row in rows
    )
