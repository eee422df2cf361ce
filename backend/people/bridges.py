"""Bridges: paired by a code, known by a token, shut off by an operator. Real time."""

import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import update
from sqlmodel import Session, col, select

from backend.audit.record import Actor, record
from backend.database import run
from backend.errors import Conflict, NotFound, Unauthenticated
from backend.people.tables import Bridge, BridgeToken, PairingCode
from backend.people.tokens import hash_of, new_token

KINDS = ("gateway", "cloud")
CODE_LIVES = timedelta(minutes=10)
TOKEN_LIVES = timedelta(days=90)
OVERLAP = timedelta(minutes=10)  # a bridge may lose the answer that held its new token
SEEN_EVERY = timedelta(minutes=1)

# Crockford's base 32: no I, L, O, U, so that a code can be read out and typed.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
READ_AS = str.maketrans("ILO", "110")
SYMBOLS = 8  # 40 bits: safe for ten minutes behind a lock on guessing


class WrongCode(Unauthenticated):
    """No such pairing code, or it was used or is too old."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What a bridge gets: a token, and until when it works."""

    bridge_id: UUID
    token: str
    expires_at: datetime


class Known(NamedTuple):
    """A bridge whose token is good."""

    bridge_id: UUID
    clinic_id: UUID
    kind: str


def new_code(
    session: Session, clinic_id: UUID, *, kind: str, actor: Actor, real: datetime
) -> str:
    """Return a code as XXXX-XXXX, good once within ten minutes."""
    if kind not in KINDS:
        raise Conflict(f"A bridge is one of {', '.join(KINDS)}.")
    symbols = "".join(secrets.choice(ALPHABET) for _ in range(SYMBOLS))
    session.add(
        PairingCode(
            code_hash=hash_of(symbols),
            clinic_id=clinic_id,
            kind=kind,
            issued_by=actor.id or UUID(int=0),
            issued_at=real,
            expires_at=real + CODE_LIVES,
        )
    )
    record(session, actor, "pairing_code_issued", clinic_id=clinic_id)
    return f"{symbols[:4]}-{symbols[4:]}"


def spelled(code: str) -> str:
    """Return a code as it is stored, whatever dashes and case it was typed in."""
    return re.sub(r"[\s-]", "", code[:40]).upper().translate(READ_AS)


def pair(session: Session, code: str, name: str, *, real: datetime) -> Credential:
    """Use up a code, register the bridge and return its first token; raises WrongCode.

    The row's lock lets one of two callers with the same code win.
    """
    row = session.exec(
        select(PairingCode)
        .where(
            col(PairingCode.code_hash) == hash_of(spelled(code)),
            col(PairingCode.used_at).is_(None),
            col(PairingCode.expires_at) > real,
        )
        .with_for_update()
    ).one_or_none()
    if row is None:
        raise WrongCode("This code is wrong, used or older than ten minutes.")
    bridge = Bridge(clinic_id=row.clinic_id, name=name, kind=row.kind, created_at=real)
    session.add(bridge)
    session.flush()
    row.used_at, row.bridge_id = real, bridge.bridge_id
    record(session, acting(bridge), "bridge_paired")
    return _issue(session, bridge.bridge_id, real)


def acting(bridge: Bridge) -> Actor:
    """Return who a bridge is in an audit row."""
    return Actor("bridge", bridge.bridge_id, bridge.clinic_id)


def rotate(session: Session, bridge_id: UUID, *, real: datetime) -> Credential:
    """Return a new token; every older one of this bridge works ten more minutes.

    So a rotation whose answer was lost can be repeated with the old token.
    """
    # The bridge's row is locked so that of two rotations the later sees both tokens.
    bridge = session.get_one(Bridge, bridge_id, with_for_update=True)
    session.exec(
        update(BridgeToken)
        .where(
            col(BridgeToken.bridge_id) == bridge_id,
            col(BridgeToken.expires_at) > real + OVERLAP,
        )
        .values(expires_at=real + OVERLAP)
    )
    record(session, acting(bridge), "bridge_token_rotated")
    return _issue(session, bridge_id, real)


def revoke(
    session: Session, bridge_id: UUID, *, actor: Actor, real: datetime
) -> Bridge:
    """Shut a bridge off at once and for good; raises NotFound."""
    bridge = session.get(Bridge, bridge_id, with_for_update=True)
    if bridge is None:
        raise NotFound("No such bridge.")
    bridge.revoked_at = bridge.revoked_at or real
    session.exec(
        update(BridgeToken)
        .where(
            col(BridgeToken.bridge_id) == bridge_id,
            col(BridgeToken.revoked_at).is_(None),
        )
        .values(revoked_at=real)
    )
    record(
        session,
        actor,
        "bridge_revoked",
        clinic_id=bridge.clinic_id,
        detail={"bridge_id": bridge_id},
    )
    return bridge


def find_bridge(session: Session, token: str, *, real: datetime) -> Known | None:
    """Return which bridge holds this token; None when it is not good (any more)."""
    asked = hash_of(token), real
    row = run(session, FIND, asked).fetchone()
    if row is None:
        return None
    known, seen_at = Known(row[0], row[1], row[2]), row[3]
    if seen_at is None or real - seen_at >= SEEN_EVERY:
        run(session, SEE, (real, known.bridge_id))
    return known


def _issue(session: Session, bridge_id: UUID, real: datetime) -> Credential:
    made = Credential(bridge_id, new_token(), real + TOKEN_LIVES)
    session.add(
        BridgeToken(
            token_hash=hash_of(made.token),
            bridge_id=bridge_id,
            issued_at=real,
            expires_at=made.expires_at,
        )
    )
    return made


FIND = """
SELECT b.bridge_id, b.clinic_id, b.kind, b.seen_at
FROM bridge_token t JOIN bridge b USING (bridge_id)
WHERE t.token_hash = %s AND t.expires_at > %s
  AND t.revoked_at IS NULL AND b.revoked_at IS NULL
"""

# What a bridge sends is stored in this transaction: its other requests do not wait.
SEE = """
UPDATE bridge SET seen_at = %s WHERE bridge_id IN (
  SELECT bridge_id FROM bridge WHERE bridge_id = %s FOR NO KEY UPDATE SKIP LOCKED)
"""
