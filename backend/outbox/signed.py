"""Forms that Twilio signed: checked against our public address as it is configured.

A Host header says whatever its sender likes, so the address that was signed is put
together from the setting, the path and the query as it came.
"""

from collections.abc import Mapping
from typing import Annotated, Protocol
from urllib.parse import parse_qsl

from fastapi import Depends, Header, Request
from twilio.request_validator import RequestValidator

from backend.errors import Forbidden, NotFound, Unprocessable
from backend.settings import settings

LONGEST = 64  # characters of an id, a status or a code


async def octets(request: Request) -> bytes:
    """The body as it came: the signature is over every field of it."""
    return await request.body()


def signed(
    request: Request,
    body: Annotated[bytes, Depends(octets)],
    x_twilio_signature: Annotated[str, Header()] = "",
) -> Mapping[str, str]:
    """Return the fields of a form of Twilio's; for `Depends`, reads no database.

    Raises NotFound where Twilio is not set up, Forbidden when the signature is absent
    or does not fit.
    """
    token = settings().twilio_token
    if token is None:
        raise NotFound("Twilio is not set up here.")
    try:
        said = dict(parse_qsl(body.decode(), keep_blank_values=True))
    except UnicodeDecodeError as error:
        raise Unprocessable("The body is not a form.") from error
    address = f"{settings().address}{request.url.path}"
    if request.url.query:
        address += f"?{request.url.query}"
    if not _validator(token.get_secret_value()).validate(
        address, said, x_twilio_signature
    ):
        raise Forbidden("The signature does not fit.")
    return said


Signed = Annotated[Mapping[str, str], Depends(signed)]


class Validator(Protocol):
    """What we use of Twilio's package, which ships no types."""

    def validate(
        self, uri: str, params: Mapping[str, str], signature: str
    ) -> object: ...


def _validator(token: str) -> Validator:
    return RequestValidator(token)
