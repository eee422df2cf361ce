"""Vitals through the whole ingest path: segments, and plain samples.

Random values over many patients, one web process, synchronous_commit on, state, audit
and screening on; then everything is read back and compared with what was sent. Each
sender has patients of its own, as bridges and clouds do, and sends in order of time.
"""

import http.client
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from statistics import median
from uuid import UUID, uuid4

import numpy as np
import orjson
from sqlalchemy import text

from backend.audit.record import SYSTEM
from backend.clock import real_now
from backend.database import transaction
from backend.people.bridges import new_code, pair
from backend.people.tables import Clinic, Patient
from backend.state.tables import PatientState
from backend.vitals.read import read
from backend.vitals.rows import driver_cursor
from tests.benchmarks.machine import Machine, machine, web

PATIENTS = 8000
SENDERS = 8  # connections, each with one request under way
SEGMENT_REQUESTS, SEGMENTS, LENGTH = 400, 100, 60
SAMPLE_REQUESTS, SAMPLES = 60, 1000
SHARE_OF_COPY, SAMPLES_PER_CPU_SECOND = 0.08, 25_000
QUIET = 1_000_000  # samples a second that a quiet machine is expected to store
HEART, UNIT = "8867-4", "/min"

Row = tuple[str, str, str, bool]


@dataclass(frozen=True, slots=True)
class Load:
    """Requests ready to be sent, and what must be found afterwards."""

    bodies: list[bytes]
    samples: int
    checksum: tuple[int, float]


@dataclass(frozen=True, slots=True)
class Spent:
    """What storing a load took: seconds by the clock and of CPU."""

    seconds: float
    cpu: float


def run() -> list[Row]:
    """Return rows of (name, figure, bound, whether it was met)."""
    rows: list[Row] = []
    with machine() as at:
        patients, token = _clinic()
        with web(at.addresses) as (host, port, pid):
            post = partial(_post_all, host, port, token)
            measured = partial(_measured, at, pid, post)
            rows += _segments(measured, patients)
            rows += [_samples(measured, patients, each) for each in (10, 100, 1000)]
    return rows


def _segments(measured: Callable[[Load], Spent], patients: Sequence[UUID]) -> list[Row]:
    spent = measured(_segment_load(patients))
    samples = SEGMENT_REQUESTS * SEGMENTS * LENGTH
    stored = samples / spent.seconds
    copied = samples / median(_copy_again() for _ in range(3))
    _empty()
    cpu = samples / spent.cpu
    return [
        (
            "vitals, segments of 60: share of COPY",
            f"{stored / copied:.3f} ({stored:,.0f}/s of {copied:,.0f}/s)",
            f">= {SHARE_OF_COPY}",
            stored / copied >= SHARE_OF_COPY,
        ),
        (
            "vitals, segments of 60: samples/s",
            f"{stored:,.0f} ({cpu:,.0f} a CPU-second)",
            f"{QUIET:,} on a quiet machine",
            stored >= QUIET,
        ),
    ]


def _samples(
    measured: Callable[[Load], Spent], patients: Sequence[UUID], each: int
) -> Row:
    """Return the row for requests of 1,000 samples of so many patients each.

    A sample a patient is the worst case: every sample is a row, a series, a state and
    a lock of its own. It is shown, and has no bound.
    """
    spent = measured(_sample_load(patients, each))
    samples = SAMPLE_REQUESTS * SAMPLES
    _empty()
    return (
        f"vitals, 1,000 plain samples of {each} patients: a CPU-second",
        f"{samples / spent.cpu:,.0f} ({samples / spent.seconds:,.0f}/s)",
        f">= {SAMPLES_PER_CPU_SECOND:,}" if each < SAMPLES else "worst case",
        each == SAMPLES or samples / spent.cpu >= SAMPLES_PER_CPU_SECOND,
    )


def _measured(
    at: Machine, pid: int, post: Callable[[Sequence[bytes]], int], load: Load
) -> Spent:
    warm, rest = load.bodies[: 4 * SENDERS], load.bodies[4 * SENDERS :]
    post(warm)
    cpu, began = at.cpu_seconds(pid), time.perf_counter()
    new = post(rest)
    seconds, cpu = time.perf_counter() - began, at.cpu_seconds(pid) - cpu
    part = len(rest) / len(load.bodies)
    if new != round(load.samples * part) or _read_back() != load.checksum:
        raise AssertionError("what is stored is not what was sent")
    return Spent(seconds / part, cpu / part)


def _segment_load(patients: Sequence[UUID]) -> Load:
    """Segments in order of time; which patients are in a request is random."""
    chance = random.Random(7)
    first = _start()
    bodies: list[bytes] = []
    count, times, total = 0, 0, 0.0
    for number in range(SEGMENT_REQUESTS):
        start = first + timedelta(seconds=LENGTH * number)
        segments: list[dict[str, object]] = []
        for patient_id in chance.sample(_of_sender(patients, number), SEGMENTS):
            values = [chance.randrange(450, 1600) / 10 for _ in range(LENGTH)]
            segments.append(
                {
                    "id": f"{patient_id}:{number}",
                    "patient_id": str(patient_id),
                    "source": "bench",
                    "code": HEART,
                    "unit": UNIT,
                    "start": start.isoformat(),
                    "step": 1,
                    "values": values,
                }
            )
            count, total = count + LENGTH, total + sum(values)
            times += sum(_seconds(start) + second for second in range(LENGTH))
        bodies.append(orjson.dumps({"segments": segments}))
    return Load(bodies, count, (times, round(total, 1)))


def _sample_load(patients: Sequence[UUID], each: int) -> Load:
    chance = random.Random(8)
    first = _start()
    bodies: list[bytes] = []
    times, total = 0, 0.0
    for number in range(SAMPLE_REQUESTS):
        samples: list[dict[str, object]] = []
        wearing = chance.sample(_of_sender(patients, number), each)
        for place in range(SAMPLES):
            second = 60 * number * SAMPLES // each + place // each
            at = first + timedelta(seconds=second)
            value = chance.randrange(450, 1600) / 10
            samples.append(
                {
                    "patient_id": str(wearing[place % each]),
                    "source": "bench",
                    "code": HEART,
                    "unit": UNIT,
                    "at": at.isoformat(),
                    "value": value,
                }
            )
            times, total = times + _seconds(at), total + value
        chance.shuffle(samples)
        bodies.append(orjson.dumps({"samples": samples}))
    return Load(bodies, SAMPLE_REQUESTS * SAMPLES, (times, round(total, 1)))


def _post_all(host: str, port: int, token: str, bodies: Sequence[bytes]) -> int:
    """Send all requests over a few connections; return how many samples were new."""
    head = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def post(of_sender: Sequence[bytes]) -> int:
        connection = http.client.HTTPConnection(host, port)
        new = 0
        for body in of_sender:
            connection.request("POST", "/v1/vitals", body, head)
            answer = connection.getresponse()
            said = orjson.loads(answer.read())
            if answer.status != 200:
                raise AssertionError(f"{answer.status}: {said}")
            new += sum(one["stored"] for one in said["segments"])
            new += said["samples"]["new"]
        connection.close()
        return new

    with ThreadPoolExecutor(SENDERS) as threads:
        return sum(threads.map(post, [bodies[at::SENDERS] for at in range(SENDERS)]))


def _of_sender(patients: Sequence[UUID], number: int) -> Sequence[UUID]:
    """The patients of whoever sends the request of this number."""
    return patients[number % SENDERS :: SENDERS]


def _read_back() -> tuple[int, float]:
    """Sums of all instants and of all values, through the reading code."""
    times, total = 0, 0.0
    with transaction() as session:
        known = session.connection().execute(text("SELECT patient_id FROM patient"))
        series = read(
            session,
            [row[0] for row in known],
            HEART,
            first=_start(),
            until=datetime.now(UTC),
            reader=None,
            now=datetime.now(UTC),
        )
    for one in series.values():
        times += int((one.times // 1_000_000).sum())
        total += float(np.sum(one.values))
    return times, round(total, 1)


def _copy_again() -> float:
    """Seconds that COPY needs for the same rows into the same, emptied table."""
    with transaction() as session, driver_cursor(session) as cursor:
        with cursor.copy(
            "COPY (SELECT * FROM vital_segment) TO STDOUT (FORMAT binary)"
        ) as copy:
            rows = b"".join(map(bytes, copy))
        cursor.execute("DELETE FROM vital_segment")
    began = time.perf_counter()
    with (
        transaction() as session,
        driver_cursor(session) as cursor,
        cursor.copy("COPY vital_segment FROM STDIN (FORMAT binary)") as copy,
    ):
        for place in range(0, len(rows), 1 << 20):
            copy.write(rows[place : place + (1 << 20)])
    return time.perf_counter() - began


def _empty() -> None:
    with transaction() as session:
        for table in ("vital_segment", "vital_series", "vital_key"):
            session.connection().execute(text(f"DELETE FROM {table}"))


def _clinic() -> tuple[list[UUID], str]:
    """A clinic with many patients and a cloud that sends for them."""
    now = real_now()
    ids = [uuid4() for _ in range(PATIENTS)]
    with transaction() as session:
        clinic = Clinic(name="bench", zone="UTC", recorded_at=now)
        session.add(clinic)
        session.flush()
        own = clinic.clinic_id
        session.add_all(
            Patient(patient_id=one, clinic_id=own, recorded_at=now) for one in ids
        )
        session.flush()
        session.add_all(
            PatientState(patient_id=one, clinic_id=own, changed_at=now) for one in ids
        )
        code = new_code(session, own, kind="cloud", actor=SYSTEM, real=now)
        return ids, pair(session, code, "bench", real=now).token


def _start() -> datetime:
    """The first of the month before last, so that all lies in a few months."""
    month = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (month - timedelta(days=40)).replace(day=1)


def _seconds(at: datetime) -> int:
    return int(at.timestamp())


if __name__ == "__main__":
    for row in run():
        print(*row, sep=" | ")
