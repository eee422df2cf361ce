"""Domain time: one clock for all processes, at real speed unless it is a demo."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from backend import clock
from backend.clock import DomainClock, DomainClockAnchor, NotADemo
from backend.database import transaction
from backend.errors import Conflict

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
speeds = st.floats(0.01, 10_000)
spans = st.timedeltas(timedelta(0), timedelta(days=30))


def test_runs_from_its_anchor_at_its_speed() -> None:
    fast = DomainClock(NOON, NOON + timedelta(days=1), speed=120)

    assert fast.at(NOON + timedelta(minutes=1)) == NOON + timedelta(days=1, hours=2)


@given(first=speeds, then=speeds, before=spans, after=spans)
def test_a_change_of_speed_never_moves_the_hands(
    first: float, then: float, before: timedelta, after: timedelta
) -> None:
    slow = DomainClock(NOON, NOON, first)
    changed = slow.at_speed(then, real=NOON + before)

    assert changed.at(NOON + before) == slow.at(NOON + before)
    assert changed.at(NOON + before + after) >= changed.at(NOON + before)


@given(speed=speeds, span=spans)
def test_tells_when_a_domain_instant_will_really_be(
    speed: float, span: timedelta
) -> None:
    fast = DomainClock(NOON, NOON - timedelta(days=90), speed)
    real = NOON + span

    assert abs(fast.real_at(fast.at(real)) - real) < timedelta(milliseconds=1)


def test_a_new_database_shows_real_time(session: Session) -> None:
    assert abs(clock.domain_now() - clock.real_now()) < timedelta(seconds=1)
    assert not clock.is_demo(session)


def test_only_a_demo_may_be_set(session: Session) -> None:
    with pytest.raises(NotADemo):
        clock.set_clock(session, DomainClock(NOON, NOON, speed=60))


def test_the_database_itself_refuses_speed_outside_a_demo(session: Session) -> None:
    with pytest.raises(IntegrityError, match="real_or_demo"), session.begin_nested():
        session.connection().execute(update(DomainClockAnchor).values(speed=60))


def test_there_is_one_clock(session: Session) -> None:
    second = text(
        "INSERT INTO domain_clock_anchor VALUES (false, now(), now(), 1, false)"
    )
    with pytest.raises(IntegrityError, match="one_row"), session.begin_nested():
        session.connection().execute(second)


@pytest.mark.parametrize("speed", [0, -1, 20_000, float("nan")])
def test_refuses_a_speed_no_clock_has(session: Session, speed: float) -> None:
    with pytest.raises(Conflict):
        clock.start_demo(session, speed=speed, real=NOON)


@pytest.mark.usefixtures("db")
def test_every_process_sees_the_demo_run_within_a_second() -> None:
    clock.domain_now()
    with transaction() as session:
        clock.start_demo(session, speed=1000, real=clock.real_now())
    clock.forget_clock()  # what another process does once its second is over

    assert clock.domain_clock().speed == 1000
    assert clock.domain_now() >= clock.real_now()


@pytest.mark.usefixtures("db")
def test_a_demo_goes_on_from_where_it_was_at_another_speed() -> None:
    later = NOON + timedelta(hours=1)
    with transaction() as session:
        clock.start_demo(session, speed=100, real=NOON)
        shown = clock.set_clock(session, DomainClock(NOON, NOON, 100)).at(later)
        again = clock.start_demo(session, speed=1, real=later)

    assert again.at(later) == shown
