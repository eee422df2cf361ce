"""Signed-in browsers: a random cookie, of which only the hash is kept. Real time."""

from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlmodel import Session, col, select

from backend.people.tables import Account, SignInSession
from backend.people.tokens import hash_of, new_token

IDLE = timedelta(hours=1)
LONGEST = timedelta(hours=12)
SEEN_EVERY = timedelta(minutes=1)  # a row a minute and browser, not one a request


def open_session(session: Session, account: Account, *, real: datetime) -> str:
    """Return the cookie of a new session."""
    token = new_token()
    session.add(
        SignInSession(
            token_hash=hash_of(token),
            account_id=account.account_id,
            csrf=new_token(),
            created_at=real,
            seen_at=real,
            expires_at=real + LONGEST,
        )
    )
    return token


def find_session(
    session: Session, token: str, *, real: datetime, by_hand: bool = True
) -> tuple[Account, str] | None:
    """Return whose cookie this is and what their forms must carry.

    None when it is unknown, expired, or the account was disabled. What a page does
    without its reader's hand leaves the session as idle as it was.
    """
    found = session.exec(
        select(SignInSession, Account)
        .join(Account, col(Account.account_id) == col(SignInSession.account_id))
        .where(
            col(SignInSession.token_hash) == hash_of(token),
            col(SignInSession.expires_at) > real,
            col(SignInSession.seen_at) > real - IDLE,
            col(Account.disabled_at).is_(None),
        )
    ).one_or_none()
    if found is None:
        return None
    row, account = found
    if by_hand and real - row.seen_at >= SEEN_EVERY:
        row.seen_at = real
    return account, row.csrf


def close_session(session: Session, token: str) -> None:
    """Make a cookie worthless."""
    session.exec(
        delete(SignInSession).where(col(SignInSession.token_hash) == hash_of(token))
    )
