from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlmodel import Session, col, select, update

from backend.audit.record import SYSTEM, Actor, decide, record
from backend.audit.seal import BATCH, seal, sealed, verify
from backend.audit.tables import AuditRow, AuditSeal, Decision
from backend.database import owner_engine, transaction

REAL = datetime(2026, 3, 4, 9, 0, tzinfo=UTC)
CLINIC = uuid4()
pytestmark = pytest.mark.usefixtures("db")


def seen(clinic_id: UUID | None, times: int) -> None:
    with transaction() as session:
        for n in range(times):
            record(
                session,
                Actor("clinician", uuid4(), clinic_id),
                "patient_seen",
                patients=[uuid4()],
                detail={"page": "timeline", "n": n, "at": REAL, "share": 0.1},
            )


def chain(clinic_id: UUID | None) -> tuple[int, int | None]:
    with transaction() as session:
        found = verify(session, clinic_id)
        return found.n, found.broken


def tampered(number: int, **changes: object) -> None:
    """Change a row as somebody with the owner's rights could."""
    with Session(owner_engine()) as session:
        session.exec(
            update(AuditRow)
            .where(col(AuditRow.clinic_id) == CLINIC, col(AuditRow.n) == number)
            .values(**changes)
        )
        session.commit()


def test_sealed_rows_are_numbered_from_one_and_hold_together() -> None:
    seen(CLINIC, 5)
    assert seal(REAL) == 5
    seen(CLINIC, 3)
    assert seal(REAL) == 3
    assert seal(REAL) == 0
    assert chain(CLINIC) == (8, None)


def test_how_far_a_clinic_is_sealed_can_be_told() -> None:
    seen(CLINIC, 2)
    seal(REAL)
    with transaction() as session:
        head = sealed(session, CLINIC)
    assert head is not None
    assert (head.n, head.sealed_at, len(head.hash)) == (2, REAL, 32)


def test_clinics_have_chains_of_their_own_and_so_has_what_concerns_none() -> None:
    other = uuid4()
    seen(CLINIC, 2)
    seen(other, 3)
    seen(None, 4)
    assert seal(REAL) == 9
    assert [chain(each) for each in (CLINIC, other, None)] == [
        (2, None),
        (3, None),
        (4, None),
    ]


def test_more_rows_than_one_batch_are_sealed_in_one_go() -> None:
    seen(CLINIC, BATCH + 7)
    assert seal(REAL) == BATCH + 7
    assert chain(CLINIC) == (BATCH + 7, None)


@pytest.mark.parametrize(
    "change",
    [
        {"action": "patient_list_seen"},
        {"patients": []},
        {"detail": {"page": "other"}},
        {"actor_id": UUID(int=1)},
        {"recorded_at": REAL},
        {"hash": b"\0" * 32},
    ],
    ids=lambda change: str(next(iter(change))),
)
def test_a_changed_row_is_found(change: dict[str, object]) -> None:
    seen(CLINIC, 6)
    seal(REAL)
    tampered(4, **change)
    assert chain(CLINIC)[1] == 4


def test_a_removed_row_is_found_also_at_the_end() -> None:
    seen(CLINIC, 6)
    seal(REAL)
    tampered(6, n=None, hash=None)
    assert chain(CLINIC) == (5, 6)
    tampered(3, n=None, hash=None)
    assert chain(CLINIC)[1] == 3


def test_a_chain_written_anew_does_not_fit_its_head() -> None:
    seen(CLINIC, 3)
    seal(REAL)
    tampered(1, action="nothing_seen", n=None, hash=None)
    tampered(2, n=None, hash=None)
    tampered(3, n=None, hash=None)
    with transaction() as session:
        kept = sealed(session, CLINIC)
        assert kept is not None
        head = kept.hash
        kept.n, kept.hash = 0, b""
    seal(REAL)
    assert chain(CLINIC) == (3, None)  # consistent in itself, but
    with transaction() as session:
        assert session.get_one(AuditSeal, CLINIC).hash != head  # not what was logged


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_row SET action = 'nothing'",
        "DELETE FROM audit_row",
        "TRUNCATE audit_row",
    ],
)
def test_the_application_can_neither_change_nor_remove_an_audit_row(
    statement: str,
) -> None:
    seen(CLINIC, 1)
    with pytest.raises(ProgrammingError, match="permission denied"), transaction() as s:
        s.connection().execute(text(statement))


def test_a_name_cannot_slip_into_an_audit_row() -> None:
    with transaction() as session, pytest.raises(ValueError, match="only codes"):
        record(session, SYSTEM, "patient_seen", detail={"who": ["Rosa Keller"]})


def test_rows_of_an_undone_transaction_are_gone_with_it() -> None:
    with transaction() as session:
        record(session, SYSTEM, "patient_seen")
        session.rollback()
    assert seal(REAL) == 0


def test_a_decision_keeps_the_numbers_that_decided() -> None:
    patient_id = uuid4()
    with transaction() as session:
        decision_id = decide(
            session,
            patient_id=patient_id,
            rule="reorder",
            version=2,
            inputs={"on_hand": 7, "at": REAL},
            outcome={"packs": 1},
            at=REAL,
        )
    with transaction() as session:
        row = session.exec(select(Decision)).one()
    assert (row.patient_id, row.decision_id) == (patient_id, decision_id)
    assert row.inputs == {"on_hand": 7, "at": REAL.isoformat()}
