"""What follows when a patient allows more, moves, or is reached in another way.

Withdrawals are in `leave`. The callers open the transaction.
"""

import re
from datetime import datetime
from uuid import UUID

from sqlmodel import Session, col, select

from backend.audit.record import Actor, record
from backend.errors import Unprocessable
from backend.ingest.extend import schedule
from backend.people.care_team import join_team, leave_team
from backend.people.consent import grant
from backend.people.hold import hold
from backend.people.reach import end_contact, speak
from backend.people.register import CHANNELS, Contact, add_contact
from backend.people.tables import ContactPoint
from backend.people.zones import move
from backend.reminders.opt_out import opted_out
from backend.reminders.plan import renew, replan
from backend.state.refresh import refresh
from notifications.wording import LANGUAGES

E164 = re.compile(r"\+[1-9]\d{6,14}")
MAIL = re.compile(r"[^@\s]+@[^@\s]+")


def grant_consent(
    session: Session,
    patient_id: UUID,
    purpose: str,
    recipient_id: UUID,
    *,
    version: int,
    wording: str,
    actor: Actor,
    now: datetime,
) -> None:
    """Write a yes; whoever allows reminders gets those of the doses ahead."""
    grant(
        session,
        patient_id,
        purpose,
        recipient_id,
        version=version,
        wording=wording,
        actor=actor,
        now=now,
    )
    session.flush()
    replan(session, [patient_id], now=now)
    refresh(session, [patient_id], now=now)


def reach_by(
    session: Session, patient_id: UUID, contact: Contact, *, actor: Actor, now: datetime
) -> bool:
    """Write down an address and queue what waited for one; False: it is known."""
    named_contact(contact)
    hold(session, [patient_id])
    known = select(ContactPoint.contact_id).where(
        col(ContactPoint.patient_id) == patient_id,
        col(ContactPoint.channel) == contact.channel,
        col(ContactPoint.address) == contact.address,
        col(ContactPoint.until).is_(None),
    )
    if session.exec(known).first() is not None:
        return False
    if opted_out(session, patient_id, (contact.channel, contact.address)):
        raise Unprocessable("The patient stopped messages there: they send START.")
    add_contact(session, patient_id, contact, since=now)
    detail = {"channel": contact.channel, "rank": contact.rank}
    record(session, actor, "contact_added", patients=[patient_id], detail=detail)
    replan(session, [patient_id], now=now)
    refresh(session, [patient_id], now=now)
    return True


def reach_no_more_by(
    session: Session,
    patient_id: UUID,
    channel: str,
    address: str,
    *,
    actor: Actor,
    now: datetime,
) -> bool:
    """Use an address no more; False when the patient has no such address."""
    ended = end_contact(session, patient_id, channel, address, actor=actor, now=now)
    refresh(session, [patient_id], now=now)
    return ended


def live_in(
    session: Session, patient_id: UUID, zone: str, *, actor: Actor, now: datetime
) -> None:
    """Let the patient live by another zone from now on: doses and reminders follow."""
    move(session, patient_id, zone, effective_from=now, actor=actor, now=now)
    schedule(session, [patient_id], now=now)
    renew(session, [patient_id], now=now)  # quiet hours are those of the new zone


def address_in(
    session: Session, patient_id: UUID, language: str, *, actor: Actor, now: datetime
) -> None:
    """Address the patient in another language, if there are sentences in it."""
    if language.split("-")[0].lower() not in LANGUAGES:
        known = ", ".join(sorted(LANGUAGES))
        raise Unprocessable(f"There are no sentences in {language}: one of {known}.")
    speak(session, patient_id, language, actor=actor, now=now)
    refresh(session, [patient_id], now=now)


def care(
    session: Session,
    patient_id: UUID,
    clinician_id: UUID,
    *,
    actor: Actor,
    now: datetime,
) -> None:
    """Let a clinician care for the patient from now on; no harm when they do."""
    hold(session, [patient_id])
    join_team(session, patient_id, clinician_id, since=now)
    session.flush()
    detail = {"clinician_id": clinician_id}
    record(session, actor, "care_team_joined", patients=[patient_id], detail=detail)
    refresh(session, [patient_id], now=now)


def care_no_more(
    session: Session,
    patient_id: UUID,
    clinician_id: UUID,
    *,
    actor: Actor,
    now: datetime,
) -> bool:
    """End a clinician's care for the patient; False when they were not on the team."""
    left = leave_team(session, patient_id, clinician_id, actor=actor, now=now)
    refresh(session, [patient_id], now=now)
    return left


def named_contact(contact: Contact) -> Contact:
    """Return the contact; raises Unprocessable where channel or address is none."""
    if contact.channel not in CHANNELS:
        raise Unprocessable(f"A channel is one of {', '.join(CHANNELS)}.")
    if contact.channel == "push":
        raise Unprocessable("A browser subscribes itself: on the patient's own page.")
    mail = contact.channel == "email"
    if not (MAIL if mail else E164).fullmatch(contact.address):
        want = "name@example.org" if mail else "+41790000000"
        raise Unprocessable(f"That is no address for {contact.channel}: want {want}.")
    return contact
