"""Ten million events against their schedules, and one patient's year again."""

from datetime import UTC, datetime, timedelta
from time import process_time
from uuid import uuid4

import numpy as np

from analytics.confidence import confidences
from analytics.matching import default_windows, match
from analytics.matching_columns import NONE, Doses, Events, match_columns
from analytics.records import Dose, Scheduled
from analytics.simulate import Profile, behaviour

HOUR = 3_600_000_000
TEN_MILLION = 10_000_000
BOUND_S, BOUND_MS = 60.0, 5.0

Row = tuple[str, str, str, bool]


def run() -> list[Row]:
    events, doses = crowd(TEN_MILLION, reach=3)
    seconds, matched = spent(events, doses)
    wide = spent(*crowd(TEN_MILLION // 10, reach=9))[0]
    wider = spent(*crowd(TEN_MILLION // 10, reach=12))[0]
    milliseconds, sure = one_year()
    share = matched / len(doses)
    count = f"{len(events) / 1e6:.1f} million events"
    return [
        (
            f"{count}, {len(doses) / 1e6:.1f} million doses ({share:.0%} matched)",
            f"{seconds:.1f} CPU-s",
            f"< {BOUND_S:.0f} CPU-s",
            seconds < BOUND_S,
        ),
        ("a tenth of them, windows of 18 h every 12 h", f"{wide:.1f} CPU-s", "", True),
        ("a tenth of them, windows of 24 h", f"{wider:.1f} CPU-s", "", True),
        (
            "one patient's year, 730 doses, matched again",
            f"{milliseconds:.2f} ms",
            f"< {BOUND_MS:.0f} ms",
            milliseconds < BOUND_MS,
        ),
        ("  confidence of each of its events", f"{sure:.2f} ms", "", True),
    ]


def crowd(size: int, *, reach: float) -> tuple[Events, Doses]:
    """Twice daily for a year, as it arrives: by time, of all patients together.

    One dose in eight missed, one opening in ten for another reason, one in twenty-five
    an echo.
    """
    random = np.random.default_rng(1)
    people = size // 730
    due = np.tile(np.arange(730) * 12 * HOUR, people)
    who = np.repeat(np.arange(people), 730)
    took = random.random(len(due)) < 0.88
    at = (due + random.normal(0, 0.75, len(due)) * HOUR).astype(np.int64)[took]
    mine = who[took]
    stray = random.integers(0, 365 * 24 * HOUR, len(at) // 10)
    echo = random.integers(0, len(at), len(at) // 25)
    at = np.concatenate([at, stray, at[echo] + 60_000_000])
    mine = np.concatenate([mine, random.integers(0, people, len(stray)), mine[echo]])
    order = np.argsort(at)
    half = round(reach * HOUR)
    return Events(mine[order], at[order]), Doses(who, due, due - half, due + half)


def spent(events: Events, doses: Doses) -> tuple[float, int]:
    """Return CPU-seconds, sorting and labels included, and how many doses matched."""
    start = process_time()
    got = match_columns(events, doses)
    return process_time() - start, int((got.dose_event != NONE).sum())


def one_year(repeats: int = 20) -> tuple[float, float]:
    """Return milliseconds of CPU for one patient's year, and for its confidences."""
    first = datetime(2026, 1, 1, 8, tzinfo=UTC)
    due = [first + n * timedelta(hours=12) for n in range(730)]
    taken = behaviour(due, seed=3, profile=Profile(z=0.5, discontinues=False))
    random = np.random.default_rng(2)
    strays = [first + timedelta(days=d) for d in (random.random(80) * 365).tolist()]
    events = [Dose(uuid4(), at) for at in (*taken, *strays)]
    windows = zip(due, default_windows(due), strict=True)
    doses = [Scheduled(at.isoformat(), at, *window) for at, window in windows]
    got = match(events, doses)
    start = process_time()
    for _ in range(repeats):
        match(events, doses)
    matched = process_time()
    for _ in range(repeats):
        confidences(events, doses, got)
    ended = process_time()
    each = 1000 / repeats
    return (matched - start) * each, (ended - matched) * each
