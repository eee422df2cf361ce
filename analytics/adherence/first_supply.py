"""Initiation by dispensing data: who fetched a first supply of what was prescribed.

The first phase of the ABC taxonomy, doi:10.1111/j.1365-2125.2012.04167.x; its opposite
is called primary non-adherence.
"""

from dataclasses import dataclass
from math import nan

import numpy as np

from analytics.adherence.dispensing import Index
from analytics.adherence.lengths import Days, Length
from analytics.adherence.measure import wilson


@dataclass(frozen=True, slots=True)
class Initiation:
    """The share of new patients supplied `within` that time of their prescription.

    `value` = `initiated` / (`initiated` + `not_initiated`), NaN if there is nobody,
    with Wilson's 95 % interval. `unknown` are those who were not observed long enough,
    and those supplied before, who are not new.
    """

    within: Length
    initiated: int
    not_initiated: int
    unknown: int

    @property
    def value(self) -> float:
        known = self.initiated + self.not_initiated
        return self.initiated / known if known else nan

    @property
    def interval(self) -> tuple[float, float]:
        known = self.initiated + self.not_initiated
        if not known:
            return nan, nan
        found = wilson(self.value, known)
        return found.low, found.high


def initiation(
    prescribed: Days, first_supply: Days, observed_until: Days, *, within: Length
) -> Initiation:
    """Return how many patients fetched a first supply in time, by days of each.

    `first_supply` is NaN for a patient who fetched none until `observed_until`. Who is
    without supply at the end of a shorter observation than `within` is unknown. Raises
    ValueError where the lengths differ.
    """
    if not len(prescribed) == len(first_supply) == len(observed_until):
        raise ValueError("want one day of each kind a patient")
    limit = within.after(prescribed)
    before = first_supply < prescribed
    in_time = ~before & (first_supply <= np.minimum(limit, observed_until))
    seen = ~before & ~in_time & ((first_supply > limit) | (observed_until >= limit))
    unknown = len(prescribed) - int(in_time.sum()) - int(seen.sum())
    return Initiation(within, int(in_time.sum()), int(seen.sum()), unknown)


def first_supplies(
    prescribed: Index, prescribed_on: Days, supplied: Index, supplied_on: Days
) -> Days:
    """Return the day of the first supply on or after each prescription, NaN if none.

    `prescribed` and `supplied` number what must be the same: a patient's medicine.
    Days are whole. So defines AdhereR 0.8.1 its time to initiation; a supply may answer
    several prescriptions. O((n + m) log m).
    """
    if not len(supplied) or not len(prescribed):
        return np.full(len(prescribed), nan)
    begin = min(supplied_on.min(), prescribed_on.min())
    span = int(max(supplied_on.max(), prescribed_on.max()) - begin) + 1

    def place(whose: Index, day: Days) -> Index:
        return whose * span + (day - begin).astype(np.int64)

    order = np.argsort(place(supplied, supplied_on), kind="stable")
    places = place(supplied, supplied_on)[order]
    at = np.searchsorted(places, place(prescribed, prescribed_on))
    next_one = order[np.minimum(at, len(order) - 1)]
    same = (at < len(order)) & (supplied[next_one] == prescribed)
    return np.where(same, supplied_on[next_one], nan)
