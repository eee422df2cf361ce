"""Prescriptions as people read them."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest
from hypothesis import given

from backend.regimens.timing import (
    AsNeeded,
    BadTiming,
    ClockTimes,
    Cycle,
    DailyCount,
    EveryHours,
    Instants,
    Monthly,
    Phase,
    Taper,
    Timing,
    Weekday,
    Weekdays,
)
from backend.regimens.wording import sentence
from backend.regimens.zones import zone_named
from tests.backend.regimens.timings import timings

PARIS = zone_named("Europe/Paris")
TODAY = date(2026, 3, 1)
MARCH, LATER = date(2026, 3, 3), date(2026, 5, 25)
EIGHT = (time(8),)


def test_a_prescription_reads_as_a_pharmacist_would_say_it() -> None:
    said = sentence(
        ClockTimes((time(21),)),
        zone=PARIS,
        amount=Decimal(8),
        unit="[iU]",
        start=MARCH,
        end=LATER,
        today=TODAY,
    )

    assert said == "8 units, evenings at 21:00, from 3 March, 12 weeks"


@pytest.mark.parametrize(
    ("timing", "said"),
    [
        (ClockTimes(EIGHT), "mornings at 08:00"),
        (ClockTimes((time(2),)), "nights at 02:00"),
        (ClockTimes((time(23),)), "nights at 23:00"),
        (ClockTimes((time(12),)), "afternoons at 12:00"),
        (ClockTimes((time(8), time(20))), "daily at 08:00 and 20:00"),
        (
            ClockTimes((time(8), time(14), time(20, 0, 30))),
            "daily at 08:00, 14:00 and 20:00:30",
        ),
        (
            Weekdays(EIGHT, (Weekday.MON, Weekday.THU)),
            "Mondays and Thursdays at 08:00",
        ),
        (
            Weekdays(EIGHT, (Weekday.MON,), 2, MARCH),
            "every 2 weeks on Mondays at 08:00",
        ),
        (Monthly(EIGHT, MARCH), "on the 3rd of every month at 08:00"),
        (
            Monthly(EIGHT, date(2026, 1, 31), 3),
            "on the 31st or the last day of every 3 months at 08:00",
        ),
        (Monthly(EIGHT, date(2026, 1, 12)), "on the 12th of every month at 08:00"),
        (DailyCount(0), "no dose"),
        (DailyCount(1), "once a day"),
        (DailyCount(2), "twice a day"),
        (DailyCount(3), "3 times a day"),
        (Cycle(1, 1, MARCH, ClockTimes(EIGHT)), "every 2 days at 08:00"),
        (
            Cycle(21, 7, MARCH, ClockTimes(EIGHT)),
            "mornings at 08:00, 21 days on and 7 off",
        ),
        (Cycle(1, 6, MARCH, DailyCount(1)), "once a day, 1 day on and 6 off"),
        (
            EveryHours(timedelta(hours=8), datetime(2026, 3, 3, 5, tzinfo=UTC)),
            "every 8 hours from 3 March at 06:00",
        ),
        (
            EveryHours(timedelta(hours=1), datetime(2026, 3, 3, 5, tzinfo=UTC), 4),
            "every 15 minutes from 3 March at 06:00",
        ),
        (
            Instants((datetime(2027, 3, 3, 5, tzinfo=UTC),)),
            "3 March 2027 at 06:00",
        ),
        (
            AsNeeded(4, timedelta(hours=6)),
            "as needed, at most 4 doses in 24 hours, at least 6 hours apart",
        ),
        (
            Phase(ClockTimes(EIGHT), MARCH, count=10),
            "mornings at 08:00, from 3 March, 10 doses",
        ),
        (
            Phase(ClockTimes(EIGHT), None, date(2027, 1, 2)),
            "mornings at 08:00, until 2 January 2027",
        ),
        (
            Taper(
                (
                    Phase(ClockTimes((time(8), time(20))), MARCH, date(2026, 3, 9)),
                    Phase(ClockTimes(EIGHT), date(2026, 3, 10), date(2026, 3, 12)),
                )
            ),
            "daily at 08:00 and 20:00, from 3 March, 1 week; "
            "then mornings at 08:00, from 10 March, 3 days",
        ),
    ],
)
def test_every_kind_has_words(timing: Timing, said: str) -> None:
    assert sentence(timing, zone=PARIS, today=TODAY) == said


@pytest.mark.parametrize(
    ("amount", "unit", "said"),
    [
        ("1", "1", "1 dose, once a day"),
        ("2", "{tablet}", "2 tablets, once a day"),
        ("0.5", "{tablet}", "0.5 tablet, once a day"),
        ("1.50", "mL", "1.5 mL, once a day"),
        ("100", "ug", "100 micrograms, once a day"),
        ("10", None, "10 doses, once a day"),
    ],
)
def test_amounts_are_said_with_their_unit(
    amount: str, unit: str | None, said: str
) -> None:
    assert (
        sentence(DailyCount(1), zone=PARIS, amount=Decimal(amount), unit=unit) == said
    )


def test_a_language_without_words_is_refused() -> None:
    with pytest.raises(BadTiming, match="no words for regimens in 'tlh'"):
        sentence(DailyCount(1), zone=PARIS, language="tlh")


@given(timings)
def test_whatever_can_be_prescribed_can_be_said(timing: Timing) -> None:
    said = sentence(timing, zone=PARIS)

    assert said
    assert "None" not in said
    assert "(" not in said
