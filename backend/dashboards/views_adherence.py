"""What the pages of adherence show: one patient's, and that of a cohort."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import ClassVar
from uuid import UUID

from analytics.adherence.emerge import Emerge
from backend.dashboards.charts.chart import Chart
from backend.dashboards.frame import Link


@dataclass(frozen=True)
class FigureRow:
    """A measure in words: its value, interval, and what it rests on."""

    name: str
    value: str
    interval: str
    rests_on: str


@dataclass(frozen=True)
class EventRow:
    """A record of a device or a word of the patient, and what was said of it.

    `said` is by whom it was called something else, and why; `ruled` that this holds.
    """

    dose_event_id: UUID
    occurred_at: datetime
    evidence: str
    label: str
    ruled: bool = False
    said: tuple[str, ...] = ()


@dataclass(frozen=True)
class PatientAdherencePage:
    """How one patient takes one medicine. Posts to `.../records/{id}/label`."""

    template: ClassVar[str] = "patient_adherence.html"

    patient_id: UUID
    name: str
    identifier: str
    born_on: date | None
    zone: str
    regimen: str
    first: date
    last: date
    regimens: tuple[Link, ...]
    ranges: tuple[Link, ...]
    figures: tuple[FigureRow, ...]
    charts: tuple[Chart, ...]
    events: tuple[EventRow, ...]
    labels: tuple[tuple[str, str], ...]
    document: str
    own: bool = False
    section: str = "/patients"


@dataclass(frozen=True)
class CohortPage:
    """The EMERGE report of a cohort; `report` None where nobody fits what was asked."""

    template: ClassVar[str] = "cohort.html"
    section: ClassVar[str] = "/adherence"

    study: str
    drug: str
    days: int
    lengths: tuple[int, ...]
    report: Emerge | None
    chart: Chart | None
    rows: tuple[tuple[str, ...], ...]  # a measure over people, in words
    document: str
    problem: str | None = None
