"""One patient's page: the clinician's, and the patient's own record."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import RowMapping

from backend.dashboards.alerts import ALERT_COLUMNS, ALERT_TABLES, alert_path, alert_row
from backend.dashboards.frame import Link
from backend.dashboards.history import (
    RANGES,
    doses_of,
    stretch,
    timeline_of,
)
from backend.dashboards.messages import MESSAGE_COLUMNS, message_row
from backend.dashboards.regimens import regimens_of
from backend.dashboards.supplies import (
    orders_of,
    stock_chart,
    stock_row,
    stocks_of,
)
from backend.dashboards.views import (
    AlertRow,
    DeviceRow,
    DoseRecord,
    DoseRow,
    MessageRow,
    Need,
    PatientPage,
    Step,
)
from backend.dashboards.visible import Sight
from backend.dashboards.words import (
    EVENT_LABELS,
    EVIDENCE,
    SEEN,
    dose_state,
    needs,
    quantity,
    strip_days,
    taking,
)
from backend.doses.days import TAKEN
from backend.errors import NotFound
from backend.people.readers import Reader
from backend.state.need import SILENT_AFTER

AHEAD = timedelta(hours=72)
MOST_UPCOMING = 6
MOST_RECORDS = 8
MOST_LOOKS = 8


def patient_page(
    sight: Sight, patient_id: UUID, *, days: int, path: str
) -> PatientPage:
    """Return one patient's page; raises NotFound for whom the reader may not see.

    `path` is where the page stands, for its links. Who looked is left to `looks`, once
    this look is written down.
    """
    person = person_of(sight, patient_id)
    zone: str = person["zone"]
    span = stretch(days if days in RANGES else RANGES[0], zone, sight.now)
    doses = doses_of(sight, patient_id, span.first, max(span.last, sight.now + AHEAD))
    stocks = stocks_of(sight, patient_id)
    own = sight.reader.role == "patient"
    alerts = () if own else _alerts(sight, patient_id)
    return PatientPage(
        section="/me" if own else "/patients",
        own=own,
        patient_id=patient_id,
        name=f"{person['given_name']} {person['family_name']}",
        identifier=person["identifier"] or "",
        born_on=person["birth_date"],
        zone=zone,
        regimens=tuple(regimens_of(sight, patient_id, ZoneInfo(zone)).values()),
        needs=_needs(person, alerts),
        strip=strip_days(person["strip"] or ()),
        ranges=tuple(
            Link("1 day" if n == 1 else f"{n} days", f"{path}?days={n}", n == span.days)
            for n in RANGES
        ),
        chart=timeline_of(sight, patient_id, span, doses, person["heard_until"]),
        upcoming=_upcoming(sight, doses),
        stock=tuple(stock_row(row, zone) for row in stocks),
        stock_chart=stock_chart(sight, patient_id, stocks[0], zone) if stocks else None,
        orders=orders_of(sight, patient_id),
        alerts=alerts,
        messages=_messages(sight, patient_id, zone),
        records=_records(sight, patient_id),
        devices=_devices(sight, patient_id),
        audit=(),
        taking="" if own else taking(person["adherence"] or {}),
    )


def dose_row(dose: RowMapping) -> DoseRow:
    """Return a scheduled dose as a fact."""
    taken = dose["label"] in TAKEN
    return DoseRow(
        state=dose_state(dose["label"]),
        what=dose_words(dose),
        due_at=dose["due_at"],
        taken_at=dose["occurred_at"] if taken else None,
        evidence=EVIDENCE.get(dose["evidence"] or "") if taken else None,
        occurrence=dose["occurrence"],
        regimen_id=dose["regimen_id"],
        day=dose["dose_day"],
    )


def dose_words(dose: RowMapping) -> str:
    name = dose["product"] or dose["drug"].capitalize()
    amount = quantity(dose["amount"], dose["unit"])
    return f"{amount} of {name}" if amount else str(name)


def person_of(sight: Sight, patient_id: UUID) -> RowMapping:
    """Return who it is; raises NotFound for whom the reader may not see."""
    found = sight.row(
        """p.given_name, p.family_name, p.birth_date, s.needs, s.strip, s.heard_until,
        s.adherence,
        COALESCE((SELECT z.zone FROM patient_zone z WHERE z.patient_id = p.patient_id
            AND z.effective_from <= :now ORDER BY z.effective_from DESC LIMIT 1),
            c.zone) AS zone,
        (SELECT i.value FROM patient_identifier i WHERE i.patient_id = p.patient_id
            AND (i.until IS NULL OR i.until > :now) ORDER BY i.since, i.value LIMIT 1)
            AS identifier""",
        """patient p JOIN clinic c USING (clinic_id)
        LEFT JOIN patient_state s USING (patient_id)""",
        ("p.patient_id = :patient",),
        of="p.patient_id",
        given={"patient": patient_id},
    )
    if found is None:
        raise NotFound("There is no such patient, or none that you care for.")
    return found


def _needs(person: RowMapping, alerts: Sequence[AlertRow]) -> tuple[Need, ...]:
    reasons = person["needs"] or ()
    if not alerts:
        return needs(reasons)
    worst = alerts[0]
    return needs(reasons, worst.title, alert_path(worst.patient_id, worst.alert_id))


def _upcoming(sight: Sight, doses: Sequence[RowMapping]) -> tuple[DoseRow, ...]:
    open_ = [
        dose_row(dose)
        for dose in doses
        if dose["label"] in ("pending", "late") and dose["window_until"] > sight.now
    ]
    return tuple(open_[:MOST_UPCOMING])


def _alerts(sight: Sight, patient_id: UUID) -> tuple[AlertRow, ...]:
    rows = sight.rows(
        ALERT_COLUMNS,
        ALERT_TABLES,
        ("a.patient_id = :patient AND a.state <> 'closed'",),
        of="a.patient_id",
        order="rank DESC, a.triggered_at DESC",
        given={"patient": patient_id},
    )
    return tuple(alert_row(row) for row in rows)


def _messages(sight: Sight, patient_id: UUID, zone: str) -> tuple[MessageRow, ...]:
    rows = sight.rows(
        MESSAGE_COLUMNS,
        "outbox_message m JOIN patient p USING (patient_id)",
        (
            "m.patient_id = :patient",
            "m.state NOT IN ('pending', 'cancelled', 'expired')",
        ),
        of="m.patient_id",
        order="m.due_at DESC, m.message_id",
        most=5,
        given={"patient": patient_id},
    )
    return tuple(message_row(row, zone) for row in rows)


def _records(sight: Sight, patient_id: UUID) -> tuple[DoseRecord, ...]:
    rows = sight.rows(
        "e.dose_event_id, e.occurred_at, e.evidence, e.label, e.voided_at, v.reason",
        """dose_event e LEFT JOIN void v ON v.patient_id = e.patient_id
            AND v.kind = 'dose_event' AND v.row_id = e.dose_event_id""",
        ("e.patient_id = :patient",),
        of="e.patient_id",
        order="e.occurred_at DESC",
        most=MOST_RECORDS,
        given={"patient": patient_id},
    )
    return tuple(
        DoseRecord(
            dose_event_id=row["dose_event_id"],
            occurred_at=row["occurred_at"],
            evidence=EVIDENCE[row["evidence"]],
            label=EVENT_LABELS.get(str(row["label"]), str(row["label"])),
            void=None if row["voided_at"] is None else row["reason"] or "void",
        )
        for row in rows
    )


def _devices(sight: Sight, patient_id: UUID) -> tuple[DeviceRow, ...]:
    rows = sight.rows(
        """DISTINCT ON (d.kind, d.serial) d.maker, d.model, d.serial, d.kind,
        c.heard_until, c.battery_percent""",
        """assignment a JOIN device d USING (device_id)
        LEFT JOIN device_contact c USING (device_id)""",
        (
            "a.patient_id = :patient AND a.since <= :now",
            "(a.until IS NULL OR a.until > :now)",
        ),
        of="a.patient_id",
        order="d.kind, d.serial",
        given={"patient": patient_id},
    )
    return tuple(
        DeviceRow(
            name=f"{row['maker']} {row['model']} {row['serial']}",
            kind=row["kind"],
            heard_until=row["heard_until"],
            battery_percent=row["battery_percent"],
            silent=row["heard_until"] is None
            or sight.now - row["heard_until"] > SILENT_AFTER,
        )
        for row in rows
    )


def looks(sight: Sight, patient_id: UUID) -> tuple[Step, ...]:
    """Return who looked at or changed this patient, and when last, in real time.

    People only, a line for each and what they did.
    """
    rows = sight.rows(
        """max(r.recorded_at) AS recorded_at, r.action, r.actor_kind,
        COALESCE(k.name, CASE WHEN a.role = 'patient' THEN 'The patient' END)
            AS name""",
        """patient p JOIN audit_row r ON r.patients @> ARRAY[p.patient_id]
        JOIN account a ON a.account_id = r.actor_id
        LEFT JOIN clinician k ON k.clinician_id = a.subject_id""",
        ("p.patient_id = :patient", "r.actor_kind NOT IN ('bridge', 'system')"),
        of="p.patient_id",
        group="2, 3, 4",
        order="1 DESC",
        most=MOST_LOOKS,
        given={"patient": patient_id},
    )
    return tuple(
        Step(
            at=row["recorded_at"],
            what=SEEN.get(str(row["action"]), str(row["action"]).replace("_", " ")),
            who=_who(sight.reader, row),
        )
        for row in rows
    )


def _who(reader: Reader, row: RowMapping) -> str:
    if reader.role == "patient" and row["actor_kind"] == "patient":
        return "You"
    return str(row["name"] or row["actor_kind"].capitalize())
