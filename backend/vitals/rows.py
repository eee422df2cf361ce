"""Rows of vital_segment to and from PostgreSQL's binary form, without a detour.

Built and read octet by octet because this is the hottest path there is: a request of
6,000 samples is packed in under a millisecond.
"""

from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from struct import Struct
from typing import Any, NamedTuple, cast
from uuid import UUID

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from backend.vitals.pieces import Piece
from backend.vitals.segment import SeriesKey, milliseconds

COPY = """
COPY vital_segment (patient_id, code, source_id, start, recorded_at, unit, step_ms,
  offsets_ms, "values", live) FROM STDIN (FORMAT binary)
"""
SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END = b"\xff\xff"
NULL = b"\xff\xff\xff\xff"
POSTGRES_EPOCH_MS = milliseconds(datetime(2000, 1, 1, tzinfo=UTC))
FLOAT8, INT8 = 701, 20  # the object ids of the types
FLOAT8_ARRAY, INT8_ARRAY = 1022, 1016

HEAD = Struct(">hi16s")  # ten fields; patient_id
TIMES = Struct(">iiiqiq")  # source_id, start, recorded_at
EVEN = Struct(">iiI")  # step_ms, no offsets
LENGTH = Struct(">i")
ARRAY = Struct(">iiiIii")  # octets, dimensions, nulls, type, length, lower bound
FEW = 16  # up to here struct is faster than numpy
LIVE, NOT_LIVE = b"\0\0\0\1\1", b"\0\0\0\1\0"

VALUE = np.dtype([("octets", ">i4"), ("value", ">f8")])
OFFSET = np.dtype([("octets", ">i4"), ("value", ">i8")])


class Row(NamedTuple):
    """A row to write; `recorded_at` is when its last sample was learned."""

    series: SeriesKey
    unit: str
    piece: Piece
    recorded_at: datetime


def write(session: Session, rows: Iterable[Row]) -> None:
    """Insert rows with COPY; they must not be there yet."""
    octets = [piece for row in rows for piece in _row(row)]
    if octets:
        with driver_cursor(session) as cursor, cursor.copy(COPY) as copy:
            copy.write(b"".join([SIGNATURE, *octets, END]))


@contextmanager
def driver_cursor(
    session: Session, name: str = ""
) -> Generator[psycopg.Cursor[tuple[Any, ...]]]:
    """Yield psycopg's own cursor, inside the session's transaction.

    With a name the rows stay on the server until they are fetched. It fetches
    float8[] and int8[] as numpy arrays. SQLAlchemy does not see what it
    raises, so a lost connection is raised in SQLAlchemy's words here.
    """
    raw = session.connection().connection.dbapi_connection
    connection = cast("psycopg.Connection[tuple[Any, ...]]", raw)
    try:
        with connection.cursor(name, binary=True) as cursor:
            cursor.adapters.register_loader(FLOAT8_ARRAY, FloatsLoader)
            cursor.adapters.register_loader(INT8_ARRAY, IntegersLoader)
            yield cursor
    except psycopg.OperationalError as error:
        raise OperationalError("vitals", None, error) from error


class FloatsLoader(Loader):
    """Reads a binary float8[] without nulls as a numpy array."""

    format = Format.BINARY

    def load(self, data: Buffer) -> NDArray[np.float64]:
        return _elements(data, VALUE).astype(np.float64)


class IntegersLoader(Loader):
    """Reads a binary int8[] without nulls as a numpy array."""

    format = Format.BINARY

    def load(self, data: Buffer) -> NDArray[np.int64]:
        return _elements(data, OFFSET).astype(np.int64)


def uuid_array(ids: Iterable[UUID]) -> str:
    """Return a PostgreSQL array literal; twenty times faster than adapting a list."""
    return patient_array(one.int for one in ids)


def patient_array(numbers: Iterable[int]) -> str:
    """Return the array literal of the UUIDs that have these numbers."""
    return "{" + ",".join([f"{number:032x}" for number in numbers]) + "}"


def number_array(numbers: Iterable[float]) -> str:
    return "{" + repr(list(numbers))[1:-1] + "}"  # written in C


def text_array(texts: Iterable[str]) -> str:
    """Return a PostgreSQL array literal of any texts without a zero octet."""
    quoted = [one.replace("\\", "\\\\").replace('"', '\\"') for one in texts]
    return '{"' + '","'.join(quoted) + '"}' if quoted else "{}"


def _row(row: Row) -> list[bytes]:
    patient, source_id, code = row.series
    piece = row.piece
    recorded = (milliseconds(row.recorded_at) - POSTGRES_EPOCH_MS) * 1000
    start = (piece.start_ms - POSTGRES_EPOCH_MS) * 1000
    return [
        HEAD.pack(10, 16, patient.to_bytes(16, "big")),
        _text(code),
        TIMES.pack(4, source_id, 8, start, 8, recorded),
        _text(row.unit),
        EVEN.pack(4, piece.step_ms, 0xFFFFFFFF)
        if piece.offsets_ms is None
        else NULL + _array(piece.offsets_ms, "q", OFFSET, INT8),
        _array(piece.values, "d", VALUE, FLOAT8),
        LIVE if piece.live else NOT_LIVE,
    ]


@lru_cache(maxsize=1024)  # codes and units
def _text(text: str) -> bytes:
    octets = text.encode()
    return LENGTH.pack(len(octets)) + octets


def _array(
    items: Sequence[float] | NDArray[Any], kind: str, element: np.dtype[Any], oid: int
) -> bytes:
    count = len(items)
    head = ARRAY.pack(20 + 12 * count, 1, 0, oid, count, 1)
    if count <= FEW:
        woven: list[float] = [8] * (2 * count)
        woven[1::2] = items
        return head + _weaver(kind, count).pack(*woven)
    array = np.empty(count, dtype=element)
    array["octets"] = 8
    array["value"] = items
    return head + array.tobytes()


_weavers: dict[tuple[str, int], Struct] = {}


def _weaver(kind: str, count: int) -> Struct:
    known = _weavers.get((kind, count))
    if known is None:
        known = _weavers[kind, count] = Struct(">" + f"i{kind}" * count)
    return known


def _elements(data: Buffer, element: np.dtype[Any]) -> NDArray[Any]:
    return np.frombuffer(data, dtype=element, offset=20)["value"]
