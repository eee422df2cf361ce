"""Every page with values like those of a working day."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from random import Random
from uuid import UUID
from zoneinfo import ZoneInfo

from backend.dashboards.charts.axis import DoseMark, HeartRateBin, Span, Window
from backend.dashboards.charts.chart import Chart
from backend.dashboards.charts.palette import DoseState
from backend.dashboards.charts.stock import StockLevel, stock
from backend.dashboards.charts.strip import StripDay
from backend.dashboards.charts.timeline import timeline
from backend.dashboards.entrance import DemoAccount, ErrorPage, SignInPage
from backend.dashboards.frame import Frame, Link, Reader, Role
from backend.dashboards.shelf import DeviceListPage
from backend.dashboards.views import (
    AlertListPage,
    AlertPage,
    AlertRow,
    Choice,
    DeviceRow,
    DoseRow,
    Fact,
    FeedEntry,
    FeedPage,
    MessageRow,
    Need,
    OrderListPage,
    OrderRow,
    OutboxPage,
    Page,
    PatientListPage,
    PatientOrder,
    PatientPage,
    PatientRow,
    Phase,
    Prescribed,
    Share,
    Step,
    StockRow,
    TodayPage,
)
from tests.backend.dashboards.adherence_examples import adherence_pages
from tests.backend.dashboards.as_needed_examples import AS_NEEDED
from tests.backend.dashboards.reminder_examples import reminder_pages
from tests.backend.dashboards.shelf_examples import a_shelf

ZONE = "Europe/Zurich"
NOW = datetime(2026, 6, 1, 16, 20, tzinfo=UTC)
TODAY = date(2026, 6, 1)
OFFSETS = {"on_time": 0.4, "late_taken": 2.2, "early": -2.1}
STATES = ["on_time", "late_taken", "early", "missed", "unknown"]


def an_id(number: int) -> UUID:
    return UUID(int=number)


def a_chart(days: int = 90) -> Chart:
    random, hour = Random(3), timedelta(hours=1)
    first = NOW - timedelta(days=days)
    doses: list[DoseMark] = []
    windows: list[Window] = []
    for index in range(days * 2):
        on = (first + timedelta(days=index // 2)).date()
        hour_due = time(8 + 12 * (index % 2))
        due = datetime.combine(on, hour_due, ZoneInfo(ZONE)).astimezone(UTC)
        windows.append(Window(due - hour, due + hour))
        state = random.choices(STATES, [75, 8, 4, 5, 8])[0]
        off = OFFSETS.get(state, 0) + random.uniform(-0.5, 0.5)
        doses.append(DoseMark(due + off * hour, DoseState(state)))
    silent = Span(
        first + timedelta(days=days * 0.5), first + timedelta(days=days * 0.56)
    )
    step = timedelta(days=1) if days > 30 else hour
    bins: list[HeartRateBin] = []
    at = first
    while at < NOW:
        median = 66 + 6 * random.random()
        if not silent.start < at < silent.until:
            bins.append(HeartRateBin(at, at + step, median - 7, median, median + 25))
        at += step
    return timeline(
        doses=doses,
        windows=windows,
        heart_rate=bins,
        silences=[silent],
        first=first,
        last=NOW,
        zone=ZoneInfo(ZONE),
    )


def a_stock_chart() -> Chart:
    before = [
        StockLevel(
            TODAY - timedelta(days=30 - day), (60 if day < 22 else 116) - 2 * day
        )
        for day in range(31)
    ]
    left = before[-1].on_hand
    after = [
        StockLevel(TODAY + timedelta(days=day), left - 2 * day)
        for day in range(int(left) // 2 + 1)
    ]
    return stock(before, forecast=after, reorder_point=14, unit="tablets")


def a_strip(seed: int = 1, doses_a_day: int = 2) -> tuple[StripDay, ...]:
    random = Random(seed)
    return tuple(
        StripDay(
            TODAY - timedelta(days=13 - day),
            tuple(
                DoseState.PENDING
                if day == 13 and dose == doses_a_day - 1
                else DoseState(random.choices(STATES, [70, 8, 4, 9, 9])[0])
                for dose in range(doses_a_day)
            ),
        )
        for day in range(14)
    )


NEEDS: tuple[tuple[Need, ...], ...] = (
    (
        Need("3 doses missed in a row", "high", f"/alerts/{an_id(1)}/{an_id(71)}"),
        Need("Stock lasts 2 days, no order open", "medium"),
    ),
    (Need("Device silent for 31 hours: nothing is known since", "medium"),),
    (Need("Resting heart rate 14 above own baseline", "medium"), Need("Order shipped")),
    (Need("One dose late", "low"),),
    (),
)


TAKEN = (
    Share("86 % taken", "18 of 21 doses in 30 days, 9 unknown days"),
    Share("93 % taken", "56 of 60 doses in 30 days"),
    Share("0 % taken", "0 of 30 doses in 30 days", "seems to have stopped"),
    Share("No figure yet"),
    Share("No dose was due in the last 30 days"),
)


def a_row(number: int) -> PatientRow:
    names = (
        "Amara Okafor",
        "Jonas Keller",
        "Małgorzata Wiśniewska",
        "Li Wei",
        "Ana Sá",
    )
    return PatientRow(
        patient_id=an_id(number),
        name=names[number % 5],
        identifier=f"MRN 40{number:04}",
        needs=NEEDS[number % 5],
        strip=a_strip(number, doses_a_day=1 + number % 3),
        heard_until=None if number == 3 else NOW - timedelta(minutes=7**number),
        last_dose_at=NOW - timedelta(hours=number),
        run_out_on=None if number == 3 else TODAY + timedelta(days=2 + 5 * number),
        taken=TAKEN[number % 5],
        open_alerts=number % 3,
    )


def an_alert(severity: str = "high", state: str = "triggered") -> AlertRow:
    return AlertRow(
        alert_id=an_id(71),
        patient_id=an_id(1),
        patient="Amara Okafor",
        title="Three doses missed in a row",
        severity=severity,
        state=state,
        triggered_at=NOW - timedelta(hours=5),
        updated_at=NOW - timedelta(minutes=20),
        repeats=2 if severity == "high" else 0,
        snoozed_until=NOW + timedelta(hours=4) if state == "snoozed" else None,
        acknowledged_by="Dr Ruth Meier" if state == "acknowledged" else None,
    )


def a_message(state: str = "delivered") -> MessageRow:
    return MessageRow(
        kind="late_reminder",
        to="Amara Okafor",
        channel="sms",
        address="+41 •• ••• 12 34",
        due_at=NOW - timedelta(hours=2),
        state=state,
        body=None
        if state == "pending"
        else "Your 08:00 dose has not been recorded. If you took it, reply TAKEN.",
        why="The dose of 08:00 was 60 minutes late and the box had been heard since.",
        code="30003" if state == "failed" else None,
        settled_at=NOW - timedelta(hours=2) if state == "delivered" else None,
        patient="Amara Okafor",
        patient_id=an_id(1),
    )


def a_dose(state: DoseState, due_hour: int | None, *, report: bool = False) -> DoseRow:
    due = None if due_hour is None else NOW.replace(hour=due_hour, minute=0)
    return DoseRow(
        state=state,
        what="1 tablet of Examplinib 50 mg",
        due_at=due,
        taken_at=due if state is DoseState.ON_TIME else None,
        evidence="box opened" if state is DoseState.ON_TIME else None,
        occurrence="2026-06-01T18:00",
        regimen_id=an_id(9),
        can_report=report,
    )


STOCK = (
    StockRow(
        product="Examplinib 50 mg, 60 tablets",
        on_hand=Decimal(56),
        unit="tablets",
        estimated=True,
        run_out_on=date(2026, 6, 29),
        run_out_early=date(2026, 6, 27),
        run_out_late=date(2026, 7, 3),
        order="1 pack shipped on Sun 31 May",
    ),
)
SEEN = Step(NOW, "opened the timeline", "Dr Ruth Meier", None)
CHOICES = (
    Choice("adverse_reaction", "Adverse reaction"),
    Choice("other_cause", "Another cause"),
    Choice("artefact", "Artefact of the device"),
)
SNOOZES = (Choice("4", "4 hours"), Choice("24", "1 day"), Choice("168", "1 week"))

CLINICIAN = Reader("Dr Ruth Meier", Role.CLINICIAN, "Clinic North")
PATIENT = Reader("Amara Okafor", Role.PATIENT, "Clinic North")
MAKER = Reader("Supply desk", Role.MANUFACTURER, "Example Pharma")


def a_frame(reader: Reader | None = CLINICIAN, live: str | None = None) -> Frame:
    return Frame(now=NOW, zone=ZONE, reader=reader, csrf="c5f", live=live)


def a_patient_page(days: int = 90) -> PatientPage:
    return PatientPage(
        patient_id=an_id(1),
        name="Amara Okafor",
        identifier="MRN 400001",
        born_on=date(1958, 4, 9),
        zone=ZONE,
        regimens=(Prescribed("Examplinib 50 mg: 1 tablet, daily at 08:00 and 20:00."),),
        needs=NEEDS[0],
        strip=a_strip(),
        ranges=(
            Link("90 days", "?days=90", days == 90),
            Link("30 days", "?days=30", days == 30),
            Link("7 days", "?days=7", days == 7),
            Link("1 day", "?days=1", days == 1),
        ),
        chart=a_chart(days),
        upcoming=(a_dose(DoseState.LATE, 8), a_dose(DoseState.PENDING, 18)),
        stock=STOCK,
        stock_chart=a_stock_chart(),
        orders=(
            PatientOrder(
                reorder_id=an_id(31),
                what="1 x Examplinib 50 mg, 60 tablets",
                state="shipped",
                changed_at=NOW,
                moves=(Choice("delivered", "Confirm delivery"),),
            ),
        ),
        alerts=(an_alert(), an_alert("medium", "acknowledged")),
        messages=(a_message(), a_message("pending")),
        devices=(
            DeviceRow("Acme box 12-0042", "box", NOW - timedelta(minutes=4), 82),
            DeviceRow("Wrist 7F", "wearable", NOW - timedelta(days=2), None, True),
        ),
        audit=(SEEN,),
    )


def an_order(number: int, state: str, *moves: Choice) -> OrderRow:
    return OrderRow(
        reorder_id=an_id(number),
        reference=f"R-2026-00{number}",
        product="Examplinib 50 mg, 60 tablets",
        gtin="07612345678900",
        packs=1,
        state=state,
        opened_at=NOW - timedelta(days=1),
        changed_at=NOW,
        deliver_to="Clinic North, pharmacy (GLN 7601001000001)",
        needed_by=date(2026, 6, 9),
        moves=moves,
    )


@cache
def pages() -> dict[str, tuple[Page, Frame]]:
    """Return every page by a name, with the frame in which it is read."""
    clinician = a_frame()
    demo = Frame(now=NOW, zone=ZONE, csrf="c5f", speed=120.0)
    orders = (
        an_order(
            31,
            "placed",
            Choice("acknowledged", "Acknowledge"),
            Choice("shipped", "Mark as shipped"),
        ),
        an_order(30, "shipped"),
    )
    body = (
        '{\n  "reorder": "R-2026-0031",\n  "gtin": "07612345678900",\n  "packs": 1\n}'
    )
    feed = tuple(
        FeedEntry(number, "reorder", NOW, "Order R-2026-0031: 1 pack placed", body)
        for number in (118, 117)
    )
    messages = tuple(map(a_message, ("delivered", "pending", "failed", "unknown")))
    shown = (Link("Open", "/alerts", True), Link("Closed", "/alerts?state=closed"))
    accounts = (
        DemoAccount("Clinician", "clinician@demo.example", "demo"),
        DemoAccount("Patient", "patient@demo.example", "demo"),
    )
    alert = AlertPage(
        alert=an_alert(),
        explanation="The doses of the last three due times were not recorded, "
        "although the box was heard after each of them.",
        facts=(Fact("Missed in a row", "3"), Fact("Box heard", "16:16, 4 min ago")),
        steps=(
            Step(NOW - timedelta(hours=5), "Raised by rule missed_run 1", "Doseloop"),
            Step(NOW, "Tried to call", "Dr Ruth Meier", "No answer, trying at six."),
        ),
        outcomes=CHOICES,
        snoozes=SNOOZES,
        limits=(Fact("Raises an alert from", "3 missed doses"),),
    )
    today = TodayPage(
        first_name="Amara",
        day=TODAY,
        doses=(
            a_dose(DoseState.ON_TIME, 6),
            a_dose(DoseState.LATE, 12, report=True),
            a_dose(DoseState.UNKNOWN, 14, report=True),
            a_dose(DoseState.PENDING, 18),
        ),
        next_dose=a_dose(DoseState.PENDING, 18),
        strip=a_strip(4, 3),
        stock=STOCK,
    )
    due = replace(a_dose(DoseState.UNKNOWN, 14, report=True), phase=Phase.DUE)
    filters = (
        Link("All", "/patients", True),
        Link("With alerts", "/patients?show=alerts"),
        Link("Silent device", "/patients?show=silent"),
        Link("Low stock", "/patients?show=stock"),
    )
    patients = PatientListPage(
        rows=tuple(a_row(number) for number in range(5)),
        filters=filters,
        shown="5 of 40 patients",
        first_href="/patients",
        next_href="/patients?after=4",
    )
    alerts = AlertListPage(
        (an_alert(), an_alert("medium", "acknowledged"), an_alert("low", "snoozed")),
        shown,
    )
    problem = "E-mail address and password do not fit together."
    lost = ErrorPage(404, "This page does not exist", "It may have moved.", "7f3a")
    return {
        "sign-in": (SignInPage(accounts=accounts), demo),
        "sign-in-refused": (SignInPage(problem), demo),
        "error": (lost, a_frame(None)),
        "patients": (patients, clinician),
        "patients-empty": (PatientListPage(rows=()), clinician),
        "patient": (a_patient_page(), clinician),
        "patient-week": (a_patient_page(7), clinician),
        **adherence_pages(clinician),
        "alerts": (alerts, clinician),
        "alert": (alert, clinician),
        "outbox": (OutboxPage(messages, demo=True), clinician),
        "orders": (OrderListPage(orders, totals=(Fact("Open", "2"),)), a_frame(MAKER)),
        "feed": (FeedPage(feed, "/v1/feeds/reorders"), a_frame(MAKER)),
        "devices": (DeviceListPage(a_shelf(), next_href="/devices?after=0"), a_frame()),
        "today": (today, a_frame(PATIENT)),
        "today-as-needed": (replace(today, as_needed=AS_NEEDED), a_frame(PATIENT)),
        "today-due": (replace(today, next_dose=due), a_frame(PATIENT)),
        **reminder_pages(clinician, a_frame(PATIENT)),
    }
