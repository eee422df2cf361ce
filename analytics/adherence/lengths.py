"""Lengths of time as studies state them: days, weeks, calendar months and years."""

import re
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Days = NDArray[np.float64]  # day numbers, 1970-01-01 is 0, or counts of days

LONGEST = 100_000  # days, months or years: beyond any study, within datetime64


class Unit(StrEnum):
    """Units of length; a percent is one of something else, as of a supply."""

    DAYS = "days"
    WEEKS = "weeks"
    MONTHS = "months"
    YEARS = "years"
    PERCENT = "percent"


FIXED = {Unit.DAYS: 1, Unit.WEEKS: 7, Unit.MONTHS: 30, Unit.YEARS: 365}
WRITTEN = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:\s*([a-z]+|%))?", re.IGNORECASE)
WORDS = {
    "": Unit.DAYS,
    "%": Unit.PERCENT,
    **{unit.value: unit for unit in Unit},
    **{unit.value.removesuffix("s"): unit for unit in Unit},
}


@dataclass(frozen=True, slots=True)
class Length:
    """So many days, weeks, months, years, or percent."""

    amount: float
    unit: Unit = Unit.DAYS

    def __post_init__(self) -> None:
        if not abs(self.amount) <= LONGEST:
            raise ValueError(f"{self} is out of range: at most {LONGEST} {self.unit}")

    def __str__(self) -> str:
        return f"{self.amount:.15g} {self.unit}"

    @classmethod
    def parse(cls, text: str) -> "Length":
        """Return what is written: "90", "3 months", "1 year", "50 percent".

        Raises ValueError with what is wanted instead.
        """
        found = WRITTEN.fullmatch(text.strip())
        unit = WORDS.get((found[2] or "").lower()) if found else None
        if found is None or unit is None:
            raise ValueError(
                f"{text!r} is no length: write a number of days, "
                'or "n days|weeks|months|years"'
            )
        return cls(float(found[1]), unit)

    def after(self, day: Days) -> Days:
        """Return the days so long after each of `day` (before, if negative).

        Days and weeks are rounded to whole days, months and years to whole ones, half
        to even. Months and years follow the calendar, and a date that does not exist
        (31 January + 1 month) is the first of the next month, as in lubridate's
        `add_with_rollback(roll_to_first = TRUE)`. Raises ValueError for a percent.
        """
        if self.unit in (Unit.DAYS, Unit.WEEKS):
            return day + round(self.amount * FIXED[self.unit])
        if self.unit is Unit.PERCENT:
            raise ValueError(f"{self} is no length of time")
        months = round(self.amount) * (12 if self.unit is Unit.YEARS else 1)
        dates = day.astype(np.int64).astype("datetime64[D]")
        month = dates.astype("datetime64[M]")
        place = dates - month.astype("datetime64[D]")
        target = (month + months).astype("datetime64[D]")
        following = (month + months + 1).astype("datetime64[D]")
        return np.minimum(target + place, following).astype(np.int64).astype(np.float64)

    def days(self) -> float:
        """Return the length in days where the calendar plays no part.

        A month is 30 days and a year 365, as for windows that slide and for
        permissible gaps. Raises ValueError for a percent.
        """
        if self.unit is Unit.PERCENT:
            raise ValueError(f"{self} is no length of time")
        return self.amount * FIXED[self.unit]
