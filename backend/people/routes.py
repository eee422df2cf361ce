"""Signing in and out, and the pairing of bridges, over HTTP."""

from datetime import datetime
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request, status
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field

from backend.clock import real_now
from backend.database import transaction
from backend.people import bridges
from backend.people.attempts import TooManyAttempts, by_network, charge, forgive
from backend.people.origin import cookie_name, drop_cookie, local, ours, set_cookie
from backend.people.readers import (
    ForeignForm,
    Sender,
    SignedIn,
    sender,
    session_of,
)
from backend.people.sign_in import WrongPassword, sign_in, sign_out

router = APIRouter()
FreeText = Annotated[str, Field(min_length=1, max_length=200)]
TRIES_A_NETWORK = 10


class Pairing(BaseModel):
    """A code as an operator read it out, and what the bridge shall be called."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"code": "7K3M-Q9TX", "name": "ward 3"}]},
    )

    code: Annotated[str, Field(min_length=8, max_length=20)]
    name: FreeText


class Token(BaseModel):
    token: str
    expires_at: datetime


class Paired(Token):
    bridge_id: UUID


@router.post("/sign-in", include_in_schema=False)
def enter(
    request: Request,
    login: Annotated[str, Form(max_length=200)],
    password: Annotated[str, Form(max_length=2000)],
    next: Annotated[str | None, Form(max_length=500)] = None,  # noqa: A002
) -> RedirectResponse:
    """Send the browser on with a new session, or back to the form with a reason."""
    if not ours(request):
        raise ForeignForm("Sign in on our own page.")
    try:
        welcome = sign_in(
            login,
            password,
            address=_address(request),
            real=real_now(),
            cookie=request.cookies.get(cookie_name()),
        )
    except WrongPassword:
        return _back(next, "wrong")
    except TooManyAttempts as refused:
        return _back(next, "locked", wait=refused.retry_after)
    answer = RedirectResponse(local(next, otherwise="/"), status.HTTP_303_SEE_OTHER)
    set_cookie(answer, welcome.cookie)
    return answer


@router.post("/sign-out", include_in_schema=False)
def leave(
    request: Request, _who: Annotated[SignedIn, Depends(session_of)]
) -> RedirectResponse:
    sign_out(request.cookies.get(cookie_name(), ""), real=real_now())
    answer = RedirectResponse("/sign-in", status.HTTP_303_SEE_OTHER)
    drop_cookie(answer)
    answer.headers["Clear-Site-Data"] = '"cache"'
    return answer


@router.post("/v1/bridges/pair", status_code=status.HTTP_201_CREATED, tags=["bridges"])
def pair(asked: Pairing, request: Request) -> Paired:
    """Return the first token of a new bridge for a code that an operator gave out.

    A code works once, within ten minutes.
    """
    real = real_now()
    guard = by_network("pair", _address(request), free=TRIES_A_NETWORK)
    with transaction() as session:
        began = charge(session, [guard], real=real)
    with transaction() as session:
        made = bridges.pair(session, asked.code, asked.name, real=real)
        forgive(session, wholly=[], once=[guard], began=began)
    return Paired(
        bridge_id=made.bridge_id, token=made.token, expires_at=made.expires_at
    )


@router.post("/v1/bridges/rotate", tags=["bridges"])
def rotate(caller: Annotated[Sender, Depends(sender)]) -> Token:
    """Return a new token; the old one works ten more minutes."""
    with transaction() as session:
        made = bridges.rotate(session, caller.bridge_id, real=real_now())
    return Token(token=made.token, expires_at=made.expires_at)


def _address(request: Request) -> str | None:
    return request.client.host if request.client else None


def _back(target: str | None, reason: str, **more: int) -> RedirectResponse:
    """Return to the form; the name that was typed is in no address and no log."""
    query = {"reason": reason, **more}
    if (wanted := local(target, otherwise="")) != "":
        query["next"] = wanted
    return RedirectResponse(f"/sign-in?{urlencode(query)}", status.HTTP_303_SEE_OTHER)
