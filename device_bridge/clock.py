"""Which time it is: the domain clock, and what a device's clock says beside it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from device_bridge.gatt.elapsed_time import ElapsedTime

WRONG_BY = timedelta(seconds=60)
CLOCK_STEP_S = 2.0
# By how much a sound clock may run wrong: quartz with its temperature, 8.6 s a day.
TOLERANCE = 100e-6
# What still runs; beyond it a clock does not go wrong, it was moved: 86 s a day.
FASTEST = 1000e-6


BOOT = Path("/proc/sys/kernel/random/boot_id")


def real_now() -> datetime:
    """Return the system clock's time, UTC."""
    return datetime.now(UTC)


def boot_id() -> str:
    """Return what is the same for all that runs until this machine starts again."""
    return BOOT.read_text().strip() if BOOT.exists() else uuid4().hex


def since_boot() -> timedelta:
    """Return the time since this machine started, by a clock that nobody sets."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return timedelta(seconds=time.clock_gettime(time.CLOCK_BOOTTIME))
    return timedelta(seconds=time.monotonic())


@dataclass(frozen=True, slots=True)
class DomainClock:
    """Domain time = anchor_domain + speed x (real time - anchor_real).

    Outside a demo the anchors are equal and the speed is 1: domain time is real time.
    """

    anchor_real: datetime
    anchor_domain: datetime
    speed: float = 1.0

    def at(self, real: datetime) -> datetime:
        """Return the domain time at an instant of real time."""
        return self.anchor_domain + (real - self.anchor_real) * self.speed

    def real_at(self, domain: datetime) -> datetime:
        """Return the real instant at which the domain clock shows `domain`."""
        return self.anchor_real + (domain - self.anchor_domain) / self.speed


REAL_TIME = DomainClock(
    datetime(2000, 1, 1, tzinfo=UTC), datetime(2000, 1, 1, tzinfo=UTC)
)


class Clock:
    """The domain time now, on a clock that may be replaced when the backend says so.

    `error` is how much this machine's clock is behind the backend's, seconds; it is
    corrected only when it cannot be an artefact of the measurement. Until the first
    comparison the clock is unchecked; `shift_s` is by how much domain time was behind
    until then.
    """

    def __init__(
        self,
        domain: DomainClock = REAL_TIME,
        read_real: Callable[[], datetime] = real_now,
        boot: str = "",
    ) -> None:
        self.domain = domain
        self.checked = False
        self.shift_s = 0.0
        self.boot = boot
        self.error = timedelta(0)
        self._read_real = read_real

    @property
    def own(self) -> datetime:
        """Return this machine's own real time, uncorrected."""
        return self._read_real()

    @property
    def unchecked(self) -> str | None:
        """Return the mark of what is dated now, None when it is dated right."""
        return None if self.checked else self.boot

    @property
    def real(self) -> datetime:
        """Return the real time, corrected by the backend's."""
        return self._read_real() + self.error

    @property
    def now(self) -> datetime:
        """Return the domain time now."""
        return self.domain.at(self.real)

    @property
    def speed(self) -> float:
        return self.domain.speed

    def compare(self, asked: datetime, server: datetime, answered: datetime) -> None:
        """Correct for the backend's clock if it differs by more than a second.

        `asked` and `answered` are this machine's own, uncorrected times.
        """
        half = (answered - asked) / 2
        behind = server - (asked + half)
        wrong = abs(behind) > half + timedelta(seconds=1)
        self.error = behind if wrong else timedelta(0)

    def follow(self, domain: DomainClock) -> bool:
        """Go by the backend's domain clock, after a comparison of real time.

        Returns whether this was the first time.
        """
        first = not self.checked
        if first:
            own = self._read_real()
            behind = domain.at(own + self.error) - self.domain.at(own)
            self.shift_s, self.checked = behind.total_seconds(), True
        self.domain = domain
        return first


@dataclass(frozen=True, slots=True)
class ClockReading:
    """A device's clock beside ours: device minus true time, seconds.

    `offset_s` is None when the device has no usable clock (a tick counter, no zone, or
    it says itself that it must be set).
    """

    offset_s: float | None
    uncertainty_s: float
    at: datetime
    stamp: ElapsedTime

    @property
    def wants_setting(self) -> bool:
        """Return whether the device asks to be set or is surely over a minute off."""
        if self.offset_s is None:
            return self.stamp.needs_set
        return abs(self.offset_s) - self.uncertainty_s > WRONG_BY.total_seconds()


def compare_clocks(
    stamp: ElapsedTime, before: datetime, after: datetime
) -> ClockReading:
    """Return the offset of a device whose clock was read between two own readings."""
    half = (after - before) / 2
    resolution = timedelta(microseconds=stamp.resolution.microseconds)
    uncertainty = (half + resolution / 2).total_seconds()
    face = None if stamp.needs_set else stamp.utc
    if face is None:
        return ClockReading(None, uncertainty, before + half, stamp)
    offset = (face - (before + half)).total_seconds()
    return ClockReading(offset, uncertainty, before + half, stamp)


def run_alike(earlier: ClockReading, later: ClockReading) -> bool:
    """Return whether a device's clock ran as ours did between two readings."""
    if earlier.offset_s is None or later.offset_s is None:
        return earlier.offset_s == later.offset_s
    apart = abs(later.offset_s - earlier.offset_s)
    elapsed = (later.at - earlier.at).total_seconds()
    bound = earlier.uncertainty_s + later.uncertainty_s + abs(elapsed) * FASTEST
    return apart <= bound


def true_time(stamp: ElapsedTime, offset_s: float | None) -> datetime | None:
    """Return when a stamp was made by true time, or None if that cannot be said."""
    if offset_s is None or stamp.utc is None:
        return None
    try:
        return stamp.utc - timedelta(seconds=offset_s)
    except OverflowError:
        return None
