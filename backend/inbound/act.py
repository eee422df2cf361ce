"""What follows from an answer: the one place where inbound meets reminders."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlmodel import Session

from backend.alerts.raise_ import Seen, trigger
from backend.audit.record import Actor
from backend.inbound.sender import Sender
from backend.ingest.answer import answer
from backend.reminders.wishes import caregiver_no_more
from notifications.replies import Reply

CODE, VERSION = "patient-asks", 1
LONGEST_SAID = 200  # signs of their words that an alert repeats


class OfCaregiver(NamedTuple):
    """What the worklist says of a caregiver's answer, and what a call answers."""

    title: str
    spoken: str


OF_A_CAREGIVER = OfCaregiver(
    "A caregiver wrote what is for a person", "reply_caregiver"
)
TO_CAREGIVERS: Mapping[str, OfCaregiver] = {
    "stop": OfCaregiver(
        "A caregiver wants no more messages", "answered_caregiver_stop"
    ),
    "checking": OfCaregiver(
        "A caregiver will see how the patient is", "answered_checking"
    ),
    "help": OfCaregiver("A caregiver asks for help", "answered_caregiver_help"),
}


@dataclass(frozen=True, slots=True)
class Spoken:
    """What to say back: a key of the wording catalogues and its words."""

    key: str
    words: Mapping[str, str] = field(default_factory=dict[str, str])


def act(
    session: Session,
    sender: Sender,
    reply: Reply,
    *,
    channel: str,
    address: str,
    message_id: UUID | None,
    now: datetime,
) -> Spoken:
    """Do what was answered and return what to say back; the patient is held."""
    if reply.kind == "unclear" and channel == "voice":
        return Spoken("voice_again")
    if sender.caregiver_id is not None:
        return _of_a_caregiver(
            session, sender, sender.caregiver_id, reply, channel, now=now
        )
    answered = answer(
        session,
        sender.patient_id,
        reply,
        message_id=message_id,
        now=now,
        by=Actor("patient", None, sender.clinic_id),
        address=(channel, address),
    )
    return Spoken(answered.key, answered.words)


def _of_a_caregiver(
    session: Session,
    sender: Sender,
    caregiver_id: UUID,
    reply: Reply,
    channel: str,
    *,
    now: datetime,
) -> Spoken:
    """Stop writing to a caregiver who wants that; anything else is for a person.

    Nobody but the patient says whether a dose was taken.
    """
    title, spoken = TO_CAREGIVERS.get(reply.kind, OF_A_CAREGIVER)
    if reply.kind == "stop":
        by = Actor("caregiver", None, sender.clinic_id)
        caregiver_no_more(session, sender.patient_id, caregiver_id, actor=by, now=now)
    give_to_a_person(session, sender.patient_id, reply, title=title, now=now)
    by_text = channel != "voice"
    if by_text and reply.kind == "stop":
        return Spoken("answered_stop")  # names the word that takes it back
    return Spoken(OF_A_CAREGIVER.spoken if by_text else spoken)


def give_to_a_person(
    session: Session, patient_id: UUID, reply: Reply, *, title: str, now: datetime
) -> None:
    """Put words on the worklist of those who care for the patient, who is held."""
    finding: dict[str, object] = {
        "code": CODE,
        "subject": reply.kind,
        "at": now.isoformat(),
        "said": reply.text[:LONGEST_SAID],
        "reason": reply.reason or None,
    }
    rule = f"{CODE}:{reply.kind}"
    seen = Seen(patient_id, rule, VERSION, "medium", title, finding)
    trigger(session, [seen], now=now)
