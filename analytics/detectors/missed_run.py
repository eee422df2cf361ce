"""Doses missed one after the other, up to now."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from analytics.findings import Detector, DoseOutcome, Finding, History, Outcome

CODE = "doses-missed-in-a-row"
AT_LEAST = 3
LOOK_BACK = timedelta(days=30)
LATEST = timedelta(days=7)  # a run that ended in silence longer ago raises nothing
PARAMETERS = {"at_least": float(AT_LEAST), "latest_days": LATEST / timedelta(days=1)}


def detect(history: History, now: datetime) -> list[Finding]:
    """Return a finding for each regimen whose latest known doses were all missed.

    An unknown dose neither counts nor breaks a run, and how many there are is said:
    a dose taken from a silent box could have been one of them.
    """
    by_subject: dict[str, list[DoseOutcome]] = defaultdict(list)
    for dose in history.doses:
        if now - LOOK_BACK <= dose.at <= now:
            by_subject[dose.subject].append(dose)
    found = (
        _current_run(subject, sorted(doses, key=lambda dose: dose.at), now)
        for subject, doses in sorted(by_subject.items())
    )
    return [finding for finding in found if finding is not None]


def longest_run(doses: Iterable[DoseOutcome]) -> int:
    """Return the most doses of one regimen missed with none taken in between."""
    longest = length = 0
    for dose in sorted(doses, key=lambda dose: dose.at):
        if dose.outcome == Outcome.TAKEN:
            length = 0
        elif dose.outcome == Outcome.MISSED:
            length += 1
            longest = max(longest, length)
    return longest


def _current_run(
    subject: str, doses: Sequence[DoseOutcome], now: datetime
) -> Finding | None:
    taken = [dose.at for dose in doses if dose.outcome == Outcome.TAKEN]
    run = [dose for dose in doses if not taken or dose.at > taken[-1]]
    missed = [dose.at for dose in run if dose.outcome == Outcome.MISSED]
    if len(missed) < AT_LEAST or missed[-1] < now - LATEST:
        return None
    unknown = [dose.at for dose in run if dose.outcome == Outcome.UNKNOWN]
    between = sum(missed[0] < at < missed[-1] for at in unknown)
    since = sum(at > missed[-1] for at in unknown)
    words = f", {between} unknown in between" if between else ""
    return Finding(
        code=CODE,
        subject=subject,
        at=missed[-1],
        since=missed[0],
        summary=f"{len(missed)} doses missed in a row{words}",
        numbers={
            "missed": float(len(missed)),
            "unknown_between": float(between),
            "unknown_since": float(since),
            "last_taken": taken[-1].isoformat() if taken else "none in 30 days",
        },
        parameters=PARAMETERS,
    )


DETECTOR = Detector("missed_run", CODE, LOOK_BACK, detect, ("doses",))
