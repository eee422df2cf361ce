from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.adherence.coverage import (
    forgiven_days,
    forgiveness_threshold,
    merged,
    therapeutic_coverage,
    without,
)
from analytics.records import Period
from tests.analytics.adherence.test_dose_days import a_day

START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
TEN_DAYS = Period(START, START + 10 * DAY)

hours = st.lists(st.integers(-48, 240), max_size=20)
spans = st.lists(
    st.tuples(st.integers(0, 240), st.integers(0, 48)).map(
        lambda at: Period(START + at[0] * HOUR, START + (at[0] + at[1]) * HOUR)
    ),
    max_size=5,
)


@given(hours, st.integers(1, 60), spans)
def test_coverage_is_the_share_of_known_hours_within_reach_of_a_dose(
    taken: list[int], acts_for: int, unknown: list[Period]
) -> None:
    got = therapeutic_coverage(
        [START + hour * HOUR for hour in taken],
        acts_for=acts_for * HOUR,
        monitored=TEN_DAYS,
        unknown=unknown,
    )

    known = [
        hour
        for hour in range(240)
        if not any(
            p.start <= START + hour * HOUR < (p.until or p.start) for p in unknown
        )
    ]
    covered = [h for h in known if any(at <= h < at + acts_for for at in taken)]
    assert got.numerator * 24 == pytest.approx(len(covered))
    assert got.denominator * 24 == pytest.approx(len(known))
    assert got.parameters == {"acts_for_s": acts_for * 3600.0}


def test_a_monitored_period_needs_an_end() -> None:
    with pytest.raises(ValueError, match="need the end"):
        therapeutic_coverage([], acts_for=HOUR, monitored=Period(START))


@given(spans)
def test_what_is_merged_does_not_touch_and_what_is_left_fills_the_rest(
    periods: list[Period],
) -> None:
    union = merged(periods)
    left = without(TEN_DAYS, union)

    ends = [p.until for p in union]
    assert all(b.start > a for a, b in zip(ends, union[1:], strict=False) if a)
    inside = without(TEN_DAYS, left)
    length = sum(
        ((p.until or p.start) - p.start for p in [*left, *inside]), timedelta()
    )
    assert length == 10 * DAY


def test_forgiveness_is_what_may_be_missed_of_a_run() -> None:
    assert forgiveness_threshold(30, tolerated=3) == 0.9
    with pytest.raises(ValueError, match="tolerated"):
        forgiveness_threshold(3, tolerated=4)


def test_a_day_is_forgiven_until_too_many_doses_in_a_row_are_missing() -> None:
    days = [a_day(n, int(c), unseen=c == "9") for n, c in enumerate("100010090")]

    got = forgiven_days(days, tolerated=2)

    # the third miss of the first run is not; the unknown day begins again at none
    assert (got.numerator, got.denominator) == (7, 8)
    assert forgiven_days([], tolerated=1).value is None
