"""Whether this process lives, and whether it can do its work."""

from datetime import timedelta

from fastapi import APIRouter
from sqlmodel import Session

from backend.clock import domain_clock, real_now
from backend.database import transaction
from backend.errors import Unavailable
from backend.migrations import current, newest
from backend.outbox.beat import beats
from backend.outbox.watch import troubles

router = APIRouter(include_in_schema=False)
PATIENCE = timedelta(seconds=2)


@router.get("/healthz")
def healthz() -> dict[str, str]:
    """Answer at all: what does not is to be started anew."""
    return {"state": "alive"}


@router.get("/readyz")
def readyz() -> dict[str, str]:
    """Answer 200 when the database answers and has the schema this code needs."""
    with transaction(patience=PATIENCE) as session:
        revision = _revision(session)
    if revision != newest():
        raise Unavailable("The database has another schema than this code: migrate.")
    return {"state": "ready"}


@router.get("/healthz/worker")
def worker() -> dict[str, str]:
    """Answer 200 while a worker ticks and what is due goes, 503 with what is wrong."""
    with transaction(patience=PATIENCE) as session:
        wrong = troubles(session, beats(session), clock=domain_clock(), real=real_now())
    if wrong:
        raise Unavailable(" ".join(wrong.values()))
    return {"state": "ticking"}


def _revision(session: Session) -> str | None:
    return current(session.connection())
