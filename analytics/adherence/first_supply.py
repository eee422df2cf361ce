"""Initiation by dispensing data: who fetched a first supply of what was prescribed.

The first phase of the ABC taxonomy, doi:10.1111/j.1365-2125.2012.04167.x; its opposite
is called primary non-adherence. Time to initiation is not measured here.
"""

from dataclasses import dataclass
from math import nan, sqrt

import numpy as np

from analytics.adherence.lengths import Days, Length

Z = 1.959963984540054  # of the normal law, two-sided 95 %


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
        share, z2 = self.value, Z**2
        middle = share + z2 / (2 * known)
        reach = Z * sqrt(share * (1 - share) / known + z2 / (4 * known**2))
        scale = 1 + z2 / known
        return max(0.0, (middle - reach) / scale), min(1.0, (middle + reach) / scale)


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
