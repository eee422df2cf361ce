"""Browsers that subscribe to a patient's notifications, and end that again."""

from datetime import datetime
from types import NoneType
from typing import Annotated
from urllib.parse import urlsplit
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session, col, func, select

from backend.audit.record import record
from backend.clock import domain_now
from backend.database import transaction
from backend.errors import Forbidden, NotFound, Unprocessable
from backend.people.hold import hold
from backend.people.once import Call, once, this_call
from backend.people.push_key import application_key
from backend.people.reach import end_contact
from backend.people.readers import Reader, only, signed_in
from backend.people.register import Contact, add_contact
from backend.people.tables import ContactPoint
from backend.reminders.plan import replan
from backend.state.refresh import refresh

CHANNEL = "push"
# The servers of browsers, and no other: we call whatever address is subscribed.
SERVERS = (
    *("fcm.googleapis.com", "push.services.mozilla.com"),
    *("push.apple.com", "notify.windows.com"),
)
KEY = r"^[A-Za-z0-9_-]{16,200}=*$"

router = APIRouter(prefix="/v1", tags=["push"])
Asking = Annotated[Reader, Depends(signed_in)]
Calling = Annotated[Call, Depends(this_call)]


class Keys(BaseModel):
    """The browser's keys, base64url (RFC 8291)."""

    model_config = ConfigDict(frozen=True)

    p256dh: str = Field(pattern=KEY)
    auth: str = Field(pattern=KEY)


class Subscription(BaseModel):
    """What `PushManager.subscribe()` gives; other members are left out."""

    model_config = ConfigDict(frozen=True)

    endpoint: str = Field(max_length=1_000)
    keys: Keys

    def address(self) -> str:
        """Return it as a contact's address; raises Unprocessable for odd servers."""
        at = urlsplit(self.endpoint)
        host = at.hostname or ""
        known = any(host == it or host.endswith(f".{it}") for it in SERVERS)
        if at.scheme != "https" or not known or at.username or at.port:
            raise Unprocessable("That is no push server of a browser we know.")
        return orjson.dumps(self.model_dump()).decode()


class PushKey(BaseModel):
    """`key` is the `applicationServerKey` of a subscription, base64url."""

    key: str


@router.get("/push-key")
def push_key(reader: Asking) -> PushKey:
    """Return the key that a browser subscribes with; 404 where push is not set up."""
    only(reader, "patient")
    key = application_key()
    if key is None:
        raise NotFound("Push is not set up here.")
    return PushKey(key=key)


@router.post("/push-subscriptions", status_code=204)
def subscribe(subscription: Subscription, call: Calling) -> None:
    """Reach the patient who is signed in by this browser too; safe to repeat.

    A browser is the last one's who subscribed with it: nobody else's words go there.
    """
    reader, now = only(call.reader, "patient"), domain_now()
    address = subscription.address()
    with transaction() as session:

        def act() -> None:
            _subscribe(session, reader, address, now=now)

        once(session, call, reader.subject_id, NoneType, act, now=now)


@router.delete("/push-subscriptions", status_code=204)
def unsubscribe(subscription: Subscription, call: Calling) -> None:
    """Reach the patient by this browser no more; safe to repeat."""
    reader, now = only(call.reader, "patient"), domain_now()
    whose = reader.subject_id, CHANNEL, subscription.address()
    with transaction() as session:

        def act() -> None:
            end_contact(session, *whose, actor=reader.actor(), now=now)

        once(session, call, reader.subject_id, NoneType, act, now=now)


def _subscribe(
    session: Session, reader: Reader, address: str, *, now: datetime
) -> None:
    patient_id = reader.subject_id
    others = _subscribed(session, address)
    if patient_id not in hold(session, {patient_id, *others}):
        raise Forbidden("This account is closed.")
    for other in others - {patient_id}:
        where = other, CHANNEL, address
        end_contact(session, *where, actor=reader.actor(), now=now)
    if patient_id in others:
        return
    last = session.exec(
        select(func.max(ContactPoint.rank)).where(
            col(ContactPoint.patient_id) == patient_id
        )
    ).one()
    contact = Contact(CHANNEL, address, (last or 0) + 1)
    add_contact(session, patient_id, contact, since=now)
    detail = {"channel": CHANNEL, "rank": contact.rank}
    record(
        session, reader.actor(), "contact_added", patients=[patient_id], detail=detail
    )
    replan(session, [patient_id], now=now)
    refresh(session, [patient_id], now=now)


def _subscribed(session: Session, address: str) -> set[UUID]:
    wanted = select(ContactPoint.patient_id).where(
        col(ContactPoint.channel) == CHANNEL,
        col(ContactPoint.address) == address,
        col(ContactPoint.until).is_(None),
    )
    return set(session.exec(wanted))
