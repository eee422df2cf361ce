"""A dead man's switch: what should tick and does not is told to the operator.

Web processes watch, for a worker that died cannot say so. Whoever sees it first tells;
what could not be told is told again, twice rather than never. From the last sign of
life to the notice pass at most two minutes: `SILENCE`, a look every `EVERY`, and the
time a channel takes.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlmodel import Session

from backend.clock import DomainClock
from backend.database.sets import fetch
from backend.outbox.claim import waiting
from backend.outbox.tables import JobBeat

EVERY = timedelta(seconds=20)
SILENCE = timedelta(seconds=40)  # beyond twice the time between two beats
LATE = timedelta(minutes=2)  # due and not even tried
REPORTED_FOR = timedelta(days=1)  # what the nightly comparison found
AGAIN = timedelta(hours=1)  # what goes on is told again
UNTOLD = timedelta(seconds=30)  # whoever was to tell it did not

NO_WORKER = "worker"


class Notice(NamedTuple):
    """What an operator is to hear: what is wrong, or that it is over."""

    topic: str
    wrong: str | None
    since: datetime


def troubles(
    session: Session, beats: Sequence[JobBeat], *, clock: DomainClock, real: datetime
) -> dict[str, str]:
    """Return what is wrong with the workers, by topic; in words without a person's."""
    found = {beat.name: said for beat in beats if (said := _wrong(beat, real))}
    if not any(beat.every_s is not None for beat in beats):
        found[NO_WORKER] = "No worker has ever run: start `python -m backend work`."
    beyond = fetch(session, BEYOND, since=real - REPORTED_FOR)[0]["messages"]
    if beyond:
        found["reconciliation"] = (
            f"Providers took {beyond} messages that our ledger has otherwise: see "
            "`python -m backend report reconciliation`."
        )
    for channel, due_at in waiting(session, clock=clock, real=real, longer=LATE):
        found[f"messages by {channel}"] = (
            f"Messages by {channel} wait since {clock.real_at(due_at):%H:%M} UTC: what "
            "is due is more than its provider or rate lets through, or it hangs."
        )
    return found


def to_tell(
    session: Session, wrong: Mapping[str, str], *, real: datetime
) -> list[Notice]:
    """Return what the caller must tell now, and has every other process leave it."""
    items = [{"topic": topic} for topic in wrong]
    rows = [
        *fetch(session, BEGUN, items, real=real, again=real - AGAIN, **_untold(real)),
        *fetch(session, OVER, items, real=real, **_untold(real)),
    ]
    return [Notice(row["topic"], wrong.get(row["topic"]), row["since"]) for row in rows]


def told(session: Session, notices: Sequence[Notice], *, real: datetime) -> None:
    """Note that these were heard of."""
    items = [{"topic": notice.topic, "since": notice.since} for notice in notices]
    fetch(session, TOLD, items, real=real)


def _wrong(beat: JobBeat, real: datetime) -> str | None:
    if beat.every_s is None:
        return None
    if real - beat.began_at > 2 * timedelta(seconds=beat.every_s) + SILENCE:
        return f"Nothing ticks: {beat.name} last began at {beat.began_at:%H:%M:%S} UTC."
    return f"{beat.name} ends with {beat.error}: see its log." if beat.error else None


def _untold(real: datetime) -> dict[str, datetime]:
    return {"untold": real - UNTOLD}


BEYOND = """
SELECT count(DISTINCT message_id) AS messages FROM receipt
WHERE status IN ('doubled', 'unexpected') AND received_at > :since
"""

BEGUN = """
INSERT INTO operator_notice AS known (topic, wrong, since, claimed_at)
SELECT topic, true, :real, :real FROM rows(topic text)
ON CONFLICT (topic) DO UPDATE
SET wrong = true, claimed_at = excluded.claimed_at, told_at = NULL,
    since = CASE WHEN known.wrong THEN known.since ELSE excluded.since END
WHERE NOT known.wrong OR known.told_at <= :again
   OR known.told_at IS NULL AND known.claimed_at <= :untold
RETURNING topic, since
"""

OVER = """
UPDATE operator_notice AS known
SET wrong = false, claimed_at = :real, told_at = NULL,
    since = CASE WHEN known.wrong THEN :real ELSE known.since END
WHERE topic NOT IN (SELECT topic FROM rows(topic text))
  AND (known.wrong OR known.told_at IS NULL AND known.claimed_at <= :untold)
RETURNING topic, since
"""

TOLD = """
UPDATE operator_notice AS known SET told_at = :real
FROM rows(topic text, since timestamptz)
WHERE known.topic = r.topic AND known.since = r.since
RETURNING known.topic
"""
