"""Domain time and real time.

Domain time (doses, reminders, jobs) runs on one clock that all processes read from one
row. Leases, time-outs, sign-in, tokens and audit use real time.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import CheckConstraint
from sqlmodel import Field, Session

from backend.database import transaction
from backend.database.columns import Row, instant
from backend.errors import Conflict

KEPT_FOR = 1.0  # seconds for which a process may use the row it has read
FASTEST = 10_000.0


class NotADemo(Conflict):
    """Only a demo's clock may run at another speed or stand at another time."""


@dataclass(frozen=True, slots=True)
class DomainClock:
    """Domain time = anchor_domain + speed x (real time - anchor_real)."""

    anchor_real: datetime
    anchor_domain: datetime
    speed: float

    def at(self, real: datetime) -> datetime:
        """Return the domain time at an instant of real time."""
        return self.anchor_domain + (real - self.anchor_real) * self.speed

    def real_at(self, domain: datetime) -> datetime:
        """Return the real instant at which the domain clock shows `domain`."""
        return self.anchor_real + (domain - self.anchor_domain) / self.speed

    def at_speed(self, speed: float, *, real: datetime) -> "DomainClock":
        """Return a clock that shows the same now and runs at `speed` from here on."""
        return DomainClock(real, self.at(real), speed)


class DomainClockAnchor(Row, table=True):
    """The one row. The database itself refuses to run a real clinic at speed."""

    __table_args__ = (
        CheckConstraint("single", name="one_row"),
        CheckConstraint("speed > 0", name="forward"),
        CheckConstraint(
            "demo OR (speed = 1 AND anchor_domain = anchor_real)", name="real_or_demo"
        ),
    )

    single: bool = Field(default=True, primary_key=True)
    anchor_real: datetime = instant()
    anchor_domain: datetime = instant()
    speed: float = 1.0
    demo: bool = False

    def clock(self) -> DomainClock:
        return DomainClock(self.anchor_real, self.anchor_domain, self.speed)


def real_now() -> datetime:
    return datetime.now(UTC)


def domain_now() -> datetime:
    """Return domain time; reads the row at most once a second and process."""
    return domain_clock().at(real_now())


def domain_clock() -> DomainClock:
    """Return the clock that all processes share, at most a second old."""
    known = _Kept.clock
    if known is not None and time.monotonic() - _Kept.read_at < KEPT_FOR:
        return known
    with transaction() as session:
        clock = _row(session).clock()
    _Kept.clock, _Kept.read_at = clock, time.monotonic()
    return clock


def start_demo(session: Session, *, speed: float, real: datetime) -> DomainClock:
    """Mark the database as a demo's and return its clock, going on from where it was.

    Raises Conflict when the speed is outside 0 < speed <= 10,000.
    """
    row = _row(session, lock=True)
    row.demo = True
    return _move(session, row, row.clock().at_speed(_checked(speed), real=real))


def set_clock(session: Session, clock: DomainClock) -> DomainClock:
    """Set a demo's clock to any time and speed; raises NotADemo otherwise."""
    row = _row(session, lock=True)
    _checked(clock.speed)
    if not row.demo:
        raise NotADemo("This database is not a demo: its clock is the real one.")
    return _move(session, row, clock)


def is_demo(session: Session) -> bool:
    return _row(session).demo


def forget_clock() -> None:
    """Make the next look at domain time read the row."""
    _Kept.clock = None


class _Kept:
    clock: DomainClock | None = None
    read_at: float = 0.0


def _row(session: Session, *, lock: bool = False) -> DomainClockAnchor:
    return session.get_one(DomainClockAnchor, True, with_for_update=lock)


def _move(session: Session, row: DomainClockAnchor, clock: DomainClock) -> DomainClock:
    row.anchor_real, row.anchor_domain = clock.anchor_real, clock.anchor_domain
    row.speed = clock.speed
    session.flush()
    return clock


def _checked(speed: float) -> float:
    if not 0 < speed <= FASTEST:
        raise Conflict(f"A clock runs at 0 < speed <= {FASTEST:,.0f}.", speed=speed)
    return speed
