from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from analytics.adherence.dose_days import (
    Day,
    DayPeriod,
    PatientDay,
    RegimenPeriod,
    dose_day,
    implementation_by_day,
    implementation_by_patient,
)
from analytics.adherence.electronic_monitoring import implementation
from tests.analytics.golden import rows

MON = date(2026, 3, 2)
ZURICH = ZoneInfo("Europe/Zurich")


def day(n: int) -> date:
    return MON + timedelta(days=n)


def a_day(n: int, taken: int, expected: int | None = 1, *, unseen: bool = False) -> Day:
    done = None if unseen or not expected else taken >= expected
    return Day(day(n), taken, 0, taken, expected, unseen, done)


@pytest.mark.parametrize(
    ("at", "zone", "expected"),
    [
        (datetime(2026, 3, 3, 2, 59), None, MON),  # noqa: DTZ001 local by contract
        (datetime(2026, 3, 3, 3, 0), None, day(1)),  # noqa: DTZ001
        (datetime(2026, 3, 3, 1, 59, tzinfo=UTC), ZURICH, MON),
        (datetime(2026, 3, 3, 2, 0, tzinfo=UTC), ZURICH, day(1)),
        # the night the clocks go forward: 01:00 UTC is 03:00 local
        (datetime(2026, 3, 29, 1, 0, tzinfo=UTC), ZURICH, date(2026, 3, 29)),
        (datetime(2026, 3, 29, 0, 59, tzinfo=UTC), ZURICH, date(2026, 3, 28)),
    ],
)
def test_the_dose_day_runs_from_three_to_three_local(
    at: datetime, zone: ZoneInfo | None, expected: date
) -> None:
    assert dose_day(at, zone) == expected


def test_an_aware_opening_needs_a_zone() -> None:
    with pytest.raises(ValueError, match="need a zone"):
        dose_day(datetime(2026, 3, 3, tzinfo=UTC))


def test_cycles_are_counted_from_the_first_day_of_their_period() -> None:
    regimen = [RegimenPeriod(day(0), day(9), 2, on=3, off=2)]

    got = implementation_by_day([], regimen, first_day=day(0), last_day=day(10))

    assert [d.expected for d in got] == [2, 2, 2, 0, 0, 2, 2, 2, 0, 0, None]


def test_a_day_without_a_dose_counts_only_by_the_rule_of_cleanadh() -> None:
    regimen = [RegimenPeriod(day(0), day(1), 0), RegimenPeriod(day(2), day(2), 1)]

    def shares(rule: str) -> tuple[float, float]:
        table = implementation_by_day(
            [], regimen, first_day=day(0), last_day=day(2), rule=rule
        )
        got = implementation(table)
        return got.numerator, got.denominator

    assert shares("doseloop") == (0, 1)
    assert shares("cleanadh") == (2, 3)


def test_a_correction_adds_and_a_non_monitored_day_is_unknown() -> None:
    got = implementation_by_day(
        [datetime(2026, 3, 2, 8, tzinfo=UTC), datetime(2026, 3, 3, 8, tzinfo=UTC)],
        [RegimenPeriod(day(0), day(9), 1)],
        added=[(day(0), -1), (day(2), 1), (day(2), 1)],
        non_monitored=[DayPeriod(day(1), day(1))],
        zone=UTC,
        first_day=day(0),
        last_day=day(2),
    )

    assert [(d.recorded, d.added, d.corrected, d.implemented) for d in got] == [
        (1, -1, 0, False),
        (1, 0, 1, None),
        (0, 2, 2, True),
    ]


def test_a_patients_day_is_implemented_when_all_monitors_are() -> None:
    one = [a_day(0, 1), a_day(1, 0), a_day(2, 1), a_day(3, 1), a_day(4, 1)]
    other = [a_day(1, 1), a_day(2, 1, unseen=True), a_day(3, 0, 0), a_day(4, 2, None)]

    assert implementation_by_patient([one, other]) == [
        PatientDay(day(0), 1, True),
        PatientDay(day(1), 2, False),
        PatientDay(day(2), 2, None),
        PatientDay(day(3), 2, True),
        PatientDay(day(4), 2, None),
    ]


@pytest.mark.golden
def test_equals_cleanadh_on_every_monitor_day(golden: Callable[[str], Path]) -> None:
    folder = "adherence/electronic_monitoring"

    def table(name: str) -> dict[tuple[str, str], list[dict[str, str]]]:
        grouped: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
        for row in rows(golden(f"{folder}/cleanadh_{name}.csv")):
            grouped[row["PatientCode"], row["Monitor"]].append(row)
        return grouped

    def dates(row: dict[str, str]) -> tuple[date, date]:
        start, end = row["StartDate"], row["EndDate"]
        return date.fromisoformat(start), date.fromisoformat(end)

    def days_or_none(text: str) -> int | None:
        return int(float(text)) if text else None

    events, regimens = table("events"), table("aux_Regimen")
    added, unseen = table("aux_AddedOpenings"), table("aux_NonMonitoredPeriods")
    got: dict[tuple[str, str, str], tuple[object, ...]] = {}
    for monitor, [info] in table("aux_EMInfo").items():
        first_day, last_day = dates(info)
        for d in implementation_by_day(
            [datetime.fromisoformat(row["Date"]) for row in events[monitor]],
            [
                RegimenPeriod(
                    *dates(row),
                    int(row["ExpectedOpenings"]),
                    days_or_none(row["On"]),
                    days_or_none(row["Off"]),
                )
                for row in regimens[monitor]
            ],
            added=[
                (date.fromisoformat(row["Date"]), int(row["AddedOpenings"]))
                for row in added[monitor]
            ],
            non_monitored=[DayPeriod(*dates(row)) for row in unseen[monitor]],
            first_day=first_day,
            last_day=last_day,
            rule="cleanadh",
        ):
            done = "" if d.implemented is None else str(float(d.implemented))
            counts = (d.recorded, d.added, d.corrected, d.expected)
            got[*monitor, d.day.isoformat()] = (*counts, d.non_monitored, done)

    want = {
        (row["PatientCode"], row["Monitor"], row["Date"]): (
            int(row["RecordedOpenings"]),
            int(row["AddedOpenings"]),
            int(row["CorrectedOpenings"]),
            int(row["ExpectedOpenings"]),
            row["NonMonitored"] == "True",
            row["Implementation"],
        )
        for row in rows(golden(f"{folder}/cleanadh_out_by_monitor.csv"))
    }
    assert len(want) == 3367
    assert sum(row[3] == 0 for row in want.values()) == 427
    assert sum(bool(row[4]) for row in want.values()) == 65
    assert got == want
