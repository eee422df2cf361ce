from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from analytics.adherence.dose_days import Day, DayPeriod
from analytics.adherence.electronic_monitoring import (
    correct_dosing_days,
    counts_of,
    dose_taken_days,
    doses_a_day,
    drug_holidays,
    holiday_count,
    holiday_days,
    implementation,
    interval_adherence,
    longest_gap,
    taking_adherence,
    timing_adherence,
)
from analytics.adherence.measure import Counts, Measure
from analytics.records import Period
from tests.analytics.adherence.test_dose_days import a_day, day

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


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
    timing = timing_adherence([HOUR, -2 * HOUR, None, None], within=HOUR)
    taken = [
        datetime(2026, 3, 2, 8, tzinfo=UTC) + n * HOUR for n in (0, 24, 54.1, 78.1)
    ]
    spread = interval_adherence(taken, interval=24 * HOUR)

    assert (timing.value, timing.parameters) == (1 / 4, {"within_s": 3600.0})
    assert (spread.numerator, spread.denominator) == (2, 3)


ONE_PATIENT: list[Callable[[list[Day]], Measure]] = [
    taking_adherence,
    lambda days: taking_adherence(days, capped=False),
    correct_dosing_days,
    dose_taken_days,
    doses_a_day,
    implementation,
    holiday_count,
    holiday_days,
]
some_days = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from([0, 1, 2, None]), st.booleans()),
    max_size=40,
).map(lambda cells: [a_day(n, t, e, unseen=u) for n, (t, e, u) in enumerate(cells)])


@given(some_days, st.sampled_from(ONE_PATIENT))
def test_a_measure_carries_its_counts_and_an_interval_around_it(
    days: list[Day], measure: Callable[[list[Day]], Measure]
) -> None:
    got = measure(days)

    assert got.counts == counts_of(days)
    if got.value is None:
        assert got.interval is None
        return
    assert got.interval is not None
    assert got.interval.low <= got.value + 1e-12
    assert got.value <= got.interval.high + 1e-12


@given(some_days, st.sampled_from(ONE_PATIENT))
def test_what_was_not_monitored_changes_no_figure(
    days: list[Day], measure: Callable[[list[Day]], Measure]
) -> None:
    later = [a_day(100 + n, n, 1, unseen=True) for n in range(5)]

    got, more = measure(days), measure([*days, *later])

    assert (got.value, got.numerator) == (more.value, more.numerator)
    assert more.counts.unknown_days == got.counts.unknown_days + 5


@given(some_days)
def test_capped_is_at_most_raw_and_correct_at_most_taken(days: list[Day]) -> None:
    capped, raw = taking_adherence(days), taking_adherence(days, capped=False)
    correct, taken = correct_dosing_days(days), dose_taken_days(days)

    assert (capped.value or 0) <= min(1, raw.value or 0)
    assert (correct.value or 0) <= (taken.value or 0)
    assert capped.denominator == raw.denominator


def test_the_interval_is_wider_where_misses_come_in_runs() -> None:
    """Both took every other dose; one alternately, one by fortnights."""
    single = [a_day(n, n % 2) for n in range(280)]
    in_runs = [a_day(n, n // 14 % 2) for n in range(280)]

    a, b = dose_taken_days(single), dose_taken_days(in_runs)

    assert a.value == b.value == 0.5
    assert a.interval
    assert b.interval
    assert a.interval.method == "Wilson, effective n 280.0"
    assert b.interval.high - b.interval.low > 2 * (a.interval.high - a.interval.low)


def test_holidays_are_counted_and_their_days_shared_out() -> None:
    days = [a_day(n, int(c)) for n, c in enumerate("1000110010000")]

    count, inside = holiday_count(days), holiday_days(days)

    assert (count.value, count.denominator, inside.value) == (2, 13, 7 / 13)
    assert count.parameters == {"at_least_d": 3.0}
    assert holiday_count(days, at_least=4).value == 1
    assert holiday_count([]).value is None


def test_the_longest_gap_runs_to_the_end_and_over_nothing_unknown() -> None:
    taken = [START, START + DAY, START + 4 * DAY, START + 10 * DAY]
    away = [Period(START + 5 * DAY, START + 6 * DAY)]

    assert longest_gap(taken).value == 6
    assert longest_gap(taken, unknown=away).value == 3
    assert longest_gap(taken, until=START + 17 * DAY, unknown=away).value == 7
    assert longest_gap([START], until=START + DAY).value == 1
    assert longest_gap([]).value is None


def test_an_interval_over_an_unknown_time_is_none() -> None:
    taken = [START + n * DAY for n in (0, 1, 3, 4)]
    away = [Period(START + 1.5 * DAY, START + 2.5 * DAY)]

    got = interval_adherence(taken, interval=DAY, unknown=away)

    assert (got.value, got.denominator) == (1, 2)
    assert got.parameters == {"interval_s": 86400.0, "within": 0.25}


def test_days_on_which_nothing_was_due_are_neither_known_nor_unknown() -> None:
    days = [a_day(0, 1), a_day(1, 0, 0), a_day(2, 1, None), a_day(3, 1, unseen=True)]

    assert counts_of(days) == Counts(doses=1, monitored_days=1, unknown_days=2)


def test_two_doses_on_one_day_do_not_make_up_for_a_missed_one_when_capped() -> None:
    days = [a_day(0, 2), a_day(1, 0), a_day(2, 1)]

    assert taking_adherence(days).value == 2 / 3
    assert taking_adherence(days, capped=False).value == 1
    assert doses_a_day(days).value == 1
