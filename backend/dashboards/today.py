"""The patient's own page: today's doses as facts, what is next, what is left."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from sqlalchemy import RowMapping

from backend.dashboards.history import doses_of
from backend.dashboards.patient import dose_row
from backend.dashboards.regimens import as_needed_of
from backend.dashboards.supplies import orders_of, stock_row, stocks_of
from backend.dashboards.views import DoseRow, Phase, TodayPage
from backend.dashboards.visible import Sight
from backend.dashboards.words import strip_days
from backend.doses.days import TAKEN
from backend.errors import NotFound

DAY_STARTS = timedelta(hours=3)
DAY = timedelta(days=1)
OPEN = frozenset({"pending", "late", "unknown"})
REPORTABLE = OPEN | {"missed"}


def today_page(sight: Sight, *, zone: str) -> TodayPage:
    """Return the reader's own day, from three in the morning to three.

    A dose of the night before stays until its window closes: it can still be told.
    """
    patient_id = sight.reader.subject_id
    person = sight.row(
        "p.given_name, s.strip",
        "patient p LEFT JOIN patient_state s USING (patient_id)",
        ("p.patient_id = :patient",),
        of="p.patient_id",
        given={"patient": patient_id},
    )
    if person is None:
        raise NotFound("There is no such patient.")
    day = (sight.now.astimezone(ZoneInfo(zone)) - DAY_STARTS).date()
    around = doses_of(sight, patient_id, sight.now - DAY, sight.now + 3 * DAY)
    return TodayPage(
        first_name=person["given_name"],
        day=day,
        doses=tuple(_dose(d, sight) for d in around if _of_today(d, day, sight.now)),
        next_dose=_next(around, sight),
        strip=strip_days(person["strip"] or ()),
        stock=tuple(stock_row(row, zone) for row in stocks_of(sight, patient_id)),
        orders=tuple(o for o in orders_of(sight, patient_id) if o.moves),
        as_needed=as_needed_of(sight, patient_id, ZoneInfo(zone)),
    )


def report_key(regimen_id: UUID, occurrence: str, when: str) -> UUID:
    """Return the key of a patient's word for one dose: pressed twice, said once.

    That it was taken now is another word than that it was taken when it was due.
    """
    return uuid5(regimen_id, f"{occurrence}/{when}")


def report_notice(sight: Sight, regimen_id: UUID, occurrence: str, *, new: bool) -> str:
    """Return which notice tells a patient what became of the word for a dose."""
    if _of_reader("d.label", sight, regimen_id, occurrence)["label"] in TAKEN:
        return "reported"
    return "noted" if new else "said_before"


def _of_today(dose: RowMapping, day: date, now: datetime) -> bool:
    of: date = dose["dose_day"]
    return of == day or (of < day and dose["window_until"] > now)


def _dose(dose: RowMapping, sight: Sight) -> DoseRow:
    reportable = dose["label"] in REPORTABLE and dose["window_from"] <= sight.now
    return replace(dose_row(dose), can_report=reportable, phase=_phase(dose, sight.now))


def _next(doses: Sequence[RowMapping], sight: Sight) -> DoseRow | None:
    """Return the first dose that is due and open, or still to come."""
    open_ = (
        dose
        for dose in doses
        if dose["label"] in OPEN and dose["window_until"] > sight.now
    )
    return next((_dose(dose, sight) for dose in open_), None)


def _phase(dose: RowMapping, now: datetime) -> Phase:
    if dose["window_until"] <= now:
        return Phase.OVER
    begins: datetime = dose["due_at"] or dose["window_from"]
    return Phase.AHEAD if begins > now else Phase.DUE


def reported_at(sight: Sight, regimen_id: UUID, occurrence: str, when: str) -> datetime:
    """Return the instant a patient means: now, or when the dose was due.

    Raises NotFound for a dose that is not theirs. A dose that is not due yet, or has
    no time, can only have been taken now.
    """
    dose = _of_reader("d.due_at", sight, regimen_id, occurrence)
    due_at: datetime | None = dose["due_at"]
    return due_at if when == "due" and due_at and due_at < sight.now else sight.now


def _of_reader(
    columns: str, sight: Sight, regimen_id: UUID, occurrence: str
) -> RowMapping:
    dose = sight.row(
        columns,
        "scheduled_dose d",
        ("d.patient_id = :reader", "d.regimen_id = :regimen", "d.occurrence = :dose"),
        of="d.patient_id",
        given={"regimen": regimen_id, "dose": occurrence},
    )
    if dose is None:
        raise NotFound("There is no such dose.")
    return dose
