"""A month of heart rate: read in medians, one patient a transaction, when it pays."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest
from sqlmodel import Session

from analytics.findings import HEART_RATE
from analytics.records import Series, instant
from analytics.simulated_heart_rate import HeartRate, heart_rate_minutes
from backend.alerts.history import histories, together
from backend.alerts.reconsider import reconsider
from backend.alerts.screen import screen
from backend.database import transaction
from backend.database.partitions import ensure_partitions
from backend.database.sets import fetch
from backend.ingest.screen import screen_due
from backend.people.tables import Clinic
from backend.vitals.segment import Segment, milliseconds
from backend.vitals.store import store
from tests.backend.ingest.world import count
from tests.builders import NOW, a_clinic, a_patient

DAY = timedelta(days=1)
FIRST = NOW - 33 * DAY
CHANGED = NOW - 3 * DAY


@pytest.fixture
def clinic(session: Session) -> Clinic:
    ensure_partitions(session, FIRST, NOW)
    return a_clinic(session)


def worn(session: Session, clinic: Clinic, *, step: float = 0.0) -> UUID:
    """A patient whose heart rate of a month is known, by the minute; a step at last."""
    patient_id = a_patient(session, clinic, phone=None).patient_id
    heart = HeartRate(base=66, sleep=56, drift=0.5, wear=1.0, steps=((CHANGED, step),))
    series = heart_rate_minutes(FIRST, NOW, heart=heart, seed=2)
    store(session, [_segment(patient_id, series)], recorded_at=NOW)
    return patient_id


def _segment(patient_id: UUID, series: Series) -> Segment:
    start = milliseconds(instant(int(series.times[0])))
    offsets: Sequence[int] = (series.times // 1000 - start).tolist()
    values: Sequence[float] = series.values.tolist()
    return Segment(patient_id, 1, HEART_RATE, "/min", start, values, offsets_ms=offsets)


def unworn(session: Session, clinic: Clinic) -> UUID:
    return a_patient(session, clinic, phone=None).patient_id


def test_a_changed_resting_heart_rate_becomes_an_alert(
    session: Session, clinic: Clinic
) -> None:
    changed, steady = worn(session, clinic, step=25), worn(session, clinic)

    assert screen(session, [changed, steady], now=NOW) == {changed}

    [alert] = fetch(session, "SELECT rule FROM alert")
    assert alert["rule"] == f"resting-heart-rate-changed:{HEART_RATE}"


def test_detectors_get_a_value_for_five_minutes_however_many_samples_there_are(
    session: Session, clinic: Clinic
) -> None:
    patient_id = worn(session, clinic)

    seen = histories(session, [patient_id], now=NOW)[patient_id]

    times = seen.history.series[HEART_RATE].times
    assert 32 * 288 <= len(times) <= 33 * 288
    assert not (times % 300_000_000).any()


def test_a_patient_whose_heart_rate_is_to_be_read_is_screened_alone(
    session: Session, clinic: Clinic
) -> None:
    first, second = worn(session, clinic), worn(session, clinic)
    other, another = unworn(session, clinic), unworn(session, clinic)

    assert together(session, [first, other, second], now=NOW) == [first]
    assert together(session, [other, first, another], now=NOW) == [other, another]

    screen(session, [first], now=NOW)
    assert together(session, [first, other, second], now=NOW) == [first, other]
    assert together(session, [first, other], now=NOW + DAY) == [first]


def test_whoever_is_due_is_screened_in_as_many_transactions_as_it_takes(
    db: object,
) -> None:
    with transaction() as session:
        ensure_partitions(session, FIRST, NOW)
        clinic = a_clinic(session)
        whose = [worn(session, clinic, step=25), worn(session, clinic, step=25)]
        reconsider(session, [*whose, unworn(session, clinic)], now=NOW)

    while screen_due(NOW):
        pass

    with transaction() as session:
        assert count(session, "screen_due") == 0
        assert count(session, "alert") == 2
