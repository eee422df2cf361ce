"""An answer that arrives: stored first, then acted on, in one transaction."""

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID, uuid5

from sqlmodel import Session

from backend.database.sets import execute, fetch
from backend.inbound.act import Spoken, act, give_to_a_person
from backend.inbound.sender import Sender, addressee, caregivers, quoted, senders
from backend.live import touch
from backend.people.hold import hold
from notifications.replies import Reply, understand, understand_keys
from notifications.wording import say

log = logging.getLogger(__name__)

NAMESPACE = UUID("5e1e0c3b-3f0f-4a6e-9a53-6a1f0d4c7a11")
SHARED = "number of several people"
STRANGE_REFERENCE = "reference not known"
# An automatic reply at the other end must not talk with ours for ever.
MOST_ANSWERS, WITHIN = 20, timedelta(hours=1)
LONGEST_BODY = 4_000


@dataclass(frozen=True, slots=True)
class Arrived:
    """What a provider handed over. `provider_id` is the same when it comes again."""

    provider_id: str
    channel: str
    address: str
    body: str


class Said(NamedTuple):
    """What to say back, "" for nothing, in which language; `again`: and ask anew."""

    text: str
    language: str
    again: bool = False
    to_caregiver: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody said, in answer to which message."""

    sender: Sender
    reply: Reply
    message_id: UUID | None


def receive_text(
    session: Session, arrived: Arrived, *, now: datetime, real: datetime
) -> Said:
    """Take a text and return what to say back; what came before changes nothing."""
    found = senders(session, arrived.address, now=now)
    named = caregivers(session, arrived.address, now=now)
    held = hold(session, (sender.patient_id for sender in (*found, *named)))
    among = [sender for sender in found if sender.patient_id in held]
    carers = [sender for sender in named if sender.patient_id in held]
    if not among and not carers:
        return _from_a_stranger(session, arrived, real=real)
    reply = understand(arrived.body, (among or carers)[0].language)
    answers = _answers(session, arrived.address, among, reply) if among else []
    if not among or reply.kind == "stop":
        answers += [Answer(carer, reply, None) for carer in carers]
    said = [_take(session, arrived, one, now=now, real=real) for one in answers]
    return said[0]


def receive_for_message(
    session: Session,
    message_id: UUID,
    arrived: Arrived,
    reply: Reply,
    *,
    now: datetime,
    real: datetime,
) -> Said | None:
    """Take an answer to a message that is known, None when it is nobody's any more."""
    found = addressee(session, message_id, now=now)
    if found is None:
        return None
    if not hold(session, [found.sender.patient_id]):
        return None
    answer = Answer(found.sender, reply, message_id)
    known = replace(arrived, address=found.address)
    return _take(session, known, answer, now=now, real=real)


def receive_keys(
    session: Session,
    message_id: UUID,
    arrived: Arrived,
    *,
    now: datetime,
    real: datetime,
) -> Said | None:
    """Take the keys that were pressed in the call of a message; see there.

    A key without a meaning is a slip of a finger, and asked for again.
    """
    found = addressee(session, message_id, now=now)
    to_caregiver = found is not None and found.sender.caregiver_id is not None
    reply = understand_keys(arrived.body, of_caregiver=to_caregiver)
    said = receive_for_message(session, message_id, arrived, reply, now=now, real=real)
    return said and said._replace(
        again=reply.kind == "unclear", to_caregiver=to_caregiver
    )


def _answers(
    session: Session, address: str, among: list[Sender], reply: Reply
) -> list[Answer]:
    """Return who says this, of those who share the number; never none.

    STOP and START are about the number, so about all. Anything else is about the
    message that is quoted, else about the one patient who was written to of late;
    when that is not one, a person finds out who meant what.
    """
    if reply.kind in ("stop", "start"):
        return [Answer(sender, reply, sender.message_id) for sender in among]
    if reply.reference:
        return [_quoting(session, address, among, reply)]
    spoken_to = [sender for sender in among if sender.spoken_to]
    if len(spoken_to) == 1:
        return [Answer(spoken_to[0], reply, spoken_to[0].message_id)]
    if len(among) == 1:
        return [Answer(among[0], reply, None)]
    unclear = replace(reply, kind="unclear", minutes=None, reason=SHARED)
    return [Answer(sender, unclear, sender.message_id) for sender in spoken_to or among]


def _quoting(
    session: Session, address: str, among: list[Sender], reply: Reply
) -> Answer:
    found = quoted(session, among, address, reply.reference)
    if found is None:
        unclear = replace(reply, kind="unclear", minutes=None, reason=STRANGE_REFERENCE)
        return Answer(among[0], unclear, None)
    patient_id, message_id = found
    whose = {sender.patient_id: sender for sender in among}
    return Answer(whose[patient_id], reply, message_id)


def _take(
    session: Session,
    arrived: Arrived,
    answer: Answer,
    *,
    now: datetime,
    real: datetime,
) -> Said:
    """Store an answer and do what it says, unless it is here already."""
    sender, reply = answer.sender, answer.reply
    whose = sender.caregiver_id or sender.patient_id
    inbound_id = uuid5(NAMESPACE, f"{arrived.provider_id}/{whose}")
    if not _store(session, inbound_id, arrived, answer, real=real):
        return Said(_answered(session, inbound_id), sender.language)
    spoken = _act(session, arrived, answer, inbound_id, now=now)
    text = say(spoken.key, sender.language, **spoken.words)
    if _too_many(session, arrived.address, real=real):
        text = ""
    execute(session, ANSWERED, inbound_id=inbound_id, answer=text, kind=reply.kind)
    touch(session, {sender.clinic_id: {sender.patient_id}})
    return Said(text, sender.language)


def _act(
    session: Session,
    arrived: Arrived,
    answer: Answer,
    inbound_id: UUID,
    *,
    now: datetime,
) -> Spoken:
    """Do what was answered; what breaks is undone and a person reads the answer."""
    sender, reply, message_id = answer.sender, answer.reply, answer.message_id
    try:
        with session.begin_nested():
            return act(
                session,
                sender,
                reply,
                channel=arrived.channel,
                address=arrived.address,
                message_id=message_id,
                now=now,
            )
    except Exception:
        # The provider does not tell us twice: what was said must stay.
        log.exception("answer not acted on", extra={"inbound_id": str(inbound_id)})
        title = "Patient wrote what is for a person"
        give_to_a_person(session, sender.patient_id, reply, title=title, now=now)
        return Spoken("answered_unclear")


def _from_a_stranger(session: Session, arrived: Arrived, *, real: datetime) -> Said:
    """Keep what nobody of ours wrote, for an operator to read."""
    inbound_id = uuid5(NAMESPACE, arrived.provider_id)
    language = "en"
    if not _store(session, inbound_id, arrived, None, real=real):
        return Said(_answered(session, inbound_id), language)
    log.warning("text from an unknown sender", extra={"inbound_id": str(inbound_id)})
    before = fetch(session, RECENT, address=arrived.address, since=real - WITHIN)
    text = say("reply_stranger", language) if before[0]["count"] == 1 else ""
    execute(
        session,
        ANSWERED,
        inbound_id=inbound_id,
        answer=text,
        kind=understand(arrived.body, language).kind,
    )
    return Said(text, language)


def _store(
    session: Session,
    inbound_id: UUID,
    arrived: Arrived,
    answer: Answer | None,
    *,
    real: datetime,
) -> bool:
    return bool(
        execute(
            session,
            STORE,
            inbound_id=inbound_id,
            patient_id=answer.sender.patient_id if answer else None,
            provider_id=arrived.provider_id,
            channel=arrived.channel,
            address=arrived.address,
            body=arrived.body[:LONGEST_BODY],
            message_id=answer.message_id if answer else None,
            real=real,
        )
    )


def _answered(session: Session, inbound_id: UUID) -> str:
    """Return what was said to it before: the provider asks again as it lost that."""
    rows = fetch(
        session,
        "SELECT answer FROM inbound_message WHERE inbound_id = :id",
        id=inbound_id,
    )
    return str(rows[0]["answer"]) if rows else ""


def _too_many(session: Session, address: str, *, real: datetime) -> bool:
    rows = fetch(session, RECENT, address=address, since=real - WITHIN)
    return int(rows[0]["count"]) > MOST_ANSWERS


STORE = """
INSERT INTO inbound_message (inbound_id, patient_id, provider_id, channel, address,
    body, kind, message_id, answer, received_at)
VALUES (:inbound_id, :patient_id, :provider_id, :channel, :address, :body, 'unclear',
    :message_id, '', :real)
ON CONFLICT DO NOTHING
"""

ANSWERED = """
UPDATE inbound_message SET answer = :answer, kind = :kind
WHERE inbound_id = :inbound_id
"""

RECENT = """
SELECT count(*) AS count FROM inbound_message
WHERE address = :address AND received_at > :since
"""
