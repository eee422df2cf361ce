"""Open pages are told when to look again: one stream a page, one LISTEN a process.

The only async route. It holds no pooled connection: who reads is looked up in a thread
when the stream opens and at each heartbeat, so that it ends with the session.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Annotated
from uuid import UUID

import psycopg
from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.responses import StreamingResponse
from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select

from backend.clock import domain_now
from backend.database import addresses, transaction
from backend.errors import NotFound, Unauthenticated
from backend.live import CHANNEL
from backend.people.readers import Reader, may_see, session_of, signed_in
from backend.people.tables import Patient

log = logging.getLogger(__name__)
router = APIRouter(include_in_schema=False)

HEARTBEAT = 15.0  # seconds; also how long a stream may outlive its session
AGAIN = 1.0  # seconds until a lost database is tried again
REMEMBERED = 60.0  # seconds for which a page may ask what it has just missed


@dataclass(eq=False)
class Subscriber:
    """An open page: whose changes it wants, and whether there was one."""

    clinic_id: UUID
    patient_id: UUID | None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def wants(self, clinic_id: UUID, patients: frozenset[UUID]) -> bool:
        mine = self.patient_id is None or not patients or self.patient_id in patients
        return clinic_id == self.clinic_id and mine


@dataclass
class Hub:
    """Hands each notification of the database to the open pages of this process."""

    _subscribers: set[Subscriber] = field(default_factory=set[Subscriber])
    _told: dict[UUID, float] = field(default_factory=dict[UUID, float])
    _listening: asyncio.Task[None] | None = None
    _since: float = 0.0

    @contextmanager
    def subscribed(
        self, clinic_id: UUID, patient_id: UUID | None, since: float
    ) -> Generator[asyncio.Event]:
        """Give the event that is set by changes, at once if some came after `since`."""
        if self._listening is None or self._listening.done():
            self._listening = asyncio.create_task(self._listen())
        subscriber = Subscriber(clinic_id, patient_id)
        if since < max(self._since, self._told.get(clinic_id, 0.0)):
            subscriber.changed.set()
        self._subscribers.add(subscriber)
        try:
            yield subscriber.changed
        finally:
            self._subscribers.discard(subscriber)

    async def close(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            with suppress(asyncio.CancelledError):
                await self._listening

    async def _listen(self) -> None:
        while True:
            try:
                await self._hear()
            except (psycopg.Error, OSError) as error:
                log.warning("not listening", extra={"kind": type(error).__name__})
            await asyncio.sleep(AGAIN)

    async def _hear(self) -> None:
        where = await run_sync(lambda: _conninfo(addresses().app))
        async with await psycopg.AsyncConnection.connect(
            where, autocommit=True
        ) as connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            self._since = time.time()
            for subscriber in self._subscribers:
                subscriber.changed.set()  # what happened while nobody listened
            async for notification in connection.notifies():
                self._tell(notification.payload)

    def _tell(self, payload: str) -> None:
        clinic_id, *named = (UUID(one) for one in payload.split())
        at, patients = time.time(), frozenset(named)
        self._told[clinic_id] = at
        for subscriber in self._subscribers:
            if subscriber.wants(clinic_id, patients):
                subscriber.changed.set()
        if len(self._told) > 1000:
            recent = {k: v for k, v in self._told.items() if at - v < REMEMBERED}
            self._told = recent


@asynccontextmanager
async def listening(app: FastAPI) -> AsyncGenerator[None]:
    """Give an app its hub; it connects when the first page opens a stream."""
    hub: Hub = Hub()
    app.state.live = hub
    try:
        yield
    finally:
        await hub.close()


@router.get("/live")
async def live(
    request: Request,
    reader: Annotated[Reader, Depends(signed_in)],
    patient: Annotated[UUID | None, Query()] = None,
    since: Annotated[float, Query()] = 0.0,
) -> StreamingResponse:
    """Stream `changed` whenever a page of this reader may have become old.

    With `patient` only for that one. `since` is when the page was made, so that nothing
    between page and stream is missed. Ends with `ended` when the session does.
    """
    clinic_id, patient_id = await run_sync(_scope, reader, patient)
    return StreamingResponse(
        _events(request, clinic_id, patient_id, since), media_type="text/event-stream"
    )


def _scope(reader: Reader, patient: UUID | None) -> tuple[UUID, UUID | None]:
    """Return whose changes this reader may follow; raises NotFound for others'."""
    wanted = reader.subject_id if reader.role == "patient" else patient
    if wanted is None:
        return reader.clinic_id or reader.subject_id, None
    now = domain_now()
    with transaction() as session:
        found = session.exec(
            select(Patient.clinic_id)
            .where(Patient.patient_id == wanted)
            .where(may_see(reader, col(Patient.patient_id), now=now))
        ).one_or_none()
    if found is None:
        raise NotFound("There is no such patient.")
    return found, wanted


async def _events(
    request: Request, clinic_id: UUID, patient_id: UUID | None, since: float
) -> AsyncGenerator[str]:
    hub: Hub = request.app.state.live
    with hub.subscribed(clinic_id, patient_id, since) as changed:
        yield "retry: 2000\n\n"
        checked = time.monotonic()
        while True:
            with suppress(TimeoutError):
                left = HEARTBEAT - (time.monotonic() - checked)
                await asyncio.wait_for(changed.wait(), max(left, 0.01))
            if time.monotonic() - checked >= HEARTBEAT:
                checked = time.monotonic()
                if not await run_sync(_still_signed_in, request):
                    yield "event: ended\ndata: -\n\n"
                    return
                yield ": still here\n\n"
            if changed.is_set():
                changed.clear()
                yield "event: changed\ndata: -\n\n"


def _still_signed_in(request: Request) -> bool:
    try:
        session_of(request, None)
    except Unauthenticated:
        return False
    except SQLAlchemyError:
        return True  # nobody knows; the next heartbeat asks again
    return True


def _conninfo(at: URL) -> str:
    return at.set(drivername="postgresql").render_as_string(hide_password=False)
