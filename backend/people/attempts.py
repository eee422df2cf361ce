"""Guessing made slow: after a few failures a name or a network has to wait.

A try is counted before it is judged and forgiven when it was right, so that guesses
made at the same moment count as well. What is counted is forgotten at a steady rate,
all of it within a day, so that the slips of a ward do not add up. What is locked is a
name or an address whether or not anybody has it: the answer tells nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from backend.errors import TooManyRequests
from backend.people.tables import Attempts

FORGOTTEN = timedelta(hours=24)  # after which nothing of old failures counts
FIRST_WAIT = timedelta(seconds=2)
LONGEST_WAIT = timedelta(minutes=15)
MOST_BEYOND = 10  # failures beyond the free ones: the wait is the longest by then
INSTANT = timedelta(microseconds=1)


class TooManyAttempts(TooManyRequests):
    """Too many wrong tries by this name or from this network."""


@dataclass(frozen=True, slots=True)
class Guard:
    """What is counted, and how many failures are free of waiting.

    So many tries `at_once` may wait for their verdict beyond the free ones before
    others are refused unjudged.
    """

    bucket: bytes
    free: int
    at_once: int = 0

    @property
    def most(self) -> int:
        """How many failures are counted: more would only be longer remembered."""
        return self.free + MOST_BEYOND

    def wait(self, failures: int) -> timedelta:
        """Return how long to wait after that many: it doubles with each."""
        beyond = failures - self.free
        if beyond < 0:
            return timedelta()
        return min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(beyond, 16))


def by_name(kind: str, name: str, *, free: int) -> Guard:
    return Guard(_bucket(kind, name), free)


def by_network(kind: str, address: str | None, *, free: int, at_once: int = 0) -> Guard:
    """Return the guard of an address's network: /24, or /64 where everyone has one."""
    return Guard(_bucket(kind, network(address)), free, at_once)


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


def charge(
    session: Session, guards: Sequence[Guard], *, real: datetime
) -> Mapping[bytes, datetime]:
    """Count a try; raises TooManyAttempts while one of the guards has to wait.

    Commit before judging, then `forgive` or `blame`. A refused try is not counted: who
    waits gets in. Returns, by bucket, the waits that began with this try already.
    """
    rows = [(guard, _locked(session, guard, real)) for guard in in_order(guards)]
    until = max((row.locked_until for _, row in rows if row.locked_until), default=real)
    if until > real:
        seconds = int((until - real) / timedelta(seconds=1)) + 1
        raise TooManyAttempts("Too many tries. Wait a little.", retry_after=seconds)
    began: dict[bytes, datetime] = {}
    for guard, row in rows:
        _forget(guard, row, real)
        row.failures = min(row.failures + 1, guard.most)
        row.locked_until = None
        if row.failures >= guard.free + guard.at_once:
            row.locked_until = real + guard.wait(row.failures)
            began[guard.bucket] = row.locked_until
    return began


def blame(session: Session, guards: Sequence[Guard], *, real: datetime) -> None:
    """Let a wrong answer's guards wait, where that did not begin with the try."""
    for guard in in_order(guards):
        row = session.get(Attempts, guard.bucket, with_for_update=True)
        if row is not None and (wait := guard.wait(row.failures)):
            # By an instant longer than the wait of any try that may yet prove right.
            row.locked_until = max(real + wait, row.locked_until or real) + INSTANT


def forgive(
    session: Session,
    *,
    wholly: Sequence[Guard],
    once: Sequence[Guard],
    began: Mapping[bytes, datetime],
) -> None:
    """Take back a try that was right: all failures of some, the last of others.

    A network is forgiven once only, and of waits the one that `began` with this try:
    signing in to an own account must not give an attacker new tries at others.
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
            if row.locked_until == began.get(guard.bucket):
                row.locked_until = None


def in_order(guards: Sequence[Guard]) -> list[Guard]:
    """Return the guards in the order in which all callers lock them."""
    return sorted(guards, key=lambda guard: guard.bucket)


def _forget(guard: Guard, row: Attempts, real: datetime) -> None:
    """Drop the failures that are old: one in a step, so that all take FORGOTTEN."""
    step = FORGOTTEN / guard.most
    row.failures = min(row.failures, guard.most)
    old = min(row.failures, max(0, (real - row.last_at) // step))
    row.failures -= old
    row.last_at = row.last_at + old * step if row.failures else real


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
