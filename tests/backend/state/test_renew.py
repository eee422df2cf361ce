"""State rows follow the calendar, and everybody has figures after an upgrade."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from backend.database import transaction
from backend.database.sets import execute, fetch
from backend.people.tables import PatientZone
from backend.state import renew as renewing
from backend.state.refresh import refresh
from backend.state.renew import renew
from tests import builders
from tests.backend.ingest.world import (
    MONDAY,
    World,
    a_world,
    another,
    doses_at_eight,
    eight,
    heard,
    opening,
    send,
    tell,
)

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
FRIDAY = eight(MONDAY + 4 * DAY)


def never() -> bool:
    return False


@pytest.fixture
def patients(db: object) -> list[World]:
    """Three patients who took the first of four doses; the state rows are of today."""
    with transaction() as session:
        first = a_world(session)
        worlds = [first, another(session, first), another(session, first)]
        for world in worlds:
            doses_at_eight(session, world, days=4)
            now = FRIDAY - HOUR
            send(session, world, [opening(world, 1, eight())], now=now)
            tell(session, world, [heard(world, 1, now)], now=now)
        refresh(session, ids_of(worlds), now=FRIDAY)
    return sorted(worlds, key=lambda world: world.patient_id)


def ids_of(worlds: Sequence[World]) -> list[UUID]:
    return [world.patient_id for world in worlds]


def kept() -> dict[UUID, dict[str, object]]:
    with transaction() as session:
        rows = fetch(session, "SELECT patient_id, adherence FROM patient_state")
    return {row["patient_id"]: row["adherence"] for row in rows}


def change(statement: str, *, whose: UUID | None = None) -> None:
    with transaction() as session:
        execute(session, statement, id=whose)


def without_figures() -> None:
    """Leave the rows as a version left them that knew no figures."""
    change("UPDATE patient_state SET adherence = '{}'")


def test_rows_from_before_an_upgrade_get_the_figures_they_would_have(
    patients: list[World],
) -> None:
    should = kept()
    assert all(one["expected"] == 4 for one in should.values())
    without_figures()

    assert renew(never, FRIDAY) == 3

    assert kept() == should
    assert renew(never, FRIDAY) == 0


def test_who_never_had_a_row_gets_one_and_who_was_erased_none(
    patients: list[World],
) -> None:
    change("DELETE FROM patient_state")
    erased = patients[0].patient_id
    change("UPDATE patient SET erased_at = now() WHERE patient_id = :id", whose=erased)

    assert renew(never, FRIDAY) == 2

    assert set(kept()) == set(ids_of(patients[1:]))


def test_the_thirty_days_go_on_though_nothing_happens(patients: list[World]) -> None:
    in_four_weeks = FRIDAY + 29 * DAY

    assert renew(never, in_four_weeks) == 3

    whole = kept()[patients[0].patient_id]
    assert (whole["last_day"], whole["taken"], whole["expected"]) == (
        "2026-04-03",
        0,
        1,  # of the four doses the last is still among the last 30 days
    )
    assert renew(never, in_four_weeks + HOUR) == 0


def test_a_row_is_renewed_when_the_patients_own_day_is_over(
    patients: list[World],
) -> None:
    traveller = patients[1].patient_id
    with transaction() as session:
        builders.written(
            session,
            PatientZone(
                patient_id=traveller,
                zone="Pacific/Auckland",
                effective_from=FRIDAY - DAY,
                recorded_at=FRIDAY - DAY,
            ),
        )
        refresh(session, ids_of(patients), now=FRIDAY)
    # Three in the morning: 14:00 UTC in Auckland, and 01:00 or 02:00 in the clinic.
    assert renew(never, at_utc(13, 59)) == 0
    assert renew(never, at_utc(14, 0)) == 1
    assert kept()[traveller]["last_day"] == "2026-03-06"
    assert renew(never, at_utc(1, 59, day=7)) == 0
    assert renew(never, at_utc(2, 0, day=7)) == 2


def at_utc(hour: int, minute: int, *, day: int = 6) -> datetime:
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC)


def test_it_goes_in_small_steps_and_stops_between_them_when_told(
    patients: list[World], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewing, "AT_ONCE", 1)
    without_figures()
    answers = iter([False, False, True])

    assert renew(lambda: next(answers), FRIDAY) == 2
    done = [bool(kept()[one]) for one in ids_of(patients)]
    assert done == [True, True, False]

    assert renew(never, FRIDAY) == 1
    assert all(kept().values())


def test_one_whose_row_cannot_be_computed_keeps_nobody_waiting(
    patients: list[World], caplog: pytest.LogCaptureFixture
) -> None:
    without_figures()
    broken = patients[0].patient_id
    change("UPDATE dose_event SET label = 'extra' WHERE patient_id = :id", whose=broken)
    change(
        "UPDATE scheduled_dose SET zone = 'No/Where' WHERE patient_id = :id",
        whose=broken,
    )

    with caplog.at_level(logging.CRITICAL):
        assert renew(never, FRIDAY) == 2

    assert not kept()[broken]
    assert all(kept()[one] for one in ids_of(patients[1:]))
