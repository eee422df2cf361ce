"""The frozen values that the functions of this package take."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

EventId = TypeVar("EventId", bound=Hashable)
DoseId = TypeVar("DoseId", bound=Hashable)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Evidence(StrEnum):
    """How sure we are; an opening is not an ingestion."""

    CONTAINER_OPENED = "container_opened"
    DOSE_DELIVERED = "dose_delivered"
    SELF_REPORTED = "self_reported"


@dataclass(frozen=True, slots=True)
class Dose(Generic[EventId]):
    """One dose event; `amount` is None for an opening, `unit` is UCUM.

    `label` is the device's word (prime, no_measurement), a person's (refill,
    curiosity), or None.
    """

    id: EventId
    at: datetime
    evidence: Evidence = Evidence.CONTAINER_OPENED
    amount: Decimal | None = None
    unit: str | None = None
    compartment: int | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Scheduled(Generic[DoseId]):
    """One scheduled dose with its window, half-open: window_from <= at < window_until.

    `due_at` is None for one of n doses a dose-day without times; its window is then
    the whole dose-day and it can be taken or missed, never early or late.
    """

    id: DoseId
    due_at: datetime | None
    window_from: datetime
    window_until: datetime


@dataclass(frozen=True, slots=True)
class Period:
    """A span of time, half-open: start <= t < until; `until` None is without end."""

    start: datetime
    until: datetime | None = None

    def overlaps(self, start: datetime, until: datetime) -> bool:
        """Return whether any instant of start <= t < until lies in this period."""
        return self.start < until and (self.until is None or start < self.until)


@dataclass(frozen=True, slots=True)
class Series:
    """Samples of one code: `times` in microseconds since 1970 UTC, ascending."""

    times: NDArray[np.int64]
    values: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.times.shape != self.values.shape or self.times.ndim != 1:
            raise ValueError(
                f"want one time a value, got {self.times.shape} {self.values.shape}"
            )

    @classmethod
    def of(cls, samples: Iterable[tuple[datetime, float]]) -> "Series":
        """Return the samples as arrays, in order of time."""
        rows = sorted((microseconds(at), float(value)) for at, value in samples)
        return cls(
            np.array([at for at, _ in rows], dtype=np.int64),
            np.array([value for _, value in rows], dtype=np.float64),
        )

    def between(self, start: datetime, until: datetime) -> "Series":
        """Return the samples of start <= t < until."""
        at: NDArray[Any] = np.array([microseconds(start), microseconds(until)])
        low, high = np.searchsorted(self.times, at)
        return Series(self.times[low:high], self.values[low:high])


def microseconds(at: datetime) -> int:
    """Return microseconds since 1970-01-01 UTC, exactly. Raises TypeError if naive."""
    return (at - EPOCH) // MICROSECOND


def instant(at: int) -> datetime:
    """Return the aware UTC moment of so many microseconds since 1970."""
    return EPOCH + timedelta(microseconds=at)
