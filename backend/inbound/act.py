"""What follows from an answer: the one place where inbound meets reminders."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from backend.alerts.raise_ import Seen, trigger
from backend.audit.record import Actor
from backend.inbound.sender import Sender
from backend.people.reach import end_contact
from notifications.replies import Reply

RULE, VERSION = "reply", 1


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
    """Do what a patient answered and return what to say back; the patient is held."""
    if reply.kind == "unclear" and channel == "voice":
        return Spoken("voice_again")
    by = Actor("patient", None, sender.clinic_id)
    if reply.kind == "stop":
        end_contact(session, sender.patient_id, channel, address, actor=by, now=now)
        return Spoken("reply_stop")
    give_to_a_person(session, sender, reply, message_id=message_id, now=now)
    return Spoken("reply_help" if reply.kind == "help" else "reply_unclear")


def give_to_a_person(
    session: Session,
    sender: Sender,
    reply: Reply,
    *,
    message_id: UUID | None,
    now: datetime,
) -> None:
    """Put an answer on the worklist of those who care for the patient."""
    finding = {
        "kind": reply.kind,
        "reason": reply.reason,
        "message_id": str(message_id) if message_id else None,
    }
    seen = Seen(
        sender.patient_id,
        RULE,
        VERSION,
        "medium",
        "The patient wrote something that a person has to read",
        finding,
    )
    trigger(session, [seen], now=now)
