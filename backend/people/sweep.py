"""Secrets and answers that are of no use any more are deleted. Real time."""

from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlmodel import col

from backend.database import transaction
from backend.people.attempts import FORGOTTEN
from backend.people.once import KEPT
from backend.people.sessions import IDLE
from backend.people.tables import (
    AccessToken,
    Attempts,
    BridgeToken,
    IdempotencyKey,
    PairingCode,
    SignInSession,
)

TOKENS_KEPT = timedelta(days=30)  # so that an operator can see what has run out


def sweep(real: datetime) -> int:
    """Delete what ran out; return how many rows. A job, hourly is enough."""
    ended = (
        delete(SignInSession).where(
            (col(SignInSession.expires_at) < real)
            | (col(SignInSession.seen_at) < real - IDLE)
        ),
        delete(Attempts).where(col(Attempts.last_at) < real - FORGOTTEN),
        delete(IdempotencyKey).where(col(IdempotencyKey.recorded_at) <= real - KEPT),
        delete(PairingCode).where(col(PairingCode.expires_at) < real - TOKENS_KEPT),
        delete(BridgeToken).where(col(BridgeToken.expires_at) < real - TOKENS_KEPT),
        delete(AccessToken).where(col(AccessToken.expires_at) < real - TOKENS_KEPT),
    )
    with transaction() as session:
        return sum(session.exec(statement).rowcount for statement in ended)
