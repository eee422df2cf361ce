"""Which doses and events compete: windows that share events, one after another.

Where windows overlap, one more event may move a whole row of doses, each to the event
that was its neighbour's. What is not linked by a shared event cannot be moved.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import RowMapping

Id = str | UUID  # an occurrence or a dose event


@dataclass(slots=True)
class _Chain:
    """Doses whose windows hold events low..high, none of which is another chain's."""

    low: int
    high: int
    doses: list[RowMapping]


def chained(
    doses: Iterable[RowMapping], events: Iterable[RowMapping], moved: Collection[Id]
) -> set[date]:
    """Return the days of all that competes with the `moved` doses and events."""
    return {
        day
        for held, seen in competing(doses, events, moved)
        for day in (
            *(row["dose_day"] for row in held),
            *(row["occurred_at"].date() for row in seen),
        )
    }


def competing(
    doses: Iterable[RowMapping], events: Iterable[RowMapping], wanted: Collection[Id]
) -> Iterator[tuple[Sequence[RowMapping], Sequence[RowMapping]]]:
    """Yield the doses and events of each chain in which one of the `wanted` is."""
    ordered = sorted(events, key=_occurred)
    for chain in _chains(doses, ordered):
        seen = ordered[chain.low : chain.high]
        links: set[Id] = {row["occurrence"] for row in chain.doses}
        links.update(row["dose_event_id"] for row in seen)
        if not links.isdisjoint(wanted):
            yield chain.doses, seen


def _chains(doses: Iterable[RowMapping], ordered: Sequence[RowMapping]) -> list[_Chain]:
    times = [row["occurred_at"] for row in ordered]
    windows = (
        (
            bisect_left(times, row["window_from"]),
            bisect_left(times, row["window_until"]),
            row,
        )
        for row in doses
    )
    chains: list[_Chain] = []
    for low, high, row in sorted(windows, key=lambda window: window[:2]):
        if low == high:
            continue
        if chains and low < chains[-1].high:
            chains[-1].high = max(chains[-1].high, high)
            chains[-1].doses.append(row)
        else:
            chains.append(_Chain(low, high, [row]))
    return chains


def _occurred(row: RowMapping) -> datetime:
    return row["occurred_at"]
