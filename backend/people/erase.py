"""Erasing a person: every row that is theirs, in every table and partition.

The tables are asked of the database itself, not of the models: what has a column
`patient_id` is reached whether or not this process knows the table. What holds a
person's data without that column is named here, and only here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import update
from sqlmodel import Session, col, select, text

from backend.audit.record import Actor, record
from backend.database.sets import execute, fetch
from backend.errors import NotFound
from backend.people.hold import hold
from backend.people.merge import same_person
from backend.people.tables import Patient

THEIRS = """
SELECT table_name FROM information_schema.columns
JOIN pg_class ON oid = to_regclass(quote_ident(table_name))
WHERE table_schema = current_schema() AND column_name = 'patient_id'
  AND relkind IN ('r', 'p') AND NOT relispartition AND table_name <> 'patient'
ORDER BY table_name
"""

# Devices are held before patients, by everybody and in order of id: a batch that is
# being accepted from one of them ends first.
HOLD_DEVICES = """
SELECT device_id FROM device WHERE device_id IN (
    SELECT device_id FROM assignment WHERE patient_id = ANY(:theirs))
ORDER BY device_id FOR NO KEY UPDATE
"""

# Compaction writes rows anew under the lock of their series and holds no patient: what
# it put in meanwhile would be seen by nobody who deletes the rows first.
HOLD_SERIES = """
SELECT FROM vital_series WHERE patient_id = ANY(:theirs)
ORDER BY patient_id, source_id, code FOR UPDATE
"""

# In this order, before the tables that say what was theirs.
WITHOUT_A_COLUMN = {
    "receipt": """
        DELETE FROM receipt USING outbox_message m
        WHERE receipt.message_id = m.message_id AND m.patient_id = ANY(:theirs)""",
    "vital_quarantine": """
        DELETE FROM vital_quarantine q USING assignment a
        WHERE q.patient_id IS NULL AND q.device_id = a.device_id
          AND a.patient_id = ANY(:theirs) AND q.recorded_at >= a.since
          AND (a.until IS NULL OR q.recorded_at < a.until)""",
    # A feed's rows and cursors stay, for the recipient has them; they name nobody.
    "feed_row": """
        UPDATE feed_row f SET body = jsonb_set(body, '{patient_pseudonym}', 'null')
        FROM (SELECT DISTINCT reorder_id || '/' || state AS key FROM reorder_event
            WHERE patient_id = ANY(:theirs)) e
        WHERE f.feed = 'reorders' AND f.dedup_key = e.key
          AND body ->> 'patient_pseudonym' IS NOT NULL""",
    "patient_merge": "DELETE FROM patient_merge WHERE merged_id = ANY(:theirs)",
    "access_token": """
        DELETE FROM access_token WHERE account_id IN (
            SELECT account_id FROM account WHERE subject_id = ANY(:theirs))""",
    "sign_in_session": """
        DELETE FROM sign_in_session WHERE account_id IN (
            SELECT account_id FROM account WHERE subject_id = ANY(:theirs))""",
    "account": "DELETE FROM account WHERE subject_id = ANY(:theirs)",
}

# Identity and hash of a device's record stay, so that a bridge which sends it again is
# told that it is known; what it says goes. A compartment that no device has says
# nothing of whose it is.
RECORDS = """
SELECT DISTINCT d.device_id, d.epoch, d.sequence, {status} AS status, d.received_at,
  d.item->>'occurred_at' AS occurred_at, a.since, a.until
FROM {table} d JOIN assignment a USING (device_id)
WHERE a.patient_id = ANY(:theirs)
  AND (d.item->>'compartment' = a.compartment::text
    OR coalesce(d.item->>'compartment', '') NOT IN (
        SELECT n::text FROM generate_series(0, 255) AS n))
"""
BLANK = """
UPDATE {table} d SET item = '{{}}', raw = NULL {more}
FROM rows(device_id uuid, epoch int, sequence bigint)
WHERE (d.device_id, d.epoch, d.sequence) = (r.device_id, r.epoch, r.sequence)
"""


@dataclass(frozen=True, slots=True)
class Raw:
    """A table of raw records: where its status is, what else to set when emptied."""

    table: str
    status: str
    more: str


RAW = (
    Raw("device_record", "d.status", ", status = 'erased', reason = NULL"),
    Raw("device_conflict", "'quarantined'", ""),
)


@dataclass(frozen=True, slots=True)
class Erased:
    """Whose rows are gone, and how many of each table."""

    patient_ids: frozenset[UUID]
    rows: Mapping[str, int]


def erase(session: Session, patient_id: UUID, *, actor: Actor, now: datetime) -> Erased:
    """Erase a person, with every file that was merged into theirs.

    The patient row stays as a tombstone without a name, audit rows stay for they hold
    ids only. Assignments are gone with the rest, so a record that a device hands over
    later belongs to nobody. Raises NotFound when there is no such patient, or no more.
    Who fills an open order of theirs is told by the caller: see `desk.leave`.
    """
    ids = hold_all(session, patient_id)
    fetch(session, HOLD_SERIES, theirs=ids)
    counts = {raw.table: _blank(session, raw, ids) for raw in RAW}
    for table, statement in WITHOUT_A_COLUMN.items():
        counts[table] = execute(session, statement, theirs=ids)
    for table in tables_of_patients(session):
        deleted = session.connection().execute(
            text(f'DELETE FROM "{table}" WHERE patient_id = ANY(:theirs)'),  # noqa: S608
            {"theirs": ids},
        )
        counts[table] = counts.get(table, 0) + deleted.rowcount
    clinic_id = session.exec(
        select(Patient.clinic_id).where(col(Patient.patient_id) == patient_id)
    ).one()
    session.exec(
        update(Patient)
        .where(col(Patient.patient_id).in_(ids))
        .values(given_name="", family_name="", birth_date=None, erased_at=now)
    )
    done = {table: count for table, count in counts.items() if count}
    record(
        session,
        actor,
        "patient_erased",
        patients=ids,
        clinic_id=clinic_id,
        detail={"rows": done},
    )
    return Erased(frozenset(ids), done)


def hold_all(session: Session, patient_id: UUID) -> list[UUID]:
    """Lock a person's devices and then every file of theirs; return the files.

    Raises NotFound when there is no such patient, or no more.
    """
    theirs = same_person(session, patient_id)
    ids = sorted(theirs)
    fetch(session, HOLD_DEVICES, theirs=ids)
    if patient_id not in hold(session, theirs):
        raise NotFound("No such patient.")
    return ids


def tables_of_patients(session: Session) -> list[str]:
    """Return every table with a column `patient_id`, except the patients' own."""
    return [str(row["table_name"]) for row in fetch(session, THEIRS)]


def _blank(session: Session, raw: Raw, ids: Sequence[UUID]) -> int:
    """Empty what a patient's devices recorded while they had them."""
    question = RECORDS.format(table=raw.table, status=raw.status)
    own = [
        {name: row[name] for name in ("device_id", "epoch", "sequence")}
        for row in fetch(session, question, theirs=ids)
        if _within(row)
    ]
    emptied = BLANK.format(table=raw.table, more=raw.more)
    return execute(session, emptied, own) if own else 0


def _within(row: Mapping[Any, Any]) -> bool:
    """Tell whether a record falls into the span of an assignment.

    By when it happened; where that cannot be believed, also by when it came.
    """
    instants = [_instant(row["occurred_at"])]
    if instants == [None] or row["status"] == "quarantined":
        instants.append(row["received_at"])
    return any(
        at is not None
        and row["since"] <= at
        and (row["until"] is None or at < row["until"])
        for at in instants
    )


def _instant(written: str | None) -> datetime | None:
    try:
        at = datetime.fromisoformat(written or "")
    except ValueError:
        return None
    return at if at.tzinfo else None
