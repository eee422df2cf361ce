"""Engines and the one way to open a transaction."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from functools import cache
from threading import RLock
from typing import Any, LiteralString, cast

import orjson
import psycopg
from sqlalchemy import URL, Engine, NullPool, create_engine, event, text
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from backend.database.address import Addresses, given
from backend.database.attach import ensure, revive
from backend.database.partitions import forget_partitions
from backend.settings import settings

POOL_WAIT = 5  # seconds until a thread without a connection gives up
QUEUE_CONNECTIONS = 4


@cache
def addresses() -> Addresses:
    """Return where the database is; starts the embedded server when there is none."""
    at = settings()
    if at.database_url:
        return given(at.database_url, at.owner_url)
    return ensure(at.data_dir)


@cache
def engine() -> Engine:
    """Return the application's engine: one connection a thread, none beyond that."""
    return _engine(addresses().app, pool_size=settings().threads)


@cache
def queue_engine() -> Engine:
    """Return the engine for claims on work queues.

    It prepares no statements: a prepared claim was seen to flip to a generic plan
    that is four times slower, because a queue's statistics are always out of date.
    """
    return _engine(addresses().app, pool_size=QUEUE_CONNECTIONS, prepare_threshold=None)


@cache
def owner_engine() -> Engine:
    """Return the engine of the role that owns the tables: migrations, nothing else."""
    return create_engine(
        addresses().owner,
        poolclass=NullPool,
        connect_args={"options": "-c timezone=UTC", "connect_timeout": 10},
        json_serializer=to_json,
        json_deserializer=orjson.loads,
    )


def forget() -> None:
    """Close all pooled connections and forget the address; the next use looks anew."""
    for cached in (engine, queue_engine, owner_engine):
        if cached.cache_info().currsize:
            cached().dispose()
        cached.cache_clear()
    addresses.cache_clear()
    forget_partitions()


@contextmanager
def transaction(*, patience: timedelta | None = None) -> Generator[Session]:
    """Open a session, commit on exit, roll back on any exception.

    Open it inside the function that uses it, never in a FastAPI dependency: a
    connection held between two thread hops can starve the pool until it times out.
    `patience` is how long one statement may take, the setting otherwise.
    """
    with Session(_one(engine), expire_on_commit=False) as session, session.begin():
        if patience is not None:
            milliseconds = int(patience / timedelta(milliseconds=1))
            session.connection().execute(
                text("SELECT set_config('statement_timeout', :limit, true)"),
                {"limit": str(milliseconds)},
            )
        yield session


def run(
    session: Session,
    statement: str,
    asked: Sequence[object] | Mapping[str, object] = (),
) -> psycopg.Cursor[tuple[Any, ...]]:
    """Return the driver's cursor on one statement, inside the session's transaction.

    For hot paths: what SQLAlchemy does around a statement cost a fifteenth of a request
    of vitals. It does not see what the driver raises, so a lost connection, a time-out
    or a deadlock is raised in its words here.
    """
    raw = session.connection().connection.dbapi_connection
    try:
        return cast("psycopg.Connection[tuple[Any, ...]]", raw).execute(
            cast("LiteralString", statement), asked
        )
    except psycopg.OperationalError as error:
        raise OperationalError(statement, None, error) from error


@contextmanager
def queue_transaction() -> Generator[Session]:
    """Open a session for claiming work: `transaction()` on the queue's engine."""
    chosen = _one(queue_engine)
    with Session(chosen, expire_on_commit=False) as session, session.begin():
        yield session


def _one(cached: Callable[[], Engine]) -> Engine:
    """Return the engine; two threads that are first together must not make two."""
    with _making:
        return cached()


_making = RLock()


def to_json(value: object) -> str:
    """Return JSON text; amounts are written as strings so that no digit is lost."""
    return orjson.dumps(value, default=_plain).decode()


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in a JSON column")


def _engine(at: URL, *, pool_size: int, **connect: object) -> Engine:
    made = create_engine(
        at,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_WAIT,
        connect_args={"options": _session_options(), "connect_timeout": 10, **connect},
        json_serializer=to_json,
        json_deserializer=orjson.loads,
    )
    if not settings().database_url:
        event.listen(made, "do_connect", _revive)
    return made


def _revive(*_connecting: object) -> None:
    """Before each new connection; an open pool costs nothing by it."""
    revive(settings().data_dir)


def _session_options() -> str:
    milliseconds = int(settings().statement_timeout / timedelta(milliseconds=1))
    wanted: Mapping[str, object] = {
        "timezone": "UTC",
        "statement_timeout": milliseconds,
        # A process that hangs inside a transaction must not hold its locks for ever.
        "idle_in_transaction_session_timeout": 2 * milliseconds,
        "jit": "off",  # compiling costs more than our short queries run
    }
    return " ".join(f"-c {name}={value}" for name, value in wanted.items())
