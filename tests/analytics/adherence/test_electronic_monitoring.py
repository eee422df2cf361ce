from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from analytics.adherence.electronic_monitoring import (
    Day,
    DayPeriod,
    RegimenPeriod,
    correct_dosing_days,
    dose_day,
    drug_holidays,
    implementation,
    implementation_by_day,
    interval_adherence,
    taking_adherence,
    timing_adherence,
)
from tests.analytics.golden import rows

MON = date(2026, 3, 2)
ZURICH = ZoneInfo("Europe/Zurich")
HOUR = timedelta(hours=1)


def day(n: int) -> date:
    return MON + timedelta(days=n)


def a_day(n: int, taken: int, expected: int | None = 1, *, unseen: bool = False) -> Day:
    return Day(day(n), taken, 0, taken, expected, unseen, None)


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

    def shares(rule: str) -> tuple[int, int]:
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


def test_measures_leave_out_what_is_unknown_or_not_asked() -> None:
    days = [
        a_day(0, 3, 2),
        a_day(1, 1, 2),
        a_day(2, 2, 2),
        a_day(3, 0, 2, unseen=True),
        a_day(4, 1, 0),
        a_day(5, 1, None),
    ]

    assert taking_adherence(days).value == 5 / 6
    assert taking_adherence(days, capped=False).value == 6 / 6
    assert correct_dosing_days(days).value == 1 / 3
    assert correct_dosing_days([]).value is None


def test_a_holiday_is_three_days_running_and_unknown_ends_it() -> None:
    pattern = "00010010-0u000"
    days = [
        a_day(n, int(c == "1"), 0 if c == "-" else 1, unseen=c == "u")
        for n, c in enumerate(pattern)
    ]

    assert drug_holidays(days) == [
        DayPeriod(day(0), day(2)),
        DayPeriod(day(11), day(13)),
    ]


def test_timing_counts_missed_doses_and_intervals_do_not() -> None:
    timing = timing_adherence([HOUR, -2 * HOUR, None], within=HOUR, scheduled=4)
    taken = [
        datetime(2026, 3, 2, 8, tzinfo=UTC) + n * HOUR for n in (0, 24, 54.1, 78.1)
    ]
    spread = interval_adherence(taken, interval=24 * HOUR)

    assert (timing.value, timing.parameters) == (1 / 4, {"within_s": 3600.0})
    assert (spread.numerator, spread.denominator) == (2, 3)


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
