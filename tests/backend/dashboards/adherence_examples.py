"""The pages of adherence with values like those of a working clinic."""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from random import Random
from uuid import UUID

from analytics.adherence.dose_days import Day, DayPeriod
from analytics.adherence.electronic_monitoring import known_gaps
from analytics.adherence.emerge import Emerge, Setting, emerge
from analytics.adherence.monitoring import Record, Regimen
from analytics.adherence.people import Life, findings
from backend.dashboards.adherence import SAID, figure_row
from backend.dashboards.charts.calendar import calendar
from backend.dashboards.charts.chronology import chronicle, chronology
from backend.dashboards.charts.intervals import interval_histogram
from backend.dashboards.charts.medication import Supply, Window, medication
from backend.dashboards.frame import Frame, Link
from backend.dashboards.views import Page
from backend.dashboards.views_adherence import (
    CohortPage,
    EventRow,
    PatientAdherencePage,
)
from backend.doses.days import DoseDay
from backend.doses.figures import MEASURES
from backend.reports.document import LENGTHS, people_chart, spread_rows

DAY = timedelta(days=1)
LAST = date(2026, 5, 31)
FIRST = LAST - 89 * DAY


def a_record() -> Record:
    """Ninety days, once daily at 8 UTC: some late, a holiday, two days unseen."""
    random = Random(7)
    start = datetime.combine(FIRST, time(8), UTC)
    raw = [
        start + n * DAY + timedelta(minutes=random.gauss(10, 50))
        for n in range(90)
        if not 40 <= n < 44 and random.random() > 0.06
    ]
    raw.append(raw[3] + timedelta(minutes=2))
    unseen = [DayPeriod(FIRST + 70 * DAY, FIRST + 71 * DAY)]
    return Record(raw, FIRST, LAST, Regimen(times=(time(8),)), unseen)


@cache
def a_patient_adherence() -> PatientAdherencePage:
    record = a_record()
    gaps = known_gaps([opening.at for opening in record.taken], record.unknown)
    days = [DoseDay(day, 1, int(day.corrected == 1)) for day in record.days]
    supplies = [Supply(FIRST + n * 33 * DAY, 30, "Examplinib") for n in range(3)]
    seen = Window("observation", FIRST, LAST + DAY)
    events = tuple(
        EventRow(
            UUID(int=n),
            opening.at,
            "box opened",
            "counted for a scheduled dose",
            ruled=n == 1,
            said=("Dr Ruth Meier: A look inside, no dose (she said so)",) * (n == 1),
        )
        for n, opening in enumerate(record.taken[-3:])
    )
    return PatientAdherencePage(
        patient_id=UUID(int=1),
        name="Małgorzata Wiśniewska",
        identifier="MRN 400001",
        born_on=date(1958, 4, 9),
        zone="UTC",
        regimen="Examplinib 50 mg: 1 tablet at 08:00, since 12 January.",
        first=FIRST,
        last=LAST,
        regimens=(Link("Examplinib", "?regimen=1", True), Link("Other", "?regimen=2")),
        ranges=tuple(Link(f"{n} days", f"?days={n}", n == 90) for n in (30, 90, 180)),
        figures=tuple(figure_row(measure(days)) for measure in MEASURES.values()),
        charts=(
            chronology(chronicle(record)),
            calendar(record.days),
            interval_histogram(gaps, interval=DAY),
            medication(supplies, observation=seen, estimate="CMA7 0.97"),
        ),
        events=events,
        labels=tuple(SAID.items()),
        document="/patients/1/adherence.pdf?days=90",
    )


@cache
def a_report(people: int = 60, days: int = 240) -> Emerge:
    """Sixty people who miss now and then; a third stop some day."""
    random = Random(11)
    lives: list[Life] = []
    for _ in range(people):
        stop = random.choice([days, days, random.randrange(5, days)])
        miss, known = 0.02 + 0.2 * random.random() ** 2, random.randrange(150, days)
        rows: list[Day] = []
        for n in range(known):
            taken = int(n < stop and random.random() > miss)
            unseen = random.random() < 0.02 and n > 0
            done = None if unseen else bool(taken)
            rows.append(Day(FIRST + n * DAY, taken, 0, taken, 1, unseen, done))
        lives.append(Life(rows, [1] * known, [row.corrected for row in rows]))
    found = findings(lives, days=180, draws=199)
    setting = Setting(
        "Adherence to examplinib, all patients cared for",
        ("examplinib",),
        ("Acme Box 2",),
        {"box opened": 9021, "said so": 17},
        3,
        240,
    )
    return emerge(found, setting)


def a_cohort(*, empty: bool = False) -> CohortPage:
    report = None if empty else a_report()
    return CohortPage(
        study="",
        drug="examplinib",
        days=180,
        lengths=LENGTHS,
        report=report,
        chart=report and people_chart(report),
        rows=spread_rows(report) if report else (),
        document="/adherence.pdf?drug=examplinib",
        problem="Nobody whom you care for fits." if empty else None,
    )


def adherence_pages(frame: Frame) -> dict[str, tuple[Page, Frame]]:
    """Return the pages of adherence by name, with the frame they are read in."""
    return {
        "patient-adherence": (a_patient_adherence(), frame),
        "cohort": (a_cohort(), frame),
        "cohort-empty": (a_cohort(empty=True), frame),
    }
