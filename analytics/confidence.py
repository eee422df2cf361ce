"""How sure the label of each event is, between 0 and 1.

A label of `matching` is the best explanation; this says how much better it is. Each
order-preserving match of events to doses weighs the product of its odds: how likely
that opening is a dose so far from due, against an opening for any other reason. The
confidence is the share of all weight in which the event keeps its label. The model's
numbers are assumptions, come back with nothing fitted, and can be set for a cohort.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import exp, log

from analytics.exclusion import primed
from analytics.labels import DEBOUNCE, EventLabel, Override, PrimeRule
from analytics.matching import Matching, in_order
from analytics.optimum import Slot, components, slot
from analytics.records import Dose, DoseId, EventId, Scheduled, microseconds

HOUR = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Timing:
    """When doses are taken, and how often a lid is opened for another reason.

    Doses lie about their due time as a Laplace distribution of this `scale`, which is
    what makes the least sum of |dt| the likeliest; `omitted` of them are not taken.
    Other openings come at `strays_a_day`, at any time.
    """

    scale: timedelta = timedelta(minutes=45)
    strays_a_day: float = 0.5
    omitted: float = 0.1

    def odds(self, at: int, due: int | None, window: int) -> float:
        """Return the odds of being that dose; times and window are microseconds."""
        if due is None:
            density = HOUR / window
        else:
            scale = self.scale / timedelta(hours=1)
            density = exp(-abs(at - due) / HOUR / scale) / (2 * scale)
        return (1 - self.omitted) / self.omitted * density / (self.strays_a_day / 24)


TYPICAL = Timing()


def confidences(
    events: Iterable[Dose[EventId]],
    scheduled: Iterable[Scheduled[DoseId]],
    matching: Matching[EventId, DoseId],
    *,
    timing: Timing = TYPICAL,
    debounce: timedelta = DEBOUNCE,
    prime: PrimeRule | None = None,
    overrides: Iterable[Override[EventId]] = (),
) -> Mapping[EventId, float]:
    """Return the confidence in each event's label of `matching`.

    What a device or a person said is 1: it is repeated, not inferred. A prime by rule
    is the surer the smaller it is beside the dose: the dose's share of both. A
    duplicate falls from 1, at once, to a half at the end of the debounce, and is a half
    beyond. The others by the odds. Order of arrival has no influence.
    """
    ordered = in_order(events, overrides)
    labels = matching.events
    rivals = [e for e in ordered if labels[e.id] not in _APART]
    taken = _taken(rivals, sorted(scheduled, key=_by_time), timing)
    sure = {
        event.id: share if _is_dose(labels[event.id], event) else 1 - share
        for event, share in zip(rivals, taken, strict=True)
    }
    spare = [e for e in ordered if labels[e.id] == EventLabel.DUPLICATE]
    sure |= {event.id: _echo(event, rivals, debounce) for event in spare}
    if prime is not None:
        small = primed(ordered, prime)
        sure |= {key: 1 - float(small[key]) for key in small if key not in sure}
    said = {event.id: 1.0 for event in ordered if event.label is not None}
    return {event.id: said.get(event.id, sure.get(event.id, 1.0)) for event in ordered}


_APART = frozenset(
    (EventLabel.PRIME, EventLabel.REFILL, EventLabel.CURIOSITY, EventLabel.DUPLICATE)
)


def _is_dose(label: EventLabel, event: Dose[EventId]) -> bool:
    return label == EventLabel.THERAPEUTIC or event.label == EventLabel.POCKET


def _by_time(dose: Scheduled[DoseId]) -> tuple[int, int, str]:
    due = dose.due_at or dose.window_from
    return microseconds(due), microseconds(dose.window_until), str(dose.id)


def _echo(
    event: Dose[EventId], rivals: Sequence[Dose[EventId]], debounce: timedelta
) -> float:
    place = bisect_left(rivals, event.at, key=lambda other: other.at)
    near = rivals[max(0, place - 1) : place + 1]
    apart = min((abs(event.at - other.at) for other in near), default=debounce)
    return 1 - min(1.0, apart / debounce) / 2 if debounce else 1.0


def _taken(
    events: Sequence[Dose[EventId]],
    doses: Sequence[Scheduled[DoseId]],
    timing: Timing,
) -> list[float]:
    """Return for each event the probability that it was a dose, any dose."""
    times = [microseconds(event.at) for event in events]
    slots = [slot(dose, times) for dose in doses]
    sizes = [(dose.window_until - dose.window_from) for dose in doses]
    share = [0.0] * len(events)
    for places in components(slots):
        part = [slots[place] for place in places]
        odds = [
            [
                timing.odds(at, each.due, _microseconds(sizes[place]))
                for at in times[each.low : each.high]
            ]
            for place, each in zip(places, part, strict=True)
        ]
        low = min(each.low for each in part)
        for n, mass in enumerate(posterior(part, odds, low)):
            share[low + n] += mass
    return share


def posterior(
    slots: Sequence[Slot], odds: Sequence[Sequence[float]], low: int
) -> list[float]:
    """Return the probability of being matched of each event from `low` on.

    Forward and backward sums over all order-preserving matches, rows scaled to stay
    within range. O(doses · events) of one component.
    """
    if len(slots) == 1:
        total = 1 + sum(odds[0])
        return [odd / total for odd in odds[0]]
    count = max(each.high for each in slots) - low
    ahead, ahead_log = _sums(slots, odds, low, count)
    # the same from behind: doses and events reversed
    mirrored = [
        Slot(each.due, count - (each.high - low), count - (each.low - low))
        for each in reversed(slots)
    ]
    behind, behind_log = _sums(
        mirrored, [row[::-1] for row in reversed(odds)], 0, count
    )
    total, total_log = ahead[-1][count], ahead_log[-1]
    share = [0.0] * count
    for j, each in enumerate(slots):
        rest = len(slots) - 1 - j
        scale = exp(ahead_log[j] + behind_log[rest] - total_log) / total
        for n, odd in enumerate(odds[j]):
            i = each.low - low + n
            share[i] += ahead[j][i] * odd * behind[rest][count - 1 - i] * scale
    return [min(1.0, mass) for mass in share]


def _sums(
    slots: Sequence[Slot], odds: Sequence[Sequence[float]], low: int, count: int
) -> tuple[list[list[float]], list[float]]:
    """Return rows[j][i], the weight of all matches of the first j slots and i events.

    Each row is divided by its last cell; the logarithm of what was taken out is beside.
    """
    rows, taken_out = [[1.0] * (count + 1)], [0.0]
    for each, odd in zip(slots, odds, strict=True):
        before, row, matched = rows[-1], [1.0] * (count + 1), 0.0
        for i in range(count + 1):
            n = i - 1 - (each.low - low)
            if 0 <= n < len(odd):
                matched += odd[n] * before[i - 1]
            row[i] = before[i] + matched
        largest = row[-1]
        rows.append([cell / largest for cell in row])
        taken_out.append(taken_out[-1] + log(largest))
    return rows, taken_out


def _microseconds(length: timedelta) -> int:
    return length // timedelta(microseconds=1)
