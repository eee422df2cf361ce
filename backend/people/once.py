"""Unsafe calls of people, done once however often they are sent (ADR 0134).

A route declares `call: Annotated[Call, Depends(this_call)]` and acts within `once`.
The header is that of draft-ietf-httpapi-idempotency-key-header-07.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import Depends, Header, Request
from pydantic import TypeAdapter
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, func, select

from backend.audit.record import record
from backend.clock import real_now
from backend.errors import Conflict, Malformed, NotFound, Unprocessable
from backend.people.readers import Reader, may_see, signed_in
from backend.people.tables import IdempotencyKey

HEADER = "Idempotency-Key"
KEPT = timedelta(days=1)
# A string of RFC 9651 without escapes, or the same without its quotes, as many send it.
KEY = re.compile(r'"([ !#-\[\]-~]{1,200})"|([!#-+\--:<-\[\]-~]{1,200})')

A = TypeVar("A")


class BadIdempotencyKey(Malformed):
    """The Idempotency-Key is empty, too long, given twice or no string."""


class KeyReused(Unprocessable):
    """The Idempotency-Key belongs to another request of this account."""


class StillRunning(Conflict):
    """A call with this Idempotency-Key has not been answered yet."""

    def headers(self) -> dict[str, str]:
        return {"Retry-After": "1"}


@dataclass(frozen=True, slots=True)
class Call:
    """Who calls, and what they ask for under which key; None: once more each time."""

    reader: Reader
    key: str | None
    fingerprint: bytes


async def this_call(
    request: Request,
    reader: Annotated[Reader, Depends(signed_in)],
    given: Annotated[
        str | None,
        Header(
            alias=HEADER,
            description="A string of your own choice, new for each call: sent again "
            "within a day, the call is not done again and gets its first answer.",
        ),
    ] = None,
) -> Call:
    """Return the call with its key; raises BadIdempotencyKey."""
    if given is None:
        return Call(reader, None, b"")
    found = KEY.fullmatch(given.strip())
    if found is None or len(request.headers.getlist(HEADER)) > 1:
        raise BadIdempotencyKey(f"{HEADER} is one string of 1 to 200 ASCII characters.")
    asked = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    fingerprint = sha256(asked + await request.body()).digest()
    return Call(reader, found[1] or found[2], fingerprint)


def once(
    session: Session,
    call: Call,
    patient_id: UUID,
    kind: type[A],
    act: Callable[[], A],
    *,
    now: datetime,
) -> A:
    """Return what `act` answers, or what it answered before under the call's key.

    The key is written in the transaction of the act, and undone with it: a call that
    was refused may be sent again. Raises KeyReused, StillRunning, and NotFound where
    the caller may no longer see the patient of whom the answer tells.
    """
    if call.key is None:
        return act()
    _alone(session, call, call.key)
    answers: TypeAdapter[A] = TypeAdapter(kind)
    known = _known(session, call, call.key, now)
    if known is not None:
        return answers.validate_python(known.answer["body"])
    answer = act()
    row = {
        "request_hash": call.fingerprint,
        "patient_id": patient_id,
        "answer": {"body": answers.dump_python(answer, mode="json")},
        "recorded_at": real_now(),
    }
    session.connection().execute(
        insert(IdempotencyKey)
        .values(account_id=call.reader.account_id, key=call.key, **row)
        .on_conflict_do_update(index_elements=["account_id", "key"], set_=row)
    )
    return answer


def _alone(session: Session, call: Call, key: str) -> None:
    """Let no other call run under this key until the transaction ends."""
    named = sha256(f"{HEADER}/{call.reader.account_id}/{key}".encode()).digest()
    number = int.from_bytes(named[:8], signed=True)
    if not session.exec(select(func.pg_try_advisory_xact_lock(number))).one():
        raise StillRunning("The first call with this key still runs. Ask again.")


def _known(
    session: Session, call: Call, key: str, now: datetime
) -> IdempotencyKey | None:
    """Return what was answered under the key, None after a day or when it is new."""
    reader = call.reader
    found = session.exec(
        select(
            IdempotencyKey,
            may_see(reader, col(IdempotencyKey.patient_id), now=now),
        ).where(
            IdempotencyKey.account_id == reader.account_id,
            IdempotencyKey.key == key,
            IdempotencyKey.recorded_at > real_now() - KEPT,
        )
    ).one_or_none()
    if found is None:
        return None
    known, visible = found
    if known.request_hash != call.fingerprint:
        raise KeyReused("This Idempotency-Key was used for another request.")
    if not visible:
        raise NotFound("There is no such patient.")
    seen = [known.patient_id]
    record(session, reader.actor(), "answer_repeated", patients=seen)
    return known
