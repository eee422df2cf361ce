"""Timings as hypothesis draws them, for any test that needs all kinds."""

from datetime import UTC, date, datetime, time, timedelta

from hypothesis import strategies as st

from backend.regimens.timing import (
    AsNeeded,
    ClockTimes,
    Cycle,
    DailyCount,
    EveryHours,
    Instants,
    Monthly,
    Phase,
    Simple,
    Taper,
    Timing,
    Weekday,
    Weekdays,
)

days = st.dates(date(2020, 1, 1), date(2035, 12, 31))
instants = st.integers(0, 16 * 365 * 86400).map(
    lambda seconds: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)
clock_times = st.builds(
    time, st.integers(0, 23), st.sampled_from([0, 1, 15, 30, 45, 59])
)
several_times = st.sets(clock_times, min_size=1, max_size=5).map(
    lambda times: tuple(sorted(times))
)
weekday_sets = st.sets(st.sampled_from(Weekday), min_size=1).map(
    lambda chosen: tuple(day for day in Weekday if day in chosen)
)

flat_wall: st.SearchStrategy[ClockTimes | Weekdays | Monthly | DailyCount] = st.one_of(
    st.builds(ClockTimes, several_times),
    st.builds(Weekdays, several_times, weekday_sets, st.integers(1, 4), days),
    st.builds(Monthly, several_times, days, st.integers(1, 12)),
    st.builds(DailyCount, st.integers(0, 6)),
)
cycles = st.builds(Cycle, st.integers(1, 28), st.integers(1, 28), days, flat_wall)
every_hours = st.builds(
    EveryHours,
    st.integers(3 * 3600, 7 * 86400).map(lambda seconds: timedelta(seconds=seconds)),
    instants,
    st.integers(1, 7),
)
exact = st.sets(instants, min_size=1, max_size=5).map(
    lambda chosen: Instants(tuple(sorted(chosen)))
)
simple: st.SearchStrategy[Simple] = st.one_of(flat_wall, cycles, every_hours, exact)
guards = st.builds(
    AsNeeded,
    st.integers(1, 12),
    st.none() | st.integers(1, 48).map(lambda hours: timedelta(hours=hours)),
)


@st.composite
def phases(draw: st.DrawFn) -> Phase:
    start, end = sorted(draw(st.tuples(days, days)))
    count = draw(st.none() | st.integers(1, 50))
    return Phase(draw(simple), start, end, count)


@st.composite
def tapers(draw: st.DrawFn) -> Taper:
    starts = sorted(draw(st.sets(days, min_size=1, max_size=4)))
    return Taper(tuple(Phase(draw(simple), start) for start in starts))


timings: st.SearchStrategy[Timing] = st.one_of(simple, guards, phases(), tapers())
