import threading
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from backend.audit.record import SYSTEM
from backend.database import transaction
from backend.errors import NotFound
from backend.people.bridges import (
    CODE_LIVES,
    OVERLAP,
    TOKEN_LIVES,
    Credential,
    WrongCode,
    find_bridge,
    new_code,
    pair,
    revoke,
    rotate,
)
from backend.people.commands import pairing_code, revoke_bridge
from backend.people.tables import Clinic
from tests.builders import a_clinic

REAL = datetime(2026, 3, 4, 9, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def clinic(db: object) -> Clinic:
    with transaction() as session:
        return a_clinic(session)


def code(clinic: Clinic, kind: str = "gateway") -> str:
    with transaction() as session:
        return new_code(session, clinic.clinic_id, kind=kind, actor=SYSTEM, real=REAL)


def paired(spoken: str, real: datetime = REAL) -> Credential:
    with transaction() as session:
        return pair(session, spoken, "ward 3", real=real)


def works(token: str, real: datetime) -> bool:
    with transaction() as session:
        return find_bridge(session, token, real=real) is not None


def test_a_code_gives_a_bridge_of_its_clinic_a_token(clinic: Clinic) -> None:
    made = paired(code(clinic, kind="cloud"))
    with transaction() as session:
        bridge = find_bridge(session, made.token, real=REAL)
    assert bridge is not None
    assert (bridge.bridge_id, bridge.clinic_id, bridge.kind) == (
        made.bridge_id,
        clinic.clinic_id,
        "cloud",
    )


def test_a_code_can_be_read_out_and_typed_as_people_do(clinic: Clinic) -> None:
    spoken = code(clinic)
    typed = f" {spoken.lower().replace('-', ' ')} ".replace("0", "o").replace("1", "l")
    assert works(paired(typed).token, REAL)


def test_a_code_works_once_and_ten_minutes(clinic: Clinic) -> None:
    spoken = code(clinic)
    with pytest.raises(WrongCode):
        paired(spoken, REAL + CODE_LIVES)
    paired(spoken, REAL + CODE_LIVES - SECOND)
    with pytest.raises(WrongCode):
        paired(spoken)


def test_of_two_bridges_with_one_code_one_is_paired(clinic: Clinic) -> None:
    spoken = code(clinic)
    outcomes: list[str] = []
    start = threading.Barrier(2)

    def race() -> None:
        start.wait(10)
        try:
            paired(spoken)
        except WrongCode:
            outcomes.append("refused")
        else:
            outcomes.append("paired")

    racers = [threading.Thread(target=race) for _ in range(2)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(20)
    assert sorted(outcomes) == ["paired", "refused"]


def test_after_a_rotation_the_old_token_works_ten_more_minutes(clinic: Clinic) -> None:
    old = paired(code(clinic))
    later = REAL + timedelta(days=1)
    with transaction() as session:
        new = rotate(session, old.bridge_id, real=later)
    assert works(old.token, later + OVERLAP - SECOND)
    assert not works(old.token, later + OVERLAP)
    assert works(new.token, later + TOKEN_LIVES - SECOND)
    assert not works(new.token, later + TOKEN_LIVES)


def test_a_rotation_whose_answer_was_lost_can_be_repeated(clinic: Clinic) -> None:
    old = paired(code(clinic))
    with transaction() as session:
        rotate(session, old.bridge_id, real=REAL)
        again = rotate(session, old.bridge_id, real=REAL + SECOND)
    assert works(again.token, REAL + timedelta(days=60))


def test_a_rotation_never_prolongs_an_old_token(clinic: Clinic) -> None:
    old = paired(code(clinic))
    with transaction() as session:
        rotate(session, old.bridge_id, real=REAL)
        rotate(session, old.bridge_id, real=REAL + OVERLAP - SECOND)
    assert not works(old.token, REAL + OVERLAP)


def test_a_revoked_bridge_is_out_at_once_with_all_its_tokens(clinic: Clinic) -> None:
    old = paired(code(clinic))
    with transaction() as session:
        new = rotate(session, old.bridge_id, real=REAL)
        revoke(session, old.bridge_id, actor=SYSTEM, real=REAL)
    assert not works(old.token, REAL)
    assert not works(new.token, REAL)


def test_an_operator_types_the_clinics_name_or_id(clinic: Clinic) -> None:
    for named in ("seefeld", str(clinic.clinic_id)):
        made = paired(pairing_code(named, kind="gateway", real=REAL))
        assert revoke_bridge(str(made.bridge_id), real=REAL) == "ward 3"
    with pytest.raises(NotFound):
        pairing_code("Nowhere", kind="gateway", real=REAL)
    with pytest.raises(NotFound):
        revoke_bridge(str(uuid4()), real=REAL)
