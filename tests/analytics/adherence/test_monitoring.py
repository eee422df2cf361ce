from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.adherence.dose_days import DayPeriod, Rule
from analytics.adherence.monitoring import (
    Parameters,
    Record,
    Regimen,
    measures,
    oncmap_shares,
)
from analytics.adherence.openings import Exclusion
from tests.analytics.golden import rows

FIRST = date(2026, 3, 2)
MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
ZURICH = ZoneInfo("Europe/Zurich")


def a_record(
    *hours: float, days: int = 3, how: Parameters | None = None, **changes: object
) -> Record:
    raw = [MIDNIGHT + hour * HOUR for hour in hours]
    last = FIRST + (days - 1) * DAY
    given = {"parameters": how or Parameters(), **changes}
    return Record(raw, FIRST, last, **given)  # pyright: ignore[reportArgumentType]


def why(record: Record) -> list[Exclusion]:
    return [opening.excluded for opening in record.openings]


def test_each_opening_left_out_says_why() -> None:
    record = a_record(
        *(2, 8, 8.1, 32, 60, 75.1),
        non_monitored=[DayPeriod(FIRST + DAY, FIRST + DAY)],
    )

    assert why(record) == [
        Exclusion.BEFORE,
        Exclusion.KEPT,
        Exclusion.DEBOUNCED,
        Exclusion.NON_MONITORED,
        Exclusion.KEPT,
        Exclusion.AFTER,
    ]


def test_a_rattling_lid_is_one_dose_every_ten_minutes_but_by_oncmap_one() -> None:
    rattle = [8 + n / 10 for n in range(6)]  # every six minutes

    ours = why(a_record(*rattle))
    theirs = why(a_record(*rattle, how=Parameters(rule=Rule.ONCMAP)))

    assert ours == [Exclusion.KEPT, Exclusion.DEBOUNCED] * 3
    assert theirs == [Exclusion.KEPT, *[Exclusion.DEBOUNCED] * 5]


def test_the_debounce_is_time_that_passed_though_the_clocks_jump() -> None:
    """29 March 2026: 01:59:50 and 03:00:05 in Zurich are fifteen seconds apart."""
    raw = [datetime(2026, 3, 29, 0, 59, 50, tzinfo=UTC)]
    raw.append(raw[0] + timedelta(seconds=15))

    record = Record(raw, date(2026, 3, 28), date(2026, 3, 29), zone=ZURICH)

    assert why(record) == [Exclusion.KEPT, Exclusion.DEBOUNCED]


def test_two_periods_a_day_want_a_dose_each() -> None:
    twice = Regimen(periods=2)
    record = a_record(8, 9, 32, 44, days=2, regimen=twice)

    assert [period.opened for period in record.periods] == [2, 0, 1, 1]
    assert [day.implemented for day in record.days] == [False, True]
    correct = next(m for m in measures(record) if m.name == "correct dosing days")
    assert (correct.numerator, correct.denominator) == (2, 4)


def test_days_of_the_week_on_which_nothing_is_due_do_not_count() -> None:
    mondays = Regimen(weekdays=frozenset([0]))
    record = a_record(8, days=14, regimen=mondays)

    assert sum(day.counts for day in record.days) == 2
    taking = measures(record)[0]
    assert (taking.value, taking.denominator) == (0.5, 2)


def test_timed_doses_are_judged_by_the_window() -> None:
    record = a_record(
        *(8.5, 30.5, 57),
        regimen=Regimen(doses=1, times=(time(8),)),
        how=Parameters(on_time=HOUR),
    )

    window = next(m for m in measures(record) if m.name == "timing adherence, window")

    assert (window.numerator, window.denominator) == (2, 3)
    assert window.parameters == {"within_s": 3600.0}


@given(
    st.lists(st.floats(0, 24 * 20), max_size=60),
    st.sets(st.integers(0, 19), max_size=5),
    st.sampled_from(
        [Regimen(), Regimen(2), Regimen(1, 2), Regimen(1, 1, frozenset([1]))]
    ),
)
def test_every_measure_of_any_record_is_named_once_and_holds_together(
    hours: list[float], blind: set[int], regimen: Regimen
) -> None:
    spans = [DayPeriod(FIRST + n * DAY, FIRST + n * DAY) for n in blind]
    record = a_record(*hours, days=20, regimen=regimen, non_monitored=spans)

    got = measures(record)

    assert len({m.name for m in got}) == len(got)
    assert len(record.openings) == len(hours)
    assert all("score" not in m.name for m in got)
    unknown = {m.counts.unknown_days for m in got}
    assert unknown == {len(blind)}
    for m in got:
        if m.interval is not None and m.value is not None:
            assert m.interval.low <= m.interval.high


@given(st.permutations([8.0, 8.05, 8.2, 20, 33, 57, 57.1, 58]))
def test_the_order_of_arrival_changes_nothing(hours: list[float]) -> None:
    assert measures(a_record(*hours)) == measures(a_record(*sorted(hours)))


ECAP = "ecap2xls_daily1"
NON_MONITORED = [
    DayPeriod(date(2020, 5, 10), date(2020, 5, 20)),
    DayPeriod(date(2020, 6, 6), date(2020, 6, 13)),
]


@pytest.mark.golden
@pytest.mark.parametrize(
    ("run", "openings", "day_start", "a_day", "spans"),
    [
        ("ecap2xls_daily1", ECAP, 0, 1, NON_MONITORED),
        ("ecap2xls_12h_22h", ECAP, 22, 2, []),
        ("ecap2xls_daily1_3am", ECAP, 3, 1, []),
        ("mems_daily1", "mems_daily1", 0, 1, []),
    ],
)
def test_equals_oncmap(
    golden: Callable[[str], Path],
    run: str,
    openings: str,
    day_start: int,
    a_day: int,
    spans: list[DayPeriod],
) -> None:
    folder = "adherence/electronic_monitoring/oncmap"
    told = rows(golden(f"{folder}_{openings}_timestamps.csv"))
    raw = [datetime.fromisoformat(r["timestamps"]).replace(tzinfo=UTC) for r in told]
    ends = date(2022, 3, 16) if run == "mems_daily1" else date(2020, 7, 27)
    how = Parameters(day_start=time(day_start), rule=Rule.ONCMAP)

    record = Record(raw, raw[0].date(), ends, Regimen(a_day), spans, UTC, how)

    [want] = [r for r in rows(golden(f"{folder}_summary.csv")) if r["tag"] == run]
    shares = [float(want[name]) for name in ("daysadh", "daysdose", "perdoses", "n")]
    assert oncmap_shares(record.periods) == pytest.approx(tuple(shares), abs=1e-12)
    left_out = sum(not opening.kept for opening in record.openings)
    assert (len(raw), left_out) == (int(want["n_ts"]), int(want["excluded"]))
    if run == openings:
        assert why(record) == [int(row["excluded"]) for row in told]
        assert [
            (str(p.day), str(int(p.non_monitored)), str(p.expected), str(p.opened))
            for p in record.periods
        ] == [
            (row["day"], row["nonmon"], row["doserx"], row["opens"])
            for row in rows(golden(f"{folder}_{openings}_periods.csv"))
        ]
