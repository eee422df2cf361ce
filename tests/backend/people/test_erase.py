from datetime import datetime, timedelta
from threading import Thread
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlmodel import Session, col, select

from backend.audit.record import SYSTEM, record
from backend.audit.tables import AuditRow
from backend.database import transaction
from backend.database.partitions import ENSURE
from backend.database.sets import execute
from backend.devices.tables import DeviceRecord
from backend.errors import NotFound
from backend.outbox.tables import Receipt
from backend.people.erase import erase, tables_of_patients
from backend.people.hold import hold
from backend.people.identifiers import Identifier, find, identify
from backend.people.merge import merge
from backend.people.sessions import open_session
from backend.people.tables import Account, Patient, SignInSession
from backend.vitals.segment import Segment, milliseconds
from backend.vitals.store import store
from backend.vitals.tables import VitalSegment
from tests.backend.filled import MARK, fill, patient_tables
from tests.builders import (
    LONG_AGO,
    NOW,
    a_bridge,
    a_clinic,
    a_device,
    a_manufacturer,
    a_patient,
    a_product,
    an_account,
    an_assignment,
    written,
)

DAY = timedelta(days=1)
ALL_TABLES = """
SELECT relname FROM pg_class
WHERE relkind IN ('r', 'p') AND NOT relispartition
  AND relnamespace = current_schema()::regnamespace AND relname <> 'alembic_version'
"""


def rows_of(session: Session, patient: Patient) -> dict[str, int]:
    """How many rows of the patient each table holds, where any."""
    counts = {
        table.name: session.connection()
        .execute(
            text(f'SELECT count(*) FROM "{table.name}" WHERE patient_id = :one'),
            {"one": patient.patient_id},
        )
        .scalar_one()
        for table in patient_tables()
    }
    return {name: count for name, count in counts.items() if count}


@pytest.fixture
def rosa(session: Session) -> Patient:
    """A patient who has a row in every table."""
    clinic = a_clinic(session)
    a_product(session, a_manufacturer(session))
    a_device(session, clinic)
    a_bridge(session, clinic)
    patient = a_patient(session, clinic)
    fill(session, patient)
    return patient


def test_erasure_reaches_every_table_with_a_patient_in_it(
    session: Session, rosa: Patient
) -> None:
    assert set(rows_of(session, rosa)) == {table.name for table in patient_tables()}
    erased = erase(session, rosa.patient_id, actor=SYSTEM, now=NOW)
    assert rows_of(session, rosa) == {}
    assert set(erased.rows) >= {table.name for table in patient_tables()}


def test_the_database_names_the_same_tables_as_the_models(session: Session) -> None:
    assert tables_of_patients(session) == sorted(
        table.name for table in patient_tables()
    )


def test_erasure_leaves_other_patients_alone(session: Session, rosa: Patient) -> None:
    clinic = a_clinic(session)
    otto = a_patient(session, clinic, given_name="Otto")
    before = rows_of(session, otto)
    erase(session, rosa.patient_id, actor=SYSTEM, now=NOW)
    assert rows_of(session, otto) == before
    assert otto.given_name == "Otto"


def test_erasure_reaches_every_partition(session: Session, rosa: Patient) -> None:
    session.connection().execute(
        text(ENSURE), {"first": LONG_AGO.date(), "last": NOW.date()}
    )
    months = [LONG_AGO + n * 40 * DAY for n in range(9)] + [LONG_AGO - 4000 * DAY]
    session.add_all(
        VitalSegment(
            patient_id=rosa.patient_id,
            code="8867-4",
            source_id=1,
            start=start,
            recorded_at=NOW,
            unit="/min",
            step_ms=1000,
            values=[60.0],
        )
        for start in months
    )
    session.flush()
    erase(session, rosa.patient_id, actor=SYSTEM, now=NOW)
    assert "vital_segment" not in rows_of(session, rosa)


def test_a_tombstone_stays_and_audit_rows_stay(session: Session, rosa: Patient) -> None:
    record(session, SYSTEM, "patient_seen", patients=[rosa.patient_id])
    erase(session, rosa.patient_id, actor=SYSTEM, now=NOW)
    session.refresh(rosa)
    assert (rosa.given_name, rosa.family_name, rosa.birth_date) == ("", "", None)
    assert rosa.erased_at == NOW
    actions = session.exec(select(AuditRow.action)).all()
    assert sorted(actions) == ["patient_erased", "patient_seen"]


def test_nothing_of_the_person_is_left_in_any_table(
    session: Session, rosa: Patient
) -> None:
    erase(session, rosa.patient_id, actor=SYSTEM, now=NOW)
    session.flush()
    for table in session.connection().execute(text(ALL_TABLES)).scalars().all():
        found = session.connection().execute(
            text(f'SELECT count(*) FROM "{table}" AS t WHERE t::text LIKE :mark'),
            {"mark": f"%{MARK}%"},
        )
        assert found.scalar_one() == 0, table


def test_their_account_can_sign_in_no_more(session: Session, rosa: Patient) -> None:
    open_session(session, an_account(session, rosa), real=NOW)
    session.flush()
    erase(session, rosa.patient_id, actor=SYSTEM, now=NOW)
    assert session.exec(select(Account)).all() == []
    assert session.exec(select(SignInSession)).all() == []


def test_an_erased_patient_cannot_be_held_or_erased_again(
    session: Session, rosa: Patient
) -> None:
    erase(session, rosa.patient_id, actor=SYSTEM, now=NOW)
    assert hold(session, [rosa.patient_id]) == set()
    with pytest.raises(NotFound):
        erase(session, rosa.patient_id, actor=SYSTEM, now=NOW)


def test_receipts_of_their_messages_go_too(session: Session) -> None:
    clinic = a_clinic(session)
    a_product(session, a_manufacturer(session))
    a_device(session, clinic)
    rosa = a_patient(session, clinic)
    message_id = fill(session, rosa)["outbox_message"]["message_id"]
    for provider_id, message in (("SM1", message_id), ("SM2", uuid4())):
        written(
            session,
            Receipt(
                provider_id=provider_id,
                status="delivered",
                message_id=message,
                received_at=NOW,
            ),
        )
    erase(session, rosa.patient_id, actor=SYSTEM, now=NOW)
    assert session.exec(select(Receipt.provider_id)).all() == ["SM2"]


def a_record(
    session: Session,
    device_id: UUID,
    sequence: int,
    occurred_at: datetime | None,
    *,
    status: str = "used",
    received_at: datetime = NOW,
    compartment: object = None,
) -> None:
    at = occurred_at.isoformat() if occurred_at else None
    written(
        session,
        DeviceRecord(
            device_id=device_id,
            epoch=0,
            sequence=sequence,
            payload_hash=b"hash",
            status=status,
            item={"occurred_at": at, "compartment": compartment},
            raw=b"raw",
            received_at=received_at,
        ),
    )


def test_what_a_device_recorded_is_emptied_for_the_time_they_had_it(
    session: Session,
) -> None:
    clinic = a_clinic(session)
    rosa, otto = a_patient(session, clinic), a_patient(session, clinic)
    device = a_device(session, clinic)
    an_assignment(session, device, rosa, since=NOW - 20 * DAY, until=NOW - 10 * DAY)
    an_assignment(session, device, otto, since=NOW - 10 * DAY)
    an_assignment(session, device, otto, compartment=1, since=NOW - 20 * DAY)
    own = device.device_id
    hers = NOW - 15 * DAY
    a_record(session, own, 1, hers)
    a_record(session, own, 2, NOW - 10 * DAY)  # the instant Otto got it
    a_record(session, own, 3, NOW - 21 * DAY)
    a_record(session, own, 4, None, received_at=hers)
    a_record(session, own, 5, LONG_AGO, status="quarantined", received_at=hers)
    a_record(session, own, 6, hers, compartment=1)
    a_record(session, own, 7, hers, compartment=0)
    erase(session, rosa.patient_id, actor=SYSTEM, now=NOW)
    session.expire_all()
    rows = session.exec(select(DeviceRecord).order_by(col(DeviceRecord.sequence))).all()
    emptied = [row for row in rows if row.status == "erased"]
    assert [row.sequence for row in emptied] == [1, 4, 5, 7]
    assert {(str(row.item), row.raw) for row in emptied} == {("{}", None)}
    assert {row.payload_hash for row in rows} == {b"hash"}


@pytest.mark.parametrize("wrong", [300, "300", -1, 1.5, "lid", [1], True])
def test_a_record_with_a_compartment_that_no_device_has_is_emptied_too(
    session: Session, wrong: object
) -> None:
    clinic = a_clinic(session)
    rosa = a_patient(session, clinic)
    device = a_device(session, clinic)
    an_assignment(session, device, rosa)
    a_record(session, device.device_id, 1, NOW, status="quarantined", compartment=wrong)

    erase(session, rosa.patient_id, actor=SYSTEM, now=NOW)

    session.expire_all()
    assert session.exec(select(DeviceRecord.raw, DeviceRecord.status)).all() == [
        (None, "erased")
    ]


def test_files_that_were_merged_are_erased_together(session: Session) -> None:
    clinic = a_clinic(session)
    rosa, twin = a_patient(session, clinic), a_patient(session, clinic)
    number = Identifier("hospital", "77")
    identify(session, twin, number, since=LONG_AGO)
    merge(
        session,
        rosa.patient_id,
        twin.patient_id,
        by=uuid4(),
        reason="same insurance number",
        actor=SYSTEM,
        now=NOW,
    )
    erased = erase(session, rosa.patient_id, actor=SYSTEM, now=NOW)
    assert erased.patient_ids == {rosa.patient_id, twin.patient_id}
    assert rows_of(session, twin) == {}
    assert find(session, clinic.clinic_id, number) is None


WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"
REWRITE = """
WITH taken_out AS (DELETE FROM vital_segment RETURNING *)
INSERT INTO vital_segment (patient_id, source_id, code, start, recorded_at, unit,
    step_ms, "values", live)
SELECT patient_id, source_id, code, start + interval '1 s', recorded_at, unit, step_ms,
    "values", live
FROM taken_out
"""


def test_what_is_being_compacted_is_erased_with_the_rest(db: object) -> None:
    """Compaction holds no patient, only the series whose rows it writes anew."""
    with transaction() as session:
        rosa = a_patient(session, a_clinic(session))
        store(session, [a_segment(rosa)], recorded_at=NOW)
    failed: list[BaseException] = []

    def erasing() -> None:
        try:
            with transaction() as session:
                erase(session, rosa.patient_id, actor=SYSTEM, now=NOW)
        except BaseException as error:
            failed.append(error)
            raise

    eraser = Thread(target=erasing)
    with transaction() as session:
        execute(session, "SELECT FROM vital_series FOR NO KEY UPDATE")
        eraser.start()
        while eraser.is_alive() and not session.connection().scalar(text(WAITING)):
            pass
        execute(session, REWRITE)
    eraser.join(60)

    assert failed == []
    with transaction() as session:
        assert rows_of(session, rosa) == {}


def a_segment(patient: Patient) -> Segment:
    at = milliseconds(NOW)
    return Segment(patient.patient_id, 1, "8867-4", "/min", at, [60.0, 61.0], 1000)
