"""Status callbacks of Twilio, for texts and calls."""

from uuid import UUID

from fastapi import APIRouter

from backend.clock import domain_now, real_now
from backend.database import transaction
from backend.errors import Unprocessable
from backend.outbox.receipts import receive
from backend.outbox.signed import LONGEST, Signed

PATH = "/v1/twilio/status"

router = APIRouter(tags=["messages"])


@router.post(PATH, status_code=204)
def status(message: UUID, said: Signed) -> None:
    """Take what Twilio says about a message we sent; safe to repeat."""
    provider_id = said.get("MessageSid") or said.get("CallSid")
    word = said.get("MessageStatus") or said.get("CallStatus")
    code = said.get("ErrorCode") or None
    if not provider_id or not word:
        raise Unprocessable("The id and the status of a message or call are needed.")
    with transaction() as session:
        receive(
            session,
            message_id=message,
            provider_id=provider_id[:LONGEST],
            status=word[:LONGEST],
            code=code[:LONGEST] if code else None,
            now=domain_now(),
            real=real_now(),
        )
