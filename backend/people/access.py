"""Bearer tokens for programs that read for an account, such as a feed reader."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import update
from sqlmodel import Session, col, select

from backend.audit.record import Actor, record
from backend.people.tables import AccessToken, Account
from backend.people.tokens import hash_of, new_token

LIVES = timedelta(days=365)


def issue_access(
    session: Session,
    account: Account,
    name: str,
    *,
    actor: Actor,
    real: datetime,
    lives: timedelta = LIVES,
) -> str:
    """Return a new token for a program of this account, shown this once.

    `name` says which program, so that its owner can tell it from the others.
    """
    token = new_token()
    session.add(
        AccessToken(
            token_hash=hash_of(token),
            account_id=account.account_id,
            name=name,
            issued_at=real,
            expires_at=real + lives,
        )
    )
    _tell(session, actor, "access_issued", account.account_id)
    return token


def revoke_access(
    session: Session, account_id: UUID, name: str, *, actor: Actor, real: datetime
) -> int:
    """Revoke an account's tokens of this name; return how many worked until now."""
    revoked = session.exec(
        update(AccessToken)
        .where(
            col(AccessToken.account_id) == account_id,
            col(AccessToken.name) == name,
            col(AccessToken.revoked_at).is_(None),
        )
        .values(revoked_at=real)
    ).rowcount
    if revoked:
        _tell(session, actor, "access_revoked", account_id)
    return revoked


def find_access(session: Session, token: str, *, real: datetime) -> Account | None:
    """Return for whom a program reads; None when its token is not good."""
    return session.exec(
        select(Account)
        .join(AccessToken, col(AccessToken.account_id) == col(Account.account_id))
        .where(
            col(AccessToken.token_hash) == hash_of(token),
            col(AccessToken.expires_at) > real,
            col(AccessToken.revoked_at).is_(None),
            col(Account.disabled_at).is_(None),
        )
    ).one_or_none()


def _tell(session: Session, actor: Actor, action: str, account_id: UUID) -> None:
    record(session, actor, action, detail={"account_id": account_id})
