"""Signing in and out."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from backend.audit.record import Actor, record
from backend.database import transaction
from backend.errors import Unauthenticated
from backend.people.accounts import find_account, spelled
from backend.people.attempts import (
    blame,
    by_name,
    by_network,
    charge,
    forgive,
)
from backend.people.passwords import fits, hashed, outdated
from backend.people.sessions import close_session, find_session, open_session
from backend.people.tables import Account

TRIES_A_NAME = 5
TRIES_A_NETWORK = 30  # a ward shares one address
AT_ONCE = 8  # a wait begins with a wrong answer: colleagues sign in meanwhile


class WrongPassword(Unauthenticated):
    """Name and password do not fit together, or the account was disabled."""


@dataclass(frozen=True, slots=True)
class Welcome:
    """A new session: the browser's cookie, and the role whose pages come first."""

    cookie: str
    role: str


def sign_in(
    login: str,
    password: str,
    *,
    address: str | None,
    real: datetime,
    cookie: str | None = None,
) -> Welcome:
    """Return a new session; a session that the browser had before ends.

    Raises WrongPassword and TooManyAttempts, both in the same time and words whether
    or not somebody has this name. Opens its own transactions, none while it hashes.
    """
    name = by_name("sign-in", spelled(login), free=TRIES_A_NAME)
    net = by_network("sign-in", address, free=TRIES_A_NETWORK, at_once=AT_ONCE)
    with transaction() as session:
        began = charge(session, [name, net], real=real)
        account = find_account(session, login)
    known = account if account and account.disabled_at is None else None
    if not fits(known.password_hash if known else None, password) or known is None:
        with transaction() as session:
            blame(session, [net], real=real)
            _tell_failure(session, known)
        raise WrongPassword("Name and password do not fit.")
    stronger = hashed(password) if outdated(known.password_hash) else None
    with transaction() as session:
        forgive(session, wholly=[name], once=[net], began=began)
        return _welcome(session, known, stronger, cookie, real)


def sign_out(cookie: str, *, real: datetime) -> None:
    """End the browser's session; no harm when there is none."""
    with transaction() as session:
        found = find_session(session, cookie, real=real)
        close_session(session, cookie)
        if found is not None:
            record(session, _actor(found[0]), "signed_out")


def _welcome(
    session: Session,
    account: Account,
    stronger: str | None,
    cookie: str | None,
    real: datetime,
) -> Welcome:
    if cookie is not None:
        close_session(session, cookie)
    if stronger is not None:
        session.get_one(Account, account.account_id).password_hash = stronger
    token = open_session(session, account, real=real)
    record(session, _actor(account), "signed_in")
    return Welcome(token, account.role)


def _tell_failure(session: Session, account: Account | None) -> None:
    """Audit a failure at an account; a name that nobody has is not worth a row."""
    if account is not None:
        record(session, _actor(account), "sign_in_failed")


def _actor(account: Account) -> Actor:
    return Actor(account.role, account.account_id, account.clinic_id)
