"""Status callbacks of Twilio."""

from collections.abc import Mapping
from typing import Annotated, Protocol
from urllib.parse import parse_qsl
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Request
from twilio.request_validator import RequestValidator

from backend.clock import domain_now, real_now
from backend.database import transaction
from backend.errors import Forbidden, NotFound, Unprocessable
from backend.outbox.receipts import receive
from backend.settings import settings

PATH = "/v1/twilio/status"
LONGEST = 64  # characters of an id, a status or a code

router = APIRouter(tags=["messages"])


async def octets(request: Request) -> bytes:
    """The body as it came: the signature is over every field of it."""
    return await request.body()


@router.post(PATH, status_code=204)
def status(
    request: Request,
    message: UUID,
    body: Annotated[bytes, Depends(octets)],
    x_twilio_signature: Annotated[str, Header()] = "",
) -> None:
    """Take what Twilio says about a message we sent; safe to repeat.

    The signature is checked against our public address as it is configured: a Host
    header says whatever its sender likes.
    """
    said = _signed(body, request.url.query, x_twilio_signature)
    provider_id, word = said.get("MessageSid", ""), said.get("MessageStatus", "")
    code = said.get("ErrorCode") or None
    if not provider_id or not word:
        raise Unprocessable("MessageSid and MessageStatus are needed.")
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


def _signed(body: bytes, query: str, signature: str) -> dict[str, str]:
    token = settings().twilio_token
    if token is None:
        raise NotFound("Twilio is not set up here.")
    try:
        said = dict(parse_qsl(body.decode(), keep_blank_values=True))
    except UnicodeDecodeError as error:
        raise Unprocessable("The body is not a form.") from error
    address = f"{settings().address}{PATH}?{query}"
    if not _validator(token.get_secret_value()).validate(address, said, signature):
        raise Forbidden("The signature does not fit.")
    return said


class Validator(Protocol):
    """What we use of Twilio's package, which ships no types."""

    def validate(
        self, uri: str, params: Mapping[str, str], signature: str
    ) -> object: ...


def _validator(token: str) -> Validator:
    return RequestValidator(token)
