"""What Twilio and mail programs hand over: texts, keys of a call, one-click links."""

from hmac import compare_digest
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from fastapi.responses import HTMLResponse
from sqlmodel import Session

from backend.clock import domain_now, real_now
from backend.database import transaction
from backend.errors import NotFound, Unprocessable
from backend.inbound.page import unsubscribe_page, unsubscribed_page
from backend.inbound.receive import (
    Arrived,
    Said,
    receive_for_message,
    receive_keys,
    receive_text,
)
from backend.inbound.sender import Sender, addressee
from backend.outbox.signed import LONGEST, Signed
from backend.settings import settings
from notifications.channels.email import UNSUBSCRIBE
from notifications.channels.voice import KEYS, keys_address
from notifications.replies import Reply
from notifications.twiml import MEDIA_TYPE, call_asking, call_saying, text_answer

TEXTS = "/v1/twilio/messages"
FORMS = frozenset({TEXTS, KEYS, UNSUBSCRIBE})  # paths that take forms, not JSON

router = APIRouter(tags=["inbound"])
Reference = Annotated[str, Query(min_length=6, max_length=6)]


@router.post(TEXTS)
def take_text(said: Signed) -> Response:
    """Take a text that came to our number, and answer it in the patient's language.

    Safe to repeat: what was stored is answered as before. Where Twilio itself has
    answered STOP, START or HELP (OptOutType) we say nothing besides.
    """
    sid, sender = said.get("MessageSid", ""), said.get("From", "")
    if not sid or not sender:
        raise Unprocessable("MessageSid and From are needed.")
    arrived = Arrived(sid[:LONGEST], "sms", sender[:LONGEST], said.get("Body", ""))
    with transaction() as session:
        answer = receive_text(session, arrived, now=domain_now(), real=real_now())
    words = "" if said.get("OptOutType") else answer.text
    return Response(text_answer(words), media_type=MEDIA_TYPE)


@router.post(KEYS)
def take_keys(message: UUID, said: Signed) -> Response:
    """Take the key that was pressed in a call of ours; safe to repeat.

    A key that means nothing is asked for again in the same call.
    """
    sid, digits = said.get("CallSid", ""), said.get("Digits", "")
    if not sid or not digits:
        raise Unprocessable("CallSid and Digits are needed.")
    provider_id = f"{sid[:LONGEST]}/{digits[:LONGEST]}"
    arrived = Arrived(provider_id, "voice", "", digits[:LONGEST])
    with transaction() as session:
        answer = receive_keys(
            session, message, arrived, now=domain_now(), real=real_now()
        )
    return Response(_spoken(answer, message), media_type=MEDIA_TYPE)


@router.get(UNSUBSCRIBE)
def ask_unsubscribe(message: UUID, ref: Reference) -> HTMLResponse:
    """Show a button: what only follows links, as a mail scanner, ends nothing."""
    with transaction() as session:
        to = _addressed(session, message, ref)
    return HTMLResponse(unsubscribe_page(to.language, message=message, reference=ref))


@router.post(UNSUBSCRIBE)
def unsubscribe(message: UUID, ref: Reference) -> HTMLResponse:
    """End mails to the mailbox that this one went to (RFC 8058); safe to repeat.

    Whoever has the mail may: no cookie and no sign-in is asked for.
    """
    arrived = Arrived(f"unsubscribe/{message}", "email", "", "")
    reply = Reply("stop", text="")
    with transaction() as session:
        to = _addressed(session, message, ref)
        receive_for_message(
            session, message, arrived, reply, now=domain_now(), real=real_now()
        )
    return HTMLResponse(unsubscribed_page(to.language))


def _addressed(session: Session, message: UUID, reference: str) -> Sender:
    """Return whom a mail went to; raises NotFound unless the reference is its own."""
    found = addressee(session, message, now=domain_now())
    if found is None or not compare_digest(
        found.reference.encode(), reference.upper().encode()
    ):
        raise NotFound("There is no such message.")
    return found.sender


def _spoken(answer: Said | None, message: UUID) -> str:
    if answer is None:
        return call_saying("", "en")
    if answer.again:
        keys_to = keys_address(settings().address, message)
        return call_asking(
            answer.text,
            answer.language,
            keys_to=keys_to,
            to_caregiver=answer.to_caregiver,
        )
    return call_saying(answer.text, answer.language)
