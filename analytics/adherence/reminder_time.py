"""By how much a reminder, not the dose, may follow a person's measured habit.

The rule is ours: the offset is the median of taken minus due, over doses of one time of
day, so that nearly half of them may be odd before it follows. It is followed only when
it is a habit, that is when the middle half of the offsets lies close together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

MOST_A_DAY = timedelta(minutes=15)
AT_LEAST = 7  # doses, before there is a habit to speak of
STEADY = timedelta(hours=1)  # the middle half of the offsets lies within this
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Move:
    """Where a reminder's shift goes next, and what decided.

    `habit` and `spread` are None where there are too few doses to tell.
    """

    shift: timedelta
    habit: timedelta | None
    spread: timedelta | None
    doses: int


def next_shift(
    offsets: Sequence[timedelta],
    *,
    current: timedelta,
    earliest: timedelta,
    latest: timedelta,
) -> Move:
    """Return the shift of a reminder for the coming day, in whole minutes.

    `offsets` are taken minus due of the latest doses, `current` is today's shift. It
    moves towards the habit by at most 15 minutes and never beyond `earliest` and
    `latest`; without a habit it stays. Raises ValueError when `earliest` > `latest`.
    """
    if earliest > latest:
        raise ValueError(f"want earliest before latest, got {earliest} and {latest}")
    within = min(max(current, earliest), latest)
    if len(offsets) < AT_LEAST:
        return Move(within, None, None, len(offsets))
    seconds = np.array([offset.total_seconds() for offset in offsets])
    low, middle, high = (float(at) for at in np.quantile(seconds, (0.25, 0.5, 0.75)))
    habit, spread = timedelta(seconds=middle), timedelta(seconds=high - low)
    if spread > STEADY:
        return Move(within, habit, spread, len(offsets))
    wanted = min(max(round(habit / MINUTE) * MINUTE, earliest), latest)
    step = min(max(wanted - within, -MOST_A_DAY), MOST_A_DAY)
    return Move(within + step, habit, spread, len(offsets))
