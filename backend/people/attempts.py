"""Guessing made slow: after a few failures a name or a network has to wait.

A try is counted before it is judged and forgiven when it was right, so that guesses
made at the same moment count as well. What is locked is a name or an address whether
or not anybody has it: the answer tells nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from backend.errors import TooManyRequests
from backend.people.tables import Attempts

FORGOTTEN = timedelta(hours=24)  # after which old failures no longer count
FIRST_WAIT = timedelta(seconds=2)
LONGEST_WAIT = timedelta(minutes=15)


class TooManyAttempts(TooManyRequests):
    """Too many wrong tries by this name or from this network."""


@dataclass(frozen=True, slots=True)
class Guard:
    """What is counted, and how many failures are free of waiting."""

    bucket: bytes
    free: int

    def wait(self, failures: int) -> timedelta:
        """Return how long to wait after that many: it doubles with each."""
        beyond = failures - self.free
        if beyond < 0:
            return timedelta()
        return min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(beyond, 16))


def by_name(kind: str, name: str, *, free: int) -> Guard:
    return Guard(_bucket(kind, name), free)


def by_network(kind: str, address: str | None, *, free: int) -> Guard:
    """Return the guard of an address's network: /24, or /64 where everyone has one."""
    return Guard(_bucket(kind, network(address)), free)


def network(address: str | None) -> str:
    """Return the network an address counts for; the text itself if it is none."""
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return address or "nowhere"
    match parsed:
        case IPv6Address(ipv4_mapped=IPv4Address() as inner):
            return str(IPv4Network((inner, 24), strict=False))
        case IPv6Address():
            return str(IPv6Network((parsed.packed, 64), strict=False))
        case _:
            return str(IPv4Network((parsed.packed, 24), strict=False))


def charge(session: Session, guards: Sequence[Guard], *, real: datetime) -> None:
    """Count a try; raises TooManyAttempts while one of the guards has to wait.

    Commit before judging. A refused try is not counted: who waits gets in.
    """
    rows = [(guard, _locked(session, guard, real)) for guard in in_order(guards)]
    until = max((row.locked_until for _, row in rows if row.locked_until), default=real)
    if until > real:
        seconds = int((until - real) / timedelta(seconds=1)) + 1
        raise TooManyAttempts("Too many tries. Wait a little.", retry_after=seconds)
    for guard, row in rows:
        recent = real - row.last_at < FORGOTTEN
        row.failures = row.failures + 1 if recent else 1
        row.last_at = real
        wait = guard.wait(row.failures)
        row.locked_until = real + wait if wait else None


def forgive(
    session: Session, *, wholly: Sequence[Guard], once: Sequence[Guard]
) -> None:
    """Take back a try that was right: all failures of some, the last of others.

    A network is forgiven once only: signing in to an own account must not give an
    attacker new tries at others.
    """
    session.exec(
        delete(Attempts).where(
            col(Attempts.bucket).in_([guard.bucket for guard in wholly])
        )
    )
    for guard in in_order(once):
        row = session.get(Attempts, guard.bucket, with_for_update=True)
        if row is not None:
            row.failures = max(row.failures - 1, 0)
            row.locked_until = None


def in_order(guards: Sequence[Guard]) -> list[Guard]:
    """Return the guards in the order in which all callers lock them."""
    return sorted(guards, key=lambda guard: guard.bucket)


def _bucket(kind: str, name: str) -> bytes:
    return sha256(f"{kind}\0{name}".encode()).digest()


def _locked(session: Session, guard: Guard, real: datetime) -> Attempts:
    session.connection().execute(
        insert(Attempts)
        .values(bucket=guard.bucket, failures=0, last_at=real)
        .on_conflict_do_nothing()
    )
    return session.exec(
        select(Attempts).where(col(Attempts.bucket) == guard.bucket).with_for_update()
    ).one()
