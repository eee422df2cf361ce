"""Segments against a plain model: a dictionary in which the first sample stays."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from threading import Thread
from typing import Literal
from uuid import UUID

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlmodel import Session

from analytics.records import microseconds
from backend.database import transaction
from backend.database.address import Addresses
from backend.people.readers import Reader
from backend.vitals.compact import FRAGMENTS, compact, forget_keys
from backend.vitals.pieces import MOST
from backend.vitals.read import read, sources
from backend.vitals.segment import Segment, milliseconds
from backend.vitals.sources import source_ids
from backend.vitals.store import Outcome, store
from tests.builders import NOW, a_clinic, a_clinician, a_patient

ROSA = UUID(int=7)
HUGO = UUID(int=8)
HEART = "8867-4"
BASE = milliseconds(NOW)


def run(
    at: int,
    values: Sequence[float],
    *,
    key: str | None = None,
    step: int = 1000,
    offsets: Sequence[int] | None = None,
    patient: UUID = ROSA,
    source: int = 1,
    live: bool = False,
) -> Segment:
    """A segment that begins `at` milliseconds after NOW."""
    return Segment(
        patient, source, HEART, "/min", BASE + at, values, step, offsets, live, key
    )


def stored(*segments: Segment) -> list[tuple[int, int]]:
    with transaction() as session:
        outcomes = store(session, segments, recorded_at=NOW)
    return [(outcome.stored, outcome.known) for outcome in outcomes]


def everything(patient: UUID = ROSA, source: int | None = None) -> dict[int, float]:
    """All samples of a patient: milliseconds after NOW to value."""
    with transaction() as session:
        series = read(
            session,
            [patient],
            HEART,
            first=datetime(1990, 1, 1, tzinfo=UTC),
            until=datetime(2040, 1, 1, tzinfo=UTC),
            reader=None,
            now=NOW,
            source_id=source,
        )[patient]
    times = (series.times // 1000 - BASE).tolist()
    assert times == sorted(times)
    assert len(set(times)) == len(times)
    return dict(zip(times, series.values.tolist(), strict=True))


def rows(session: Session) -> list[tuple[int, int, int]]:
    """All rows as (start, last, samples), checked to be disjoint."""
    found = session.connection().execute(
        text(
            "SELECT patient_id, source_id, code,"
            " (extract(epoch FROM start) * 1000)::bigint AS start,"
            " coalesce(offsets_ms[cardinality(offsets_ms)],"
            " step_ms::bigint * (cardinality(values) - 1)) AS span,"
            " cardinality(values) AS n FROM vital_segment ORDER BY 1, 2, 3, 4"
        )
    )
    spans = [(row[:3], row.start, row.start + row.span, row.n) for row in found]
    for before, after in pairwise(spans):
        assert before[0] != after[0] or before[2] < after[1]
    return [(start - BASE, last - BASE, n) for _, start, last, n in spans]


@pytest.mark.usefixtures("db")
def test_a_repeat_changes_nothing() -> None:
    segment = run(0, [60, 61, 62], key="a")

    assert stored(segment) == [(3, 0)]
    assert stored(segment) == [(0, 3)]
    assert everything() == {0: 60, 1000: 61, 2000: 62}


@pytest.mark.usefixtures("db")
def test_the_first_acceptance_fixes_the_start() -> None:
    stored(run(0, [60, 61], key="a"))

    assert stored(run(60_000, [60, 61], key="a")) == [(0, 2)]
    assert everything() == {0: 60, 1000: 61}


@pytest.mark.usefixtures("db")
def test_one_key_twice_in_a_request_is_stored_once() -> None:
    assert stored(run(0, [60], key="a"), run(5000, [61], key="a")) == [(1, 0), (0, 1)]
    assert everything() == {0: 60}


@pytest.mark.usefixtures("db")
def test_the_first_sample_at_an_instant_stays() -> None:
    stored(run(0, [60, 61, 62], key="a"))

    assert stored(run(1000, [91, 92, 93], key="b")) == [(1, 2)]
    assert everything() == {0: 60, 1000: 61, 2000: 62, 3000: 93}


@pytest.mark.usefixtures("db")
def test_of_two_that_overlap_in_one_request_the_first_named_wins() -> None:
    got = stored(run(1000, [61, 62], key="a"), run(0, [90, 91, 92, 93], key="b"))

    assert got == [(2, 0), (2, 2)]
    assert everything() == {0: 90, 1000: 61, 2000: 62, 3000: 93}


@pytest.mark.usefixtures("db")
def test_samples_between_those_of_a_row_go_into_it() -> None:
    stored(run(0, [60, 62, 64], step=2000))

    assert stored(run(1000, [61, 63], step=2000)) == [(2, 0)]
    with transaction() as session:
        assert rows(session) == [(0, 4000, 5)]
    assert everything() == {0: 60, 1000: 61, 2000: 62, 3000: 63, 4000: 64}


@pytest.mark.usefixtures("db")
def test_sources_and_patients_do_not_mix() -> None:
    got = stored(run(0, [60]), run(0, [70], source=2), run(0, [80], patient=HUGO))

    assert got == [(1, 0)] * 3
    assert everything(source=1) == {0: 60}
    assert everything(source=2) == {0: 70}
    assert everything(HUGO) == {0: 80}


@pytest.mark.usefixtures("db")
def test_a_long_run_is_cut_at_the_month_and_at_the_bound() -> None:
    day = 86_400_000
    stored(run(0, list(range(3 * MOST)), step=day // 200))

    with transaction() as session:
        found = rows(session)
    assert max(samples for *_, samples in found) <= MOST
    assert sum(samples for *_, samples in found) == 3 * MOST
    assert len(found) == 4  # March and April, each more than a row may hold
    assert list(everything().values()) == list(range(3 * MOST))


@pytest.mark.usefixtures("db")
def test_what_lies_years_back_is_stored_too() -> None:
    ago = -20 * 366 * 86_400_000

    assert stored(run(0, [60]), run(ago, [61, 62])) == [(1, 0), (2, 0)]
    assert stored(run(ago, [90], key="x")) == [(0, 1)]
    assert everything() == {0: 60, ago: 61, ago + 1000: 62}


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize("days", [24, 25, 30])
def test_samples_that_lie_weeks_apart_in_one_month_are_stored(days: int) -> None:
    first = milliseconds(datetime(2026, 3, 1, tzinfo=UTC)) - BASE
    step = days * 86_400_000

    assert stored(run(first, [1, 2], step=step)) == [(2, 0)]
    assert everything() == {first: 1, first + step: 2}


def uneven(at: int, samples: dict[int, float]) -> Segment:
    return run(at, list(samples.values()), offsets=list(samples))


arrivals = st.lists(
    st.lists(
        st.builds(
            run,
            at=st.integers(0, 40).map(lambda n: n * 1000),
            values=st.lists(st.integers(40, 200).map(float), min_size=1, max_size=12),
            step=st.sampled_from([1000, 2000, 3000, 86_400_000 * 9]),
            key=st.none() | st.sampled_from("abcdefgh"),
            patient=st.sampled_from([ROSA, HUGO]),
        )
        | st.builds(
            uneven,
            at=st.integers(-5, 30).map(lambda n: n * 1000),
            samples=st.dictionaries(
                st.integers(1, 30).map(lambda n: n * 500), st.just(99.5), max_size=6
            ).map(lambda later: dict(sorted({0: 77.0, **later}.items()))),
        ),
        max_size=5,
    ),
    max_size=6,
)


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(requests=arrivals, merge=st.sampled_from([True, False]))
def test_any_sequence_of_requests_equals_the_model(
    db: Addresses, requests: list[list[Segment]], merge: Literal[True, False]
) -> None:
    wipe()
    model: dict[UUID, dict[int, float]] = {ROSA: {}, HUGO: {}}
    seen: set[tuple[UUID, str]] = set()
    for request in requests:
        want = [accepted(model, seen, segment) for segment in request]
        assert stored(*request) == want
        if merge:
            force_compaction()
    for patient, samples in model.items():
        assert everything(patient) == dict(sorted(samples.items()))
    with transaction() as session:
        total = sum(n for *_, n in rows(session))
        counted = session.connection().execute(
            text("SELECT coalesce(sum(samples), 0)::int FROM vital_series")
        )
        assert total == sum(map(len, model.values())) == counted.scalar_one()


def accepted(
    model: dict[UUID, dict[int, float]],
    seen: set[tuple[UUID, str]],
    segment: Segment,
) -> tuple[int, int]:
    """What must become of a segment, by the rules as they are written."""
    if segment.key is not None:
        if (segment.patient_id, segment.key) in seen:
            return 0, len(segment.values)
        seen.add((segment.patient_id, segment.key))
    offsets = segment.offsets_ms or [
        number * segment.step_ms for number in range(len(segment.values))
    ]
    samples = model[segment.patient_id]
    new = 0
    for offset, value in zip(offsets, segment.values, strict=True):
        at = segment.start_ms + offset - BASE
        new += at not in samples
        samples.setdefault(at, value)
    return new, len(segment.values) - new


def wipe() -> None:
    with transaction() as session:
        for table in ("vital_segment", "vital_series", "vital_key"):
            session.connection().execute(text(f"DELETE FROM {table}"))


def force_compaction() -> None:
    with transaction() as session:
        session.connection().execute(
            text("UPDATE vital_series SET fragments = :many"), {"many": FRAGMENTS}
        )
    compact(NOW)


@pytest.mark.usefixtures("db")
def test_two_requests_that_race_store_each_sample_once() -> None:
    """Both send the same and overlapping things at once, in opposite order."""
    batches = [
        [run(at * 1000, [60.0 + at] * 8, patient=UUID(int=one)) for one in range(1, 9)]
        for at in range(12)
    ]
    gone: list[tuple[int, int]] = []

    def send(turn: int) -> None:
        for batch in batches:
            gone.extend(stored(*batch[::turn]))

    threads = [Thread(target=send, args=[turn]) for turn in (1, -1) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert sum(new for new, _ in gone) == 8 * 19
    assert sum(new + known for new, known in gone) == 4 * 12 * 8 * 8
    for one in range(1, 9):
        assert list(everything(UUID(int=one))) == [at * 1000 for at in range(19)]


@pytest.mark.usefixtures("db")
def test_many_single_samples_become_few_rows() -> None:
    for minute in range(3 * FRAGMENTS):
        stored(run(minute * 60_000, [60.0 + minute % 7]))
        compact(NOW)

    with transaction() as session:
        assert [n for *_, n in rows(session)] == [FRAGMENTS] * 3
    assert len(everything()) == 3 * FRAGMENTS
    assert compact(NOW) == 0


@pytest.mark.usefixtures("db")
def test_a_merged_row_was_learned_when_its_last_sample_was() -> None:
    for number in range(FRAGMENTS):
        with transaction() as session:
            at = NOW + timedelta(minutes=number)
            store(session, [run(number * 1000, [60.0])], recorded_at=at)
    compact(NOW)

    with transaction() as session:
        known = session.connection().execute(
            text("SELECT recorded_at FROM vital_segment")
        )
        assert list(known.scalars()) == [NOW + timedelta(minutes=FRAGMENTS - 1)]


@pytest.mark.usefixtures("db")
def test_old_keys_are_forgotten_and_a_retry_is_still_harmless() -> None:
    segment = run(0, [60, 61], key="a")
    stored(segment)

    assert forget_keys(NOW + timedelta(days=89)) == 0
    assert forget_keys(NOW + timedelta(days=91)) == 1
    assert stored(segment) == [(0, 2)]


@pytest.mark.usefixtures("db")
def test_the_latest_new_sample_is_told() -> None:
    stored(run(3000, [63.0]))
    with transaction() as session:
        ahead, behind = store(
            session,
            [run(10_000, [70, 71]), run(2000, [90, 91])],
            recorded_at=NOW,
        )

    assert ahead == Outcome(2, 0, (BASE + 11_000, 71.0))
    assert behind == Outcome(1, 1, (BASE + 2000, 90.0))


def test_a_read_filters_by_who_reads(session: Session) -> None:
    clinic = a_clinic(session)
    ada, eve = a_clinician(session, clinic), a_clinician(session, clinic)
    rosa = a_patient(session, clinic, team=(ada,))
    source = source_ids(session, clinic.clinic_id, ["acme"])["acme"]
    store(
        session, [run(0, [60], patient=rosa.patient_id, source=source)], recorded_at=NOW
    )

    for clinician, samples in (ada, 1), (eve, 0):
        reader = reads(clinician.clinician_id, clinic.clinic_id)
        series = read(
            session,
            [rosa.patient_id],
            HEART,
            first=NOW,
            until=NOW + timedelta(days=1),
            reader=reader,
            now=NOW,
        )
        assert len(series[rosa.patient_id].times) == samples
        assert len(sources(session, rosa.patient_id, reader=reader, now=NOW)) == samples


def test_a_read_is_half_open(session: Session) -> None:
    store(session, [run(0, [60, 61, 62])], recorded_at=NOW)

    got = read(
        session,
        [ROSA],
        HEART,
        first=NOW + timedelta(seconds=1),
        until=NOW + timedelta(seconds=2),
        reader=None,
        now=NOW,
    )[ROSA]

    assert got.times.tolist() == [microseconds(NOW + timedelta(seconds=1))]
    assert np.array_equal(got.values, [61])


def reads(clinician_id: UUID, clinic_id: UUID) -> Reader:
    return Reader(UUID(int=1), "clinician", clinician_id, clinic_id)
