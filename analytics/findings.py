"""What detectors read, and what they say."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum

from analytics.records import Period, Series

HEART_RATE = "8867-4"  # LOINC, /min


class Outcome(StrEnum):
    """What became of a scheduled dose, as far as detectors care."""

    TAKEN = "taken"
    MISSED = "missed"
    UNKNOWN = "unknown"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class DoseOutcome:
    """One scheduled dose; `subject` names its regimen, `at` is due or window's end."""

    subject: str
    at: datetime
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Contact:
    """When a device was last heard; `every` is how often it is expected to be heard.

    `undated` counts the records without a time that came last, from `undated_since` on.
    """

    subject: str
    since: datetime  # assigned, or put to use
    heard_until: datetime | None
    every: timedelta = timedelta(hours=1)
    undated: int = 0
    undated_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class History:
    """One patient's recent past, as much of it as the detector's look_back asks for.

    `series` may hold medians of five minutes where samples are closer than that.
    """

    series: Mapping[str, Series] = field(default_factory=dict[str, Series])
    doses: Sequence[DoseOutcome] = ()
    contacts: Sequence[Contact] = ()
    non_monitored: Sequence[Period] = ()
    zone: tzinfo = UTC


@dataclass(frozen=True, slots=True)
class Finding:
    """What a detector saw in one patient, with the numbers that decided.

    (code, subject) names the condition: repeats of it update one alert. `at` is the
    moment of the newest fact, `since` that of the first one.
    """

    code: str
    subject: str
    at: datetime
    since: datetime
    summary: str
    numbers: Mapping[str, float | str]
    parameters: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Detector:
    """A rule: `detect` returns what is true at `now`, nothing while it is not.

    `reads` names what of the history it needs: doses, contacts, or LOINC codes.
    """

    name: str
    code: str
    look_back: timedelta
    detect: Callable[[History, datetime], list[Finding]]
    reads: tuple[str, ...] = ()
