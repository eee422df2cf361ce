"""When each job of the workers last ran: what makes silence visible."""

from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from backend.database.sets import execute
from backend.outbox.tables import JobBeat


def begin(
    session: Session,
    name: str,
    *,
    every: timedelta,
    real: datetime,
    steady: bool = True,
) -> bool:
    """Return whether this process may start the job: nobody did in the last `every`.

    A `steady` job is missed when it does not begin again: see `watch`.
    """
    seconds = every.total_seconds() if steady else None
    return bool(
        execute(
            session, BEGIN, name=name, real=real, before=real - every, every_s=seconds
        )
    )


def end(
    session: Session, name: str, *, done: int, error: str | None, real: datetime
) -> None:
    """Note how a run ended."""
    execute(session, END, name=name, done=done, error=error, real=real)


def beats(session: Session) -> list[JobBeat]:
    """Return the last run of every job, by name."""
    return list(session.exec(select(JobBeat).order_by(col(JobBeat.name))))


BEGIN = """
INSERT INTO job_beat AS known (name, began_at, done, every_s)
VALUES (:name, :real, 0, :every_s)
ON CONFLICT (name) DO UPDATE
SET began_at = excluded.began_at, every_s = excluded.every_s
WHERE known.began_at <= :before
"""

END = """
INSERT INTO job_beat AS known (name, began_at, ended_at, done, error)
VALUES (:name, :real, :real, :done, :error)
ON CONFLICT (name) DO UPDATE
SET ended_at = excluded.ended_at, done = excluded.done, error = excluded.error
"""
