"""A program that calls the API for somebody, and what it is told."""

from typing import Any
from uuid import uuid4

import httpx

from backend.audit.record import SYSTEM
from backend.clock import real_now
from backend.database import transaction
from backend.people.access import issue_access
from tests.builders import an_account


def a_token(subject: Any) -> str:  # noqa: ANN401
    """Return an access token of a new account of this person or organization."""
    with transaction() as session:
        account = an_account(session, subject, login=f"{uuid4()}@seefeld.example")
        return issue_access(session, account, "test", actor=SYSTEM, real=real_now())


def acts_for(http: httpx.Client, subject: Any) -> None:  # noqa: ANN401
    """Let this client call for somebody from now on."""
    http.headers["Authorization"] = f"Bearer {a_token(subject)}"


def refused(answer: httpx.Response) -> tuple[int, str]:
    """Return the status and code of a problem document."""
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["type"].rpartition(":")[2]
