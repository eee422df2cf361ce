"""Named days on which clocks jump, against instants worked out from law and rule."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path

import pytest

from backend.regimens.expand import occurrences
from backend.regimens.timing import ClockTimes
from backend.regimens.zones import zone_named

TABLE = Path(__file__).parent / "dst" / "wall.txt"


@dataclass(frozen=True)
class Case:
    zone: str
    day: date
    times: tuple[time, ...]
    due: list[datetime]
    source: str


def read_case(line: str) -> Case:
    zone, day, times, due, source = (part.strip() for part in line.split(" | "))
    instants = [] if due == "none" else due.split()
    return Case(
        zone,
        date.fromisoformat(day),
        tuple(time.fromisoformat(each) for each in times.split()),
        [datetime.fromisoformat(each).astimezone(UTC) for each in instants],
        source,
    )


CASES = [
    read_case(line)
    for line in TABLE.read_text("utf-8").splitlines()
    if line and not line.startswith("#")
]


@pytest.mark.parametrize(
    "case", CASES, ids=[f"{case.zone}-{case.day}-{case.times[0]}" for case in CASES]
)
def test_a_wall_dose_is_due_at_the_instant_the_law_gives(case: Case) -> None:
    due = occurrences(
        ClockTimes(case.times),
        zone=zone_named(case.zone),
        first=case.day,
        last=case.day,
    )

    assert [one.due_at for one in due] == case.due, case.source


def test_the_table_names_enough_cases_and_where_each_comes_from() -> None:
    outside = [one for one in CASES if not one.source.startswith(("tzdb ", "UTC"))]

    assert len(CASES) >= 100
    assert len(outside) >= 60
    assert all(case.source for case in CASES)
