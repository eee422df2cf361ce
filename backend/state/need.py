"""How much a patient needs somebody to look: a sum of points, each with its reason.

The points order a list; they are no score of the patient and are never shown as one.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

ALERT_POINTS = {"high": 1000, "medium": 400, "low": 150}
LATE_POINTS = 60
MISSED_POINTS = 50  # within RECENT days, a fifth of it before
UNKNOWN_POINTS = 15
SILENT_POINTS = 80
SILENT_AFTER = timedelta(hours=48)
RUN_OUT_POINTS = ((3, 120), (7, 40))  # (days left at most, points)
RECENT = 3


@dataclass(frozen=True, slots=True)
class Facts:
    """What the list's order follows from, of one patient."""

    days: Sequence[tuple[date, Sequence[str]]]  # labels a dose-day, oldest first
    alerts: Mapping[str, int]  # open alerts by severity
    has_device: bool
    heard_until: datetime | None
    run_out_on: date | None
    today: date


def needs(facts: Facts, *, now: datetime) -> list[dict[str, object]]:
    """Return the reasons to look at this patient, heaviest first, with their points."""
    reasons = [
        *_alerts(facts.alerts),
        *_doses(facts),
        *_silence(facts, now),
        *_stock(facts),
    ]
    return [
        {"code": code, "count": count, "points": points}
        for code, count, points in sorted(reasons, key=lambda reason: -reason[2])
        if points
    ]


def _alerts(alerts: Mapping[str, int]) -> Iterable[tuple[str, int, int]]:
    for severity, count in alerts.items():
        yield f"alert_{severity}", count, ALERT_POINTS[severity] * count


def _doses(facts: Facts) -> Iterable[tuple[str, int, int]]:
    since = facts.today - timedelta(days=RECENT)
    recent, before = Counter[str](), Counter[str]()
    for day, labels in facts.days:
        (recent if day > since else before).update(labels)
    missed = recent["missed"] * MISSED_POINTS + before["missed"] * MISSED_POINTS // 5
    yield "late_now", recent["late"], recent["late"] * LATE_POINTS
    yield "missed", recent["missed"] + before["missed"], missed
    yield "unknown", recent["unknown"], recent["unknown"] * UNKNOWN_POINTS


def _silence(facts: Facts, now: datetime) -> Iterable[tuple[str, int, int]]:
    heard = facts.heard_until
    if facts.has_device and (heard is None or now - heard > SILENT_AFTER):
        yield "device_silent", 1, SILENT_POINTS


def _stock(facts: Facts) -> Iterable[tuple[str, int, int]]:
    if facts.run_out_on is None:
        return
    left = (facts.run_out_on - facts.today).days
    for at_most, points in RUN_OUT_POINTS:
        if left <= at_most:
            yield "runs_out", max(left, 0), points
            return
