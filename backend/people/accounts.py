"""Accounts: who may sign in, for whom."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import delete, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from backend.audit.record import SYSTEM, Actor, record
from backend.errors import Conflict, NotFound, Unprocessable
from backend.people.tables import AccessToken, Account, SignInSession

ROLES = ("patient", "clinician", "technician", "operator", "manufacturer")


class LoginTaken(Conflict):
    """Somebody else signs in by this name."""


class NoSuchRole(Unprocessable):
    """The role is none that can sign in."""


def open_account(
    session: Session,
    login: str,
    password_hash: str,
    *,
    role: str,
    subject_id: UUID,
    clinic_id: UUID | None,
) -> Account:
    """Give somebody a sign-in; raises LoginTaken.

    `password_hash` comes from `passwords.hashed`, outside any transaction: it is slow.
    """
    if role not in ROLES:
        raise NoSuchRole(role=role)
    account_id = uuid4()
    written = session.connection().execute(
        insert(Account)
        .values(
            account_id=account_id,
            login=spelled(login),
            password_hash=password_hash,
            role=role,
            subject_id=subject_id,
            clinic_id=clinic_id,
        )
        .on_conflict_do_nothing(index_elements=["login"])
        .returning(col(Account.account_id))
    )
    if written.one_or_none() is None:
        raise LoginTaken("This sign-in name is taken.")
    record(
        session,
        SYSTEM,
        "account_opened",
        clinic_id=clinic_id,
        detail={"account_id": account_id, "role": role},
    )
    return session.get_one(Account, account_id)


def spelled(login: str) -> str:
    """Return a sign-in name as it is stored: case and outer spaces do not matter."""
    return login.strip().casefold()


def find_account(session: Session, login: str) -> Account | None:
    """Return the account that signs in by this name."""
    wanted = col(Account.login) == spelled(login)
    return session.exec(select(Account).where(wanted)).one_or_none()


def disable(session: Session, login: str, *, actor: Actor, real: datetime) -> None:
    """Shut an account at once: its browsers and its programs too. Raises NotFound."""
    account = find_account(session, login)
    if account is None:
        raise NotFound("Nobody signs in by this name.")
    account.disabled_at = account.disabled_at or real
    end_sessions(session, account.account_id)
    session.exec(
        update(AccessToken)
        .where(
            col(AccessToken.account_id) == account.account_id,
            col(AccessToken.revoked_at).is_(None),
        )
        .values(revoked_at=real)
    )
    record(
        session,
        actor,
        "account_disabled",
        clinic_id=account.clinic_id,
        detail={"account_id": account.account_id},
    )


def end_sessions(session: Session, account_id: UUID) -> int:
    """Sign an account out everywhere; return of how many browsers."""
    ended = session.exec(
        delete(SignInSession).where(col(SignInSession.account_id) == account_id)
    )
    return ended.rowcount
