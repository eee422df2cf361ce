"""Alerts as lists and one by one."""

from datetime import datetime
from typing import get_args
from uuid import UUID

from sqlalchemy import RowMapping

from backend.alerts.act import Outcome
from backend.dashboards.facts import facts_of, limits_of
from backend.dashboards.frame import Link
from backend.dashboards.keyset import (
    USUAL,
    address,
    identity,
    instant,
    page_of,
    understood,
    written,
)
from backend.dashboards.views import (
    AlertListPage,
    AlertPage,
    AlertRow,
    Choice,
    Step,
)
from backend.dashboards.visible import Sight
from backend.dashboards.words import OUTCOMES
from backend.errors import NotFound

PATH = "/alerts"
RANK = "array_position(ARRAY['low', 'medium', 'high'], a.severity)"
ALERT_TABLES = """alert a JOIN patient p USING (patient_id)
    LEFT JOIN clinician k ON k.clinician_id = a.acknowledged_by"""
ALERT_COLUMNS = f"""a.alert_id, a.patient_id, a.title, a.severity, a.state,
    a.triggered_at, a.updated_at, a.repeats, a.snoozed_until, a.rule, a.finding,
    a.outcome, a.note, p.given_name, p.family_name, k.name AS taken_by,
    {RANK} AS rank"""
FILTERS = {
    "": ("Open", "a.state <> 'closed'"),
    "new": ("Nobody's yet", "a.state IN ('triggered', 'escalated')"),
    "mine": ("Mine", "a.state <> 'closed' AND a.acknowledged_by = :reader"),
    "closed": ("Closed", "a.state = 'closed'"),
}
SNOOZES = (Choice("4", "4 hours"), Choice("24", "1 day"), Choice("168", "1 week"))
WHAT = {
    "triggered": "Raised",
    "escalated": "Nobody answered in time",
    "acknowledged": "Acknowledged",
    "snoozed": "Snoozed",
    "woken": "Came back",
    "closed": "Closed",
    "retracted": "Taken back",
}


def alert_list(
    sight: Sight, *, state: str = "", after: str | None = None, limit: int = USUAL
) -> AlertListPage:
    """Return the alerts the reader may work on, most urgent first."""
    where = ["a.clinic_id = :clinic", FILTERS.get(state, FILTERS[""])[1]]
    given: dict[str, object] = {"clinic": sight.reader.clinic_id}
    key = understood(after, int, instant, identity)
    if key is not None:
        where.append(f"({RANK}, a.triggered_at, a.alert_id) < (:rank, :at, :id)")
        given |= {"rank": key[0], "at": key[1], "id": key[2]}
    found = sight.rows(
        ALERT_COLUMNS,
        ALERT_TABLES,
        where,
        of="a.patient_id",
        order="rank DESC, a.triggered_at DESC, a.alert_id DESC",
        most=limit + 1,
        given=given,
    )
    rows, last = page_of(found, limit)
    onward = last and written(last["rank"], last["triggered_at"], last["alert_id"])
    return AlertListPage(
        rows=tuple(alert_row(row) for row in rows),
        filters=tuple(
            Link(label, address(PATH, state=name), name == state)
            for name, (label, _) in FILTERS.items()
        ),
        next_href=address(PATH, state=state, after=onward) if onward else None,
    )


def alert_row(row: RowMapping) -> AlertRow:
    """Return an alert as lists show it; `row` holds ALERT_COLUMNS."""
    return AlertRow(
        alert_id=row["alert_id"],
        patient_id=row["patient_id"],
        patient=f"{row['given_name']} {row['family_name']}",
        title=row["title"],
        severity=row["severity"],
        state=row["state"],
        triggered_at=row["triggered_at"],
        updated_at=row["updated_at"],
        repeats=row["repeats"],
        snoozed_until=row["snoozed_until"] if row["state"] == "snoozed" else None,
        acknowledged_by=row["taken_by"],
    )


def alert_path(patient_id: UUID, alert_id: UUID) -> str:
    return f"{PATH}/{patient_id}/{alert_id}"


def alert_page(
    sight: Sight, patient_id: UUID, alert_id: UUID, *, zone: str
) -> AlertPage:
    """Return one alert with what decided it and what was done; raises NotFound."""
    row = sight.row(
        ALERT_COLUMNS,
        ALERT_TABLES,
        ("a.patient_id = :patient", "a.alert_id = :alert"),
        of="a.patient_id",
        given={"patient": patient_id, "alert": alert_id},
    )
    if row is None:
        raise NotFound("There is no such alert.")
    outcome = row["outcome"]
    return AlertPage(
        alert=alert_row(row),
        explanation=str(row["finding"].get("summary") or row["title"]),
        facts=facts_of(row["finding"], zone),
        limits=limits_of(row["finding"], zone),
        steps=_steps(sight, patient_id, alert_id),
        outcomes=tuple(Choice(one, OUTCOMES[one]) for one in get_args(Outcome)),
        snoozes=SNOOZES,
        outcome=None if outcome is None else OUTCOMES.get(outcome, outcome),
        note=row["note"] or "",
    )


def _steps(sight: Sight, patient_id: UUID, alert_id: UUID) -> tuple[Step, ...]:
    rows = sight.rows(
        "e.at, e.what, e.detail, k.name",
        "alert_event e LEFT JOIN clinician k ON k.clinician_id = e.actor_id",
        ("e.patient_id = :patient AND e.alert_id = :alert",),
        of="e.patient_id",
        order="e.recorded_at, e.at",
        given={"patient": patient_id, "alert": alert_id},
    )
    return tuple(
        Step(
            at=row["at"],
            what=WHAT.get(str(row["what"]), str(row["what"]).capitalize()),
            who=row["name"] or "Doseloop",
            note=_note(row["detail"]),
        )
        for row in rows
    )


def _note(detail: dict[str, object]) -> str | None:
    if "until" in detail:
        until = datetime.fromisoformat(str(detail["until"]))
        return f"until {until:%a %-d %b %H:%M} UTC"
    if "outcome" in detail:
        return OUTCOMES.get(str(detail["outcome"]))
    return str(detail["because"]) if "because" in detail else None
