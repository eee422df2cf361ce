"""Who reads, and which patients they may see.

`signed_in` and `sender` are what routes depend on: they open and close a transaction
of their own, so that no connection waits between two threads.
"""

import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request
from sqlalchemy import ColumnElement, and_, false
from sqlalchemy.orm import Mapped
from sqlmodel import Session, col, select

from backend.audit.record import Actor
from backend.clock import real_now
from backend.database import transaction
from backend.errors import Forbidden, Unauthenticated
from backend.people.access import find_access
from backend.people.bridges import find_bridge
from backend.people.consent import standing
from backend.people.origin import cookie_name, ours
from backend.people.sessions import find_session
from backend.people.tables import Account, CareTeamMember

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class NotSignedIn(Unauthenticated):
    """Nobody is signed in; a browser is sent to the sign-in page."""


class ForeignForm(Forbidden):
    """A form or call that did not come from a page of ours."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody signed in; `subject_id` is the patient, clinician or organization."""

    account_id: UUID
    role: str
    subject_id: UUID
    clinic_id: UUID | None

    def actor(self) -> Actor:
        """Return who this is in an audit row."""
        return Actor(self.role, self.account_id, self.clinic_id)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who signed in, and what their forms must carry; empty for a program."""

    reader: Reader
    csrf: str


@dataclass(frozen=True, slots=True)
class Sender:
    """A bridge whose token was right; kind `gateway` or `cloud`."""

    bridge_id: UUID
    clinic_id: UUID
    kind: str

    def actor(self) -> Actor:
        """Return who this is in an audit row."""
        return Actor("bridge", self.bridge_id, self.clinic_id)


def may_see(
    reader: Reader, patient_id: Mapped[UUID] | ColumnElement[UUID], *, now: datetime
) -> ColumnElement[bool]:
    """Return the SQL condition under which `reader` sees the patient in that column.

    It belongs in the WHERE of every read of patient data. A clinician sees whose care
    team they are on now, while the patient's consent to care by their clinic stands;
    a patient themself; nobody else anybody.
    """
    match reader:
        case Reader(role="patient"):
            return patient_id == reader.subject_id
        case Reader(role="clinician", clinic_id=UUID() as clinic_id):
            return and_(
                on_care_team(reader.subject_id, patient_id, now=now),
                standing(patient_id, "care", clinic_id, now=now),
            )
        case _:
            return false()


def on_care_team(
    clinician_id: UUID,
    patient_id: Mapped[UUID] | ColumnElement[UUID],
    *,
    now: datetime,
) -> ColumnElement[bool]:
    """Return the SQL condition that the clinician cares for the patient now."""
    return (
        select(CareTeamMember.patient_id)
        .where(
            col(CareTeamMember.patient_id) == patient_id,
            col(CareTeamMember.clinician_id) == clinician_id,
            col(CareTeamMember.since) <= now,
            col(CareTeamMember.until).is_(None) | (col(CareTeamMember.until) > now),
        )
        .exists()
    )


def only(reader: Reader, *roles: str) -> Reader:
    """Return the reader; raises Forbidden when their role is none of `roles`."""
    if reader.role not in roles:
        raise Forbidden("This is not for your role.")
    return reader


async def csrf_given(request: Request) -> str | None:
    """Return the token a form or call carries: header X-CSRF-Token, or field `csrf`."""
    if request.method in SAFE:
        return None
    given = request.headers.get("X-CSRF-Token")
    kind = request.headers.get("content-type", "")
    if given is None and kind.startswith(FORMS):
        given = (await request.form()).get("csrf")
    return given if isinstance(given, str) else None


def by_hand(request: Request) -> bool:
    """Tell whether somebody asks, not an open page that keeps itself current."""
    return "X-Doseloop-Live" not in request.headers and request.url.path != "/live"


FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


def session_of(
    request: Request, given: Annotated[str | None, Depends(csrf_given)]
) -> SignedIn:
    """Return who asks: by an access token, else by the cookie of a signed-in browser.

    Raises NotSignedIn, and ForeignForm for an unsafe call by cookie without the token
    of its session or from another origin.
    """
    real = real_now()
    token = bearer(request)
    if token is not None:
        with transaction() as session:
            account = find_access(session, token, real=real)
        if account is None:
            raise Unauthenticated("This token is wrong, expired or revoked.")
        return SignedIn(reader_of(account), "")
    cookie = request.cookies.get(cookie_name())
    if cookie is None:
        raise NotSignedIn("Sign in first.")
    with transaction() as session:
        found = find_session(session, cookie, real=real, by_hand=by_hand(request))
    if found is None:
        raise NotSignedIn("Sign in again.")
    account, csrf = found
    if request.method not in SAFE:
        _refuse_foreign(request, csrf, given)
    return SignedIn(reader_of(account), csrf)


async def signed_in(who: Annotated[SignedIn, Depends(session_of)]) -> Reader:
    """Return the reader: for `Annotated[Reader, Depends(signed_in)]` in every route."""
    return who.reader  # async, so that it costs no hop to another thread


async def bridge_token(request: Request) -> str:
    """Return the token a bridge sends; raises Unauthenticated where there is none.

    For routes that take in a lot: they look it up by `sender_of` in the transaction in
    which they store, first of all. Async, so that it costs no hop to another thread.
    """
    token = bearer(request)
    if token is None:
        raise Unauthenticated("A bridge sends its token as a bearer.")
    return token


def sender_of(session: Session, token: str) -> Sender:
    """Return the bridge that holds this token; raises Unauthenticated."""
    bridge = find_bridge(session, token, real=real_now())
    if bridge is None:
        raise Unauthenticated("This token is wrong, expired or revoked.")
    return Sender(*bridge)


def sender(token: Annotated[str, Depends(bridge_token)]) -> Sender:
    """Return the bridge that calls; raises Unauthenticated."""
    with transaction() as session:
        return sender_of(session, token)


def bearer(request: Request) -> str | None:
    """Return the token in the Authorization field, None when there is no such field."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if not scheme:
        return None
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("Authorization is `Bearer` and a token.")
    return token.strip()


def reader_of(account: Account) -> Reader:
    return Reader(
        account.account_id, account.role, account.subject_id, account.clinic_id
    )


def _refuse_foreign(request: Request, csrf: str, given: str | None) -> None:
    right = given is not None and hmac.compare_digest(given.encode(), csrf.encode())
    if not right or not ours(request):
        raise ForeignForm("This form is not from a page of ours, or too old. Reload.")
