"""When each rung of a ladder goes: a function of the dose and what is known of it.

Planning again gives the same instants, so that a snooze or quiet hours survive it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from backend.reminders.ladder import MINUTE, Step
from backend.reminders.quiet import Quiet

NONE = timedelta(0)
AGAIN = "again"
BEFORE_THE_END = 10 * MINUTE
AT_THE_DOSE = 15 * MINUTE  # so long a word that goes with the dose is not late
SOON_AFTER = 5 * MINUTE  # no habit brings a late dose's reminder nearer to the dose


@dataclass(frozen=True, slots=True)
class Hold:
    """The patient asked at `said_at` to be left alone until `until`."""

    said_at: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Due:
    """A dose as far as reminders care; `shift` moves what the patient is told."""

    at: datetime
    window_until: datetime
    holds: tuple[Hold, ...] = ()
    quiet: Quiet | None = None
    shift: timedelta = NONE


@dataclass(frozen=True, slots=True)
class Rung:
    """A step at its instant, and until when it may still go.

    `moved` says why it does not go when its ladder says so. `silent` is why it does
    not go at all: it is kept, so that one can read that it did not.
    """

    step: Step
    at: datetime
    valid_until: datetime
    moved: str | None = None
    silent: str | None = None


def rungs(steps: Sequence[Step], dose: Due) -> list[Rung]:
    """Return every rung of a dose, in the order in which they are climbed.

    None lies beyond the window; those whose delay does not fit share what is left of
    it. A hold moves what lies after it by its length and adds one more word to the
    patient at its end. What falls into quiet hours goes at their end, and those that
    follow keep their distance, or is silent when the window has closed by then.
    """
    placed = _placed(steps, dose)
    for number, hold in enumerate(dose.holds, 1):
        placed = _held(placed, dose, hold, number)
    return _ordered(_heeded(_alive(placed, dose), dose))


def place(
    delays: Sequence[timedelta], window: timedelta, *, after: timedelta = NONE
) -> list[timedelta]:
    """Return ascending delays within a window: what does not fit shares the rest.

    None of that goes before `after`. A single delay that is as long as the window or
    longer becomes half of it.
    """
    fitting = [delay for delay in delays if delay < window]
    rest = len(delays) - len(fitting)
    last = max([after, *fitting])
    gap = (window - last) / (rest + 1)
    return fitting + [last + gap * number for number in range(1, rest + 1)]


def snooze_until(now: datetime, minutes: int, window_until: datetime) -> datetime:
    """Return until when a snooze holds: inside the window; `now` when it cannot."""
    latest = window_until - BEFORE_THE_END
    return max(now, min(now + minutes * MINUTE, latest))


@dataclass(frozen=True, slots=True)
class _Placed:
    step: Step
    delay: timedelta
    moved: str | None = None


def _placed(steps: Sequence[Step], dose: Due) -> list[_Placed]:
    """Place the steps; where the window closes with the dose only nudges are left."""
    window = dose.window_until - dose.at
    kept = [step for step in steps if step.delay <= NONE or window > NONE]
    told = [_shifted(step, dose.shift) for step in kept]
    delays = place(_ascending(told), window) if window > NONE else told
    moved = "habit" if dose.shift else None
    return [
        _Placed(step, delay, moved if step.recipient == "patient" else None)
        for step, delay in zip(kept, delays, strict=True)
    ]


def _shifted(step: Step, by: timedelta) -> timedelta:
    """Return the delay by habit: what goes before the dose stays before it."""
    if step.recipient != "patient":
        return step.delay
    if step.delay <= NONE:
        return min(step.delay + by, -MINUTE if step.delay else NONE)
    return max(step.delay + by, min(step.delay, SOON_AFTER))


def _held(
    placed: Sequence[_Placed], dose: Due, hold: Hold, number: int
) -> list[_Placed]:
    window = dose.window_until - dose.at
    said, until = hold.said_at - dose.at, hold.until - dose.at
    before = [one for one in placed if one.delay <= said]
    after = [
        one
        for one in placed
        if one.delay > said and not one.step.rung.startswith(AGAIN)
    ]
    delays = place([one.delay + (until - said) for one in after], window, after=until)
    held = [
        replace(one, delay=delay, moved="snoozed")
        for one, delay in zip(after, delays, strict=True)
    ]
    again = Step(f"{AGAIN}-{number}", until, _by(placed), "patient")
    return [*before, _Placed(again, until, "snoozed"), *held]


def _by(placed: Sequence[_Placed]) -> str:
    """Return how the patient is written to: a call they put off comes as text."""
    written = (
        one.step.channel
        for one in placed
        if one.step.recipient == "patient" and one.step.channel != "voice"
    )
    return next(written, "sms")


def _alive(placed: Sequence[_Placed], dose: Due) -> list[Rung]:
    """Give each its instant, and the end beyond which it makes no sense."""
    return [
        Rung(
            one.step,
            dose.at + one.delay,
            _dies(one.delay, dose),
            one.moved,
        )
        for one in placed
    ]


def _dies(delay: timedelta, dose: Due) -> datetime:
    """Return when a rung makes no sense any more: a nudge, when the dose is due."""
    if delay > NONE:
        return dose.window_until
    if delay < NONE:
        return dose.at
    return min(dose.window_until, dose.at + AT_THE_DOSE)


def _heeded(climbed: Iterable[Rung], dose: Due) -> list[Rung]:
    if dose.quiet is None:
        return list(climbed)
    heeded: list[Rung] = []
    first: dict[datetime, datetime] = {}  # of those that wait, by what they wait for
    for rung in climbed:
        if rung.step.recipient == "clinic" or rung.step.rung.startswith(AGAIN):
            heeded.append(rung)  # a list does not ring, and a snooze was asked for
            continue
        span = dose.quiet.span_at(rung.at)
        if span is None:
            heeded.append(_until_quiet(rung, dose.quiet))
            continue
        _, ends = span
        after = ends + (rung.at - first.get(ends, rung.at))
        waiting = _waiting(rung, _not_held(after, dose.holds[-1:]))
        if waiting.silent is None:
            first.setdefault(ends, rung.at)
            waiting = _until_quiet(waiting, dose.quiet)
        heeded.append(waiting)
    return heeded


def _not_held(at: datetime, holds: Sequence[Hold]) -> datetime:
    """Return an instant, or the end of the hold in which it lies."""
    return max([at, *(hold.until for hold in holds if hold.said_at < at < hold.until)])


def _until_quiet(rung: Rung, quiet: Quiet) -> Rung:
    return replace(rung, valid_until=min(rung.valid_until, quiet.next_start(rung.at)))


def _waiting(rung: Rung, at: datetime) -> Rung:
    if at >= rung.valid_until:
        return replace(rung, silent="quiet hours")
    return replace(rung, at=at, moved="quiet hours")


def _ordered(climbed: Sequence[Rung]) -> list[Rung]:
    """Let no rung go before one below it that waited, unless it would be lost so."""
    ordered: list[Rung] = []
    lowest: datetime | None = None
    for rung in climbed:
        at = rung.at if lowest is None else max(rung.at, lowest)
        if rung.silent is None and at < rung.valid_until:
            rung = replace(rung, at=at)
            lowest = at
        ordered.append(rung)
    return ordered


def _ascending(delays: Iterable[timedelta]) -> list[timedelta]:
    ascending: list[timedelta] = []
    for delay in delays:
        ascending.append(max([delay, *ascending[-1:]]))
    return ascending
