"""Timings as hypothesis draws them, for any test that needs all kinds."""

from datetime import UTC, date, datetime, time, timedelta

from hypothesis import strategies as st

from backend.regimens.timing import (
    AfterTaken,
    AsNeeded,
    ClockTimes,
    Cycle,
    DailyCount,
    EveryHours,
    Food,
    Instants,
    Monthly,
    Phase,
    Simple,
    Taper,
    Timing,
    Together,
    Weekday,
    Weekdays,
    is_untimed,
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


after_taken: st.SearchStrategy[AfterTaken] = st.one_of(
    st.builds(
        AfterTaken,
        st.integers(1, 90).map(lambda number: timedelta(days=number)),
        days,
        clock_times,
    ),
    st.builds(
        AfterTaken,
        st.integers(3600, 90 * 86400).map(lambda seconds: timedelta(seconds=seconds)),
        instants,
    ),
)
amounts = st.decimals("0.25", "1000", places=2)
units = st.sampled_from(["1", "mg", "[iU]", "{tablet}", "mL"])


def phase_with(
    draw: st.DrawFn, timing: Simple, unit: str | None, bounds: tuple[date, date]
) -> Phase:
    start, end = sorted(bounds)
    return Phase(
        timing,
        start,
        end,
        draw(st.none() | st.integers(1, 50)),
        None if unit is None else draw(amounts),
        unit,
        draw(st.none() | st.sampled_from(Food)),
    )


@st.composite
def phases(draw: st.DrawFn) -> Phase:
    bounds = draw(st.tuples(days, days))
    return phase_with(draw, draw(simple), draw(st.none() | units), bounds)


@st.composite
def together(draw: st.DrawFn) -> Together:
    unit = draw(st.none() | units)
    timed = st.lists(
        simple.filter(lambda one: not is_untimed(one)), min_size=2, max_size=3
    )
    return Together(
        tuple(
            phase_with(draw, one, unit, draw(st.tuples(days, days)))
            for one in draw(timed)
        )
    )


@st.composite
def tapers(draw: st.DrawFn) -> Taper:
    starts = sorted(draw(st.sets(days, min_size=1, max_size=4)))
    inside = st.one_of(simple, together())
    steps: list[Phase] = []
    for start in starts:
        timing = draw(inside)
        unit = None if isinstance(timing, Together) else draw(st.none() | units)
        amount = None if unit is None else draw(amounts)
        steps.append(Phase(timing, start, amount=amount, unit=unit))
    return Taper(tuple(steps))


timings: st.SearchStrategy[Timing] = st.one_of(
    simple, guards, after_taken, phases(), together(), tapers()
)
