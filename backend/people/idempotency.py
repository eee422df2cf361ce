"""Unsafe calls of people, done once however often they are sent."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from fastapi import Request
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col

from backend.errors import Unprocessable
from backend.people.readers import Reader
from backend.people.tables import IdempotencyKey

LONGEST = 128


class KeyReused(Unprocessable):
    """The Idempotency-Key belongs to another request of this account."""


@dataclass(frozen=True, slots=True)
class Once:
    """The key a caller chose, and what they asked for under it."""

    key: str
    request_hash: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Mapping[str, object]


async def once_key(request: Request) -> Once | None:
    """Return the Idempotency-Key of a call, None without one; a dependency."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not 1 <= len(key) <= LONGEST:
        raise Unprocessable(f"An Idempotency-Key has 1 to {LONGEST} characters.")
    asked = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    return Once(key, sha256(asked + await request.body()).digest())


def answered_once(
    session: Session,
    reader: Reader,
    once: Once | None,
    act: Callable[[], Answer],
    *,
    real: datetime,
) -> Answer:
    """Return what `act` answers, or what it answered before under this key.

    The key is kept in the transaction of the act: undone with it, and a second call at
    the same moment waits for the first. Raises KeyReused for another request under the
    same key. Kept for a day.
    """
    if once is None:
        return act()
    taken = session.connection().execute(
        insert(IdempotencyKey)
        .values(
            account_id=reader.account_id,
            key=once.key,
            request_hash=once.request_hash,
            status=0,
            answer={},
            recorded_at=real,
        )
        .on_conflict_do_nothing()
        .returning(col(IdempotencyKey.key))
    )
    first = taken.one_or_none() is not None
    row = session.get_one(IdempotencyKey, (reader.account_id, once.key))
    if not first:
        if row.request_hash != once.request_hash:
            raise KeyReused("This Idempotency-Key was used for another request.")
        return Answer(row.status, row.answer)
    answer = act()
    row.status, row.answer = answer.status, dict(answer.body)
    return answer
