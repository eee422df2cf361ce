"""What each page shows, as values: templates read these and nothing else.

Instants are aware and shown in the frame's zone. Sentences arrive worded; states arrive
as the words of their tables.
"""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar, TypeAlias
from uuid import UUID

from backend.dashboards.charts.chart import Chart
from backend.dashboards.charts.palette import DoseState
from backend.dashboards.charts.strip import StripDay
from backend.dashboards.entrance import ErrorPage, SignInPage
from backend.dashboards.frame import Link
from backend.dashboards.regimen_views import AsNeededRow, Prescribed
from backend.dashboards.reminder_views import RemindersPage
from backend.dashboards.shelf import DeviceListPage
from backend.dashboards.views_adherence import CohortPage, PatientAdherencePage

# ---------------------------------------------------------------- clinician's list


@dataclass(frozen=True)
class Need:
    """Why a patient stands where they stand; severity: high, medium, low or none."""

    text: str
    severity: str = "none"
    href: str | None = None


@dataclass(frozen=True)
class Share:
    """A figure of adherence in a list: value, what it rests on, what else is to say."""

    value: str  # "86 % taken"
    rests_on: str = ""  # "18 of 21 doses in 30 days, 2 unknown days"
    note: str = ""  # "seems to have stopped"


@dataclass(frozen=True)
class PatientRow:
    """One patient of the list. `heard_until` None: no device has ever been heard."""

    patient_id: UUID
    name: str
    identifier: str
    needs: tuple[Need, ...]
    strip: tuple[StripDay, ...]
    heard_until: datetime | None
    last_dose_at: datetime | None
    run_out_on: date | None
    taken: Share
    open_alerts: int = 0


@dataclass(frozen=True)
class PatientListPage:
    """Patients by need. `filters` are links; a link that is None is not offered."""

    template: ClassVar[str] = "patients.html"
    section: ClassVar[str] = "/patients"

    rows: tuple[PatientRow, ...]
    filters: tuple[Link, ...] = ()
    search: str = ""
    shown: str = ""  # "50 of 312 patients"
    first_href: str | None = None
    next_href: str | None = None


# ---------------------------------------------------------------- alerts


@dataclass(frozen=True)
class AlertRow:
    """An alert as lists show it; state and severity as in its table."""

    alert_id: UUID
    patient_id: UUID
    patient: str
    title: str
    severity: str
    state: str
    triggered_at: datetime
    updated_at: datetime
    repeats: int = 0
    snoozed_until: datetime | None = None
    acknowledged_by: str | None = None


@dataclass(frozen=True)
class AlertListPage:
    """Alerts, most urgent first."""

    template: ClassVar[str] = "alerts.html"
    section: ClassVar[str] = "/alerts"

    rows: tuple[AlertRow, ...]
    filters: tuple[Link, ...] = ()
    next_href: str | None = None


@dataclass(frozen=True)
class Fact:
    """One name and value of a finding or an order."""

    name: str
    value: str


@dataclass(frozen=True)
class Step:
    """What somebody, or the system, did and when."""

    at: datetime
    what: str
    who: str
    note: str | None = None


@dataclass(frozen=True)
class Choice:
    """One value of a form's choice, and its words."""

    value: str
    label: str


@dataclass(frozen=True)
class AlertPage:
    """One alert: what was seen, by which limits, and what can be done about it.

    Posts to `/alerts/{patient_id}/{alert_id}/acknowledge`, `/snooze` and `/close`.
    """

    template: ClassVar[str] = "alert.html"
    section: ClassVar[str] = "/alerts"

    alert: AlertRow
    explanation: str
    facts: tuple[Fact, ...]
    steps: tuple[Step, ...]
    outcomes: tuple[Choice, ...]
    snoozes: tuple[Choice, ...]
    limits: tuple[Fact, ...] = ()
    note: str = ""
    outcome: str | None = None  # set once closed


# ---------------------------------------------------------------- one patient


class Phase(StrEnum):
    """Where a dose's hours stand: due from its instant until its window closes."""

    AHEAD = "ahead"
    DUE = "due"
    OVER = "over"


@dataclass(frozen=True)
class DoseRow:
    """A dose as a fact. `due_at` None: due some time in its dose-day."""

    state: DoseState
    what: str  # "2 tablets of Examplinib 50 mg"
    due_at: datetime | None
    taken_at: datetime | None = None
    evidence: str | None = None  # "box opened", "said so"
    occurrence: str | None = None
    regimen_id: UUID | None = None
    can_report: bool = False
    phase: Phase = Phase.AHEAD
    day: date | None = None  # its dose-day


@dataclass(frozen=True)
class StockRow:
    """What is on hand of one product; `order` says how an open order stands."""

    product: str
    on_hand: Decimal
    unit: str
    estimated: bool
    run_out_on: date | None
    run_out_early: date | None = None
    run_out_late: date | None = None
    order: str | None = None


@dataclass(frozen=True)
class MessageRow:
    """A message: to whom, by which channel, when, why, and how it stands."""

    kind: str
    to: str
    channel: str
    address: str  # masked where the reader need not know it
    due_at: datetime
    state: str
    body: str | None
    why: str
    code: str | None = None
    settled_at: datetime | None = None
    patient: str | None = None
    patient_id: UUID | None = None


@dataclass(frozen=True)
class DeviceRow:
    """A device of the patient and when it was last heard."""

    name: str
    kind: str
    heard_until: datetime | None
    battery_percent: int | None = None
    silent: bool = False


@dataclass(frozen=True)
class PatientOrder:
    """An order as clinic and patient see it; `moves` are what this reader may do."""

    reorder_id: UUID
    what: str
    state: str
    changed_at: datetime
    moves: tuple[Choice, ...] = ()


@dataclass(frozen=True)
class DoseRecord:
    """One record of a device or word of the patient; `void` says why it is void."""

    dose_event_id: UUID
    occurred_at: datetime
    evidence: str
    label: str
    void: str | None = None


@dataclass(frozen=True)
class PatientPage:
    """One patient. `audit` says who looked here last, in real time.

    `own` when the reader is the patient: then nothing here judges or can be undone.
    """

    template: ClassVar[str] = "patient.html"

    patient_id: UUID
    name: str
    identifier: str
    born_on: date | None
    zone: str
    regimens: tuple[Prescribed, ...]
    needs: tuple[Need, ...]
    strip: tuple[StripDay, ...]
    ranges: tuple[Link, ...]  # 90 days, 30 days, 7 days, 1 day
    chart: Chart
    upcoming: tuple[DoseRow, ...]
    stock: tuple[StockRow, ...]
    stock_chart: Chart | None
    alerts: tuple[AlertRow, ...]
    messages: tuple[MessageRow, ...]
    devices: tuple[DeviceRow, ...]
    audit: tuple[Step, ...]
    orders: tuple[PatientOrder, ...] = ()
    records: tuple[DoseRecord, ...] = ()
    taking: str = ""  # the figures of the last 30 days in a sentence
    own: bool = False
    section: str = "/patients"


@dataclass(frozen=True)
class TodayPage:
    """The patient's own page: facts about today, nothing that judges."""

    template: ClassVar[str] = "today.html"
    section: ClassVar[str] = "/today"

    first_name: str
    day: date
    doses: tuple[DoseRow, ...]
    next_dose: DoseRow | None
    strip: tuple[StripDay, ...]
    stock: tuple[StockRow, ...]
    orders: tuple[PatientOrder, ...] = ()
    as_needed: tuple[AsNeededRow, ...] = ()


# ---------------------------------------------------------------- messages


@dataclass(frozen=True)
class OutboxPage:
    """Messages, newest first; `demo` says that none of them leaves the house."""

    template: ClassVar[str] = "outbox.html"
    section: ClassVar[str] = "/outbox"

    rows: tuple[MessageRow, ...]
    filters: tuple[Link, ...] = ()
    demo: bool = False
    next_href: str | None = None


# ---------------------------------------------------------------- manufacturer


@dataclass(frozen=True)
class OrderRow:
    """A reorder as its manufacturer sees it: no name, no health data.

    `moves` are the states into which the manufacturer may bring it, as form choices.
    """

    reorder_id: UUID
    reference: str
    product: str
    gtin: str
    packs: int
    state: str
    opened_at: datetime
    changed_at: datetime
    deliver_to: str
    needed_by: date | None = None
    moves: tuple[Choice, ...] = ()


@dataclass(frozen=True)
class OrderListPage:
    """Orders, newest first. Posts to `/orders/{reorder_id}/move`."""

    template: ClassVar[str] = "orders.html"
    section: ClassVar[str] = "/orders"

    rows: tuple[OrderRow, ...]
    filters: tuple[Link, ...] = ()
    totals: tuple[Fact, ...] = ()
    next_href: str | None = None


@dataclass(frozen=True)
class FeedEntry:
    """One row of a feed as a machine would fetch it."""

    cursor: int
    feed: str
    recorded_at: datetime
    summary: str
    body: str  # the JSON, indented


@dataclass(frozen=True)
class FeedPage:
    """The feeds' last rows and where a machine fetches them."""

    template: ClassVar[str] = "feed.html"
    section: ClassVar[str] = "/feed"

    rows: tuple[FeedEntry, ...]
    endpoint: str
    filters: tuple[Link, ...] = ()
    next_href: str | None = None


Page: TypeAlias = (
    SignInPage
    | ErrorPage
    | PatientListPage
    | PatientPage
    | AlertListPage
    | AlertPage
    | OutboxPage
    | OrderListPage
    | FeedPage
    | TodayPage
    | DeviceListPage
    | RemindersPage
    | PatientAdherencePage
    | CohortPage
)
