"""Openings on their way: read, judged line by line and copied into a temporary table.

Nothing of a study is written before all of it was read, so a strict import that refuses
a row has changed nothing, and the patients can then be taken one after the other
however the file is sorted. The table is the session's own and gone with its connection.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from hashlib import sha1
from itertools import islice
from pathlib import Path
from typing import Any

from sqlmodel import Session

from backend.database.sets import execute
from backend.imports.local_time import EPOCH_UTC, MICROSECOND, LocalTimes, Moment
from backend.imports.refusals import Refusals, quoted
from backend.imports.study_files import LAYOUTS, Part
from backend.imports.study_plan import Pair, Plan, unknown_monitor
from backend.imports.study_rows import read_monitor
from backend.imports.table import read_rows

FUTURE = timedelta(minutes=10)  # clocks differ
LINES_A_WRITE = 5_000

CREATE = """
CREATE TEMPORARY TABLE opening (
    pair int NOT NULL, sequence bigint NOT NULL, instant bigint NOT NULL,
    uncertain bool NOT NULL, inside bool NOT NULL, event_id uuid NOT NULL)
"""


def stage(
    session: Session,
    path: Path,
    plan: Plan,
    times: LocalTimes,
    *,
    now: datetime,
    refusals: Refusals,
    progress: Callable[[int], None],
) -> None:
    """Copy every opening that can be used into the table `opening`, and count it."""
    execute(session, CREATE)
    reader = _Openings(path, plan, times, (now + FUTURE - EPOCH_UTC) // MICROSECOND)
    lines = reader.lines(refusals, progress)
    driver: Any = session.connection().connection.dbapi_connection
    with driver.cursor().copy("COPY opening FROM STDIN") as copy:
        while block := "".join(islice(lines, LINES_A_WRITE)):
            copy.write(block)
    execute(session, "CREATE INDEX ON opening (pair, sequence)")
    execute(session, "ANALYZE opening")


class _Openings:
    """Judges the rows of one file."""

    def __init__(self, path: Path, plan: Plan, times: LocalTimes, latest: int) -> None:
        self._path, self._times, self._latest = path, times, latest
        self._pairs = {monitor: _Placed(p) for monitor, p in plan.pairs.items()}
        self._others: dict[str, list[_Placed]] = {}
        for (_, device), placed in self._pairs.items():
            self._others.setdefault(device, []).append(placed)

    def lines(
        self, refusals: Refusals, progress: Callable[[int], None]
    ) -> Iterator[str]:
        """Yield a line of the table for each row that can be used."""
        columns = LAYOUTS[Part.EVENTS].columns
        rows = read_rows(self._path, columns, refusals=refusals, progress=progress)
        for line, (patient, device, at) in rows:
            try:
                placed, moment = self._judge(patient, device, at)
            except ValueError as error:
                refusals.refuse(self._path.name, line, str(error))
                continue
            inside = placed.holds(moment.instant)
            if not inside and self._is_others(device.strip(), moment.instant):
                why = f"monitor {quoted(device)} was somebody else's then"
                refusals.refuse(self._path.name, line, why)
                continue
            placed.pair.openings += 1
            yield placed.line(moment, inside=inside)

    def _judge(self, patient: str, device: str, at: str) -> tuple["_Placed", Moment]:
        placed = self._pairs.get((patient, device))
        if placed is None:
            monitor = read_monitor(patient, device)
            placed = self._pairs.get(monitor)
            if placed is None:
                raise ValueError(unknown_monitor(monitor))
        try:
            moment = self._times.read(at.strip())
        except ValueError:
            raise ValueError(
                f"want a time like 2026-03-02T08:03:11, got {quoted(at)}"
            ) from None
        if moment.instant > self._latest:
            raise ValueError(f"{quoted(at)} is still to come")
        return placed, moment

    def _is_others(self, device: str, instant: int) -> bool:
        return any(placed.holds(instant) for placed in self._others.get(device, ()))


class _Placed:
    """A patient's monitor with its spans as numbers, for comparing millions of rows."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self._spans = [
            (
                (span.since - EPOCH_UTC) // MICROSECOND,
                (span.until - EPOCH_UTC) // MICROSECOND,
            )
            for span in pair.spans
        ]
        self._space = pair.device_id.bytes
        self._start = f"{pair.number}\t"

    def holds(self, instant: int) -> bool:
        return any(since <= instant < until for since, until in self._spans)

    def line(self, moment: Moment, *, inside: bool) -> str:
        local, instant, uncertain = moment
        return (
            f"{self._start}{local}\t{instant}\t{'ft'[uncertain]}\t{'ft'[inside]}\t"
            f"{event_id(self._space, local)}\n"
        )


def event_id(device: bytes, sequence: int) -> str:
    """Return uuid5(device, "0/sequence") as hexadecimal digits, several times faster.

    The id that the record would have from anywhere else.
    """
    name = f"0/{sequence}".encode()
    digest = bytearray(sha1(device + name, usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    return digest.hex()
