"""The ledger of a patient's reminders: each that was, and all that became of it."""

import csv
from collections.abc import Mapping, Sequence
from datetime import datetime
from io import StringIO
from uuid import UUID

from sqlalchemy import RowMapping

from backend.dashboards.keyset import identity, instant, understood
from backend.dashboards.reminder_views import LedgerRow
from backend.dashboards.render import moment
from backend.dashboards.visible import Sight
from backend.dashboards.words import MESSAGES, because, instant_of, masked, plain

WAYS = {
    "sms": "text",
    "voice": "call",
    "email": "mail",
    "push": "push message",
    "worklist": "entry in the worklist",
}
WHOM = {
    "patient": "to the patient",
    "caregiver": "to the caregiver",
    "clinic": "of the clinic",
}
LABELS = {
    "pending": "the dose is still open",
    "late": "the dose is late",
    "unknown": "nobody knows whether the dose was taken",
    "missed": "the dose was missed",
}
ANSWERS = {
    "taken": "taken",
    "skip": "left out",
    "snooze": "later",
    "stop": "no more messages",
    "start": "messages again",
    "help": "help",
    "unclear": "something for a person to read",
}
PROVIDER = {
    "retry": "the provider was busy",
    "unknown": "no answer from the provider",
    "lost": "the worker was lost",
    "failed": "refused by the provider",
    "released": "given back unsent",
}
CSV_COLUMNS = (
    *("due_at", "dose_due_at", "medicine", "rung", "ladder", "kind", "recipient"),
    *("channel", "address", "state", "code", "provider_id", "sent_at", "body", "why"),
    *("provider_said", "answer", "answered_at", "dose_label", "dose_taken_at"),
)
# Columns that the query calls otherwise.
COLUMN = {
    "medicine": "drug",
    "recipient": "recipient_kind",
    "sent_at": "started_at",
    "dose_label": "label",
    "dose_taken_at": "taken_at",
}


def ledger(
    sight: Sight,
    patient_id: UUID,
    *,
    after: str | None = None,
    since: datetime | None = None,
    most: int | None = None,
) -> Sequence[RowMapping]:
    """Return the reminders of a patient of the reader, the newest first."""
    where = ["m.patient_id = :patient", "starts_with(m.dedup_key, 'dose/')"]
    given: dict[str, object] = {"patient": patient_id}
    key = understood(after, instant, identity)
    if key is not None:
        where.append("(m.due_at, m.message_id) < (:due_at, :id)")
        given |= {"due_at": key[0], "id": key[1]}
    if since is not None:
        where.append("m.due_at >= :since")
        given["since"] = since
    return sight.rows(
        COLUMNS,
        TABLES,
        where,
        of="m.patient_id",
        order="m.due_at DESC, m.message_id DESC",
        most=most,
        given=given,
    )


def ledger_csv(sight: Sight, patient_id: UUID, *, since: datetime) -> str:
    """Return every reminder since then as CSV, instants in UTC, the newest first.

    Addresses are masked. A cell that a spreadsheet would take for a formula begins
    with an apostrophe.
    """
    text = StringIO()
    table = csv.writer(text, lineterminator="\r\n")
    table.writerow(CSV_COLUMNS)
    for row in ledger(sight, patient_id, since=since):
        table.writerow([_harmless(_cell(row, name)) for name in CSV_COLUMNS])
    return text.getvalue()


def ledger_row(row: RowMapping, zone: str) -> LedgerRow:
    """Return one reminder in words; `row` is of the ledger's query."""
    why: Mapping[str, object] = row["why"]
    ladder_of = str(why.get("ladder", ""))
    reasons = [because(why, zone, state=row["state"])]
    if ladder_of:
        reasons.append(f"{plain(why.get('rung'))}, of the ladder {ladder_of}")
    if "moved" in why:
        reasons.append(f"moved: {plain(why['moved'])}")
    return LedgerRow(
        message_id=row["message_id"],
        due_at=row["due_at"],
        what=MESSAGES.get(str(row["kind"]), plain(row["kind"]).capitalize()),
        to=WHOM[str(row["recipient_kind"])].partition(" ")[2],
        channel=WAYS.get(str(row["channel"]), str(row["channel"])),
        address="" if row["channel"] == "worklist" else _masked(row),
        state=row["state"],
        why="; ".join(part for part in reasons if part),
        body=row["body"],
        steps=tuple(_provider(row, zone)),
        after=_after(row, zone),
    )


def _masked(row: RowMapping) -> str:
    return masked(row["channel"], row["address"])


def _provider(row: RowMapping, zone: str) -> list[str]:
    """Return what became of each try, and what the provider said later."""
    told: list[str] = []
    for attempt in row["attempts"] or ():
        code = f" ({attempt['code']})" if attempt["code"] else ""
        at = _moment(attempt["started_at"], zone)
        told.append(
            f"{at} {PROVIDER.get(attempt['outcome'], attempt['outcome'])}{code}"
        )
    if row["provider_id"] is not None and row["started_at"] is not None:
        told.append(f"{moment(row['started_at'], zone)} accepted by the provider")
    for receipt in row["receipts"] or ():
        code = f" ({receipt['code']})" if receipt["code"] else ""
        told.append(
            f"{_moment(receipt['received_at'], zone)} {receipt['status']}{code}"
        )
    return told


def _after(row: RowMapping, zone: str) -> str:
    """Return what happened next: the answer, and what became of the dose."""
    told: list[str] = []
    if row["answer"] is not None:
        said = ANSWERS.get(row["answer"], row["answer"])
        reason = f" ({row['reason']})" if row["reason"] else ""
        until = f" until {moment(row['until'], zone)}" if row["until"] else ""
        told.append(
            f"{moment(row['answered_at'], zone)} answered: {said}{until}{reason}"
        )
    label = row["label"]
    if row["taken_at"] is not None:
        told.append(f"{moment(row['taken_at'], zone)} the dose is recorded")
    elif label is not None:
        told.append(LABELS.get(label, plain(label)))
    else:
        told.append("the dose is no longer scheduled")
    joined = ", ".join(told)
    return joined[:1].upper() + joined[1:]


def _moment(at: object, zone: str) -> str:
    found = instant_of(at)
    return "" if found is None else moment(found, zone)


def _cell(row: RowMapping, name: str) -> str:
    if name in ("rung", "ladder", "dose_due_at"):
        return str(row["why"].get(name, ""))
    match name:
        case "why":
            return because(row["why"], "UTC", state=row["state"])
        case "address":
            return _masked(row)
        case "provider_said":
            return "; ".join(_provider(row, "UTC"))
        case _:
            return _iso(row[COLUMN.get(name, name)])


def _iso(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    return "" if value is None else str(value)


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell[:1] in {"=", "+", "-", "@", "\t", "\r"} else cell


COLUMNS = """m.message_id, m.kind, m.recipient_kind, m.channel, m.address, m.due_at,
    m.state, m.body, m.why, m.code, m.provider_id, m.started_at, d.label, g.drug,
    e.occurred_at AS taken_at, w.kind AS answer, w.at AS answered_at, w.until, w.reason,
    (SELECT json_agg(json_build_object('outcome', a.outcome, 'code', a.code,
        'started_at', a.started_at) ORDER BY a.attempt)
     FROM message_attempt a WHERE a.message_id = m.message_id) AS attempts,
    (SELECT json_agg(json_build_object('status', r.status, 'code', r.code,
        'received_at', r.received_at) ORDER BY r.received_at)
     FROM receipt r WHERE r.provider_id = m.provider_id
        AND r.message_id = m.message_id) AS receipts"""
TABLES = """outbox_message m
    LEFT JOIN scheduled_dose d ON d.patient_id = m.patient_id
        AND d.regimen_id = CAST(m.params ->> 'regimen_id' AS uuid)
        AND d.occurrence = m.params ->> 'occurrence'
    LEFT JOIN regimen g ON g.patient_id = m.patient_id
        AND g.regimen_id = CAST(m.params ->> 'regimen_id' AS uuid)
    LEFT JOIN dose_event e ON e.patient_id = d.patient_id
        AND e.dose_event_id = d.dose_event_id
    LEFT JOIN LATERAL (SELECT * FROM reminder_answer w
        WHERE w.patient_id = m.patient_id AND w.message_id = m.message_id
        ORDER BY w.at DESC LIMIT 1) w ON true"""
